#include "models/efficiency_model.hpp"

#include <algorithm>
#include <cmath>

#include "models/nonnegative_fit.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double median(std::vector<double> v) {
  if (v.empty()) throw InternalError("median of nothing");
  std::sort(v.begin(), v.end());
  return v.size() % 2 == 1 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

// Non-negative rates with the smallest relative errors; rows of work already divided by the time.
EfficiencyModel fit_rates(const std::vector<WorkAmounts>& rows) {
  Eigen::MatrixXd a(static_cast<Eigen::Index>(rows.size()), static_cast<Eigen::Index>(work_kinds));
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t i = 0; i < work_kinds; ++i)
      a(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(i)) = rows[r][i];
  const Eigen::VectorXd x = nonnegative_least_squares(a, Eigen::VectorXd::Ones(a.rows()));
  EfficiencyModel m;
  for (std::size_t i = 0; i < work_kinds; ++i) m.ns[i] = x(static_cast<Eigen::Index>(i));
  return m;
}

}  // namespace

WorkAmounts work_of(const Operator& op, double batch) {
  WorkAmounts w{};
  const auto at = [&](Work k) -> double& { return w[static_cast<std::size_t>(k)]; };
  if (op.kind == OperatorKind::input) return w;
  at(Work::operators) = 1;
  const double traffic = (op.input_elements + op.output_elements) * batch;
  const double macs = op.macs * batch;
  switch (op.kind) {
    case OperatorKind::conv:
      at(op.groups > 1                      ? Work::grouped
         : op.kernel == 1                   ? Work::pointwise
         : op.kernel == 3 && op.stride == 1 ? Work::winograd
                                            : Work::convolution) = macs;
      at(Work::conv_traffic) = traffic;
      at(Work::conv_weights) = op.params;
      break;
    case OperatorKind::depthwise_conv:
      at(Work::depthwise) = macs;
      at(Work::depth_traffic) = traffic;
      break;
    case OperatorKind::gemm:
      // A single row is the reading of its weights; more rows are a pointwise convolution.
      if (macs > op.params * 1.5) at(Work::pointwise) = macs;
      at(Work::product_weights) = op.params * op.active;
      break;
    case OperatorKind::batched_gemm:
    case OperatorKind::attention:
      at(Work::pointwise) = macs;
      at(Work::other_traffic) = traffic;
      break;
    default:
      at(Work::other_traffic) = traffic;
  }
  return w;
}

WorkAmounts work_of(const OperatorGraph& graph, double batch) {
  WorkAmounts sum{};
  for (std::size_t v = 0; v < graph.size(); ++v) {
    const WorkAmounts w = work_of(graph.at(v), batch);
    for (std::size_t i = 0; i < work_kinds; ++i) sum[i] += w[i];
  }
  return sum;
}

EfficiencyModel fit_class(const std::vector<std::vector<MeasuredNetwork>>& devices) {
  std::vector<double> speed;
  for (const auto& d : devices) {
    double logs = 0;
    for (const auto& n : d) logs += std::log(n.ns);
    speed.push_back(std::exp(logs / static_cast<double>(d.size())));
  }
  EfficiencyModel m;
  for (int round = 0; round < 4; ++round) {
    std::vector<WorkAmounts> rows;
    for (std::size_t d = 0; d < devices.size(); ++d)
      for (const auto& n : devices[d]) {
        rows.push_back(n.work);
        for (double& v : rows.back()) v *= speed[d] / n.ns;
      }
    m = fit_rates(rows);
    double logs = 0;
    for (std::size_t d = 0; d < devices.size(); ++d) {
      speed[d] = fit_speed(m, devices[d]);
      logs += std::log(speed[d]);
    }
    // Speeds around one, so that the shape keeps its scale.
    const double mean = std::exp(logs / static_cast<double>(devices.size()));
    for (double& s : speed) s /= mean;
    for (double& v : m.ns) v *= mean;
  }
  return m;
}

double fit_speed(const EfficiencyModel& shape, const std::vector<MeasuredNetwork>& networks) {
  std::vector<double> ratios;
  for (const auto& n : networks) ratios.push_back(std::log(n.ns / shape.predict_ns(n.work)));
  return std::exp(median(std::move(ratios)));
}

EfficiencyModel fit_device(const EfficiencyModel& shape,
                           const std::vector<MeasuredNetwork>& networks, double strength) {
  const double speed = fit_speed(shape, networks);
  const auto count = static_cast<Eigen::Index>(networks.size());
  const auto kinds = static_cast<Eigen::Index>(work_kinds);
  // Unknowns are factors on the class's rates; the pull towards one is a row of its own for each.
  Eigen::MatrixXd a = Eigen::MatrixXd::Zero(count + kinds, kinds);
  for (Eigen::Index r = 0; r < count; ++r)
    for (Eigen::Index i = 0; i < kinds; ++i) {
      const auto& n = networks[static_cast<std::size_t>(r)];
      a(r, i) = shape.ns[static_cast<std::size_t>(i)] * n.work[static_cast<std::size_t>(i)] *
                speed / n.ns;
    }
  const double pull = strength * std::sqrt(static_cast<double>(count));
  Eigen::VectorXd weights = Eigen::VectorXd::Ones(count), factors;
  for (int round = 0; round < 3; ++round) {
    Eigen::MatrixXd rows = a;
    Eigen::VectorXd wanted = Eigen::VectorXd::Ones(count + kinds);
    for (Eigen::Index r = 0; r < count; ++r) {
      rows.row(r) *= weights(r);
      wanted(r) = weights(r);
    }
    for (Eigen::Index i = 0; i < kinds; ++i) {
      rows(count + i, i) = pull;
      wanted(count + i) = pull;
    }
    factors = nonnegative_least_squares(rows, wanted);
    const Eigen::VectorXd errors = (a.topRows(count) * factors).array() - 1;
    for (Eigen::Index r = 0; r < count; ++r)
      weights(r) = 1 / std::sqrt(std::max(std::abs(errors(r)), 0.05));
  }
  EfficiencyModel m;
  for (std::size_t i = 0; i < work_kinds; ++i)
    m.ns[i] = shape.ns[i] * speed * factors(static_cast<Eigen::Index>(i));
  return m;
}

}  // namespace isthmus::models
