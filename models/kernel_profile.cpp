#include "models/kernel_profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

std::string place(const KernelTable& t) {
  return fmt::format("kernel table {}/{}", t.kind, name_of(t.precision));
}

// Refuses a table that no measurement can have given.
void validate(const KernelTable& t) {
  const auto refuse = [&](const std::string& what) { throw InputError(place(t) + ": " + what); };
  const std::size_t rows = t.rows(), width = t.parameters.size();
  if (t.kind.empty() || t.kind.find('/') != std::string::npos)
    refuse("its kind is not a valid name");
  if (width == 0) refuse("has no shape parameters");
  if (width > KernelProfile::max_parameters)
    refuse(
        fmt::format("has {} shape parameters, more than {}", width, KernelProfile::max_parameters));
  for (std::size_t i = 0; i < width; ++i) {
    const std::string& name = t.parameters[i];
    const auto earlier = t.parameters.begin() + static_cast<std::ptrdiff_t>(i);
    if (name.empty() || name.find('/') != std::string::npos || name == "median_ns" ||
        name == "p10_ns" || name == "p90_ns" || name == "repeats" || name == "flags" ||
        name == "power_w" || std::find(t.parameters.begin(), earlier, name) != earlier)
      refuse("'" + name + "' cannot be the name of a shape parameter here");
  }
  if (rows == 0) refuse("has no rows");
  if ((!t.flags.empty() && t.flags.size() != rows) ||
      (!t.power_w.empty() && t.power_w.size() != rows))
    refuse("its columns differ in length");
  if (t.shapes.size() != rows * width || t.p10_ns.size() != rows || t.p90_ns.size() != rows ||
      t.n.size() != rows)
    refuse("its columns differ in length");
  for (const double v : t.shapes)
    if (!(v >= 0) || !std::isfinite(v)) refuse(fmt::format("has a shape parameter of {}", v));
  for (const double v : t.power_w)
    if (!(v >= 0) || !std::isfinite(v)) refuse(fmt::format("has a power of {} W", v));
  for (std::size_t i = 0; i < rows; ++i) {
    if (!(t.p10_ns[i] > 0 && t.p10_ns[i] <= t.median_ns[i] && t.median_ns[i] <= t.p90_ns[i]) ||
        !std::isfinite(t.p90_ns[i]))
      refuse(fmt::format("row {} needs 0 < p10_ns <= median_ns <= p90_ns, not {}, {}, {}", i,
                         t.p10_ns[i], t.median_ns[i], t.p90_ns[i]));
    if (t.n[i] == 0) refuse(fmt::format("row {} has no repetitions", i));
  }
}

// Sorts the rows by shape, which look-ups need, and refuses equal shapes.
KernelTable sorted(const KernelTable& t) {
  const std::size_t width = t.parameters.size();
  std::vector<std::size_t> order(t.rows());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto shape = [&](std::size_t row) {
    return std::span<const double>(t.shapes).subspan(row * width, width);
  };
  const auto less = [&](std::size_t a, std::size_t b) {
    return std::lexicographical_compare(shape(a).begin(), shape(a).end(), shape(b).begin(),
                                        shape(b).end());
  };
  std::sort(order.begin(), order.end(), less);
  KernelTable s{t.kind, t.precision, t.parameters, t.description, {}, {}, {}, {}, {}, {}, {}};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t row = order[i];
    if (i > 0 && !less(order[i - 1], row))
      throw InputError(
          fmt::format("{}: shape ({}) occurs twice", place(t), fmt::join(shape(row), ", ")));
    s.shapes.insert(s.shapes.end(), shape(row).begin(), shape(row).end());
    s.median_ns.push_back(t.median_ns[row]);
    s.p10_ns.push_back(t.p10_ns[row]);
    s.p90_ns.push_back(t.p90_ns[row]);
    s.n.push_back(t.n[row]);
    if (!t.flags.empty()) s.flags.push_back(t.flags[row]);
    if (!t.power_w.empty()) s.power_w.push_back(t.power_w[row]);
  }
  return s;
}

}  // namespace

KernelProfile::Prepared::Prepared(KernelTable t) : table(std::move(t)), grid(table) {
  // +1 keeps parameters of zero comparable.
  for (const double v : table.shapes) logs.push_back(std::log(v + 1));
}

void KernelProfile::add(KernelTable table) {
  validate(table);
  if (find(table.kind, table.precision)) throw InputError(place(table) + ": occurs twice");
  tables_.push_back(std::make_shared<const Prepared>(sorted(table)));
}

std::vector<const KernelTable*> KernelProfile::tables() const {
  std::vector<const KernelTable*> result;
  for (const auto& p : tables_) result.push_back(&p->table);
  return result;
}

const KernelProfile::Prepared* KernelProfile::find(std::string_view kind,
                                                   Precision precision) const {
  for (const auto& p : tables_)
    if (p->table.precision == precision && p->table.kind == kind) return p.get();
  return nullptr;
}

const KernelTable* KernelProfile::table(std::string_view kind, Precision precision) const {
  const Prepared* p = find(kind, precision);
  return p ? &p->table : nullptr;
}

const KernelGrid* KernelProfile::grid(std::string_view kind, Precision precision) const {
  const Prepared* p = find(kind, precision);
  return p ? &p->grid : nullptr;
}

std::optional<KernelTime> KernelProfile::lookup(std::string_view kind, Precision precision,
                                                std::span<const double> shape) const {
  const KernelGrid* g = grid(kind, precision);
  return g ? g->at(shape) : std::nullopt;
}

std::optional<KernelLine> KernelProfile::line(std::string_view kind, Precision precision,
                                              std::span<const double> shape, std::size_t free,
                                              double low, double high) const {
  const KernelGrid* g = grid(kind, precision);
  return g ? g->line(shape, free, low, high) : std::nullopt;
}

std::optional<KernelProfile::Nearest> KernelProfile::nearest(std::string_view kind,
                                                             Precision precision,
                                                             std::span<const double> shape) const {
  const Prepared* p = find(kind, precision);
  if (!p) return std::nullopt;
  const KernelTable& t = p->table;
  const std::size_t width = t.parameters.size();
  std::vector<double> wanted;
  for (const double v : shape) wanted.push_back(std::log(v + 1));
  std::size_t best = 0;
  double best_distance = -1;
  for (std::size_t row = 0; row < t.rows(); ++row) {
    double distance = 0;
    for (std::size_t i = 0; i < width; ++i) {
      const double r = wanted[i] - p->logs[row * width + i];
      distance += r * r;
    }
    if (best_distance < 0 || distance < best_distance) {
      best_distance = distance;
      best = row;
    }
  }
  const auto first = t.shapes.begin() + static_cast<std::ptrdiff_t>(best * width);
  return Nearest{{first, first + static_cast<std::ptrdiff_t>(width)}, t.median_ns[best]};
}

std::optional<LeaveOneOut> KernelProfile::leave_one_out(std::string_view kind,
                                                        Precision precision) const {
  const KernelGrid* g = grid(kind, precision);
  if (!g || g->leave_one_out().all.count == 0) return std::nullopt;
  return g->leave_one_out();
}

std::optional<double> KernelProfile::leave_one_out_error(std::string_view kind,
                                                         Precision precision) const {
  const auto errors = leave_one_out(kind, precision);
  return errors ? std::optional(errors->all.mean) : std::nullopt;
}

}  // namespace isthmus::models
