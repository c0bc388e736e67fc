// Counts and rewards of the arms of a bandit, with old ones fading if wanted.
#pragma once

#include <cstddef>
#include <vector>

#include "schedulers/learned_state.hpp"

namespace isthmus::schedulers {

//! Rewards come later than decisions, so plays and rewards are counted apart: what is under way
//! already narrows the doubt about an arm, but not yet its mean.
class BanditArms {
 public:
  struct Arm {
    double played = 0;    //!< decisions
    double observed = 0;  //!< rewards
    double sum = 0, squares = 0;  //!< of rewards
    double mean(double unknown) const { return observed > 0 ? sum / observed : unknown; }
  };

  //! Every decision multiplies all counts by `discount` in (0, 1]; 1 forgets nothing.
  explicit BanditArms(double discount) : discount_(discount) {}
  //! Makes sure that there are `count` arms.
  void resize(std::size_t count) {
    if (arms_.size() < count) arms_.resize(count);
  }
  const Arm& operator[](std::size_t i) const { return arms_[i]; }
  double played() const;  //!< all arms together
  void play(std::size_t arm);
  void reward(std::size_t arm, double reward);

  void write(LearnedState& state) const;
  void read(const SavedState& state);

 private:
  double discount_;
  std::vector<Arm> arms_;
};

}  // namespace isthmus::schedulers
