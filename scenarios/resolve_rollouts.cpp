// New versions of services from their tables.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

using schedulers::AnalysisSpec;

void refuse(Resolution& r, const ObjectView& v, const char* field, const std::string& why) {
  r.problems.add(v.at(field), v.pointer_to(field), why);
}

const char* unfit(const Resolution& r, std::uint32_t index) {
  const world::Service& s = r.scenario.services[index];
  for (const world::FailoverSpec& f : r.scenario.failovers)
    if (f.service == index) return "has a primary: a new version would have to be promoted";
  return s.local       ? "is local to its clients: see \"updates\""
         : s.placement ? "has a placement; give it one node group"
         : s.pools     ? "has pools"
         : s.fetching  ? "has caches or calls"
         : is_called(r.scenario, index) ? "is called by other services"
         : s.execution() ? "spreads graphs over units"
                         : nullptr;
}

// The service with the version's fields in place of its own.
std::shared_ptr<const world::Service> service_as(Resolution& r, const ObjectView& root, const ObjectView& v,
                                                 const world::Service& base) {
  Value merged = *root.find("services")->find(base.name);
  const auto drop = [&](const char* key) {
    std::erase_if(merged.members, [&](const Member& m) { return m.key == key; });
  };
  if (v.has("model") && !v.has("variant")) drop("variant");
  for (const char* key : {"model", "variant", "service_time", "accuracy", "cold_start", "startup"}) {
    const Value* own = v.find(key);
    if (!own) continue;
    drop(key);
    merged.members.push_back({key, v.at(key), *own});
  }
  const ObjectView s(&merged, service_spec(), child("/services", base.name), v.at());
  return std::make_shared<const world::Service>(resolve_service(r, root, base.name, s));
}

world::ServiceVersion version_of(Resolution& r, const ObjectView& root, const ObjectView& v,
                                 const world::Service& base) {
  world::ServiceVersion out;
  out.name = v.text("name");
  out.time_factor = v.number("time_factor");
  out.error_rate = v.number("error_rate");
  const bool law = std::holds_alternative<world::ServiceLaw>(base.work);
  const auto* graph = std::get_if<world::GraphModel>(&base.work);
  const bool chooses = graph && !graph->choices.empty();
  if (out.name.empty() || out.name.find('/') != std::string::npos)
    refuse(r, v, "name", "must be a name without \"/\"");
  for (const char* field : {"model", "variant"}) {
    if (!v.has(field)) continue;
    if (law) refuse(r, v, field, "the service has a service_time, no model");
    if (base.split || base.parts) refuse(r, v, field, "the service runs parts of a split graph");
    if (chooses) refuse(r, v, field, "the service chooses a variant per request");
    if (r.scenario.nodes[base.group].model_cache) refuse(r, v, field, "models of this node share a model_cache");
  }
  if (!law && v.has("service_time")) refuse(r, v, "service_time", "the service has a model; give \"time_factor\"");
  if (base.startup && v.has("cold_start")) refuse(r, v, "cold_start", "the service has a \"startup\"; give that");
  if (!base.startup && v.has("startup")) refuse(r, v, "startup", "the service has none; give \"cold_start\"");
  if (r.problems.any()) return out;
  bool differs = false;
  for (const char* field : {"model", "variant", "service_time", "cold_start", "startup"}) differs |= v.has(field);
  if (differs) {
    out.as = service_as(r, root, v, base);
    if (!r.problems.any() && out.as->work.index() != base.work.index())
      refuse(r, v, "model", "language models and operator graphs do not replace each other");
  }
  if (v.has("accuracy")) out.accuracy = v.number("accuracy");
  else if (!chooses) out.accuracy = out.as ? out.as->accuracy : base.accuracy;
  return out;
}

AnalysisSpec analysis_of(Resolution& r, const ObjectView& v, const world::RolloutSpec& rollout, bool counted) {
  AnalysisSpec a;
  const bool errors = v.variant() == "error-ratio";
  a.metric = errors ? schedulers::RolloutMetric::error_ratio : schedulers::RolloutMetric::latency;
  a.interval = v.duration("interval");
  a.initial_delay = v.duration("initial_delay");
  a.failure_limit = v.count("failure_limit");
  a.inconclusive_limit = v.count("inconclusive_limit");
  a.least_requests = v.count("least_requests");
  if (v.has("count")) a.count = v.count("count");
  else if (counted) r.problems.add(v.at(), v.pointer(), "needs a \"count\" of measurements: it has to end");
  if (v.has("count") && a.failure_limit >= a.count)
    refuse(r, v, "failure_limit", "never fails: it must be below \"count\"");
  if (v.has("at_most")) a.at_most = v.number("at_most");
  if (!errors) a.percentile = v.number("percentile");
  const char* relative = errors ? "above_old" : "times_old";
  if (v.has(relative)) (errors ? a.margin : a.factor) = v.number(relative);
  if (!v.has("at_most") && !v.has(relative))
    r.problems.add(v.at(), v.pointer(), fmt::format("says nothing of what is good: give \"at_most\" or \"{}\"", relative));
  if (a.interval < rollout.scrape)
    refuse(r, v, "interval", "must not be shorter than the scrape_period of the rollout");
  return a;
}

std::vector<AnalysisSpec> analyses_of(Resolution& r, const ObjectView& v, const world::RolloutSpec& rollout, bool counted) {
  std::vector<AnalysisSpec> all;
  if (v.has("analysis"))
    for (const ObjectView& a : v.objects("analysis")) all.push_back(analysis_of(r, a, rollout, counted));
  return all;
}

schedulers::Amount amount_of(const ObjectView& v, const char* field) {
  const Value* written = v.find(field);
  if (!written) return {0.25, true};
  return written->is(JsonKind::number) ? schedulers::Amount{written->number, false}
                                       : schedulers::Amount{number_of(*written, Unit::fraction), true};
}

void read_limits(Resolution& r, const ObjectView& v, world::RolloutSpec& out) {
  out.surge = amount_of(v, "max_surge");
  out.unavailable = amount_of(v, "max_unavailable");
  if (out.unavailable.share && out.unavailable.value > 1) refuse(r, v, "max_unavailable", "must be at most 100 %");
  if (out.surge.value == 0 && out.unavailable.value == 0)
    refuse(r, v, "max_surge", "must not be 0 when max_unavailable is 0: no replica could ever be replaced");
}

void read_steps(Resolution& r, const ObjectView& v, world::RolloutSpec& out) {
  for (const ObjectView& s : v.objects("steps")) {
    world::CanaryStep step;
    if (s.has("set_weight")) step.weight = 100 * s.number("set_weight");
    if (s.has("pause")) step.pause = s.duration("pause");
    step.analysis = analyses_of(r, s, out, true);
    if (s.has("set_weight") + s.has("pause") + s.has("analysis") != 1)
      r.problems.add(s.at(), s.pointer(), "a step is one of \"set_weight\", \"pause\" and \"analysis\"");
    out.steps.push_back(std::move(step));
  }
}

void read_strategy(Resolution& r, const ObjectView& v, world::RolloutSpec& out) {
  const std::string& name = v.variant();
  const auto delays = [&] {
    out.scale_down_delay = v.duration("scale_down_delay");
    out.abort_delay = v.duration("abort_delay");
  };
  if (name == "rolling") {
    out.strategy = world::RolloutStrategy::rolling;
    read_limits(r, v, out);
    out.analysis = analyses_of(r, v, out, false);
  } else if (name == "blue-green") {
    out.strategy = world::RolloutStrategy::blue_green;
    out.analysis = analyses_of(r, v, out, true);
    delays();
  } else if (name == "canary") {
    out.strategy = world::RolloutStrategy::canary;
    out.by_traffic = v.text("weights") == "balancer";
    out.analysis = analyses_of(r, v, out, false);
    for (const char* field : {"max_surge", "max_unavailable"})
      if (out.by_traffic && v.has(field)) refuse(r, v, field, "only with \"weights\": \"replicas\"");
    for (const char* field : {"scale_down_delay", "abort_delay"})
      if (!out.by_traffic && v.has(field)) refuse(r, v, field, "only with \"weights\": \"balancer\"");
    read_limits(r, v, out);
    read_steps(r, v, out);
    delays();
  } else {
    out.strategy = world::RolloutStrategy::ab;
    out.share = v.number("share");
    out.lasts = v.duration("lasts");
    out.confidence = v.number("confidence");
    out.promotes = v.flag("promote");
    delays();
  }
}

void add_compatibility(Resolution& r, const ObjectView& v) {
  world::CompatibilitySpec c;
  c.service = r.services.at(v.text("service"));
  if (!r.scenario.services[c.service].split) refuse(r, v, "service", "is not split: its answers have one part");
  for (const world::CompatibilitySpec& other : r.scenario.compatibilities)
    if (other.service == c.service) refuse(r, v, "service", "has a rule already");
  c.max_skew = v.count("max_skew");
  c.fails = v.text("incompatible") == "error";
  c.accuracy_factor = v.number("accuracy_factor");
  if (c.fails && v.has("accuracy_factor")) refuse(r, v, "accuracy_factor", "only with \"incompatible\": \"accuracy\"");
  r.scenario.compatibilities.push_back(c);
}

}  // namespace

void resolve_rollouts(Resolution& r, const ObjectView& root) {
  if (root.has("compatibility"))
    for (const ObjectView& v : root.objects("compatibility")) add_compatibility(r, v);
  if (!root.has("rollouts")) return;
  std::vector<ObjectView> all = root.objects("rollouts");
  // Versions are numbered in order of their dates.
  std::stable_sort(all.begin(), all.end(),
                   [](const ObjectView& a, const ObjectView& b) { return a.duration("at") < b.duration("at"); });
  std::map<std::uint32_t, world::ServiceVersions> lines;
  for (const ObjectView& v : all) {
    world::RolloutSpec out;
    out.service = r.services.at(v.text("service"));
    // Not a reference: what resolves the version may look at all services.
    const world::Service base = r.scenario.services[out.service];
    if (const char* why = unfit(r, out.service)) {
      refuse(r, v, "service", fmt::format("service \"{}\" {}", base.name, why));
      continue;
    }
    world::ServiceVersions& line = lines[out.service];
    line.service = out.service;
    if (line.versions.empty())
      line.versions.push_back({"before", nullptr, 1, 0,
                               std::holds_alternative<world::GraphModel>(base.work) &&
                                       !std::get<world::GraphModel>(base.work).choices.empty()
                                   ? -1
                                   : base.accuracy});
    const ObjectView version = v.object("version");
    world::ServiceVersion fresh = version_of(r, root, version, base);
    for (const world::ServiceVersion& other : line.versions)
      if (other.name == fresh.name)
        refuse(r, version, "name", fmt::format("the service has a version \"{}\" already", other.name));
    out.version = static_cast<std::uint16_t>(line.versions.size());
    out.name = base.name + "/" + fresh.name;
    line.versions.push_back(std::move(fresh));
    out.at = Instant::zero() + v.duration("at");
    out.min_ready = v.duration("min_ready");
    out.progress_deadline = v.duration("progress_deadline");
    out.deadline_aborts = v.text("on_deadline") == "abort";
    out.scrape = v.duration("scrape_period");
    if (out.scrape < Duration(1'000'000)) refuse(r, v, "scrape_period", "must be 1 ms or more");
    read_strategy(r, v, out);
    r.scenario.rollouts.push_back(std::move(out));
  }
  for (auto& [service, line] : lines) r.scenario.versions.push_back(std::move(line));
}

}  // namespace isthmus::scenarios
