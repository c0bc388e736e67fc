// Files that say how the bandwidth of a link changes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "network/access_rules.hpp"

namespace isthmus::scenarios {

//! What a trace file or list says. Every step states all that the trace is about.
struct TraceSteps {
  std::vector<network::LinkChange> steps;  //!< by increasing date
  Duration length;                         //!< to its end: the last step lasts as long as the one before
  bool loops = false;                      //!< by the nature of the format
};

//! Reads a file; `format` is auto, csv, mahimahi or irish-5g. Throws InputError with path, line and
//! reason.
//! csv: a header time,bandwidth[,latency|rtt] with units in it or in the cells; a bandwidth of 0 is an
//! outage.
//! mahimahi: per line the millisecond at which one packet of 1500 B may leave, repeated from the last
//! one on (Netravali et al. 2015). Packets are counted over `bin`; bins without any join the next one
//! with some, so that no byte is invented.
//! irish-5g: the logs of Raca et al. (2020), of which Timestamp, DL_bitrate (kbit/s) and, where
//! it is there, PINGAVG (ms) are read. A bitrate of 0 counts as 1 kbit/s, the resolution of the file.
TraceSteps read_trace_file(const std::filesystem::path& path, const std::string& format,
                           Duration bin);

}  // namespace isthmus::scenarios
