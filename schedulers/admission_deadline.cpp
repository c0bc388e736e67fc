// No work for answers that would come too late.
#include <algorithm>

#include "schedulers/admission_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

class InTime final : public AdmissionPolicy {
 public:
  explicit InTime(const Parameters& p) : margin_(p.number("margin")) {}
  AdmissionDecision decide(const AdmissionView& v) override {
    if (v.deadline.is_never()) return {true, v.now, "no deadline"};
    // Whoever is in service is half done on average; a free slot takes it at once.
    const double slots = std::max(v.slots, 1.0);
    const double ahead = v.running < slots ? 0 : (v.waiting + 0.5 * v.running) / slots;
    const double seconds = (ahead + 1) * v.service.seconds() * (1 + margin_);
    const bool in_time = seconds <= (v.deadline - v.now).seconds();
    if (in_time) return {true, v.now, "in time"};
    return {false, Instant::never(), "would be late"};
  }
  bool wants_estimates() const override { return true; }

 private:
  double margin_;
};

}  // namespace

PolicyEntry<AdmissionPolicy> admission_deadline() {
  return {"deadline",
          "Turns a request away when queue and service are estimated to take longer than its deadline "
          "or the latency objective leaves.",
          "early drop as in Clockwork (Gujarati et al., OSDI 2020) and Nexus (Shen et al., SOSP 2019)",
          "service times are hard to estimate, or a late answer is better than none.",
          "O(1)",
          {number_parameter("margin", Dimension::fraction, 0, -0.9, 10,
                            "added to the estimated time")},
          &make_policy<AdmissionPolicy, InTime>};
}

}  // namespace isthmus::schedulers
