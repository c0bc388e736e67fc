#include "scenarios/split_question.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "devices/split_problem.hpp"
#include "scenarios/reader.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

using nlohmann::json;

// A chain policy tries tasks^hops cuts.
constexpr double most_cuts = 2e6;

// A scenario of one node and one service per tier, so that every rule of scenario files holds here.
LoadedScenario as_scenario(const SplitQuestion& q) {
  const json own = own_model(q.model, q.sizes);
  json nodes, services;
  for (std::size_t t = 0; t < q.tiers.size(); ++t) {
    const std::size_t slash = q.tiers[t].find('/');
    const std::string name = fmt::format("tier{}", t);
    nodes[name] = {{"device", q.tiers[t].substr(0, slash)}};
    json service{{"model", own.is_null() ? q.model : "own"}, {"on", name}};
    if (slash != std::string::npos) service["unit"] = q.tiers[t].substr(slash + 1);
    if (!q.variant.empty()) service["variant"] = q.variant;
    services[name] = service;
  }
  json scenario{
      {"isthmus", 1},
      {"name", "split"},
      {"duration", "1 s"},
      {"nodes", nodes},
      {"services", services},
      {"workload", json::array({{{"source", "poisson"}, {"rate", "1 /s"}, {"target", "tier0"}}})}};
  if (!own.is_null()) scenario["models"]["own"] = own;
  return load_text(scenario.dump(), q.set, "split", std::filesystem::current_path());
}

void need(bool ok, const char* option, const std::string& what) {
  if (!ok) throw InputError(fmt::format("{} must be {}", option, what));
}

std::vector<double> per(std::vector<double> given, std::size_t n, const char* option, double least,
                        double otherwise) {
  if (given.empty()) given = {otherwise};
  if (given.size() == 1) given.resize(n, given[0]);
  need(given.size() == n, option,
       fmt::format("one figure, or {} of them, not {}", n, given.size()));
  for (const double x : given)
    need(std::isfinite(x) && x >= least, option, fmt::format("at least {:g}, not {:g}", least, x));
  return given;
}

SplitPlanRow row_of(const schedulers::PolicyEntry<schedulers::Partitioner>& entry,
                    const schedulers::PartitionProblem& p, const models::GraphCost& client) {
  SplitPlanRow row;
  row.policy = entry.name;
  if (entry.name == "chain" && std::pow(p.tasks, p.tiers - 1) > most_cuts) {
    row.refusal = "too many cuts to try";
    return row;
  }
  schedulers::Partition plan;
  try {
    plan = entry.make(schedulers::Parameters(entry.parameters))->partition(p);
  } catch (const InputError& e) {
    row.refusal = e.what();
    return row;
  }
  const models::OperatorGraph& graph = client.graph();
  if (plan.objective == std::numeric_limits<double>::infinity()) {
    row.refusal = "a hop that it needs is down";
    return row;
  }
  for (std::uint32_t t = 0; t < p.tiers; ++t) {
    const std::vector<bool> on = devices::operators_on(graph, plan, t);
    row.operators.push_back(static_cast<std::uint64_t>(std::count(on.begin(), on.end(), true)));
  }
  for (const schedulers::Crossing& c : plan.crossings)
    row.crossings.push_back({graph.at(c.task).name, c.hop, p.encodings[c.encoding].name, c.bytes});
  // The framework of the client is called if anything runs there.
  const double overhead =
      row.operators[0] > 0 ? client.unit().iteration_overhead.seconds() * p.slowdown[0] : 0;
  row.latency = plan.latency + overhead;
  row.client_energy = plan.client_energy + overhead * p.watts[0];
  row.objective =
      plan.objective + p.latency_weight * overhead + p.energy_weight * overhead * p.watts[0];
  row.bytes = plan.bytes;
  row.accuracy_loss = plan.accuracy_loss;
  return row;
}

}  // namespace

SplitAnswer split(const SplitQuestion& q) {
  if (q.model.empty()) throw InputError("name a model");
  need(q.tiers.size() >= 2 && q.tiers.size() <= 4, "--tiers",
       fmt::format("2 to 4 devices, from the client outwards, not {}", q.tiers.size()));
  need(q.batch >= 1 && q.batch <= 1'000'000, "--batch", "between 1 and 1000000");
  if (q.bandwidth.empty()) throw InputError("give the --bandwidth between the tiers");
  const std::size_t hops = q.tiers.size() - 1;
  const LoadedScenario loaded = as_scenario(q);

  std::vector<const models::GraphCost*> costs;
  SplitAnswer a;
  for (const world::Service& s : loaded.scenario->services) {
    const auto* graph = std::get_if<world::GraphModel>(&s.work);
    if (!graph)
      throw InputError("only operator graphs are split; language models run in an engine");
    if (!graph->choices.empty())
      throw InputError("graphs with early exits are not split; use the model without them");
    costs.push_back(graph->cost.get());
    const world::NodeGroup& group = loaded.scenario->nodes[s.group];
    a.tiers.push_back(group.device + "/" + group.units[s.unit].name);
    a.alone.push_back(graph->cost->batch(q.batch).time.seconds());
    a.variant = s.variant;
  }
  a.model = q.model;
  a.batch = q.batch;
  a.bandwidth = per(q.bandwidth, hops, "--bandwidth", 0, 0);
  a.rtt = per(q.rtt, hops, "--rtt", 0, 0);

  schedulers::PartitionProblem p = devices::split_problem(costs, q.batch, q.input);
  for (std::size_t v = 0; v < costs[0]->graph().size(); ++v) a.operators += p.pinned[v] < 0;
  p.bandwidth = a.bandwidth;
  if (!q.down_bandwidth.empty())
    p.down_bandwidth = per(q.down_bandwidth, hops, "--down-bandwidth", 0, 0);
  for (std::size_t h = 0; h < hops; ++h) p.latency[h] += a.rtt[h];
  p.slowdown = per(q.slowdown, q.tiers.size(), "--slowdown", 1, 1);
  need(q.result >= 0 && std::isfinite(q.result), "--result", "a size");
  p.result_bytes = q.result;
  for (const auto& [option, value] : {std::pair{"--radio-power", q.radio_power},
                                      {"--latency-weight", q.latency_weight},
                                      {"--energy-weight", q.energy_weight}})
    need(std::isfinite(value) && value >= 0, option, fmt::format("at least 0, not {:g}", value));
  need(q.accuracy_loss >= 0 && q.accuracy_loss <= 1, "--accuracy-loss", "between 0 and 1");
  p.transfer_watts = q.radio_power;
  p.latency_weight = q.latency_weight;
  p.energy_weight = q.energy_weight;
  for (const std::string& name : q.encode) {
    const auto format = models::precision_from(name);
    if (!format)
      throw InputError(
          fmt::format("--encode: no number format \"{}\"; such as fp16 or int8", name));
    p.encodings.push_back(devices::quantized(*costs[0], *costs[1], *format, q.accuracy_loss));
  }
  for (const auto& entry : schedulers::partitioners())
    a.plans.push_back(row_of(entry, p, *costs[0]));
  return a;
}

std::string to_json(const SplitAnswer& a) {
  json plans = json::array();
  for (const SplitPlanRow& row : a.plans) {
    if (!row.refusal.empty()) {
      plans.push_back({{"policy", row.policy}, {"refusal", row.refusal}});
      continue;
    }
    json crossings = json::array();
    for (const SplitCrossing& c : row.crossings)
      crossings.push_back(
          {{"operator", c.op}, {"hop", c.hop}, {"encoding", c.encoding}, {"bytes", c.bytes}});
    plans.push_back({{"policy", row.policy},
                     {"operators", row.operators},
                     {"latency", row.latency},
                     {"client_energy", row.client_energy},
                     {"bytes", row.bytes},
                     {"objective", row.objective},
                     {"accuracy_loss", row.accuracy_loss},
                     {"crossings", std::move(crossings)}});
  }
  return json{{"model", a.model}, {"variant", a.variant},     {"tiers", a.tiers},
              {"batch", a.batch}, {"operators", a.operators}, {"bandwidth", a.bandwidth},
              {"rtt", a.rtt},     {"alone", a.alone},         {"plans", std::move(plans)}}
      .dump(1);
}

std::string to_text(const SplitAnswer& a) {
  const auto bytes = [](double b) {
    return b < 999.5     ? fmt::format("{:.0f} B", b)
           : b < 999.5e3 ? fmt::format("{:.1f} kB", b / 1e3)
                         : fmt::format("{:.2f} MB", b / 1e6);
  };
  std::string out =
      fmt::format("{} ({}), batch {}, {} operators\n", a.model, a.variant, a.batch, a.operators);
  for (std::size_t t = 0; t < a.tiers.size(); ++t) {
    out += fmt::format("  tier {}: {}, {:.4g} ms alone\n", t, a.tiers[t], 1e3 * a.alone[t]);
    if (t + 1 < a.tiers.size())
      out += fmt::format("    {:.4g} Mbit/s, round trip {:.4g} ms\n", 8e-6 * a.bandwidth[t],
                         1e3 * a.rtt[t]);
  }
  out += fmt::format("\n  {:12} {:>12} {:>13} {:>10} {:>9}  {:14} {}\n", "policy", "latency",
                     "client energy", "sent", "loss", "operators", "cut after");
  for (const SplitPlanRow& row : a.plans) {
    if (!row.refusal.empty()) {
      out += fmt::format("  {:12} {}\n", row.policy, row.refusal);
      continue;
    }
    std::string cut;
    constexpr std::size_t shown = 3;
    for (std::size_t i = 0; i < std::min(shown, row.crossings.size()); ++i) {
      const SplitCrossing& c = row.crossings[i];
      cut += fmt::format("{}{} ({}{})", i > 0 ? ", " : "", c.op, bytes(c.bytes),
                         c.encoding == "raw" ? "" : " " + c.encoding);
    }
    if (row.crossings.size() > shown)
      cut += fmt::format(" and {} more", row.crossings.size() - shown);
    out +=
        fmt::format("  {:12} {:>9.4g} ms {:>11.4g} J {:>10} {:>8.2g}%  {:14} {}\n", row.policy,
                    1e3 * row.latency, row.client_energy, bytes(row.bytes), 100 * row.accuracy_loss,
                    fmt::format("{}", fmt::join(row.operators, " + ")), cut.empty() ? "-" : cut);
  }
  return out;
}

}  // namespace isthmus::scenarios
