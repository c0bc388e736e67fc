// Points on a curve between the values of one parameter of a grid.
#include <algorithm>
#include <array>
#include <cmath>

#include "models/kernel_grid_internal.hpp"
#include "models/kernel_interpolation.hpp"

namespace isthmus::models {

namespace {

// Values closer than this need no points between them.
constexpr double refine_above = 1.25;
constexpr int refine_points = 3;

}  // namespace

void refine_axis(GridBlock& g, std::size_t axis) {
  const std::vector<double> x = g.axes[axis].x;
  GridAxis fine;
  std::vector<std::size_t> step;  // which step of x a point belongs to
  for (std::size_t i = 0; i < x.size(); ++i) {
    fine.x.push_back(x[i]);
    fine.from.push_back(0);
    step.push_back(i);
    if (i + 1 == x.size() || (x[i + 1] + 1) / (x[i] + 1) < refine_above) continue;
    for (int k = 1; k <= refine_points; ++k) {
      const double share = static_cast<double>(k) / (refine_points + 1);
      const double at = std::expm1(std::lerp(std::log1p(x[i]), std::log1p(x[i + 1]), share));
      if (at <= fine.x.back() || at >= x[i + 1]) continue;
      fine.x.push_back(at);
      fine.from.push_back(static_cast<float>((at - x[i]) / (x[i + 1] - x[i])));
      step.push_back(i);
    }
  }
  for (std::size_t i = 0; i < fine.x.size(); ++i)
    fine.to.push_back(i + 1 < fine.x.size() && fine.from[i + 1] > 0 ? fine.from[i + 1] : 1);

  const std::size_t inner = g.stride[axis], old_line = inner * x.size(),
                    new_line = inner * fine.x.size(), outer = g.ns.size() / old_line;
  if (outer * new_line > most_grid_cells) return;
  std::vector<double> ns(outer * new_line);
  std::vector<GridEvidence> evidence(outer * new_line);
  for (std::size_t o = 0; o < outer; ++o)
    for (std::size_t in = 0; in < inner; ++in)
      for (std::size_t i = 0; i < fine.x.size(); ++i) {
        const std::size_t target = o * new_line + i * inner + in;
        const auto source = [&](std::size_t k) { return o * old_line + k * inner + in; };
        const std::size_t k = step[i];
        if (fine.from[i] == 0) {
          ns[target] = g.ns[source(k)];
          evidence[target] = g.evidence[source(k)];
          continue;
        }
        std::array<CurvePoint, 4> points;
        std::size_t count = 0;
        const auto add = [&](std::size_t at) { points[count++] = {x[at], g.ns[source(at)]}; };
        if (k > 0 && !std::isnan(g.ns[source(k - 1)])) add(k - 1);
        const std::size_t below = count;
        add(k);
        add(k + 1);
        if (k + 2 < x.size() && !std::isnan(g.ns[source(k + 2)])) add(k + 2);
        ns[target] = curve_through({points.data(), count}, below, fine.x[i]);
        const GridEvidence &p = g.evidence[source(k)], &q = g.evidence[source(k + 1)];
        evidence[target] = {std::lerp(p.error, q.error, fine.from[i]),
                            std::lerp(p.local, q.local, fine.from[i]),
                            std::max({p.kind, q.kind, PredictionKind::interpolated})};
      }
  g.axes[axis] = std::move(fine);
  g.ns = std::move(ns);
  g.evidence = std::move(evidence);
  for (std::size_t a = axis; a > 0; --a) g.stride[a - 1] = g.stride[a] * g.axes[a].x.size();
}

}  // namespace isthmus::models
