#include "models/roofline_fit.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <vector>

#include "models/kernel_kinds.hpp"
#include "models/kernel_profile.hpp"

namespace isthmus::models {

namespace {

struct Row {
  double flops, bytes, ns;
};

// Launch time and the times per flop and per byte; logarithms are fitted, so all stay positive.
using Figures = Eigen::Vector3d;
enum : int { launch, per_flop, per_byte };

double predict(const Figures& f, const Row& r) {
  return f[launch] + std::max(f[per_flop] * r.flops, f[per_byte] * r.bytes);
}

double cost(const Figures& f, const std::vector<Row>& rows) {
  double sum = 0;
  for (const Row& r : rows) {
    const double e = std::log(predict(f, r) / r.ns);
    sum += e * e;
  }
  return sum;
}

// Time per unit of work that a tenth of the rows undercut; 0 when there is no work.
double tenth_percentile(std::vector<double> rates) {
  if (rates.empty()) return 0;
  const auto at = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 10);
  std::nth_element(rates.begin(), at, rates.end());
  return *at;
}

// Levenberg-Marquardt on the logarithms of the figures.
Figures improve(Figures f, const std::vector<Row>& rows) {
  double now = cost(f, rows), damping = 1e-3;
  for (int step = 0; step < 200 && damping < 1e8; ++step) {
    Eigen::Matrix3d normal = Eigen::Matrix3d::Zero();
    Eigen::Vector3d gradient = Eigen::Vector3d::Zero();
    for (const Row& r : rows) {
      const double t = predict(f, r);
      const bool compute = f[per_flop] * r.flops > f[per_byte] * r.bytes;
      const Eigen::Vector3d slope(f[launch] / t, compute ? f[per_flop] * r.flops / t : 0,
                                  compute ? 0 : f[per_byte] * r.bytes / t);
      normal += slope * slope.transpose();
      gradient += slope * std::log(t / r.ns);
    }
    Eigen::Matrix3d damped = normal;
    damped.diagonal() += damping * (normal.diagonal().array() + 1e-9).matrix();
    const Eigen::Vector3d move = -damped.ldlt().solve(gradient);
    const Figures next = (f.array() * move.array().min(2.0).max(-2.0).exp()).matrix();
    const double then = cost(next, rows);
    if (then < now) {
      const bool settled = now - then < 1e-12 * now;
      f = next;
      now = then;
      damping = std::max(damping / 3, 1e-9);
      if (settled) break;
    } else {
      damping *= 4;
    }
  }
  return f;
}

}  // namespace

double FittedRoofline::ns(const KernelWork& work, Precision precision) const {
  const double compute = flops_per_ns > 0 ? work.flops / flops_per_ns : 0;
  const double memory = bytes_per_ns > 0 ? work.traffic(precision) / bytes_per_ns : 0;
  return launch_ns + std::max(compute, memory);
}

std::optional<FittedRoofline> fit_roofline(const KernelTable& table) {
  const auto model = WorkModel::of(table.kind, table.parameters);
  if (!model) return std::nullopt;
  const std::size_t width = table.parameters.size();
  const auto collect = [&](bool all) {
    std::vector<Row> rows;
    for (std::size_t i = 0; i < table.rows(); ++i) {
      if (!all && !table.flags.empty() && (table.flags[i] & kernel_flag_cached)) continue;
      const KernelWork w =
          (*model)(std::span<const double>(table.shapes).subspan(i * width, width));
      rows.push_back({w.flops, w.traffic(table.precision), table.median_ns[i]});
    }
    return rows;
  };
  std::vector<Row> rows = collect(false);
  if (rows.size() < 3) rows = collect(true);

  // Kernels that do the same arithmetic to every element: memory is what limits them.
  const bool proportional = std::all_of(rows.begin(), rows.end(), [&](const Row& r) {
    return std::abs(r.flops * rows[0].bytes - rows[0].flops * r.bytes) <=
           1e-9 * r.flops * rows[0].bytes;
  });
  if (proportional && rows[0].bytes > 0)
    for (Row& r : rows) r.flops = 0;

  // The start decides between compute and memory: what the fastest tenth reaches.
  std::vector<double> flop_rates, byte_rates;
  double shortest = rows.front().ns;
  for (const Row& r : rows) {
    if (r.flops > 0) flop_rates.push_back(r.ns / r.flops);
    if (r.bytes > 0) byte_rates.push_back(r.ns / r.bytes);
    shortest = std::min(shortest, r.ns);
  }
  const Figures f =
      improve({shortest / 2, tenth_percentile(flop_rates), tenth_percentile(byte_rates)}, rows);

  FittedRoofline fit{.launch_ns = f[launch]};
  std::vector<double> errors;
  for (const Row& r : rows) {
    if (f[per_flop] * r.flops > f[per_byte] * r.bytes)
      fit.flops_per_ns = 1 / f[per_flop];
    else if (f[per_byte] * r.bytes > 0)
      fit.bytes_per_ns = 1 / f[per_byte];
    errors.push_back(std::abs(predict(f, r) / r.ns - 1));
  }
  const auto middle = errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2);
  std::nth_element(errors.begin(), middle, errors.end());
  fit.median_error = *middle;
  return fit;
}

}  // namespace isthmus::models
