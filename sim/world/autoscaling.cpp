// Autoscalers: what they are shown of their service, when, and what becomes of their wishes.
#include <algorithm>

#include "sim/world/service_levels.hpp"
#include "sim/world/service_meter.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

void World::open_autoscaling(std::uint32_t service) {
  const Service& spec = scenario_.services[service];
  ServiceState& s = services_[service];
  s.autoscaler = spec.autoscaling.make();
  if (s.autoscaler->wants_metrics()) {
    meters_.resize(services_.size());
    meters_[service] = std::make_unique<ServiceMeter>();
    meters_[service]->since = now_;
    meters_[service]->keeps_latencies = s.autoscaler->wants_latencies();
  }
  every(spec.autoscaling.scrape_period, EventKind::scrape, service);
  every(spec.autoscaling.period, EventKind::control, service);
}

// Over a service, or all groups that one is placed on.
template <class Figure>
double World::sum_over(std::uint32_t service, const Figure& figure) {
  const Service& spec = scenario_.services[service];
  if (!spec.placement || !spec.pools) return figure(services_[service]);
  double sum = 0;
  for (const std::uint32_t part : spec.pools->first) sum += figure(services_[part]);
  return sum;
}

// The service whose autoscaler counts the replicas of a service: of one that is placed on several groups, the
// whole; pools have their own.
std::uint32_t World::scaled_with(std::uint32_t service) const {
  const std::uint32_t placed = placed_by(service);
  return placed != ~0U ? placed : service;
}

// ---- what meters are told -------------------------------------------------------------------------

// A request is at a replica for the first time; those that have waited were counted when they came.
void World::note_arrival(std::uint32_t slot, std::uint32_t replica) {
  ServiceMeter* m = meters_[scaled_with(replicas_[replica].service)].get();
  if (m && (m->waited.empty() || !m->waited.contains(handle_of(slot).pack()))) ++m->arrivals;
}

// The service where it is has done its part.
void World::note_answer(std::uint32_t slot, Instant at) {
  const Request& r = requests_[slot];
  ServiceMeter* m = meters_[scaled_with(replicas_[r.replica].service)].get();
  if (!m) return;
  Instant since = r.record.kv_received.is_never() ? r.record.arrived : r.record.kv_received;
  if (!m->waited.empty())
    if (const auto it = m->waited.find(handle_of(slot).pack()); it != m->waited.end()) {
      since = it->second;
      m->waited.erase(it);
    }
  const double latency = (at - since).seconds();
  ++m->completed;
  m->latency_sum += latency;
  if (m->keeps_latencies) m->latencies.push_back(latency);
}

// It ends there without an answer. A service with pools does not say which pool turned it away.
void World::note_failure(std::uint32_t slot) {
  const Request& r = requests_[slot];
  const std::uint32_t service =
      r.replica != ~0U ? scaled_with(replicas_[r.replica].service) : r.serving;
  if (service == ~0U || !meters_[service]) return;
  ++meters_[service]->failed;
  meters_[service]->waited.erase(handle_of(slot).pack());
}

// The line of requests that wait for a replica has changed; `slot` has joined it, or ~0. All pools
// behind it see the line.
void World::note_pending(std::uint32_t service, std::uint32_t slot) {
  const auto tell = [&](std::uint32_t to) {
    ServiceMeter* m = meters_.empty() ? nullptr : meters_[to].get();
    if (m) {
      m->pending.set(now_, static_cast<double>(services_[service].pending.size()));
      if (slot != ~0U && m->waited.try_emplace(handle_of(slot).pack(), now_).second) ++m->arrivals;
    }
    if (slot != ~0U) wake_autoscaler(to);
  };
  if (!scenario_.services[service].pools || scenario_.services[service].placement) return tell(service);
  for (const std::uint32_t pool : scenario_.services[service].pools->first) tell(pool);
}

// Totals are about to begin anew; windows that are open go on.
void World::carry_meters() {
  for (std::uint32_t i = 0; i < meters_.size(); ++i)
    if (ServiceMeter* m = meters_[i].get()) {
      m->queued_before -= sum_over(i, [&](ServiceState& s) { return s.queued.integral(now_); });
      m->running_before -= sum_over(i, [&](ServiceState& s) { return s.running.integral(now_); });
    }
}

// ---- the loop -------------------------------------------------------------------------------------

// A request waits and nobody is wanted: the sample goes to the controller at once.
void World::wake_autoscaler(std::uint32_t service) {
  ServiceState& s = services_[service];
  if (!s.autoscaler || s.asked > 0 || s.waking || !s.autoscaler->wakes()) return;
  s.waking = true;
  scrape(service);
  queue_.push(now_ + scenario_.services[service].autoscaling.scrape_delay, EventKind::control, service,
              for_waking);
}

void World::scrape(std::uint32_t service) {
  ServiceState& s = services_[service];
  Scrape& sample = s.scrapes.emplace_back();
  sample.observed_at = now_;
  sample.waiting = static_cast<std::uint32_t>(router_to(service)->pending.size());
  double busy = 0;
  std::uint32_t ready = 0;
  for (const std::uint32_t id : replicas_of(service)) {
    Replica& p = replicas_[id];
    if (p.phase == ReplicaPhase::draining) continue;
    schedulers::ReplicaSample r;
    r.ready = p.phase == ReplicaPhase::ready;
    r.age = now_ - p.started_at;
    if (r.ready) {
      r.since_transition = now_ - p.ready_since;
      r.utilization = p.busy.mean(now_) / services_[p.service].slots_per_replica;
      r.in_flight = p.outstanding;
      busy += *r.utilization;
      ++ready;
    }
    p.busy.reset(now_);
    sample.replicas.push_back(r);
  }
  ServiceMeter* m = meters_.empty() ? nullptr : meters_[service].get();
  if (!m) return;
  std::erase_if(m->waited, [&](const auto& w) { return !find(Handle::unpack(w.first)); });
  sample.metrics = m->close(now_, sum_over(service, [&](ServiceState& p) { return p.queued.integral(now_); }),
                            sum_over(service, [&](ServiceState& p) { return p.running.integral(now_); }),
                            sample.latencies);
  sample.metrics.in_flight =
      sum_over(service, [](ServiceState& p) { return p.queued.value() + p.running.value(); }) + sample.waiting;
  sample.metrics.ready = ready;
  if (ready > 0) sample.metrics.utilization = busy / ready;
  for (const ExternalSeries& series : scenario_.services[service].autoscaling.external)
    if (const double* value = series.at(now_)) sample.external.push_back({series.name, *value});
}

// Asks the controller, which sees the newest sample that is old enough.
void World::control(std::uint32_t service, bool woken) {
  ServiceState& s = services_[service];
  if (woken) s.waking = false;
  const Duration delay = scenario_.services[service].autoscaling.scrape_delay;
  std::vector<schedulers::ServiceMetrics> samples;
  std::size_t visible = 0;
  for (; visible < s.scrapes.size() && s.scrapes[visible].observed_at + delay <= now_; ++visible) {
    Scrape& c = s.scrapes[visible];
    if (c.shown || meters_.empty() || !meters_[service]) continue;
    c.shown = true;
    samples.push_back(c.metrics);
    samples.back().latencies = c.latencies;
    samples.back().external = c.external;
  }
  if (visible == 0) return;
  const Scrape& seen = s.scrapes[visible - 1];
  schedulers::AutoscalingView view;
  view.now = now_;
  view.observed_at = seen.observed_at;
  view.current = s.asked;
  view.replicas = seen.replicas;
  view.waiting = seen.waiting;
  view.samples = samples;
  view.woken = woken;
  if (levels_) view.alerts = levels_->active(front_of(service));
  const schedulers::AutoscalingDecision d = s.autoscaler->decide(view);
  s.scrapes.erase(s.scrapes.begin(), s.scrapes.begin() + static_cast<std::ptrdiff_t>(visible - 1));
  set_replicas(service, d.desired);
}

}  // namespace isthmus::world
