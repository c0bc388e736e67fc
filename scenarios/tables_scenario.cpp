#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

const ObjectSpec& objective_spec() {
  static const ObjectSpec spec{
      "objective",
      "A service-level objective: `percentile` % of requests must meet `target`.",
      {word("metric", {"latency", "ttft", "tpot", "task_duration"}, "what is bounded")
           .by_default("latency"),
       quantity("percentile", Unit::none, "share of requests in %")
           .above(0)
           .at_most(100)
           .by_default("95"),
       quantity("target", Unit::duration, "bound").above(0).needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& results_spec() {
  static const ObjectSpec spec{
      "results",
      "What is kept and how alternatives are ranked.",
      {text("metric", "alternatives are ranked by it, lower is better; names: docs/metrics.md")
           .by_default("latency.p95"),
       quantity("sample_period", Unit::duration, "between samples of queues and replicas")
           .above(0)
           .by_default("1 s"),
       flag("streaming",
            "no rows per request and sketched percentiles: memory stays bounded in long "
            "runs")
           .by_default("false"),
       flag("availability",
            "what failures did to machines and services: failures, downtime, MTBF, MTTR, requests lost")
           .default_is("true with crashes, maintenance, chaos, failover, slow machines or broken accelerators"),
       flag("decisions", "keep every offload decision").by_default("true"),
       flag("operators",
            "keep every operator of services with \"units\", for timelines (isthmus gantt); such "
            "runs are slower and their files larger")
           .by_default("false")},
      "",
      {}};
  return spec;
}

}  // namespace

const ObjectSpec& scenario_spec() {
  static const ObjectSpec spec{
      "scenario",
      "A whole scenario file: JSON with // and /* */ comments. Dimensional values are strings with "
      "a "
      "unit, dimensionless numbers are bare.",
      {integer("isthmus", "version of the scenario language").at_least(1).at_most(1).needed(),
       text("name", "shown in reports, names the run directory").needed(),
       text("notes", "anything worth knowing, e.g. which inputs were calibrated")
           .default_is("none"),
       either("extends", {text("", "path"), list("", text("", "path"), "paths").at_least(1)},
              "file (relative to this one) that this one builds on: objects are merged, lists and "
              "values replaced, null deletes; later files of a list win")
           .default_is("none"),
       [] {
         Field f =
             integer("seed", "master seed; equal seeds give bit-identical runs").by_default("1");
         f.max = 18446744073709551616.0;  // the Checker refuses 2^64 itself
         return f;
       }(),
       quantity("duration", Unit::duration, "simulated time, warm-up included").above(0).needed(),
       quantity("warmup", Unit::duration, "requests created before are not counted")
           .by_default("0 s"),
       integer("replications", "runs with different seeds; five or more give useful intervals")
           .at_least(1)
           .at_most(100000)
           .by_default("1"),
       map("nodes", object("", node_spec, "a node group"), "machines, by group name")
           .at_least(1)
           .needed(),
       object("network", network_spec, "links between them").default_is("no delays"),
       map("models", object("", model_spec, "a model"), "models of the scenario's own, by name")
           .default_is("none"),
       map("protocols", object("", protocol_spec, "a protocol"),
           "how clients talk to services, by name")
           .default_is("none"),
       map("services", object("", service_spec, "a service"), "what is served, by name")
           .at_least(1)
           .needed(),
       map("tenants", object("", tenant_spec, "a tenant"), "whose workloads share the machines, by name")
           .default_is("none"),
       list("workload", object("", workload_spec, "a workload"), "what is asked for")
           .at_least(1)
           .needed(),
       object("offload", offload_spec, "where requests run").default_is("none"),
       map("updates", object("", update_spec, "an update"), "new versions of models for fleets, by name")
           .default_is("none"),
       object("costs", costs_spec, "a ledger of money and carbon").default_is("none: cost of machines and egress as one figure"),
       list("slo", object("", objective_spec, "an objective"), "service-level objectives")
           .default_is("none"),
       map("service_levels", object("", service_level_spec, "a service level"),
           "indicators with an objective, an error budget and alerts, by name; see docs/service_levels.md")
           .default_is("none"),
       map("outboxes", object("", outbox_spec, "an outbox"),
           "messages that machines store and forward, by name; see docs/offline.md")
           .default_is("none"),
       map("replicated_data", object("", replicated_data_spec, "replicated data"),
           "data with copies at machines and a hub, by name; see docs/replicated_data.md")
           .default_is("none"),
       object("descheduler", descheduler_spec, "moves replicas so that others fit or machines become free")
           .default_is("none: replicas stay where they are"),
       object("cluster_autoscaler", cluster_spec,
              "machines that come and go with the replicas that wait for them; see docs/cluster_autoscaling.md")
           .default_is("none: all machines are there all the time"),
       map("jobs", object("", batch_job_spec, "a job"), "batch jobs, by name; see docs/batch_jobs.md")
           .default_is("none"),
       list("faults", object("", fault_spec, "a fault"), "failures and brown-outs; see docs/faults.md").default_is("none"),
       list("crashes", object("", crash_spec, "a crash"), "processes that crash").default_is("none"),
       list("maintenance", object("", maintenance_spec, "maintenance"), "machines that are taken down by plan")
           .default_is("none"),
       list("chaos", object("", chaos_spec, "a chaos experiment"), "random failures").default_is("none"),
       map("failover", object("", failover_spec, "a failover"), "services with a primary and standbys, by name")
           .default_is("none"),
       list("rollouts", object("", rollout_spec, "a rollout"), "new versions of services; see docs/rollouts.md")
           .default_is("none"),
       list("compatibility", object("", compatibility_spec, "a rule"), "which versions of the parts of split services go together")
           .default_is("none: all"),
       pointers("compare",
                "alternatives: a list of values per JSON pointer, all combinations; or "
                "\"variants\": {\"name\": {\"/pointer\": value, ...}, ...}")
           .default_is("none"),
       pointers("sweep", "grid of parameters for `isthmus sweep`, written like compare")
           .default_is("none"),
       object("results", results_spec, "what is kept")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
