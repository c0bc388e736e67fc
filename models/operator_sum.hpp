// The time of several dense products together, over their rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "models/llm_operators.hpp"

namespace isthmus::models {

//! Piecewise linear: one piece per change of an operator from memory- to compute-bound, and per knot of
//! a measured one. Exact, and a few compares to use.
class OperatorSum {
 public:
  struct Time {
    double ns = 0;
    double compute_ns = 0;  //!< of operators that are compute-bound
  };

  OperatorSum() = default;
  explicit OperatorSum(const std::vector<DenseOperator>& operators) {
    // The rows at which each operator's compute overtakes its memory traffic.
    std::vector<double> knots{0};
    const auto crossing = [](const DenseOperator& o) {
      const double gain = o.flop_ns_per_row - o.byte_ns_per_row;
      return gain > 0 ? o.fixed_ns / gain : std::numeric_limits<double>::infinity();
    };
    for (const auto& o : operators) {
      if (o.measured)
        for (const auto& p : o.measured->curve.pieces()) knots.push_back(p.start);
      if (std::isfinite(crossing(o))) knots.push_back(crossing(o));
    }
    std::sort(knots.begin(), knots.end());
    knots.erase(std::unique(knots.begin(), knots.end()), knots.end());
    for (const double start : knots) {
      Piece piece{start};
      for (const auto& o : operators) {
        const bool compute = crossing(o) <= start;
        KernelCurve::Piece p{start, compute ? 0 : o.fixed_ns,
                             compute ? o.flop_ns_per_row : o.byte_ns_per_row};
        if (o.measured) p = o.measured->curve.piece(start);
        piece.base += p.base;
        piece.slope += p.slope;
        if (compute) {
          piece.compute_base += p.base;
          piece.compute_slope += p.slope;
        }
      }
      pieces_.push_back(piece);
    }
  }
  Time operator()(double rows) const {
    std::size_t low = 0, high = pieces_.size();
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      (pieces_[middle].start <= rows ? low : high) = middle;
    }
    const Piece& p = pieces_[low];
    return {p.base + p.slope * rows, p.compute_base + p.compute_slope * rows};
  }

 private:
  struct Piece {
    double start = 0, base = 0, slope = 0, compute_base = 0, compute_slope = 0;
  };
  std::vector<Piece> pieces_;
};

}  // namespace isthmus::models
