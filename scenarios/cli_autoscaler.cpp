// isthmus autoscaler: what a HorizontalPodAutoscaler manifest says, and changes to it.
#include <fmt/core.h>

#include "scenarios/cli.hpp"
#include "scenarios/file_reading.hpp"
#include "scenarios/hpa_yaml.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

using schedulers::HpaMetric;

void show_rules(const char* direction, const schedulers::HpaScalingRules& r) {
  fmt::print("scale {}: ", direction);
  if (r.select == schedulers::HpaSelect::disabled) {
    fmt::print("never\n");
    return;
  }
  fmt::print("window {} s", r.stabilization.seconds());
  for (std::size_t i = 0; i < r.policies.size(); ++i)
    fmt::print("{} {}{} per {} s", i == 0 ? ", at most" : r.select == schedulers::HpaSelect::max ? " or" : " and",
               r.policies[i].value,
               r.policies[i].type == schedulers::HpaScalingPolicy::Type::percent ? " %" : " replicas",
               r.policies[i].period.seconds());
  fmt::print("\n");
}

void show(const HpaManifest& m) {
  const schedulers::HpaObject& o = m.object;
  fmt::print("{}: {} to {} replicas, tolerance {:g}\n", o.name.empty() ? "autoscaler" : o.name,
             o.spec.min_replicas, o.spec.max_replicas, o.tolerance);
  for (const HpaMetric& h : o.metrics) {
    const std::string amount = h.target == HpaMetric::Target::utilization
                                   ? fmt::format("{} %", h.amount)
                                   : fmt::format("{:g}", static_cast<double>(h.amount) / 1000);
    fmt::print("  {} {} {}\n",
               h.type == HpaMetric::Type::resource ? "busy share of the replicas' units" : h.metric,
               h.target == HpaMetric::Target::value ? "at" : "per replica at", amount);
  }
  if (o.spec.behavior) {
    show_rules("up", o.spec.behavior->up);
    show_rules("down", o.spec.behavior->down);
  } else {
    fmt::print("no behavior: at most max(2 n, 4) at once, down over a window of 300 s\n");
  }
  for (const std::string& name : m.ignored) fmt::print("not simulated: {}\n", name);
}

}  // namespace

int command_autoscaler(const std::string& file, const std::vector<std::string>& changes,
                       const std::vector<std::string>& names, const std::string& write) {
  const auto split = [](const std::string& text, const char* option) {
    const std::size_t at = text.find('=');
    if (at == std::string::npos || at == 0)
      throw InputError(fmt::format("{} {}: write it as name=value", option, text));
    return std::pair(text.substr(0, at), text.substr(at + 1));
  };
  std::map<std::string, std::string> metrics;
  for (const std::string& n : names) metrics.insert(split(n, "--metric"));
  const std::string before = read_regular_file(file, 1 << 20);
  const HpaManifest read = parse_hpa_manifest(before, file, metrics);
  if (changes.empty()) {
    if (!write.empty()) throw InputError("--write needs a change: --set path=value");
    show(read);
    return 0;
  }
  std::vector<std::pair<std::string, std::string>> wanted;
  for (const std::string& c : changes) wanted.push_back(split(c, "--set"));
  const std::string after = edit_yaml(before, file, wanted);
  parse_hpa_manifest(after, file + " (changed)", metrics);
  fmt::print("{}", unified_diff(before, after, file, write.empty() ? file + " (changed)" : write));
  if (!write.empty()) write_file_atomically(write, after);
  return 0;
}

}  // namespace isthmus::scenarios
