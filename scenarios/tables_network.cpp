#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

const ObjectSpec& promotion_spec() {
  static const ObjectSpec spec{
      "promotion",
      "What a radio takes to wake up: the first transfer of a machine after idle time, in either "
      "direction, waits for it; so do transfers that start meanwhile. At the start of a run radios "
      "are asleep.",
      {distribution("delay", Unit::duration, "until the radio is connected").needed(),
       quantity("after", Unit::duration, "without a transfer, until it sleeps again").needed()},
      "",
      {}};
  return spec;
}

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
      quantity("latency_down", Unit::duration, "one way towards the machine; split-duplex only")
          .default_is("latency"),
      word("sharing", {"shared", "split-duplex", "fatpipe", "wifi"},
           "shared: both directions share the capacity (radio cell, half duplex); split-duplex: "
           "each "
           "direction has it; fatpipe: every flow has it (over-provisioned backbone); wifi: a cell whose stations "
           "share its air time, of which a flow takes its rate over the station's rate; in access "
           "only")
          .by_default("split-duplex"),
      distribution("jitter", Unit::duration,
                   "further delay of every transfer over the link, before its first byte")
          .default_is("none"),
      quantity("loss", Unit::fraction, "share of packets that the link loses")
          .at_most(0.99)
          .by_default("0"),
      word("loss_model", {"link-layer", "tcp"},
           "link-layer: the link sends again what it loses and keeps bandwidth * (1 - loss); tcp: "
           "losses reach TCP and bound the rate of every transfer, see network.tcp")
          .by_default("link-layer"),
      object("promotion", promotion_spec, "sleep of the machine's radio; in access only")
          .default_is("none"),
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
      "A time during which a link is down, so that flows on it fail, or has less capacity.",
      {quantity("at", Unit::duration, "start of the failure").needed(),
       quantity("lasts", Unit::duration, "how long").above(0).default_is("to the end"),
       quantity("capacity", Unit::fraction, "brown-out: share of the bandwidth that is left")
           .above(0)
           .at_most(1)
           .default_is("none: the link is down")},
      "",
      {}};
  return spec;
}

Field trace_field(const char* name, const std::string& help) {
  return either(name,
                {text("", "path of a trace file, relative to this file"),
                 list("",
                      tuple("",
                            {quantity("", Unit::duration, "from"),
                             quantity("", Unit::bandwidth, "bandwidth").above(0)},
                            "a step"),
                      "steps")
                     .at_least(1)},
                help +
                    ": [[\"0 s\", \"40 Mbps\"], ...] or a file; formats: docs/access_networks.md")
      .default_is("constant");
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
         trace_field("trace", "bandwidth over time, of both ways unless trace_down is given"),
         trace_field("trace_down",
                     "the same for the way towards the machine; `trace`, if any, is then about the "
                     "other way; split-duplex only"),
         word("trace_format", {"auto", "csv", "mahimahi", "irish-5g"},
              "of trace files; auto: by content")
             .by_default("auto"),
         quantity("trace_bin", Unit::duration,
                  "mahimahi: packets are counted over this time to give a bandwidth")
             .at_least(0.001)
             .at_most(3600)
             .by_default("100 ms"),
         either("loop",
                {flag("", "true: from the end of the trace; false: never"),
                 quantity("", Unit::duration, "period").above(0)},
                "the trace repeats: with this period, or (true) right after its end")
             .default_is("false; mahimahi: true"),
         word("trace_start", {"together", "staggered", "random"},
              "where the instances of the link start in the trace: all at trace_offset; evenly "
              "spread over its length; or each somewhere, drawn from the seed")
             .by_default("together"),
         quantity("trace_offset", Unit::duration, "where in the trace the run starts")
             .by_default("0 s"),
         map("stations",
             either("",
                    {quantity("", Unit::bandwidth, "of every machine").above(0),
                     list("", quantity("", Unit::bandwidth, "rate").above(0),
                          "of the first machine, the second, ..., and over again")
                         .at_least(1)},
                    "rate"),
             "wifi: the rates at which the machines of node groups send and receive, alone in the "
             "cell")
             .default_is("bandwidth"),
         list("contention", quantity("", Unit::fraction, "share").above(0).at_most(1),
              "share of the capacity that is left while 1, 2, ... transfers use one way of the link; "
              "the last entry holds for more (collisions, overheads of queues)")
             .default_is("none: all of it"),
         quantity("idle_power", Unit::power, "that every instance draws with or without traffic")
             .by_default("0 W"),
         quantity("busy_power", Unit::power,
                  "at full use: power rises linearly with the share of the capacity in use (of "
                  "split-duplex links the mean of both ways)")
             .default_is("idle_power"),
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

const ObjectSpec& transfer_policy_spec() {
  static const ObjectSpec backoff{
      "backoff",
      "Waits between the attempts of a transfer: initial, initial * factor, ... up to longest.",
      {quantity("initial", Unit::duration, "after the first failure").by_default("200 ms"),
       quantity("factor", Unit::none, "from one wait to the next").at_least(1).by_default("2"),
       quantity("longest", Unit::duration, "no wait is longer").by_default("30 s"),
       quantity("jitter", Unit::fraction, "a wait is drawn between (1 - jitter) and 1 of its length")
           .at_most(1)
           .by_default("0")},
      "",
      {}};
  static const ObjectSpec spec{
      "transfer policy",
      "What follows when a transfer fails: a link of its path goes down, is down when it starts, or "
      "its machine has no cell.",
      {word("on_failure", {"fail", "retry", "resume"},
            "fail: the attempt of the request ends (see retries of requests); retry: all bytes are "
            "sent again; resume: those that are left")
           .by_default("fail"),
       integer("attempts", "in all, the first included; then the transfer fails")
           .at_least(1)
           .at_most(1000000)
           .by_default("5"),
       object("backoff", backoff, "waits between attempts")},
      "",
      {}};
  return spec;
}

namespace {

const ObjectSpec& mobility_spec() {
  static const ObjectSpec spec{
      "mobility",
      "Machines of a group that change their cell. One of the group's access links is their cell; "
      "moves replace it by another link, or by another instance of the same link.",
      {refer("on", Reference::group, "machines that move").needed(),
       list("cells", refer("", Reference::link, "link"),
            "links that are cells; every instance of a link is one")
           .at_least(1)
           .needed(),
       distribution("residence", Unit::duration, "time in a cell, 1 ms or more").default_is("none"),
       list("schedule",
            tuple("",
                  {quantity("", Unit::duration, "start of the move"),
                   refer("", Reference::link, "cell, a link with one instance")},
                  "a move"),
            "instead: moves of every machine of the group")
           .at_least(1)
           .default_is("none"),
       word("next", {"random", "in-order"},
            "with residence: any other cell, or the next one of `cells` (a ring)")
           .by_default("random"),
       distribution("gap", Unit::duration, "between two cells, without any").by_default("0 s"),
       word("in_flight", {"stall", "fail"},
            "transfers that meet a move: stall: wait and go on in the next cell, after its latency; "
            "fail: fail, see transfers")
           .by_default("stall")},
      "",
      {}};
  return spec;
}

const ObjectSpec& tcp_spec() {
  static const ObjectSpec spec{
      "tcp",
      "How loss on links with loss_model \"tcp\" bounds the rate of a transfer: by the loss of its "
      "path and the round trip when it starts.",
      {word("law", {"mathis", "pftk"},
            "mathis: segment / (rtt sqrt(2 loss / 3)), Mathis et al. 1997; pftk: with timeouts, "
            "Padhye et al. 1998")
           .by_default("mathis"),
       quantity("segment", Unit::bytes, "maximum segment size").above(0).by_default("1460 B"),
       quantity("timeout", Unit::duration, "retransmission timeout (pftk)").by_default("200 ms")},
      "",
      {}};
  return spec;
}

}  // namespace

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
       list("mobility", object("", mobility_spec, "machines that move"), "moves between cells")
           .default_is("none"),
       object("transfers", transfer_policy_spec, "what follows when a transfer fails"),
       object("tcp", tcp_spec, "rates under loss"),
       quantity("egress_price", Unit::price_per_byte, "of data that leaves cloud machines")
           .by_default("0 USD/GB")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
