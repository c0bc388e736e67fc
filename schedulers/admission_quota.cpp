// So much per window of time.
#include <algorithm>
#include <cmath>
#include <deque>

#include "schedulers/admission_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

class Quota final : public AdmissionPolicy {
 public:
  explicit Quota(const Parameters& p)
      : amount_(p.number("amount")),
        window_(Duration::from_seconds(p.number("window"))),
        max_wait_(Duration::from_seconds(p.number("max_wait"))),
        sliding_(p.text("kind") == "sliding"),
        by_tokens_(p.text("unit") == "tokens") {}

  AdmissionDecision decide(const AdmissionView& v) override {
    const double cost = by_tokens_ ? v.tokens : 1;
    if (cost > amount_) return {false, Instant::never(), "larger than the quota"};
    const Instant at = sliding_ ? in_sliding(v.now, cost) : in_fixed(v.now, cost);
    if (at - v.now > max_wait_) return {false, at, "quota used up"};
    if (sliding_) {
      taken_.push_back({at, cost});
    } else {
      const std::int64_t window = at.ns() / window_.ns();
      used_ = window == current_ ? used_ + cost : cost;
      current_ = window;
    }
    return {true, at, at > v.now ? "waits for the quota" : "within the quota"};
  }

 private:
  struct Taken {
    Instant at;
    double cost;
  };

  // Windows begin at multiples of their length. Those held back may have booked a later one already.
  Instant in_fixed(Instant now, double cost) {
    const std::int64_t window = std::max(now.ns() / window_.ns(), current_);
    const double used = window == current_ ? used_ : 0;
    if (used + cost <= amount_) return std::max(now, Instant(window * window_.ns()));
    return Instant::zero() + window_ * (window + 1);
  }

  // The first date from which on the window behind it has room.
  Instant in_sliding(Instant now, double cost) {
    while (!taken_.empty() && taken_.front().at + window_ <= now) taken_.pop_front();
    double left = -amount_ + cost;
    for (const Taken& t : taken_) left += t.cost;
    Instant at = taken_.empty() ? now : std::max(now, taken_.back().at);
    for (auto t = taken_.begin(); left > amount_ * 1e-12 && t != taken_.end(); ++t) {
      left -= t->cost;
      at = std::max(at, t->at + window_);
    }
    return at;
  }

  double amount_;
  Duration window_, max_wait_;
  bool sliding_, by_tokens_;
  std::int64_t current_ = 0;   // fixed: newest window that was used
  double used_ = 0;            // of it
  std::deque<Taken> taken_;    // sliding: within the window, by date
};

}  // namespace

PolicyEntry<AdmissionPolicy> admission_quota() {
  return {"quota",
          "Admits up to `amount` per `window`: windows that begin at multiples of their length, or "
          "the window that ends now.",
          "fixed window and sliding log of API gateways (Kong, Cloudflare rate limiting)",
          "the window is fixed and twice the amount around its border hurts, or it is long and the "
          "amount comes at once.",
          "O(1); sliding: O(requests in a window)",
          {number_parameter("amount", Dimension::none, 100, 1, 1e15, "requests or tokens per window"),
           number_parameter("window", Dimension::duration, 60, 1e-3, 1e8, "length of the window"),
           text_parameter("kind", "fixed", {"fixed", "sliding"}, "which windows"),
           number_parameter("max_wait", Dimension::duration, 0, 0, 1e9,
                            "longest time for which an early request is held back instead of "
                            "turned away"),
           text_parameter("unit", "requests", {"requests", "tokens"},
                          "what is counted: requests, or prompt and output tokens")},
          &make_policy<AdmissionPolicy, Quota>};
}

}  // namespace isthmus::schedulers
