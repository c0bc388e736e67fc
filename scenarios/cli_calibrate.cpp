// calibrate: a scenario's parameters from a log.
#include <fmt/core.h>

#include "scenarios/calibrate.hpp"
#include "scenarios/cli.hpp"
#include "scenarios/file_reading.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

int command_calibrate(CalibrateQuestion question, const CalibrateFlags& flags) {
  if (flags.split == "random")
    question.random_split = true;
  else if (flags.split != "time")
    throw InputError(fmt::format("--split {}: must be time or random", flags.split));
  if (!flags.out.empty() && std::filesystem::exists(flags.out) &&
      std::filesystem::equivalent(flags.out, question.scenario))
    throw InputError(fmt::format("--out {}: is the scenario itself", flags.out));
  // Said before the fit, which takes its time.
  const std::filesystem::path folder = std::filesystem::path(flags.out).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder))
    throw InputError(fmt::format("--out {}: there is no folder {}", flags.out, folder.string()));
  const Calibration c = calibrate(question);
  const std::string text = flags.out.empty() ? "" : calibrated_scenario(c, flags.out);
  fmt::print("{}", flags.json ? calibration_json(c) : calibration_text(c));
  if (!flags.out.empty()) {
    write_file_atomically(flags.out, text);
    fmt::print(flags.json ? stderr : stdout, "scenario with the fitted values: {}\n", flags.out);
  }
  return exit_ok;
}

}  // namespace isthmus::scenarios
