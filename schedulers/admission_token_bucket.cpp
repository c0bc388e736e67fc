// A bucket that fills at a constant rate; requests take tokens from it or are early.
#include <algorithm>
#include <cmath>

#include "schedulers/admission_policy.hpp"
#include "schedulers/entry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

// As the generic cell rate algorithm: one date instead of a level that is refilled.
class TokenBucket final : public AdmissionPolicy {
 public:
  explicit TokenBucket(const Parameters& p)
      : ns_per_unit_(1e9 / p.number("rate")),
        burst_(p.number("burst")),
        max_wait_(Duration::from_seconds(p.number("max_wait"))),
        by_tokens_(p.text("unit") == "tokens") {}

  AdmissionDecision decide(const AdmissionView& v) override {
    const double cost = by_tokens_ ? v.tokens : 1;
    if (cost > burst_) return {false, Instant::never(), "larger than the bucket"};
    const auto now = static_cast<double>(v.now.ns());
    // The bucket is full again at full_; it holds `cost` that much earlier. Rounding up to whole
    // nanoseconds never lets a request through early.
    const double date = std::max(now, std::ceil(full_ - (burst_ - cost) * ns_per_unit_));
    if (date > 9e18) return {false, Instant::never(), "no tokens"};
    const Instant at = date > now ? Instant(static_cast<std::int64_t>(date)) : v.now;
    if (at - v.now > max_wait_) return {false, at, "no tokens"};
    full_ = std::max(full_, date) + cost * ns_per_unit_;
    return {true, at, at > v.now ? "waits for tokens" : "tokens"};
  }

 private:
  double ns_per_unit_, burst_;
  Duration max_wait_;
  bool by_tokens_;
  double full_ = 0;  // ns
};

}  // namespace

PolicyEntry<AdmissionPolicy> admission_token_bucket() {
  return {"token-bucket",
          "Admits what a bucket of `burst` tokens that fills at `rate` allows; an early request is "
          "turned away, or paced until its token comes within `max_wait`.",
          "ITU-T I.371 generic cell rate algorithm; nginx limit_req, Envoy local rate limit",
          "requests differ in cost and the unit is requests, or the service has room to spare.",
          "O(1)",
          {number_parameter("rate", Dimension::none, 10, 1e-6, 1e12, "tokens per second"),
           number_parameter("burst", Dimension::none, 10, 1, 1e15, "tokens that a full bucket holds"),
           number_parameter("max_wait", Dimension::duration, 0, 0, 1e9,
                            "longest time for which an early request is held back instead"),
           text_parameter("unit", "requests", {"requests", "tokens"},
                          "what a request takes: one token, or one per prompt and output token")},
          &make_policy<AdmissionPolicy, TokenBucket>};
}

}  // namespace isthmus::schedulers
