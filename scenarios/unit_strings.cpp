#include "scenarios/unit_strings.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "sim/core/did_you_mean.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

constexpr double k = 1e3, M = 1e6, G = 1e9, T = 1e12, P = 1e15;
constexpr double Ki = 1024.0, Mi = Ki * Ki, Gi = Mi * Ki, Ti = Gi * Ki;
constexpr double month = 730.0, year = 8760.0;  // hours, the convention of cloud price lists

constexpr std::array fractions{UnitName{"%", 0.01}};
// Both code points of mu: the micro sign and the Greek letter.
constexpr std::array durations{
    UnitName{"ms", 1e-3},    UnitName{"s", 1},        UnitName{"min", 60},
    UnitName{"h", 3600},     UnitName{"us", 1e-6},    UnitName{"ns", 1e-9},
    UnitName{"day", 86400},  UnitName{"µs", 1e-6},    UnitName{"\u03bcs", 1e-6},
    UnitName{"days", 86400}, UnitName{"week", 604800}};
constexpr std::array sizes{UnitName{"MB", M},   UnitName{"GB", G},   UnitName{"kB", k},
                           UnitName{"B", 1},    UnitName{"TB", T},   UnitName{"KiB", Ki},
                           UnitName{"MiB", Mi}, UnitName{"GiB", Gi}, UnitName{"TiB", Ti},
                           UnitName{"KB", k}};
constexpr std::array bandwidths{
    UnitName{"Mbps", M / 8},   UnitName{"Gbps", G / 8},   UnitName{"kbps", k / 8},
    UnitName{"bps", 1.0 / 8},  UnitName{"MB/s", M},       UnitName{"GB/s", G},
    UnitName{"kB/s", k},       UnitName{"B/s", 1},        UnitName{"TB/s", T},
    UnitName{"Tbps", T / 8},   UnitName{"KiB/s", Ki},     UnitName{"MiB/s", Mi},
    UnitName{"GiB/s", Gi},     UnitName{"TiB/s", Ti},     UnitName{"bit/s", 1.0 / 8},
    UnitName{"kbit/s", k / 8}, UnitName{"Mbit/s", M / 8}, UnitName{"Gbit/s", G / 8}};
constexpr std::array rates{UnitName{"/s", 1},          UnitName{"/min", 1.0 / 60},
                           UnitName{"/h", 1.0 / 3600}, UnitName{"/day", 1.0 / 86400},
                           UnitName{"Hz", 1},          UnitName{"QPS", 1}};
constexpr std::array speeds{UnitName{"TFLOPS", T}, UnitName{"TOPS", T},   UnitName{"GFLOPS", G},
                            UnitName{"GOPS", G},   UnitName{"MFLOPS", M}, UnitName{"PFLOPS", P},
                            UnitName{"POPS", P},   UnitName{"FLOPS", 1},  UnitName{"OPS", 1}};
constexpr std::array powers{UnitName{"W", 1}, UnitName{"mW", 1e-3}, UnitName{"kW", k}};
constexpr std::array energies{UnitName{"J", 1},     UnitName{"mJ", 1e-3},   UnitName{"kJ", k},
                              UnitName{"Wh", 3600}, UnitName{"kWh", 3.6e6}, UnitName{"MJ", M}};
constexpr std::array temperatures{UnitName{"C", 1}, UnitName{"degC", 1}, UnitName{"\u00b0C", 1}};
constexpr std::array frequencies{UnitName{"MHz", M}, UnitName{"GHz", G}, UnitName{"kHz", k},
                                 UnitName{"Hz", 1}};
constexpr std::array voltages{UnitName{"V", 1}, UnitName{"mV", 1e-3}};
constexpr std::array resistances{UnitName{"K/W", 1}};
constexpr std::array heat_capacities{UnitName{"J/K", 1}, UnitName{"kJ/K", k}};
constexpr std::array leakages{UnitName{"mW/K", 1e-3}, UnitName{"W/K", 1}};
constexpr std::array masses{UnitName{"kg", k}, UnitName{"g", 1}, UnitName{"t", M}};
constexpr std::array intensities{UnitName{"g/kWh", 1}, UnitName{"kg/kWh", k}, UnitName{"kg/MWh", 1}};
constexpr std::array monies{UnitName{"USD", 1}};
constexpr std::array hourly{UnitName{"USD/h", 1}, UnitName{"USD/day", 1.0 / 24},
                            UnitName{"USD/month", 1.0 / month}, UnitName{"USD/year", 1.0 / year}};
constexpr std::array per_request{UnitName{"USD/request", 1}, UnitName{"USD/1k", 1 / k},
                                 UnitName{"USD/10k", 1 / (10 * k)}, UnitName{"USD/1M", 1 / M}};
constexpr std::array per_energy{UnitName{"USD/kWh", 1}, UnitName{"USD/MWh", 1 / k}};
constexpr std::array per_byte_time{UnitName{"USD/GB-s", 1 / G}, UnitName{"USD/GiB-s", 1 / Gi},
                                   UnitName{"USD/GB-h", 1 / (3600 * G)}};
constexpr std::array per_byte{UnitName{"USD/GB", 1 / G}, UnitName{"USD/TB", 1 / T},
                              UnitName{"USD/MB", 1 / M}, UnitName{"USD/GiB", 1 / Gi}};

constexpr std::array<std::string_view, 14> currency_codes{"USD", "EUR", "CNY", "GBP", "JPY", "KRW", "INR",
                                                          "CHF", "CAD", "AUD", "SGD", "HKD", "TWD", "BRL"};
constexpr std::size_t code_length = 3;

std::string unit_list(Unit unit) {
  std::string list;
  for (const UnitName& u : units_of(unit)) {
    if (u.name == "\u03bcs" || u.name == "days" || u.name == "KB") continue;  // silent synonyms
    list += (list.empty() ? "" : ", ") + std::string(u.name);
  }
  return list;
}

[[noreturn]] void fail(std::string_view text, Unit unit, const std::string& why) {
  throw InputError(fmt::format("\"{}\" {}; write a {} such as {} (units: {})", text, why,
                               name_of(unit), example_of(unit), unit_list(unit)));
}

}  // namespace

std::span<const std::string_view> currencies() { return currency_codes; }

bool is_monetary(Unit unit) { return unit >= Unit::money && unit <= Unit::price_per_byte; }

std::string_view currency_of(std::string_view text) {
  for (const std::string_view code : currency_codes)
    if (text.find(code) != std::string_view::npos) return code;
  return "";
}

std::span<const UnitName> units_of(Unit unit) {
  switch (unit) {
    case Unit::none:
      return {};
    case Unit::fraction:
      return fractions;
    case Unit::duration:
      return durations;
    case Unit::bytes:
      return sizes;
    case Unit::bandwidth:
      return bandwidths;
    case Unit::rate:
      return rates;
    case Unit::compute:
      return speeds;
    case Unit::power:
      return powers;
    case Unit::energy:
      return energies;
    case Unit::temperature:
      return temperatures;
    case Unit::frequency:
      return frequencies;
    case Unit::voltage:
      return voltages;
    case Unit::resistance:
      return resistances;
    case Unit::heat_capacity:
      return heat_capacities;
    case Unit::leakage:
      return leakages;
    case Unit::mass:
      return masses;
    case Unit::carbon_intensity:
      return intensities;
    case Unit::price_per_request:
      return per_request;
    case Unit::price_per_energy:
      return per_energy;
    case Unit::price_per_byte_time:
      return per_byte_time;
    case Unit::money:
      return monies;
    case Unit::price_per_hour:
      return hourly;
    case Unit::price_per_byte:
      return per_byte;
  }
  return {};
}

std::string_view name_of(Unit unit) {
  switch (unit) {
    case Unit::none:
      return "number";
    case Unit::fraction:
      return "fraction";
    case Unit::duration:
      return "duration";
    case Unit::bytes:
      return "data size";
    case Unit::bandwidth:
      return "bandwidth";
    case Unit::rate:
      return "rate";
    case Unit::compute:
      return "computing speed";
    case Unit::power:
      return "power";
    case Unit::energy:
      return "energy";
    case Unit::temperature:
      return "temperature";
    case Unit::frequency:
      return "frequency";
    case Unit::voltage:
      return "voltage";
    case Unit::resistance:
      return "thermal resistance";
    case Unit::heat_capacity:
      return "heat capacity";
    case Unit::leakage:
      return "leakage";
    case Unit::mass:
      return "mass";
    case Unit::carbon_intensity:
      return "carbon intensity";
    case Unit::price_per_request:
      return "price per request";
    case Unit::price_per_energy:
      return "price per energy";
    case Unit::price_per_byte_time:
      return "price per memory and time";
    case Unit::money:
      return "price";
    case Unit::price_per_hour:
      return "price per time";
    case Unit::price_per_byte:
      return "price per data";
  }
  return "?";
}

std::string_view base_unit_of(Unit unit) {
  switch (unit) {
    case Unit::none:
      return "";
    case Unit::fraction:
      return "";
    case Unit::duration:
      return "s";
    case Unit::bytes:
      return "bytes";
    case Unit::bandwidth:
      return "bytes/s";
    case Unit::rate:
      return "1/s";
    case Unit::compute:
      return "operations/s";
    case Unit::power:
      return "W";
    case Unit::energy:
      return "J";
    case Unit::temperature:
      return "C";
    case Unit::frequency:
      return "Hz";
    case Unit::voltage:
      return "V";
    case Unit::resistance:
      return "K/W";
    case Unit::heat_capacity:
      return "J/K";
    case Unit::leakage:
      return "W/K";
    case Unit::mass:
      return "g";
    case Unit::carbon_intensity:
      return "g/kWh";
    case Unit::price_per_request:
      return "USD/request";
    case Unit::price_per_energy:
      return "USD/kWh";
    case Unit::price_per_byte_time:
      return "USD/byte-s";
    case Unit::money:
      return "USD";
    case Unit::price_per_hour:
      return "USD/h";
    case Unit::price_per_byte:
      return "USD/byte";
  }
  return "?";
}

std::string_view example_of(Unit unit) {
  switch (unit) {
    case Unit::none:
      return "3";
    case Unit::fraction:
      return "0.7 or \"70 %\"";
    case Unit::duration:
      return "\"5 ms\"";
    case Unit::bytes:
      return "\"16 GiB\"";
    case Unit::bandwidth:
      return "\"80 Mbps\"";
    case Unit::rate:
      return "\"2.5 /s\"";
    case Unit::compute:
      return "\"4 TOPS\"";
    case Unit::power:
      return "\"3 W\"";
    case Unit::energy:
      return "\"20 J\"";
    case Unit::temperature:
      return "\"25 C\"";
    case Unit::frequency:
      return "\"1.8 GHz\"";
    case Unit::voltage:
      return "\"0.85 V\"";
    case Unit::resistance:
      return "\"8 K/W\"";
    case Unit::heat_capacity:
      return "\"60 J/K\"";
    case Unit::leakage:
      return "\"15 mW/K\"";
    case Unit::mass:
      return "\"150 kg\"";
    case Unit::carbon_intensity:
      return "\"400 g/kWh\"";
    case Unit::price_per_request:
      return "\"0.2 USD/1M\"";
    case Unit::price_per_energy:
      return "\"0.12 USD/kWh\"";
    case Unit::price_per_byte_time:
      return "\"0.0000167 USD/GB-s\"";
    case Unit::money:
      return "\"2 USD\"";
    case Unit::price_per_hour:
      return "\"2.5 USD/h\"";
    case Unit::price_per_byte:
      return "\"0.09 USD/GB\"";
  }
  return "?";
}

bool accepts_bare(Unit unit) { return unit == Unit::none || unit == Unit::fraction; }

double parse_quantity(std::string_view text, Unit unit) {
  std::string_view rest = text;
  const auto skip_spaces = [&] {
    for (;;) {
      if (rest.starts_with(' ') || rest.starts_with('\t'))
        rest.remove_prefix(1);
      else if (rest.starts_with("\u00a0"))
        rest.remove_prefix(2);  // no-break space
      else if (rest.starts_with("\u202f"))
        rest.remove_prefix(3);  // narrow no-break space
      else
        return;
    }
  };
  skip_spaces();
  if (rest.starts_with('+')) rest.remove_prefix(1);
  // from_chars would take "inf" and "nan" as well.
  const std::string_view digits = rest.starts_with('-') ? rest.substr(1) : rest;
  const bool starts_well =
      !digits.empty() &&
      ((digits[0] >= '0' && digits[0] <= '9') ||
       (digits[0] == '.' && digits.size() > 1 && digits[1] >= '0' && digits[1] <= '9'));
  if (!starts_well) fail(text, unit, "does not start with a number");
  double number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error == std::errc::result_out_of_range || !std::isfinite(number))
    fail(text, unit, "is out of range");
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  skip_spaces();
  while (rest.ends_with(' ')) rest.remove_suffix(1);
  if (rest.empty()) {
    if (accepts_bare(unit)) return number;
    fail(text, unit, "has no unit");
  }
  // Any currency is written like the one of the tables.
  std::string in_tables(rest);
  if (is_monetary(unit) && rest.size() >= code_length &&
      std::find(currency_codes.begin(), currency_codes.end(), rest.substr(0, code_length)) != currency_codes.end())
    in_tables.replace(0, code_length, currency_codes[0]);
  for (const UnitName& u : units_of(unit))
    if (u.name == in_tables) {
      const double value = number * u.factor;
      if (!std::isfinite(value)) fail(text, unit, "is out of range");
      return value;
    }
  std::vector<std::string> names;
  for (const UnitName& u : units_of(unit)) names.emplace_back(u.name);
  // A unit of another dimension is a mix-up, anything else a slip of the pen.
  for (std::uint8_t other = 0; other <= static_cast<std::uint8_t>(Unit::price_per_byte); ++other)
    for (const UnitName& u : units_of(static_cast<Unit>(other)))
      if (u.name == rest || u.name == in_tables)
        fail(text, unit,
             fmt::format("is a {}, not a {}", name_of(static_cast<Unit>(other)), name_of(unit)));
  const std::string near = did_you_mean(rest, names);
  fail(text, unit,
       near.empty() ? fmt::format("has the unknown unit \"{}\"", rest)
                    : fmt::format("has the unknown unit \"{}\", did you mean \"{}\"?", rest, near));
}

std::string pattern_of(Unit unit) {
  std::string names, codes;
  for (const UnitName& u : units_of(unit))
    names += (names.empty() ? "" : "|") +
             std::string(is_monetary(unit) ? u.name.substr(code_length) : u.name);
  if (is_monetary(unit)) {
    for (const std::string_view code : currency_codes) codes += (codes.empty() ? "" : "|") + std::string(code);
    names = fmt::format("({})({})", codes, names);
  }
  return fmt::format("^[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?[ ]*({}){}$", names,
                     accepts_bare(unit) ? "?" : "");
}

std::string format_quantity(double value, Unit unit) {
  const auto shown = [](double v) { return fmt::format("{:.6g}", v); };
  const std::span<const UnitName> units = units_of(unit);
  if (units.empty() || unit == Unit::fraction) return shown(value);
  // Synonyms and odd multiples are left to people.
  const auto plain = [](std::string_view n) {
    return n != "µs" && n != "\u03bcs" && n != "days" && n != "week" && n != "KB" && n != "QPS" &&
           n.find("bit") == std::string_view::npos && n.find('i') == std::string_view::npos;
  };
  const UnitName* best = nullptr;
  const UnitName* smallest = nullptr;
  for (const UnitName& u : units) {
    if (!plain(u.name) && !(u.name == "min")) continue;
    if (!smallest || u.factor < smallest->factor) smallest = &u;
    if (std::abs(value) >= u.factor * (1 - 1e-12) && (!best || u.factor > best->factor)) best = &u;
  }
  if (value == 0) {
    for (const UnitName& u : units)
      if (u.factor == 1 && (!best || best->factor != 1)) best = &u;
  }
  if (!best) best = smallest;
  return fmt::format("{} {}", shown(value / best->factor), best->name);
}

}  // namespace isthmus::scenarios
