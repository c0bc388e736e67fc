// Computing time on the device against transfer time, from ratios alone.
#include "schedulers/entry.hpp"
#include "schedulers/offload_cost_ratios.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class CostRatio final : public OffloadPolicy {
 public:
  explicit CostRatio(const Parameters& p)
      : flop_per_bit_(p.number("flop_per_bit")), sla_(p.number("sla")) {}

  OffloadDecision decide(const OffloadView& view) override {
    const auto local = local_candidate(view);
    const auto cloud = cloud_candidate(view);
    if (!local) return {cloud.value_or(0), 0, "no local candidate"};
    if (!cloud) return {*local, 0, "no cloud candidate"};
    const OffloadCandidate& far = view.candidates[*cloud];
    const double here = compute_ratio(view.candidates[*local]);
    const double there = transfer_ratio(view, far, far.nominal_uplink, flop_per_bit_);
    const double sla = sla_ > 0 ? sla_ : view.slo.seconds();
    if (sla > 0 && here <= sla) return {*local, here, "the device meets the sla"};
    if (there < here) return {*cloud, there, "transfer ratio below compute ratio"};
    return {*local, here, "compute ratio at most the transfer ratio"};
  }

 private:
  double flop_per_bit_, sla_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_cost_ratio() {
  return {"cost-ratio",
          "Stays local when model_flops / device_flops meets the SLA, else goes where the ratio is "
          "smaller: that one, or model_flops / (bandwidth * flop_per_bit) of the cloud with its nominal "
          "bandwidth.",
          "reference case R15, static variant",
          "bandwidth or queues vary: it sees neither.",
          "O(candidates)",
          {number_parameter("flop_per_bit", Dimension::none, 10, 1e-6, 1e15,
                            "operations that stand for one bit of transfer; the source gives 10"),
           number_parameter("sla", Dimension::duration, 0, 0, 86400,
                            "latency that is good enough on the device; 0 = the scenario's first "
                            "objective")},
          make_policy<OffloadPolicy, CostRatio>};
}

}  // namespace isthmus::schedulers
