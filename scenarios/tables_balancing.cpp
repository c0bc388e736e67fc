// The balancer in front of a service's replicas: what it finds out about them by itself.
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

std::vector<Field> passive_fields() {
  return {integer("max_fails",
                  "errors and timeouts within fail_timeout that take a replica out for as long; 0 = never")
              .at_most(1e6),
          quantity("fail_timeout", Unit::duration, "see max_fails; after it one request probes the replica")
              .at_most(1e9)};
}

}  // namespace

const ObjectSpec& server_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "server";
    s.help = "A replica as its balancer sees it, by position in the list.";
    s.fields = {quantity("weight", Unit::none, "for weighted policies").at_most(1e9).by_default("1"),
                integer("max_conns", "outstanding requests; at them it gets no more; 0 = no limit")
                    .at_most(4e9)
                    .by_default("0"),
                integer("priority", "for policies with priorities; 0 goes first").at_most(100).by_default("0"),
                flag("backup", "it gets requests only when no other replica is usable").by_default("false"),
                flag("down", "it never gets any").by_default("false")};
    for (const Field& f : passive_fields()) s.fields.push_back(f.default_is("the balancer's"));
    return s;
  }();
  return spec;
}

const ObjectSpec& outlier_spec() {
  static const ObjectSpec spec{
      "outlier ejection",
      "Takes replicas out that fail more than others, as Envoy does.",
      {integer("consecutive_errors", "in a row that eject a replica; 0 = not by them")
           .at_most(1e6)
           .by_default("5"),
       quantity("interval", Unit::duration, "between looks at success rates and at who may return")
           .at_least(1e-3)
           .at_most(1e9)
           .by_default("10 s"),
       quantity("base_ejection", Unit::duration,
                "a replica is out for this times the number of its ejections, which falls by one per "
                "interval without one")
           .at_most(1e9)
           .by_default("30 s"),
       quantity("max_ejection", Unit::duration, "longest time out").at_most(1e9).by_default("300 s"),
       quantity("max_ejected", Unit::fraction, "of the replicas that may be out at once; one always may")
           .at_most(1)
           .by_default("0.1"),
       quantity("stdev_factor", Unit::none,
                "success rates below the mean by this many standard deviations eject; 0 = not by them")
           .at_most(1000)
           .by_default("1.9"),
       integer("minimum_hosts", "replicas with request_volume, else success rates are not compared")
           .at_least(1)
           .at_most(1e6)
           .by_default("5"),
       integer("request_volume", "requests of a replica in an interval, else its rate does not count")
           .at_least(1)
           .at_most(1e9)
           .by_default("100")},
      "",
      {}};
  return spec;
}

const ObjectSpec& breaker_spec() {
  static const ObjectSpec spec{
      "circuit breaker",
      "Stops requests to a replica by its share of errors: closed, open for a while, half open for probes.",
      {quantity("error_rate", Unit::fraction, "from which it opens").above(0).at_most(1).by_default("0.5"),
       integer("min_requests", "in the window, else it stays closed")
           .at_least(1)
           .at_most(1e9)
           .by_default("20"),
       quantity("window", Unit::duration, "over which errors are counted, then anew")
           .above(0)
           .at_most(1e9)
           .by_default("10 s"),
       quantity("open_for", Unit::duration, "before probes").at_most(1e9).by_default("5 s"),
       integer("probes", "half open: requests let through, all of which must succeed to close it")
           .at_least(1)
           .at_most(1e6)
           .by_default("1")},
      "",
      {}};
  return spec;
}

const ObjectSpec& slow_start_spec() {
  static const ObjectSpec spec{
      "slow start",
      "Lets the weight of a replica that has become ready grow: weight x max(least, (age / "
      "window)^(1 / aggression)), as in Envoy. Only policies that use weights notice.",
      {quantity("window", Unit::duration, "until the full weight").above(0).at_most(1e9).by_default("30 s"),
       quantity("aggression", Unit::none, "1 = linear; above: faster at first")
           .above(0)
           .at_most(1000)
           .by_default("1"),
       quantity("least", Unit::fraction, "share of the weight at the start").at_most(1).by_default("0.1")},
      "",
      {}};
  return spec;
}

const ObjectSpec& health_check_spec() {
  static const ObjectSpec spec{
      "health check",
      "Probes that the balancer sends by itself; they cost nothing and are answered by replicas that are "
      "alive.",
      {quantity("interval", Unit::duration, "between probes of a replica")
           .at_least(1e-3)
           .at_most(1e9)
           .by_default("5 s"),
       integer("fall", "failed probes in a row that take it out").at_least(1).at_most(1e6).by_default("3"),
       integer("rise", "probes in a row that bring it back").at_least(1).at_most(1e6).by_default("2")},
      "",
      {}};
  return spec;
}

const ObjectSpec& balancer_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "balancer";
    s.help =
        "What stands in front of the replicas and applies `routing`. With this object it learns of dead "
        "replicas by failing requests and by probes; without it, it knows at once. See docs/balancing.md.";
    s.fields = {
        text("nginx", "nginx configuration file whose upstream block gives routing and servers")
            .default_is("none"),
        text("upstream", "with nginx: name of the block").default_is("the only one"),
        list("servers", object("", server_spec, "a replica"), "replicas by number, from the first on")
            .at_least(1)
            .default_is("all alike"),
        integer("next_tries",
                "further replicas at which a request that failed is tried at once, each once; the "
                "client notices nothing")
            .at_most(1e6)
            .default_is("0; with nginx all"),
        quantity("connect_timeout", Unit::duration,
                 "that a try at a dead replica takes; 0 s: it is refused at once")
            .at_most(1e9)
            .by_default("0 s"),
        quantity("panic_threshold", Unit::fraction,
                 "with a smaller share of usable replicas all are used")
            .at_most(1)
            .by_default("0"),
        integer("max_requests", "outstanding at all replicas together; more are turned away")
            .at_most(4e9)
            .default_is("unlimited"),
        integer("max_retries", "tries at a further replica under way at once")
            .at_most(4e9)
            .default_is("unlimited"),
        flag("knows_failures", "it knows at once which replicas are dead, as without this object")
            .by_default("false"),
        object("outlier_ejection", outlier_spec, "by comparison with others").default_is("none"),
        object("circuit_breaker", breaker_spec, "by share of errors").default_is("none"),
        object("slow_start", slow_start_spec, "of replicas that have become ready").default_is("none"),
        object("health_check", health_check_spec, "active probes").default_is("none")};
    const std::vector<Field> passive = passive_fields();
    s.fields.push_back(passive[0].by_default("0"));
    s.fields.push_back(passive[1].by_default("10 s"));
    return s;
  }();
  return spec;
}

}  // namespace isthmus::scenarios
