// Service levels and their alerts from their tables.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "results/format.hpp"
#include "results/service_level.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

// Slices that windows may have: 16 bytes each.
constexpr double most_slices = 1e6;
// Evaluations in a run.
constexpr double most_evaluations = 1e8;

void refuse(Resolution& r, const ObjectView& v, const char* field, const std::string& why) {
  r.problems.add(v.at(field), v.pointer_to(field), why);
}

world::Indicator indicator_named(const std::string& name) {
  using enum world::Indicator;
  return name == "latency"    ? latency
         : name == "ttft"     ? ttft
         : name == "tpot"     ? tpot
         : name == "accuracy" ? accuracy
         : name == "throughput" ? throughput
         : name == "uptime"   ? uptime
                              : availability;
}

// The target of the indicator, which says in which field it stands.
void read_target(Resolution& r, const ObjectView& v, world::ServiceLevel& level) {
  using enum world::Indicator;
  const std::string name = v.text("indicator");
  const bool timed = level.indicator == latency || level.indicator == ttft || level.indicator == tpot;
  const bool counted = level.indicator == accuracy || level.indicator == throughput;
  const char* field = timed ? "within" : counted ? "least" : nullptr;
  for (const char* other : {"within", "least"})
    if (v.has(other) && (!field || std::string(other) != field))
      refuse(r, v, other, fmt::format("\"{}\" has no such target{}", name,
                                      field ? fmt::format("; give \"{}\"", field) : std::string()));
  level.words = name;
  if (!field) return;
  if (!v.has(field)) {
    r.problems.add(v.at(), v.pointer(), fmt::format("indicator \"{}\" needs the field \"{}\"", name, field));
    return;
  }
  level.target = v.number(field);
  if (level.indicator == accuracy && level.target > 1) refuse(r, v, field, "an accuracy is at most 1");
  level.words += timed ? " <= " + results::format_quantity(level.target, "s")
                       : fmt::format(" >= {:g}{}", level.target, level.indicator == throughput ? " /s" : "");
}

// Whole slices.
std::uint32_t slices_of(Resolution& r, const ObjectView& v, const char* field, Duration window,
                        const world::ServiceLevel& level) {
  const double n = std::ceil(window.seconds() / level.slice.seconds() * (1 - 1e-12));
  if (n > most_slices) {
    refuse(r, v, field, fmt::format("has {:.0f} evaluations of {}; at most {:.0f} are remembered: take a longer "
                                    "\"evaluation\"", n, results::format_quantity(level.slice.seconds(), "s"),
                                    most_slices));
    return 1;
  }
  return static_cast<std::uint32_t>(std::max(1.0, n));
}

// Of an alert on a metric: what is common to bounds and forecasts.
world::MetricWatchSpec watch_of(Resolution& r, const ObjectView& v, const world::ServiceLevel& level) {
  world::MetricWatchSpec w;
  const std::string metric = v.text("metric");
  w.metric = metric == "rate"           ? world::WatchedMetric::rate
             : metric == "error_ratio"  ? world::WatchedMetric::error_ratio
             : metric == "mean_latency" ? world::WatchedMetric::mean_latency
                                        : world::WatchedMetric::latency_percentile;
  w.percentile = v.number("percentile");
  if (v.has("percentile") && w.metric != world::WatchedMetric::latency_percentile)
    refuse(r, v, "percentile", "only of \"latency_percentile\"");
  w.slices = slices_of(r, v, "interval", v.duration("interval"), level);
  w.interval = level.slice * static_cast<std::int64_t>(w.slices);
  if (v.has("training")) w.training = static_cast<std::uint64_t>(std::ceil(v.number("training") / w.interval.seconds() - 1e-9));
  return w;
}

world::MetricWatchSpec threshold_of(Resolution& r, const ObjectView& v, const world::ServiceLevel& level) {
  world::MetricWatchSpec w = watch_of(r, v, level);
  if (v.has("above")) w.above = v.number("above");
  if (v.has("below")) w.below = v.number("below");
  if (!w.above && !w.below) r.problems.add(v.at(), v.pointer(), "give a bound: \"above\" or \"below\", or both");
  if (w.metric == world::WatchedMetric::error_ratio && w.above && *w.above >= 1)
    refuse(r, v, "above", "never fires: no more than all requests fail");
  return w;
}

world::MetricWatchSpec anomaly_of(Resolution& r, const ObjectView& v, const world::ServiceLevel& level) {
  world::MetricWatchSpec w = watch_of(r, v, level);
  schedulers::AnomalySpec& a = w.anomaly.emplace();
  a.forecast.model = v.text("model");
  const double season = v.has("season") ? v.number("season") : 0;
  const bool seasonal = a.forecast.model == "holt-winters" || a.forecast.model == "naive";
  if (v.has("season") && !seasonal) refuse(r, v, "season", "only of holt-winters and naive");
  const double steps = std::round(season / w.interval.seconds());
  if (season > 0 && steps < 2) refuse(r, v, "season", "must be at least two intervals long");
  else if (std::abs(season / w.interval.seconds() - steps) > 1e-9 * steps)
    refuse(r, v, "season", "must be a whole number of intervals");
  if (steps > most_slices) refuse(r, v, "season", "has too many intervals: take a longer one");
  else a.forecast.season = static_cast<std::size_t>(steps);
  a.forecast.alpha = v.number("alpha");
  a.forecast.beta = v.number("beta");
  a.forecast.gamma = v.number("gamma");
  a.forecast.order = v.count("order");
  a.forecast.window = v.count("window");
  if (a.forecast.window <= 2 * a.forecast.order)
    refuse(r, v, v.has("window") ? "window" : "order", "the window must be longer than twice the order");
  a.forecast.level_noise = v.number("level_noise");
  a.forecast.slope_noise = v.number("slope_noise");
  a.deviations = v.number("deviations");
  a.memory = v.count("memory");
  a.above = v.text("side") != "below";
  a.below = v.text("side") != "above";
  a.learn = v.number("learn_flagged");
  a.least = v.number("least_deviation");
  a.logarithm = v.flag("logarithm");
  if (a.logarithm && w.metric == world::WatchedMetric::error_ratio)
    refuse(r, v, "logarithm", "a share of errors is 0 most of the time");
  if (!v.has("training")) w.training = a.forecast.season > 0 ? 2 * a.forecast.season : 60;
  a.training = w.training;
  return w;
}

world::AlertSpec alert_of(Resolution& r, const ObjectView& v, const world::ServiceLevel& level) {
  world::AlertSpec a;
  a.name = v.text("name");
  a.severity = v.text("severity");
  a.hold = v.duration("hold");
  const std::string kind = v.text("kind");
  if (kind == "burn-rate") {
    const Duration whole = v.duration("long");
    const Duration part = v.duration_or("short", Duration(std::max<std::int64_t>(1, whole.ns() / 12)));
    if (part > whole) refuse(r, v, "short", "must not be longer than \"long\"");
    a.bad_share = v.number("factor") * (1 - level.objective);
    a.reaches = true;
    if (a.bad_share > 1 + 1e-9)
      refuse(r, v, "factor", fmt::format("never fires: if everything is bad, the budget is spent {:.6g} times as "
                                         "fast as allowed", 1 / (1 - level.objective)));
    a.windows = {slices_of(r, v, "long", whole, level), slices_of(r, v, "short", part, level)};
    return a;
  }
  if (kind == "threshold" || kind == "anomaly") {
    a.watch = std::make_shared<const world::MetricWatchSpec>(kind == "threshold" ? threshold_of(r, v, level)
                                                                                 : anomaly_of(r, v, level));
    return a;
  }
  a.windows = {slices_of(r, v, "window", v.duration("window"), level)};
  if (kind == "bad-ratio") {
    a.bad_share = v.number("above");
    if (a.bad_share >= 1) refuse(r, v, "above", "never fires: no more than all events are bad");
    return a;
  }
  a.percentile = true;
  a.metric = indicator_named(v.text("metric"));
  a.threshold = v.number("above");
  a.bad_share = 1 - v.number("percentile") / 100;
  return a;
}

void read_subjects(Resolution& r, const ObjectView& v, world::ServiceLevel& level) {
  const world::Scenario& s = r.scenario;
  if (v.has("services")) {
    level.services.resize(s.services.size());
    for (const std::string& name : v.texts("services")) level.services[r.services.at(name)] = true;
  }
  if (!v.has("workloads") && !v.has("tenants")) return;
  if (level.indicator == world::Indicator::uptime)
    refuse(r, v, v.has("workloads") ? "workloads" : "tenants", "replicas are up or not, whoever asks");
  level.workloads.assign(s.workloads.size(), true);
  if (v.has("workloads")) {
    const std::vector<std::string> names = v.texts("workloads");
    for (const std::string& name : names)
      if (std::none_of(s.workloads.begin(), s.workloads.end(), [&](const auto& w) { return w.name == name; }))
        refuse(r, v, "workloads", fmt::format("there is no workload \"{}\"", name));
    for (std::size_t w = 0; w < s.workloads.size(); ++w)
      level.workloads[w] = std::find(names.begin(), names.end(), s.workloads[w].name) != names.end();
  }
  if (v.has("tenants")) {
    std::set<std::uint32_t> tenants;
    for (const std::string& name : v.texts("tenants")) tenants.insert(r.tenants.at(name));
    for (std::size_t w = 0; w < s.workloads.size(); ++w)
      level.workloads[w] = level.workloads[w] && tenants.contains(s.workloads[w].tenant);
  }
  if (std::none_of(level.workloads.begin(), level.workloads.end(), [](bool b) { return b; }))
    r.problems.add(v.at(), v.pointer(), "concerns no workload");
}

void add_level(Resolution& r, const std::string& name, const ObjectView& v) {
  world::ServiceLevel level;
  level.name = name;
  level.indicator = indicator_named(v.text("indicator"));
  level.objective = v.number("objective");
  level.period = v.duration("period");
  level.slice = v.duration_or("evaluation", Duration(std::max<std::int64_t>(1, level.period.ns() / 86400)));
  if (level.slice > level.period)
    refuse(r, v, "evaluation", "must not be longer than the period");
  const Duration run = r.scenario.duration;
  if (run != Duration::max() && run.seconds() / level.slice.seconds() > most_evaluations)
    refuse(r, v, v.has("evaluation") ? "evaluation" : "period",
           fmt::format("makes more than {:.0f} evaluations in this run", most_evaluations));
  read_target(r, v, level);
  read_subjects(r, v, level);
  if (v.flag("burn_rate_alerts"))
    for (const results::BurnRateRule& rule : results::burn_rate_rules(level.period)) {
      // With a low objective even a complete outage does not spend the budget so fast.
      const double share = rule.factor * (1 - level.objective);
      if (share > 1 + 1e-9) continue;
      const char* field = v.has("evaluation") ? "evaluation" : "period";
      world::AlertSpec& a = level.alerts.emplace_back();
      a.name = rule.name;
      a.severity = rule.severity;
      a.bad_share = share;
      a.reaches = true;
      a.windows = {slices_of(r, v, field, rule.long_window, level),
                   slices_of(r, v, field, rule.short_window, level)};
    }
  for (const ObjectView& a : v.objects("alerts")) {
    level.alerts.push_back(alert_of(r, a, level));
    for (std::size_t i = 0; i + 1 < level.alerts.size(); ++i)
      if (level.alerts[i].name == level.alerts.back().name)
        refuse(r, a, "name", fmt::format("a second alert of this level is called \"{}\"", level.alerts[i].name));
  }
  if (v.has("fault_grace")) level.fault_grace = v.duration("fault_grace");
  else if (v.has("incidents")) refuse(r, v, "incidents", "only with \"fault_grace\"");
  for (const ObjectView& i : v.objects("incidents")) {
    const Instant at = Instant::zero() + i.duration("at");
    level.incidents.emplace_back(at, at + i.duration("lasts"));
  }
  r.scenario.levels.push_back(std::move(level));
}

}  // namespace

void resolve_levels(Resolution& r, const ObjectView& root) {
  if (const Value* written = root.find("service_levels"))
    for (const Member& m : written->members)
      add_level(r, m.key, ObjectView(&m.value, service_level_spec(), child("/service_levels", m.key), m.at));
}

}  // namespace isthmus::scenarios
