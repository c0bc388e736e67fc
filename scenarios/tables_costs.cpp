#include <fmt/core.h>

#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

const ObjectSpec& series_spec() {
  static const ObjectSpec spec{
      "price_series",
      "Values over time from a CSV file with a header. Its first column holds dates (s, or like \"2022-01-01 "
      "00:00:00\"), which count from the first row on. A value holds until the next row, the last one as long as "
      "the one before, and then the file begins again. Empty cells repeat the value before.",
      {text("file", "path, relative to the scenario").needed(),
       text("column", "name of the column of values").default_is("the second one"),
       quantity("factor", Unit::none,
                "by which values are multiplied to be in the scenario's currency, or in g, per kWh")
           .above(0)
           .by_default("1"),
       quantity("start", Unit::duration, "date of the file at which the run begins").by_default("0 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& site_spec() {
  static const ObjectSpec spec{
      "site",
      "Where machines stand: what their power costs and emits. Machines name it with `site`.",
      {either("power_price", {quantity("", Unit::price_per_energy, "constant"), object("", series_spec, "over time")},
              "of energy, paid for machines with `pays_power`")
           .by_default("0 USD/kWh"),
       either("carbon_intensity",
              {quantity("", Unit::carbon_intensity, "constant"), object("", series_spec, "over time")},
              "of energy, for all machines of the site")
           .by_default("0 g/kWh"),
       quantity("pue", Unit::none, "power usage effectiveness: energy of the site over that of its machines")
           .at_least(1)
           .at_most(10)
           .by_default("1")},
      "",
      {}};
  return spec;
}

const ObjectSpec& flat_spec() {
  static const ObjectSpec spec{
      "flat_item",
      "What is paid whatever happens: staff, upkeep, lines, things bought.",
      {quantity("price", Unit::price_per_hour, "as long as the run lasts").default_is("none"),
       quantity("purchase_price", Unit::money, "paid once, and written off over `years`").default_is("none"),
       quantity("years", Unit::none, "life of what is bought").above(0).at_most(100).by_default("5")},
      "",
      {}};
  return spec;
}

const ObjectSpec& tier_spec() {
  static const ObjectSpec spec{
      "egress_tier",
      "A price for a part of the volume of a month (730 h).",
      {quantity("volume", Unit::bytes, "a month at this price, after the tiers before; only the last has none")
           .above(0)
           .default_is("the rest"),
       quantity("price", Unit::price_per_byte, "of data that leaves cloud machines").needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& licence_spec() {
  static const ObjectSpec spec{
      "licence",
      "Software that is paid for by the machine, or by what a machine has several of.",
      {quantity("price", Unit::price_per_hour, "of one licence").needed(),
       quantity("per_machine", Unit::none, "licences that a machine needs, such as one per core")
           .at_most(1e6)
           .by_default("1")},
      "",
      {}};
  return spec;
}

const ObjectSpec& credit_spec() {
  static const ObjectSpec spec{
      "credit",
      "What a provider gives back for a month in which it was not there enough.",
      {quantity("below", Unit::fraction, "availability of the month").above(0).at_most(1).needed(),
       quantity("share", Unit::fraction, "of the month's bill").above(0).at_most(1).needed()},
      "",
      {}};
  return spec;
}

std::vector<Field> rounding(const char* of) {
  return {quantity("granularity", Unit::duration, fmt::format("{} is rounded up to a multiple of this", of))
              .above(0)
              .default_is("none: to the nanosecond"),
          quantity("minimum", Unit::duration, fmt::format("{} is at least this", of)).by_default("0 s")};
}

}  // namespace

const ObjectSpec& billing_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "billing";
    s.help = "How the machines of a group are paid for. See docs/cost.md.";
    s.tag = "kind";
    s.fields = {word("kind", {}, "by what").needed()};
    std::vector<Field> spot = rounding("each use of a machine");
    spot.insert(spot.begin(), quantity("discount", Unit::fraction, "off the price of the node").at_most(1).needed());
    s.variants = {
        {"on-demand", "The node's `price` for the time in use: all of it, or with billed_when_idle false while a "
                      "replica is on the machine.",
         rounding("each use of a machine")},
        {"spot", "The same at a discount.", spot},
        {"reserved", "The node's `price` for the whole time, used or not, and a sum at once for the term.",
         {quantity("upfront", Unit::money, "of one machine for the whole term").by_default("0 USD"),
          quantity("years", Unit::none, "the term").above(0).at_most(100).by_default("1")}},
        {"owned", "Bought for the node's `purchase_price`, written off in a straight line; its power is paid.",
         {quantity("years", Unit::none, "until it is written off").above(0).at_most(100).by_default("4"),
          quantity("salvage", Unit::fraction, "of the purchase price that it then brings").at_most(1).by_default("0")}},
        {"none", "Nothing for the machine itself.", {}},
    };
    for (const Variant& v : s.variants) s.fields[0].choices.push_back(v.value);
    return s;
  }();
  return spec;
}

const ObjectSpec& serverless_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "serverless";
    s.help = "Paid by use instead of by machine: per request, and for its time from the first work on it to the end.";
    s.fields = {
        quantity("request_price", Unit::price_per_request, "of one request").by_default("0 USD/request"),
        quantity("time_price", Unit::price_per_hour, "of the time of requests in service").by_default("0 USD/h"),
        quantity("memory_price", Unit::price_per_byte_time, "of `memory` over that time").by_default("0 USD/GB-s"),
        quantity("memory", Unit::bytes, "of an instance").default_is("none"),
        quantity("granularity", Unit::duration, "the time of a request is rounded up to a multiple of this")
            .above(0)
            .by_default("1 ms"),
        quantity("minimum", Unit::duration, "the time of a request is at least this").by_default("0 s")};
    return s;
  }();
  return spec;
}

const ObjectSpec& provider_spec() {
  static const ObjectSpec spec{
      "provider",
      "The service is somebody else's: every answer is a call that is paid for, and outages come by chance.",
      {quantity("call_price", Unit::price_per_request, "of one call").needed(),
       quantity("availability", Unit::fraction,
                "share of the time in which the provider is there, in the long run; outages of all machines of "
                "the service's group are drawn so")
           .above(0.5)
           .at_most(1)
           .by_default("1"),
       distribution("outage", Unit::duration, "how long an outage lasts")
           .default_is("exponential with a mean of 30 min"),
       list("credits", object("", credit_spec, "a credit"), "given back for months (730 h) below an availability")
           .default_is("none")},
      "",
      {}};
  return spec;
}

std::vector<Field> node_cost_fields() {
  return {
      object("billing", billing_spec, "how its machines are paid for")
          .default_is("on-demand, to the nanosecond"),
      refer("site", Reference::site, "where it stands: power price and carbon").default_is("none: power is free"),
      flag("pays_power", "its power is paid for by itself, not with its rent").default_is("true for owned machines"),
      map("licences", object("", licence_spec, "a licence"), "software paid for by the month, by name")
          .default_is("none"),
      quantity("embodied_carbon", Unit::mass, "of making one machine, spread over life_years").by_default("0 kg"),
      quantity("life_years", Unit::none, "over which embodied carbon is spread")
          .above(0)
          .at_most(100)
          .by_default("4"),
  };
}

std::vector<Field> service_cost_fields() {
  return {object("serverless", serverless_spec, "paid by use").default_is("none: its machines are paid for"),
          object("provider", provider_spec, "a third party's service, paid per call").default_is("none")};
}

const ObjectSpec& costs_spec() {
  static const ObjectSpec spec{
      "costs",
      "Keep a ledger of the run: money and carbon, item by item. See docs/cost.md.",
      {word("currency", [] {
         std::vector<std::string> codes;
         for (const std::string_view c : currencies()) codes.emplace_back(c);
         return codes;
       }(), "of all results; prices in another one need a rate in `exchange`")
           .by_default("USD"),
       flag("ledger", "keep it").by_default("true"),
       map("exchange", quantity("", Unit::none, "what one of it is worth").above(0),
           "value of other currencies in the scenario's, by code")
           .default_is("none"),
       map("sites", object("", site_spec, "a site"), "power prices and carbon intensities, by name").default_is("none"),
       map("flat", object("", flat_spec, "an item"), "items that do not depend on the run, by name")
           .default_is("none"),
       list("egress", object("", tier_spec, "a tier"), "prices of egress by volume, instead of network.egress_price")
           .at_least(1)
           .default_is("none")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
