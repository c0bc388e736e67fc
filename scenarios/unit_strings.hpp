// Numbers with units as scenarios write them: "5 ms", "80 Mbps", "16 GiB", "3 W", "4 TOPS".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace isthmus::scenarios {

//! What a quantity measures. The comment is the SI base unit that values are converted to.
enum class Unit : std::uint8_t {
  none,            //!< bare numbers
  fraction,        //!< 1; bare numbers, or "70 %"
  duration,        //!< s
  bytes,           //!< bytes
  bandwidth,       //!< bytes/s; bits in "Mbps", bytes in "MB/s"
  rate,            //!< 1/s
  compute,         //!< operations/s
  power,           //!< W
  energy,          //!< J
  temperature,     //!< degrees Celsius
  frequency,       //!< Hz
  voltage,         //!< V
  resistance,      //!< K/W, thermal
  heat_capacity,   //!< J/K
  leakage,         //!< W/K
  mass,                 //!< g
  carbon_intensity,     //!< g per kWh
  money,                //!< USD
  price_per_hour,       //!< USD per hour
  price_per_request,    //!< USD per request
  price_per_energy,     //!< USD per kWh
  price_per_byte_time,  //!< USD per byte-second
  price_per_byte,       //!< USD per byte
};

//! Currencies that may stand for USD in every unit above. Values of several are told apart by
//! currency_of alone.
std::span<const std::string_view> currencies();
//! Whether values of the dimension are amounts of a currency, or prices.
bool is_monetary(Unit unit);
//! The currency that `text` is in, which parse_quantity accepts for a monetary unit.
std::string_view currency_of(std::string_view text);

//! One unit of a dimension: what is written, and its size in the base unit.
struct UnitName {
  std::string_view name;
  double factor;
};

//! The units of a dimension, the usual ones first; empty for Unit::none.
std::span<const UnitName> units_of(Unit unit);
//! "duration", "bandwidth", ... for docs and messages.
std::string_view name_of(Unit unit);
//! SI base unit that values are kept in: "s", "bytes/s", ...
std::string_view base_unit_of(Unit unit);
//! An example as it would stand in a scenario, e.g. `"5 ms"`.
std::string_view example_of(Unit unit);
//! True when a bare number is accepted (none and fraction).
bool accepts_bare(Unit unit);

//! Parses `text` as a quantity and returns it in the base unit; finite. A number in decimal or
//! scientific notation, then optional spaces, then one unit of the dimension. Throws InputError
//! naming the accepted units and an example.
double parse_quantity(std::string_view text, Unit unit);

//! Regular expression (ECMA-262) that accepts what parse_quantity accepts, for editors.
std::string pattern_of(Unit unit);

//! Number and unit from the largest unit that keeps the number at or above 1, e.g. "18 ms".
std::string format_quantity(double value, Unit unit);

}  // namespace isthmus::scenarios
