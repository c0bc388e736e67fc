#include "scenarios/reader.hpp"

#include <fmt/core.h>

#include <string>

#include "models/builtin_graphs.hpp"
#include "models/builtin_llms.hpp"
#include "results/metrics.hpp"
#include "scenarios/check.hpp"
#include "scenarios/model_choice.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

// What references may point to: names in the scenario itself, in the catalogue and in the program.
Names names_of(const Value& root, const Catalogue& catalogue) {
  Names names;
  const auto keys = [](const Value* table, std::vector<std::string>& into) {
    if (table)
      for (const Member& m : table->members) into.push_back(m.key);
  };
  const Value* nodes = root.find("nodes");
  const Value* network = root.find("network");
  const Value* costs = root.find("costs");
  keys(nodes, names.of(Reference::group));
  keys(network ? network->find("links") : nullptr, names.of(Reference::link));
  keys(root.find("protocols"), names.of(Reference::protocol));
  keys(root.find("tenants"), names.of(Reference::tenant));
  keys(costs ? costs->find("sites") : nullptr, names.of(Reference::site));
  keys(root.find("services"), names.of(Reference::service));
  names.of(Reference::service_or_offload) = names.of(Reference::service);
  names.of(Reference::service_or_offload).push_back("offload");
  if (nodes)
    for (const Member& m : nodes->members) {
      const Value* zone = m.value.find("zone");
      if (!zone)
        names.of(Reference::zone).push_back("default");
      else if (zone->is(JsonKind::text))
        names.of(Reference::zone).push_back(zone->text);
      else
        for (const Value& z : zone->items) names.of(Reference::zone).push_back(z.text);
    }
  names.of(Reference::device) = catalogue.devices();
  names.of(Reference::link_preset) = catalogue.links();
  auto& models = names.of(Reference::model);
  models = catalogue.models();
  keys(root.find("models"), models);
  for (const std::string& m : models::builtin_llm_names()) models.push_back(m);
  for (const std::string& m : models::builtin_graph_names()) models.push_back(m);
  return names;
}

void resolve_top(Resolution& r, const ObjectView& root) {
  world::Scenario& s = r.scenario;
  s.name = root.text("name");
  s.notes = root.text("notes");
  s.seed = root.big_count("seed");
  s.duration = root.duration("duration");
  s.warmup = root.duration("warmup");
  s.replications = root.count("replications");
  if (s.name.empty()) r.problems.add(root.at("name"), "/name", "must not be empty");
  if (s.warmup >= s.duration)
    r.problems.add(root.at("warmup"), "/warmup", "must be shorter than the duration");
  for (const ObjectView& v : root.objects("slo"))
    s.objectives.push_back({v.text("metric"), v.number("percentile"), v.duration("target")});
  const ObjectView results = root.object("results");
  s.compare_metric = results.text("metric");
  if (!results::find_metric(s.compare_metric)) {
    std::vector<std::string> known;
    for (const auto& m : results::metric_definitions())
      known.push_back(std::string(m.name) + (m.timed ? ".p95" : ""));
    r.problems.add(results.at("metric"), results.pointer_to("metric"),
                   fmt::format("there is no metric \"{}\"{}", s.compare_metric,
                               suggestion(s.compare_metric, known)));
  }
  s.sample_period = results.duration("sample_period");
  s.streaming = results.flag("streaming");
  s.record_decisions = results.flag("decisions");
  s.record_operators = results.flag("operators");
}

// The tree that decides a run, without what only tells several runs apart.
std::string resolved_text(const Value& root) {
  Value copy = root;
  std::erase_if(copy.members, [](const Member& m) {
    return m.key == "compare" || m.key == "sweep" || m.key == "extends";
  });
  return to_text(copy, 2);
}

// Catalogue entries of nodes and links.
EntryBelow catalogue_below(const Catalogue& catalogue) {
  return
      [&catalogue](const std::vector<std::string>& pointer, const Value& object) -> const Value* {
        const auto named = [&](const char* field) {
          const Value* name = object.find(field);
          return name && name->is(JsonKind::text) ? name->text : std::string();
        };
        if (pointer.size() == 2 && pointer[0] == "nodes") return catalogue.device(named("device"));
        if (pointer.size() == 3 && pointer[0] == "network" && pointer[1] == "links")
          return catalogue.link(named("preset"));
        return nullptr;
      };
}

// `d` is put over the catalogue, which its sources know.
std::shared_ptr<const world::Scenario> resolve_with(const Catalogue& catalogue, Document d) {
  expand_catalogue(d.root, catalogue);
  expand_placement(d.root);

  // First the form, then the meaning: resolvers rely on checked values.
  Problems problems(d.sources);
  const Names names = names_of(d.root, catalogue);
  Checker(d.sources, names, problems).object(d.root, scenario_spec(), "");
  problems.throw_if_any();
  settle_currency(d.root, problems);
  problems.throw_if_any();

  Resolution r{d, catalogue, problems, {}, {}, {}, {}, {}, {}, {}, 0, false};
  const ObjectView root(&d.root, scenario_spec(), "", d.root.at);
  resolve_top(r, root);
  resolve_nodes(r, root);
  problems.throw_if_any();
  resolve_network(r, root);
  check_own_models(r, root);
  problems.throw_if_any();
  resolve_protocols(r, root);
  resolve_tenants(r, root);
  resolve_services(r, root);
  problems.throw_if_any();
  resolve_workloads(r, root);
  resolve_offload(r, root);
  resolve_updates(r, root);
  resolve_faults(r, root);
  resolve_offline(r, root);
  resolve_descheduler(r, root);
  resolve_jobs(r, root);
  resolve_levels(r, root);
  resolve_failover(r, root);
  if (!problems.any()) resolve_rollouts(r, root);
  resolve_disruptions(r, root);
  resolve_costs(r, root);
  resolve_cluster(r, root);
  problems.throw_if_any();
  check_requests(r, root);
  complete_routes(r, root);
  problems.throw_if_any();
  if (r.scenario.topology.platform_xml.empty()) network::validate(r.scenario.topology);
  r.scenario.resolved_json = resolved_text(d.root);
  return std::make_shared<const world::Scenario>(std::move(r.scenario));
}

LoadedScenario finish(Document document, const std::vector<Override>& overrides) {
  LoadedScenario loaded;
  std::vector<Edit> edits;
  for (const Override& o : overrides) edits.push_back(parse_override(o, document.sources));
  const Catalogue catalogue(catalogue_folder(), document.sources);
  apply_edits(edits, document, catalogue_below(catalogue));
  loaded.document = std::move(document);
  loaded.scenario = resolve_with(catalogue, loaded.document);
  // The tables have been checked with the rest.
  if (const Value* compare = loaded.document.root.find("compare"))
    loaded.alternatives = choices_of(*compare, loaded.document.sources);
  if (const Value* sweep = loaded.document.root.find("sweep"))
    loaded.grid = choices_of(*sweep, loaded.document.sources);
  return loaded;
}

}  // namespace

std::shared_ptr<const world::Scenario> resolve(const Document& document,
                                               const std::vector<Edit>& edits) {
  Document d = document;
  const Catalogue catalogue(catalogue_folder(), d.sources);
  apply_edits(edits, d, catalogue_below(catalogue));
  return resolve_with(catalogue, std::move(d));
}

LoadedScenario load(const std::filesystem::path& path, const std::vector<Override>& overrides) {
  return finish(read_document(path), overrides);
}

LoadedScenario load_text(const std::string& json, const std::vector<Override>& overrides,
                         const std::string& name, const std::filesystem::path& folder) {
  return finish(read_document_text(json, name, folder), overrides);
}

}  // namespace isthmus::scenarios
