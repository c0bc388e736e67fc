// Figures for readers: three significant digits with the unit that suits them.
#pragma once

#include <string>
#include <string_view>

namespace isthmus::results {

//! Three significant digits without an exponent: "0.0412", "41.2", "41200"; "-" for NaN; "inf".
std::string format_figure(double value);

//! A value with its unit. "s" becomes ns, us, ms or s; "J" becomes mJ to MJ; "B" becomes kB to TB;
//! "USD" keeps cents; "1" is a bare figure; "1/s" and others follow the figure. "-" for NaN.
std::string format_quantity(double value, std::string_view unit);

//! Mean and half-width in one unit: "412 ms +- 12", the half-width with two digits. One that is
//! zero or not finite is left out.
std::string format_interval(double mean, double half_width, std::string_view unit);

//! A difference with its interval in one unit: "+5.36 [4.81, 5.91] ms"; the interval is left out
//! when it is not finite.
std::string format_difference(double mean, double low, double high, std::string_view unit);

//! A fraction as percent: "97.1 %"; "-" for NaN.
std::string format_percent(double fraction);

}  // namespace isthmus::results
