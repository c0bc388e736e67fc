// Runs one engine over a list of arrivals the way the world does, without a world.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "devices/llm_engine.hpp"

namespace isthmus::devices::testing {

struct TimedRequest {
  Instant at;
  EngineRequest request;
  Duration held = {};  //!< with request.hold, from completion to release
};

struct Dates {
  Instant started, first_token, completed;
  auto operator<=>(const Dates&) const = default;
};

struct Cancellation {
  Instant at;
  std::uint64_t tag;
};

//! Dates per tag. Arrivals in order of date; those that do not fit are left out.
template <class Engine>
std::map<std::uint64_t, Dates> drive(Engine& engine, std::vector<TimedRequest> arrivals,
                                     std::vector<Cancellation> cancellations = {}) {
  std::map<std::uint64_t, Dates> dates;
  std::map<std::uint64_t, Duration> holds;
  for (const TimedRequest& a : arrivals)
    if (a.request.hold) holds[a.request.tag] = a.held;
  std::multimap<Instant, std::uint64_t> releases;
  std::size_t next = 0, next_cancel = 0;
  Instant end = Instant::never();
  std::vector<Admission> admitted;
  std::vector<Progress> progress;
  while (next < arrivals.size() || next_cancel < cancellations.size() || engine.has_work() ||
         !releases.empty()) {
    Instant now = end;
    if (next < arrivals.size()) now = std::min(now, arrivals[next].at);
    if (next_cancel < cancellations.size()) now = std::min(now, cancellations[next_cancel].at);
    if (!releases.empty()) now = std::min(now, releases.begin()->first);
    // Work ends, then requests arrive or leave, then the engine looks at its queue.
    if (end == now) {
      progress.clear();
      engine.finish(progress);
      for (const Progress& p : progress) {
        if (p.what == Progress::What::first_token) dates[p.tag].first_token = p.at;
        else dates[p.tag].completed = p.at;
        if (p.what == Progress::What::completed && holds.contains(p.tag))
          releases.emplace(p.at + holds[p.tag], p.tag);
      }
      end = Instant::never();
    }
    while (next < arrivals.size() && arrivals[next].at == now) {
      if (engine.fits(arrivals[next].request)) engine.enqueue(arrivals[next].request);
      ++next;
      if (engine.busy()) end = std::max(now, engine.interrupt(now));
    }
    while (next_cancel < cancellations.size() && cancellations[next_cancel].at == now) {
      engine.cancel(cancellations[next_cancel++].tag);
      if (engine.busy()) end = std::max(now, engine.interrupt(now));
    }
    while (!releases.empty() && releases.begin()->first == now) {
      if (!engine.release(releases.begin()->second)) throw InternalError("nothing to release");
      releases.erase(releases.begin());
      if (engine.busy()) end = std::max(now, engine.interrupt(now));
    }
    if (end == now && engine.busy()) continue;  // the span was cut to end right here
    if (!engine.busy() && engine.has_work()) {
      admitted.clear();
      end = engine.begin(now, admitted);
      for (const Admission& a : admitted) dates[a.tag].started = a.at;
    }
  }
  return dates;
}

}  // namespace isthmus::devices::testing
