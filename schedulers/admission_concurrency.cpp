// At most so many requests inside at once.
#include "schedulers/admission_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {
class Concurrency final : public AdmissionPolicy {
 public:
  explicit Concurrency(const Parameters& p) : limit_(p.number("limit")) {}
  AdmissionDecision decide(const AdmissionView& v) override {
    if (inside_ >= limit_) return {false, Instant::never(), "too many inside"};
    ++inside_;
    return {true, v.now, "below the limit"};
  }
  void ended(const AdmissionEnd&) override { --inside_; }

 private:
  double limit_, inside_ = 0;
};
}  // namespace

PolicyEntry<AdmissionPolicy> admission_concurrency() {
  return {"concurrency",
          "Admits a request while fewer than `limit` admitted ones have not left the service, "
          "queued ones included.",
          "Little's law: concurrency = rate x time; bulkheads (Nygard, Release It!)",
          "service times change: the right limit changes with them.",
          "O(1)",
          {number_parameter("limit", Dimension::count, 16, 0, 1e9, "requests inside at once")},
          &make_policy<AdmissionPolicy, Concurrency>};
}

}  // namespace isthmus::schedulers
