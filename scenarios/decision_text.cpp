// Explanations of decisions for people and for programs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <tuple>

#include "results/format.hpp"
#include "results/text_table.hpp"
#include "scenarios/decision_explanation.hpp"

namespace isthmus::scenarios {

namespace {

using results::format_figure;
using results::format_quantity;

// "-375 ms": that long ago.
std::string ago(double seconds) {
  return (seconds > 0 ? "-" : "") + results::format_quantity(seconds, "s");
}

std::string figure(double v) { return std::isnan(v) ? "-" : format_figure(v); }

std::string text_of(const SeenDecision& d, const std::string& heading) {
  std::string out = fmt::format("decision {} at {:.6f} s; upload {}, download {}\n", heading, d.at,
                                format_quantity(d.upload, "B"), format_quantity(d.download, "B"));
  results::TextTable table({"candidate", "tier", "healthy", "load", "queued", "running", "slots",
                            "signals of", "service", "network", "estimate", "uplink", "measured",
                            "energy", "cost", "accuracy", "reward"});
  for (std::size_t k = 0; k < d.candidates.size(); ++k) {
    const SeenCandidate& c = d.candidates[k];
    table.add_row({(k == d.chosen ? "> " : "  ") + c.name, c.tier, c.healthy ? "yes" : "no",
                   format_figure(c.load), fmt::format("{}", c.queued), fmt::format("{}", c.running),
                   fmt::format("{}", c.slots), ago(c.signal_age),
                   format_quantity(c.service, "s"), format_quantity(c.network, "s"),
                   format_quantity(c.estimate, "s"),
                   c.uplink > 0 ? format_quantity(c.uplink * 8e-6, "Mbit/s") : "-",
                   std::isnan(c.measured_age) ? "-" : ago(c.measured_age),
                   format_quantity(c.energy, "J"), fmt::format("{:.3g} USD", c.cost),
                   format_figure(c.accuracy), format_figure(c.reward)});
  }
  out += table.text();
  out += fmt::format("chose {} (score {:.6g}): {}\n", d.candidates[d.chosen].name, d.score, d.reason);
  if (d.used != d.chosen)
    out += fmt::format("used {}: the choice was not healthy or overloaded\n",
                       d.candidates[d.used].name);
  return out;
}

std::string text_of(const SeenAdmission& a, const std::string& heading) {
  std::string out = fmt::format("admission {} by {} to \"{}\" at {:.6f} s\n", heading, a.rule, a.service, a.at);
  out += fmt::format("saw {} inside, {} waiting and {} running of {}; the request asks for {} tokens, priority {}\n",
                     a.inside, figure(a.waiting), figure(a.running), figure(a.slots), figure(a.tokens), a.priority);
  if (a.admitted)
    out += a.later > 0 ? fmt::format("admitted in {}", format_quantity(a.later, "s")) : "admitted";
  else
    out += (a.degraded ? "over its quota: let in for a smaller variant" : "turned away") +
           (std::isnan(a.later) || a.later <= 0 ? std::string()
                                                : fmt::format("; would be admitted in {}", format_quantity(a.later, "s")));
  return out + (a.reason.empty() ? "\n" : ": " + a.reason + "\n");
}

std::string text_of(const SeenRouting& r, const std::string& heading) {
  std::string out = fmt::format("routing {} by {} of \"{}\"{} at {:.6f} s\n", heading, r.policy, r.service,
                                r.decode ? ", decode" : "", r.at);
  // Columns that the policy does not read are not shown.
  using Figure = double SeenReplica::*;
  const std::pair<const char*, Figure> columns[] = {
      {"outstanding", &SeenReplica::outstanding}, {"waiting", &SeenReplica::waiting},
      {"KV in use", &SeenReplica::kv_usage},      {"weight", &SeenReplica::weight},
      {"penalty", &SeenReplica::penalty},         {"zone", &SeenReplica::zone},
      {"priority", &SeenReplica::priority}};
  const auto shown = [&](Figure f) {
    return std::ranges::any_of(r.replicas, [&](const SeenReplica& s) { return !std::isnan(s.*f); });
  };
  const bool some_unhealthy = std::ranges::any_of(r.replicas, [](const SeenReplica& s) { return !s.healthy; });
  std::vector<std::string> header{"replica"};
  for (const auto& [name, f] : columns)
    if (shown(f)) header.emplace_back(name);
  if (some_unhealthy) header.emplace_back("healthy");
  results::TextTable table(header);
  for (std::size_t k = 0; k < r.replicas.size(); ++k) {
    const SeenReplica& s = r.replicas[k];
    std::vector<std::string> row{fmt::format("{}{}", static_cast<int>(k) == r.chosen ? "> " : "  ", s.number)};
    for (const auto& [name, f] : columns)
      if (shown(f)) row.push_back(figure(s.*f));
    if (some_unhealthy) row.emplace_back(s.healthy ? "yes" : "no");
    table.add_row(row);
  }
  if (!r.replicas.empty()) out += table.text();
  if (r.asked) {
    out += fmt::format("session {:016x}, draw {:.6g}", r.session, r.uniform);
    if (!std::isnan(r.signal_age)) out += ", queues of " + ago(r.signal_age);
    if (!std::isnan(r.zone)) out += fmt::format(", from zone {}", figure(r.zone));
    if (r.prefix_blocks > 0) out += fmt::format(", {} blocks of the prompt known", r.prefix_blocks);
    out += "\n";
  }
  out += r.chosen < 0 ? std::string("chose nobody\n")
                      : fmt::format("chose {}{}\n", r.replicas[static_cast<std::size_t>(r.chosen)].number,
                                    r.asked ? "" : ": nobody else to choose from");
  for (const auto& [number, why] : r.left_out) out += fmt::format("left out {}: {}\n", number, why);
  return out;
}

std::string text_of(const SeenVariant& v, const std::string& heading) {
  std::string out = fmt::format("variant {} by {} of \"{}\" at {:.6f} s\n", heading,
                                v.policy.empty() ? "nobody" : v.policy, v.service, v.at);
  results::TextTable table({"variant", "time alone", "energy", "accuracy"});
  for (std::size_t k = 0; k < v.options.size(); ++k)
    table.add_row({(k == v.chosen ? "> " : "  ") + v.options[k].name, format_quantity(v.options[k].service, "s"),
                   format_quantity(v.options[k].energy, "J"), figure(v.options[k].accuracy)});
  out += table.text();
  out += fmt::format("{} stay in the queue, {} slots; priority {}{}{}{}{}\n", v.waiting, v.slots, v.priority,
                     v.over_quota ? ", over its quota" : "",
                     std::isnan(v.left) ? std::string() : fmt::format(", {} left", format_quantity(v.left, "s")),
                     v.alerts > 0 ? fmt::format(", {} alerts", v.alerts) : std::string(),
                     v.battery < 1 ? fmt::format(", battery {:.3g}", v.battery) : std::string());
  out += fmt::format("chose {}{}{}\n", v.options[v.chosen].name,
                     v.exits > 1 ? fmt::format(", left at exit {} of {}", v.exit + 1, v.exits) : std::string(),
                     v.reason.empty() ? std::string() : ": " + v.reason);
  return out;
}

// Text, with date and place among those of one date.
using Dated = std::tuple<double, int, std::function<std::string()>>;

template <class Seen>
void put(std::vector<Dated>& all, const std::vector<Seen>& list, int place, const std::string& by) {
  for (std::size_t i = 0; i < list.size(); ++i)
    all.emplace_back(list[i].at, place, [&list, i, by] {
      return text_of(list[i], fmt::format("{} of {}{}", i + 1, list.size(), by));
    });
}

}  // namespace

std::string decision_text(const DecisionExplanation& e) {
  std::string out = fmt::format("request {}: workload {}, client {}, {}{}\n", e.request, e.workload, e.client, e.status,
                                std::isnan(e.latency) ? std::string()
                                                      : " after " + format_quantity(e.latency, "s"));
  std::vector<Dated> all;
  put(all, e.decisions, 0, " by " + e.policy);
  put(all, e.routings, 1, "");
  put(all, e.admissions, 2, "");
  put(all, e.variants, 3, "");
  std::ranges::stable_sort(all, {}, [](const Dated& d) { return std::pair(std::get<0>(d), std::get<1>(d)); });
  for (const Dated& d : all) out += "\n" + std::get<2>(d)();
  return out;
}

std::string decision_json(const DecisionExplanation& e) {
  using nlohmann::ordered_json;
  const auto known = [](double v) { return std::isnan(v) ? ordered_json() : ordered_json(v); };
  ordered_json out{{"run", e.run},           {"request", e.request}, {"workload", e.workload},
                   {"client", e.client},     {"status", e.status},   {"latency_s", known(e.latency)},
                   {"policy", e.policy},     {"decisions", ordered_json::array()}};
  for (const SeenDecision& d : e.decisions) {
    ordered_json candidates = ordered_json::array();
    for (const SeenCandidate& c : d.candidates)
      candidates.push_back({{"name", c.name},
                            {"tier", c.tier},
                            {"healthy", c.healthy},
                            {"load", c.load},
                            {"queued", c.queued},
                            {"running", c.running},
                            {"slots", c.slots},
                            {"signal_age_s", c.signal_age},
                            {"service_s", c.service},
                            {"network_s", c.network},
                            {"estimated_latency_s", c.estimate},
                            {"uplink_bytes_per_s", c.uplink},
                            {"measured_age_s", known(c.measured_age)},
                            {"client_energy_J", c.energy},
                            {"cost_USD", c.cost},
                            {"accuracy", c.accuracy},
                            {"estimated_reward", c.reward}});
    out["decisions"].push_back({{"at_s", d.at},
                                {"upload_bytes", d.upload},
                                {"download_bytes", d.download},
                                {"candidates", candidates},
                                {"chosen", d.candidates[d.chosen].name},
                                {"used", d.candidates[d.used].name},
                                {"score", d.score},
                                {"reason", d.reason}});
  }
  out["routings"] = out["admissions"] = out["variants"] = ordered_json::array();
  for (const SeenRouting& r : e.routings) {
    ordered_json replicas = ordered_json::array(), left_out = ordered_json::array();
    for (const SeenReplica& s : r.replicas)
      replicas.push_back({{"replica", s.number},
                          {"outstanding", known(s.outstanding)},
                          {"waiting", known(s.waiting)},
                          {"kv_usage", known(s.kv_usage)},
                          {"weight", known(s.weight)},
                          {"penalty", known(s.penalty)},
                          {"zone", known(s.zone)},
                          {"priority", known(s.priority)},
                          {"healthy", s.healthy}});
    for (const auto& [number, why] : r.left_out) left_out.push_back({{"replica", number}, {"reason", why}});
    out["routings"].push_back(
        {{"at_s", r.at},
         {"service", r.service},
         {"policy", r.policy},
         {"decode", r.decode},
         {"asked", r.asked},
         {"replicas", replicas},
         {"left_out", left_out},
         {"chosen", r.chosen < 0 ? ordered_json() : ordered_json(r.replicas[static_cast<std::size_t>(r.chosen)].number)},
         {"draw", known(r.uniform)},
         {"signal_age_s", known(r.signal_age)},
         {"from_zone", known(r.zone)},
         {"session", fmt::format("{:016x}", r.session)},
         {"prefix_blocks", r.prefix_blocks}});
  }
  for (const SeenAdmission& a : e.admissions)
    out["admissions"].push_back({{"at_s", a.at},
                                 {"service", a.service},
                                 {"rule", a.rule},
                                 {"admitted", a.admitted},
                                 {"degraded", a.degraded},
                                 {"later_s", known(a.later)},
                                 {"reason", a.reason},
                                 {"inside", a.inside},
                                 {"tokens", a.tokens},
                                 {"priority", a.priority},
                                 {"waiting", a.waiting},
                                 {"running", a.running},
                                 {"slots", a.slots}});
  for (const SeenVariant& v : e.variants) {
    ordered_json options = ordered_json::array();
    for (const SeenOption& o : v.options)
      options.push_back({{"name", o.name}, {"service_s", o.service}, {"energy_J", o.energy}, {"accuracy", o.accuracy}});
    out["variants"].push_back({{"at_s", v.at},
                               {"service", v.service},
                               {"policy", v.policy},
                               {"options", options},
                               {"chosen", v.options[v.chosen].name},
                               {"exit", v.exit},
                               {"reason", v.reason},
                               {"waiting", v.waiting},
                               {"slots", v.slots},
                               {"left_s", known(v.left)},
                               {"priority", v.priority},
                               {"over_quota", v.over_quota},
                               {"alerts", v.alerts},
                               {"battery", v.battery}});
  }
  return out.dump(2) + "\n";
}

}  // namespace isthmus::scenarios
