#include "results/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace isthmus::results {

namespace {

struct Scale {
  double factor;
  std::string_view unit;
};

constexpr std::array<Scale, 4> seconds{{{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}}};
constexpr std::array<Scale, 5> joules{
    {{1e6, "MJ"}, {1e3, "kJ"}, {1, "J"}, {1e-3, "mJ"}, {1e-6, "uJ"}}};
constexpr std::array<Scale, 5> bytes{
    {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}}};

// The largest unit that leaves a figure of at least 1; zero and very small values take base units.
Scale scale_of(double value, std::string_view unit) {
  std::span<const Scale> scales;
  if (unit == "s") scales = seconds;
  if (unit == "J") scales = joules;
  if (unit == "B") scales = bytes;
  if (value == 0 || !std::isfinite(value)) return {1, unit};
  for (const Scale& s : scales)
    if (std::abs(value) >= s.factor * 0.9995) return s;
  return scales.empty() ? Scale{1, unit} : scales.back();
}

std::string with_unit(const std::string& figure, std::string_view unit) {
  return unit.empty() || unit == "1" ? figure : fmt::format("{} {}", figure, unit);
}

std::string figure_of(double value, int digits) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == 0) return "0";
  // The exponent after rounding: 0.9996 with three digits is 1.00, not 1.000.
  const std::string scientific = fmt::format("{:.{}e}", value, digits - 1);
  const int magnitude = std::stoi(scientific.substr(scientific.find('e') + 1));
  return fmt::format("{:.{}f}", value, std::clamp(digits - 1 - magnitude, 0, 12));
}

}  // namespace

std::string format_figure(double value) { return figure_of(value, 3); }

std::string format_quantity(double value, std::string_view unit) {
  if (std::isnan(value)) return "-";
  const Scale s = scale_of(value, unit);
  return with_unit(format_figure(value / s.factor), s.unit);
}

std::string format_interval(double mean, double half_width, std::string_view unit) {
  if (std::isnan(mean)) return "-";
  const Scale s = scale_of(mean, unit);
  std::string text = with_unit(format_figure(mean / s.factor), s.unit);
  if (std::isfinite(half_width) && half_width != 0)
    text += " +- " + figure_of(half_width / s.factor, 2);
  return text;
}

std::string format_difference(double mean, double low, double high, std::string_view unit) {
  if (std::isnan(mean)) return "-";
  const Scale s =
      scale_of(std::max(std::abs(mean), std::isfinite(high) ? std::abs(high) : 0), unit);
  std::string text = (mean > 0 ? "+" : "") + format_figure(mean / s.factor);
  if (std::isfinite(low) && std::isfinite(high) && (low != 0 || high != 0))
    text += fmt::format(" [{}, {}]", format_figure(low / s.factor), format_figure(high / s.factor));
  return with_unit(text, s.unit);
}

std::string format_percent(double fraction) {
  if (std::isnan(fraction)) return "-";
  // One decimal, two close to 100 %, where objectives live.
  const double percent = fraction * 100;
  return fmt::format("{:.{}f} %", percent, percent > 99 && percent < 100 ? 2 : 1);
}

}  // namespace isthmus::results
