// Controlled delay: requests are turned away while the queue has had no short wait for an interval.
#include <cmath>

#include "schedulers/admission_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

// RFC 8289, with the next request that comes in place of the packet at the head of the queue.
class CoDel final : public AdmissionPolicy {
 public:
  explicit CoDel(const Parameters& p)
      : target_(Duration::from_seconds(p.number("target"))),
        interval_(Duration::from_seconds(p.number("interval"))),
        spared_(p.number("spare_priority")) {}

  void started(Instant now, Duration waited) override {
    if (waited < target_) {
      first_above_ = Instant::never();
      if (dropping_) dropping_ = false;
      return;
    }
    if (first_above_.is_never()) first_above_ = now + interval_;
    else if (!dropping_ && now >= first_above_) begin(now);
  }

  AdmissionDecision decide(const AdmissionView& v) override {
    if (v.waiting <= 0 && v.running < v.slots) {  // nobody would wait: no wait can show it
      dropping_ = false;
      first_above_ = Instant::never();
    }
    if (!dropping_ || v.now < next_ || v.priority >= spared_) return {true, v.now, "not dropping"};
    ++count_;
    next_ = after(first_ ? v.now : next_);
    first_ = false;
    return {false, Instant::never(), "standing queue"};
  }

 private:
  // The rate of dropping starts from where it was, if that was not long ago.
  void begin(Instant now) {
    dropping_ = first_ = true;
    const std::int64_t delta = count_ - last_count_;
    last_count_ = delta > 1 && now - next_ < interval_ * 16 ? delta : 1;
    count_ = last_count_ - 1;
    next_ = now;
  }
  Instant after(Instant t) const {
    return t + Duration::from_seconds(interval_.seconds() / std::sqrt(static_cast<double>(count_)));
  }

  Duration target_, interval_;
  double spared_;
  bool dropping_ = false, first_ = false;
  Instant first_above_ = Instant::never(), next_;
  std::int64_t count_ = 0, last_count_ = 0;
};

}  // namespace

PolicyEntry<AdmissionPolicy> admission_codel() {
  return {"codel",
          "Once all waits of an `interval` were `target` or longer, turns requests away at intervals "
          "that shrink with the square root of their number, until a short wait.",
          "RFC 8289 (Nichols, Jacobson 2018), at the front of the service instead of the queue's head",
          "the load is far above the capacity: the law turns away few at first.",
          "O(1)",
          {number_parameter("target", Dimension::duration, 0.005, 1e-9, 1e6, "wait that may stand"),
           number_parameter("interval", Dimension::duration, 0.1, 1e-6, 1e6,
                            "over which the shortest wait is looked at"),
           number_parameter("spare_priority", Dimension::none, 1e9, -1e6, 1e9,
                            "requests of this priority or a larger one are never turned away")},
          &make_policy<AdmissionPolicy, CoDel>};
}

}  // namespace isthmus::schedulers
