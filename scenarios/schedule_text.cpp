// A schedule as tables, JSON and a picture.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "models/operator_kind.hpp"
#include "results/axis_ticks.hpp"
#include "results/gantt_svg.hpp"
#include "scenarios/schedule_question.hpp"

namespace isthmus::scenarios {

namespace {

using nlohmann::json;

std::string time_text(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  const results::TimeUnit u = results::time_unit(seconds);
  return fmt::format("{:.4g} {}", seconds * u.per_second, u.name);
}

std::string energy_text(double joules) {
  if (!std::isfinite(joules)) return "-";
  return joules < 1 ? fmt::format("{:.3g} mJ", joules * 1e3) : fmt::format("{:.3g} J", joules);
}

const ScheduledUnit* best_alone(const GraphSchedule& s) {
  return s.best_alone < 0 ? nullptr : &s.units[static_cast<std::size_t>(s.best_alone)];
}

double busy_share(const GraphSchedule& s, const ScheduledUnit& u) {
  return s.makespan > 0 ? u.busy / s.makespan / u.lanes : 0;
}

std::string headline(const GraphSchedule& s) {
  return fmt::format("{} ({}), batch {}, on {} by {}", s.model, s.variant, s.batch, s.device,
                     s.scheduler);
}

// "12.3 ms, 1.4 times as fast as npu alone (17.2 ms)". List schedulers are greedy, so it may be
// less.
std::string outcome(const GraphSchedule& s) {
  std::string text = time_text(s.makespan);
  if (s.makespan > s.planned * 1.001)
    text += fmt::format(" ({} without contention)", time_text(s.planned));
  if (s.optimal) text += ", the plan proven optimal";
  const ScheduledUnit* best = best_alone(s);
  if (!best) return text + ", and no unit can do it alone";
  const double gain = best->alone / s.makespan;
  if (gain > 1.0005)
    text += fmt::format(", {:.3g} times as fast as {} alone ({})", gain, best->name,
                        time_text(best->alone));
  else if (gain < 0.9995)
    text += fmt::format("; {} alone is faster: {}", best->name, time_text(best->alone));
  else
    text += fmt::format(", as fast as {} alone", best->name);
  return text;
}

std::string units_table(const GraphSchedule& s) {
  std::string out =
      fmt::format("  {:12} {:5} {:>9} {:>11} {:>7} {:>10} {:>11} {:>13}\n", "unit", "kind",
                  "operators", "busy", "share", "energy", "alone", "energy alone");
  for (const ScheduledUnit& u : s.units)
    out += fmt::format("  {:12} {:5} {:>9} {:>11} {:>5.1f} % {:>10} {:>11} {:>13}{}\n", u.name,
                       u.kind, u.operators, time_text(u.busy), 100 * busy_share(s, u),
                       energy_text(u.energy), time_text(u.alone), energy_text(u.alone_energy),
                       u.refusal.empty() ? "" : "  " + u.refusal);
  return out;
}

std::string operators_table(const GraphSchedule& s, std::size_t top) {
  std::vector<std::size_t> order(s.operators.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto length = [&](std::size_t i) { return s.operators[i].end - s.operators[i].start; };
  if (top > 0 && top < order.size()) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return length(a) > length(b); });
    order.resize(top);
    std::sort(order.begin(), order.end());
  }
  std::size_t width = 8;
  double shown = 0, all = 0;
  for (const std::size_t i : order)
    width = std::max(width, std::min<std::size_t>(s.operators[i].name.size(), 44));
  for (std::size_t i = 0; i < s.operators.size(); ++i) all += length(i);
  std::string out = fmt::format("\n  {:{}} {:14} {:10} {:>11} {:>11} {:>11}  {}\n", "operator",
                                width, "kind", "unit", "start", "end", "time", "evidence");
  for (const std::size_t i : order) {
    const ScheduledOperator& o = s.operators[i];
    shown += length(i);
    out += fmt::format("{} {:{}} {:14} {:10} {:>11} {:>11} {:>11}  {}\n", o.critical ? "*" : " ",
                       o.name, width, o.kind, s.units[o.unit].name, time_text(o.start),
                       time_text(o.end), time_text(length(i)), models::name_of(o.evidence));
  }
  if (order.size() < s.operators.size())
    out += fmt::format("  {:{}} {:49} {:>11}\n",
                       fmt::format("{} others", s.operators.size() - order.size()), width, "",
                       time_text(all - shown));
  return out + "  * decides the end\n";
}

std::string compared_table(const GraphSchedule& s) {
  std::size_t width = 9;
  double best = INFINITY;
  for (const ScheduleAlternative& a : s.compared) {
    width = std::max(width, a.scheduler.size());
    if (a.refusal.empty()) best = std::min(best, a.makespan);
  }
  std::string out = fmt::format("\n  {:{}} {:>11} {:>9} {:>9}\n", "scheduler", width, "makespan",
                                "over best", "transfers");
  for (const ScheduleAlternative& a : s.compared)
    out += a.refusal.empty()
               ? fmt::format("  {:{}} {:>11} {:>7.1f} % {:>9}{}\n", a.scheduler, width,
                             time_text(a.makespan), 100 * (a.makespan / best - 1), a.transfers,
                             a.optimal ? "  proven optimal" : "")
               : fmt::format("  {:{}} {:>11} {}\n", a.scheduler, width, "-", a.refusal);
  return out;
}

}  // namespace

std::string to_text(const GraphSchedule& s, std::size_t top) {
  std::string out = fmt::format("{}\n{}\n\n", headline(s), outcome(s));
  out += units_table(s);
  double bytes = 0;
  for (const ScheduledTransfer& t : s.transfers) bytes += t.bytes;
  out += fmt::format(
      "\n  framework before the first operator {}; {} tensors go to another unit ({:.4g} MB)\n"
      "  lower bounds: longest path {}, least work on all units {}; standard error {:.2g} %\n",
      time_text(s.overhead), s.transfers.size(), bytes / 1e6, time_text(s.path_bound),
      time_text(s.work_bound), 100 * s.relative_error);
  out += operators_table(s, top);
  if (!s.compared.empty()) out += compared_table(s);
  return out;
}

std::string to_json(const GraphSchedule& s) {
  // Infinite: not possible.
  const auto figure = [](double v) { return std::isfinite(v) ? json(v) : json(nullptr); };
  json units = json::array(), operators = json::array(), transfers = json::array(),
       compared = json::array();
  for (const ScheduledUnit& u : s.units)
    units.push_back({{"name", u.name},
                     {"kind", u.kind},
                     {"lanes", u.lanes},
                     {"operators", u.operators},
                     {"busy", u.busy},
                     {"energy", u.energy},
                     {"alone", figure(u.alone)},
                     {"alone_energy", figure(u.alone_energy)},
                     {"refusal", u.refusal}});
  for (const ScheduledOperator& o : s.operators)
    operators.push_back({{"name", o.name},
                         {"kind", o.kind},
                         {"module", o.module},
                         {"unit", s.units[o.unit].name},
                         {"lane", o.lane},
                         {"start", o.start},
                         {"end", o.end},
                         {"flops", o.flops},
                         {"bytes", o.bytes},
                         {"evidence", models::name_of(o.evidence)},
                         {"critical", o.critical}});
  for (const ScheduledTransfer& t : s.transfers)
    transfers.push_back({{"from", t.from},
                         {"to", t.to},
                         {"from_unit", s.units[t.from_unit].name},
                         {"from_lane", t.from_lane},
                         {"to_unit", s.units[t.to_unit].name},
                         {"to_lane", t.to_lane},
                         {"start", t.start},
                         {"end", t.end},
                         {"bytes", t.bytes},
                         {"critical", t.critical}});
  for (const ScheduleAlternative& a : s.compared)
    compared.push_back({{"scheduler", a.scheduler},
                        {"makespan", a.refusal.empty() ? json(a.makespan) : json(nullptr)},
                        {"planned", a.refusal.empty() ? json(a.planned) : json(nullptr)},
                        {"transfers", a.transfers},
                        {"optimal", a.optimal},
                        {"refusal", a.refusal}});
  const json all{
      {"model", s.model},
      {"variant", s.variant},
      {"device", s.device},
      {"scheduler", s.scheduler},
      {"batch", s.batch},
      {"makespan", s.makespan},
      {"planned", s.planned},
      {"overhead", s.overhead},
      {"energy", s.energy},
      {"optimal", s.optimal},
      {"path_bound", s.path_bound},
      {"work_bound", s.work_bound},
      {"best_alone", s.best_alone < 0 ? json(nullptr)
                                      : json(s.units[static_cast<std::size_t>(s.best_alone)].name)},
      {"relative_error", s.relative_error},
      {"units", std::move(units)},
      {"operators", std::move(operators)},
      {"transfers", std::move(transfers)},
      {"compared", std::move(compared)}};
  return all.dump(1);
}

std::string to_svg(const GraphSchedule& s) {
  results::Gantt g;
  g.title = headline(s);
  g.subtitle = outcome(s);
  g.prelude = s.overhead;
  g.prelude_label = "framework";
  for (const std::string_view kind : models::operator_kind_names) g.groups.emplace_back(kind);
  std::vector<std::uint32_t> first;  // row of each unit
  for (const ScheduledUnit& u : s.units) {
    first.push_back(static_cast<std::uint32_t>(g.rows.size()));
    for (std::uint32_t lane = 0; lane < u.lanes; ++lane) {
      g.rows.push_back(u.lanes > 1 ? fmt::format("{} {}", u.name, lane + 1) : u.name);
      g.row_notes.push_back(lane > 0 ? ""
                                     : fmt::format("{:.0f} % busy\n{}", 100 * busy_share(s, u),
                                                   energy_text(u.energy)));
    }
  }
  for (const ScheduledOperator& o : s.operators)
    g.bars.push_back(
        {.row = first[o.unit] + o.lane,
         .start = o.start,
         .end = o.end,
         .label = o.name,
         .group = static_cast<std::uint32_t>(*models::operator_kind_from(o.kind)),
         .module = o.module,
         .detail = fmt::format("{:.4g} MFLOP, {:.4g} MB of memory traffic, {}", o.flops / 1e6,
                               o.bytes / 1e6, models::name_of(o.evidence)),
         .critical = o.critical});
  for (const ScheduledTransfer& t : s.transfers)
    g.links.push_back({first[t.from_unit] + t.from_lane, first[t.to_unit] + t.to_lane, t.start,
                       t.end,
                       fmt::format("{} to {}: {:.4g} kB, {}", t.from, t.to, t.bytes / 1e3,
                                   time_text(t.end - t.start)),
                       t.critical});
  g.marks.push_back({s.path_bound, "longest path"});
  if (const ScheduledUnit* best = best_alone(s))
    g.marks.push_back({best->alone, best->name + " alone"});
  return results::gantt_svg(g);
}

}  // namespace isthmus::scenarios
