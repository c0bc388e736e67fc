#include "models/kernel_curve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/kernel_profile.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

KernelCurve::KernelCurve(const std::vector<double>& x, const std::vector<double>& ns) {
  if (x.empty() || x.size() != ns.size()) throw InternalError("a kernel curve needs points");
  pieces_.push_back({0, ns[0], 0});
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    if (!(x[i + 1] > x[i])) throw InternalError("the points of a kernel curve must ascend");
    const double slope = (ns[i + 1] - ns[i]) / (x[i + 1] - x[i]);
    pieces_.push_back({x[i], ns[i] - slope * x[i], slope});
  }
  // Work never shrinks: a falling last piece would cross zero somewhere.
  if (Piece& last = pieces_.back(); pieces_.size() > 1 && last.slope < 0)
    pieces_.push_back({x.back(), ns.back(), 0});
  if (pieces_.size() > 1 && pieces_[1].start == 0) pieces_.erase(pieces_.begin());
}

double KernelCurve::end_of_piece(double x) const {
  const auto i = static_cast<std::size_t>(&piece(x) - pieces_.data());
  return i + 1 < pieces_.size() ? pieces_[i + 1].start : std::numeric_limits<double>::infinity();
}

double KernelCurve::sum(double first, double last) const {
  double total = 0;
  while (first <= last) {
    // All whole steps that lie in this piece, as an arithmetic series.
    const Piece& p = piece(first);
    const double end = end_of_piece(first);
    const double inside = std::isfinite(end) ? std::ceil(end - first) : last - first + 1;
    const double count = std::max(1.0, std::min(last - first + 1, inside));
    total += count * p.base + p.slope * (count * first + count * (count - 1) / 2);
    first += count;
  }
  return total;
}

KernelCurve KernelCurve::scaled(double count, double stretch) const {
  KernelCurve result = *this;
  for (Piece& p : result.pieces_)
    p = {p.start * stretch, p.base * count, p.slope * count / stretch};
  return result;
}

PredictionKind MeasuredCurve::kind(double x) const {
  if (x < first || x > last) return PredictionKind::extrapolated;
  return rows && std::binary_search(knots.begin(), knots.end(), x) ? PredictionKind::measured
                                                                   : PredictionKind::interpolated;
}

CurveMaker::CurveMaker(const KernelProfile& profile, std::string_view kind, Precision precision,
                       std::string_view free)
    : profile_(profile), table_(profile.table(kind, precision)) {
  if (!table_) return;
  const auto& names = table_->parameters;
  const auto it = std::find(names.begin(), names.end(), free);
  if (it == names.end()) {
    table_ = nullptr;
    return;
  }
  variable_ = static_cast<std::size_t>(it - names.begin());
  for (std::size_t row = 0; row < table_->rows(); ++row)
    values_.push_back(table_->shapes[row * names.size() + variable_]);
  std::sort(values_.begin(), values_.end());
  values_.erase(std::unique(values_.begin(), values_.end()), values_.end());
}

std::optional<MeasuredCurve> CurveMaker::operator()(const KernelParameters& fixed) const {
  if (!table_) return std::nullopt;
  std::vector<double> shape(table_->parameters.size(), 0);
  for (std::size_t i = 0; i < shape.size(); ++i)
    for (const auto& [name, value] : fixed)
      if (table_->parameters[i] == name) shape[i] = value;

  // Every value of the free parameter that occurs is a knot, if the table answers there.
  MeasuredCurve result;
  std::vector<double> ns;
  result.rows = true;
  for (const double v : values_) {
    shape[variable_] = v;
    const auto hit = profile_.lookup(table_->kind, table_->precision, shape);
    if (!hit || hit->kind == PredictionKind::extrapolated) continue;
    result.rows = result.rows && hit->kind == PredictionKind::measured;
    result.knots.push_back(v);
    ns.push_back(hit->ns);
    result.relative_error = std::max(result.relative_error, hit->relative_error);
  }
  if (result.knots.empty()) return std::nullopt;
  result.first = result.knots.front();
  result.last = result.knots.back();
  result.curve = KernelCurve(result.knots, ns);
  return result;
}

double CurveMaker::largest(std::string_view parameter) const {
  const std::vector<double> all = values_of(parameter);
  return all.empty() ? 0 : *std::max_element(all.begin(), all.end());
}

double CurveMaker::smallest(std::string_view parameter) const {
  double least = 0;
  for (const double v : values_of(parameter))
    if (v > 0 && (least == 0 || v < least)) least = v;
  return least;
}

std::vector<double> CurveMaker::values_of(std::string_view parameter) const {
  std::vector<double> all;
  if (!table_) return all;
  const std::size_t width = table_->parameters.size();
  for (std::size_t i = 0; i < width; ++i)
    if (table_->parameters[i] == parameter)
      for (std::size_t row = 0; row < table_->rows(); ++row)
        all.push_back(table_->shapes[row * width + i]);
  return all;
}

}  // namespace isthmus::models
