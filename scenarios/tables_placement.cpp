// On which machines replicas run. See docs/placement.md.
#include "models/precision.hpp"
#include "scenarios/policy_tables.hpp"
#include "schedulers/registry.hpp"

namespace isthmus::scenarios {

namespace {

std::vector<std::string> precision_names() {
  std::vector<std::string> names;
  for (const auto& row : models::precisions) names.emplace_back(row.name);
  return names;
}

const ObjectSpec& requires_spec() {
  static const ObjectSpec spec{
      "requires",
      "What a machine must be to take a replica.",
      {either("device",
              {refer("", Reference::device, "catalogue entry"),
               list("", refer("", Reference::device, "catalogue entry"), "one of these").at_least(1)},
              "that the node group comes from")
           .default_is("any"),
       word("accelerator", {"cpu", "gpu", "npu"}, "kind of its main unit").default_is("any"),
       quantity("memory", Unit::bytes, "of its main unit, of one accelerator, at least").default_is("any"),
       word("precision", precision_names(), "that its main unit computes natively").default_is("any"),
       word("tier", {"device", "edge", "cloud"}, "where it stands").default_is("any"),
       either("zone",
              {refer("", Reference::zone, "zone"),
               list("", refer("", Reference::zone, "zone"), "one of these").at_least(1)},
              "that it stands in, e.g. for data that must stay there")
           .default_is("any"),
       map("labels", text("", "value"), "that the node group has").default_is("any")},
      "",
      {}};
  return spec;
}

const ObjectSpec& requests_spec() {
  static const ObjectSpec spec{
      "requests",
      "What a replica takes of its machine, for itself.",
      {integer("accelerators",
               "whole units, for services with a service_time and graphs spread over units; others take what "
               "they compute on")
           .at_most(1024)
           .by_default("0"),
       quantity("memory", Unit::bytes, "of the memory of the machine's main units, all of them together")
           .by_default("0 B")},
      "",
      {}};
  return spec;
}

const ObjectSpec& topology_spread_spec() {
  static const ObjectSpec spec{
      "topology spread",
      "Replicas stay spread over domains that are up: no domain gets one if it would then have more than "
      "`max_skew` above the one with the fewest.",
      {word("over", {"machine", "zone"}, "what a domain is").by_default("zone"),
       integer("max_skew", "largest difference").at_least(1).at_most(1e6).by_default("1"),
       flag("hard", "false: domains with fewer are only preferred").by_default("true")},
      "",
      {}};
  return spec;
}

}  // namespace

const ObjectSpec& placement_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "placement";
    s.help =
        "On which machine a new replica runs: filters say which may take it, the policy chooses among them. At the "
        "start of a service, when it scales, after failures and when replicas move. See docs/placement.md.";
    s.fields = {
        object("requires", requires_spec, "what a machine must be").default_is("anything"),
        object("requests", requests_spec, "what a replica takes of it").default_is("the units it computes on"),
        list("tolerates", text("", "\"key\", \"key=value\", or \"*\""),
             "taints that do not keep it off")
            .default_is("none"),
        list("affinity", refer("", Reference::service, "service"),
             "services of which each must have a replica in the same place; itself: all in one place")
            .default_is("none"),
        word("affinity_over", {"machine", "zone"}, "what one place is").by_default("machine"),
        list("anti_affinity", refer("", Reference::service, "service"),
             "services of which none may have a replica in the same place; itself: one replica per place")
            .default_is("none"),
        word("anti_affinity_over", {"machine", "zone"}, "what one place is").by_default("machine"),
        object("spread", topology_spread_spec, "over machines or zones").default_is("none"),
        quantity("failover", Unit::duration,
                 "from the failure of a machine until its replicas are started elsewhere (Kubernetes: 300 s)")
            .by_default("0 s"),
        flag("movable", "the descheduler may move its replicas").by_default("true"),
    };
    add_policies(s, schedulers::placement_policies());
    return s;
  }();
  return with_added<schedulers::PlacementPolicy>(spec);
}

const ObjectSpec& descheduler_spec() {
  static const ObjectSpec spec{
      "descheduler",
      "Moves replicas of services with a placement: a copy starts elsewhere, and the old one is drained when it is "
      "ready. A round begins when the moves of the one before have ended.",
      {quantity("period", Unit::duration, "between rounds").at_least(0.001).by_default("60 s"),
       integer("max_moves", "per round").at_least(1).at_most(1e6).by_default("4"),
       flag("make_room", "moves replicas away from a machine where a pending one then fits, with the fewest moves")
           .by_default("true"),
       flag("consolidate", "moves all replicas of a machine to others in use, so that it becomes free")
           .by_default("false")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
