// A limit on concurrency that rises by one and falls by a factor.
#include <algorithm>

#include "schedulers/admission_policy.hpp"
#include "schedulers/entry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

class Aimd final : public AdmissionPolicy {
 public:
  explicit Aimd(const Parameters& p)
      : limit_(static_cast<std::int64_t>(p.number("initial_limit"))),
        most_(static_cast<std::int64_t>(p.number("max_limit"))),
        backoff_(p.number("backoff")),
        timeout_(Duration::from_seconds(p.number("timeout"))) {
    if (limit_ > most_) throw InputError("aimd: initial_limit exceeds max_limit");
  }
  AdmissionDecision decide(const AdmissionView& v) override {
    if (inside_ >= limit_) return {false, Instant::never(), "at the limit"};
    ++inside_;
    return {true, v.now, "below the limit"};
  }
  void ended(const AdmissionEnd& e) override {
    --inside_;
    if (!e.answered || e.time > timeout_)
      limit_ = std::max<std::int64_t>(
          1, std::min(limit_ - 1,
                      static_cast<std::int64_t>(static_cast<double>(limit_) * backoff_)));
    else if (std::int64_t{e.in_flight} * 2 >= limit_)
      limit_ = std::min(limit_ + 1, most_);
  }

 private:
  std::int64_t limit_, most_, inside_ = 0;
  double backoff_;
  Duration timeout_;
};

}  // namespace

PolicyEntry<AdmissionPolicy> admission_aimd() {
  return {"aimd",
          "A concurrency limit that grows by 1 with every answer while at least half of it is used, "
          "and shrinks by `backoff` with every failure or answer later than `timeout`.",
          "Netflix concurrency-limits, AIMDLimit; Chiu and Jain 1989",
          "nothing fails and the timeout is loose: the limit grows until it no longer limits.",
          "O(1)",
          {number_parameter("initial_limit", Dimension::count, 10, 1, 1e6, "limit at the start"),
           number_parameter("max_limit", Dimension::count, 1e6, 1, 1e9, "largest limit"),
           number_parameter("backoff", Dimension::fraction, 0.9, 0.5, 0.999, "factor of a decrease"),
           number_parameter("timeout", Dimension::duration, 5, 1e-6, 1e6,
                            "an answer that takes longer counts as a failure")},
          &make_policy<AdmissionPolicy, Aimd>};
}

}  // namespace isthmus::schedulers
