// validate and schema.
#include <fmt/core.h>
#include <algorithm>

#include <cstdio>

#include "scenarios/cli.hpp"
#include "scenarios/experiments.hpp"
#include "scenarios/json_schema.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

std::string plural(std::size_t n, const char* one) {
  return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s");
}

std::string summary(const LoadedScenario& l) {
  const world::Scenario& s = *l.scenario;
  const auto services = static_cast<std::size_t>(
      std::count_if(s.services.begin(), s.services.end(),
                    [](const world::Service& v) { return v.front == ~0U; }));
  std::string text =
      fmt::format("{}: {} in {}, {}, {}, {} network with {}", s.name,
                  plural(s.node_count(), "machine"), plural(s.nodes.size(), "group"),
                  plural(services, "service"), plural(s.workloads.size(), "workload"),
                  s.simgrid ? "simgrid" : "fluid", plural(s.topology.links.size(), "link"));
  if (s.replications > 1) text += ", " + plural(s.replications, "replication");
  if (!l.alternatives.empty()) text += ", " + plural(l.alternatives.size(), "alternative");
  if (!l.grid.empty()) text += ", " + plural(l.grid.size(), "sweep point");
  return text;
}

}  // namespace

int command_validate(const std::vector<std::string>& paths, const std::vector<std::string>& set) {
  int code = exit_ok;
  RunFlags flags;
  flags.set = set;
  const std::vector<Override> overrides = overrides_of(flags);
  for (const std::string& path : paths) {
    try {
      const LoadedScenario loaded = load(path, overrides);
      candidates_of(loaded, loaded.alternatives);
      candidates_of(loaded, loaded.grid);
      fmt::print("ok: {}: {}\n", path, summary(loaded));
      for (const std::string& notice : loaded.scenario->notices)
        fmt::print("note: {}: {}\n", path, notice);
    } catch (const InputError& e) {
      for (const std::string& line : e.problems()) fmt::print(stderr, "{}\n", line);
      code = exit_input;
    }
  }
  return code;
}

int command_schema() {
  fmt::print("{}", json_schema());
  return exit_ok;
}

}  // namespace isthmus::scenarios
