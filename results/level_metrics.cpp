#include "results/level_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "results/format.hpp"
#include "results/text_table.hpp"

namespace isthmus::results {

namespace {
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
}

void add_level_metrics(MetricList& list, const WorldTotals& totals) {
  for (const LevelTotals& l : totals.levels) {
    const GoodCount count{l.good, l.events};
    list.put("sli." + l.name, count.ratio());
    list.put("sli_met." + l.name, count.all == 0 ? nan : more_bad_than(count, 1 - l.objective) ? 0.0 : 1.0);
    list.count("sli_events." + l.name, count.all);
    list.count("sli_bad." + l.name, count.bad());
    if (!std::isnan(l.apdex)) list.put("apdex." + l.name, l.apdex);
    list.put("error_budget." + l.name, (1 - l.objective) * l.period);
    list.put("budget_left." + l.name, l.budget_left);
    list.put("budget_used_up." + l.name, l.used_up);
    list.put("burn_rate." + l.name, burn_rate(count, l.objective));
    for (std::size_t i = 0; i < l.alerts.size(); ++i) {
      const std::string& alert = l.alerts[i];
      std::uint64_t fired = 0;
      double active = 0, first = nan;
      for (const AlertEvent& e : totals.alerts) {
        if (e.level != l.name || e.alert != alert) continue;
        if (fired++ == 0) first = e.fired.seconds();
        active += (std::min(e.resolved, totals.end) - e.fired).seconds();
      }
      const std::string name = l.name + "/" + alert;
      list.count("alert_count." + name, fired);
      list.put("alert_first." + name, first);
      list.put("alert_time." + name, active);
      if (l.verdicts.empty()) continue;
      const AlertVerdict& v = l.verdicts[i];
      list.count("alert_true." + name, v.right);
      list.count("alert_false." + name, v.wrong);
      list.put("alert_false_share." + name,
               fired > 0 ? static_cast<double>(v.wrong) / static_cast<double>(fired) : nan);
      list.count("alert_caught." + name, v.caught);
      list.count("alert_missed." + name, v.missed);
      list.put("alert_delay." + name, v.delay);
    }
  }
}

std::string level_section(const Summary& s) {
  TextTable table({"service level", "indicator", "objective", "reached", "budget", "left", "burn rate"});
  for (const LevelTotals& l : s.levels)
    table.add_row({l.name, l.indicator, fmt::format("{:g} %", 100 * l.objective),
                   l.events == 0 ? "no data" : fmt::format("{:.4f} %", 100 * s.value("sli." + l.name)),
                   format_quantity(s.value("error_budget." + l.name), "s"),
                   format_percent(l.budget_left),
                   l.events == 0 ? "-" : format_figure(s.value("burn_rate." + l.name))});
  if (table.empty()) return "";
  TextTable alerts({"alert", "severity", "condition since", "fired", "resolved"});
  constexpr std::size_t most = 20;
  for (std::size_t i = 0; i < std::min(most, s.alerts.size()); ++i) {
    const AlertEvent& a = s.alerts[i];
    alerts.add_row({a.level + "/" + a.alert, a.severity, fmt::format("{} s", a.pending.seconds()),
                    fmt::format("{} s", a.fired.seconds()),
                    a.resolved.is_never() ? "active" : fmt::format("{} s", a.resolved.seconds())});
  }
  std::string out = "\n" + table.text() + (alerts.empty() ? "no alerts\n" : alerts.text());
  if (s.alerts.size() > most) out += fmt::format("and {} further alerts\n", s.alerts.size() - most);
  return out;
}

std::vector<ChartLine> budget_lines(const Summary& s) {
  std::vector<ChartLine> lines;
  for (const LevelTotals& l : s.levels) lines.push_back({l.name, l.progress});
  return lines;
}

std::vector<ChartLine> alert_lines(const Summary& s, double end) {
  std::vector<ChartLine> lines;
  for (const LevelTotals& l : s.levels) {
    std::vector<std::pair<double, int>> changes;
    double last = end;
    for (const AlertEvent& a : s.alerts) {
      if (a.level != l.name) continue;
      changes.emplace_back(a.fired.seconds(), 1);
      if (!a.resolved.is_never()) changes.emplace_back(a.resolved.seconds(), -1);
    }
    std::sort(changes.begin(), changes.end());
    ChartLine line{l.name, {{0.0, 0.0}}};
    int active = 0;
    for (const auto& [at, change] : changes) {
      line.points.emplace_back(at, active);
      line.points.emplace_back(at, active += change);
      last = std::max(last, at);
    }
    line.points.emplace_back(last, active);
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace isthmus::results
