#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

const ObjectSpec& image_spec() {
  static const ObjectSpec spec{
      "image",
      "What a machine must have before a replica starts there. Layers stay on machines; those of equal names are the "
      "same.",
      {refer("registry", Reference::group, "its first machine sends what is missing, over the network").needed(),
       map("layers", quantity("", Unit::bytes, "on the wire").above(0), "sizes of the layers, by name")
           .at_least(1)
           .needed(),
       quantity("unpack", Unit::bandwidth, "of layers that came, before anything runs")
           .above(0)
           .default_is("takes no time"),
       flag("on_machines", "every machine has it from the start").by_default("false")},
      "",
      {}};
  return spec;
}

}  // namespace

const ObjectSpec& startup_spec() {
  static const ObjectSpec spec{
      "startup",
      "The parts of a cold start, one after another; they take the place of cold_start. See docs/cold_starts.md.",
      {quantity("provision", Unit::duration, "until there is a machine, when no replica is on it").by_default("0 s"),
       object("image", image_spec, "pulled by machines that lack a part of it").default_is("none"),
       quantity("runtime", Unit::duration, "until the process runs").by_default("0 s"),
       quantity("weights", Unit::duration, "until the weights are at the unit")
           .default_is("what loading says, else 0 s"),
       quantity("warmup", Unit::duration, "before the first request is taken").by_default("0 s"),
       integer("warmup_requests", "served before, one by one, each as long as one alone; not for language models")
           .at_most(1e6)
           .by_default("0"),
       quantity("snapshot", Unit::duration, "to restore one, instead of runtime, weights and warm-up")
           .default_is("none"),
       quantity("keep_alive", Unit::duration,
                "a replica that is not asked for any more stays this long, paid for, and comes back at once")
           .by_default("0 s")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
