// devices, models and policies.
#include <fmt/core.h>

#include "models/builtin_graphs.hpp"
#include "models/builtin_llms.hpp"
#include "scenarios/catalogue.hpp"
#include "scenarios/cli.hpp"
#include "scenarios/problems.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

int show_entry(const Value* entry, const std::string& name, const char* kind,
               const std::vector<std::string>& known) {
  if (!entry)
    throw InputError(fmt::format("there is no {} \"{}\"{}", kind, name, suggestion(name, known)));
  fmt::print("{}\n", to_text(*entry, 2));
  return exit_ok;
}

void list(const std::vector<std::string>& names, const auto& entry_of) {
  for (const std::string& n : names)
    fmt::print("{:24} {}\n", n, entry_of(n)->find("summary")->text);
}

template <class Policy>
void show_policies(const std::vector<schedulers::PolicyEntry<Policy>>& table,
                   const std::string& kind) {
  const std::string own(schedulers::policy_kind<Policy>);
  if (!kind.empty() && kind != own) return;
  fmt::print("{}\n", own);
  for (const auto& e : table) {
    fmt::print("  {:22} {}\n", e.name, e.summary);
    for (const auto& p : e.parameters) {
      const std::string standard = p.dimension == schedulers::Dimension::text ? p.default_text
                                   : p.list                                   ? "none"
                                            : fmt::format("{:g}", p.default_value);
      const std::string_view unit = schedulers::unit_of(p.dimension);
      fmt::print("    {:26} {} (default {}{}{})\n", p.name, p.help, standard,
                 unit.empty() ? "" : " ", unit);
    }
  }
}

}  // namespace

int command_devices(const std::string& name) {
  Sources sources;
  const Catalogue catalogue(catalogue_folder(), sources);
  if (!name.empty()) return show_entry(catalogue.device(name), name, "device", catalogue.devices());
  list(catalogue.devices(), [&](const std::string& n) { return catalogue.device(n); });
  return exit_ok;
}

int command_models(const std::string& name) {
  Sources sources;
  const Catalogue catalogue(catalogue_folder(), sources);
  if (!name.empty()) return show_entry(catalogue.model(name), name, "model", catalogue.models());
  list(catalogue.models(), [&](const std::string& n) { return catalogue.model(n); });
  const auto others = [&](const char* what, const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& n : names)
      if (!catalogue.model(n)) text += (text.empty() ? "" : ", ") + n;
    fmt::print("\nfurther {} (variants: number formats, no accuracy): {}\n", what, text);
  };
  others("language models", models::builtin_llm_names());
  others("operator graphs", models::builtin_graph_names());
  return exit_ok;
}

int command_policies(const std::string& kind) {
  const std::vector<std::string> kinds{"offload",   "routing",        "batching", "autoscaling",
                                       "placement", "list-scheduler", "governor", "variant",
                                       "eviction",  "partition",      "admission"};
  if (!kind.empty() && std::find(kinds.begin(), kinds.end(), kind) == kinds.end())
    throw InputError(
        fmt::format("there is no policy kind \"{}\"{}", kind, suggestion(kind, kinds)));
  show_policies(schedulers::offload_policies(), kind);
  show_policies(schedulers::routing_policies(), kind);
  show_policies(schedulers::batching_policies(), kind);
  show_policies(schedulers::autoscaling_policies(), kind);
  show_policies(schedulers::placement_policies(), kind);
  show_policies(schedulers::list_schedulers(), kind);
  show_policies(schedulers::governor_policies(), kind);
  show_policies(schedulers::admission_policies(), kind);
  show_policies(schedulers::variant_policies(), kind);
  show_policies(schedulers::eviction_policies(), kind);
  show_policies(schedulers::replacement_policies(), kind);
  show_policies(schedulers::partitioners(), kind);
  return exit_ok;
}

}  // namespace isthmus::scenarios
