#include "sim/world/service_levels.hpp"

#include <algorithm>
#include <cmath>

#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// Seconds, or below 0: the request has none.
double value_of(Indicator metric, const results::RequestRecord& r) {
  if (metric == Indicator::latency) return (r.completed - r.created).seconds();
  const Instant first = r.streamed ? r.first_received : r.first_token;
  if (first.is_never() || r.served.is_never()) return -1;
  if (metric == Indicator::ttft) return (first - r.created).seconds();
  if (r.output_tokens < 2) return 0;  // there is no further token to wait for
  return ((r.streamed ? r.last_received : r.served) - first).seconds() / (r.output_tokens - 1);
}

constexpr std::size_t most_points = 512;  // of a budget over time

}  // namespace

ServiceLevels::ServiceLevels(World& world) : world_(world) {
  const Scenario& scenario = world.scenario_;
  of_workload_.resize(scenario.workloads.size());
  active_.assign(scenario.services.size(), 0);
  for (std::uint32_t i = 0; i < scenario.levels.size(); ++i) {
    const ServiceLevel& spec = scenario.levels[i];
    std::uint32_t longest = 1;
    for (const AlertSpec& a : spec.alerts)
      if (!a.percentile && !a.watch) longest = std::max(longest, *std::max_element(a.windows.begin(), a.windows.end()));
    Level level{results::SlidingCounts(longest), {}, 0, 0, 0, 0, {}, {}, 1, results::LevelTotals::never, {}, 0};
    for (const AlertSpec& a : spec.alerts) {
      Alert& alert = level.alerts.emplace_back(Alert{results::AlertState(a.hold), {}, {}, 0});
      if (a.percentile) alert.own.emplace(a.windows[0]);
      if (a.watch) alert.watch.emplace(*a.watch);
    }
    level.period_start = Instant::zero() + scenario.warmup;
    world.queue_.push(level.period_start + spec.slice, EventKind::service_level, i);
    level.progress.emplace_back(level.period_start.seconds(), 1.0);
    levels_.push_back(std::move(level));
    for (std::uint32_t w = 0; w < of_workload_.size(); ++w)
      if (spec.workloads.empty() || spec.workloads[w]) of_workload_[w].push_back(i);
  }
}

bool ServiceLevels::concerns(const ServiceLevel& spec, const results::RequestRecord& r) const {
  if (spec.services.empty()) return true;
  const std::uint32_t service = r.service != ~0U ? r.service : r.first_choice;
  return service != ~0U && spec.services[service];
}

void ServiceLevels::observe(const results::RequestRecord& r) {
  for (const std::uint32_t i : of_workload_[r.workload])
    if (concerns(world_.scenario_.levels[i], r)) count(i, r);
}

void ServiceLevels::count(std::uint32_t index, const results::RequestRecord& r) {
  const ServiceLevel& spec = world_.scenario_.levels[index];
  Level& level = levels_[index];
  const bool answered = r.status == results::Status::completed;
  for (Alert& a : level.alerts)
    if (a.watch) a.watch->observe(answered, answered ? (r.completed - r.created).seconds() : 0);
  if (answered) {
    ++level.answers;
    for (std::size_t a = 0; a < level.alerts.size(); ++a) {
      if (!level.alerts[a].own) continue;
      const double value = value_of(spec.alerts[a].metric, r);
      if (value >= 0) level.alerts[a].own->add(value <= spec.alerts[a].threshold);
    }
  }
  switch (spec.indicator) {
    case Indicator::availability: return level.counts.add(answered);
    case Indicator::accuracy:
      if (answered) level.counts.add(r.accuracy >= spec.target);
      return;
    case Indicator::throughput:
    case Indicator::uptime: return;
    case Indicator::latency:
    case Indicator::ttft:
    case Indicator::tpot: break;
  }
  const double value = answered ? value_of(spec.indicator, r) : HUGE_VAL;
  if (value < 0) return;
  level.counts.add(value <= spec.target);
  level.satisfied += value <= spec.target ? 1 : 0;
  level.tolerating += value > spec.target && value <= 4 * spec.target ? 1 : 0;
  ++level.judged;
}

bool ServiceLevels::is_up(const ServiceLevel& spec) const {
  for (std::uint32_t s = 0; s < world_.services_.size(); ++s) {
    if (world_.scenario_.services[s].front != ~0U) continue;
    if ((spec.services.empty() || spec.services[s]) && world_.services_[s].ready.empty()) return false;
  }
  return true;
}

void ServiceLevels::on_slice(std::uint32_t index) {
  const ServiceLevel& spec = world_.scenario_.levels[index];
  Level& level = levels_[index];
  if (spec.indicator == Indicator::uptime)
    level.counts.add(is_up(spec));
  else if (spec.indicator == Indicator::throughput)
    level.counts.add(static_cast<double>(level.answers) >= spec.target * spec.slice.seconds() * (1 - 1e-12));
  level.answers = 0;
  level.counts.close();
  look_at_budget(index);
  for (std::uint32_t a = 0; a < level.alerts.size(); ++a) look_at_alert(index, a);
  world_.queue_.push(world_.now_ + spec.slice, EventKind::service_level, index);
}

// As if the rest of the period had as many events as it had so far.
void ServiceLevels::look_at_budget(std::uint32_t index) {
  const ServiceLevel& spec = world_.scenario_.levels[index];
  Level& level = levels_[index];
  const results::GoodCount count = level.counts.total() - level.before_period;
  const Duration gone = world_.now_ - level.period_start;
  const double share = std::min(1.0, gone.seconds() / spec.period.seconds());
  level.budget_left = count.all > 0 ? 1 - results::burn_rate(count, spec.objective) * share : 1.0;
  if (level.budget_left < 0 && std::isnan(level.used_up)) level.used_up = world_.now_.seconds();
  if (std::abs(level.budget_left - level.progress.back().second) > level.step) {
    level.progress.emplace_back(world_.now_.seconds(), level.budget_left);
    if (level.progress.size() > most_points) {
      for (std::size_t i = 1; i < most_points / 2; ++i) level.progress[i] = level.progress[2 * i];
      level.progress.resize(most_points / 2);
      level.step = std::max(1e-3, 2 * level.step);
    }
  }
  if (gone < spec.period) return;
  level.period_start = level.period_start + spec.period;
  level.before_period = level.counts.total();
}

void ServiceLevels::look_at_alert(std::uint32_t index, std::uint32_t number) {
  const ServiceLevel& spec = world_.scenario_.levels[index];
  const AlertSpec& rule = spec.alerts[number];
  Alert& alert = levels_[index].alerts[number];
  if (alert.own) alert.own->close();
  const results::SlidingCounts& counts = alert.own ? *alert.own : levels_[index].counts;
  const bool wrong = alert.watch && alert.watch->close();
  const bool holds = alert.watch ? wrong : std::all_of(rule.windows.begin(), rule.windows.end(), [&](std::uint32_t w) {
    const results::GoodCount count = counts.last(w);
    return rule.reaches ? results::at_least_bad(count, rule.bad_share) : results::more_bad_than(count, rule.bad_share);
  });
  using Change = results::AlertState::Change;
  const Change change = alert.state.evaluate(holds, world_.now_);
  if (change == Change::none) return;
  for (std::uint32_t s = 0; s < active_.size(); ++s)
    if (spec.services.empty() || spec.services[s]) active_[s] += change == Change::fires ? 1 : ~0U;
  if (change == Change::resolves) {
    events_[alert.event].resolved = world_.now_;
    return;
  }
  alert.event = events_.size();
  events_.push_back({spec.name, rule.name, rule.severity, alert.state.pending(), world_.now_, Instant::never()});
}

void ServiceLevels::fault(bool begins) {
  if (begins && faults_++ == 0) incidents_.emplace_back(world_.now_, Instant::never());
  if (!begins && --faults_ == 0) incidents_.back().second = world_.now_;
}

results::AlertVerdict ServiceLevels::verdict(std::uint32_t index, const AlertSpec& rule) const {
  const ServiceLevel& spec = world_.scenario_.levels[index];
  std::vector<std::pair<Instant, Instant>> incidents = incidents_;
  incidents.insert(incidents.end(), spec.incidents.begin(), spec.incidents.end());
  std::vector<Instant> fired;
  for (const results::AlertEvent& e : events_)
    if (e.level == spec.name && e.alert == rule.name) fired.push_back(e.fired);
  Instant from = Instant::zero() + world_.scenario_.warmup;
  if (rule.watch) from = from + rule.watch->interval * static_cast<std::int64_t>(rule.watch->training);
  return results::judge(std::move(incidents), fired, *spec.fault_grace, from, world_.now_);
}

void ServiceLevels::add_totals(std::vector<results::LevelTotals>& levels,
                               std::vector<results::AlertEvent>& alerts) const {
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    const ServiceLevel& spec = world_.scenario_.levels[i];
    const Level& level = levels_[i];
    results::LevelTotals t;
    t.name = spec.name;
    t.indicator = spec.words;
    t.objective = spec.objective;
    t.period = spec.period.seconds();
    t.good = level.counts.total().good;
    t.events = level.counts.total().all;
    t.budget_left = level.budget_left;
    t.used_up = level.used_up;
    if (spec.indicator == Indicator::latency)
      t.apdex = results::apdex(level.satisfied, level.tolerating, level.judged);
    t.progress = level.progress;
    if (t.progress.back().second != level.budget_left)
      t.progress.emplace_back(world_.now_.seconds(), level.budget_left);
    for (const AlertSpec& a : spec.alerts) {
      t.alerts.push_back(a.name);
      if (spec.fault_grace) t.verdicts.push_back(verdict(static_cast<std::uint32_t>(i), a));
    }
    levels.push_back(std::move(t));
  }
  alerts = events_;
}

}  // namespace isthmus::world
