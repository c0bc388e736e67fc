// The least important requests are turned away first.
#include <algorithm>

#include "schedulers/admission_policy.hpp"
#include "schedulers/entry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

class Shed final : public AdmissionPolicy {
 public:
  explicit Shed(const Parameters& p) : thresholds_(p.list("thresholds")) {
    if (thresholds_.empty()) thresholds_ = {1, 2, 4, 8};
    if (!std::is_sorted(thresholds_.begin(), thresholds_.end()))
      throw InputError("shed: thresholds must not decrease: larger priorities are turned away later");
  }
  AdmissionDecision decide(const AdmissionView& v) override {
    const auto rank = std::clamp<std::int64_t>(v.priority, 0, std::ssize(thresholds_) - 1);
    const double load = (v.waiting + v.running) / std::max(v.slots, 1.0);
    if (load >= thresholds_[static_cast<std::size_t>(rank)])
      return {false, Instant::never(), "load is too high for its priority"};
    return {true, v.now, "load allows it"};
  }

 private:
  std::vector<double> thresholds_;
};

}  // namespace

PolicyEntry<AdmissionPolicy> admission_shed() {
  return {"shed",
          "Turns a request away while waiting and running requests per slot have reached the threshold "
          "of its priority.",
          "load shedding by criticality: Google SRE book, chapter 21; Zhou et al. (DAGOR), SoCC 2018",
          "everything has the same priority, or important requests alone are too many.",
          "O(1)",
          {list_parameter("thresholds", Dimension::none, 0, 1e9,
                          "requests per slot for priority 0, 1, 2 ... (smaller and larger ones: the "
                          "first, the last); 1, 2, 4, 8 if none are given")},
          &make_policy<AdmissionPolicy, Shed>};
}

}  // namespace isthmus::schedulers
