// The best so far, and now and then another one.
#include <limits>

#include "schedulers/bandit_arms.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/offload_learner.hpp"
#include "schedulers/pick.hpp"

namespace isthmus::schedulers {

namespace {

struct Nothing {};

class EpsilonGreedy final : public OffloadLearner<Nothing> {
 public:
  explicit EpsilonGreedy(const Parameters& p)
      : OffloadLearner("epsilon-greedy", p), epsilon_(p.number("epsilon")), arms_(p.number("discount")) {
    load_file();
  }

 private:
  OffloadDecision choose(const OffloadView& view, const std::vector<std::size_t>& among,
                         Nothing&) override {
    arms_.resize(view.candidates.size());
    Rng g = draws_of(view);
    if (learning() && uniform01(g) < epsilon_) {
      const std::size_t i = among[pick_uniform(uniform01(g), among.size())];
      arms_.play(i);
      return {i, arms_[i].mean(0), "explores"};
    }
    std::size_t best = among.front();
    double best_mean = -1;
    for (const std::size_t i : among) {
      const BanditArms::Arm& a = arms_[i];
      const double mean = learning() && a.played == 0 ? std::numeric_limits<double>::max() : a.mean(0);
      if (mean > best_mean) best = i, best_mean = mean;
    }
    if (learning()) arms_.play(best);
    return {best, best_mean, "highest mean reward so far"};
  }
  void learn(const OffloadOutcome& o, Nothing&, bool) override { arms_.reward(o.candidate, o.reward); }
  void write(LearnedState& state) const override { arms_.write(state); }
  void read(const SavedState& state) override { arms_.read(state); }

  double epsilon_;
  BanditArms arms_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_epsilon_greedy() {
  return {"epsilon-greedy",
          "Takes the candidate with the best mean reward so far, and with probability epsilon any "
          "healthy one.",
          "Sutton, Barto, Reinforcement Learning, 2nd ed. 2018, section 2.2",
          "exploring is dear: it goes on for ever at the same rate, bad candidates included.",
          "O(candidates)",
          learner_parameters(
              {number_parameter("epsilon", Dimension::fraction, 0.05, 0, 1, "share that explores"),
               number_parameter("discount", Dimension::fraction, 0.999, 0.5, 1,
                                "what old decisions still count after one more; 1 where conditions do "
                                "not change")}),
          make_policy<OffloadPolicy, EpsilonGreedy>};
}

}  // namespace isthmus::schedulers
