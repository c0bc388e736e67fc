// A kernel table prepared for look-ups: a grid over its shape parameters without holes, on which
// times are linear in every parameter.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/kernel_query.hpp"
#include "models/prediction.hpp"
#include "models/roofline_fit.hpp"

namespace isthmus::models {

struct KernelTable;

//! An answer from a table.
struct KernelTime {
  double ns = 0;
  PredictionKind kind = PredictionKind::measured;  //!< measured, interpolated or extrapolated
  double relative_error = 0;                       //!< one standard error
};

//! Time as a function of one parameter, the others fixed: straight between its knots.
struct KernelLine {
  std::vector<double> x, ns;                       //!< at least one knot, x strictly rising
  PredictionKind kind = PredictionKind::measured;  //!< the worst of the knots
  double relative_error = 0;                       //!< the largest of the knots

  //! Time at `x`; beyond the knots the last segment goes on (never below 0).
  double at(double x) const;
};

//! Absolute relative errors of predictions.
struct ErrorSummary {
  std::size_t count = 0;  //!< predictions; 0 = there was none, and the rest means nothing
  double median = 0, mean = 0, p90 = 0;
};
ErrorSummary summarize(std::vector<double> errors);

//! How well the rows of a table are predicted by each other.
struct LeaveOneOut {
  //! Every row that others enclose along some parameter, left out and then filled in as the grid
  //! fills holes.
  ErrorSummary all;
  ErrorSummary uncached;  //!< the same without rows flagged as cached; `all` when there are none
  //! The same along one parameter alone, whichever hole filling would take.
  struct Axis {
    std::string parameter;
    ErrorSummary line;    //!< straight line between the two neighbours
    ErrorSummary curve;   //!< monotone cubic in logarithms through four neighbours
    ErrorSummary logs;    //!< straight line in logarithms; for comparison only
    ErrorSummary scaled;  //!< straight line of time over fitted roofline; for comparison only
    bool curved = false;  //!< look-ups use the curve, else the line
  };
  std::vector<Axis> axes;
  //! The last row of every line of rows, predicted from the one before it by the fitted roofline.
  ErrorSummary edge;
};

//! See docs/profile_format.md ("Look-up") for the method. Immutable, safe from many threads.
class KernelGrid {
 public:
  //! `table` must be sorted by shape and valid (KernelProfile::add sees to both).
  explicit KernelGrid(const KernelTable& table);
  ~KernelGrid();
  KernelGrid(KernelGrid&&) noexcept;
  KernelGrid& operator=(KernelGrid&&) noexcept;

  //! Time of one kernel. Nothing when the shape lies outside the rows and the kind has no work
  //! model, or when the shape is not finite and >= 0. Throws InternalError when the number of
  //! parameters is not the table's.
  std::optional<KernelTime> at(std::span<const double> shape) const;
  //! The time alone, NaN where at() gives nothing: the hot path.
  double ns(std::span<const double> shape) const;
  //! Time from `low` to `high` along parameter `free` (its value in `shape` is ignored). It equals
  //! at() at every knot; it equals at() everywhere in between when the other parameters lie within
  //! the grid, and elsewhere lies within a percent of it. Nothing when at() gives nothing at some
  //! knot, or when the table is so ragged that `free` is matched exactly. Throws InternalError
  //! unless 0 <= low <= high, both finite.
  std::optional<KernelLine> line(std::span<const double> shape, std::size_t free, double low,
                                 double high) const;

  const LeaveOneOut& leave_one_out() const;
  //! The roofline that extrapolates, when the kind has a work model.
  const std::optional<FittedRoofline>& roofline() const;
  //! Cells of the grid, holes that were filled in and refined points included.
  std::size_t cells() const;

  struct Impl;

 private:
  std::unique_ptr<const Impl> impl_;
};

}  // namespace isthmus::models
