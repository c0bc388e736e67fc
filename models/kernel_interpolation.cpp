#include "models/kernel_interpolation.hpp"

#include <algorithm>

namespace isthmus::models {

namespace {

// How far holes of a ragged grid are bridged, in distinct parameter values on each side.
constexpr int max_steps = 8;

class Search {
 public:
  Search(const KernelTable& table, std::span<const double> shape, std::size_t skip)
      : table_(table), shape_(shape), width_(table.parameters.size()), skip_(skip) {}

  // Value of the rows [begin, end), which agree in all parameters before `level`.
  std::optional<GridValue> at(std::size_t level, std::size_t begin, std::size_t end) const {
    if (level == width_) {
      if (begin == skip_ || begin == end) return std::nullopt;
      return GridValue{table_.median_ns[begin], table_.p10_ns[begin], table_.p90_ns[begin], true};
    }
    const double wanted = shape_[level];
    const std::size_t from = first_not_below(level, begin, end, wanted);
    std::size_t above = from;

    // The parameter itself is in the grid.
    if (from < end && value(from, level) == wanted) {
      above = group_end(level, from, end);
      if (const auto exact = at(level + 1, from, above)) return exact;
    }
    // Otherwise the nearest values on both sides that have an answer.
    std::optional<GridValue> low, high;
    double low_at = 0, high_at = 0;
    std::size_t edge = from;
    for (int step = 0; step < max_steps && edge > begin && !low; ++step) {
      low_at = value(edge - 1, level);
      const std::size_t group = first_not_below(level, begin, edge, low_at);
      low = at(level + 1, group, edge);
      edge = group;
    }
    if (!low) return std::nullopt;
    for (int step = 0; step < max_steps && above < end && !high; ++step) {
      high_at = value(above, level);
      const std::size_t next = group_end(level, above, end);
      high = at(level + 1, above, next);
      above = next;
    }
    if (!high) return std::nullopt;

    const double share = (wanted - low_at) / (high_at - low_at);
    const auto mix = [share](double a, double b) { return a + (b - a) * share; };
    return GridValue{mix(low->median_ns, high->median_ns), mix(low->p10_ns, high->p10_ns),
                     mix(low->p90_ns, high->p90_ns), false};
  }

 private:
  double value(std::size_t row, std::size_t level) const {
    return table_.shapes[row * width_ + level];
  }
  // First row in [begin, end) whose parameter is at least `wanted`.
  std::size_t first_not_below(std::size_t level, std::size_t begin, std::size_t end,
                              double wanted) const {
    while (begin < end) {
      const std::size_t middle = begin + (end - begin) / 2;
      if (value(middle, level) < wanted)
        begin = middle + 1;
      else
        end = middle;
    }
    return begin;
  }
  // End of the rows that share the parameter of row `first`.
  std::size_t group_end(std::size_t level, std::size_t first, std::size_t end) const {
    const double shared = value(first, level);
    std::size_t low = first + 1;
    while (low < end) {
      const std::size_t middle = low + (end - low) / 2;
      if (value(middle, level) <= shared)
        low = middle + 1;
      else
        end = middle;
    }
    return low;
  }

  const KernelTable& table_;
  std::span<const double> shape_;
  std::size_t width_, skip_;
};

}  // namespace

std::optional<GridValue> interpolate(const KernelTable& table, std::span<const double> shape,
                                     std::size_t skip) {
  return Search(table, shape, skip).at(0, 0, table.rows());
}

}  // namespace isthmus::models
