// Building a KernelGrid: axes, leave-one-out errors, filling holes.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "models/kernel_grid_internal.hpp"
#include "models/kernel_interpolation.hpp"
#include "models/kernel_kinds.hpp"

namespace isthmus::models {

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
// A grid may have this many cells per row before leading parameters are matched exactly.
constexpr std::size_t cells_per_row = 64, always_allowed = 65536;
// A curve replaces straight lines along a parameter when it errs clearly less.
constexpr double curve_gain = 0.8;
// Error of one step beyond the rows, per doubling, where nothing better is known, and at least.
constexpr double default_edge_error = 0.2, least_edge_error = 0.05;

// Relative error of a prediction; times that no device shows must not make it infinite.
double relative_error(double predicted, double measured) {
  const double error = std::abs(predicted / measured - 1);
  return error < 1e6 ? error : 1e6;
}

double doublings(double a, double b) { return std::abs(std::log2((a + 1) / (b + 1))); }

// A block under construction, before refinement.
struct Coarse {
  GridBlock block;
  std::vector<std::size_t> row;  // row of the table in each cell, or none

  std::size_t size(std::size_t axis) const { return block.axes[axis].x.size(); }
  std::size_t index(std::size_t cell, std::size_t axis) const {
    return cell / block.stride[axis] % size(axis);
  }
  double x(std::size_t cell, std::size_t axis) const {
    return block.axes[axis].x[index(cell, axis)];
  }
};

// Known cells around a cell along one axis: up to two on each side, nearest first.
struct Neighbours {
  std::array<std::size_t, 2> below{none, none}, above{none, none};
  std::size_t span = 0;  // grid steps between the nearest two
};

template <class Known>
Neighbours neighbours(const Coarse& c, std::size_t cell, std::size_t axis, const Known& known) {
  Neighbours n;
  const std::size_t stride = c.block.stride[axis], at = c.index(cell, axis);
  std::size_t found = 0, first_below = 0, first_above = 0;
  for (std::size_t step = 1; step <= at && found < 2; ++step)
    if (known(cell - step * stride)) {
      if (found == 0) first_below = step;
      n.below[found++] = cell - step * stride;
    }
  found = 0;
  for (std::size_t step = 1; at + step < c.size(axis) && found < 2; ++step)
    if (known(cell + step * stride)) {
      if (found == 0) first_above = step;
      n.above[found++] = cell + step * stride;
    }
  n.span = first_below + first_above;
  return n;
}

// The two ways to interpolate a cell along one axis.
struct Candidates {
  double line = unknown, curve = unknown;
};

Candidates interpolate(const Coarse& c, std::size_t cell, std::size_t axis, const Neighbours& n) {
  const auto point = [&](std::size_t at) { return CurvePoint{c.x(at, axis), c.block.ns[at]}; };
  const double x = c.x(cell, axis);
  Candidates result{line_through(point(n.below[0]), point(n.above[0]), x), unknown};
  std::array<CurvePoint, 4> points;
  std::size_t count = 0;
  if (n.below[1] != none) points[count++] = point(n.below[1]);
  const std::size_t below = count;
  points[count++] = point(n.below[0]);
  points[count++] = point(n.above[0]);
  if (n.above[1] != none) points[count++] = point(n.above[1]);
  result.curve = curve_through({points.data(), count}, below, x);
  return result;
}

// What is known of one parameter from leaving rows out.
struct AxisQuality {
  bool curved = false;
  double score = 1;  // decides which axis fills a hole: the least
  double mean = 1;
};

class Builder {
 public:
  explicit Builder(const KernelTable& table) : table_(table), width_(table.parameters.size()) {
    out_.precision = table.precision;
    out_.width = width_;
    out_.work = WorkModel::of(table.kind, table.parameters);
    out_.roofline = fit_roofline(table);
    quality_.resize(width_);
    out_.edge_error.assign(width_, default_edge_error);
    out_.axis_factor.assign(width_, 1);
  }

  KernelGrid::Impl build() {
    split();
    leave_rows_out();
    leave_edges_out();
    for (std::size_t b = 0; b < coarse_.size(); ++b) {
      fill_enclosed(coarse_[b]);
      if (out_.roofline) fill_outwards(b);
      for (std::size_t a = 0; a < coarse_[b].block.axes.size(); ++a)
        if (quality_[out_.leading + a].curved) refine_axis(coarse_[b].block, a);
      out_.blocks.push_back(std::move(coarse_[b].block));
    }
    return std::move(out_);
  }

 private:
  std::span<const double> shape(std::size_t row) const {
    return std::span<const double>(table_.shapes).subspan(row * width_, width_);
  }

  // Chooses the leading parameters and cuts the rows into blocks.
  void split() {
    const std::size_t allowed =
        std::min(most_grid_cells, std::max(always_allowed, cells_per_row * table_.rows()));
    std::vector<std::pair<std::size_t, std::size_t>> cuts;
    for (out_.leading = 0;; ++out_.leading) {
      cuts = groups();
      std::size_t cells = 0;
      for (const auto& [begin, end] : cuts) {
        std::size_t product = 1;
        for (std::size_t p = out_.leading; p < width_ && product <= allowed; ++p)
          product *= values(p, begin, end).size();
        cells += product;
        if (cells > allowed) break;
      }
      if (cells <= allowed || out_.leading + 1 == width_) break;
    }
    for (const auto& [begin, end] : cuts) {
      const auto key = shape(begin).first(out_.leading);
      out_.groups.insert(out_.groups.end(), key.begin(), key.end());
      coarse_.push_back(block(begin, end));
    }
  }

  // Ranges of rows that agree in the leading parameters.
  std::vector<std::pair<std::size_t, std::size_t>> groups() const {
    std::vector<std::pair<std::size_t, std::size_t>> result;
    for (std::size_t row = 0; row < table_.rows(); ++row) {
      const auto key = shape(row).first(out_.leading);
      if (row > 0 && std::ranges::equal(key, shape(row - 1).first(out_.leading)))
        result.back().second = row + 1;
      else
        result.emplace_back(row, row + 1);
    }
    return result;
  }

  std::vector<double> values(std::size_t parameter, std::size_t begin, std::size_t end) const {
    std::vector<double> v;
    for (std::size_t row = begin; row < end; ++row) v.push_back(shape(row)[parameter]);
    std::sort(v.begin(), v.end());
    v.erase(std::unique(v.begin(), v.end()), v.end());
    return v;
  }

  Coarse block(std::size_t begin, std::size_t end) const {
    Coarse c;
    for (std::size_t p = out_.leading; p < width_; ++p)
      c.block.axes.push_back({values(p, begin, end), {}, {}});
    const std::size_t dims = c.block.axes.size();
    c.block.stride.assign(dims, 1);
    for (std::size_t a = dims - 1; a > 0; --a)
      c.block.stride[a - 1] = c.block.stride[a] * c.size(a);
    const std::size_t cells = c.block.stride[0] * c.size(0);
    c.block.ns.assign(cells, unknown);
    c.block.evidence.assign(cells, {});
    c.row.assign(cells, none);
    for (std::size_t row = begin; row < end; ++row) {
      std::size_t cell = 0;
      for (std::size_t a = 0; a < dims; ++a) {
        const auto& x = c.block.axes[a].x;
        const auto it = std::lower_bound(x.begin(), x.end(), shape(row)[out_.leading + a]);
        cell += static_cast<std::size_t>(it - x.begin()) * c.block.stride[a];
      }
      c.row[cell] = row;
      c.block.ns[cell] = table_.median_ns[row];
      // p10 and p90 of a normal distribution are 2.563 standard deviations apart.
      c.block.evidence[cell].error = static_cast<float>((table_.p90_ns[row] - table_.p10_ns[row]) /
                                                        2.563 / table_.median_ns[row]);
    }
    return c;
  }

  // Calls f(cell, axis, neighbours) for every row and axis on which measured rows enclose it.
  template <class F>
  void each_enclosed(const Coarse& c, const F& f) const {
    const auto measured = [&](std::size_t cell) { return c.row[cell] != none; };
    for (std::size_t cell = 0; cell < c.row.size(); ++cell) {
      if (!measured(cell)) continue;
      for (std::size_t a = 0; a < c.block.axes.size(); ++a) {
        const Neighbours n = neighbours(c, cell, a, measured);
        if (n.below[0] != none && n.above[0] != none) f(cell, a, n);
      }
    }
  }

  // Errors along each parameter, the choice between lines and curves, then errors of the whole.
  void leave_rows_out() {
    std::vector<std::vector<double>> lines(width_), curves(width_), logs(width_), scaled(width_);
    for (std::size_t b = 0; b < coarse_.size(); ++b) {
      const Coarse& c = coarse_[b];
      const std::vector<double> roof = out_.roofline ? rooflines(b) : std::vector<double>{};
      each_enclosed(c, [&](std::size_t cell, std::size_t a, const Neighbours& n) {
        const std::size_t p = out_.leading + a;
        const Candidates v = interpolate(c, cell, a, n);
        const double ns = c.block.ns[cell];
        lines[p].push_back(relative_error(v.line, ns));
        curves[p].push_back(relative_error(v.curve, ns));
        // What look-ups do not use, for comparison.
        const auto value = [&](std::size_t at, double over) {
          return CurvePoint{c.x(at, a), c.block.ns[at] / over};
        };
        const std::array<CurvePoint, 2> two{value(n.below[0], 1), value(n.above[0], 1)};
        logs[p].push_back(relative_error(curve_through(two, 0, c.x(cell, a)), ns));
        if (!roof.empty())
          scaled[p].push_back(
              relative_error(line_through(value(n.below[0], roof[n.below[0]]),
                                          value(n.above[0], roof[n.above[0]]), c.x(cell, a)) *
                                 roof[cell],
                             ns));
      });
    }
    for (std::size_t p = out_.leading; p < width_; ++p) {
      LeaveOneOut::Axis axis{table_.parameters[p],
                             summarize(std::move(lines[p])),
                             summarize(std::move(curves[p])),
                             summarize(std::move(logs[p])),
                             summarize(std::move(scaled[p])),
                             false};
      if (axis.line.count > 0) {
        axis.curved =
            axis.curve.median < curve_gain * axis.line.median && axis.curve.mean < axis.line.mean;
        const ErrorSummary& chosen = axis.curved ? axis.curve : axis.line;
        quality_[p] = {axis.curved, std::sqrt(chosen.median * chosen.mean), chosen.mean};
      }
      out_.leave_one_out.axes.push_back(std::move(axis));
    }

    std::vector<double> all, uncached;
    std::vector<std::pair<GridEvidence*, double>> residuals;
    for (Coarse& c : coarse_) {
      const auto measured = [&](std::size_t cell) { return c.row[cell] != none; };
      for (std::size_t cell = 0; cell < c.row.size(); ++cell) {
        if (!measured(cell)) continue;
        const auto filled = enclosed(c, cell, measured);
        if (!filled) continue;
        const double error = relative_error(filled->ns, c.block.ns[cell]);
        all.push_back(error);
        if (table_.flags.empty() || !(table_.flags[c.row[cell]] & kernel_flag_cached))
          uncached.push_back(error);
        residuals.emplace_back(&c.block.evidence[cell], error);
      }
    }
    out_.leave_one_out.all = summarize(std::move(all));
    out_.leave_one_out.uncached = summarize(std::move(uncached));
    // The error around a row: half its own, half the table's.
    const double mean = out_.leave_one_out.all.mean;
    for (Coarse& c : coarse_)
      for (GridEvidence& e : c.block.evidence) e.local = static_cast<float>(mean);
    for (const auto& [evidence, error] : residuals)
      evidence->local = static_cast<float>((mean + error) / 2);
    for (std::size_t p = out_.leading; p < width_; ++p)
      if (mean > 0 && out_.leave_one_out.axes[p - out_.leading].line.count > 0)
        out_.axis_factor[p] = quality_[p].mean / mean;
  }

  // A hole that known cells enclose along some axis: the axis that errs least decides, and no
  // other axis may be contradicted: the time stays between the neighbours on every axis.
  struct Filled {
    double ns = 0, error = 0;
  };
  template <class Known>
  std::optional<Filled> enclosed(const Coarse& c, std::size_t cell, const Known& known) const {
    std::optional<Filled> best;
    double best_score = 0, low = 0, high = std::numeric_limits<double>::infinity();
    for (std::size_t a = 0; a < c.block.axes.size(); ++a) {
      const Neighbours n = neighbours(c, cell, a, known);
      if (n.below[0] == none || n.above[0] == none) continue;
      const double below = c.block.ns[n.below[0]], above = c.block.ns[n.above[0]];
      low = std::max(low, std::min(below, above));
      high = std::min(high, std::max(below, above));
      const AxisQuality& q = quality_[out_.leading + a];
      const double width = static_cast<double>(n.span) / 2;
      if (best && (q.score + 1e-9) * width >= best_score) continue;
      const Candidates v = interpolate(c, cell, a, n);
      best = Filled{q.curved ? v.curve : v.line, q.mean * width};
      best_score = (q.score + 1e-9) * width;
    }
    if (best && low <= high) best->ns = std::clamp(best->ns, low, high);
    return best;
  }

  void fill_enclosed(Coarse& c) const {
    const auto measured = [&](std::size_t cell) { return c.row[cell] != none; };
    for (std::size_t cell = 0; cell < c.row.size(); ++cell) {
      if (measured(cell)) continue;
      if (const auto filled = enclosed(c, cell, measured)) {
        c.block.ns[cell] = filled->ns;
        c.block.evidence[cell].error = static_cast<float>(filled->error);
        c.block.evidence[cell].kind = PredictionKind::interpolated;
      }
    }
  }

  // Roofline times of all cells of a block.
  std::vector<double> rooflines(std::size_t b) const {
    const Coarse& c = coarse_[b];
    std::vector<double> result(c.row.size());
    const auto key = std::span(out_.groups).subspan(b * out_.leading, out_.leading);
    std::vector<double> at(key.begin(), key.end());
    at.resize(width_);
    for (std::size_t cell = 0; cell < result.size(); ++cell) {
      for (std::size_t a = 0; a < c.block.axes.size(); ++a) at[out_.leading + a] = c.x(cell, a);
      result[cell] = out_.roofline_ns(at);
    }
    return result;
  }

  // Errors of the step beyond the last row of a line, predicted from the row before it.
  void leave_edges_out() {
    if (!out_.roofline) return;
    std::vector<double> all;
    std::vector<std::vector<double>> per_doubling(width_);
    for (std::size_t b = 0; b < coarse_.size(); ++b) {
      const Coarse& c = coarse_[b];
      const auto measured = [&](std::size_t cell) { return c.row[cell] != none; };
      const std::vector<double> roof = rooflines(b);
      for (std::size_t cell = 0; cell < c.row.size(); ++cell)
        for (std::size_t a = 0; measured(cell) && a < c.block.axes.size(); ++a) {
          const Neighbours n = neighbours(c, cell, a, measured);
          if (n.below[0] == none || n.above[0] != none) continue;
          const double error = relative_error(
              c.block.ns[n.below[0]] * roof[cell] / roof[n.below[0]], c.block.ns[cell]);
          all.push_back(error);
          per_doubling[out_.leading + a].push_back(
              error / std::max(1.0, doublings(c.x(cell, a), c.x(n.below[0], a))));
        }
    }
    for (std::size_t p = 0; p < width_; ++p)
      if (const ErrorSummary s = summarize(std::move(per_doubling[p])); s.count > 0)
        out_.edge_error[p] = std::max(s.mean, least_edge_error);
    out_.leave_one_out.edge = summarize(std::move(all));
  }

  // Cells that nothing encloses: the nearest known cells along every axis, scaled as the roofline
  // scales, weighted by their errors; from cell to cell until all are filled.
  void fill_outwards(std::size_t b) {
    Coarse& c = coarse_[b];
    std::vector<std::size_t> open;
    for (std::size_t cell = 0; cell < c.row.size(); ++cell)
      if (std::isnan(c.block.ns[cell])) open.push_back(cell);
    if (open.empty()) return;
    const std::vector<double> roof = rooflines(b);
    while (!open.empty()) {
      const auto known = [&](std::size_t cell) { return !std::isnan(c.block.ns[cell]); };
      std::vector<std::pair<std::size_t, Filled>> found;
      std::vector<std::size_t> rest;
      for (const std::size_t cell : open) {
        double weights = 0, ratio = 0, error = 0;
        for (std::size_t a = 0; a < c.block.axes.size(); ++a) {
          const Neighbours n = neighbours(c, cell, a, known);
          for (const std::size_t from : {n.below[0], n.above[0]}) {
            if (from == none) continue;
            const double e = static_cast<double>(c.block.evidence[from].error) +
                             out_.edge_error[out_.leading + a] *
                                 std::max(0.1, doublings(c.x(cell, a), c.x(from, a)));
            const double weight = 1 / (e * e);
            weights += weight;
            ratio += weight * c.block.ns[from] / roof[from];
            error += weight * e;
          }
        }
        const Filled filled{ratio / weights * roof[cell], error / weights};
        if (std::isfinite(filled.ns) && filled.ns > 0 && std::isfinite(filled.error))
          found.push_back({cell, filled});
        else
          rest.push_back(cell);
      }
      if (found.empty()) return;  // shapes so extreme that their rooflines overflow stay unknown
      for (const auto& [cell, filled] : found) {
        c.block.ns[cell] = filled.ns;
        c.block.evidence[cell].error = static_cast<float>(filled.error);
        c.block.evidence[cell].kind = PredictionKind::extrapolated;
      }
      open = std::move(rest);
    }
  }

  const KernelTable& table_;
  std::size_t width_;
  KernelGrid::Impl out_;
  std::vector<Coarse> coarse_;
  std::vector<AxisQuality> quality_;
};

}  // namespace

KernelGrid::Impl build_grid(const KernelTable& table) { return Builder(table).build(); }

}  // namespace isthmus::models
