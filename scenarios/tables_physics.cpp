// Clocks, heat and batteries of machines.
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

const ObjectSpec& operating_point_spec() {
  static const ObjectSpec spec{
      "operating_point",
      "One clock of a unit. Work draws (f / fmax) (V / Vmax)^2 of what it draws at the highest "
      "one, "
      "or the share that `dynamic` states.",
      {quantity("frequency", Unit::frequency, "clock").above(0).needed(),
       quantity("voltage", Unit::voltage, "at this clock").above(0).default_is("the highest one's"),
       quantity("dynamic", Unit::fraction,
                "power of work over that at the highest clock, where measured")
           .default_is("from frequency and voltage"),
       quantity("idle_power", Unit::power, "of the unit at this clock")
           .default_is("the unit's idle_power")},
      "",
      {}};
  return spec;
}

namespace {

const ObjectSpec& thermal_part_spec() {
  static const ObjectSpec spec{
      "thermal_part",
      "A lump of a machine with one temperature.",
      {quantity("capacitance", Unit::heat_capacity, "heat that warms it by one kelvin")
           .above(0)
           .needed(),
       quantity("resistance", Unit::resistance, "to the ambient")
           .above(0)
           .default_is("none: heat leaves through links only")},
      "",
      {}};
  return spec;
}

const ObjectSpec& thermal_link_spec() {
  static const ObjectSpec spec{
      "thermal_link",
      "A path for heat between two parts.",
      {tuple("between", {text("", "part"), text("", "part")}, "the two parts").needed(),
       quantity("resistance", Unit::resistance, "of the path").above(0).needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& trip_spec() {
  static const ObjectSpec spec{
      "trip",
      "Holds the clocks down while a part is hot.",
      {text("part", "whose temperature counts").default_is("the first"),
       quantity("at", Unit::temperature, "throttles from here on").at_least(-273).needed(),
       quantity("resume", Unit::temperature, "stops when it has cooled down to this")
           .at_least(-273)
           .default_is("2 C below `at`"),
       quantity("clock", Unit::fraction, "cap relative to the highest clock")
           .above(0)
           .at_most(1)
           .by_default("0.5"),
       flag("stepwise",
            "lower the cap by one operating point per look while it is too hot, raise it below "
            "`resume`; `clock` is the lowest cap")
           .by_default("false")},
      "",
      {}};
  return spec;
}

}  // namespace

const ObjectSpec& thermal_spec() {
  static const ObjectSpec spec{
      "thermal",
      "A lumped RC network: either one part (capacitance, resistance) or several in `parts`.",
      {quantity("capacitance", Unit::heat_capacity, "of the machine as one part")
           .above(0)
           .default_is("none: parts"),
       quantity("resistance", Unit::resistance, "from it to the ambient")
           .above(0)
           .default_is("none: parts"),
       map("parts", object("", thermal_part_spec, "a part"),
           "parts by name; units heat the part that carries their name, else the first")
           .default_is("one part \"machine\""),
       list("links", object("", thermal_link_spec, "a path for heat"), "between parts")
           .default_is("none"),
       list("trips", object("", trip_spec, "a trip point"), "throttling").default_is("none"),
       quantity("shutdown", Unit::temperature, "of any part: the machine goes down and stays so")
           .at_least(-273)
           .default_is("never")},
      "",
      {}};
  return spec;
}

const ObjectSpec& ambient_step_spec() {
  static const ObjectSpec spec{
      "ambient_step",
      "The ambient temperature from a date on.",
      {quantity("at", Unit::duration, "from this date on").needed(),
       quantity("temperature", Unit::temperature, "of the surroundings").at_least(-273).needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& battery_spec() {
  static const ObjectSpec spec{
      "battery",
      "Feeds the machine; when it is empty the machine goes down.",
      {quantity("capacity", Unit::energy, "when new, for example \"19 Wh\"").above(0).needed(),
       quantity("charge", Unit::fraction, "at the start").at_most(1).by_default("1"),
       quantity("discharge_efficiency", Unit::fraction, "delivered over drawn")
           .above(0)
           .at_most(1)
           .by_default("1"),
       quantity("charge_efficiency", Unit::fraction, "stored over taken from the charger")
           .above(0)
           .at_most(1)
           .by_default("1"),
       quantity("discharge_limit", Unit::power, "that the store gives at most")
           .above(0)
           .default_is("none"),
       quantity("charge_limit", Unit::power, "that it takes at most").default_is("none"),
       quantity("charger", Unit::power, "of the charger; it feeds the machine first")
           .by_default("0 W"),
       integer("cycles", "full cycles after which no capacity would be left")
           .at_least(1)
           .default_is("no wear")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
