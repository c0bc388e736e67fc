// Every candidate is taken as often as it is likely to be the best one.
#include <algorithm>
#include <cmath>

#include "schedulers/bandit_arms.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/offload_learner.hpp"

namespace isthmus::schedulers {

namespace {

struct Nothing {};

class Thompson final : public OffloadLearner<Nothing> {
 public:
  explicit Thompson(const Parameters& p)
      : OffloadLearner("thompson", p),
        beta_(p.text("posterior") == "beta"),
        deviation_(p.number("deviation")),
        arms_(p.number("discount")) {
    load_file();
  }

 private:
  OffloadDecision choose(const OffloadView& view, const std::vector<std::size_t>& among,
                         Nothing&) override {
    arms_.resize(view.candidates.size());
    Rng g = draws_of(view);
    std::size_t best = among.front();
    double best_draw = -1e300;
    for (const std::size_t i : among) {
      const double draw = learning() ? sample(g, arms_[i]) : arms_[i].mean(0);
      if (draw > best_draw) best = i, best_draw = draw;
    }
    if (learning()) arms_.play(best);
    return {best, best_draw, "best draw from the posterior"};
  }

  double sample(Rng& g, const BanditArms::Arm& a) const {
    if (!beta_) return a.mean(0.5) + deviation_ / std::sqrt(a.observed + 1) * sample_normal(g);
    // Rewards between 0 and 1 count as that part of a success.
    const double won = std::max(0.0, a.sum), lost = std::max(0.0, a.observed - a.sum);
    const double x = sample_gamma(g, 1 + won, 1), y = sample_gamma(g, 1 + lost, 1);
    return x + y > 0 ? x / (x + y) : 0.5;
  }

  void learn(const OffloadOutcome& o, Nothing&, bool) override { arms_.reward(o.candidate, o.reward); }
  void write(LearnedState& state) const override { arms_.write(state); }
  void read(const SavedState& state) override { arms_.read(state); }

  bool beta_;
  double deviation_;
  BanditArms arms_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_thompson() {
  return {"thompson",
          "Draws a mean reward for every candidate from what it knows of it, and takes the candidate "
          "with the best draw.",
          "Thompson, Biometrika 25, 1933; Agrawal, Goyal, AISTATS 2013",
          "the best candidate changes with every request: it knows one mean per candidate, whatever the "
          "view says.",
          "O(candidates)",
          learner_parameters(
              {text_parameter("posterior", "gaussian", {"gaussian", "beta"},
                              "gaussian: normal with the deviation below over sqrt(n + 1); beta: "
                              "rewards as parts of a success"),
               number_parameter("deviation", Dimension::none, 0.2, 0, 100,
                                "of one reward, for gaussian; larger explores longer"),
               number_parameter("discount", Dimension::fraction, 1, 0.5, 1,
                                "what old decisions still count after one more; below 1 where "
                                "conditions change")}),
          make_policy<OffloadPolicy, Thompson>};
}

}  // namespace isthmus::schedulers
