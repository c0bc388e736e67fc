// The smallest system around a batching policy: one queue, some slots, given execution times.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

#include "schedulers/batching_policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::testing {

//! One executed batch.
struct Batch {
  Instant start, end;
  std::uint32_t size = 0;
  std::size_t first = 0;  //!< number of its first request
  std::uint32_t slot = 0;
};

//! Runs requests (`next_arrival` returns their dates in order, Instant::never() at the end) through
//! `policy` on `slots` slots; a batch of b takes execution(b). At one instant work ends first, then
//! requests arrive, then free slots look at the queue, as in sim/core/event_kinds.hpp.
//! `hold_until` requests must be queued before the first decision (Triton's test hook).
//! `on_batch` sees every batch with the arrival dates of its requests.
inline void run_batches(
    schedulers::BatchingPolicy& policy, std::uint32_t slots,
    const std::function<Instant()>& next_arrival,
    const std::function<Duration(std::uint32_t)>& execution,
    const std::function<void(const Batch&, const std::deque<Instant>&)>& on_batch,
    std::uint32_t hold_until = 0) {
  std::deque<Instant> waiting;
  std::size_t first = 0;
  using Running = std::pair<Instant, std::uint32_t>;
  std::priority_queue<Running, std::vector<Running>, std::greater<>> running;
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> idle;
  for (std::uint32_t i = 0; i < slots; ++i) idle.push(i);

  Instant arrival = next_arrival();
  Instant look_again = Instant::never();
  for (;;) {
    Instant now = std::min(arrival, look_again);
    if (!running.empty()) now = std::min(now, running.top().first);
    if (now.is_never()) return;
    if (look_again <= now) look_again = Instant::never();
    for (; !running.empty() && running.top().first <= now; running.pop())
      idle.push(running.top().second);
    for (; arrival <= now; arrival = next_arrival()) waiting.push_back(arrival);
    if (waiting.size() < hold_until) continue;
    hold_until = 0;
    while (!idle.empty() && !waiting.empty()) {
      schedulers::BatchingView view;
      view.now = now;
      view.waiting = static_cast<std::uint32_t>(waiting.size());
      view.oldest = waiting.front();
      view.idle_slots = static_cast<std::uint32_t>(idle.size());
      const schedulers::BatchingDecision d = policy.decide(view);
      if (d.take == 0) {
        look_again = d.look_again;
        break;
      }
      const Batch batch{now, now + execution(d.take), d.take, first, idle.top()};
      on_batch(batch, waiting);
      running.emplace(batch.end, idle.top());
      idle.pop();
      first += d.take;
      waiting.erase(waiting.begin(), waiting.begin() + d.take);
      look_again = Instant::never();
    }
  }
}

}  // namespace isthmus::testing
