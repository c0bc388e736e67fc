// Least squares with coefficients that cannot be negative: rates, overheads, efficiencies.
#pragma once

#include <Eigen/Core>

namespace isthmus::models {

//! The x >= 0 that minimizes |A x - b|, by the active-set method of Lawson and Hanson (Solving
//! Least Squares Problems, 1974, chapter 23). A: rows x columns, finite; columns of zeros get 0.
Eigen::VectorXd nonnegative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b);

}  // namespace isthmus::models
