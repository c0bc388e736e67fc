#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

Field amount(const char* name, const char* help) {
  return either(name,
                {integer("", "replicas").at_most(1e6), quantity("", Unit::fraction, "share of all replicas").at_most(10)},
                help)
      .default_is("25 %");
}

const ObjectSpec& version_spec() {
  static const ObjectSpec spec{
      "service version",
      "What differs from the service as it stands in `services`; the rest is the same.",
      {text("name", "in results").needed(),
       refer("model", Reference::model, "another model of the same kind").default_is("the service's"),
       text("variant", "how it is stored and computed").default_is("the service's, or the model's own"),
       distribution("service_time", Unit::duration, "of services with one").default_is("the service's"),
       quantity("time_factor", Unit::none, "on all service times").above(0).at_most(1000).by_default("1"),
       quantity("error_rate", Unit::fraction,
                "probability that a replica ends its work on a request with an error; clients and balancers with "
                "retries try again")
           .at_most(1)
           .by_default("0"),
       quantity("accuracy", Unit::fraction, "of answers").at_most(1).default_is("the service's, or the model's own"),
       quantity("cold_start", Unit::duration, "of services with one").default_is("the service's"),
       object("startup", startup_spec, "of services with one, as a whole").default_is("the service's")},
      "",
      {}};
  return spec;
}

const ObjectSpec& analysis_spec() {
  static const ObjectSpec spec{
      "rollout analysis",
      "A metric of the new version's replicas, measured every now and then over the time since the last measurement "
      "(AnalysisTemplate of Argo Rollouts). Without enough requests a measurement is inconclusive.",
      {word("metric", {"error-ratio", "latency"},
            "errors over requests, or a percentile of the time from a request's arrival at a replica to the end of its work")
           .needed(),
       quantity("interval", Unit::duration, "between measurements, and their window").above(0).needed(),
       integer("count", "of measurements").at_least(1).at_most(1e6).default_is(
           "in the background: as long as the rollout goes on; else needed"),
       quantity("initial_delay", Unit::duration, "before the first interval").by_default("0 s"),
       integer("failure_limit", "failed measurements that are tolerated").at_most(1e6).by_default("0"),
       integer("inconclusive_limit", "inconclusive ones that are tolerated; they do not count").at_most(1e6).by_default("5"),
       integer("least_requests", "of a version in the window, for a measurement").at_least(1).at_most(1e9).by_default("10")},
      "metric",
      {{"error-ratio",
        "fails above a share of errors",
        {quantity("at_most", Unit::fraction, "share").at_most(1).default_is("none"),
         quantity("above_old", Unit::fraction, "by so much the share may be above the old version's in the same window")
             .at_most(1)
             .default_is("none: the old version does not matter")}},
       {"latency",
        "fails above a time",
        {quantity("percentile", Unit::none, "in %, nearest rank").above(0).at_most(100).by_default("95"),
         quantity("at_most", Unit::duration, "time").above(0).default_is("none"),
         quantity("times_old", Unit::none, "so many times the old version's in the same window are allowed")
             .above(0)
             .at_most(1e6)
             .default_is("none: the old version does not matter")}}}};
  return spec;
}

const ObjectSpec& canary_step_spec() {
  static const ObjectSpec spec{
      "canary step",
      "One of three: a share of the traffic, a pause, or an analysis that has to pass.",
      {quantity("set_weight", Unit::fraction, "of the traffic, for the new version").at_most(1).default_is("none"),
       quantity("pause", Unit::duration, "before the next step").default_is("none"),
       list("analysis", object("", analysis_spec, "a metric"), "metrics, side by side").at_least(1).default_is("none")},
      "",
      {}};
  return spec;
}

Field analyses(const char* help) {
  return list("analysis", object("", analysis_spec, "a metric"), help).at_least(1).default_is("none");
}
Field scale_down_delay() {
  return quantity("scale_down_delay", Unit::duration, "of the old replicas, once the new ones have all the traffic")
      .by_default("30 s");
}
Field abort_delay() {
  return quantity("abort_delay", Unit::duration, "of the new replicas, once the old ones have the traffic again")
      .by_default("30 s");
}

}  // namespace

const ObjectSpec& rollout_spec() {
  static const ObjectSpec spec{
      "rollout",
      "A new version of a service takes over. Of several of one service the next waits until the one before is over. "
      "Its name in results is service/version. See docs/rollouts.md.",
      {refer("service", Reference::service, "not local, without pools, placement, caches, calls or a primary").needed(),
       object("version", version_spec, "the new one").needed(),
       quantity("at", Unit::duration, "date").needed(),
       word("strategy", {"rolling", "blue-green", "canary", "ab"}, "how").needed(),
       quantity("min_ready", Unit::duration, "of being ready, until a replica counts as available").by_default("0 s"),
       quantity("progress_deadline", Unit::duration,
                "longest time in which no new replica comes or becomes available and no old one goes, while the "
                "rollout waits for that")
           .above(0)
           .by_default("10 min"),
       word("on_deadline", {"report", "abort"}, "then: say so and go on (Kubernetes), or take the rollout back")
           .by_default("report"),
       quantity("scrape_period", Unit::duration, "between looks at the counters of replicas; analyses see no more")
           .above(0)
           .by_default("15 s")},
      "strategy",
      {{"rolling",
        "replicas are replaced one after another, as by a Kubernetes Deployment",
        {amount("max_surge", "replicas above the wanted number; shares are rounded up"),
         amount("max_unavailable", "available replicas below it; shares are rounded down"),
         analyses("meanwhile, in the background; if it fails, the old version rolls back in")}},
       {"blue-green",
        "a second set of replicas gets all the traffic once all of it is available",
        {analyses("after the switch; if it fails, the traffic goes back"), scale_down_delay(), abort_delay()}},
       {"canary",
        "the new version gets its share of the traffic step by step, as by Argo Rollouts; after the last step, all",
        {list("steps", object("", canary_step_spec, "a step"), "in order").at_least(1).needed(),
         word("weights", {"balancer", "replicas"},
              "who makes the shares: the balancer draws a version for each request, with as many old replicas as ever; "
              "or the numbers of replicas alone")
             .by_default("balancer"),
         amount("max_surge", "with \"replicas\": above the wanted number; shares are rounded up"),
         amount("max_unavailable", "with \"replicas\": below it; shares are rounded down"),
         analyses("meanwhile, in the background; if it fails, the old version gets the traffic back"), scale_down_delay(),
         abort_delay()}},
       {"ab",
        "some users get the new version for a time, always the same ones; then accuracies are compared",
        {quantity("share", Unit::fraction, "of the users").above(0).at_most(0.999).by_default("0.5"),
         quantity("lasts", Unit::duration, "from when the new replicas are available").above(0).needed(),
         quantity("confidence", Unit::fraction, "of the interval and the test").above(0).at_most(0.999999).by_default("0.95"),
         flag("promote", "the new version stays if it is significantly more accurate").by_default("false"),
         scale_down_delay(), abort_delay()}}}};
  return spec;
}

const ObjectSpec& compatibility_spec() {
  static const ObjectSpec spec{
      "compatibility",
      "Which versions of the parts of a split service go together. The version of the device's part is the number of its "
      "newest update, that of the service's part the number of its newest rollout, in order of dates. See "
      "docs/rollouts.md.",
      {refer("service", Reference::service, "with a split whose head is updated").needed(),
       integer("max_skew", "versions that parts may be apart").at_most(1e4).by_default("0"),
       word("incompatible", {"error", "accuracy"},
            "what becomes of requests whose parts are further apart: the service ends them with an error, or answers "
            "with less accuracy")
           .by_default("error"),
       quantity("accuracy_factor", Unit::fraction, "with accuracy: on that of the answer").at_most(1).by_default("0.5")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
