// A small network that learns which candidates to prefer, by REINFORCE.
#include <cmath>

#include "schedulers/entry.hpp"
#include "schedulers/offload_features.hpp"
#include "schedulers/offload_learner.hpp"
#include "schedulers/softmax_network.hpp"

namespace isthmus::schedulers {

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// Features of a candidate, and of which tier it is.
constexpr Index inputs = offload_features + 3;

struct Step {
  MatrixXd items;  // a column per candidate that could be chosen
  Index chosen = 0;
};

class PolicyGradient final : public OffloadLearner<Step> {
 public:
  explicit PolicyGradient(const Parameters& p)
      : OffloadLearner("policy-gradient", p),
        network_(inputs, static_cast<Index>(p.number("hidden")),
                 static_cast<std::uint64_t>(p.number("seed"))),
        rate_(p.number("rate")),
        entropy_(p.number("entropy")),
        batch_(p.number("batch")),
        baseline_(VectorXd::Zero(inputs)),
        sum_(VectorXd::Zero(network_.weights().size())),
        first_(sum_),
        second_(sum_) {
    load_file();
  }

 private:
  OffloadDecision choose(const OffloadView& view, const std::vector<std::size_t>& among,
                         Step& step) override {
    step.items = MatrixXd::Zero(inputs, static_cast<Index>(among.size()));
    for (Index k = 0; k < step.items.cols(); ++k) {
      const OffloadCandidate& c = view.candidates[among[static_cast<std::size_t>(k)]];
      step.items.col(k).head(offload_features) = features_of(view, c);
      step.items(offload_features + static_cast<Index>(c.tier), k) = 1;
    }
    const VectorXd p = network_.probabilities(step.items);
    if (learning()) {
      Rng g = draws_of(view);
      double left = uniform01(g);
      while (step.chosen + 1 < p.size() && (left -= p[step.chosen]) >= 0) ++step.chosen;
    } else {
      p.maxCoeff(&step.chosen);
    }
    return {among[static_cast<std::size_t>(step.chosen)], p[step.chosen],
            learning() ? "drawn with its probability" : "most probable"};
  }

  // REINFORCE with a linear baseline of the mean features; steps by Adam, once per batch.
  void learn(const OffloadOutcome& o, Step& step, bool as_chosen) override {
    if (!as_chosen) return;  // somebody else chose
    const VectorXd mean = step.items.rowwise().mean();
    const double surprise = o.reward - baseline_.dot(mean);
    baseline_ += 0.02 * surprise * mean / (1 + mean.squaredNorm());
    // The gradient is linear in its part about the choice: surprise weighs that, not the entropy.
    const VectorXd choice = network_.gradient(step.items, step.chosen, 0);
    sum_ += surprise * choice;
    if (entropy_ > 0) sum_ += network_.gradient(step.items, step.chosen, entropy_) - choice;
    if (++in_batch_ < batch_) return;
    ++steps_;
    sum_ /= in_batch_;
    first_ = 0.9 * first_ + 0.1 * sum_;
    second_ = 0.999 * second_ + 0.001 * sum_.cwiseProduct(sum_);
    const double c1 = 1 - std::pow(0.9, steps_), c2 = 1 - std::pow(0.999, steps_);
    for (Index i = 0; i < sum_.size(); ++i)
      network_.weights()[i] += rate_ * (first_[i] / c1) / (std::sqrt(second_[i] / c2) + 1e-8);
    sum_.setZero();
    in_batch_ = 0;
  }

  static void put(LearnedState& state, const char* name, const VectorXd& v) {
    state[name] = std::vector<double>(v.data(), v.data() + v.size());
  }
  static void get(const SavedState& state, const char* name, VectorXd& v) {
    const auto list = state.numbers(name, static_cast<std::size_t>(v.size()));
    v = Eigen::Map<const VectorXd>(list.data(), v.size());
  }
  void write(LearnedState& state) const override {
    put(state, "weights", network_.weights());
    put(state, "baseline", baseline_);
    put(state, "sum", sum_);
    put(state, "first", first_);
    put(state, "second", second_);
    state["in_batch"] = in_batch_;
    state["steps"] = steps_;
  }
  void read(const SavedState& state) override {
    get(state, "weights", network_.weights());
    get(state, "baseline", baseline_);
    get(state, "sum", sum_);
    get(state, "first", first_);
    get(state, "second", second_);
    in_batch_ = state.number("in_batch");
    steps_ = state.number("steps");
    if (second_.size() > 0 && second_.minCoeff() < 0) state.fail("\"second\" has a negative number");
    if (in_batch_ < 0 || steps_ < 0) state.fail("\"in_batch\" and \"steps\" cannot be negative");
  }

  SoftmaxNetwork network_;
  double rate_, entropy_, batch_;
  VectorXd baseline_, sum_, first_, second_;
  double in_batch_ = 0, steps_ = 0;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_policy_gradient() {
  return {"policy-gradient",
          "A network with one hidden layer rates every candidate by what the view says of it; "
          "candidates are drawn by the softmax of the ratings, and rewards move the weights "
          "(REINFORCE with a baseline).",
          "Williams, Machine Learning 8, 1992; steps by Adam (Kingma, Ba, ICLR 2015)",
          "there is no time to train: it needs tens of thousands of decisions.",
          "O(candidates * hidden)",
          learner_parameters(
              {number_parameter("hidden", Dimension::count, 16, 1, 1024, "units of the hidden layer"),
               number_parameter("rate", Dimension::none, 0.01, 0, 10, "of learning"),
               number_parameter("entropy", Dimension::none, 0.002, 0, 100,
                                "reward for staying undecided; larger explores longer"),
               number_parameter("batch", Dimension::count, 16, 1, 1e6, "rewards per step"),
               number_parameter("seed", Dimension::count, 1, 0, 1e15, "of the first weights")}),
          make_policy<OffloadPolicy, PolicyGradient>};
}

}  // namespace isthmus::schedulers
