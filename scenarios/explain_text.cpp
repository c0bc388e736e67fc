// An explanation as tables and as a roofline of characters.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

#include "scenarios/explain.hpp"

namespace isthmus::scenarios {

namespace {

// Three digits and an SI prefix.
std::string si(double v, const char* unit) {
  static constexpr std::array<const char*, 6> prefixes{"", "k", "M", "G", "T", "P"};
  std::size_t i = 0;
  while (std::abs(v) >= 999.5 && i + 1 < prefixes.size()) {
    v /= 1000;
    ++i;
  }
  const int decimals = v == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}{}", v, decimals, prefixes[i], unit);
}

std::string time_text(double ns) {
  if (ns < 999.5) return fmt::format("{:.0f} ns", ns);
  if (ns < 999.5e3) return fmt::format("{:.4g} us", ns / 1e3);
  if (ns < 999.5e6) return fmt::format("{:.4g} ms", ns / 1e6);
  return fmt::format("{:.4g} s", ns / 1e9);
}

double ns_of(const models::Prediction& p) { return static_cast<double>(p.time.ns()); }

std::string error_text(const models::Prediction& p) {
  return fmt::format("{} +-{:.2g} %", models::name_of(p.kind), 100 * p.relative_error);
}

void row_text(std::string& out, const models::OperatorCost& r, std::size_t width, double total_ns) {
  const double ns = ns_of(r.prediction);
  out += fmt::format(
      "  {:{}} {:16} {:>11} {:>9} {:>8} {:>8} {:>11} {:>6.1f} %  {}\n", r.name, width, r.kind,
      r.flops > 0 ? si(r.flops, "FLOP") : "-", r.bytes > 0 ? si(r.bytes, "B") : "-",
      r.bytes > 0 ? fmt::format("{:.3g}", r.flops / r.bytes) : "-", models::name_of(r.bound),
      time_text(ns), total_ns > 0 ? 100 * ns / total_ns : 0, error_text(r.prediction));
}

void phase_text(std::string& out, const ExplainedPhase& p, std::size_t top) {
  const double total = ns_of(p.total);
  out += fmt::format("\n{}: {}, {}\n", p.name, time_text(total), error_text(p.total));
  std::size_t width = 8;
  for (const auto& r : p.rows) width = std::max(width, std::min<std::size_t>(r.name.size(), 44));
  out += fmt::format("  {:{}} {:16} {:>11} {:>9} {:>8} {:>8} {:>11} {:>8}  {}\n", "operator", width,
                     "kind", "work", "traffic", "FLOP/B", "bound", "time", "share", "evidence");

  // The longest ones in the order of execution; the rest in one row.
  std::vector<std::size_t> order(p.rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (top > 0 && top < order.size()) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return p.rows[a].prediction.time > p.rows[b].prediction.time;
    });
    order.resize(top);
    std::sort(order.begin(), order.end());
  }
  double shown = 0, flops = 0, bytes = 0;
  for (const std::size_t i : order) {
    row_text(out, p.rows[i], width, total);
    shown += ns_of(p.rows[i].prediction);
  }
  for (const auto& r : p.rows) {
    flops += r.flops;
    bytes += r.bytes;
  }
  if (order.size() < p.rows.size())
    out += fmt::format("  {:{}} {:65} {:>11} {:>6.1f} %\n",
                       fmt::format("{} others", p.rows.size() - order.size()), width, "",
                       time_text(total - shown), 100 * (total - shown) / total);
  out += fmt::format("  {:{}} {:16} {:>11} {:>9} {:>8} {:>8} {:>11}\n", "sum", width, "",
                     si(flops, "FLOP"), si(bytes, "B"),
                     bytes > 0 ? fmt::format("{:.3g}", flops / bytes) : "-", "", time_text(total));
}

// What units of a replica wait for: experts with more tokens, and stages before them.
void waiting_text(std::string& out, const ExplainedPhase& p) {
  if (p.imbalance > 1)
    out += fmt::format("  experts: the busiest units have {:.3g} times the mean load\n", p.imbalance);
  if (p.ranks.ranks > 1) {
    out += fmt::format("  ranks: the slowest of {} takes {} for itself, {} for the experts of all, {} to "
                       "exchange tokens\n",
                       p.ranks.ranks, time_text(p.ranks.own_ns), time_text(p.ranks.experts_ns),
                       time_text(p.ranks.exchange_ns));
    if (p.ranks.idle > 0)
      out += fmt::format("  ranks without work: {} ({:.0f} %), a token of padding each\n", p.ranks.idle,
                         100.0 * static_cast<double>(p.ranks.idle) / static_cast<double>(p.ranks.ranks));
  }
  if (p.stages.empty()) return;
  double slowest = 0;
  for (std::size_t i = 0; i < p.stages.size(); ++i) {
    out += fmt::format("  stage {}: {}{}\n", i + 1, time_text(ns_of(p.stages[i])),
                       i + 1 < p.stages.size() ? fmt::format(", {} to the next", time_text(p.send_ns))
                                               : std::string());
    slowest = std::max(slowest, ns_of(p.stages[i]));
  }
  out += fmt::format("  a full pipeline ends one such micro-batch every {}\n", time_text(slowest));
}

// Operators of one kind together, as the chart shows them.
struct Point {
  std::string kind;
  double flops = 0, bytes = 0, ns = 0;
};

std::vector<Point> points_of(const ExplainedPhase& phase) {
  std::vector<Point> points;
  for (const auto& r : phase.rows) {
    if (r.flops <= 0 || r.bytes <= 0) continue;
    auto it = std::find_if(points.begin(), points.end(),
                           [&](const Point& p) { return p.kind == r.kind; });
    if (it == points.end()) it = points.insert(it, Point{r.kind});
    it->flops += r.flops;
    it->bytes += r.bytes;
    it->ns += ns_of(r.prediction);
  }
  std::erase_if(points, [](const Point& p) { return p.ns <= 0; });
  std::stable_sort(points.begin(), points.end(),
                   [](const Point& a, const Point& b) { return a.ns > b.ns; });
  return points;
}

}  // namespace

std::string roofline_chart(const Explanation& e, const ExplainedPhase& phase) {
  const auto points = points_of(phase);
  if (points.empty() || e.peak <= 0 || e.bandwidth <= 0) return "";
  // Decades that hold the ridge and all points.
  const double ridge = e.peak / e.bandwidth;
  double left = ridge, right = ridge, low = e.peak / 100;
  for (const Point& p : points) {
    left = std::min(left, p.flops / p.bytes);
    right = std::max(right, p.flops / p.bytes);
    low = std::min(low, p.flops / p.ns * 1e9);
  }
  const double x0 = std::floor(std::log10(left) - 0.3), x1 = std::ceil(std::log10(right) + 0.3);
  const double y0 = std::floor(std::log10(low)), y1 = std::log10(e.peak) + 0.1;
  constexpr std::size_t columns = 72, lines = 18;
  const auto column = [&](double x) {
    return std::lround((x - x0) / (x1 - x0) * static_cast<double>(columns - 1));
  };
  const auto line = [&](double y) {
    return std::lround((y1 - y) / (y1 - y0) * static_cast<double>(lines - 1));
  };
  std::vector<std::string> canvas(lines, std::string(columns, ' '));
  const auto put = [&](long x, long y, char c) {
    if (x >= 0 && y >= 0 && x < static_cast<long>(columns) && y < static_cast<long>(lines))
      canvas[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] = c;
  };

  // Nominal roofs dotted, reached roofs drawn through.
  for (std::size_t c = 0; c < columns; ++c) {
    const double x = x0 + (x1 - x0) * static_cast<double>(c) / static_cast<double>(columns - 1);
    const auto roof = [&](double peak, double bandwidth, char slope, char flat) {
      const double by_memory = bandwidth * std::pow(10, x);
      put(static_cast<long>(c), line(std::log10(std::min(peak, by_memory))),
          by_memory < peak ? slope : flat);
    };
    roof(e.peak, e.bandwidth, '.', '.');
    roof(e.compute_roof, e.bandwidth_roof, '/', '-');
  }
  for (std::size_t i = points.size(); i-- > 0;) {
    const Point& p = points[i];
    put(column(std::log10(p.flops / p.bytes)), line(std::log10(p.flops / p.ns * 1e9)),
        static_cast<char>('A' + std::min<std::size_t>(i, 25)));
  }

  std::string out = fmt::format("\nroofline of {} (. nominal, / - reached)\n", phase.name);
  for (std::size_t l = 0; l < lines; ++l) {
    const double y = y1 - (y1 - y0) * static_cast<double>(l) / static_cast<double>(lines - 1);
    const bool label = l % 4 == 0 || l + 1 == lines;
    std::string text = canvas[l];
    text.erase(text.find_last_not_of(' ') + 1);
    out += fmt::format("  {:>12} |{}\n", label ? si(std::pow(10, y), "FLOP/s") : "", text);
  }
  out += fmt::format("  {:>12} +{}\n", "", std::string(columns, '-'));
  std::string axis(columns + 8, ' ');
  for (double x = std::ceil(x0); x <= x1; ++x) {
    const std::string text = fmt::format("{:g}", std::pow(10, x));
    const auto at = static_cast<std::size_t>(column(x));
    axis.replace(at, text.size(), text);
  }
  axis.erase(axis.find_last_not_of(' ') + 1);
  out += fmt::format("  {:>12}  {}  FLOP/B\n", "", axis);
  for (std::size_t i = 0; i < points.size(); ++i)
    out += fmt::format("  {:>12}  {} {:16} {:>12} {:>8.3g} FLOP/B {:>11}\n", "",
                       static_cast<char>('A' + std::min<std::size_t>(i, 25)), points[i].kind,
                       si(points[i].flops / points[i].ns * 1e9, "FLOP/s"),
                       points[i].flops / points[i].bytes, time_text(points[i].ns));
  return out;
}

std::string to_text(const Explanation& e, std::size_t top) {
  std::string out = fmt::format("{} ({}) on {}, unit {}\n", e.model, e.variant, e.device, e.unit);
  out += fmt::format("  compute    {} nominal, {} reached by large products ({:.0f} %)\n",
                     si(e.peak, "FLOP/s"), si(e.compute_roof, "FLOP/s"),
                     100 * e.compute_roof / e.peak);
  out += fmt::format("  bandwidth  {} nominal, {} reached by large streams ({:.0f} %)\n",
                     si(e.bandwidth, "B/s"), si(e.bandwidth_roof, "B/s"),
                     100 * e.bandwidth_roof / e.bandwidth);
  out += fmt::format("  weights    {}{}\n", si(e.weight_bytes, "B"),
                     e.host_weight_bytes > 0
                         ? fmt::format(", {} of them in host memory", si(e.host_weight_bytes, "B"))
                         : std::string());
  if (e.activation_bytes > 0)
    out += fmt::format("  activations {} at their peak\n", si(e.activation_bytes, "B"));
  if (e.kv_bytes_per_token > 0)
    out += fmt::format("  KV cache   {} per token, room for {} tokens{}\n",
                       si(e.kv_bytes_per_token, "B"), e.kv_capacity_tokens,
                       !e.phases.empty() && e.phases.front().ranks.ranks > 1 ? " in each rank" : "");
  out += fmt::format("  kernels    {}\n",
                     e.profile.empty() ? "no profile: roofline alone" : e.profile);
  for (std::size_t i = 0; i < e.stages.size(); ++i)
    out += fmt::format("  stage {:<4} {} of weights, room for {} tokens\n", i + 1,
                       si(e.stages[i].weight_bytes, "B"), e.stages[i].kv_capacity_tokens);
  for (const ExplainedPhase& p : e.phases) {
    phase_text(out, p, top);
    waiting_text(out, p);
  }
  return out;
}

}  // namespace isthmus::scenarios
