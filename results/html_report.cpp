#include "results/html_report.hpp"

#include <fmt/format.h>

#include "results/format.hpp"
#include "results/level_metrics.hpp"

namespace isthmus::results {

namespace {

constexpr std::string_view style =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;"
    "color:#222}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}"
    "table{border-collapse:collapse;margin:.5em 0;display:block;overflow-x:auto}"
    "th,td{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}code{word-break:break-all}"
    "svg{width:100%;height:auto;font:11px system-ui,sans-serif}"
    "svg .title{font-size:13px;font-weight:600}svg .grid{stroke:#ddd}"
    "svg .line{fill:none;stroke-width:1.6}";

std::string table(const std::vector<std::string>& heading,
                  const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<table><tr>";
  for (const auto& cell : heading) out += "<th>" + escape_html(cell) + "</th>";
  for (const auto& row : rows) {
    out += "</tr>\n<tr>";
    for (const auto& cell : row) out += "<td>" + escape_html(cell) + "</td>";
  }
  return out + "</tr></table>\n";
}

std::string metric_table(const Summary& s) {
  std::vector<std::vector<std::string>> rows;
  for (const Metric& m : s.metrics)
    if (m.value == m.value)  // without data: not worth a row here
      rows.push_back({m.name, format_quantity(m.value, m.unit)});
  return table({"metric", "value"}, rows);
}

std::string ledger_tables(const Ledger& l) {
  const auto rows_of = [](const std::vector<LedgerRow>& rows, std::int64_t total) {
    std::vector<std::vector<std::string>> out;
    const auto amount = [](std::int64_t micro) { return fmt::format("{:.2f}", static_cast<double>(micro) * 1e-6); };
    for (const LedgerRow& r : rows)
      out.push_back({r.item, r.of, fmt::format("{:.6g}", r.quantity), r.unit, fmt::format("{:.6g}", r.unit_price),
                     amount(r.amount)});
    out.push_back({"total", "", "", "", "", amount(total)});
    return out;
  };
  std::string out = "<h2>Ledger</h2>\n" +
                    table({"item", "of", "quantity", "unit", "price", l.currency}, rows_of(l.rows, l.total()));
  if (!l.carbon.empty())
    out += "<h2>Carbon</h2>\n" +
           table({"item", "of", "quantity", "unit", "g per unit", "g CO2e"}, rows_of(l.carbon, l.grams()));
  return out;
}

}  // namespace

void TimeSeries::add(const ServiceSample& s) {
  Service& v = services_.at(s.service);
  v.sum.at += s.at.seconds();
  v.sum.queued += s.queued;
  v.sum.running += s.running;
  v.sum.replicas += s.ready_replicas;
  if (++v.in_sum < v.per_point) return;
  const auto n = static_cast<double>(v.in_sum);
  v.points.push_back({v.sum.at / n, v.sum.queued / n, v.sum.running / n, v.sum.replicas / n});
  v.sum = {};
  v.in_sum = 0;
  if (v.points.size() < most_points) return;
  for (std::size_t i = 0; i < most_points / 2; ++i) {
    const Point &a = v.points[2 * i], &b = v.points[2 * i + 1];
    v.points[i] = {(a.at + b.at) / 2, (a.queued + b.queued) / 2, (a.running + b.running) / 2,
                   (a.replicas + b.replicas) / 2};
  }
  v.points.resize(most_points / 2);
  v.per_point *= 2;
}

std::vector<ChartLine> TimeSeries::lines(const std::string& what, const RunInfo& info) const {
  std::vector<ChartLine> lines;
  for (std::size_t i = 0; i < services_.size(); ++i) {
    if (services_[i].points.empty()) continue;
    ChartLine line{info.services.at(i), {}};
    for (const Point& p : services_[i].points)
      line.points.emplace_back(p.at, what == "queued"    ? p.queued
                                     : what == "running" ? p.running
                                                         : p.replicas);
    lines.push_back(std::move(line));
  }
  return lines;
}

ChartLine latency_cdf(const std::string& label, const MergedDistribution& latency) {
  ChartLine line{label, {}};
  const auto total = static_cast<double>(latency.count());
  // At most about 500 points: a step only when another five hundredth of the values has passed.
  std::uint64_t below = 0;
  double drawn = -1;
  latency.histogram().for_each([&](std::uint32_t bucket, std::uint64_t n) {
    below += n;
    const double fraction = static_cast<double>(below) / total;
    if (fraction - drawn < 0.002 && below != latency.count()) return;
    drawn = fraction;
    line.points.emplace_back(HdrHistogram::middle_of(bucket) * 1e-9, fraction);
  });
  return line;
}

std::string html_report(const Summary& s, const std::vector<ChartLine>& cdf,
                        const TimeSeries& series) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\">"
      "<title>{0}</title><style>{1}</style></head><body>\n<h1>{0}</h1>\n",
      escape_html(s.info.name), style);
  out += fmt::format("<p>{}seed {}, replication {}, {} simulated ({} warm-up), network: {}</p>\n",
                     s.info.label.empty() ? "" : escape_html(s.info.label) + ": ", s.info.seed,
                     s.info.replication, format_quantity(s.info.duration.seconds(), "s"),
                     format_quantity(s.info.warmup.seconds(), "s"), escape_html(s.info.network));
  out += "<p>" + escape_html(s.conservation_line()) + "</p>\n";
  for (const std::string& note : s.info.notes)
    out += "<p><strong>Note:</strong> " + escape_html(note) + "</p>\n";

  out += "<h2>Latency</h2>\n" +
         svg({"Distribution of latency", "latency (s)", "fraction of requests", true, 1, cdf});
  out += "<h2>Over time</h2>\n";
  for (const auto& [what, title, axis] : {std::tuple{"queued", "Requests waiting", "requests"},
                                          std::tuple{"running", "Requests in service", "requests"},
                                          std::tuple{"replicas", "Ready replicas", "replicas"}})
    out += svg({title, "time (s)", axis, false, 0, series.lines(what, s.info)});

  if (!s.updates.empty()) {
    // A share holds until the next one.
    std::vector<ChartLine> shares;
    std::vector<std::vector<std::string>> rows;
    const auto seconds = [](double x) { return x == x ? format_quantity(x, "s") : std::string("-"); };
    for (const UpdateTotals& u : s.updates) {
      ChartLine line{u.name, {}};
      for (const auto& [at, share] : u.progress) {
        if (!line.points.empty()) line.points.emplace_back(at, line.points.back().second);
        line.points.emplace_back(at, share);
      }
      shares.push_back(std::move(line));
      rows.push_back({u.name, fmt::format("{}", u.fleet),
                      format_percent(static_cast<double>(u.serving) / static_cast<double>(u.fleet)),
                      seconds(u.half), seconds(u.most), seconds(u.all), seconds(u.back_most),
                      format_quantity(u.from_origin + u.to_relays, "B"),
                      format_quantity(u.from_relays, "B"), format_quantity(u.from_peers, "B"),
                      format_quantity(u.wasted, "B")});
    }
    out += "<h2>Updates</h2>\n" +
           svg({"Machines that have the update", "time (s)", "share of the fleet", false, 1, shares}) +
           table({"update", "fleet", "share at the end", "50 %", "95 %", "all", "95 % back",
                  "from the origin", "from relays", "from peers", "wasted"},
                 rows);
  }

  if (!s.levels.empty()) {
    std::vector<std::vector<std::string>> rows;
    for (const AlertEvent& a : s.alerts)
      rows.push_back({a.level, a.alert, a.severity, format_quantity(a.pending.seconds(), "s"),
                      format_quantity(a.fired.seconds(), "s"),
                      a.resolved.is_never() ? "active" : format_quantity(a.resolved.seconds(), "s")});
    const double end = s.info.duration == Duration::max() ? 0 : s.info.duration.seconds();
    out += "<h2>Service levels</h2>\n" +
           svg({"Error budget left", "time (s)", "share of the budget", false, 0, budget_lines(s)}) +
           svg({"Active alerts", "time (s)", "alerts", false, 0, alert_lines(s, end)}) +
           table({"level", "alert", "severity", "condition since", "fired", "resolved"}, rows);
  }

  std::vector<std::vector<std::string>> services, nodes, links;
  for (const ServiceTotals& v : s.services)
    services.push_back({v.name, v.model, v.variant, format_percent(v.utilization),
                        format_figure(v.mean_queue), format_figure(v.mean_replicas),
                        format_figure(v.mean_batch), v.timing});
  for (const NodeTotals& n : s.nodes)
    nodes.push_back({n.name, fmt::format("{}", n.count), format_quantity(n.energy, "J"),
                     format_figure(n.hours), format_quantity(n.cost, s.info.currency)});
  for (const LinkTotals& l : s.links)
    links.push_back({l.name, format_quantity(l.bytes, "B"), format_percent(l.utilization),
                     l.energy ? format_quantity(*l.energy, "J") : "-"});
  out += "<h2>Services</h2>\n" + table({"service", "model", "variant", "utilization", "queue",
                                        "replicas", "batch", "timing"},
                                       services);
  out += "<h2>Nodes</h2>\n" + table({"nodes", "count", "energy", "node-hours", "cost"}, nodes);
  if (s.ledger) out += ledger_tables(*s.ledger);
  out += "<h2>Links</h2>\n" + table({"link", "bytes", "utilization", "energy"}, links);
  out += "<h2>Metrics</h2>\n" + metric_table(s);
  out += fmt::format("<p>fingerprint <code>{:016x}</code>, {} events</p>\n</body></html>\n",
                     s.fingerprint, s.events);
  return out;
}

}  // namespace isthmus::results
