// Views for `isthmus policy`: what a policy sees when it decides, as JSON.
#include <limits>

#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

Field now() { return quantity("now", Unit::duration, "date of the decision").by_default("0 s"); }

Field uniform() {
  return quantity("uniform", Unit::none, "the decision's own uniform draw")
      .at_most(1)
      .by_default("0.5");
}

}  // namespace

const ObjectSpec& offload_view_spec() {
  static const ObjectSpec candidate{
      "offload candidate",
      "What a client knows about one service.",
      {text("name", "service name").needed(),
       word("tier", {"device", "edge", "cloud"}, "where it runs").by_default("cloud"),
       flag("healthy", "reachable and ready").by_default("true"),
       quantity("observed_at", Unit::duration, "date of the load signals").by_default("0 s"),
       quantity("load", Unit::fraction, "busy share of the slots").at_most(1).by_default("0"),
       integer("queued", "requests waiting").by_default("0"),
       integer("running", "requests in service").by_default("0"),
       integer("slots", "requests that can be in service at once").at_least(1).by_default("1"),
       quantity("service", Unit::duration, "estimated time alone on the service").by_default("0 s"),
       quantity("parallel_speedup", Unit::none, "throughput with all slots busy over one at a time")
           .above(0)
           .by_default("1"),
       quantity("network", Unit::duration, "estimated transfer time, both ways").by_default("0 s"),
       quantity("client_energy", Unit::energy, "that the client spends").by_default("0 J"),
       quantity("cost", Unit::money, "per request").by_default("0 USD"),
       quantity("accuracy", Unit::fraction, "of its answers").at_most(1).by_default("0"),
       quantity("work", Unit::none, "operations of its model for the request; 0 = a law").by_default("0"),
       quantity("speed", Unit::none, "peak of its units, operations/s; 0 = a law").by_default("0"),
       quantity("uplink", Unit::bandwidth, "behind `network`; 0 = no network in between")
           .by_default("0 B/s"),
       quantity("nominal_uplink", Unit::bandwidth, "the same before anything was measured")
           .default_is("uplink"),
       quantity("measured_at", Unit::duration, "date of the client's last own transfer there")
           .default_is("never")},
      "",
      {}};
  static const ObjectSpec spec{
      "offload view",
      "One offload decision to take.",
      {now(), integer("request", "number of the request").at_most(9e15).by_default("0"),
       quantity("upload", Unit::bytes, "of the request").by_default("0 B"),
       quantity("download", Unit::bytes, "of the answer").by_default("0 B"),
       quantity("work", Unit::none, "estimated operations of the request").by_default("0"),
       quantity("slo", Unit::duration, "latency objective; 0 = none").by_default("0 s"), uniform(),
       object("reward", offload_reward_spec, "what the scenario wants"),
       list("candidates", object("", candidate, "a candidate"), "services to choose from")
           .at_least(1)
           .needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& routing_view_spec() {
  static const ObjectSpec replica{
      "replica signal",
      "What a balancer knows of one replica.",
      {integer("replica", "stable number").needed(),
       integer("outstanding", "requests sent and not yet answered").by_default("0"),
       quantity("weight", Unit::none, "share for weighted policies").by_default("1"),
       integer("waiting", "requests in its queue at the last scrape").by_default("0"),
       quantity("kv_usage", Unit::fraction, "share of its KV blocks in use at the last scrape")
           .at_most(1)
           .by_default("0"),
       integer("zone", "number of the zone it is in").by_default("0"),
       integer("priority", "0 goes first").at_most(100).by_default("0"),
       flag("healthy", "its balancer thinks that it is alive").by_default("true")},
      "",
      {}};
  static const ObjectSpec spec{
      "routing view",
      "One routing decision to take.",
      {now(), integer("session", "hash of client or session").at_most(9e15).by_default("0"),
       uniform(),
       list("replicas", object("", replica, "a replica"), "ready replicas, by number")
           .at_least(1)
           .needed(),
       quantity("signal_age", Unit::duration, "since the last scrape").by_default("0 s"),
       list("prefix", integer("", "hash of one of them").at_most(9e15),
            "whole blocks at the start of the prompt")
           .default_is("none"),
       integer("block_tokens", "tokens of such a block").at_least(1).by_default("16"),
       integer("zone", "where the request comes from").default_is("not known")},
      "",
      {}};
  return spec;
}

const ObjectSpec& batching_view_spec() {
  static const ObjectSpec request{
      "waiting request",
      "One request in the queue.",
      {quantity("since", Unit::duration, "date when it joined").by_default("0 s"),
       quantity("due", Unit::duration, "date until which an answer is wanted").default_is("none"),
       quantity("timeout", Unit::duration, "its own limit of waiting; 0 = none").by_default("0 s"),
       integer("priority", "larger first").at_least(-1000000).at_most(1000000).by_default("0"),
       integer("items", "inputs in it").at_least(1).by_default("1"),
       integer("shape", "requests of different shapes share no batch").by_default("0"),
       flag("moved_back", "a decision has moved it behind the others").by_default("false")},
      "",
      {}};
  static const ObjectSpec spec{
      "batching view",
      "One batching decision to take.",
      {now(), integer("waiting", "requests in the queue").at_least(1).needed(),
       quantity("oldest", Unit::duration, "date when the first of them joined").by_default("0 s"),
       integer("idle_slots", "free execution slots").at_least(1).by_default("1"),
       list("requests", object("", request, "a request"),
            "all that wait, in order; for policies that look at each")
           .default_is("none"),
       quantity("batch_base", Unit::duration, "predicted time of a batch: this ...").by_default("0 s"),
       quantity("batch_per_request", Unit::duration, "... and this per request").by_default("0 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& autoscaling_view_spec() {
  static const ObjectSpec replica{
      "replica sample",
      "The last scraped sample of one replica.",
      {flag("ready", "serves requests").by_default("true"),
       quantity("age", Unit::duration, "since it was started").by_default("1 h"),
       quantity("utilization", Unit::fraction, "busy share; left out = sample missing")
           .default_is("missing"),
       quantity("in_flight", Unit::none, "requests there; left out = sample missing")
           .default_is("missing")},
      "",
      {}};
  const auto number = [](const char* name, const char* help) {
    return quantity(name, Unit::none, help).by_default("0");
  };
  static const ObjectSpec metrics{
      "service metrics",
      "What a service did between two scrapes.",
      {quantity("observed_at", Unit::duration, "end of the window").default_is("now"),
       quantity("window", Unit::duration, "its length").by_default("15 s"),
       number("arrivals", "requests that came"), number("completed", "answered"),
       number("failed", "turned away or lost"),
       number("concurrency", "mean requests there, waiting ones included"),
       number("queue_length", "mean of those that were not being served"),
       number("in_flight", "requests there at the end"),
       quantity("utilization", Unit::fraction, "mean busy share of the ready replicas").by_default("0"),
       integer("ready", "replicas at the end").by_default("1"),
       list("latencies", quantity("", Unit::duration, "of an answer"), "of those completed")
           .default_is("none"),
       map("external", quantity("", Unit::none, "value").at_least(-std::numeric_limits<double>::max()),
           "external metrics by name").default_is("none")},
      "",
      {}};
  static const ObjectSpec spec{
      "autoscaling view",
      "One autoscaling decision to take.",
      {now(), quantity("observed_at", Unit::duration, "date of the scrape").default_is("now"),
       integer("current", "replicas asked for at the moment").needed(),
       integer("alerts", "of service levels, active and about the service").by_default("0"),
       list("replicas", object("", replica, "a replica"), "samples").default_is("none"),
       number("waiting", "requests that wait for a replica"),
       list("samples", object("", metrics, "a window"), "metrics since the last decision, oldest first")
           .default_is("none"),
       flag("woken", "out of turn: a request waits and no replica is wanted").by_default("false")},
      "",
      {}};
  return spec;
}

const ObjectSpec& governor_view_spec() {
  static const ObjectSpec spec{
      "governor view",
      "One choice of a clock to take.",
      {now(),
       quantity("since", Unit::duration, "the last decision; the averages are over it")
           .by_default("10 ms"),
       list("frequencies", quantity("", Unit::frequency, "of an operating point"),
            "available, from slow to fast")
           .at_least(1)
           .needed(),
       integer("current", "index into frequencies").default_is("the highest"),
       quantity("busy", Unit::fraction, "share of the time at work").at_most(1).by_default("0"),
       quantity("busy_now", Unit::fraction, "share of the unit at work at this moment")
           .at_most(1)
           .default_is("1 when busy is above 0, else 0"),
       quantity("pending", Unit::duration, "work waiting or running, at the highest clock")
           .by_default("0 s"),
       quantity("deadline", Unit::duration, "date of the earliest deadline among it")
           .default_is("none"),
       quantity("battery", Unit::fraction, "charge").at_most(1).by_default("1")},
      "",
      {}};
  return spec;
}

const ObjectSpec& admission_view_spec() {
  static const ObjectSpec spec{
      "admission view",
      "One request at the front of a service.",
      {now(), quantity("tokens", Unit::none, "of prompt and answer").by_default("0"),
       integer("priority", "larger: more important").at_least(-1e6).at_most(1e6).by_default("0"),
       quantity("deadline", Unit::duration, "date").default_is("none"),
       integer("waiting", "requests in the queues of the service").by_default("0"),
       integer("running", "requests in service").by_default("0"),
       integer("slots", "requests that it serves at once").at_least(1).by_default("1"),
       quantity("service", Unit::duration, "estimate of one request alone").by_default("0 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& variant_view_spec() {
  static const ObjectSpec option{
      "variant option",
      "One variant of a model as its service knows it.",
      {text("name", "of the variant").needed(),
       quantity("service", Unit::duration, "of one request alone").by_default("0 s"),
       quantity("energy", Unit::energy, "above idle for that").by_default("0 J"),
       quantity("accuracy", Unit::fraction, "0 = not known").at_most(1).by_default("0"),
       quantity("weights", Unit::bytes, "of its weights").by_default("0 B")},
      "",
      {}};
  static const ObjectSpec spec{
      "variant view",
      "One choice of a variant to take.",
      {now(), quantity("created", Unit::duration, "date of the request").by_default("0 s"),
       quantity("deadline", Unit::duration, "date by which the answer is wanted")
           .default_is("none"),
       integer("waiting", "requests that stay in the queue").by_default("0"),
       integer("slots", "batches that the replica serves at once").at_least(1).by_default("1"),
       quantity("battery", Unit::fraction, "charge of the machine").at_most(1).by_default("1"),
       integer("alerts", "of service levels, active and about the service").by_default("0"),
       integer("priority", "of the request; larger is more important").at_least(-1e6).at_most(1e6).by_default("0"),
       flag("over_quota", "a rule of admission that degrades would have turned it away").by_default("false"),
       list("options", object("", option, "a variant"), "to choose from").at_least(1).needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& eviction_view_spec() {
  static const ObjectSpec model{
      "resident model",
      "A model that is in the memory of a machine.",
      {integer("model", "its number, the same whenever it comes back").needed(),
       quantity("bytes", Unit::bytes, "that it gives free").by_default("1 B"),
       quantity("load", Unit::duration, "to bring it back").by_default("0 s"),
       quantity("priority", Unit::none, "larger = more important").by_default("0"),
       quantity("loaded", Unit::duration, "date since when it is there").by_default("0 s"),
       quantity("last_used", Unit::duration, "date of its last batch").by_default("0 s"),
       integer("uses", "batches since it was loaded").at_most(9e15).by_default("0")},
      "",
      {}};
  static const ObjectSpec spec{
      "eviction view",
      "One choice of a model to evict.",
      {now(), list("models", object("", model, "a model"), "that may leave").at_least(1).needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& placement_view_spec() {
  static const ObjectSpec site{
      "site",
      "A machine that may take the replica and has room for it.",
      {integer("node", "its number in the run").needed(),
       quantity("accelerators", Unit::none, "of the kind that the replica takes").by_default("1"),
       quantity("free_accelerators", Unit::none, "of these").by_default("1"),
       quantity("memory", Unit::bytes, "that replicas may hold there").by_default("0 B"),
       quantity("free_memory", Unit::bytes, "of it").by_default("0 B"),
       quantity("price", Unit::price_per_hour, "of the machine").by_default("0 USD/h"),
       quantity("replica_price", Unit::price_per_hour, "of the share that the replica takes")
           .by_default("0 USD/h"),
       integer("replicas", "of all services on it").by_default("0"),
       integer("own", "of the same service").by_default("0")},
      "",
      {}};
  static const ObjectSpec spec{
      "placement view",
      "One choice of a machine for a replica.",
      {quantity("accelerators", Unit::none, "that the replica takes").by_default("1"),
       quantity("memory", Unit::bytes, "likewise").by_default("0 B"),
       uniform(),
       list("sites", object("", site, "a machine"), "to choose from").at_least(1).needed()},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
