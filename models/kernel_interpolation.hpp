// Interpolation along one parameter of a kernel table.
#pragma once

#include <span>

namespace isthmus::models {

//! A point of a measured curve.
struct CurvePoint {
  double x = 0, ns = 0;
};

//! Value at `x` on the straight line through two points with different x.
double line_through(const CurvePoint& a, const CurvePoint& b, double x);

//! Value at `x` between the points `below` and `below + 1` of two to four neighbouring points in
//! rising x: the monotone cubic of Fritsch and Butland (SIAM J. Sci. Stat. Comput. 5, 1984) through
//! (log(x + 1), log(ns)). A power law comes out exactly for large x, values never leave the range
//! of the two points, and they are positive when all ns are.
double curve_through(std::span<const CurvePoint> points, std::size_t below, double x);

}  // namespace isthmus::models
