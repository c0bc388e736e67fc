// The few statistics that results need: nearest-rank percentiles and Student's t.
#pragma once

#include <cstdint>
#include <span>

namespace isthmus::results {

//! Rank (1 ... n) of the p-th percentile among n sorted values: the smallest k with k >= p*n/100,
//! so that at least p % of the values are <= the k-th. numpy: method="inverted_cdf". A product
//! within 1e-9 of an integer counts as that integer, so that 7 % of 100 is 7 in floating point too.
//! `p` in [0, 100] and n >= 1, else Error; p = 0 gives rank 1.
std::uint64_t nearest_rank(double p, std::uint64_t n);

//! Exact percentile of unsorted values; NaN when there are none. Reorders `values`.
double percentile(std::span<double> values, double p);

//! Arithmetic mean; NaN when there are none.
double mean_of(std::span<const double> values);

//! Sample variance (divisor n-1); NaN for fewer than two values.
double variance_of(std::span<const double> values);

//! Regularized incomplete beta function I_x(a, b); a, b > 0 and 0 <= x <= 1, else Error. Continued
//! fraction of Lentz (Numerical Recipes, 3rd ed., section 6.4); absolute error below 1e-12 for the
//! a, b <= 1e4 used here.
double incomplete_beta(double a, double b, double x);

//! Distribution function of Student's t with `degrees` > 0 degrees of freedom.
double student_t_cdf(double t, double degrees);

//! Quantile of Student's t, 0 < p < 1: bisection of the distribution function down to the last
//! bits of a double.
double student_t_quantile(double p, double degrees);

}  // namespace isthmus::results
