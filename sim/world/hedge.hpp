// What the copies of one request share, and the times that hedging goes by (sim/world/hedging.cpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <vector>

#include "sim/core/event_queue.hpp"
#include "sim/core/time.hpp"

namespace isthmus::world {

//! One attempt of a request of a workload that hedges. One of its copies leads: it has what there is
//! once per request, such as the deadline, and hands it on when it ends before the others.
struct Hedge {
  static constexpr std::uint32_t none = 0xffffffffU;  // of a request: nothing is hedged
  static constexpr std::uint32_t late = 0xfffffffeU;  // of a copy: there is an answer without it

  std::uint32_t generation = 0;
  bool live = false;
  std::uint8_t sent = 1;               // copies, the first included
  std::uint32_t turns = 0;             // occasions for further copies so far
  std::uint32_t leader = 0;            // slot of a request
  std::vector<std::uint32_t> copies;   // slots of all that are under way, in order
  std::vector<std::uint32_t> tried;    // replicas that copies went to
  Instant since;                       // of the attempt
  Duration delay;
  double wasted = 0;                   // s at servers of copies that have ended
  EventHandle timer;                   // for the next copy
};

//! The newest times of a number, and their percentiles.
class LatencyWindow {
 public:
  void add(Duration time, std::size_t most) {
    if (order_.size() == most) {
      sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), order_.front()));
      order_.pop_front();
    }
    order_.push_back(time);
    sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), time), time);
  }
  //! The smallest time that a share `p` of all, in (0, 1), does not exceed; Duration::max() while
  //! there are too few to have one above it.
  Duration percentile(double p) const {
    const auto rank = static_cast<std::size_t>(std::ceil(p * static_cast<double>(sorted_.size())));
    return rank == 0 || rank >= sorted_.size() ? Duration::max() : sorted_[rank - 1];
  }

 private:
  std::deque<Duration> order_;    // as they came
  std::vector<Duration> sorted_;
};

}  // namespace isthmus::world
