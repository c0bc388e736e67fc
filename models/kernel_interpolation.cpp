#include "models/kernel_interpolation.hpp"

#include <array>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Slope at an inner point between secants `d0` and `d1` over the steps `h0` and `h1`: a weighted
// harmonic mean, zero where the data turn.
double inner_slope(double h0, double h1, double d0, double d1) {
  if (d0 * d1 <= 0) return 0;
  const double w0 = 2 * h1 + h0, w1 = h1 + 2 * h0;
  return (w0 + w1) / (w0 / d0 + w1 / d1);
}

// Slope at an end, `h0` and `d0` being those of the step next to it.
double end_slope(double h0, double h1, double d0, double d1) {
  const double slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
  if (slope * d0 <= 0) return 0;
  if (d0 * d1 <= 0 && std::abs(slope) > 3 * std::abs(d0)) return 3 * d0;
  return slope;
}

}  // namespace

double line_through(const CurvePoint& a, const CurvePoint& b, double x) {
  return a.ns + (b.ns - a.ns) * ((x - a.x) / (b.x - a.x));
}

double curve_through(std::span<const CurvePoint> points, std::size_t below, double x) {
  const std::size_t n = points.size();
  if (n < 2 || n > 4 || below + 1 >= n)
    throw InternalError("curve_through: needs two to four points around x");
  std::array<double, 4> u{}, v{}, h{}, d{};
  for (std::size_t i = 0; i < n; ++i) {
    u[i] = std::log1p(points[i].x);
    v[i] = std::log(points[i].ns);
  }
  for (std::size_t i = 0; i + 1 < n; ++i) {
    h[i] = u[i + 1] - u[i];
    d[i] = (v[i + 1] - v[i]) / h[i];
  }
  const auto slope = [&](std::size_t i) {
    if (n == 2) return d[0];
    if (i == 0) return end_slope(h[0], h[1], d[0], d[1]);
    if (i == n - 1) return end_slope(h[n - 2], h[n - 3], d[n - 2], d[n - 3]);
    return inner_slope(h[i - 1], h[i], d[i - 1], d[i]);
  };
  const double t = (std::log1p(x) - u[below]) / h[below];
  const double t2 = t * t, t3 = t2 * t;
  return std::exp((2 * t3 - 3 * t2 + 1) * v[below] + (t3 - 2 * t2 + t) * h[below] * slope(below) +
                  (3 * t2 - 2 * t3) * v[below + 1] + (t3 - t2) * h[below] * slope(below + 1));
}

}  // namespace isthmus::models
