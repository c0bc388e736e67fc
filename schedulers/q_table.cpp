#include "schedulers/q_table.hpp"

#include <algorithm>

namespace isthmus::schedulers {

double QTable::value(std::uint64_t state, std::size_t action) const {
  const auto row = rows_.find(state);
  return row != rows_.end() && action < row->second.size() ? row->second[action] : initial_;
}

double QTable::best_value(std::uint64_t state) const {
  const auto row = rows_.find(state);
  if (row == rows_.end() || row->second.empty()) return initial_;
  return *std::max_element(row->second.begin(), row->second.end());
}

std::size_t QTable::best_action(std::uint64_t state, std::span<const std::size_t> among) const {
  std::size_t best = among.front();
  for (const std::size_t a : among)
    if (value(state, a) > value(state, best)) best = a;
  return best;
}

void QTable::update(std::uint64_t state, std::size_t action, std::size_t actions, double reward,
                    std::uint64_t next) {
  const double target = reward + discount_ * best_value(next);
  std::vector<double>& row = rows_[state];
  if (row.size() < std::max(actions, action + 1)) row.resize(std::max(actions, action + 1), initial_);
  row[action] += rate_ * (target - row[action]);
}

}  // namespace isthmus::schedulers
