// Tabular Q-learning by itself: states are numbers, actions are indices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace isthmus::schedulers {

//! Watkins, Dayan 1992. States are made when they are first written.
class QTable {
 public:
  QTable(double rate, double discount, double initial)
      : rate_(rate), discount_(discount), initial_(initial) {}

  double value(std::uint64_t state, std::size_t action) const;
  //! The largest value of a state over its actions; `initial` of an unknown one.
  double best_value(std::uint64_t state) const;
  //! First of `among` with the largest value.
  std::size_t best_action(std::uint64_t state, std::span<const std::size_t> among) const;
  //! Q(s, a) += rate (reward + discount max Q(s', .) - Q(s, a)); `actions` there are in all.
  void update(std::uint64_t state, std::size_t action, std::size_t actions, double reward,
              std::uint64_t next);

  const std::map<std::uint64_t, std::vector<double>>& rows() const { return rows_; }
  void set(std::uint64_t state, std::vector<double> values) { rows_[state] = std::move(values); }
  void clear() { rows_.clear(); }

 private:
  double rate_, discount_, initial_;
  std::map<std::uint64_t, std::vector<double>> rows_;
};

}  // namespace isthmus::schedulers
