// advise.
#include <fmt/core.h>

#include "scenarios/advice.hpp"
#include "scenarios/cli.hpp"

namespace isthmus::scenarios {

int command_advise(const AdviseFlags& flags) {
  std::vector<Demand> demands;
  for (const auto& [field, value] : flags.demands)
    if (value) demands.push_back({field, *value});
  if (flags.critical) demands.push_back({"critical", "true"});
  const Requirements asked = read_requirements(flags.file, demands);
  const Advice advice = advise(asked, {flags.scenario, flags.replications, flags.threads});
  fmt::print("{}", flags.json ? advice_json(advice) : advice_text(advice));
  return exit_ok;
}

}  // namespace isthmus::scenarios
