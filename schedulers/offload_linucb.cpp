// A linear model of the reward per candidate, and optimism where it knows little.
#include <cmath>

#include "schedulers/entry.hpp"
#include "schedulers/offload_features.hpp"
#include "schedulers/offload_learner.hpp"

namespace isthmus::schedulers {

namespace {

class LinUcb final : public OffloadLearner<OffloadFeatures> {
 public:
  explicit LinUcb(const Parameters& p)
      : OffloadLearner("linucb", p), alpha_(p.number("alpha")), ridge_(p.number("ridge")) {
    load_file();
  }

 private:
  using Square = Eigen::Matrix<double, offload_features, offload_features>;
  // (ridge I + sum x x')^-1 and sum r x. The inverse follows each x by Sherman and Morrison.
  struct Arm {
    Square inverse;
    OffloadFeatures rewards = OffloadFeatures::Zero();
  };

  Arm& arm(std::size_t i) {
    while (arms_.size() <= i) {
      arms_.emplace_back();
      arms_.back().inverse = Square::Identity() / ridge_;
    }
    return arms_[i];
  }

  OffloadDecision choose(const OffloadView& view, const std::vector<std::size_t>& among,
                         OffloadFeatures& context) override {
    std::size_t best = among.front();
    double best_bound = -1e300;
    context.setZero();
    for (const std::size_t i : among) {
      const Arm& a = arm(i);
      const OffloadFeatures x = features_of(view, view.candidates[i]);
      const OffloadFeatures ax = a.inverse * x;
      double bound = ax.dot(a.rewards);
      if (learning()) bound += alpha_ * std::sqrt(std::max(0.0, x.dot(ax)));
      if (!(bound > best_bound)) continue;
      best = i;
      best_bound = bound;
      context = x;
    }
    return {best, best_bound, "highest linear upper confidence bound"};
  }

  // The features were those of the chosen candidate; another one's reward says nothing about them.
  void learn(const OffloadOutcome& o, OffloadFeatures& x, bool as_chosen) override {
    if (!as_chosen) return;
    Arm& a = arm(o.candidate);
    const OffloadFeatures ax = a.inverse * x;
    a.inverse -= ax * ax.transpose() / (1 + x.dot(ax));
    a.rewards += o.reward * x;
  }

  void write(LearnedState& state) const override {
    auto& list = state["arms"] = nlohmann::json::array();
    for (const Arm& a : arms_) {
      for (Eigen::Index i = 0; i < a.inverse.size(); ++i) list.push_back(a.inverse.data()[i]);
      for (Eigen::Index i = 0; i < offload_features; ++i) list.push_back(a.rewards[i]);
    }
  }

  void read(const SavedState& state) override {
    constexpr std::size_t per_arm = offload_features * (offload_features + 1);
    const std::vector<double> all = state.numbers("arms");
    if (all.size() % per_arm != 0 || all.size() > per_arm * state.candidates().size())
      state.fail("\"arms\" has not one matrix and one vector per candidate");
    arms_.clear();
    for (std::size_t from = 0; from < all.size(); from += per_arm) {
      Arm a;
      a.inverse = Eigen::Map<const Square>(all.data() + from);
      a.rewards = Eigen::Map<const OffloadFeatures>(all.data() + from + a.inverse.size());
      arms_.push_back(a);
    }
  }

  double alpha_, ridge_;
  std::vector<Arm> arms_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_linucb() {
  return {"linucb",
          "Learns for every candidate a linear model of the reward from what the view says of it, and "
          "takes the one with the highest upper confidence bound.",
          "Li, Chu, Langford, Schapire, WWW 2010 (disjoint models)",
          "rewards are far from linear in the features of schedulers/offload_features.hpp.",
          "O(candidates * features^2)",
          learner_parameters(
              {number_parameter("alpha", Dimension::none, 0.3, 0, 100,
                                "width of the confidence bound; larger explores longer"),
               number_parameter("ridge", Dimension::none, 1, 1e-6, 1e6,
                                "pulls the models to zero; larger for noisy rewards")}),
          make_policy<OffloadPolicy, LinUcb>};
}

}  // namespace isthmus::schedulers
