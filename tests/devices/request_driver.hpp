// The smallest system around a batch server whose policy looks at each request: requests at given
// dates, batches of given execution times, and what became of every request.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "devices/batch_server.hpp"
#include "sim/core/time.hpp"

namespace isthmus::testing {

//! What became of one request.
struct Fate {
  enum class What { waits, served, rejected } what = What::waits;
  Instant start = Instant::never(), end = Instant::never();  //!< of its batch; rejected: both the date
};

struct ServedBatch {
  Instant start, end;
  std::vector<std::uint64_t> requests;  //!< in the order of the batch
  std::uint32_t items = 0;
};

struct Served {
  std::vector<ServedBatch> batches;
  std::vector<Fate> fates;
};

//! `requests` in order of `since`; their tags are their places. At one instant work ends first, then
//! requests arrive, free slots look at the queue, and who has waited too long leaves. A batch of so
//! many inputs takes execution(items). `hold_until` requests must be queued before the first decision
//! (Triton's test hook).
inline Served serve(std::shared_ptr<schedulers::BatchingPolicy> policy, std::uint32_t slots,
                    std::vector<schedulers::WaitingRequest> requests,
                    const std::function<Duration(std::uint32_t)>& execution,
                    std::size_t hold_until = 0) {
  devices::BatchServer server(slots, 0xffffffffU, std::move(policy), execution);
  Served out;
  out.fates.resize(requests.size());
  const auto reject = [&](std::uint64_t tag, Instant at) {
    out.fates[tag] = {Fate::What::rejected, at, at};
  };
  struct Running {
    Instant start, end;
    std::uint32_t size;
  };
  std::vector<Running> running;
  std::vector<std::pair<Instant, std::uint64_t>> limits;
  std::vector<std::uint64_t> tags;
  Instant look_again = Instant::never();
  std::size_t next = 0;
  bool look = false;
  for (;;) {
    Instant now = next < requests.size() ? requests[next].since : Instant::never();
    now = std::min(now, look_again);
    for (const Running& r : running) now = std::min(now, r.end);
    for (const auto& [at, tag] : limits) now = std::min(now, at);
    if (now.is_never()) return out;
    if (look_again <= now) look_again = Instant::never(), look = true;
    for (std::size_t i = 0; i < running.size();) {
      if (running[i].end > now) {
        ++i;
        continue;
      }
      server.finish(running[i].size, running[i].end - running[i].start);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      look = true;
    }
    for (; next < requests.size() && requests[next].since <= now; ++next, look = true) {
      requests[next].tag = next;
      if (!server.enqueue(requests[next])) {
        reject(next, now);
        continue;
      }
      if (const Instant at = server.expires(requests[next]); !at.is_never())
        limits.emplace_back(at, next);
    }
    for (bool again = true; again;) {
      again = false;
      while (look && server.can_start() && server.waiting() >= hold_until) {
        hold_until = 0;
        look_again = server.form_batch(now, tags);
        for (const std::uint64_t tag : server.dropped()) reject(tag, now);
        if (tags.empty()) break;
        ServedBatch b{now, now, tags, 0};
        for (const std::uint64_t tag : tags) b.items += requests[tag].items;
        b.end = now + execution(b.items);
        for (const std::uint64_t tag : tags) out.fates[tag] = {Fate::What::served, now, b.end};
        running.push_back({now, b.end, static_cast<std::uint32_t>(tags.size())});
        out.batches.push_back(std::move(b));
      }
      look = false;
      std::erase_if(limits, [&](const auto& limit) {
        if (limit.first > now) return false;
        if (server.remove(limit.second)) {
          reject(limit.second, now);
          look = again = true;
        }
        return true;
      });
    }
  }
}

}  // namespace isthmus::testing
