#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

// When a process starts again.
std::vector<Field> restart_fields() {
  return {quantity("restart_delay", Unit::duration,
                   "from a crash until the process starts again, to which its cold_start is added; twice as long "
                   "after every further crash, as in Kubernetes")
              .by_default("10 s"),
          quantity("restart_limit", Unit::duration, "longest such delay").by_default("5 min"),
          quantity("restart_reset", Unit::duration, "of being ready without a crash; then delays begin anew")
              .by_default("10 min")};
}

}  // namespace

const ObjectSpec& fault_spec() {
  static const ObjectSpec spec{
      "fault",
      "A failure or brown-out, at a date or by chance. Say whom it hits with `link`, `node`, `zone`, `zones`, "
      "or with `links` and `nodes` for several together.",
      {refer("link", Reference::link, "link that fails").default_is("none"),
       refer("node", Reference::group, "node group that fails").default_is("none"),
       integer("index", "of `link` or `node`: which instance of the link or machine of the group")
           .default_is("all"),
       refer("zone", Reference::zone,
             "zone that fails as a whole: its machines, their access links, and links of routes that "
             "only its traffic crosses")
           .default_is("none"),
       list("zones", refer("", Reference::zone, "zone"), "region: zones that fail likewise").at_least(1).default_is("none"),
       list("links", refer("", Reference::link, "link"), "outage group: all instances of these links")
           .at_least(1)
           .default_is("none"),
       list("nodes", refer("", Reference::group, "node group"),
            "outage group: all machines of these groups")
           .at_least(1)
           .default_is("none"),
       quantity("at", Unit::duration, "start; needed without time_to_failure").default_is("none"),
       quantity("lasts", Unit::duration, "how long").above(0).default_is("to the end"),
       distribution("time_to_failure", Unit::duration,
                    "instead of `at`: failures by chance, this long after the start and after every "
                    "repair (its mean is the MTBF); 1 ms or more")
           .default_is("none"),
       distribution("time_to_repair", Unit::duration, "instead of `lasts`, with time_to_failure")
           .default_is("none"),
       flag("together",
            "with time_to_failure: one draw for all that the fault hits; else every link and machine "
            "fails by itself")
           .default_is("true for zone, zones, links and nodes"),
       quantity("capacity", Unit::fraction,
                "brown-out: share of their bandwidth that links keep; machines are not touched, unless by `speed`")
           .above(0)
           .at_most(1)
           .default_is("none: links and machines are down"),
       quantity("speed", Unit::fraction,
                "slow machines: share of their speed that they keep; links are not touched, unless by `capacity`")
           .at_least(0.001)
           .at_most(1)
           .default_is("none: links and machines are down"),
       integer("accelerator", "of `node`: which of its accelerators fails, counted from 0; the machine stays up")
           .default_is("none: the whole machine")},
      "",
      {}};
  return spec;
}

const ObjectSpec& crash_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s{
        "crash",
        "Processes of a service crash: what they run and what waits there is lost. They start again after a "
        "delay (crash loop with back-off).",
        {refer("service", Reference::service, "whose processes").needed(),
         integer("replica", "number of the one that crashes").default_is("all"),
         quantity("at", Unit::duration, "date; or time_to_failure").default_is("none"),
         distribution("time_to_failure", Unit::duration,
                      "by chance: time that a replica is ready until it crashes, each by itself; 1 ms or more")
             .default_is("none")},
        "",
        {}};
    for (Field& f : restart_fields()) s.fields.push_back(std::move(f));
    return s;
  }();
  return spec;
}

const ObjectSpec& maintenance_spec() {
  static const ObjectSpec spec{
      "maintenance",
      "Machines of a group are drained, taken down and brought back, one after another.",
      {refer("node", Reference::group, "whose machines, in order").needed(),
       quantity("at", Unit::duration, "start").needed(),
       quantity("takes", Unit::duration, "time that a machine is down").above(0).needed(),
       quantity("grace", Unit::duration,
                "a draining machine gets no requests and finishes those that it has; what is left after this is lost")
           .by_default("30 s"),
       integer("max_unavailable", "machines at once, from their draining until their replicas are ready again")
           .at_least(1)
           .by_default("1")},
      "",
      {}};
  return spec;
}

const ObjectSpec& chaos_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s{
        "chaos experiment",
        "Every now and then, random victims fail, become slow or crash.",
        {word("action", {"fail", "slow", "crash"}, "machines fail or become slow; processes crash").by_default("fail"),
         refer("node", Reference::group, "of fail and slow: whose machines, those that are up").default_is("none"),
         refer("service", Reference::service, "of crash: whose processes, those that are ready").default_is("none"),
         integer("victims", "at once, or all there are").at_least(1).by_default("1"),
         distribution("every", Unit::duration, "from one experiment to the next, and until the first").needed(),
         distribution("lasts", Unit::duration, "of fail and slow: one draw per experiment").default_is("none"),
         quantity("speed", Unit::fraction, "of slow: share that machines keep").at_least(0.001).at_most(1).default_is("none"),
         quantity("from", Unit::duration, "start of the experiments").by_default("0 s"),
         quantity("until", Unit::duration, "none begins from here on").default_is("the end")},
        "",
        {}};
    for (Field& f : restart_fields()) s.fields.push_back(std::move(f));
    return s;
  }();
  return spec;
}

}  // namespace isthmus::scenarios
