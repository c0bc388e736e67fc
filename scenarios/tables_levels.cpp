#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

Field hold() {
  return quantity("hold", Unit::duration, "the condition must hold this long before the alert fires")
      .by_default("0 s");
}

const ObjectSpec& alert_spec() {
  static const ObjectSpec spec{
      "alert",
      "A rule that is looked at once per evaluation. It fires when its condition has held for `hold`, and is "
      "resolved at the first evaluation without. Windows are rounded up to whole evaluations; an empty one "
      "fulfils no condition.",
      {word("kind", {"burn-rate", "bad-ratio", "percentile"}, "what is looked at").needed(),
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
         quantity("window", Unit::duration, "over which the percentile is taken").above(0).by_default("1 min")}}}};
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
       list("alerts", object("", alert_spec, "an alert"), "further alerts").default_is("none")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
