// Nonlinear least squares within bounds, for functions that can only be evaluated: simulations.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace isthmus::models {

//! One unknown: `start` and `first` lie between the bounds.
struct Unknown {
  double start = 0, lower = 0, upper = 0;
  double step = 0;   //!< > 0, of finite differences: large against the function's roughness
  double first = 0;  //!< where the search begins
};

struct LeastSquaresProblem {
  std::vector<Unknown> unknowns;
  //! Residuals at every one of several points (which may be computed at the same time): finite and
  //! equally many everywhere.
  std::function<std::vector<Eigen::VectorXd>(const std::vector<Eigen::VectorXd>& points)> residuals;
  //! For every residual the group of those that it may depend on, from 0 on; standard errors take
  //! only groups as independent of each other.
  std::vector<std::size_t> groups;
  //! Residuals beyond twice the median of their absolutes count linearly (Huber), but never
  //! those below this.
  double smallest_outlier = 0.02;
  //! The fit is made with steps times each of these, one after the other: wide ones see the way
  //! past the small hills of a rough function, the last ones find the place.
  std::vector<double> widenings{1};
  int searches = 0;  //!< rounds that look along the principal axes, near and far, for a deeper valley
  double judging = 1;  //!< the widening of the steps for standard errors and verdicts
  int max_iterations = 30;
};

//! What the residuals say about an unknown.
enum class Identified : std::uint8_t {
  yes,
  at_bound,    //!< the best value is its bound
  no_effect,   //!< the residuals do not move with it; it kept its start
  confounded,  //!< another unknown explains the same; it kept its start
};

struct FittedUnknown {
  double value = 0;
  double standard_error = 0;  //!< NaN unless identified; infinite when one group alone decides
  Identified identified = Identified::yes;
  std::size_t other = 0;  //!< confounded: with which
};

struct LeastSquaresFit {
  std::vector<FittedUnknown> unknowns;
  double cost_before = 0, cost_after = 0;  //!< sums of Huber's loss, by the last limit of outliers
  std::size_t evaluations = 0;             //!< points asked for
  bool converged = false;
};

//! Levenberg-Marquardt with Marquardt's scaling, steps solved by a rank-revealing QR and cut at the
//! bounds; central differences. Unknowns without effect, and the later one of two that explain the
//! same (a variance inflation above 10^4, or above 30 with an error larger than the value), are
//! put back to their start and left out. Standard errors are those of
//! leaving out one group at a time (jackknife, to first order), for Huber's estimator. Throws InternalError for residuals that are not
//! finite or not equally many.
LeastSquaresFit least_squares(const LeastSquaresProblem& problem);

}  // namespace isthmus::models
