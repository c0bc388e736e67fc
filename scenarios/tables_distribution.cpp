// Distributions: every parameter has the unit of the field that the distribution fills.
#include <array>
#include <cstdint>

#include "scenarios/field_table.hpp"

namespace isthmus::scenarios {

namespace {

ObjectSpec make(Unit unit) {
  const auto in_unit = [&](const char* name, const char* help) {
    return quantity(name, unit, help);
  };
  const auto bare = [](const char* name, const char* help) {
    return quantity(name, Unit::none, help);
  };
  ObjectSpec s;
  s.name = "distribution of " + std::string(unit == Unit::none ? "number" : name_of(unit));
  s.help =
      "A random value, drawn anew each time. A bare value instead of the object is a constant.";
  s.tag = "distribution";
  s.fields = {
      word("distribution", {}, "kind of distribution").needed(),
      in_unit("min", "draws below are raised to it").default_is("0"),
      in_unit("max", "draws above are cut to it").default_is("none"),
  };
  s.variants = {
      {"constant", "always the same", {in_unit("value", "the value").needed()}},
      {"uniform",
       "all values between two bounds alike",
       {in_unit("low", "lower bound").needed(), in_unit("high", "upper bound").needed()}},
      {"exponential",
       "memoryless; service times of an M/M/1 queue",
       {in_unit("mean", "mean").above(0).needed()}},
      {"erlang",
       "sum of `phases` equal exponential phases",
       {in_unit("mean", "mean of the sum").above(0).needed(),
        integer("phases", "number of phases; more = more regular")
            .at_least(1)
            .at_most(1000)
            .needed()}},
      {"gamma",
       "given by mean and coefficient of variation",
       {in_unit("mean", "mean").above(0).needed(),
        bare("cv", "standard deviation over mean; 1 = exponential").above(0).needed()}},
      {"lognormal",
       "skewed; human and network delays",
       {in_unit("median", "median").above(0).needed(),
        bare("sigma", "standard deviation of the natural logarithm").needed()}},
      {"weibull",
       "given by scale and shape",
       {in_unit("scale", "63rd percentile").above(0).needed(),
        bare("shape", "below 1 heavier than exponential").above(0).needed()}},
      {"pareto",
       "power-law tail, cut at `maximum` if given",
       {in_unit("minimum", "smallest value").above(0).needed(),
        in_unit("maximum", "largest value; the distribution is the bounded Pareto law")
            .default_is("none"),
        bare("tail", "tail index; below 2 the variance is infinite").above(0).needed()}},
      {"hyperexponential",
       "two exponential branches with balanced means",
       {in_unit("mean", "mean").above(0).needed(),
        bare("scv", "squared coefficient of variation").at_least(1).needed()}},
      {"normal",
       "negative draws become 0",
       {in_unit("mean", "mean").needed(), in_unit("deviation", "standard deviation").needed()}},
      {"quantiles",
       "piecewise-linear through measured percentiles",
       {list("probabilities", quantity("", Unit::fraction, "probability").at_most(1),
             "increasing, from 0 to 1")
            .at_least(2)
            .needed(),
        list("values", quantity("", unit, "value"), "the quantile at each probability")
            .at_least(2)
            .needed()}},
      {"choice",
       "one of several values",
       {list("weights", quantity("", Unit::none, "weight"), "relative weights")
            .at_least(1)
            .needed(),
        list("values", quantity("", unit, "value"), "one per weight").at_least(1).needed()}},
  };
  for (const Variant& v : s.variants) s.fields[0].choices.push_back(v.value);
  return s;
}

}  // namespace

const ObjectSpec& distribution_spec(Unit unit) {
  constexpr std::size_t count = static_cast<std::size_t>(Unit::price_per_byte) + 1;
  static const std::array<ObjectSpec, count> all = [] {
    std::array<ObjectSpec, count> specs;
    for (std::size_t i = 0; i < count; ++i) specs[i] = make(static_cast<Unit>(i));
    return specs;
  }();
  return all.at(static_cast<std::size_t>(unit));
}

}  // namespace isthmus::scenarios
