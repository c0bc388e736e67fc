// Crashes, maintenance and chaos experiments from their tables.
#include <fmt/core.h>

#include <algorithm>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

void refuse_field(Resolution& r, const ObjectView& v, const char* field, const std::string& why) {
  r.problems.add(v.at(field), v.pointer_to(field), why);
}

world::RestartRule restart_of(Resolution& r, const ObjectView& v) {
  world::RestartRule rule{v.duration("restart_delay"), v.duration("restart_limit"), v.duration("restart_reset")};
  if (rule.longest < rule.first && v.has("restart_limit"))
    refuse_field(r, v, "restart_limit", "must not be below restart_delay");
  rule.longest = std::max(rule.longest, rule.first);
  return rule;
}

// Whose processes may crash.
std::uint32_t crashing_service(Resolution& r, const ObjectView& v) {
  const std::uint32_t index = r.services.at(v.text("service"));
  const world::Service& s = r.scenario.services[index];
  const char* why = s.pools ? "the pools of a service do not crash: let their machines fail"
                    : s.cached != ~0U
                        ? "services whose models share the memory of their machine do not crash alone: let it fail"
                    : s.fetching ? "services with caches or calls do not crash alone: let their machines fail"
                                    : nullptr;
  if (why) refuse_field(r, v, "service", why);
  return index;
}

void add_crash(Resolution& r, const ObjectView& v) {
  world::CrashSpec c;
  c.service = crashing_service(r, v);
  c.identity = hash_name(v.pointer());
  c.restart = restart_of(r, v);
  const world::Service& s = r.scenario.services[c.service];
  if (v.has("replica")) {
    c.replica = v.count("replica");
    const std::uint32_t count =
        s.local ? r.scenario.nodes[s.group].count : s.autoscaling.policy ? ~0U : s.replicas;
    if (c.replica >= count) refuse_field(r, v, "replica", fmt::format("must be below {}", count));
  }
  if (v.has("at") == v.has("time_to_failure")) {
    r.problems.add(v.at(), v.pointer(), "give either \"at\" or \"time_to_failure\"");
    return;
  }
  if (v.has("at")) c.at = Instant::zero() + v.duration("at");
  else c.time_to_failure = std::make_shared<const world::Distribution>(v.distribution("time_to_failure", r.problems));
  r.scenario.crashes.push_back(std::move(c));
}

void add_maintenance(Resolution& r, const ObjectView& v) {
  world::Maintenance m;
  m.group = r.groups.at(v.text("node"));
  m.at = Instant::zero() + v.duration("at");
  m.takes = v.duration("takes");
  m.grace = v.duration("grace");
  m.max_unavailable = v.count("max_unavailable");
  for (const world::Service& s : r.scenario.services)
    if (s.local && s.group == m.group)
      refuse_field(r, v, "node", fmt::format("clients sit on these machines and use service \"{}\" there, which cannot "
                                             "be drained; let them fail instead", s.name));
  for (const world::Maintenance& other : r.scenario.maintenance)
    if (other.group == m.group)
      refuse_field(r, v, "node", "a group has one maintenance per run");
  r.scenario.maintenance.push_back(m);
}

void add_chaos(Resolution& r, const ObjectView& v) {
  using Action = world::ChaosSpec::Action;
  world::ChaosSpec c;
  c.name = v.pointer();
  const std::string action = v.text("action");
  c.action = action == "slow" ? Action::slow : action == "crash" ? Action::crash : Action::fail;
  const auto wants = [&](const char* field, bool needed) {
    if (needed && !v.has(field))
      r.problems.add(v.at(), v.pointer(), fmt::format("action \"{}\" needs the field \"{}\"", action, field));
    if (!needed && v.has(field)) refuse_field(r, v, field, fmt::format("not with action \"{}\"", action));
    return needed && v.has(field);
  };
  const bool process = c.action == Action::crash;
  if (wants("node", !process)) c.group = r.groups.at(v.text("node"));
  if (wants("service", process)) c.service = crashing_service(r, v);
  if (wants("lasts", !process)) c.lasts = v.distribution("lasts", r.problems);
  if (wants("speed", c.action == Action::slow)) c.speed = v.number("speed");
  c.victims = v.count("victims");
  c.every = v.distribution("every", r.problems);
  if (c.every.mean() < 1e-3) refuse_field(r, v, "every", "must be 1 ms or more on average");
  c.from = Instant::zero() + v.duration("from");
  if (v.has("until")) c.until = Instant::zero() + v.duration("until");
  if (c.until <= c.from) refuse_field(r, v, "until", "must be after \"from\"");
  c.restart = restart_of(r, v);
  r.scenario.chaos.push_back(std::move(c));
}

}  // namespace

void resolve_disruptions(Resolution& r, const ObjectView& root) {
  for (const ObjectView& v : root.objects("crashes")) add_crash(r, v);
  for (const ObjectView& v : root.objects("maintenance")) add_maintenance(r, v);
  for (const ObjectView& v : root.objects("chaos")) add_chaos(r, v);
  world::Scenario& s = r.scenario;
  const ObjectView results = root.object("results");
  s.count_failures = (results.has("availability") && results.flag("availability")) || !s.crashes.empty() || !s.maintenance.empty() ||
                     !s.chaos.empty() || !s.failovers.empty() ||
                     std::any_of(s.faults.begin(), s.faults.end(), [](const world::Fault& f) {
                       return f.speed > 0 || f.accelerator != ~0U;
                     });
}

}  // namespace isthmus::scenarios
