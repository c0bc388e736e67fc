// Optimism in the face of uncertainty: the arm that could be best.
#include <cmath>
#include <limits>

#include "schedulers/bandit_arms.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/offload_learner.hpp"

namespace isthmus::schedulers {

namespace {

struct Nothing {};

class Ucb1 final : public OffloadLearner<Nothing> {
 public:
  explicit Ucb1(const Parameters& p)
      : OffloadLearner("ucb1", p), exploration_(p.number("exploration")), arms_(p.number("discount")) {
    load_file();
  }

 private:
  OffloadDecision choose(const OffloadView& view, const std::vector<std::size_t>& among,
                         Nothing&) override {
    arms_.resize(view.candidates.size());
    const double all = std::max(1.0, arms_.played());
    std::size_t best = among.front();
    double best_index = -1;
    for (const std::size_t i : among) {
      const BanditArms::Arm& a = arms_[i];
      double index = a.mean(learning() ? 1 : 0);
      if (learning() && a.played == 0) index = std::numeric_limits<double>::max();
      else if (learning()) index += exploration_ * std::sqrt(2 * std::log(all) / a.played);
      if (index > best_index) best = i, best_index = index;
    }
    if (learning()) arms_.play(best);
    return {best, best_index, "highest upper confidence bound"};
  }
  void learn(const OffloadOutcome& o, Nothing&, bool) override { arms_.reward(o.candidate, o.reward); }
  void write(LearnedState& state) const override { arms_.write(state); }
  void read(const SavedState& state) override { arms_.read(state); }

  double exploration_;
  BanditArms arms_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_ucb1() {
  return {"ucb1",
          "Learns the mean reward of every candidate and takes the one with the highest mean + "
          "exploration * sqrt(2 ln(all decisions) / decisions for it).",
          "Auer, Cesa-Bianchi, Fischer, Machine Learning 47, 2002; with a discount: Garivier, Moulines, "
          "ALT 2011",
          "the best candidate changes with every request: it knows one mean per candidate, whatever the "
          "view says.",
          "O(candidates)",
          learner_parameters(
              {number_parameter("exploration", Dimension::none, 0.3, 0, 100,
                                "1 is the published bound for rewards all over [0, 1]; less where they "
                                "vary less"),
               number_parameter("discount", Dimension::fraction, 1, 0.5, 1,
                                "what old decisions still count after one more; below 1 where "
                                "conditions change")}),
          make_policy<OffloadPolicy, Ucb1>};
}

}  // namespace isthmus::schedulers
