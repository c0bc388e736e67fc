// What `isthmus advise` may be asked for. See docs/placement.md.
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

const ObjectSpec& requirements_spec() {
  static const ObjectSpec spec{
      "requirements",
      "What a deployment must do, for isthmus advise.",
      {quantity("latency", Unit::duration, "within which 95 % of the answers must be there")
           .above(0)
           .default_is("100 ms for analytics, 10 ms for vision"),
       word("workload", {"analytics", "vision"}, "what is computed").by_default("analytics"),
       text("residency", "country that data must not leave, as the label `country` of node groups names it")
           .default_is("anywhere"),
       quantity("availability", Unit::fraction, "share of requests that must be answered, while zones fail as well")
           .at_most(1)
           .by_default("0"),
       quantity("burstiness", Unit::none, "highest load over usual load").at_least(1).at_most(1e6).by_default("1"),
       flag("critical", "its latency must not depend on other work").by_default("false")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
