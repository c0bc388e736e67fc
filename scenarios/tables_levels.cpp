#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

Field hold() {
  return quantity("hold", Unit::duration, "the condition must hold this long before the alert fires")
      .by_default("0 s");
}

// What alerts on metrics have in common; then their own.
std::vector<Field> with_metric(std::vector<Field> further, const char* training) {
  std::vector<Field> fields = {
      word("metric", {"latency_percentile", "mean_latency", "error_ratio", "rate"},
           "of requests that ended in an interval: latencies of answers in s, share without an answer, all that ended "
           "per second")
          .by_default("latency_percentile"),
      quantity("percentile", Unit::none, "in %, of latency_percentile").above(0).at_most(100).by_default("95"),
      quantity("interval", Unit::duration, "between two values of the metric, in whole evaluations")
          .above(0)
          .by_default("1 min"),
      quantity("training", Unit::duration, "does not fire for a value before, and is not judged by what fails before")
          .default_is(training)};
  for (Field& f : further) fields.push_back(std::move(f));
  return fields;
}

std::vector<Field> bounds() {
  return with_metric({quantity("above", Unit::none, "bound: in s, a share or 1/s as the metric").default_is("none"),
                      quantity("below", Unit::none, "likewise, from below").default_is("none")},
                     "none");
}

std::vector<Field> forecasts() {
  return with_metric(
      {word("model", {"holt-winters", "autoregression", "kalman", "naive"}, "of the forecast").by_default("holt-winters"),
       quantity("season", Unit::duration, "after which the metric repeats, in whole intervals (holt-winters and naive)")
           .default_is("none"),
       quantity("deviations", Unit::none, "robust standard deviations of errors that are too far; fewer find more, false ones included")
           .above(0)
           .at_most(1e6)
           .by_default("5"),
       word("side", {"above", "below", "both"}, "of the forecast").by_default("above"),
       integer("memory", "errors that the deviation is taken of; a failure must last less than half as many intervals")
           .at_least(2)
           .at_most(1e5)
           .by_default("120"),
       quantity("learn_flagged", Unit::fraction,
                "share of its error that is learned of a value which was too far; 0: what has changed for good stays an "
                "anomaly for ever")
           .at_most(1)
           .by_default("0.1"),
       quantity("least_deviation", Unit::none,
                "never taken to be smaller: in the unit of the metric, or relative with \"logarithm\"")
           .by_default("0"),
       flag("logarithm", "forecast the logarithm: noise is in proportion to the metric, as that of latencies")
           .by_default("false"),
       quantity("alpha", Unit::fraction, "holt-winters: weight of the newest level").at_most(1).by_default("0.2"),
       quantity("beta", Unit::fraction, "holt-winters: weight of the newest trend").at_most(1).by_default("0"),
       quantity("gamma", Unit::fraction, "holt-winters: weight of the newest season").at_most(1).by_default("0.3"),
       integer("order", "autoregression: past values that count").at_least(1).at_most(100).by_default("4"),
       integer("window", "autoregression: past values it is fitted to; more than twice the order")
           .at_least(3)
           .at_most(10000)
           .by_default("120"),
       quantity("level_noise", Unit::none, "kalman: variance of the level's steps relative to the measurement's")
           .at_most(1e6)
           .by_default("0.1"),
       quantity("slope_noise", Unit::none, "kalman: variance of the slope's steps relative to the measurement's")
           .at_most(1e6)
           .by_default("0.01")},
      "two seasons, or 60 intervals");
}

const ObjectSpec& incident_spec() {
  static const ObjectSpec spec{
      "incident",
      "A time at which something is wrong that is no failure of the scenario, such as a flood of requests.",
      {quantity("at", Unit::duration, "begin").needed(), quantity("lasts", Unit::duration, "how long").above(0).needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& alert_spec() {
  static const ObjectSpec spec{
      "alert",
      "A rule that is looked at once per evaluation. It fires when its condition has held for `hold`, and is "
      "resolved at the first evaluation without. Windows are rounded up to whole evaluations; an empty one "
      "fulfils no condition.",
      {word("kind", {"burn-rate", "bad-ratio", "percentile", "threshold", "anomaly"}, "what is looked at").needed(),
       text("name", "in results").needed(),
       word("severity", {"page", "ticket"}, "shown in results").by_default("page"), hold()},
      "kind",
      {{"burn-rate",
        "the error budget is spent at least `factor` times as fast as allowed, over both windows",
        {quantity("factor", Unit::none, "1: just so that the budget lasts for its period").above(0).at_most(1e9).needed(),
         quantity("long", Unit::duration, "window: enough of the budget is gone").above(0).needed(),
         quantity("short", Unit::duration, "window: it is still going on").above(0).default_is("long / 12")}},
       {"bad-ratio",
        "more than a share of the events was bad",
        {quantity("above", Unit::fraction, "share").at_most(1).needed(),
         quantity("window", Unit::duration, "over which").above(0).needed()}},
       {"percentile",
        "a percentile (nearest rank) of answers is above a threshold",
        {word("metric", {"latency", "ttft", "tpot"}, "of answered requests that have one").by_default("latency"),
         quantity("percentile", Unit::none, "in %").above(0).at_most(100).by_default("95"),
         quantity("above", Unit::duration, "threshold").above(0).needed(),
         quantity("window", Unit::duration, "over which the percentile is taken").above(0).by_default("1 min")}},
       {"threshold", "the newest value of a metric is above or below a bound", bounds()},
       {"anomaly", "the newest value of a metric is too far from its forecast", forecasts()}}};
  return spec;
}

}  // namespace

const ObjectSpec& service_level_spec() {
  static const ObjectSpec spec{
      "service level",
      "An indicator (SLI), what it should reach (SLO), the error budget of a period, and alerts. Requests created "
      "in the warm-up are not seen. See docs/service_levels.md.",
      {word("indicator",
            {"availability", "latency", "ttft", "tpot", "accuracy", "throughput", "uptime"},
            "share of requests that were answered, or answered within the target (latency, ttft, tpot); of answers "
            "of at least the target's accuracy; of evaluations with at least the target's answers per second since "
            "the last one, or (uptime) with a ready replica of every service")
           .by_default("availability"),
       quantity("within", Unit::duration, "target of latency, ttft and tpot").above(0).default_is("none"),
       quantity("least", Unit::none, "target of accuracy; of throughput in answers per second")
           .above(0)
           .at_most(1e12)
           .default_is("none"),
       quantity("objective", Unit::fraction, "share of good events to reach").above(0).at_most(0.999999999).needed(),
       quantity("period", Unit::duration, "of the error budget; a new one begins after it")
           .above(0)
           .by_default("30 day"),
       quantity("evaluation", Unit::duration, "between two evaluations; windows have whole ones")
           .above(0)
           .default_is("period / 86400: 30 s of 30 days"),
       list("services", refer("", Reference::service, "service"), "about requests to these").at_least(1).default_is("all"),
       list("workloads", text("", "name of a workload"), "about requests of these").at_least(1).default_is("all"),
       list("tenants", refer("", Reference::tenant, "tenant"), "about requests of these tenants' workloads")
           .at_least(1)
           .default_is("all"),
       flag("burn_rate_alerts",
            "the four multi-window alerts of the Site Reliability Workbook, scaled to the period")
           .by_default("true"),
       list("alerts", object("", alert_spec, "an alert"), "further alerts").default_is("none"),
       quantity("fault_grace", Unit::duration,
                "judge alerts: one that fires during a failure of the run, or so long after its end, was right")
           .default_is("none: alerts are not judged"),
       list("incidents", object("", incident_spec, "an incident"), "further ones beside failures, with fault_grace")
           .default_is("none")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
