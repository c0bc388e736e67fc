// The time of a kernel over one parameter, prepared for the event loop: piecewise linear.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "models/precision.hpp"
#include "models/prediction.hpp"

namespace isthmus::models {

class KernelProfile;
struct KernelTable;

//! A continuous piecewise-linear function of one variable >= 0, in ns. Below the first knot it is
//! constant, beyond the last the last slope goes on.
class KernelCurve {
 public:
  //! One linear piece: ns = base + slope * x from `start` on.
  struct Piece {
    double start = 0, base = 0, slope = 0;
  };

  KernelCurve() = default;
  //! Through the given points, x ascending and >= 0, at least one.
  KernelCurve(const std::vector<double>& x, const std::vector<double>& ns);

  const Piece& piece(double x) const {
    // Few pieces, and neighbouring calls ask for neighbouring values.
    std::size_t low = 0, high = pieces_.size();
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      (pieces_[middle].start <= x ? low : high) = middle;
    }
    return pieces_[low];
  }
  //! Start of the piece behind the one that holds x; infinity behind the last.
  double end_of_piece(double x) const;
  double at(double x) const {
    const Piece& p = piece(x);
    return p.base + p.slope * x;
  }
  //! Sum of at(x) over x = first, first + 1, ..., last; 0 when last < first.
  double sum(double first, double last) const;
  const std::vector<Piece>& pieces() const { return pieces_; }
  //! The curve of `count` executions, over x * stretch.
  KernelCurve scaled(double count, double stretch = 1) const;

 private:
  std::vector<Piece> pieces_;
};

//! A curve with its evidence.
struct MeasuredCurve {
  KernelCurve curve;
  double first = 0, last = 0;  //!< range of the table; extrapolated outside
  std::vector<double> knots;   //!< shapes that were measured with all other parameters as asked
  double relative_error = 0;   //!< of interpolated values, the largest over the knots
  bool rows = false;           //!< the other parameters are those of table rows

  PredictionKind kind(double x) const;
};

//! Parameters of a kernel by name; the one called `free` is left out.
using KernelParameters = std::vector<std::pair<std::string_view, double>>;

//! A table (kind, precision) as a function of its parameter `free`. Borrows the profile.
class CurveMaker {
 public:
  CurveMaker(const KernelProfile& profile, std::string_view kind, Precision precision,
             std::string_view free);
  //! The curve with the other parameters as given; parameters of the table that are not given are
  //! 0. Nothing when there is no such table, or it does not enclose the other parameters anywhere.
  std::optional<MeasuredCurve> operator()(const KernelParameters& fixed) const;
  //! Largest value of a parameter in the table; 0 when there is none.
  double largest(std::string_view parameter) const;
  //! Smallest value above 0 of a parameter in the table; 0 when there is none.
  double smallest(std::string_view parameter) const;

 private:
  std::vector<double> values_of(std::string_view parameter) const;
  const KernelProfile& profile_;
  const KernelTable* table_;
  std::size_t variable_ = 0;
  std::vector<double> values_;  // of the free parameter, ascending
};

}  // namespace isthmus::models
