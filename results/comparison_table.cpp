#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "results/comparison_figures.hpp"
#include "results/format.hpp"
#include "results/statistics.hpp"
#include "results/text_table.hpp"

namespace isthmus::results {

namespace {

using Json = nlohmann::ordered_json;

std::string cell(const Alternative& a, const std::string& metric) {
  const Interval i = mean_interval(values_of(a, metric));
  return format_interval(i.mean, i.high - i.mean, unit_of(metric));
}

bool any_data(const Comparison& c, const std::string& metric) {
  return std::any_of(c.alternatives.begin(), c.alternatives.end(), [&](const Alternative& a) {
    return !std::isnan(mean_of(values_of(a, metric)));
  });
}

bool is_pool(const Summary& run, const std::string& service) {
  return std::any_of(run.services.begin(), run.services.end(), [&](const ServiceTotals& t) {
    return t.pool && t.name == service;
  });
}

// Names of the services of all alternatives, in order of first occurrence.
std::vector<std::string> services_of(const Comparison& c) {
  std::vector<std::string> names;
  for (const Alternative& a : c.alternatives)
    for (const std::string& s : a.replications.front().info.services)
      if (!is_pool(a.replications.front(), s) &&
          std::find(names.begin(), names.end(), s) == names.end())
        names.push_back(s);
  return names;
}

// Attainments of all objectives in one cell, "!" behind those that are missed.
std::string attainment_cell(const Alternative& a) {
  std::string text;
  for (const ObjectiveState& s : objective_states(a))
    text += (text.empty() ? "" : ", ") + format_percent(s.attainment.mean) + (s.met ? "" : " !");
  return text;
}

// What the "SLO" column is about.
std::string objective_legend(const Comparison& c) {
  const auto states = objective_states(c.alternatives.front());
  if (states.empty()) return "";
  std::string text = "SLO: ";
  for (std::size_t i = 0; i < states.size(); ++i)
    text += fmt::format("{}{} for {} of requests", i == 0 ? "" : ", ", states[i].text,
                        format_percent(states[i].wanted));
  return text + "; ! = missed\n";
}

// Metrics whose differences are worth a column, the deciding one first.
std::vector<std::string> difference_metrics(const Comparison& c) {
  std::vector<std::string> metrics{c.metric};
  for (const char* m : {"latency.mean", "energy_per_request", "cost_per_1000"})
    if (m != c.metric && any_data(c, m)) metrics.emplace_back(m);
  return metrics;
}

// Breaks a paragraph at blanks.
std::string wrap(const std::string& text, std::size_t width) {
  std::string out, line;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!line.empty() && line.size() + 1 + word.size() > width) {
      out += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    at = end + 1;
  }
  return out + line + "\n";
}

Json number(double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); }

Json interval_json(const Interval& i) {
  return {{"mean", number(i.mean)}, {"low", number(i.low)}, {"high", number(i.high)}, {"n", i.n}};
}

}  // namespace

std::string comparison_table(const Comparison& c) {
  const Verdict verdict = judge(c);
  const std::size_t n = c.alternatives.front().replications.size();
  const bool objectives = !c.alternatives.front().replications.front().info.objectives.empty();

  // Columns that have data; the deciding metric always has one.
  std::vector<std::pair<std::string, std::string>> columns{{"latency mean", "latency.mean"},
                                                           {"latency p95", "latency.p95"}};
  const auto optional = [&](const char* heading, const char* metric) {
    if (any_data(c, metric)) columns.emplace_back(heading, metric);
  };
  optional("energy/request", "energy_per_request");
  optional("cost per 1k", "cost_per_1000");
  optional("accuracy", "accuracy");
  optional("task mean", "task_duration.mean");
  if (std::none_of(columns.begin(), columns.end(), [&](auto& k) { return k.second == c.metric; }))
    columns.insert(columns.begin(), {c.metric, c.metric});
  std::vector<std::string> heading{"alternative", "rank"};
  for (const auto& [title, metric] : columns) {
    heading.push_back(title);
    if (objectives && metric == "latency.p95") heading.emplace_back("SLO");
  }
  for (const std::string& s : services_of(c)) heading.push_back("at " + s);

  TextTable table(heading);
  for (std::size_t i = 0; i < c.alternatives.size(); ++i) {
    const Alternative& a = c.alternatives[i];
    const auto rank = std::find(verdict.ranking.begin(), verdict.ranking.end(), i);
    std::vector<std::string> row{a.label, fmt::format("{}", rank - verdict.ranking.begin() + 1)};
    for (const auto& [title, metric] : columns) {
      row.push_back(metric == "accuracy" ? format_percent(mean_of(values_of(a, metric)))
                                         : cell(a, metric));
      if (objectives && metric == "latency.p95") row.push_back(attainment_cell(a));
    }
    for (const std::string& s : services_of(c))
      row.push_back(format_percent(mean_of(values_of(a, "share." + s))));
    table.add_row(std::move(row));
  }
  std::string out =
      fmt::format("{} alternatives, {} replication{} each{}\n\n", c.alternatives.size(), n,
                  n == 1 ? "" : "s", n == 1 ? "" : "; mean +- half-width of the 95 % interval");
  out += table.text() + objective_legend(c);

  // Paired differences to the best.
  if (c.alternatives.size() > 1) {
    const Alternative& best = c.alternatives[verdict.ranking.front()];
    const auto metrics = difference_metrics(c);
    std::vector<std::string> titles{"minus " + best.label};
    titles.insert(titles.end(), metrics.begin(), metrics.end());
    TextTable differences(titles);
    for (std::size_t k = 1; k < verdict.ranking.size(); ++k) {
      const Alternative& a = c.alternatives[verdict.ranking[k]];
      std::vector<std::string> row{a.label};
      for (const std::string& m : metrics) {
        const Interval d = paired_difference(values_of(best, m), values_of(a, m));
        row.push_back(format_difference(d.mean, d.low, d.high, unit_of(m)));
      }
      differences.add_row(std::move(row));
    }
    out += "\nPaired differences to the best" + std::string(n == 1 ? "" : " [95 % interval]") +
           "\n" + differences.text();
  }
  return out + "\n" + wrap(verdict.text, 100);
}

std::string comparison_json(const Comparison& c) {
  const Verdict verdict = judge(c);
  const Alternative& best = c.alternatives[verdict.ranking.front()];
  Json alternatives = Json::array();
  for (const Alternative& a : c.alternatives) {
    Json metrics = Json::object(), differences = Json::object();
    for (const Metric& m : a.replications.front().metrics) {
      const auto values = values_of(a, m.name);
      metrics[m.name] = interval_json(mean_interval(values));
      metrics[m.name]["unit"] = m.unit;
      differences[m.name] = interval_json(paired_difference(values_of(best, m.name), values));
    }
    Json objectives = Json::array();
    for (const ObjectiveState& s : objective_states(a))
      objectives.push_back({{"objective", s.text},
                            {"wanted", s.wanted},
                            {"attainment", interval_json(s.attainment)},
                            {"met", s.met}});
    Json seeds = Json::array();
    for (const Summary& s : a.replications) seeds.push_back(s.info.seed);
    alternatives.push_back({{"label", a.label},
                            {"seeds", seeds},
                            {"meets_objectives", meets_all(a)},
                            {"objectives", objectives},
                            {"metrics", metrics},
                            {"difference_to_best", differences}});
  }
  Json j{{"filetype", "isthmus comparison"},
         {"version", 1},
         {"metric", c.metric},
         {"best", best.label},
         {"ranking", verdict.ranking},
         {"too_close", verdict.too_close},
         {"verdict", verdict.text},
         {"alternatives", alternatives}};
  return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace isthmus::results
