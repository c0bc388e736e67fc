// Advice as text and as JSON.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "results/format.hpp"
#include "scenarios/advice.hpp"
#include "scenarios/json_document.hpp"

namespace isthmus::scenarios {

namespace {

std::string number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

std::string figure(double value, const std::string& unit) {
  return unit == "1" ? fmt::format("{:.4g}", value) : results::format_quantity(value, unit);
}

}  // namespace

std::string advice_text(const Advice& advice) {
  std::string out = "decision tree (docs/placement.md)\n";
  for (const AdviceStep& s : advice.steps) {
    out += fmt::format("\n{} {}\n", s.question, s.answer);
    if (s.recommendation.empty()) continue;
    out += fmt::format("  -> {}\n     {}\n     {}{}\n", s.recommendation, s.fields, s.met ? "" : "NOT MET: ", s.verdict);
    std::size_t width = 0;
    for (const AdviceRun& r : s.runs) width = std::max(width, r.label.size());
    for (const AdviceRun& r : s.runs) {
      out += fmt::format("     {} {:{}}", &r == &s.runs[0] ? "*" : " ", r.label, width);
      for (std::size_t i = 0; i < s.figures.size(); ++i)
        out += fmt::format("  {} {}", s.figures[i].first, figure(r.values[i], s.figures[i].second));
      out += "\n";
    }
  }
  out += advice.met ? "\nrecommended: " : "\nnearest, though not all that is asked is met: ";
  const char* separator = "";
  for (const AdviceStep& s : advice.steps)
    if (!s.recommendation.empty()) {
      out += separator + s.recommendation;
      separator = "; ";
    }
  return out + fmt::format("\n* recommended; means of {} replications of {}\nall figures: isthmus run {} --no-files\n",
                           advice.replications, advice.scenario, advice.scenario);
}

std::string advice_json(const Advice& advice) {
  std::string out = fmt::format("{{\"met\": {}, \"bound\": {}, \"scenario\": {}, \"replications\": {}, \"steps\": [",
                                advice.met, number(advice.bound), json_string(advice.scenario), advice.replications);
  for (const AdviceStep& s : advice.steps) {
    out += fmt::format("{}\n  {{\"question\": {}, \"answer\": {}, \"recommendation\": {}, \"fields\": {}, \"met\": {}, "
                       "\"verdict\": {}, \"runs\": [",
                       &s == &advice.steps[0] ? "" : ",", json_string(s.question), json_string(s.answer),
                       json_string(s.recommendation), json_string(s.fields), s.met, json_string(s.verdict));
    for (const AdviceRun& r : s.runs) {
      out += fmt::format("{}{{\"alternative\": {}", &r == &s.runs[0] ? "" : ", ", json_string(r.label));
      for (std::size_t i = 0; i < s.figures.size(); ++i)
        out += fmt::format(", {}: {}", json_string(s.figures[i].first), number(r.values[i]));
      out += "}";
    }
    out += "]}";
  }
  return out + "]}\n";
}

}  // namespace isthmus::scenarios
