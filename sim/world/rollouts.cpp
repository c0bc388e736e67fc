// Replicas of rollouts: steps of each strategy, progress, ways back. Requests are in rollout_traffic.cpp.
#include "sim/world/rollouts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "sim/world/disruptions.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// In the upper bits of an event's payload. The target is a rollout, of `look` a service.
constexpr std::uint32_t begins = 0, look = 1, look_again = 2, deadline = 3, pause_over = 4, measured = 5, retires = 6,
                        test_over = 7;
constexpr unsigned kind_shift = 56;
// Between attempts to find room for replicas.
constexpr Duration look_again_after = Duration(1'000'000'000);
// In one instant; limits that contradict each other must not go round for ever.
constexpr int most_moves = 10'000;

const char* name_of(RolloutStrategy s) {
  switch (s) {
    case RolloutStrategy::rolling: return "rolling";
    case RolloutStrategy::blue_green: return "blue-green";
    case RolloutStrategy::canary: return "canary";
    case RolloutStrategy::ab: return "ab";
  }
  return "";
}

std::string words(const schedulers::AnalysisSpec& a, double value) {
  if (a.metric == schedulers::RolloutMetric::error_ratio) return fmt::format("error ratio {:.3g} %", 100 * value);
  return fmt::format("latency p{:g} {:.3g} ms", a.percentile, 1000 * value);
}

// The balancer decides which version a request gets; else any replica gets any request.
bool splits_traffic(const RolloutSpec& r) {
  return r.strategy == RolloutStrategy::blue_green || r.strategy == RolloutStrategy::ab ||
         (r.strategy == RolloutStrategy::canary && r.by_traffic);
}

}  // namespace

Rollouts::Rollouts(World& world) : world_(world), draws_(world.seed_, "rollouts") {
  const Scenario& s = world.scenario_;
  line_of_service_.assign(s.services.size(), none);
  for (const ServiceVersions& v : s.versions) {
    line_of_service_[v.service] = static_cast<std::uint32_t>(lines_.size());
    Line& l = lines_.emplace_back();
    l.service = v.service;
    for (std::size_t i = 0; i < v.versions.size(); ++i)
      l.tallies.push_back({0, 0, 0, 0, 0, results::Distribution(!s.streaming)});
    for (const std::uint32_t id : world.services_[v.service].replicas) dress(world.replicas_[id], l, 0);
  }
  compatibility_of_.assign(s.services.size(), none);
  for (const CompatibilitySpec& c : s.compatibilities) {
    compatibility_of_[c.service] = static_cast<std::uint32_t>(skews_.size());
    skews_.push_back({s.services[c.service].name, 0, 0, 0});
  }
  states_.resize(s.rollouts.size());
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    results::RolloutTotals& t = states_[i].totals;
    t.name = spec(i).name;
    t.service = s.services[spec(i).service].name;
    t.version = s.versions[line_of_service_[spec(i).service]].versions[spec(i).version].name;
    t.strategy = name_of(spec(i).strategy);
    t.outcome = "waiting";
    world.queue_.push(spec(i).at, EventKind::rollout, i, std::uint64_t{begins} << kind_shift);
  }
}

const RolloutSpec& Rollouts::spec(std::uint32_t index) const { return world_.scenario_.rollouts[index]; }

Rollouts::Line* Rollouts::find(std::uint32_t service) {
  const std::uint32_t i = line_of_service_[service];
  return i == none ? nullptr : &lines_[i];
}
const Rollouts::Line* Rollouts::find(std::uint32_t service) const { return const_cast<Rollouts*>(this)->find(service); }

void Rollouts::push(Duration wait, std::uint32_t target, std::uint32_t kind, std::uint64_t what) {
  world_.queue_.push(world_.now_ + wait, EventKind::rollout, target, std::uint64_t{kind} << kind_shift | what);
}

void Rollouts::note(std::uint32_t index, std::string what) {
  states_[index].totals.events.push_back({world_.now_, std::move(what)});
}

void Rollouts::on_event(std::uint32_t target, std::uint64_t payload) {
  const std::uint64_t what = payload & ((1ULL << kind_shift) - 1);
  switch (static_cast<std::uint32_t>(payload >> kind_shift)) {
    case begins: {
      Line& l = line_of(target);
      l.queue.push_back(target);
      if (l.current == none) begin(l.queue.front());
      else note(target, fmt::format("waits for {}", states_[l.current].totals.name));
      return;
    }
    case look: {
      Line& l = *find(target);
      l.waking = false;
      return go_on(l);
    }
    case look_again: {
      Line& l = *find(target);
      l.retrying = false;
      return go_on(l);
    }
    case deadline: return check_deadline(target);
    case measured: return measure(target, static_cast<std::size_t>(what));
    case retires: states_[target].retire_due = true; break;
    case test_over:
      if (states_[target].phase == Phase::growing) end_test(line_of(target));
      break;
    default: break;  // a pause is over
  }
  if (line_of(target).current == target) go_on(line_of(target));
}

// ---- replicas --------------------------------------------------------------------------------------

void Rollouts::dress(Replica& p, const Line& l, std::uint16_t version) const {
  const ServiceVersion& v = world_.scenario_.versions[line_of_service_[l.service]].versions[version];
  p.version = version;
  p.as = v.as.get();
  p.speed = 1 / v.time_factor;
  p.accuracy = v.accuracy;
}

void Rollouts::made(Replica& p) const {
  if (const Line* l = find(p.service)) dress(p, *l, l->making);
}

bool Rollouts::alive(std::uint32_t id) const {
  const ReplicaPhase phase = world_.replicas_[id].phase;
  return phase == ReplicaPhase::starting || phase == ReplicaPhase::ready;
}

bool Rollouts::available(const Line& l, std::uint32_t id) const {
  const Replica& p = world_.replicas_[id];
  return p.phase == ReplicaPhase::ready &&
         (l.current == none || world_.now_ - p.ready_since >= spec(l.current).min_ready);
}

schedulers::VersionCounts Rollouts::count(const Line& l, std::uint16_t version) const {
  schedulers::VersionCounts c;
  if (const auto waiting = l.unplaced.find(version); waiting != l.unplaced.end()) c.replicas = waiting->second;
  for (const std::uint32_t id : world_.services_[l.service].replicas) {
    if (world_.replicas_[id].version != version || !alive(id)) continue;
    ++c.replicas;
    c.available += available(l, id) ? 1 : 0;
  }
  return c;
}

// Replicas of the service that its scaling asks for.
std::uint32_t Rollouts::wanted(const Line& l) const { return world_.services_[l.service].asked; }

bool Rollouts::scales(std::uint32_t service) const {
  const Line* l = find(service);
  return l && l->current != none;
}

bool Rollouts::obsolete(std::uint32_t id) const {
  const Line* l = find(world_.replicas_[id].service);
  return l && (l->current != none || world_.replicas_[id].version != l->stable);
}

void Rollouts::changed(std::uint32_t service) {
  Line* l = find(service);
  if (!l || l->current == none || std::exchange(l->waking, true)) return;
  push(Duration::zero(), service, look);
}

void Rollouts::ready(std::uint32_t id) {
  const Replica& p = world_.replicas_[id];
  Line* l = find(p.service);
  if (!l) return;
  if (l->current != none) {
    if (spec(l->current).min_ready > Duration::zero()) push(spec(l->current).min_ready, l->current, pause_over);
    return;
  }
  if (world_.scenario_.services[p.service].autoscaling.policy && p.version == l->stable) return;
  // One that was away with its machine: others may have taken its place.
  const std::uint32_t there = count(*l, l->stable).replicas;
  const bool stale = p.version != l->stable;
  if (stale || there > wanted(*l)) world_.retire(id);
  if (!stale || there >= wanted(*l)) return;
  bring(*l, l->stable, there, wanted(*l));
  place(*l);
  l->unplaced.clear();
}

// More replicas of the version, or fewer: those that do not serve yet go first, then the newest.
bool Rollouts::bring(Line& l, std::uint16_t version, std::uint32_t have, std::uint32_t want) {
  bool moved = have != want;
  if (have < want) l.unplaced[version] += want - have;
  for (; have > want; --have) {
    if (std::uint32_t& none_yet = l.unplaced[version]; none_yet > 0) {
      --none_yet;
      continue;
    }
    std::uint32_t victim = none;
    for (const std::uint32_t id : world_.services_[l.service].replicas)
      if (world_.replicas_[id].version == version && alive(id) &&
          (victim == none || !available(l, id) || available(l, victim)))
        victim = id;
    if (victim == none) return moved;
    world_.retire(victim);
  }
  return moved;
}

// Machines for replicas that have none, as far as there is room. False: for none of them.
bool Rollouts::place(Line& l) {
  bool placed = false, waits = false;
  for (auto& [version, count] : l.unplaced) {
    for (; count > 0; --count, placed = true) {
      l.making = version;
      const bool room = world_.start_replica(l.service, false);
      l.making = l.stable;
      if (!room) break;
    }
    waits = waits || count > 0;
  }
  if (waits && !std::exchange(l.retrying, true)) push(look_again_after, l.service, look_again);
  return placed;
}

// Of the new version, where the balancer splits the traffic.
std::uint32_t Rollouts::fresh_wanted(const Line& l) const {
  const RolloutSpec& r = spec(l.current);
  const State& s = states_[l.current];
  if (s.phase == Phase::promoted || r.strategy == RolloutStrategy::blue_green) return wanted(l);
  return schedulers::canary_replicas(wanted(l), r.strategy == RolloutStrategy::ab ? 100 * r.share : s.percent);
}

schedulers::ReplicaTargets Rollouts::targets(const Line& l, const schedulers::VersionCounts& fresh,
                                             const schedulers::VersionCounts& old) const {
  const RolloutSpec& r = spec(l.current);
  const State& s = states_[l.current];
  const std::uint32_t all = wanted(l);
  const bool back = s.phase == Phase::aborting;
  if (splits_traffic(r)) {
    if (s.phase == Phase::promoted) return {all, s.retire_due ? 0 : old.replicas};
    if (back) return {s.retire_due ? 0 : fresh.replicas, all};
    return {fresh_wanted(l), all};
  }
  const schedulers::Fenceposts limits = schedulers::fenceposts(r.surge, r.unavailable, all);
  if (r.strategy == RolloutStrategy::canary)
    return schedulers::canary_step(all, back ? 0 : s.percent, limits, fresh, old);
  if (!back) return schedulers::rolling_step(all, limits, fresh, old);
  const schedulers::ReplicaTargets t = schedulers::rolling_step(all, limits, old, fresh);
  return {t.old, t.fresh};
}

bool Rollouts::move_replicas(Line& l) {
  const std::uint16_t old = states_[l.current].old;
  const schedulers::VersionCounts f = count(l, l.fresh), o = count(l, old);
  const schedulers::ReplicaTargets t = targets(l, f, o);
  bool moved = false;
  if (t.fresh < f.replicas) moved |= bring(l, l.fresh, f.replicas, t.fresh);
  if (t.old != o.replicas) moved |= bring(l, old, o.replicas, t.old);
  if (t.fresh > f.replicas) moved |= bring(l, l.fresh, f.replicas, t.fresh);
  return place(l) || moved;
}

// ---- the course ------------------------------------------------------------------------------------

void Rollouts::begin(std::uint32_t index) {
  Line& l = line_of(index);
  State& s = states_[index];
  const RolloutSpec& r = spec(index);
  l.queue.pop_front();
  l.current = index;
  l.fresh = r.version;
  s.old = l.stable;
  s.phase = Phase::growing;
  s.totals.began = s.progress = world_.now_;
  s.totals.outcome = "running";
  note(index, "begins");
  l.split = splits_traffic(r) ? Split::weights : Split::mixed;
  l.weight = 0;
  Duration keep;
  for (const schedulers::AnalysisSpec& a : r.analysis) keep = std::max(keep, a.interval);
  for (const CanaryStep& step : r.steps)
    for (const schedulers::AnalysisSpec& a : step.analysis) keep = std::max(keep, a.interval);
  l.counting = keep > Duration::zero();
  if (l.counting) {
    l.scrapes = schedulers::VersionScrapes(keep);
    l.scraping = world_.queue_.push(world_.now_ + r.scrape, EventKind::scrape, l.service, for_rollouts);
  }
  push(r.progress_deadline, index, deadline);
  go_on(l);
}

// Moves replicas and takes steps until something has to be waited for.
void Rollouts::go_on(Line& l) {
  while (l.current != none) {
    const std::uint32_t index = l.current;
    for (int i = 0; i < most_moves && move_replicas(l); ++i) note_progress(l);
    note_progress(l);
    if (!advance(l) && l.current == index) return;
  }
}

// As Kubernetes counts it: more new replicas or more of them available, or fewer old ones.
void Rollouts::note_progress(Line& l) {
  State& s = states_[l.current];
  const bool back = s.phase == Phase::aborting;
  schedulers::VersionCounts grows = count(l, back ? s.old : l.fresh), shrinks = count(l, back ? l.fresh : s.old);
  if (grows.replicas <= s.best_fresh.replicas && grows.available <= s.best_fresh.available &&
      shrinks.replicas >= s.least_old)
    return;
  s.best_fresh = {std::max(grows.replicas, s.best_fresh.replicas), std::max(grows.available, s.best_fresh.available)};
  s.least_old = std::min(shrinks.replicas, s.least_old);
  s.progress = world_.now_;
  if (!std::exchange(s.stalled, false)) return;
  s.totals.outcome = "running";
  note(l.current, "gets on again");
  push(spec(l.current).progress_deadline, l.current, deadline);
}

// Pauses, analyses and delays are none of the replicas' doing.
bool Rollouts::waits_for_replicas(std::uint32_t index) const {
  const State& s = states_[index];
  if (s.phase == Phase::aborting) return !splits_traffic(spec(index));
  return s.phase == Phase::growing && s.pause_until.is_never() && !s.analysing && !s.switched;
}

void Rollouts::check_deadline(std::uint32_t index) {
  Line& l = line_of(index);
  State& s = states_[index];
  if (l.current != index || s.stalled) return;
  const Duration limit = spec(index).progress_deadline;
  if (!waits_for_replicas(index)) {
    s.progress = world_.now_;
    return push(limit, index, deadline);
  }
  if (world_.now_ < s.progress + limit) return push(s.progress + limit - world_.now_, index, deadline);
  ++s.totals.deadlines;
  s.stalled = true;
  s.totals.outcome = "stalled";
  note(index, "progress deadline exceeded");
  if (s.totals.reason.empty()) s.totals.reason = "progress deadline exceeded";
  if (spec(index).deadline_aborts && s.phase == Phase::growing) {
    abort(l, "progress deadline exceeded");
    go_on(l);
  }
}

// A step that is due. False: it waits.
bool Rollouts::advance(Line& l) {
  const std::uint32_t index = l.current;
  State& s = states_[index];
  const RolloutSpec& r = spec(index);
  const schedulers::VersionCounts f = count(l, l.fresh), o = count(l, s.old);
  const std::uint32_t all = wanted(l);
  switch (s.phase) {
    case Phase::promoted:
      if (o.replicas > 0) return false;
      close(l);
      return true;
    case Phase::aborting:
      if (f.replicas > 0 || (!splits_traffic(r) && (o.replicas != all || o.available != all))) return false;
      if (!s.old_stays) s.totals.outcome = "rolled back";
      if (s.totals.ended.is_never()) s.totals.ended = world_.now_;
      note(index, "old version alone");
      close(l);
      return true;
    case Phase::growing: break;
    default: return false;
  }
  const bool complete = f.replicas == all && f.available == all;
  switch (r.strategy) {
    case RolloutStrategy::rolling:
      if (!complete || o.replicas > 0) return false;
      promote(l);
      return true;
    case RolloutStrategy::canary: return advance_steps(l);
    case RolloutStrategy::blue_green:
      if (!s.switched) {
        if (!complete) return false;
        s.switched = true;
        note(index, "traffic switched");
        set_weight(l, 1);
        start_analysis(index, r.analysis, false);
        return true;
      }
      if (s.analysing && !analysis_over(index)) return false;
      promote(l);
      return true;
    case RolloutStrategy::ab:
      if (s.switched || f.available < fresh_wanted(l)) return false;
      s.switched = true;
      l.split = Split::users;
      for (int side = 0; side < 2; ++side)
        s.sides.push_back({{}, results::Distribution(!world_.scenario_.streaming)});
      note(index, fmt::format("{:g} % of the users", 100 * r.share));
      s.test_since = world_.now_;
      push(r.lasts, index, test_over);
      world_.wake_pending(l.service);
      return true;
  }
  return false;
}

// All replicas that the present percentage asks for are there, and serve.
bool Rollouts::reached(const Line& l) const {
  const RolloutSpec& r = spec(l.current);
  const State& s = states_[l.current];
  const schedulers::VersionCounts f = count(l, l.fresh), o = count(l, s.old);
  if (r.by_traffic) return f.replicas >= fresh_wanted(l) && f.available >= fresh_wanted(l);
  const schedulers::Fenceposts limits = schedulers::fenceposts(r.surge, r.unavailable, wanted(l));
  return schedulers::canary_split(wanted(l), s.percent, limits.surge) ==
             schedulers::ReplicaTargets{f.replicas, o.replicas} &&
         f.available == f.replicas;
}

bool Rollouts::advance_steps(Line& l) {
  const std::uint32_t index = l.current;
  State& s = states_[index];
  const RolloutSpec& r = spec(index);
  const auto reach = [&](double percent) {
    if (s.percent != percent) {
      s.percent = percent;
      s.best_fresh = count(l, l.fresh);
      s.least_old = count(l, s.old).replicas;
      s.progress = world_.now_;
      if (r.by_traffic && percent / 100 < l.weight) set_weight(l, percent / 100);
      return 1;  // other replicas
    }
    if (!reached(l)) return 0;
    note(index, r.by_traffic ? fmt::format("{:g} % of the traffic", percent)
                             : fmt::format("{} of {} replicas", count(l, l.fresh).replicas,
                                           count(l, l.fresh).replicas + count(l, s.old).replicas));
    if (r.by_traffic) set_weight(l, percent / 100);
    return 2;
  };
  if (s.step == r.steps.size()) {  // the rest
    const int done = reach(100);
    if (done == 2) promote(l);
    return done > 0;
  }
  const CanaryStep& step = r.steps[s.step];
  if (step.weight) {
    const int done = reach(*step.weight);
    if (done == 2) ++s.step;
    return done > 0;
  }
  if (step.pause) {
    if (s.pause_until.is_never()) {
      s.pause_until = world_.now_ + *step.pause;
      push(*step.pause, index, pause_over);
    }
    if (world_.now_ < s.pause_until) return false;
    s.pause_until = Instant::never();
    s.progress = world_.now_;
    ++s.step;
    return true;
  }
  if (!s.analysing) {
    start_analysis(index, step.analysis, false);
    return false;
  }
  if (!analysis_over(index)) return false;
  s.analysing = false;
  s.progress = world_.now_;
  note(index, "analysis passed");
  ++s.step;
  return true;
}

void Rollouts::set_weight(Line& l, double weight) {
  if (l.weight == weight) return;
  l.weight = weight;
  world_.wake_pending(l.service);
}

// ---- analyses --------------------------------------------------------------------------------------

void Rollouts::scrape(std::uint32_t service) {
  Line& l = *find(service);
  l.scrapes.scrape(world_.now_);
  l.scraping = world_.queue_.push(world_.now_ + spec(l.current).scrape, EventKind::scrape, service, for_rollouts);
}

void Rollouts::start_analysis(std::uint32_t index, const std::vector<schedulers::AnalysisSpec>& all, bool background) {
  State& s = states_[index];
  if (background) {
    if (all.empty() || std::exchange(s.in_background, true)) return;
  } else {
    s.analysing = !all.empty();
  }
  for (const schedulers::AnalysisSpec& a : all) {
    push(a.initial_delay + a.interval, index, measured, s.runs.size());
    s.runs.push_back({&a, {}, true, background});
  }
}

// Those of the step, or after the switch.
bool Rollouts::analysis_over(std::uint32_t index) const {
  const State& s = states_[index];
  return std::none_of(s.runs.begin(), s.runs.end(), [](const Run& r) { return r.live && !r.background; });
}

void Rollouts::measure(std::uint32_t index, std::size_t number) {
  using State = schedulers::AnalysisRun::State;
  Line& l = line_of(index);
  Run& run = states_[index].runs[number];
  if (l.current != index || !run.live) return;
  const schedulers::AnalysisSpec& a = *run.spec;
  double value = 0;
  const schedulers::Measured m = schedulers::judge(a, l.scrapes.window(true, a.interval, world_.now_),
                                                   l.scrapes.window(false, a.interval, world_.now_), value);
  if (m == schedulers::Measured::failed) note(index, "measurement failed: " + words(a, value));
  switch (run.run.add(a, m)) {
    case State::running: return push(a.interval, index, measured, number);
    case State::succeeded: run.live = false; break;
    case State::failed: abort(l, "analysis failed: " + words(a, value)); break;
    case State::inconclusive: abort(l, "analysis inconclusive: too few requests"); break;
  }
  go_on(l);
}

// ---- ends ------------------------------------------------------------------------------------------

// The new version is the service's from now on.
void Rollouts::promote(Line& l) {
  State& s = states_[l.current];
  const RolloutSpec& r = spec(l.current);
  s.phase = Phase::promoted;
  s.analysing = false;
  s.totals.outcome = "completed";
  s.totals.ended = world_.now_;
  s.stalled = false;
  l.stable = l.making = l.fresh;
  note(l.current, "completed");
  for (Run& run : s.runs) run.live = false;
  retire_later(l.current, splits_traffic(r) ? r.scale_down_delay : Duration::zero());
}

void Rollouts::abort(Line& l, const std::string& why) {
  State& s = states_[l.current];
  if (s.phase != Phase::growing) return;
  const RolloutSpec& r = spec(l.current);
  s.phase = Phase::aborting;
  s.analysing = false;
  s.pause_until = Instant::never();
  s.totals.outcome = "rolling back";
  s.totals.reason = why;
  s.stalled = false;
  s.best_fresh = count(l, s.old);
  s.least_old = count(l, l.fresh).replicas;
  s.progress = world_.now_;
  if (!s.exposed_since.is_never()) s.totals.detect = (world_.now_ - s.exposed_since).seconds();
  note(l.current, "aborted: " + why);
  for (Run& run : s.runs) run.live = false;
  if (!splits_traffic(r)) {
    push(r.progress_deadline, l.current, deadline);
    return;
  }
  s.totals.ended = world_.now_;
  l.split = Split::weights;
  set_weight(l, 0);
  retire_later(l.current, r.abort_delay);
}

// The replicas that have no traffic any more.
void Rollouts::retire_later(std::uint32_t index, Duration delay) {
  if (delay == Duration::zero()) states_[index].retire_due = true;
  else push(delay, index, retires);
}

void Rollouts::close(Line& l) {
  State& s = states_[l.current];
  s.phase = Phase::over;
  l.current = none;
  l.split = Split::mixed;
  l.weight = 0;
  l.unplaced.clear();
  world_.queue_.cancel(l.scraping);
  world_.wake_pending(l.service);
  if (!l.queue.empty()) begin(l.queue.front());
}

}  // namespace isthmus::world
