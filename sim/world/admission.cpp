// The front of services: who may enter, who comes later, who is turned away.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "sim/world/admission_state.hpp"
#include "sim/world/decision_watch.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

bool concerns(const AdmissionGate& g, std::uint32_t tenant) {
  const std::vector<bool>& whom = g.rule->tenants;
  return whom.empty() || (tenant != ~0U && whom[tenant]);
}

// Those without a tenant share the last state.
std::uint32_t state_of(const AdmissionGate& g, std::uint32_t tenant) {
  return std::min(tenant, static_cast<std::uint32_t>(g.states.size()) - 1);
}

}  // namespace

void World::open_admission() {
  const auto ruled = [](const auto& x) { return !x.admission.empty(); };
  if (std::none_of(scenario_.services.begin(), scenario_.services.end(), ruled) &&
      std::none_of(scenario_.tenants.begin(), scenario_.tenants.end(), ruled))
    return;
  admission_ = std::make_unique<AdmissionState>();
  AdmissionState& a = *admission_;
  const auto open = [&](const std::string& owner, const std::vector<AdmissionRule>& rules, std::uint32_t service,
                        std::vector<std::uint32_t>& list) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
      AdmissionGate g;
      g.rule = &rules[i];
      g.service = service;
      g.name = fmt::format("{}/{}-{}", owner, rules[i].policy->name, i);
      g.states.resize(rules[i].per_tenant ? scenario_.tenants.size() + 1 : 1);
      for (AdmissionGate::State& s : g.states) s.policy = rules[i].policy->make(*rules[i].parameters);
      list.push_back(static_cast<std::uint32_t>(a.gates.size()));
      a.gates.push_back(std::move(g));
    }
  };
  a.of_service.resize(scenario_.services.size());
  for (std::uint32_t s = 0; s < scenario_.services.size(); ++s)
    open(scenario_.services[s].name, scenario_.services[s].admission, s, a.of_service[s]);
  a.of_tenant.resize(scenario_.tenants.size());
  for (std::uint32_t t = 0; t < scenario_.tenants.size(); ++t)
    open(scenario_.tenants[t].name, scenario_.tenants[t].admission, ~0U, a.of_tenant[t]);
}

// False: the request does not go on now.
bool World::admit(std::uint32_t slot) {
  AdmissionState& a = *admission_;
  Request& r = requests_[slot];
  if (r.visit && r.visit->nested()) return true;
  const std::uint32_t tenant = scenario_.workloads[r.record.workload].tenant;
  static const std::vector<std::uint32_t> none;
  const std::vector<std::uint32_t>& first = tenant == ~0U ? none : a.of_tenant[tenant];
  const std::vector<std::uint32_t>& then = a.of_service[r.serving];
  if (first.empty() && then.empty()) return true;
  if (slot >= a.passes.size()) a.passes.resize(std::max<std::size_t>(requests_.size(), slot + 1));
  if (!a.passes[slot].empty()) return true;  // it has been let in, and came back within

  r.over_quota = false;
  const schedulers::AdmissionView seen = admission_view(slot);
  Instant at = now_;
  for (std::size_t i = 0; i < first.size() + then.size(); ++i) {
    const std::uint32_t index = i < first.size() ? first[i] : then[i - first.size()];
    AdmissionGate& g = a.gates[index];
    if (!concerns(g, tenant)) continue;
    const std::uint32_t state = state_of(g, tenant);
    AdmissionGate::State& s = g.states[state];
    schedulers::AdmissionView view = seen;
    if (s.policy->wants_estimates()) view.service = estimate_alone(slot);
    const schedulers::AdmissionDecision d = s.policy->decide(view);
    const bool degraded = !d.admitted && g.rule->degrades;
    if (eyes_ && eyes_->admission && watched(r))
      eyes_->admission({r.record.request, r.serving, g.name, &view, d, s.inside, degraded});
    if (degraded) {
      r.over_quota = true;
      if (r.record.counted) ++g.degraded;
      continue;
    }
    if (!d.admitted) {
      if (r.record.counted) ++g.turned_away;
      refuse_entry(slot, g.rule->retry_after ? d.at : Instant::never());
      return false;
    }
    if (d.at < now_) throw Error("admission policy: admits a request in the past");
    if (r.record.counted) {
      ++g.admitted;
      g.held_back += d.at > now_ ? 1 : 0;
    }
    a.passes[slot].push_back({index, state, ++s.inside, now_});
    at = std::max(at, d.at);
  }
  if (at == now_) return true;
  r.record.arrived = now_;
  r.stage = Stage::throttled;
  r.timer = queue_.push(at, EventKind::local_step, 0, handle_of(slot).pack());
  return false;
}

schedulers::AdmissionView World::admission_view(std::uint32_t slot) const {
  const Request& r = requests_[slot];
  const Workload& w = scenario_.workloads[r.record.workload];
  const ServiceState& s = services_[r.serving];
  schedulers::AdmissionView v;
  v.now = now_;
  v.tokens = static_cast<double>(r.record.prompt_tokens) + r.record.output_tokens;
  v.priority = w.priority;
  v.deadline = due(r);
  v.waiting = s.queued.value();
  v.running = s.running.value();
  v.slots = std::max(1.0, s.total_slots.value());
  return v;
}

// When its answer is worth nothing any more: its own deadline or the latency objective.
Instant World::due(const Request& r) const {
  Duration limit = scenario_.workloads[r.record.workload].request.deadline;
  for (const results::Objective& o : scenario_.objectives)
    if (o.metric == "latency") limit = std::min(limit, o.target);
  return r.record.created + limit;
}

// Turned away: for good, or until the date that it is told.
void World::refuse_entry(std::uint32_t slot, Instant again) {
  Request& r = requests_[slot];
  end_admission(slot, false);
  const std::uint32_t replica = std::exchange(r.replica, ~0U);
  --replicas_[replica].outstanding;
  if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  const bool comes_again = !again.is_never() && r.hedge == Hedge::none && !r.visit &&
                           r.record.attempts <= scenario_.workloads[r.record.workload].request.retries &&
                           may_retry(r.record.workload);
  if (!comes_again) return drop(slot, results::Status::rejected, results::Cause::not_admitted);
  end_try(slot, schedulers::TryEnd::rejected);
  end_exchange(slot, false, false);
  ++r.record.attempts;
  forget_attempt(r);
  r.stage = Stage::backing_off;
  r.timer = queue_.push(std::max(again, now_), EventKind::local_step, 0, handle_of(slot).pack());
}

// The request has left the service, or what it was let into.
void World::end_admission(std::uint32_t slot, bool answered) {
  if (!admission_ || slot >= admission_->passes.size()) return;
  for (const AdmissionState::Pass& p : admission_->passes[slot]) {
    AdmissionGate::State& s = admission_->gates[p.gate].states[p.state];
    --s.inside;
    s.policy->ended({now_, now_ - p.since, p.in_flight, answered});
  }
  admission_->passes[slot].clear();
}

// A request of the service has left its queue.
void World::tell_gates(std::uint32_t service, const Request& r) {
  const std::uint32_t tenant = scenario_.workloads[r.record.workload].tenant;
  const auto tell = [&](const std::vector<std::uint32_t>& gates) {
    for (const std::uint32_t index : gates) {
      const AdmissionGate& g = admission_->gates[index];
      if (concerns(g, tenant)) g.states[state_of(g, tenant)].policy->started(now_, now_ - r.record.arrived);
    }
  };
  tell(admission_->of_service[front_of(service)]);
  if (tenant != ~0U) tell(admission_->of_tenant[tenant]);
}

void World::add_admission_totals(std::vector<std::pair<std::string, double>>& more) const {
  for (std::size_t i = 0; i < services_.size(); ++i)
    if (scenario_.services[i].preemption && scenario_.services[i].front == ~0U)
      more.emplace_back("displaced." + scenario_.services[i].name, static_cast<double>(services_[i].displaced));
  if (!admission_) return;
  for (const AdmissionGate& g : admission_->gates) {
    more.emplace_back("admitted." + g.name, static_cast<double>(g.admitted));
    more.emplace_back("held_back." + g.name, static_cast<double>(g.held_back));
    more.emplace_back("turned_away." + g.name, static_cast<double>(g.turned_away));
    if (g.rule->degrades) more.emplace_back("over_quota." + g.name, static_cast<double>(g.degraded));
  }
}

}  // namespace isthmus::world
