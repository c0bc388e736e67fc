#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

const ObjectSpec& tenant_spec() {
  static const ObjectSpec spec{
      "tenant",
      "Somebody whose workloads share the machines with others. See docs/tenants.md.",
      {quantity("weight", Unit::none, "share of a service among those that want it, in fair queues")
           .above(0)
           .at_most(1e6)
           .by_default("1"),
       integer("priority", "class of its workloads: larger goes first")
           .at_least(-1e6)
           .at_most(1e6)
           .by_default("0"),
       admission_rules().default_is("none")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
