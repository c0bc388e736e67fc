// Where the replicas of services run, and how many.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "scenarios/file_reading.hpp"
#include "scenarios/hpa_yaml.hpp"
#include "scenarios/llm_service.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

bool has_parameter(const std::vector<schedulers::ParameterSpec>& specs, const char* name) {
  return std::any_of(specs.begin(), specs.end(), [&](const auto& p) { return p.name == name; });
}

// The autoscaler of a manifest; false: it says nothing that can be used.
bool read_manifest(Resolution& r, const ObjectView& v, world::Service& out) {
  std::map<std::string, std::string> names;
  if (const Value* map = v.find("metrics"))
    for (const Member& m : map->members) names[m.key] = m.value.text;
  try {
    const HpaManifest m = read_hpa_manifest(expand_path(v.text("file"), r.document.folder), names);
    schedulers::make_hpa(m.object);
    world::Autoscaling& a = out.autoscaling;
    a.object = std::make_shared<const schedulers::HpaObject>(m.object);
    a.policy = &schedulers::find_entry(schedulers::autoscaling_policies(), "hpa");
    a.parameters.emplace(a.policy->parameters);
    a.parameters->set("min_replicas", m.object.spec.min_replicas);
    a.parameters->set("max_replicas", m.object.spec.max_replicas);
    for (const std::string& name : m.ignored)
      r.scenario.notices.push_back(
          fmt::format("service \"{}\": not simulated of its autoscaler: {}", out.name, name));
    return true;
  } catch (const InputError& e) {
    for (const std::string& line : e.problems()) r.problems.add(v.at("file"), v.pointer_to("file"), line);
  }
  return false;
}

// Series of numbers, and whether the policy finds those that it names.
void read_external(Resolution& r, const ObjectView& v, world::Autoscaling& out) {
  std::vector<std::string> known;
  if (const Value* map = v.find("external"))
    for (const Member& m : map->members) {
      world::ExternalSeries series{m.key, {}};
      for (std::size_t i = 0; i < m.value.items.size(); ++i) {
        const Value& item = m.value.items[i];
        const Instant at = Instant::zero() + Duration::from_seconds(number_of(item.items[0], Unit::duration));
        if (!series.values.empty() && at <= series.values.back().first)
          r.problems.add(item.at, child(child(v.pointer_to("external"), m.key), i), "dates must increase");
        series.values.emplace_back(at, number_of(item.items[1], Unit::none));
      }
      known.push_back(m.key);
      out.external.push_back(std::move(series));
    }
  if (r.problems.any()) return;
  for (const std::string& name : out.make()->external_metrics())
    if (std::find(known.begin(), known.end(), name) == known.end())
      r.problems.add(v.at(), v.pointer(),
                     fmt::format("no external metric \"{}\"; give its values in \"external\"{}", name,
                                 suggestion(name, known)));
}

}  // namespace

std::uint32_t unit_named(const world::NodeGroup& group, const std::string& wanted) {
  std::vector<std::string> known;
  for (const auto& u : group.units) known.push_back(u.name);
  const auto it = std::find(known.begin(), known.end(), wanted);
  if (it == known.end())
    throw InputError(
        fmt::format("\"{}\" has no unit \"{}\"{}", group.name, wanted, suggestion(wanted, known)));
  return static_cast<std::uint32_t>(it - known.begin());
}

void read_replicas(Resolution& r, const ObjectView& s, world::Service& out) {
  if (s.has("autoscaling")) {
    Value storage;
    const ObjectView v = policy_view(s, "autoscaling", autoscaling_spec(), storage);
    if (v.variant() == "hpa-yaml" && !read_manifest(r, v, out)) return;
    if (!out.autoscaling.object)
      read_policy(r, s, "autoscaling", autoscaling_spec(), schedulers::autoscaling_policies(),
                  out.autoscaling.policy, out.autoscaling.parameters);
    out.autoscaling.period = v.duration("period");
    out.autoscaling.scrape_period = v.duration("scrape_period");
    out.autoscaling.scrape_delay = v.duration("scrape_delay");
    read_external(r, v, out.autoscaling);
    for (const char* limit : {"min_replicas", "max_replicas"}) {
      if (!has_parameter(out.autoscaling.policy->parameters, limit)) continue;
      if (out.autoscaling.object) {
        if (s.has(limit))
          r.problems.add(s.at(limit), s.pointer_to(limit), "the manifest says it; leave it out");
        continue;
      }
      if (!v.has(limit) && s.has(limit))
        out.autoscaling.parameters->set(limit, s.number(limit));
      else if (v.has(limit) && s.has(limit) && v.number(limit) != s.number(limit))
        r.problems.add(s.at(limit), s.pointer_to(limit),
                       "differs from the autoscaling policy's; give one of them");
    }
  }
  const auto limit_of = [&](const char* name, std::uint32_t other) {
    if (out.autoscaling.policy && has_parameter(out.autoscaling.policy->parameters, name))
      return static_cast<std::uint32_t>(out.autoscaling.parameters->number(name));
    return s.has(name) ? s.count(name) : other;
  };
  const std::uint32_t written = s.has("replicas") ? s.count("replicas") : 0;
  out.min_replicas = limit_of("min_replicas", std::max(1U, written));
  out.replicas = s.has("replicas") ? written : std::max(1U, out.min_replicas);
  if (out.replicas == 0 && !out.autoscaling.policy)
    r.problems.add(s.at("replicas"), s.pointer_to("replicas"),
                   "nobody would ever answer; give it at least 1, or \"autoscaling\"");
  out.max_replicas = limit_of("max_replicas", std::max(out.replicas, out.min_replicas));
  if (out.autoscaling.policy && has_parameter(out.autoscaling.policy->parameters, "idle_replicas"))
    if (const double idle = out.autoscaling.parameters->number("idle_replicas"); idle >= 0)
      out.min_replicas = static_cast<std::uint32_t>(idle);
  if (out.min_replicas > out.max_replicas)
    r.problems.add(
        s.at(), s.pointer(),
        fmt::format("min_replicas {} exceeds max_replicas {}", out.min_replicas, out.max_replicas));
  else if (out.replicas < out.min_replicas || out.replicas > out.max_replicas)
    r.problems.add(s.at("replicas"), s.pointer_to("replicas"),
                   fmt::format("{} is not between min_replicas {} and max_replicas {}",
                               out.replicas, out.min_replicas, out.max_replicas));
}

void read_placement(Resolution& r, const ObjectView& s, world::Service& out) {
  const world::NodeGroup& group = r.scenario.nodes[out.group];
  if (s.has("unit")) {
    try {
      out.unit = unit_named(group, s.text("unit"));
    } catch (const InputError& e) {
      r.problems.add(s.at("unit"), s.pointer_to("unit"), e.what());
    }
    if (s.has("units"))
      r.problems.add(s.at("unit"), s.pointer_to("unit"), "give either \"unit\" or \"units\"");
  } else if (s.has("units")) {
    try {
      out.unit = unit_named(group, s.texts("units").front());
    } catch (const InputError& e) {
      r.problems.add(s.at("units"), s.pointer_to("units"), e.what());
    }
  }
  out.parallel = static_cast<std::uint32_t>(layout_of(s).units());
  out.local = s.has("local") ? s.flag("local") : group.tier == schedulers::Tier::device;
  if (out.local) {
    for (const char* name : {"replicas", "min_replicas", "max_replicas", "autoscaling"})
      if (s.has(name))
        r.problems.add(s.at(name), s.pointer_to(name),
                       "a local service has one replica on every machine; set \"local\": false to "
                       "serve others from here");
  }
}

void check_capacity(Resolution& r, const ObjectView& s, const world::Service& out) {
  const world::NodeGroup& group = r.scenario.nodes[out.group];
  if (!group.unit_counts.empty() && out.parallel > 1) {
    r.problems.add(s.at("parallel"), s.pointer_to("parallel"),
                   fmt::format("instances of a partitioned GPU cannot share a model; \"{}\" has \"mig\"", group.name));
    return;
  }
  const std::uint32_t there = group.places_of(out.unit);
  const std::uint32_t per_node = there / out.parallel;
  const std::uint64_t most = static_cast<std::uint64_t>(per_node) * group.count;
  if (per_node == 0) {
    const char* field = s.has("parallel")        ? "parallel"
                        : s.has("pipeline")      ? "pipeline"
                        : s.has("data_parallel") ? "data_parallel"
                                                 : "parallel";
    r.problems.add(s.at(field), s.pointer_to(field),
                   fmt::format("a replica needs {} accelerators, a machine of \"{}\" has {}; a "
                               "replica is on one machine",
                               out.parallel, group.name, there));
    return;
  }
  if (out.local) return;
  if (out.max_replicas > most && out.replicas > most)
    r.problems.add(
        s.at("replicas"), s.pointer_to("replicas"),
        fmt::format("{} replicas do not fit, \"{}\" holds {}", out.replicas, group.name, most));
  else if (out.max_replicas > most)
    r.scenario.notices.push_back(
        fmt::format("service \"{}\": up to {} replicas are allowed, but \"{}\" holds {}", out.name,
                    out.max_replicas, group.name, most));
  else if (!out.autoscaling.policy && out.replicas == 1 && most > 1 && !s.has("replicas"))
    r.scenario.notices.push_back(fmt::format(
        "service \"{}\" has one replica though \"{}\" holds {}; set \"replicas\" to use "
        "more",
        out.name, group.name, most));
}

}  // namespace isthmus::scenarios
