// A smaller variant for tenants over their quota and for low classes, while others keep the full one.
#include <string>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/variant_policy.hpp"

namespace isthmus::schedulers {

namespace {

class ClassDegrade final : public VariantPolicy {
 public:
  explicit ClassDegrade(const Parameters& p)
      : keep_(p.number("keep_priority")),
        queue_(p.number("queue")),
        wait_(p.number("wait")),
        floor_(p.number("accuracy_floor")),
        always_(p.text("over_quota") == "always") {}

  VariantDecision choose(const VariantView& v) override {
    const std::size_t full = least(v.options, [](const VariantOption& o) { return -o.accuracy; });
    const bool overloaded = over_limit(v, v.options[full].service);
    if (v.over_quota && (always_ || overloaded)) return {smaller(v, full), "over its quota"};
    if (overloaded && v.priority < keep_) return {smaller(v, full), "queue is long, class is low"};
    return {full, overloaded ? "class keeps the full variant" : "within limits"};
  }

 private:
  // Too many wait, or the last of them would wait too long for full answers.
  bool over_limit(const VariantView& v, Duration full) const {
    const double rounds = static_cast<double>(v.waiting) / v.slots;
    return (queue_ > 0 && rounds >= queue_) || (wait_ > 0 && rounds * full.seconds() >= wait_);
  }
  // The fastest that is accurate enough.
  std::size_t smaller(const VariantView& v, std::size_t full) const {
    std::size_t best = full;
    for (std::size_t i = 0; i < v.options.size(); ++i)
      if (v.options[i].accuracy >= floor_ && v.options[i].service < v.options[best].service) best = i;
    return best;
  }

  double keep_, queue_, wait_, floor_;
  bool always_;
};

}  // namespace

PolicyEntry<VariantPolicy> variant_class_degrade() {
  return {"class-degrade",
          "The most accurate variant; while too many requests wait, the fastest one that is accurate enough for "
          "requests below a priority, and for those that a rule of admission with `\"otherwise\": \"degrade\"` let in "
          "over their quota.",
          "graceful degradation by criticality, Google SRE Book chapters 21 and 22",
          "the smaller variant is hardly faster, or most requests are of a class that keeps the full one.",
          "O(variants)",
          {number_parameter("keep_priority", Dimension::none, 1, -1e6, 1e6,
                            "requests of at least this priority keep the full variant, unless over their quota"),
           number_parameter("queue", Dimension::count, 4, 0, 1e9,
                            "waiting requests per slot from which the service is over its limit; 0 = not by them"),
           number_parameter("wait", Dimension::duration, 0, 0, 1e9,
                            "estimated wait (full variant) from which it is; 0 = not by it"),
           text_parameter("over_quota", "overload", {"overload", "always"},
                          "when requests over their quota get the smaller variant: over the limit only, or always"),
           number_parameter("accuracy_floor", Dimension::fraction, 0, 0, 1,
                            "accuracy below which a variant is not taken")},
          &make_policy<VariantPolicy, ClassDegrade>};
}

}  // namespace isthmus::schedulers
