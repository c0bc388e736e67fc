#include "schedulers/policy_docs.hpp"

#include <fmt/core.h>

#include "schedulers/registry.hpp"

namespace isthmus::schedulers {

namespace {

constexpr std::string_view head = R"(# Policies

This page is generated from `schedulers/builtin_policies.cpp`; do not edit it. A policy sees a view and returns a decision; it never touches the simulation. Durations are in seconds here; a scenario writes them with their unit (`"150 ms"`).

)";

std::string capitalized(std::string_view word) {
  std::string s(word);
  if (!s.empty() && s[0] >= 'a' && s[0] <= 'z') s[0] = static_cast<char>(s[0] - 'a' + 'A');
  return s;
}

// A bar would end the table cell.
std::string cell(std::string_view text) {
  std::string s;
  for (const char c : text) s += c == '|' ? std::string("\\|") : std::string(1, c);
  return s;
}

std::string quantity(double value, Dimension dimension) {
  const std::string_view unit = unit_of(dimension);
  return unit.empty() ? fmt::format("{:g}", value) : fmt::format("{:g} {}", value, unit);
}

std::string default_of(const ParameterSpec& s) {
  if (s.list) return "empty";
  if (s.dimension == Dimension::text) return "`\"" + s.default_text + "\"`";
  return quantity(s.default_value, s.dimension);
}

std::string range_of(const ParameterSpec& s) {
  if (s.dimension == Dimension::text) {
    std::string all;
    for (const auto& c : s.choices) all += (all.empty() ? "`\"" : ", `\"") + c + "\"`";
    return all.empty() ? "any text" : all;
  }
  const std::string range =
      fmt::format("{} to {}", quantity(s.min, s.dimension), quantity(s.max, s.dimension));
  return s.list ? "list, each " + range : range;
}

template <class Policy>
std::string section(const std::vector<PolicyEntry<Policy>>& table, std::string_view question) {
  std::string out =
      fmt::format("## {}\n\n{}\n\n| policy | what it does | a bad idea when |\n|-|-|-|\n",
                  capitalized(policy_kind<Policy>), question);
  for (const auto& e : table) {
    out += fmt::format("| [`{0}`](#{1}-{0}) | {2} | {3} |\n", e.name, policy_kind<Policy>,
                       cell(e.summary), cell(e.bad_idea_when));
  }
  for (const auto& e : table) {
    out += fmt::format("\n### {} `{}`\n\n{}\n\n", policy_kind<Policy>, e.name, e.summary);
    out += fmt::format("Source: {}. A bad idea when {} One decision costs {}.\n", e.source,
                       e.bad_idea_when, e.complexity);
    if (e.parameters.empty()) continue;
    out += "\n| parameter | default | range | meaning |\n|-|-|-|-|\n";
    for (const ParameterSpec& s : e.parameters) {
      out += fmt::format("| `{}` | {} | {} | {} |\n", s.name, default_of(s), range_of(s),
                         cell(s.help));
    }
  }
  return out;
}

}  // namespace

std::string policies_markdown() {
  return std::string(head) + section(offload_policies(), "Where should this request run?") + "\n" +
         section(routing_policies(), "Which replica of the service gets it?") + "\n" +
         section(batching_policies(), "How many waiting requests form a batch now?") + "\n" +
         section(autoscaling_policies(), "How many replicas should the service have?") + "\n" +
         section(placement_policies(), "On which machine does a new replica run?") + "\n" +
         section(list_schedulers(),
                 "Which unit runs each operator of a graph, and in which order?") +
         "\n" + section(governor_policies(), "At which clock should a unit run now?") + "\n" +
         section(admission_policies(), "May a request enter a service, and when?") + "\n" +
         section(variant_policies(), "Which variant of its model answers a request?") + "\n" +
         section(eviction_policies(), "Which model leaves memory so that another one fits?") + "\n" +
         section(replacement_policies(), "Which entry leaves a cache of answers for another?") + "\n" +
         section(partitioners(),
                 "Which part of a graph runs on the device, at the edge, in the cloud?");
}

}  // namespace isthmus::schedulers
