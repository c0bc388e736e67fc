// profile import.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "models/profile_import.hpp"
#include "scenarios/catalogue.hpp"
#include "scenarios/cli.hpp"
#include "scenarios/problems.hpp"
#include "scenarios/unit_strings.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

void print_counts(const char* title, const std::map<std::string, std::size_t>& counts) {
  for (const auto& [what, count] : counts) fmt::print("  {:>8} {}: {}\n", count, title, what);
}

double quantity(const std::string& text, Unit unit, const char* option) {
  if (text.empty()) return 0;
  try {
    return parse_quantity(text, unit);
  } catch (const InputError& e) {
    throw InputError(fmt::format("{}: {}", option, e.what()));
  }
}

// The fastest memory of a device of the catalogue in bytes/s, 0 for other names.
double bandwidth_of(const std::string& device) {
  if (device.empty()) return 0;
  Sources sources;
  const Catalogue catalogue(catalogue_folder(), sources);
  const Value* entry = catalogue.device(device);
  double fastest = 0;
  if (!entry) return fastest;
  for (const Member& unit : entry->find("units")->members)
    if (const Value* v = unit.value.find("memory_bandwidth"); v && v->is(JsonKind::text))
      fastest = std::max(fastest, parse_quantity(v->text, Unit::bandwidth));
  return fastest;
}

}  // namespace

int command_profile_import(const ImportFlags& f) {
  if (f.format.empty() || f.files.empty() || f.out.empty()) {
    for (const auto& format : models::import_formats())
      fmt::print("{:16} {}\n", format.name, format.summary);
    return exit_ok;
  }
  if (std::filesystem::exists(f.out))
    throw InputError(fmt::format("{}: exists already; name a new file", f.out));
  models::ImportOptions o;
  o.device = f.device;
  o.licence = f.licence;
  o.program_version = program_version();
  o.model = f.model;
  o.hardware = f.hardware;
  o.kernel_source = f.kernel_source;
  if (!(f.quantization >= 0 && f.quantization <= 1))
    throw InputError("--quantization: must be between 0 and 1");
  o.quantization = f.quantization;
  o.run = f.run;
  o.tdp = quantity(f.tdp, Unit::power, "--tdp");
  o.memory_bandwidth = quantity(f.memory_bandwidth, Unit::bandwidth, "--memory-bandwidth");
  o.kind = f.kind;
  if (!f.precision.empty()) {
    const auto p = models::precision_from(f.precision);
    if (!p) throw InputError("--precision: there is no number format " + f.precision);
    o.precision = *p;
  }
  for (const std::string& pair : f.map) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      throw InputError("--map: must be parameter=column, not '" + pair + "'");
    o.columns[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  if (!f.time.empty()) {
    const std::size_t colon = f.time.rfind(':');
    if (colon == std::string::npos)
      throw InputError("--time: must be column:unit, e.g. latency:us, not '" + f.time + "'");
    o.time_column = f.time.substr(0, colon);
    o.time_unit = f.time.substr(colon + 1);
  }

  if (o.memory_bandwidth == 0) o.memory_bandwidth = bandwidth_of(f.device);

  models::ImportReport report;
  const models::KernelProfile profile = models::import_profile(f.format, f.files, o, report);
  profile.save(f.out);
  fmt::print("{} rows read, {} in the profile", report.read, report.kept);
  if (report.merged > 0) fmt::print(", {} of the same shape as others merged", report.merged);
  fmt::print("\n");
  if (o.memory_bandwidth > 0)
    fmt::print("  rows are flagged that would need more than {:.4g} GB/s of memory\n",
               o.memory_bandwidth * 1e-9);
  print_counts("left out", report.skipped);
  print_counts("flagged, faster than memory allows", report.cached);
  print_counts("flagged, repetitions disagree", report.noisy);
  fmt::print("\n");
  return command_profile_show(f.out);
}

}  // namespace isthmus::scenarios
