// profile check: how well the rows of a profile predict each other.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "models/kernel_kinds.hpp"
#include "models/kernel_profile.hpp"
#include "scenarios/catalogue.hpp"
#include "scenarios/cli.hpp"
#include "scenarios/problems.hpp"
#include "scenarios/unit_strings.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

using models::ErrorSummary;
using models::KernelProfile;
using models::KernelTable;
using models::LeaveOneOut;

// The aim for products and attention: median error of rows that were left out.
constexpr double aim = 0.05;

bool is_judged(const KernelTable& t) { return t.kind == "gemm" || t.kind.ends_with("attention"); }

std::size_t flagged(const KernelTable& t, unsigned flag) {
  return static_cast<std::size_t>(
      std::count_if(t.flags.begin(), t.flags.end(), [&](auto f) { return (f & flag) != 0; }));
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

void print_errors(const std::string& name, const ErrorSummary& e, const std::string& remark) {
  if (e.count == 0)
    fmt::print("    {:28} {:>7} {:>9} {:>9} {:>9}  {}\n", name, 0, "-", "-", "-", remark);
  else
    fmt::print("    {:28} {:>7} {:>9} {:>9} {:>9}  {}\n", name, e.count, percent(e.median),
               percent(e.mean), percent(e.p90), remark);
}

// Figures of a catalogue device's units, one of which may have measured a table.
struct Peaks {
  struct OneUnit {
    const Value* peak;
    double bandwidth;
  };
  std::vector<OneUnit> units;

  Peaks(const Catalogue& catalogue, const std::string& device) {
    const Value* entry = catalogue.device(device);
    if (!entry)
      throw InputError(fmt::format("there is no device \"{}\"{}", device,
                                   suggestion(device, catalogue.devices())));
    for (const Member& unit : entry->find("units")->members)
      units.push_back({unit.value.find("peak"),
                       quantity(unit.value.find("memory_bandwidth"), Unit::bandwidth)});
  }
  static double quantity(const Value* v, Unit unit) {
    return v && v->is(JsonKind::text) ? parse_quantity(v->text, unit) : 0;
  }
  // The unit that is fastest in a format: operations/s and bytes/s, 0 = unknown.
  std::pair<double, double> of(models::Precision p) const {
    std::pair<double, double> best{0, 0};
    for (const OneUnit& u : units) {
      const double flops =
          quantity(u.peak ? u.peak->find(models::name_of(p)) : nullptr, Unit::compute);
      if (flops > best.first || best.second == 0) best = {flops, u.bandwidth};
    }
    return best;
  }
};

double three_digits(double v) {
  const double scale = std::pow(10, 2 - std::floor(std::log10(v)));
  return std::round(v * scale) / scale;
}

// A fitted rate per ns in units of `size` per second, as a share of the peak where it is known.
std::string rate(double per_ns, double peak, double size, const char* unit) {
  if (per_ns == 0) return fmt::format("no row limited by {}", unit);
  const double per_s = per_ns * 1e9;
  const std::string share =
      peak > 0 ? fmt::format(" ({:.0f} % of {:g})", 100 * per_s / peak, peak / size) : "";
  return fmt::format("{:g} {}{}", three_digits(per_s / size), unit, share);
}

void print_table(const KernelProfile& profile, const KernelTable& t, const Peaks* peaks) {
  const models::KernelGrid& grid = *profile.grid(t.kind, t.precision);
  const LeaveOneOut& errors = grid.leave_one_out();
  const std::size_t cached = flagged(t, models::kernel_flag_cached);
  const std::size_t noisy = flagged(t, models::kernel_flag_noisy);
  fmt::print("  {} {}: {} rows", t.kind, models::name_of(t.precision), t.rows());
  if (cached > 0) fmt::print(", {} cached", cached);
  if (noisy > 0) fmt::print(", {} noisy", noisy);
  fmt::print("\n");
  print_errors("rows left out", errors.all, "");
  if (cached > 0) print_errors("  of them not cached", errors.uncached, "");
  for (const LeaveOneOut::Axis& axis : errors.axes)
    if (axis.line.count > 0)
      print_errors("  along " + axis.parameter + " only", axis.curved ? axis.curve : axis.line,
                   fmt::format("{}; straight {}, curve {}, logs {}, scaled {}",
                               axis.curved ? "curve" : "straight", percent(axis.line.median),
                               percent(axis.curve.median), percent(axis.logs.median),
                               axis.scaled.count > 0 ? percent(axis.scaled.median) : "-"));
  if (errors.edge.count > 0) print_errors("last rows left out", errors.edge, "by the roofline");
  if (const auto& roof = grid.roofline()) {
    const auto model = models::WorkModel::of(t.kind, t.parameters);
    if (!model->physical()) return;
    const auto [flops, bandwidth] = peaks ? peaks->of(t.precision) : std::pair(0.0, 0.0);
    fmt::print("    fitted roofline: {}, {}, launch {:.3g} us, median error {}\n",
               rate(roof->flops_per_ns, flops, 1e9, "GFLOPS"),
               rate(roof->bytes_per_ns, bandwidth, 1e9, "GB/s"), roof->launch_ns * 1e-3,
               percent(roof->median_error));
  }
}

}  // namespace

int command_profile_check(const std::vector<std::string>& files, const std::string& device) {
  Sources sources;
  const Catalogue catalogue(catalogue_folder(), sources);
  std::optional<Peaks> peaks;
  if (!device.empty()) peaks.emplace(catalogue, device);

  for (const std::string& file : files) {
    const KernelProfile profile = KernelProfile::load(file);
    fmt::print("{}: {}\n    {:28} {:>7} {:>9} {:>9} {:>9}  {}\n", file, profile.info().device,
               "relative errors", "rows", "median", "mean", "p90", "used; medians of all ways");
    std::string missed;
    bool judged = false;
    for (const KernelTable* t : profile.tables()) {
      print_table(profile, *t, peaks ? &*peaks : nullptr);
      const auto errors = profile.leave_one_out(t->kind, t->precision);
      if (!is_judged(*t) || !errors) continue;
      judged = true;
      if (errors->all.median > aim)
        missed += fmt::format("{}{} {} ({})", missed.empty() ? "" : ", ", t->kind,
                              models::name_of(t->precision), percent(errors->all.median));
    }
    fmt::print("  median error <= {:.0f} % for gemm and attention: {}\n\n", 100 * aim,
               !judged          ? "no such tables"
               : missed.empty() ? "yes"
                                : "no, " + missed);
  }
  return exit_ok;
}

}  // namespace isthmus::scenarios
