// Machines that come and go. See docs/cluster_autoscaling.md.
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

const ObjectSpec& spot_event_spec() {
  static const ObjectSpec spec{
      "spot event",
      "Machines that the provider takes back at a date.",
      {quantity("at", Unit::duration, "date of the warning").needed(),
       integer("machines", "how many, those first that have run longest").at_least(1).at_most(max_nodes).by_default("1")},
      "",
      {}};
  return spec;
}

const ObjectSpec& spot_spec() {
  static const ObjectSpec spec{
      "spot",
      "Machines that their provider may take back, after a warning. Their price is said by the node's `billing`.",
      {quantity("interruptions_per_hour", Unit::none,
                "of a machine that runs, by chance: exponential times between")
           .at_most(3600)
           .by_default("0"),
       list("schedule", object("", spot_event_spec, "an event"), "interruptions at given dates").default_is("none"),
       quantity("notice", Unit::duration,
                "from the warning until the machine is gone: 120 s at AWS, 30 s at Google and Azure")
           .by_default("120 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& cluster_group_spec() {
  static const ObjectSpec spec{
      "cluster group",
      "A node group of which only some machines exist. Each of its services needs a `placement`.",
      {integer("min", "machines").at_most(max_nodes).by_default("0"),
       integer("max", "machines, ordered ones included").at_least(1).at_most(max_nodes).default_is("count of the node group"),
       integer("start", "machines that exist when the run begins").at_most(max_nodes).default_is("min"),
       distribution("provisioning", Unit::duration, "from the order until the machine runs, and is paid for")
           .by_default("60 s"),
       quantity("failure", Unit::fraction, "share of orders of which nothing comes").at_most(1).by_default("0"),
       integer("priority", "with expander \"priority\": the largest first").at_least(-1e6).at_most(1e6).by_default("0"),
       object("spot", spot_spec, "machines may be taken back").default_is("never")},
      "",
      {}};
  return spec;
}

}  // namespace

const ObjectSpec& cluster_spec() {
  static const ObjectSpec spec{
      "cluster autoscaler",
      "Orders machines for replicas that wait, and gives up machines whose replicas fit elsewhere, by the rules of "
      "Kubernetes' cluster autoscaler.",
      {map("groups", object("", cluster_group_spec, "a group"), "by name of the node group").at_least(1).needed(),
       word("expander", {"least-waste", "most-pods", "price", "priority", "random"},
            "which group grows when several could: with the fullest new machines, for the most replicas, at the lowest "
            "price per replica, by priority; draws decide between equals")
           .by_default("least-waste"),
       quantity("scan_interval", Unit::duration, "between two looks").at_least(0.001).by_default("10 s"),
       quantity("max_node_provision_time", Unit::duration, "an order is given up after it").above(0).by_default("15 min"),
       quantity("initial_backoff", Unit::duration, "nothing is ordered of a group after an order that failed; twice as long "
                                                   "after each further one")
           .by_default("5 min"),
       quantity("max_backoff", Unit::duration, "at most").by_default("30 min"),
       quantity("backoff_reset", Unit::duration, "without a failure, after which it is the initial one again")
           .by_default("3 h"),
       flag("scale_down", "machines are given up").by_default("true"),
       quantity("utilization_threshold", Unit::fraction,
                "machines of whose accelerators, or memory if that is more, replicas take less may be unneeded")
           .at_most(1)
           .by_default("0.5"),
       quantity("unneeded_time", Unit::duration, "so long at every scan").by_default("10 min"),
       quantity("delay_after_add", Unit::duration, "none is given up so long after the last order").by_default("10 min"),
       quantity("delay_after_delete", Unit::duration, "or after the last one that was").default_is("scan_interval"),
       quantity("graceful_termination", Unit::duration, "what a machine that is given up still serves is lost after it")
           .by_default("10 min"),
       integer("max_empty", "machines without replicas given up per scan; of others one at a time")
           .at_least(1)
           .at_most(max_nodes)
           .by_default("10")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
