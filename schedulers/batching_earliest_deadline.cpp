// Earliest deadline first, in batches no larger than that deadline allows.
#include <algorithm>
#include <utility>
#include <vector>

#include "schedulers/batching_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

class EarliestDeadline final : public BatchingPolicy {
 public:
  explicit EarliestDeadline(const Parameters& p)
      : most_(static_cast<std::uint32_t>(p.number("max_batch"))),
        least_(static_cast<std::uint32_t>(p.number("least_batch"))),
        slo_(Duration::from_seconds(p.number("slo"))),
        slack_(Duration::from_seconds(p.number("slack"))),
        drops_(p.text("late") == "drop"),
        holds_(p.text("start") == "last-moment") {}

  bool wants_requests() const override { return true; }
  bool wants_batch_time() const override { return true; }

  BatchingDecision decide(const BatchingView& view) override {
    chosen_.taken.clear();
    chosen_.dropped.clear();
    line_.clear();
    late_.clear();
    const Instant alone = view.now + time(view, 1);
    for (std::uint32_t i = 0; i < view.requests.size(); ++i) {
      const Instant due = due_of(view.requests[i]);
      if (alone <= due) line_.emplace_back(due, i);
      else (drops_ ? chosen_.dropped : late_).push_back(i);
    }
    if (line_.empty()) {  // only the late, as they came
      late_.resize(std::min<std::size_t>(late_.size(), most_));
      chosen_.taken = late_;
      return decision(Instant::never());
    }
    std::sort(line_.begin(), line_.end());

    // Whose deadline allows but a small batch gives way to larger ones.
    std::size_t first = 0;
    std::uint32_t size = fitting(view, 0);
    for (; drops_ && size < std::min<std::size_t>(least_, line_.size() - first);
         size = fitting(view, first))
      chosen_.dropped.push_back(line_[first++].second);

    if (holds_ && size < most_ && size == line_.size() - first) {
      const Duration larger = time(view, size + 1);
      const Instant latest = line_[first].first.is_never() ? view.now : line_[first].first - larger;
      if (latest > view.now) return decision(latest);
    }
    for (std::size_t i = first; i < first + size; ++i) chosen_.taken.push_back(line_[i].second);
    return decision(Instant::never());
  }

 private:
  BatchingDecision decision(Instant look_again) const {
    return {static_cast<std::uint32_t>(chosen_.taken.size()), look_again, &chosen_};
  }

  Instant due_of(const WaitingRequest& r) const {
    return slo_ > Duration::zero() ? std::min(r.due, r.since + slo_) : r.due;
  }

  // Of a batch, with the slack.
  Duration time(const BatchingView& view, std::uint32_t size) {
    while (times_.size() < size)
      times_.push_back(view.batch_time
                           ? (*view.batch_time)(static_cast<std::uint32_t>(times_.size() + 1))
                           : Duration::zero());
    return times_[size - 1] + slack_;
  }

  // The largest batch from place `first` in line that meets the deadline there; at least 1.
  std::uint32_t fitting(const BatchingView& view, std::size_t first) {
    auto size = static_cast<std::uint32_t>(std::min<std::size_t>(most_, line_.size() - first));
    while (size > 1 && view.now + time(view, size) > line_[first].first) --size;
    return size;
  }

  std::uint32_t most_, least_;
  Duration slo_, slack_;
  bool drops_, holds_;
  std::vector<Duration> times_;  // by size - 1
  BatchSelection chosen_;
  std::vector<std::pair<Instant, std::uint32_t>> line_;  // deadlines and places of those in time
  std::vector<std::uint32_t> late_;
};

}  // namespace

PolicyEntry<BatchingPolicy> batching_earliest_deadline() {
  return {"earliest-deadline",
          "Serves earliest deadlines first, in the largest batch that still meets the first of them by "
          "the cost model; who cannot be in time any more is turned away or served last.",
          "Gujarati et al., Clockwork, OSDI 2020 (deadlines against predicted times); Shen et al., Nexus, "
          "SOSP 2019, section 6.3 (early drop: least_batch)",
          "the cost model is far off, or deadlines leave out the way back to the client.",
          "O(waiting log waiting)",
          {number_parameter("max_batch", Dimension::count, 32, 1, 4096, "largest batch"),
           number_parameter("slo", Dimension::duration, 0, 0, 3600,
                            "deadline after joining the queue; 0: the request's own alone (the latency "
                            "objective or its `deadline`, from its creation)"),
           number_parameter("slack", Dimension::duration, 0, 0, 3600,
                            "kept between the predicted end and the deadline: errors of the model, the "
                            "way back"),
           text_parameter("late", "drop", {"drop", "last"},
                          "requests that cannot be in time: turned away, or served when no other waits"),
           text_parameter("start", "at-once", {"at-once", "last-moment"},
                          "last-moment: waits for larger batches as long as the earliest deadline allows"),
           number_parameter("least_batch", Dimension::count, 1, 1, 4096,
                            "with drop: a request that allows but smaller batches is turned away while "
                            "more wait")},
          make_policy<BatchingPolicy, EarliestDeadline>};
}

}  // namespace isthmus::schedulers
