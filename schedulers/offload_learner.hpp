// What learning offload policies share: the outcome comes back later than the decision, health
// goes first, and weights go to files and come from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "schedulers/learned_state.hpp"
#include "schedulers/offload_policy.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {

//! Parameters that every learner declares before its own: learning, weights.
std::vector<ParameterSpec> learner_parameters(std::vector<ParameterSpec> own);

//! Generator for one decision, made of the view's own draw: equal views, equal draws.
Rng draws_of(const OffloadView& view);

//! Indices of the healthy candidates, of all when none is.
void eligible(const OffloadView& view, std::vector<std::size_t>& out);

//! `Context` is what a decision was based on and its outcome needs again.
template <class Context>
class OffloadLearner : public OffloadPolicy {
 public:
  OffloadLearner(std::string name, const Parameters& p)
      : name_(std::move(name)), learning_(p.text("learning") == "on"), file_(p.text("weights")) {}

  void begin(std::span<const std::string> candidates) override {
    candidates_.assign(candidates.begin(), candidates.end());
    if (loaded_for_) loaded_for_->check_candidates(candidates_);
  }

  OffloadDecision decide(const OffloadView& view) final {
    eligible(view, eligible_);
    Context context;
    const OffloadDecision d = choose(view, eligible_, context);
    if (learning_) pending_.insert_or_assign(view.request, Pending{d.candidate, std::move(context)});
    return d;
  }

  // A request that was tried again counts for its last decision. What the world put elsewhere (the
  // fallback) is told apart by `as_chosen`.
  void observe(const OffloadOutcome& outcome) final {
    const auto it = pending_.find(outcome.request);
    if (it == pending_.end()) return;
    learn(outcome, it->second.context, outcome.candidate == it->second.candidate);
    pending_.erase(it);
  }

  std::string save() const final {
    LearnedState state(name_, candidates_);
    write(state);
    return state.text();
  }
  void load(const std::string& text) final {
    SavedState state(name_, text);
    if (!candidates_.empty()) state.check_candidates(candidates_);
    read(state);
    loaded_for_ = std::move(state);
  }

 protected:
  //! Loads the file of parameter "weights", if one is named; derived constructors end with it.
  void load_file() {
    if (!file_.empty()) load(read_learned(file_));
  }
  bool learning() const { return learning_; }

  //! Chooses among `among` and fills the context.
  virtual OffloadDecision choose(const OffloadView& view, const std::vector<std::size_t>& among,
                                 Context& context) = 0;
  virtual void learn(const OffloadOutcome& outcome, Context& context, bool as_chosen) = 0;
  virtual void write(LearnedState& state) const = 0;
  virtual void read(const SavedState& state) = 0;

 private:
  struct Pending {
    std::size_t candidate = 0;
    Context context;
  };
  std::string name_;
  bool learning_;
  std::string file_;
  std::vector<std::string> candidates_;
  std::optional<SavedState> loaded_for_;
  std::unordered_map<std::uint64_t, Pending> pending_;  // looked up only: its order shows nowhere
  std::vector<std::size_t> eligible_;
};

}  // namespace isthmus::schedulers
