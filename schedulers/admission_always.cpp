// Everybody may enter.
#include "schedulers/admission_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {
class Always final : public AdmissionPolicy {
 public:
  AdmissionDecision decide(const AdmissionView& v) override { return {true, v.now, "always"}; }
};
}  // namespace

PolicyEntry<AdmissionPolicy> admission_always() {
  return {"always", "Admits every request at once.", "baseline",
          "the load may exceed the capacity: queues grow without bound.", "O(1)", {},
          &make_policy<AdmissionPolicy, Always>};
}

}  // namespace isthmus::schedulers
