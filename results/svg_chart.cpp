#include "results/svg_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "results/axis_ticks.hpp"

namespace isthmus::results {

namespace {

constexpr double width = 720, height = 300, left = 64, right = 12, top = 30, bottom = 46;
// Okabe and Ito's palette, distinguishable with colour-blind eyes.
constexpr std::array<const char*, 7> colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                             "#e69f00", "#56b4e9", "#000000"};

// Maps values of one axis to 0 ... 1 and lists its ticks.
struct Axis {
  double low = 0, high = 1;
  bool log = false;

  double place(double v) const {
    if (log) return (std::log10(std::max(v, low)) - std::log10(low)) / std::log10(high / low);
    return (v - low) / (high - low);
  }
  std::vector<double> ticks() const {
    std::vector<double> t;
    if (log) {
      for (double d = std::ceil(std::log10(low) - 1e-9); d <= std::log10(high) + 1e-9; ++d)
        t.push_back(std::pow(10, d));
    } else {
      const double step = nice_step(high - low);
      for (double k = std::ceil(low / step - 1e-9); k * step <= high * (1 + 1e-9); ++k)
        t.push_back(k * step + 0.0);  // ceil gives -0 just below zero
    }
    return t;
  }
};

}  // namespace

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string svg(const Chart& chart) {
  // Extent of the data.
  double x_low = INFINITY, x_high = -INFINITY, y_high = chart.y_max;
  for (const ChartLine& line : chart.lines)
    for (const auto& [x, y] : line.points) {
      if (!std::isfinite(x) || !std::isfinite(y) || (chart.log_x && x <= 0)) continue;
      x_low = std::min(x_low, x);
      x_high = std::max(x_high, x);
      if (chart.y_max <= 0) y_high = std::max(y_high, y);
    }
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\">\n<text x=\"{}\" y=\"18\" "
      "class=\"title\">{}</text>\n",
      width, height, left, escape_html(chart.title));
  if (!(x_low <= x_high))
    return out + fmt::format("<text x=\"{}\" y=\"{}\">no data</text>\n</svg>\n", left, height / 2);
  if (y_high <= 0) y_high = 1;
  Axis x{x_low, x_high, chart.log_x}, y{0, y_high, false};
  if (x.log)
    x = {std::pow(10, std::floor(std::log10(x_low))), std::pow(10, std::ceil(std::log10(x_high))),
         true};
  if (x.low == x.high) x.log ? x.high *= 10 : x.high += 1;
  const auto px = [&](double v) { return left + x.place(v) * (width - left - right); };
  const auto py = [&](double v) { return height - bottom - y.place(v) * (height - top - bottom); };

  // Grid, tick labels and axis labels.
  for (const double t : x.ticks())
    out += fmt::format(
        "<path class=\"grid\" d=\"M{0:.1f} {1}V{2}\"/><text x=\"{0:.1f}\" y=\"{3}\" "
        "text-anchor=\"middle\">{4:.6g}</text>\n",
        px(t), top, height - bottom, height - bottom + 15, t);
  for (const double t : y.ticks())
    out += fmt::format(
        "<path class=\"grid\" d=\"M{0} {1:.1f}H{2}\"/><text x=\"{3}\" y=\"{4:.1f}\" "
        "text-anchor=\"end\">{5:.6g}</text>\n",
        left, py(t), width - right, left - 6, py(t) + 4, t);
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                     (left + width - right) / 2, height - 10, escape_html(chart.x_label));
  out += fmt::format(
      "<text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">{}"
      "</text>\n",
      (top + height - bottom) / 2, escape_html(chart.y_label));

  // Lines, and their names on the right in the same colours.
  for (std::size_t i = 0; i < chart.lines.size(); ++i) {
    const char* colour = colours[i % colours.size()];
    std::string path;
    for (const auto& [vx, vy] : chart.lines[i].points)
      if (std::isfinite(vx) && std::isfinite(vy))
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", px(std::max(vx, x.low)),
                            py(std::min(vy, y.high)));
    if (path.empty()) continue;
    out += fmt::format("<path class=\"line\" stroke=\"{}\" d=\"{}\"/>\n", colour, path);
    out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"{}\">{}</text>\n",
                       width - right - 4, top + 14 * static_cast<double>(i + 1), colour,
                       escape_html(chart.lines[i].label));
  }
  return out + "</svg>\n";
}

}  // namespace isthmus::results
