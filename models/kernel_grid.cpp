#include "models/kernel_grid.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "models/kernel_grid_internal.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/quantile.hpp"

namespace isthmus::models {

namespace {

constexpr std::size_t max_width = KernelProfile::max_parameters;
// Distance of knots where a line is not straight by construction.
constexpr double knot_ratio = 1.1;

// Where a shape lies in a block.
struct Position {
  std::size_t base = 0;     // cell at the low corner
  std::size_t between = 0;  // axes on which the shape lies between two values
  std::array<std::size_t, max_width> stride;
  std::array<double, max_width> share;
  bool outside = false;
};

// Index of the last value that is not above `v`, which lies within the axis.
std::size_t step_below(const std::vector<double>& x, double v) {
  const double* first = x.data();
  std::size_t n = x.size();
  while (n > 1) {  // no branch to mispredict
    const std::size_t half = n / 2;
    first += first[half] <= v ? half : 0;
    n -= half;
  }
  return static_cast<std::size_t>(first - x.data());
}

Position locate(const GridBlock& g, std::span<const double> shape) {
  Position p;
  for (std::size_t a = 0; a < g.axes.size(); ++a) {
    const auto& x = g.axes[a].x;
    double v = shape[a];
    if (v < x.front() || v > x.back()) {
      v = std::clamp(v, x.front(), x.back());
      p.outside = true;
    }
    const std::size_t i = step_below(x, v);
    p.base += i * g.stride[a];
    if (v != x[i]) {
      p.stride[p.between] = g.stride[a];
      p.share[p.between] = (v - x[i]) / (x[i + 1] - x[i]);
      ++p.between;
    }
  }
  return p;
}

double value(const GridBlock& g, const Position& p) {
  if (p.between == 0) return g.ns[p.base];
  std::array<double, 256> large;  // 8 axes between values; more are summed up in halves
  if (p.between > 8) {
    Position half = p;
    --half.between;
    const double low = value(g, half);
    half.base += p.stride[half.between];
    return std::lerp(low, value(g, half), p.share[half.between]);
  }
  const std::size_t corners = std::size_t{1} << p.between;
  large[0] = g.ns[p.base];
  // Corners in binary order: bit i set = upper side of axis i.
  std::array<std::size_t, 256> offset;
  offset[0] = p.base;
  for (std::size_t i = 0; i < p.between; ++i) {
    const std::size_t n = std::size_t{1} << i;
    for (std::size_t c = 0; c < n; ++c) {
      offset[n + c] = offset[c] + p.stride[i];
      large[n + c] = g.ns[offset[n + c]];
    }
  }
  for (std::size_t i = p.between, n = corners / 2; i-- > 0; n /= 2)
    for (std::size_t c = 0; c < n; ++c) large[c] += (large[n + c] - large[c]) * p.share[i];
  return large[0];
}

// Calls f(cell, weight) for every corner.
template <class F>
void each_corner(const Position& p, const F& f) {
  for (std::size_t c = 0; c < (std::size_t{1} << p.between); ++c) {
    std::size_t cell = p.base;
    double weight = 1;
    for (std::size_t i = 0; i < p.between; ++i) {
      const bool upper = (c >> i) & 1U;
      if (upper) cell += p.stride[i];
      weight *= upper ? p.share[i] : 1 - p.share[i];
    }
    f(cell, weight);
  }
}

}  // namespace

ErrorSummary summarize(std::vector<double> errors) {
  ErrorSummary s{.count = errors.size()};
  if (errors.empty()) return s;
  std::sort(errors.begin(), errors.end());
  s.median = interpolated_quantile(errors, 0.5);
  s.p90 = interpolated_quantile(errors, 0.9);
  s.mean = std::accumulate(errors.begin(), errors.end(), 0.0) / static_cast<double>(s.count);
  return s;
}

double KernelLine::at(double v) const {
  if (x.size() == 1) return ns.front();
  const auto above = std::upper_bound(x.begin() + 1, x.end() - 1, v);
  const auto i = static_cast<std::size_t>(above - x.begin()) - 1;
  return std::max(0.0, ns[i] + (ns[i + 1] - ns[i]) * ((v - x[i]) / (x[i + 1] - x[i])));
}

KernelGrid::KernelGrid(const KernelTable& table)
    : impl_(std::make_unique<const Impl>(build_grid(table))) {}
KernelGrid::~KernelGrid() = default;
KernelGrid::KernelGrid(KernelGrid&&) noexcept = default;
KernelGrid& KernelGrid::operator=(KernelGrid&&) noexcept = default;

namespace {

// The block for a shape and whether the leading parameters matched.
struct Choice {
  std::size_t block = 0;
  bool matched = true;
};

Choice choose(std::span<const double> groups, std::size_t leading, std::size_t blocks,
              std::span<const double> shape) {
  if (leading == 0) return {};
  const auto key = [&](std::size_t b) { return groups.subspan(b * leading, leading); };
  const auto wanted = shape.first(leading);
  std::size_t low = 0, high = blocks;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (std::ranges::lexicographical_compare(key(middle), wanted))
      low = middle + 1;
    else
      high = middle;
  }
  if (low < blocks && std::ranges::equal(key(low), wanted)) return {low, true};

  // The nearest block by the sum of squared logarithms.
  Choice best{0, false};
  double best_distance = std::numeric_limits<double>::infinity();
  for (std::size_t b = 0; b < blocks; ++b) {
    double distance = 0;
    for (std::size_t i = 0; i < leading; ++i) {
      const double d = std::log((key(b)[i] + 1) / (wanted[i] + 1));
      distance += d * d;
    }
    if (distance < best_distance) {
      best_distance = distance;
      best.block = b;
    }
  }
  return best;
}

bool possible(std::span<const double> shape) {
  for (const double v : shape)
    if (!(v >= 0 && v <= std::numeric_limits<double>::max())) return false;
  return true;
}

}  // namespace

double KernelGrid::ns(std::span<const double> shape) const {
  const Impl& m = *impl_;
  if (shape.size() != m.width)
    throw InternalError("kernel look-up with the wrong number of parameters");
  if (!possible(shape)) return std::numeric_limits<double>::quiet_NaN();
  const Choice choice = choose(m.groups, m.leading, m.blocks.size(), shape);
  const GridBlock& g = m.blocks[choice.block];
  const Position p = locate(g, shape.subspan(m.leading));
  if (choice.matched && !p.outside) return value(g, p);
  if (!m.roofline) return std::numeric_limits<double>::quiet_NaN();
  // Beyond the rows: the nearest shape within, scaled as the roofline scales.
  std::array<double, max_width> inside;
  for (std::size_t i = 0; i < m.width; ++i)
    inside[i] = i < m.leading ? m.groups[choice.block * m.leading + i]
                              : std::clamp(shape[i], g.axes[i - m.leading].x.front(),
                                           g.axes[i - m.leading].x.back());
  const double ns = value(g, p) * (m.roofline_ns(shape) /
                                   m.roofline_ns(std::span<const double>(inside.data(), m.width)));
  return std::isfinite(ns) ? ns : std::numeric_limits<double>::quiet_NaN();
}

std::optional<KernelTime> KernelGrid::at(std::span<const double> shape) const {
  const Impl& m = *impl_;
  KernelTime time{.ns = ns(shape)};
  if (std::isnan(time.ns)) return std::nullopt;
  const Choice choice = choose(m.groups, m.leading, m.blocks.size(), shape);
  const GridBlock& g = m.blocks[choice.block];
  const Position p = locate(g, shape.subspan(m.leading));
  if (p.between > 0) time.kind = PredictionKind::interpolated;

  double error = 0, local = 0;
  each_corner(p, [&](std::size_t cell, double weight) {
    const GridEvidence& e = g.evidence[cell];
    error += weight * static_cast<double>(e.error);
    local += weight * static_cast<double>(e.local);
    time.kind = std::max(time.kind, e.kind);
  });
  // Interpolation errs most half-way between two values of the table and not at all at them.
  double between = 0, beyond = 0;
  for (std::size_t i = 0; i < m.width; ++i) {
    if (i < m.leading) {
      const double group = m.groups[choice.block * m.leading + i];
      beyond += m.edge_error[i] * std::abs(std::log2((shape[i] + 1) / (group + 1)));
      continue;
    }
    const GridAxis& axis = g.axes[i - m.leading];
    const double v = std::clamp(shape[i], axis.x.front(), axis.x.back());
    beyond += m.edge_error[i] * std::abs(std::log2((shape[i] + 1) / (v + 1)));
    const std::size_t step = step_below(axis.x, v);
    if (step + 1 == axis.x.size()) continue;
    double u = (v - axis.x[step]) / (axis.x[step + 1] - axis.x[step]);
    if (!axis.from.empty())
      u = std::lerp(static_cast<double>(axis.from[step]), static_cast<double>(axis.to[step]), u);
    const double factor = 4 * u * (1 - u) * m.axis_factor[i];
    between += factor * factor;
  }
  time.relative_error = std::hypot(error, local * std::sqrt(between), beyond);
  if (!choice.matched || p.outside) time.kind = PredictionKind::extrapolated;
  return time;
}

std::optional<KernelLine> KernelGrid::line(std::span<const double> shape, std::size_t free,
                                           double low, double high) const {
  const Impl& m = *impl_;
  if (shape.size() != m.width || free >= m.width)
    throw InternalError("kernel line with the wrong number of parameters");
  if (!(low >= 0 && low <= high && std::isfinite(high)))
    throw InternalError("kernel line over an impossible range");
  if (free < m.leading) return std::nullopt;
  std::vector<double> at(shape.begin(), shape.end());
  at[free] = low;
  if (!possible(at)) return std::nullopt;
  const Choice choice = choose(m.groups, m.leading, m.blocks.size(), at);
  const GridBlock& g = m.blocks[choice.block];
  const auto& axis = g.axes[free - m.leading].x;
  at[free] = std::clamp(low, axis.front(), axis.back());
  const bool others_inside = choice.matched && !locate(g, std::span(at).subspan(m.leading)).outside;

  std::vector<double> knots{low};
  for (const double v : axis)
    if (v > low && v < high) knots.push_back(v);
  if (high > low) knots.push_back(high);
  // More knots where the roofline bends the line.
  KernelLine line;
  const auto add = [&](double x) {
    at[free] = x;
    const auto time = this->at(at);
    if (!time) return false;
    line.x.push_back(x);
    line.ns.push_back(time->ns);
    line.kind = std::max(line.kind, time->kind);
    line.relative_error = std::max(line.relative_error, time->relative_error);
    return true;
  };
  for (std::size_t i = 0; i < knots.size(); ++i) {
    if (!add(knots[i])) return std::nullopt;
    if (i + 1 == knots.size()) break;
    const bool straight = others_inside && knots[i] >= axis.front() && knots[i + 1] <= axis.back();
    for (double x = (knots[i] + 1) * knot_ratio - 1; !straight && x < knots[i + 1];
         x = (x + 1) * knot_ratio - 1)
      if (!add(x)) return std::nullopt;
  }
  return line;
}

const LeaveOneOut& KernelGrid::leave_one_out() const { return impl_->leave_one_out; }
const std::optional<FittedRoofline>& KernelGrid::roofline() const { return impl_->roofline; }
std::size_t KernelGrid::cells() const {
  std::size_t n = 0;
  for (const GridBlock& g : impl_->blocks) n += g.ns.size();
  return n;
}

}  // namespace isthmus::models
