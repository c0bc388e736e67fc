// A faster variant while an alert of a service level is active.
#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/variant_policy.hpp"

namespace isthmus::schedulers {

namespace {

class AlertDegrade final : public VariantPolicy {
 public:
  explicit AlertDegrade(const Parameters& p) : floor_(p.number("accuracy_floor")) {}

  VariantDecision choose(const VariantView& v) override {
    std::size_t fastest = v.options.size();
    for (std::size_t i = 0; i < v.options.size() && v.alerts > 0; ++i)
      if (v.options[i].accuracy >= floor_ &&
          (fastest == v.options.size() || v.options[i].service < v.options[fastest].service))
        fastest = i;
    if (fastest < v.options.size()) return {fastest, "alert: fastest above the floor"};
    return {least(v.options, [](const VariantOption& o) { return -o.accuracy; }), "most accurate"};
  }

 private:
  double floor_;
};

}  // namespace

PolicyEntry<VariantPolicy> variant_alert_degrade() {
  return {"alert-degrade",
          "The most accurate variant; while an alert of a service level about the service is active, the fastest "
          "one that is accurate enough.",
          "graceful degradation, Google SRE Book chapter 22",
          "alerts flap: accuracy goes up and down with them.",
          "O(variants)",
          {number_parameter("accuracy_floor", Dimension::fraction, 0, 0, 1,
                            "accuracy below which a variant is not taken")},
          &make_policy<VariantPolicy, AlertDegrade>};
}

}  // namespace isthmus::schedulers
