// Q-learning over a coarse picture of the view.
#include <algorithm>
#include <cmath>
#include <optional>

#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"
#include "schedulers/offload_features.hpp"
#include "schedulers/offload_learner.hpp"
#include "schedulers/pick.hpp"
#include "schedulers/q_table.hpp"

namespace isthmus::schedulers {

namespace {

// A decision waits for two things: its reward, and the state that the next decision found.
struct Step {
  std::uint64_t state = 0, number = 0;
};

class QLearning final : public OffloadLearner<Step> {
 public:
  explicit QLearning(const Parameters& p)
      : OffloadLearner("q-learning", p),
        bins_(static_cast<std::uint64_t>(p.number("bins"))),
        discounted_(p.number("discount") > 0),
        epsilon_(p.number("epsilon")),
        table_(p.number("rate"), p.number("discount"), p.number("initial")) {
    load_file();
  }

 private:
  // Per candidate: the worth of its estimated latency in `bins` steps, and whether the client has
  // measured its path in the last ten seconds.
  std::uint64_t state_of(const OffloadView& view) const {
    std::uint64_t state = 0;
    for (const OffloadCandidate& c : view.candidates) {
      const double worth =
          view.reward.latency_scale / (view.reward.latency_scale + std::max(0.0, estimated_latency(c)));
      const auto bin = static_cast<std::uint64_t>(worth * static_cast<double>(bins_));
      const bool fresh = c.uplink <= 0 || freshness(view.now, c.measured_at, 10) >= 0.5;
      state = state * (2 * bins_) + 2 * std::min(bin, bins_ - 1) + (fresh ? 1 : 0);
    }
    return state;
  }

  OffloadDecision choose(const OffloadView& view, const std::vector<std::size_t>& among,
                         Step& step) override {
    actions_ = view.candidates.size();
    step = {state_of(view), decisions_++};
    if (learning() && discounted_) follow(step.state);
    Rng g = draws_of(view);
    if (learning() && uniform01(g) < epsilon_) {
      const std::size_t i = among[pick_uniform(uniform01(g), among.size())];
      return {i, table_.value(step.state, i), "explores"};
    }
    const std::size_t i = table_.best_action(step.state, among);
    return {i, table_.value(step.state, i), "largest action value"};
  }

  void learn(const OffloadOutcome& o, Step& step, bool) override {
    if (!discounted_) return table_.update(step.state, o.candidate, actions_, o.reward, step.state);
    if (step.number + 1 < decisions_)
      return table_.update(step.state, o.candidate, actions_, o.reward, next_state_of(step.number));
    last_ = Last{step.state, o.candidate, o.reward};
  }

  // The state found by the decision after `number`, as far back as it is remembered.
  std::uint64_t next_state_of(std::uint64_t number) const {
    return states_[(number + 1) % states_.size()];
  }
  void follow(std::uint64_t state) {
    states_[(decisions_ - 1) % states_.size()] = state;
    if (!last_) return;
    table_.update(last_->state, last_->action, actions_, last_->reward, state);
    last_.reset();
  }

  void write(LearnedState& state) const override {
    state["bins"] = bins_;
    auto& list = state["states"] = nlohmann::json::array();
    for (const auto& [key, values] : table_.rows()) list.push_back({{"state", key}, {"values", values}});
  }

  void read(const SavedState& state) override {
    if (state.number("bins") != static_cast<double>(bins_))
      state.fail("they were learned with other \"bins\"");
    table_.clear();
    const nlohmann::json& list = state.member("states");
    if (!list.is_array()) state.fail("\"states\" must be a list");
    for (const nlohmann::json& row : list) {
      if (!row.is_object() || !row.contains("state") || !row["state"].is_number_unsigned() ||
          !row.contains("values") || !row["values"].is_array() ||
          row["values"].size() > state.candidates().size())
        state.fail("\"states\" needs entries {\"state\", \"values\"}, a value per candidate");
      std::vector<double> values;
      for (const nlohmann::json& v : row["values"]) {
        if (!v.is_number() || !std::isfinite(v.get<double>())) state.fail("a value is no number");
        values.push_back(v.get<double>());
      }
      table_.set(row["state"].get<std::uint64_t>(), std::move(values));
    }
  }

  struct Last {
    std::uint64_t state = 0;
    std::size_t action = 0;
    double reward = 0;
  };
  std::uint64_t bins_;
  bool discounted_;
  double epsilon_;
  QTable table_;
  std::size_t actions_ = 0;
  std::uint64_t decisions_ = 0;
  std::optional<Last> last_;  // rewarded before the next decision came
  std::vector<std::uint64_t> states_ = std::vector<std::uint64_t>(4096);  // of the last decisions
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_q_learning() {
  return {"q-learning",
          "Learns the value of every candidate in every state, which is the estimated latency of each "
          "candidate in a few steps and how fresh it is, and takes the most valuable one.",
          "Watkins, Dayan, Machine Learning 8, 1992",
          "there are many candidates: states multiply, and each has to be visited.",
          "O(candidates * log(states))",
          learner_parameters(
              {number_parameter("bins", Dimension::count, 6, 1, 100, "steps of the estimated latency"),
               number_parameter("rate", Dimension::fraction, 0.1, 1e-6, 1,
                                "of learning; smaller for noisy rewards"),
               number_parameter("discount", Dimension::fraction, 0, 0, 0.999,
                                "of the reward of the next decision, whoever's it is; 0: a decision "
                                "does not care for those after it"),
               number_parameter("epsilon", Dimension::fraction, 0.05, 0, 1, "share that explores"),
               number_parameter("initial", Dimension::none, 1, -1000, 1000,
                                "value of what was never tried; high values make it try everything")}),
          make_policy<OffloadPolicy, QLearning>};
}

}  // namespace isthmus::schedulers
