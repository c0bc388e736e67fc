// How long a model takes to be ready, who pays for it, and how much memory that needs at its peak.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/core/time.hpp"

namespace isthmus::devices {

enum class LoadStrategy : std::uint8_t {
  eager,     //!< read the file, build the tensors, copy them to the device, one after the other
  lazy,      //!< nothing before the first request, then module by module
  mmap,      //!< map the file; the first request faults its pages in; the page cache is shared
  sharded,   //!< shard by shard, reading the next one while one is copied
  balanced,  //!< as sharded, over several accelerators, an equal part of the layers each
  offload,   //!< what does not fit stays in host memory (or on disk) and is streamed per inference
};
//! "eager", ...; throws InputError with all names for another word.
LoadStrategy load_strategy_from(std::string_view name);

//! What weights pass on their way. bytes/s and s; infinite bandwidth: no such step.
struct LoadPath {
  double storage_bandwidth = 0;  //!< of sequential reads, > 0
  double storage_latency = 0;    //!< s per file that is opened
  double deserialize = 0;        //!< bytes/s of building tensors from a file, > 0
  double copy_bandwidth = 0;     //!< host to device, > 0; infinite over one memory
  double page_fault = 0;         //!< s per page that is mapped in
  double page = 65536;           //!< bytes brought in per fault (readahead)
};

struct LoadRequest {
  LoadStrategy strategy = LoadStrategy::eager;
  double weights = 0;  //!< bytes
  double room = 0;     //!< bytes for weights on all accelerators together (offload)
  double shard = 0;    //!< bytes per shard or module, > 0
  std::uint32_t accelerators = 1;
  bool from_disk = false;  //!< offload: the rest is read from storage, not from host memory
};

struct LoadPlan {
  double ready = 0;      //!< s from asking for a replica until it takes requests
  double first_use = 0;  //!< s that the first inference takes on top
  double every_use = 0;  //!< s that every inference takes on top, for weights that are streamed
  double host_peak =
      0;  //!< bytes of host memory of this replica while it loads, page cache not counted
  double page_cache = 0;   //!< bytes that replicas of a machine share
  double device_peak = 0;  //!< bytes on the fullest accelerator
  double resident = 0;     //!< bytes of weights on the device afterwards
};

//! Over one memory (infinite copy bandwidth) host and device are the same memory, and what is on
//! the device is not copied: the peaks say what is held in either role. Throws InputError for
//! figures that are not above 0.
LoadPlan plan_loading(const LoadRequest& request, const LoadPath& path);

}  // namespace isthmus::devices
