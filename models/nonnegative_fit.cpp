#include "models/nonnegative_fit.hpp"

#include <Eigen/Cholesky>
#include <vector>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Unconstrained solution over the columns in `passive`, the others 0. The normal equations get a
// whiff of ridge, so that equal columns share instead of exploding.
Eigen::VectorXd solve(const Eigen::MatrixXd& gram, const Eigen::VectorXd& target,
                      const std::vector<Eigen::Index>& passive) {
  const auto n = static_cast<Eigen::Index>(passive.size());
  Eigen::MatrixXd g(n, n);
  Eigen::VectorXd t(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    t(i) = target(passive[static_cast<std::size_t>(i)]);
    for (Eigen::Index j = 0; j < n; ++j)
      g(i, j) = gram(passive[static_cast<std::size_t>(i)], passive[static_cast<std::size_t>(j)]);
    g(i, i) *= 1 + 1e-12;
  }
  const Eigen::VectorXd solution = g.ldlt().solve(t);
  Eigen::VectorXd x = Eigen::VectorXd::Zero(gram.rows());
  for (Eigen::Index i = 0; i < n; ++i) x(passive[static_cast<std::size_t>(i)]) = solution(i);
  return x;
}

}  // namespace

Eigen::VectorXd nonnegative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b) {
  if (a.rows() != b.size() || !a.allFinite() || !b.allFinite())
    throw InternalError("nonnegative_least_squares: sizes differ or values are not finite");
  // Columns on one scale; their lengths come back at the end.
  const Eigen::Index columns = a.cols();
  Eigen::VectorXd length(columns);
  for (Eigen::Index j = 0; j < columns; ++j) length(j) = a.col(j).norm();
  Eigen::MatrixXd scaled = a;
  for (Eigen::Index j = 0; j < columns; ++j)
    if (length(j) > 0) scaled.col(j) /= length(j);
  const Eigen::MatrixXd gram = scaled.transpose() * scaled;
  const Eigen::VectorXd target = scaled.transpose() * b;

  const double tolerance = 1e-10 * (1 + b.norm());
  Eigen::VectorXd x = Eigen::VectorXd::Zero(columns);
  std::vector<bool> free(static_cast<std::size_t>(columns), false);
  // Every round frees one coefficient; the bound only guards against rounding that goes in circles.
  for (Eigen::Index round = 0; round < 10 * columns; ++round) {
    const Eigen::VectorXd gain = target - gram * x;
    Eigen::Index best = -1;
    for (Eigen::Index j = 0; j < columns; ++j)
      if (!free[static_cast<std::size_t>(j)] && length(j) > 0 && gain(j) > tolerance &&
          (best < 0 || gain(j) > gain(best)))
        best = j;
    if (best < 0) break;
    free[static_cast<std::size_t>(best)] = true;
    for (;;) {
      std::vector<Eigen::Index> passive;
      for (Eigen::Index j = 0; j < columns; ++j)
        if (free[static_cast<std::size_t>(j)]) passive.push_back(j);
      const Eigen::VectorXd s = solve(gram, target, passive);
      double step = 1;
      for (const Eigen::Index j : passive)
        if (s(j) <= 0) step = std::min(step, x(j) / std::max(x(j) - s(j), 1e-300));
      if (step >= 1) {
        x = s;
        break;
      }
      // Go as far as all stay non-negative, and drop what hit zero.
      x += step * (s - x);
      for (const Eigen::Index j : passive)
        if (s(j) <= 0 && x(j) <= 1e-14) {
          x(j) = 0;
          free[static_cast<std::size_t>(j)] = false;
        }
    }
  }
  for (Eigen::Index j = 0; j < columns; ++j)
    if (length(j) > 0) x(j) /= length(j);
  return x;
}

}  // namespace isthmus::models
