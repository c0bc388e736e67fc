// profile measure and profile show.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "models/kernel_profile.hpp"
#include "models/name_error.hpp"
#include "models/profile_measure.hpp"
#include "scenarios/cli.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

int command_profile_measure(const MeasureFlags& flags) {
  if (std::filesystem::exists(flags.file))
    throw InputError(fmt::format("{}: exists already; name a new file", flags.file));
  // Told now rather than after minutes of measuring.
  const auto folder = std::filesystem::absolute(flags.file).parent_path();
  if (!std::filesystem::is_directory(folder) || ::access(folder.c_str(), W_OK) != 0)
    throw InputError(fmt::format("{}: its folder does not exist or cannot be written", flags.file));
  models::MeasureOptions options;
  options.device = flags.device;
  options.core = flags.core;
  options.threads = flags.threads;
  options.library = flags.library;
  options.kinds = flags.kinds;
  options.quick = flags.quick;
  options.seconds_per_shape = flags.seconds_per_shape;
  std::vector<std::string> formats;
  for (const auto& row : models::precisions) formats.emplace_back(row.name);
  for (const std::string& name : flags.precisions) {
    const auto precision = models::precision_from(name);
    if (!precision) throw models::name_error("number format", name, formats);
    options.precisions.push_back(*precision);
  }
  options.program_version = program_version();
  if (::isatty(STDERR_FILENO) != 0)
    options.progress = [](double share) {
      fmt::print(stderr, "\r{:3.0f} %{}", 100 * share, share >= 1 ? "\n" : "");
    };
  models::measure_profile(options).save(flags.file);
  return command_profile_show(flags.file);
}

int command_profile_show(const std::string& file) {
  const models::KernelProfile profile = models::KernelProfile::load(file);
  const models::ProfileInfo& info = profile.info();
  fmt::print("{}\n  device      {}\n  provenance  {}\n  licence     {}\n\n", file, info.device,
             info.provenance, info.licence);
  fmt::print("{:16} {:9} {:>7} {:>20}\n", "kernel", "precision", "shapes", "leave-one-out error");
  for (const models::KernelTable* t : profile.tables()) {
    const auto error = profile.leave_one_out_error(t->kind, t->precision);
    fmt::print("{:16} {:9} {:>7} {:>20}\n", t->kind, models::name_of(t->precision), t->rows(),
               error ? fmt::format("{:.1f} %", 100 * *error) : "-");
  }
  return exit_ok;
}

}  // namespace isthmus::scenarios
