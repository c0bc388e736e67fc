// Triton's dynamic batcher over queues by priority level, with timeouts, limits, requests of several
// inputs and shapes.
#include <algorithm>

#include "schedulers/dynamic_batcher.hpp"

namespace isthmus::schedulers {

namespace {

// PriorityQueue of scheduler_utils.cc and GetDynamicBatch of dynamic_batch_scheduler.cc. Requests stand
// in line level by level, those that were moved back after the others of their level.
class DynamicQueues final : public BatchingPolicy {
 public:
  explicit DynamicQueues(DynamicBatcher batcher) : b_(std::move(batcher)) {}

  bool wants_requests() const override { return true; }

  bool admits(std::span<const WaitingRequest> waiting, const WaitingRequest& r) override {
    const std::uint32_t level = b_.level_of(r), capacity = b_.rules[level].capacity;
    if (capacity == 0 || waiting.size() < capacity) return true;
    const auto same = std::count_if(waiting.begin(), waiting.end(), [&](const WaitingRequest& w) {
      return b_.level_of(w) == level;
    });
    return static_cast<std::size_t>(same) < capacity;
  }

  Instant expires(const WaitingRequest& r) const override {
    return b_.rule_of(r).delays ? Instant::never() : limit(r);
  }

  BatchingDecision decide(const BatchingView& view) override {
    start(view);
    // As far as a batch may grow, with the largest preferred one on the way.
    std::uint32_t pending = 0, best = 0;  // inputs
    std::size_t best_count = 0;
    bool send_now = false;
    Instant oldest = Instant::never(), closest = Instant::never();
    std::vector<std::uint32_t>& taken = chosen_.taken;
    for (std::uint32_t place = next(view); place != none; place = next(view)) {
      const WaitingRequest& r = view.requests[place];
      if (!taken.empty()) {
        // No preferred size is left: what is there goes, but its age is looked at first.
        if (pending + r.items > b_.preferred.back() && best == 0) {
          best = pending;
          best_count = taken.size();
        }
        if (pending + r.items > b_.max_batch || r.shape != view.requests[taken[0]].shape) {
          send_now = true;
          break;
        }
      }
      taken.push_back(place);
      pending += r.items;
      oldest = std::min(oldest, r.since);
      if (!behind_ && b_.rules[level_].delays) closest = std::min(closest, limit(r));
      if (std::binary_search(b_.preferred.begin(), b_.preferred.end(), pending)) {
        best = pending;
        best_count = taken.size();
      }
    }

    const bool has_delay = b_.delay > Duration::zero();
    const bool overdue = has_delay && view.now >= oldest + b_.delay;
    if (best > 0 && !overdue) return take(best_count);
    if (send_now || pending >= b_.preferred.back() || overdue || !has_delay)
      return take(taken.size());
    taken.clear();
    return {0, std::min(oldest + b_.delay, closest), &chosen_};
  }

 private:
  static constexpr std::uint32_t none = 0xffffffffU;

  // Places by level: those that came, and those that were moved back.
  struct Level {
    std::vector<std::uint32_t> fresh, back;
  };

  void start(const BatchingView& view) {
    chosen_.taken.clear();
    chosen_.moved_back.clear();
    level_ = 0;
    at_ = 0;
    behind_ = false;
    levels_.resize(b_.rules.size());
    for (Level& l : levels_) l.fresh.clear(), l.back.clear();
    // One queue without a second part is looked at no further than a batch reaches.
    std::size_t reach = view.requests.size();
    if (b_.rules.size() == 1 && !b_.rules[0].delays)
      reach = std::min<std::size_t>(reach, std::size_t{b_.max_batch} + 1);
    for (std::uint32_t i = 0; i < reach; ++i) {
      const WaitingRequest& r = view.requests[i];
      Level& l = levels_[b_.level_of(r)];
      (r.moved_back ? l.back : l.fresh).push_back(i);
    }
  }

  // The place of the next request in line; who has waited too long moves back when it is met.
  std::uint32_t next(const BatchingView& view) {
    for (; level_ < levels_.size(); ++level_, at_ = 0, behind_ = false) {
      Level& l = levels_[level_];
      while (!behind_ && at_ < l.fresh.size()) {
        const std::uint32_t place = l.fresh[at_++];
        if (!b_.rules[level_].delays || view.now < limit(view.requests[place])) return place;
        l.back.push_back(place);
        chosen_.moved_back.push_back(place);
      }
      if (!behind_) at_ = 0;
      behind_ = true;
      if (at_ < l.back.size()) return l.back[at_++];
    }
    return none;
  }

  // When its time in the queue is up.
  Instant limit(const WaitingRequest& r) const {
    const QueueRule& rule = b_.rule_of(r);
    Duration timeout = rule.timeout;
    if (rule.may_shorten && r.timeout > Duration::zero() && r.timeout < timeout) timeout = r.timeout;
    return timeout > Duration::zero() ? r.since + timeout : Instant::never();
  }

  // The first `count` in line. Who moved back and is not among them stays there.
  BatchingDecision take(std::size_t count) {
    std::vector<std::uint32_t>& taken = chosen_.taken;
    taken.resize(count);
    std::erase_if(chosen_.moved_back, [&](std::uint32_t place) {
      return std::find(taken.begin(), taken.end(), place) != taken.end();
    });
    return {static_cast<std::uint32_t>(count), Instant::never(), &chosen_};
  }

  DynamicBatcher b_;
  BatchSelection chosen_;
  // Where the walk along the line is.
  std::vector<Level> levels_;
  std::size_t level_ = 0, at_ = 0;
  bool behind_ = false;
};

}  // namespace

std::shared_ptr<BatchingPolicy> dynamic_queues(DynamicBatcher batcher) {
  return std::make_shared<DynamicQueues>(std::move(batcher));
}

}  // namespace isthmus::schedulers
