// version.
#include <fmt/core.h>

#include "results/version.hpp"
#include "scenarios/cli.hpp"

namespace isthmus::scenarios {

std::string program_version() { return std::string(results::program_version); }

int command_version() {
  const std::string commit(results::git_sha);
  fmt::print("isthmus {}{}\n", program_version(), commit == "unknown" ? "" : " (" + commit + ")");
  return exit_ok;
}

}  // namespace isthmus::scenarios
