#include "scenarios/decision_explanation.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "results/run_input.hpp"
#include "scenarios/reader.hpp"
#include "schedulers/offload_estimates.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

SeenDecision seen(const schedulers::OffloadView& view, const schedulers::OffloadDecision& d,
                  std::size_t used) {
  static constexpr std::string_view tiers[] = {"device", "edge", "cloud"};
  SeenDecision out{.at = view.now.seconds(), .upload = view.upload, .download = view.download,
                   .candidates = {}, .chosen = d.candidate, .used = used, .score = d.score,
                   .reason = std::string(d.reason)};
  for (const schedulers::OffloadCandidate& c : view.candidates) {
    SeenCandidate s;
    s.name = c.name;
    s.tier = tiers[static_cast<std::size_t>(c.tier)];
    s.healthy = c.healthy;
    s.load = c.load;
    s.signal_age = (view.now - c.observed_at).seconds();
    s.queued = c.queued;
    s.running = c.running;
    s.slots = c.slots;
    s.service = c.service.seconds();
    s.network = c.network.seconds();
    s.estimate = schedulers::estimated_latency(c);
    s.uplink = c.uplink;
    s.measured_age = c.measured_at.is_never() ? nan : (view.now - c.measured_at).seconds();
    s.energy = c.client_energy;
    s.cost = c.cost;
    s.accuracy = c.accuracy;
    s.reward = schedulers::estimated_reward(view, c);
    out.candidates.push_back(std::move(s));
  }
  return out;
}

SeenRouting seen(const world::RoutingSeen& r, const std::string& service) {
  SeenRouting out;
  out.at = r.at.seconds();
  out.service = service;
  out.policy = r.policy;
  out.decode = r.decode;
  out.asked = r.view != nullptr;
  const bool scraped = out.asked && r.load;
  for (std::size_t k = 0; k < r.replicas.size(); ++k) {
    SeenReplica replica{r.replicas[k], nan, nan, nan, nan, nan, nan, nan, true};
    if (out.asked) {
      const schedulers::ReplicaSignal& s = r.view->replicas[k];
      if (r.outstanding) replica.outstanding = s.outstanding;
      if (scraped) replica.waiting = s.waiting, replica.kv_usage = s.kv_usage;
      if (r.health) replica.weight = s.weight, replica.penalty = s.penalty, replica.priority = s.priority;
      if (r.places) replica.zone = s.zone;
      replica.healthy = s.healthy;
    }
    out.replicas.push_back(replica);
  }
  out.chosen = r.chosen < r.replicas.size() ? static_cast<int>(r.chosen) : -1;
  out.uniform = out.asked ? r.view->uniform : nan;
  out.signal_age = scraped ? r.view->signal_age.seconds() : nan;
  out.zone = out.asked && r.places && r.view->zone != ~0U ? r.view->zone : nan;
  out.session = out.asked ? r.view->session : 0;
  out.prefix_blocks = out.asked && r.prefix ? r.view->prefix.size() : 0;
  for (const auto& [number, why] : r.left_out) out.left_out.emplace_back(number, std::string(why));
  return out;
}

SeenAdmission seen(const world::AdmissionSeen& a, const std::string& service) {
  SeenAdmission out;
  out.at = a.view->now.seconds();
  out.service = service;
  out.rule = a.rule;
  out.reason = a.decision.reason;
  out.admitted = a.decision.admitted;
  out.degraded = a.degraded;
  out.later = a.decision.at.is_never() ? nan : (a.decision.at - a.view->now).seconds();
  out.tokens = a.view->tokens;
  out.waiting = a.view->waiting;
  out.running = a.view->running;
  out.slots = a.view->slots;
  out.priority = a.view->priority;
  out.inside = a.inside;
  return out;
}

SeenVariant seen(const world::VariantSeen& v, const std::string& service) {
  SeenVariant out;
  out.at = v.view->now.seconds();
  out.service = service;
  out.policy = v.policy;
  out.reason = v.decision.reason;
  for (const schedulers::VariantOption& o : v.view->options)
    out.options.push_back({std::string(o.name), o.service.seconds(), o.energy, o.accuracy});
  out.chosen = v.decision.option;
  out.exit = v.exit;
  out.exits = v.exits;
  out.waiting = v.view->waiting;
  out.slots = v.view->slots;
  out.alerts = v.view->alerts;
  out.left = v.policy.empty() || v.view->deadline.is_never() ? nan : (v.view->deadline - v.view->now).seconds();
  out.battery = v.view->battery;
  out.priority = v.view->priority;
  out.over_quota = v.view->over_quota;
  return out;
}

std::string_view word_of(results::Status s) {
  switch (s) {
    case results::Status::completed: return "completed";
    case results::Status::rejected: return "rejected";
    case results::Status::failed: return "failed";
    default: return "in flight at the end of the run";
  }
}

}  // namespace

DecisionExplanation explain_decision(const std::filesystem::path& run, std::uint64_t request,
                                     const std::filesystem::path& folder) {
  const results::RunInput input = results::read_run_input(run, request);
  if (request >= input.created)
    throw InputError(fmt::format("{}: there is no request {}; the run created {}, numbered from 0",
                                 run.string(), request, input.created));
  const LoadedScenario loaded =
      load_text(input.scenario_json, {}, (run / "run.h5").string() + ": scenario", folder);
  const world::Scenario& scenario = *loaded.scenario;
  DecisionExplanation out;
  out.run = run.string();
  out.request = request;
  if (scenario.offload.policy) out.policy = scenario.offload.policy->name;
  out.latency = nan;
  out.status = "unknown";
  bool ended = false;
  world::RunOptions options;
  options.replication = input.replication;
  options.in_process = true;
  options.on_request = [&](const results::RequestRecord& r) {
    if (r.request != request || ended) return;
    ended = true;
    out.status = word_of(r.status);
    out.workload = scenario.workloads[r.workload].name;
    out.client = r.client;
    if (r.status == results::Status::completed) out.latency = (r.completed - r.created).seconds();
  };
  if (scenario.offload.policy) options.on_decision = [&](const schedulers::OffloadView& view,
                            const schedulers::OffloadDecision& d, std::size_t used) {
    if (view.request == request) out.decisions.push_back(seen(view, d, used));
    return ended;
  };
  const auto name_of = [&](std::uint32_t service) { return scenario.services[service].name; };
  options.eyes.request = request;
  options.eyes.routing = [&](const world::RoutingSeen& r) { out.routings.push_back(seen(r, name_of(r.service))); };
  options.eyes.admission = [&](const world::AdmissionSeen& a) {
    out.admissions.push_back(seen(a, name_of(a.service)));
  };
  options.eyes.variant = [&](const world::VariantSeen& v) { out.variants.push_back(seen(v, name_of(v.service))); };
  world::run(scenario, options);

  if (out.decisions.empty() && out.routings.empty() && out.admissions.empty() && out.variants.empty())
    throw InputError(fmt::format("{}: nothing was decided about request {}: it went to a fixed service{}",
                                 run.string(), request, ended ? "" : ", or had not got there when the run ended"));
  // What the run kept must have come out again.
  bool same = !input.has_decisions || input.dates.size() == out.decisions.size();
  for (std::size_t i = 0; same && i < input.dates.size(); ++i)
    same = Instant(input.dates[i]).seconds() == out.decisions[i].at &&
           input.scores[i] == out.decisions[i].score;
  if (!same)
    throw InputError(fmt::format(
        "{}: running it again gives other decisions; it was made by another version of isthmus, or the "
        "files that its scenario names (weights, traces) have changed",
        run.string()));
  return out;
}

}  // namespace isthmus::scenarios
