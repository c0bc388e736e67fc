// A weighted sum of speed, free capacity and accuracy.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class MultiCriteria final : public OffloadPolicy {
 public:
  explicit MultiCriteria(const Parameters& p)
      : latency_(p.number("latency_weight")),
        load_(p.number("load_weight")),
        accuracy_(p.number("accuracy_weight")),
        base_(p.number("base_accuracy")) {}

  OffloadDecision decide(const OffloadView& view) override {
    const auto score = [&](const OffloadCandidate& c) {
      return latency_ / (estimated_latency(c) + 1) + load_ * (1 - c.load) +
             accuracy_ * (c.accuracy - base_);
    };
    const std::size_t i = smallest(view, [&](const OffloadCandidate& c) { return -score(c); });
    return {i, score(view.candidates[i]), "highest score"};
  }

 private:
  double latency_, load_, accuracy_, base_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_multi_criteria() {
  return {"multi-criteria",
          "Takes the candidate with the highest latency_weight / (latency in s + 1) + load_weight "
          "(1 - load) + accuracy_weight (accuracy - base_accuracy).",
          "reference case R25",
          "latencies are far below a second: 1 / (latency + 1) hardly tells 45 from 200 ms, and load and "
          "accuracy decide alone.",
          "O(candidates)",
          {number_parameter("latency_weight", Dimension::none, 0.4, 0, 1000, "of the first term"),
           number_parameter("load_weight", Dimension::none, 0.3, 0, 1000, "of free capacity"),
           number_parameter("accuracy_weight", Dimension::none, 0.3, 0, 1000, "of accuracy"),
           number_parameter("base_accuracy", Dimension::fraction, 0, 0, 1,
                            "accuracy that is worth nothing; moves all scores alike")},
          make_policy<OffloadPolicy, MultiCriteria>};
}

}  // namespace isthmus::schedulers
