#include "devices/thermal_network.hpp"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

namespace {

// (1 - exp(-x)) / x and the like must not lose digits for slow modes and short steps.
double decayed(double rate, double seconds) { return std::exp(-rate * seconds); }
// Integral of exp(-rate t) over [0, seconds].
double decay_integral(double rate, double seconds) {
  const double x = rate * seconds;
  return std::abs(x) < 1e-300 ? seconds : -std::expm1(-x) / x * seconds;
}
// Integral of decay_integral over [0, seconds].
double decay_integral_twice(double rate, double seconds) {
  const double x = rate * seconds;
  if (std::abs(x) < 1e-3)  // series, relative error below 1e-16
    return seconds * seconds * (0.5 - x / 6 + x * x / 24 - x * x * x / 120 + x * x * x * x / 720);
  return (x + std::expm1(-x)) / (x * x) * seconds * seconds;
}

}  // namespace

ThermalNetwork::ThermalNetwork(const ThermalNetworkSpec& spec, double ambient)
    : ambient_(ambient), reference_(spec.leakage_reference) {
  const auto n = static_cast<Eigen::Index>(spec.nodes.size());
  if (n == 0) throw InputError("thermal network: no nodes");
  Eigen::MatrixXd g = Eigen::MatrixXd::Zero(n, n);  // W/K
  from_ambient_ = leak_ = capacity_ = power_ = Eigen::VectorXd::Zero(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const ThermalNode& node = spec.nodes[static_cast<std::size_t>(i)];
    if (!(node.capacitance > 0) || std::isinf(node.capacitance))
      throw InputError(fmt::format("thermal node \"{}\": capacitance {} J/K is not above 0",
                                   node.name, node.capacitance));
    if (!(node.to_ambient > 0))
      throw InputError(fmt::format("thermal node \"{}\": resistance {} K/W is not above 0",
                                   node.name, node.to_ambient));
    if (!(node.leakage >= 0) || std::isinf(node.leakage))
      throw InputError(fmt::format("thermal node \"{}\": leakage {} W/K", node.name, node.leakage));
    capacity_[i] = node.capacitance;
    from_ambient_[i] = 1 / node.to_ambient;
    leak_[i] = node.leakage;
    g(i, i) += from_ambient_[i];
  }
  std::vector<bool> cooled(static_cast<std::size_t>(n));
  for (Eigen::Index i = 0; i < n; ++i) cooled[static_cast<std::size_t>(i)] = from_ambient_[i] > 0;
  for (const ThermalLink& l : spec.links) {
    if (l.a >= spec.nodes.size() || l.b >= spec.nodes.size())
      throw InputError("thermal network: a link between nodes that do not exist");
    if (l.a == l.b)
      throw InputError(
          fmt::format("thermal link from \"{}\" to itself; name two parts", spec.nodes[l.a].name));
    if (!(l.resistance > 0))
      throw InputError(fmt::format("thermal link {} - {}: resistance {} K/W is not above 0",
                                   spec.nodes[l.a].name, spec.nodes[l.b].name, l.resistance));
    const double c = 1 / l.resistance;
    g(l.a, l.a) += c;
    g(l.b, l.b) += c;
    g(l.a, l.b) -= c;
    g(l.b, l.a) -= c;
  }
  for (std::size_t pass = 0; pass < spec.nodes.size(); ++pass)
    for (const ThermalLink& l : spec.links)
      if (cooled[l.a] || cooled[l.b]) cooled[l.a] = cooled[l.b] = true;
  for (std::size_t i = 0; i < cooled.size(); ++i)
    if (!cooled[i])
      throw InputError(
          fmt::format("thermal node \"{}\" has no path to ambient and would heat for ever; give it "
                      "a resistance",
                      spec.nodes[i].name));

  // Symmetric in coordinates scaled by sqrt(C).
  const Eigen::VectorXd root = capacity_.cwiseSqrt();
  Eigen::MatrixXd a = g;
  a.diagonal() -= leak_;
  a = root.cwiseInverse().asDiagonal() * a * root.cwiseInverse().asDiagonal();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(a);
  rates_ = solver.eigenvalues();
  to_nodes_ = root.cwiseInverse().asDiagonal() * solver.eigenvectors();
  to_modes_ = solver.eigenvectors().transpose() * root.asDiagonal();
  if (!rates_.allFinite() || !to_nodes_.allFinite() || !to_modes_.allFinite())
    throw InputError(
        "thermal network: capacitances and resistances lie too far from 1 to compute with");
  leak_modes_ = to_nodes_.transpose() * leak_;
  modes_ = to_modes_ * Eigen::VectorXd::Constant(n, ambient);
  target();
}

void ThermalNetwork::target() {
  const Eigen::VectorXd in = power_ + ambient_ * from_ambient_ - reference_ * leak_;
  forced_.noalias() = to_modes_ * in.cwiseQuotient(capacity_);
}

void ThermalNetwork::set_power(std::uint32_t node, double watts) {
  const double change = watts - power_[node];
  if (change == 0) return;
  power_[node] = watts;
  forced_ += to_modes_.col(node) * (change / capacity_[node]);
}

void ThermalNetwork::set_ambient(double celsius) {
  ambient_ = celsius;
  target();
}

double ThermalNetwork::leaked_after(double seconds) const {
  double sum = -reference_ * leak_.sum() * seconds;
  for (Eigen::Index i = 0; i < rates_.size(); ++i)
    sum += leak_modes_[i] * (modes_[i] * decay_integral(rates_[i], seconds) +
                             forced_[i] * decay_integral_twice(rates_[i], seconds));
  return sum;
}

void ThermalNetwork::advance(double seconds) {
  if (leak_modes_.size() > 0 && leak_.any()) leaked_ += leaked_after(seconds);
  for (Eigen::Index i = 0; i < rates_.size(); ++i)
    modes_[i] =
        modes_[i] * decayed(rates_[i], seconds) + forced_[i] * decay_integral(rates_[i], seconds);
}

double ThermalNetwork::temperature(std::uint32_t node) const {
  return to_nodes_.row(node).dot(modes_);
}

double ThermalNetwork::temperature_after(std::uint32_t node, double seconds) const {
  double t = 0;
  for (Eigen::Index i = 0; i < rates_.size(); ++i)
    t += to_nodes_(node, i) * (modes_[i] * decayed(rates_[i], seconds) +
                               forced_[i] * decay_integral(rates_[i], seconds));
  return t;
}

double ThermalNetwork::settles_at(std::uint32_t node) const {
  if (runs_away()) return std::numeric_limits<double>::infinity();
  double t = 0;
  for (Eigen::Index i = 0; i < rates_.size(); ++i) t += to_nodes_(node, i) * forced_[i] / rates_[i];
  return t;
}

double ThermalNetwork::leakage() const {
  return leak_modes_.dot(modes_) - reference_ * leak_.sum();
}

}  // namespace isthmus::devices
