#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

std::vector<Field> carrier_fields() {
  return {
      quantity("bandwidth", Unit::bandwidth,
               "capacity per direction (upwards, when bandwidth_down is given); in all when "
               "sharing is \"shared\"")
          .above(0),
      quantity("bandwidth_down", Unit::bandwidth,
               "capacity towards the machine, for asymmetric access; split-duplex only")
          .above(0)
          .default_is("bandwidth"),
      quantity("latency", Unit::duration, "one way").by_default("0 s"),
      word("sharing", {"shared", "split-duplex", "fatpipe"},
           "shared: both directions share the capacity (radio cell, half duplex); split-duplex: "
           "each "
           "direction has it; fatpipe: every flow has it (over-provisioned backbone)")
          .by_default("split-duplex"),
  };
}

Field link_use() {
  static const ObjectSpec use{
      "link use",
      "A link of a route, crossed in a given direction.",
      {refer("link", Reference::link, "the link").needed(),
       word("direction", {"up", "down"}, "which way the route crosses it").by_default("up")},
      "",
      {}};
  return either("", {refer("", Reference::link, "link"), object("", use, "link with direction")},
                "a link, crossed upwards, or a link with its direction");
}

const ObjectSpec& failure_spec() {
  static const ObjectSpec spec{
      "failure",
      "A time during which a link is down; flows on it fail.",
      {quantity("at", Unit::duration, "start of the failure").needed(),
       quantity("lasts", Unit::duration, "how long").above(0).default_is("to the end")},
      "",
      {}};
  return spec;
}

Field zones(const char* name, const char* help) {
  return either(name,
                {refer("", Reference::zone, "zone"),
                 list("", refer("", Reference::zone, "zone"), "zones").at_least(1)},
                help);
}

}  // namespace

const ObjectSpec& link_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "link";
    s.help =
        "A link. In `access` every machine gets its own instance unless per_nodes says otherwise.";
    s.fields = {refer("preset", Reference::link_preset, "catalogue entry to start from")
                    .default_is("none")};
    for (const Field& f : carrier_fields()) s.fields.push_back(f);
    s.fields.insert(
        s.fields.end(),
        {integer("per_nodes",
                 "in access: how many machines share one instance; 0 = all machines of "
                 "all groups share one")
             .at_most(max_nodes)
             .by_default("1"),
         either("trace",
                {text("", "path of a CSV file, relative to this file"),
                 list("",
                      tuple("",
                            {quantity("", Unit::duration, "from"),
                             quantity("", Unit::bandwidth, "bandwidth").above(0)},
                            "a step"),
                      "steps")
                     .at_least(1)},
                "bandwidth over time: [[\"0 s\", \"40 Mbps\"], ...] or a CSV file with the columns "
                "time, bandwidth and optionally latency, either with unit strings or with units in "
                "the header (time_s,bandwidth_Mbps,latency_ms)")
             .default_is("constant"),
         quantity("loop", Unit::duration, "the trace repeats with this period")
             .above(0)
             .default_is("no repetition"),
         list("failures", object("", failure_spec, "a failure"), "times when the link is down")
             .default_is("none")});
    return s;
  }();
  return spec;
}

const ObjectSpec& link_preset_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "link preset";
    s.help = "An entry of the link catalogue.";
    s.fields = {
        text("summary", "what it is").needed(),
        map("sources", text("", "source"), "where each figure comes from, by field").needed()};
    for (const Field& f : carrier_fields()) s.fields.push_back(f);
    return s;
  }();
  return spec;
}

const ObjectSpec& route_spec() {
  static const ObjectSpec spec{
      "route",
      "Links between two zones, in order. The way back is the same in reverse unless another route "
      "states it. A route from a zone to itself is its inner fabric.",
      {zones("from", "zone, or several zones that reach the other the same way").needed(),
       zones("to", "zone, or several").needed(),
       list("links", link_use(), "links crossed from `from` to `to`; empty = no delay at all")
           .needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& node_route_spec() {
  static const ObjectSpec spec{
      "node route",
      "An exception for one pair of machines: replaces access links and zone route.",
      {refer("from", Reference::group, "node group").needed(),
       integer("from_index", "machine within the group").by_default("0"),
       refer("to", Reference::group, "node group").needed(),
       integer("to_index", "machine within the group").by_default("0"),
       list("links", link_use(), "links crossed from `from` to `to`").needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& flow_model_spec() {
  static const ObjectSpec spec{
      "flow model",
      "How concurrent transfers share links. CM02 with factors 1 takes bandwidths and latencies "
      "literally; LV08 is SimGrid's calibrated TCP model, whose factors then become the defaults.",
      {word("name", {"CM02", "LV08", "SMPI"}, "SMPI: simgrid only").by_default("CM02"),
       quantity("latency_factor", Unit::none, "start-up delay over path latency")
           .default_is("1; LV08: 13.01"),
       quantity("bandwidth_factor", Unit::none, "payload rate over capacity")
           .above(0)
           .default_is("1; LV08: 0.97"),
       quantity("tcp_gamma", Unit::bytes, "TCP window: rate <= gamma / (2 latency); 0 = no limit")
           .default_is("0; LV08: 4194304 B"),
       flag("equal_shares",
            "flows that share a link get equal rates; false: SimGrid's weights, "
            "inverse to latency + sum of weight_s / bandwidth over the path")
           .default_is("true; LV08 or with weight_s: false"),
       quantity("weight_s", Unit::bytes, "bandwidth term of the weights when shares are not equal")
           .default_is("0; LV08: 20537 B"),
       flag("native",
            "simgrid only: leave latencies, weights and bounds to SimGrid, traps included")
           .default_is("false; SMPI: true"),
       flag("cross_traffic", "acknowledgements take 5 % of the reverse path")
           .default_is("false; LV08: true")},
      "",
      {}};
  return spec;
}

const ObjectSpec& network_spec() {
  static const ObjectSpec spec{
      "network",
      "Links, who hangs on them and how zones are joined. Zones without a direct route are joined "
      "over "
      "the fewest routes in between. Without a network all machines are joined without delay.",
      {word("model", {"simgrid", "fluid"},
            "simgrid: the SimGrid library, one process per run; fluid: our own exact max-min "
            "solver, "
            "faster for large fleets")
           .by_default("simgrid"),
       object("flow_model", flow_model_spec, "how transfers share links"),
       list("options", text("", "name:value"),
            "further SimGrid settings, e.g. "
            "\"network/optim:Lazy\"; simgrid only")
           .default_is("none"),
       map("links", object("", link_spec, "a link"), "links by name").default_is("none"),
       [] {
         Field f = map("access", list("", refer("", Reference::link, "link"), "links"),
                       "for each node group the links between a machine and its zone, from the "
                       "machine outwards")
                       .default_is("none");
         f.reference = Reference::group;
         return f;
       }(),
       list("routes", object("", route_spec, "a route"), "between zones").default_is("none"),
       list("node_routes", object("", node_route_spec, "a route"), "between single machines")
           .default_is("none"),
       text("platform",
            "path of a SimGrid platform XML file; links and routes then come from it, and "
            "its hosts are named like the machines: by the group, with -0, -1, ... when the group "
            "has several")
           .default_is("none"),
       quantity("egress_price", Unit::price_per_byte, "of data that leaves cloud machines")
           .by_default("0 USD/GB")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
