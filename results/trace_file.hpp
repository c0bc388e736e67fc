// trace.json: the stages of requests as spans, for ui.perfetto.dev and chrome://tracing.
#pragma once

#include <string>
#include <vector>

#include "results/recorder.hpp"

namespace isthmus::results {

//! Collects what a trace shows. Bounded: viewers choke on more than about a hundred megabytes, so
//! the first `most_requests` records and `most_samples` samples are kept and the file says so.
class TraceCollector {
 public:
  static constexpr std::size_t most_requests = 50000, most_samples = 50000;

  void add(const RequestRecord& r) {
    if (requests_.size() < most_requests)
      requests_.push_back(r);
    else
      ++left_out_;
  }
  void add(const ServiceSample& s) {
    if (samples_.size() < most_samples) samples_.push_back(s);
  }
  //! The trace in Chrome's trace-event format: a process per service, a lane per request in
  //! progress, nested spans per stage, counters of queue, running and replicas. `end`: date at
  //! which requests in flight are cut.
  std::string json(const RunInfo& info, Instant end) const;

 private:
  std::vector<RequestRecord> requests_;
  std::vector<ServiceSample> samples_;
  std::uint64_t left_out_ = 0;
};

}  // namespace isthmus::results
