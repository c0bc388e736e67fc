#include "scenarios/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/graph_cost.hpp"
#include "models/llm_cost.hpp"
#include "scenarios/own_model.hpp"
#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

using nlohmann::json;

double d(std::int64_t v) { return static_cast<double>(v); }

void need(bool ok, const char* option, const char* range, std::int64_t value) {
  if (!ok) throw InputError(fmt::format("{} must be {}, not {}", option, range, value));
}

// A scenario of one node and one service, so that every rule of scenario files holds here too.
LoadedScenario as_scenario(const ExplainQuestion& q) {
  const std::size_t slash = q.device.find('/');
  json node{{"device", q.device.substr(0, slash)}};
  need(q.parallel >= 1 && q.parallel <= 1024, "--parallel", "between 1 and 1024", q.parallel);
  need(q.pipeline >= 1 && q.pipeline <= 1024, "--pipeline", "between 1 and 1024", q.pipeline);
  need(q.data_parallel >= 1 && q.data_parallel <= 1024, "--data-parallel", "between 1 and 1024",
       q.data_parallel);
  const std::int64_t units = q.parallel * q.data_parallel * q.pipeline;
  if (units > 1) node["accelerators"] = units;
  const json own = own_model(q.model, {q.sequence, q.image, q.axes});
  json service{
      {"model", own.is_null() ? q.model : "own"}, {"on", "node"}, {"parallel", q.parallel}};
  if (q.data_parallel > 1) service["data_parallel"] = q.data_parallel;
  if (q.pipeline > 1) service["pipeline"] = q.pipeline;
  if (slash != std::string::npos) service["unit"] = q.device.substr(slash + 1);
  if (!q.variant.empty()) service["variant"] = q.variant;
  if (!q.profile.empty()) {
    const std::string path = std::filesystem::absolute(q.profile).string();
    if (slash == std::string::npos)
      node["profile"] = path;
    else
      node["units"][q.device.substr(slash + 1)]["profile"] = path;
  }
  json scenario{
      {"isthmus", 1},
      {"name", "explain"},
      {"duration", "1 s"},
      {"nodes", {{"node", node}}},
      {"services", {{"model", service}}},
      {"workload", json::array({{{"source", "poisson"}, {"rate", "1 /s"}, {"target", "model"}}})}};
  if (!own.is_null()) scenario["models"]["own"] = own;
  return load_text(scenario.dump(), q.set, "explain", std::filesystem::current_path());
}

const world::Service& chosen_service(const world::Scenario& s, const std::string& name) {
  const world::Service* found = nullptr;
  std::string known;
  for (const world::Service& service : s.services) {
    if (std::holds_alternative<world::ServiceLaw>(service.work)) continue;
    known += (known.empty() ? "" : ", ") + service.name;
    if (!name.empty() && service.name != name) continue;
    if (found) throw InputError("the scenario serves several models; name a service: " + known);
    found = &service;
  }
  if (!found)
    throw InputError(known.empty() ? "the scenario serves no model"
                                   : fmt::format("there is no service \"{}\" with a model; there "
                                                 "are: {}",
                                                 name, known));
  return *found;
}

ExplainedPhase phase_of(const models::LlmCost& cost, std::string name,
                        const models::IterationWork& work) {
  ExplainedPhase phase{std::move(name), cost.iteration(work), cost.explain(work), {}};
  const std::int64_t tokens = work.prefill_tokens + work.decode_sequences;
  for (const models::LlmCost& stage : cost.stages()) phase.stages.push_back(stage.iteration(work));
  phase.send_ns = d(cost.send_ns(tokens));
  phase.imbalance = cost.expert_imbalance(tokens);
  return phase;
}

// The sequences of one iteration of data-parallel ranks, spread over them as evenly as possible.
ExplainedPhase step_of(const models::LlmCost& cost, std::string name,
                       const std::vector<models::IterationWork>& works) {
  ExplainedPhase phase{std::move(name), cost.step(works), cost.explain_step(works), {}};
  ExplainedRanks& r = phase.ranks;
  r.ranks = cost.layout().data;
  r.idle = r.ranks - static_cast<std::int64_t>(works.size());
  std::int64_t tokens = r.idle;
  for (const models::IterationWork& w : works) tokens += w.tokens();
  r.own_ns = d(phase.total.time.ns());
  for (const models::OperatorCost& row : phase.rows) {
    const double ns = d(row.prediction.time.ns());
    const bool exchange = row.name == "all_to_all" || row.name == "gather_scatter";
    if (!exchange && row.name != "gate_up" && row.name != "down" && row.name != "experts") continue;
    (exchange ? r.exchange_ns : r.experts_ns) += ns;
    r.own_ns -= ns;
  }
  phase.imbalance = cost.expert_imbalance(tokens);
  return phase;
}

ExplainedPhase decode_of(const models::LlmCost& cost, std::int64_t batch, std::int64_t context) {
  std::string name = fmt::format("decode of {} sequence{} at context {}", batch, batch > 1 ? "s" : "",
                                 context);
  const auto sequences = [&](std::int64_t n) {
    return models::IterationWork{.decode_sequences = n, .decode_context = n * context, .logits = n};
  };
  const std::int64_t ranks = cost.layout().data;
  if (ranks == 1) return phase_of(cost, std::move(name), sequences(batch));
  std::vector<models::IterationWork> works;
  for (std::int64_t i = 0; i < std::min(ranks, batch); ++i)
    works.push_back(sequences(batch / ranks + (i < batch % ranks ? 1 : 0)));
  if (batch > 1) name += fmt::format(", {} in the fullest rank", works.front().decode_sequences);
  return step_of(cost, std::move(name), works);
}

void explain_llm(const ExplainQuestion& q, const world::LlmModel& m, Explanation& e) {
  const models::LlmCost& cost = *m.cost;
  const std::int64_t prompt = q.sequence > 0 ? q.sequence : 512 + q.image_tokens;
  const std::int64_t context = q.context > 0 ? q.context : prompt;
  need(q.image_tokens <= prompt, "--image-tokens", "at most the prompt's --sequence",
       q.image_tokens);
  if (q.image_tokens > 0 && m.shape.vision.layers == 0)
    throw InputError(fmt::format("model '{}' takes no images", m.shape.name));

  const models::IterationWork prefill{.prefill_tokens = prompt,
                                      .prefill_attention = d(prompt) * d(prompt) / 2,
                                      .prefill_context = prompt,
                                      .logits = 1,
                                      .image_tokens = q.image_tokens};
  std::string name =
      fmt::format("prefill of {} tokens", prompt) +
      (q.image_tokens > 0 ? fmt::format(", {} of an image", q.image_tokens) : std::string());
  e.phases.push_back(cost.layout().data > 1 ? step_of(cost, std::move(name), {prefill})
                                            : phase_of(cost, std::move(name), prefill));
  e.phases.push_back(decode_of(cost, q.batch, context));

  const models::Precision format = m.variant.activations;
  e.peak = models::usable_peak(cost.unit(), m.variant.weights, format) * cost.layout().expert_units();
  e.weight_bytes = cost.weight_bytes();
  e.host_weight_bytes = cost.host_weight_bytes();
  e.kv_bytes_per_token = cost.kv_bytes_per_token();
  e.kv_capacity_tokens = cost.kv_capacity_tokens();
  for (const models::LlmCost& stage : cost.stages())
    e.stages.push_back({stage.weight_bytes(), stage.kv_capacity_tokens()});
}

void explain_graph(const ExplainQuestion& q, const world::GraphModel& m, Explanation& e) {
  const models::GraphCost& cost = *m.cost;
  e.phases.push_back(
      {q.batch == 1 ? std::string("one input") : fmt::format("a batch of {} inputs", q.batch),
       cost.batch(q.batch), cost.explain(q.batch), {}});
  const models::GraphVariant& v = cost.variant();
  e.peak = models::usable_peak(cost.unit(), v.weights, v.activations);
  e.weight_bytes = cost.weight_bytes();
  e.activation_bytes = cost.peak_activation_bytes(q.batch);
}

}  // namespace

Explanation explain(const ExplainQuestion& q) {
  need(q.batch >= 1 && q.batch <= 1'000'000, "--batch", "between 1 and 1000000", q.batch);
  need(q.sequence >= 0 && q.sequence <= 100'000'000, "--sequence", "between 1 and 1e8", q.sequence);
  need(q.context >= 0 && q.context <= 100'000'000, "--context", "between 1 and 1e8", q.context);
  need(q.image_tokens >= 0, "--image-tokens", "positive", q.image_tokens);
  const LoadedScenario loaded = q.scenario.empty() ? as_scenario(q) : load(q.scenario, q.set);
  const world::Service& s = chosen_service(*loaded.scenario, q.service);
  const world::NodeGroup& group = loaded.scenario->nodes[s.group];
  const models::ComputeUnit& unit = group.units[s.unit];

  Explanation e;
  e.model = s.model == "own" && !q.model.empty() ? q.model : s.model;
  e.variant = s.variant;
  e.device = group.device.empty() ? group.name : group.device;
  e.unit = unit.name;
  e.profile = unit.profile;
  double units = 1;
  if (const auto* llm = std::get_if<world::LlmModel>(&s.work)) {
    explain_llm(q, *llm, e);
    units = llm->cost->layout().expert_units();  // a micro-batch is in one stage at a time
  } else {
    const auto& graph = std::get<world::GraphModel>(s.work);
    if (q.context > 0 || q.image_tokens > 0)
      throw InputError("--context and --image-tokens are for language models");
    explain_graph(q, graph, e);
  }
  e.compute_roof = e.peak * unit.compute_efficiency;
  e.bandwidth = unit.memory_bandwidth * units;
  e.bandwidth_roof = e.bandwidth * unit.bandwidth_efficiency;
  return e;
}

std::string to_json(const Explanation& e) {
  const auto prediction = [](const models::Prediction& p) {
    return json{{"time_ns", p.time.ns()},
                {"kind", models::name_of(p.kind)},
                {"relative_error", p.relative_error}};
  };
  json phases = json::array();
  for (const ExplainedPhase& p : e.phases) {
    json rows = json::array();
    for (const models::OperatorCost& r : p.rows) {
      json row{{"name", r.name},
               {"kind", r.kind},
               {"flops", r.flops},
               {"bytes", r.bytes},
               {"bound", models::name_of(r.bound)}};
      row["prediction"] = prediction(r.prediction);
      rows.push_back(std::move(row));
    }
    json phase{
        {"name", p.name}, {"prediction", prediction(p.total)}, {"operators", std::move(rows)}};
    if (p.imbalance > 1) phase["expert_imbalance"] = p.imbalance;
    if (p.ranks.ranks > 1)
      phase["ranks"] = {{"ranks", p.ranks.ranks},
                        {"idle", p.ranks.idle},
                        {"own_ns", p.ranks.own_ns},
                        {"experts_ns", p.ranks.experts_ns},
                        {"exchange_ns", p.ranks.exchange_ns}};
    if (!p.stages.empty()) {
      phase["send_ns"] = p.send_ns;
      for (const models::Prediction& stage : p.stages) phase["stages"].push_back(prediction(stage));
    }
    phases.push_back(std::move(phase));
  }
  json stages = json::array();
  for (const ExplainedStage& s : e.stages)
    stages.push_back(
        {{"weight_bytes", s.weight_bytes}, {"kv_capacity_tokens", s.kv_capacity_tokens}});
  const json all{{"model", e.model},
                 {"variant", e.variant},
                 {"device", e.device},
                 {"unit", e.unit},
                 {"profile", e.profile},
                 {"peak_flops", e.peak},
                 {"compute_roof_flops", e.compute_roof},
                 {"bandwidth", e.bandwidth},
                 {"bandwidth_roof", e.bandwidth_roof},
                 {"weight_bytes", e.weight_bytes},
                 {"host_weight_bytes", e.host_weight_bytes},
                 {"activation_bytes", e.activation_bytes},
                 {"kv_bytes_per_token", e.kv_bytes_per_token},
                 {"kv_capacity_tokens", e.kv_capacity_tokens},
                 {"stages", std::move(stages)},
                 {"phases", std::move(phases)}};
  return all.dump(1);
}

}  // namespace isthmus::scenarios
