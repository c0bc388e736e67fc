#include "schedulers/bandit_arms.hpp"

namespace isthmus::schedulers {

double BanditArms::played() const {
  double sum = 0;
  for (const Arm& a : arms_) sum += a.played;
  return sum;
}

void BanditArms::play(std::size_t arm) {
  if (discount_ < 1)
    for (Arm& a : arms_)
      for (double* x : {&a.played, &a.observed, &a.sum, &a.squares}) *x *= discount_;
  resize(arm + 1);
  arms_[arm].played += 1;
}

void BanditArms::reward(std::size_t arm, double reward) {
  resize(arm + 1);
  arms_[arm].observed += 1;
  arms_[arm].sum += reward;
  arms_[arm].squares += reward * reward;
}

void BanditArms::write(LearnedState& state) const {
  auto& list = state["arms"] = nlohmann::json::array();
  for (const Arm& a : arms_)
    for (const double x : {a.played, a.observed, a.sum, a.squares}) list.push_back(x);
}

void BanditArms::read(const SavedState& state) {
  const std::vector<double> all = state.numbers("arms");
  if (all.size() % 4 != 0) state.fail("\"arms\" needs four numbers per arm");
  if (all.size() > 4 * state.candidates().size()) state.fail("\"arms\" has more arms than candidates");
  arms_.clear();
  for (std::size_t i = 0; i < all.size(); i += 4) {
    const Arm a{all[i], all[i + 1], all[i + 2], all[i + 3]};
    if (a.played < 0 || a.observed < 0) state.fail("\"arms\" counts less than nothing");
    arms_.push_back(a);
  }
}

}  // namespace isthmus::schedulers
