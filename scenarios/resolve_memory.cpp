// What models need in the memory of their machines, how they get there, and who shares it.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "devices/model_loading.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

constexpr double longest_loading = 1e9;  // s

// The largest batch that its policy can form, as far as it says.
std::int64_t largest_batch(const world::Service& out) {
  std::int64_t batch = 1;
  if (out.batching.parameters)
    for (const auto& p : out.batching.policy->parameters)
      if (p.name == "max_batch")
        batch = static_cast<std::int64_t>(
            std::min(4096.0, out.batching.parameters->number("max_batch")));
  return batch;
}

double weights_of(const world::GraphModel& graph) {
  double bytes = 0;
  for (const world::GraphChoice& c : graph.choices) bytes += c.weight_bytes;
  return graph.choices.empty() ? graph.cost->weight_bytes() : bytes;
}

// Activations and workspaces of all batches that run at once.
double working_bytes(double activations, const world::Service& out) {
  return (activations + out.workspace) * out.slots;
}

double activations_of(const world::GraphModel& graph, const world::Service& out) {
  return working_bytes(graph.cost->peak_activation_bytes(largest_batch(out)), out);
}

std::string bytes_text(double bytes) { return format_quantity(bytes, Unit::bytes); }

// "weights 1 GB + activations and workspace of 1 x batch 4 2 MB = 1.002 GB"
std::string arithmetic(double weights, double activations, const world::Service& out) {
  return fmt::format("weights {} + activations{} of {} x batch {} {} = {}", bytes_text(weights),
                     out.workspace > 0 ? " and workspace" : "", out.slots, largest_batch(out),
                     bytes_text(activations), bytes_text(weights + activations));
}

// Refuses a graph on several units when one of them cannot hold what its operators need.
void check_unit_memories(Resolution& r, const ObjectView& s, const world::Service& out) {
  const world::GraphExecution& e = *out.execution();
  const world::NodeGroup& group = r.scenario.nodes[out.group];
  std::vector<world::UnitMemory> memory;
  try {
    memory = world::memory_by_unit(e, group, largest_batch(out));
  } catch (const InputError& error) {  // a large batch that cannot be planned
    return r.problems.add(s.at("units"), s.pointer_to("units"), error.what());
  }
  for (std::size_t k = 0; k < e.units.size(); ++k) {
    const models::ComputeUnit& unit = group.units[e.units[k]];
    const double activations = working_bytes(memory[k].activations, out);
    if (unit.memory <= 0 || memory[k].weights + activations <= unit.memory) continue;
    r.problems.add(
        s.at("units"), s.pointer_to("units"),
        fmt::format("does not fit: the operators on unit \"{}\" need {}, but it has {}; take a "
                    "smaller format or batch, or leave the unit out",
                    unit.name, arithmetic(memory[k].weights, activations, out),
                    bytes_text(unit.memory)));
  }
}

// Refuses what does not fit on its unit when `held` bytes of its weights are there.
void check_memory(Resolution& r, const ObjectView& s, const world::Service& out, double held) {
  const auto* graph = std::get_if<world::GraphModel>(&out.work);
  const models::ComputeUnit& unit = r.scenario.nodes[out.group].units[out.unit];
  if (!graph) return;
  if (out.execution()) return check_unit_memories(r, s, out);
  if (unit.memory <= 0) return;
  const double weights = std::min(weights_of(*graph), held);
  const double activations = activations_of(*graph, out);
  if (weights + activations <= unit.memory) return;
  r.problems.add(
      s.at("model"), s.pointer_to("model"),
      fmt::format("does not fit: {}, but unit \"{}\" has {}; take a smaller format or batch{}",
                  arithmetic(weights, activations, out), unit.name, bytes_text(unit.memory),
                  s.has("loading") ? "" : ", or \"loading\": \"offload\""));
}

// The plan that "loading" asks for; without it an eager one.
devices::LoadPlan loading_of(const Resolution& r, const ObjectView& s, const ObjectView& node,
                             const world::Service& out, devices::LoadPath& path) {
  Value storage;
  const Value* written = s.find("loading");
  if (!written || written->is(JsonKind::text)) {
    storage = object_value(s.at("loading"));
    storage.members.push_back(
        {"strategy", storage.at, written ? *written : text_value("eager", storage.at)});
    written = &storage;
  }
  const ObjectView v(written, loading_spec(), s.pointer_to("loading"), s.at("loading"));
  const world::NodeGroup& group = r.scenario.nodes[out.group];
  const auto* llm = std::get_if<world::LlmModel>(&out.work);
  const auto* graph = std::get_if<world::GraphModel>(&out.work);
  path.storage_bandwidth = node.number("storage_bandwidth");
  path.storage_latency = node.number("storage_latency");
  path.deserialize = v.number("deserialize");
  path.copy_bandwidth = v.number_or("copy_bandwidth", group.unit_bandwidth);
  path.page_fault = v.number("page_fault");
  devices::LoadRequest request;
  request.strategy = devices::load_strategy_from(v.text("strategy"));
  request.shard = v.number("shard");
  request.accelerators = out.parallel;
  request.from_disk = v.flag("from_disk");
  if (llm) {
    request.weights = llm->cost->weight_bytes();
    if (request.strategy == devices::LoadStrategy::offload)
      throw InputError(
          "only operator graphs are offloaded; give language models a smaller format or more "
          "accelerators");
  } else if (graph) {
    request.weights = weights_of(*graph);
    request.room =
        std::max(0.0, group.units[out.unit].memory * out.parallel - activations_of(*graph, out));
  } else {
    throw InputError("only services with a model load weights");
  }
  const devices::LoadPlan plan = devices::plan_loading(request, path);
  if (const double all = plan.ready + plan.first_use + plan.every_use; !(all < longest_loading))
    throw InputError(
        fmt::format("loading would take {:.3g} s; check shard, page_fault, deserialize, "
                    "copy_bandwidth and the node's storage_bandwidth",
                    all));
  return plan;
}

}  // namespace

void read_loading(Resolution& r, const ObjectView& s, const ObjectView& node, world::Service& out) {
  if (r.problems.any() || r.scenario.nodes[out.group].model_cache) return;
  if (!s.has("loading")) return check_memory(r, s, out, INFINITY);
  try {
    devices::LoadPath path;
    const devices::LoadPlan plan = loading_of(r, s, node, out, path);
    double ready = plan.ready, first = plan.first_use;
    if (std::holds_alternative<world::LlmModel>(out.work) || out.execution()) {
      ready += first;  // engines and spread graphs are ready when all is there
      first = 0;
    }
    if (out.execution() && plan.every_use > 0)
      throw InputError("weights of graphs on several units are not offloaded; use \"unit\"");
    if (!s.has("cold_start")) out.cold_start = Duration::from_seconds(ready);
    out.first_use = first;
    out.every_use = plan.every_use;
    out.load_host_peak = plan.host_peak;
    check_memory(r, s, out, plan.resident);
  } catch (const InputError& e) {
    r.problems.add(s.at("loading"), s.pointer_to("loading"), e.what());
  }
}

void read_model_cache(Resolution& r, const ObjectView& node, world::NodeGroup& group) {
  if (!node.has("model_cache")) return;
  const ObjectView v = node.object("model_cache");
  world::ModelMemory memory;
  memory.policy = &schedulers::find_entry(schedulers::eviction_policies(), v.variant());
  memory.parameters = parameters_of(*memory.policy, v);
  double most = 0;
  for (const models::ComputeUnit& u : group.units) most = std::max(most, u.memory);
  memory.capacity = v.number_or("capacity", most);
  memory.preload = v.flag("preload");
  memory.keep_in_host = v.flag("keep_in_host");
  if (memory.capacity <= 0)
    r.problems.add(node.at("model_cache"), node.pointer_to("model_cache"),
                   "needs a capacity: no unit of the machine states its memory");
  group.model_cache = std::move(memory);
}

void read_cached(Resolution& r, const ObjectView& s, const ObjectView& node, world::Service& out) {
  world::NodeGroup& group = r.scenario.nodes[out.group];
  if (r.problems.any() || !group.model_cache) return;
  world::ModelMemory& memory = *group.model_cache;
  if (!out.execution())
    return r.problems.add(
        s.at("model"), s.pointer_to("model"),
        fmt::format("\"{}\" has a model_cache: its models share units; {}", group.name,
                    std::holds_alternative<world::LlmModel>(out.work)
                        ? "language models keep theirs, so put them on a node of their own"
                        : "say on which with \"units\""));
  const auto& graph = std::get<world::GraphModel>(out.work);
  const double weights = weights_of(graph), activations = activations_of(graph, out);
  if (weights + activations > memory.capacity)
    return r.problems.add(
        s.at("model"), s.pointer_to("model"),
        fmt::format("does not fit: {}, but the model_cache of \"{}\" has {}; take a smaller format "
                    "or batch",
                    arithmetic(weights, activations, out), group.name,
                    bytes_text(memory.capacity)));
  try {
    devices::LoadPath path;
    const devices::LoadPlan plan = loading_of(r, s, node, out, path);
    if (plan.every_use > 0)
      throw InputError("weights in a model_cache are not offloaded: they come and go as a whole");
    out.load_host_peak = plan.host_peak;
    out.cached = static_cast<std::uint32_t>(memory.models.size());
    const Duration load = Duration::from_seconds(plan.ready + plan.first_use);
    const Duration copy = Duration::from_seconds(weights / path.copy_bandwidth);
    memory.models.push_back({.bytes = weights + activations,
                             .load = load,
                             .reload = memory.keep_in_host ? std::min(load, copy) : load,
                             .priority = static_cast<double>(out.execution()->priority)});
  } catch (const InputError& e) {
    r.problems.add(s.at("loading"), s.pointer_to("loading"), e.what());
  }
}

double replica_memory(const world::NodeGroup& group, const world::Service& s, const ObjectView& v) {
  if (const auto* llm = std::get_if<world::LlmModel>(&s.work)) {
    const world::ContinuousBatching& c = s.batching.continuous;
    const Value* batching = v.find("batching");
    const Value* stated = batching && batching->is(JsonKind::object) ? batching->find("kv_tokens") : nullptr;
    if (!stated || number_of(*stated, Unit::none) == 0) return c.memory_utilization * group.units[s.unit].memory;
    return llm->cost->weight_bytes() + static_cast<double>(c.kv_tokens) * llm->cost->kv_bytes_per_token();
  }
  const auto* graph = std::get_if<world::GraphModel>(&s.work);
  return graph ? weights_of(*graph) + activations_of(*graph, s) : 0.0;
}

// Graphs that run on the same units are there together.
void check_shared_memory(Resolution& r, const ObjectView& root) {
  if (r.problems.any()) return;
  for (std::uint32_t g = 0; g < r.scenario.nodes.size(); ++g) {
    const world::NodeGroup& group = r.scenario.nodes[g];
    if (group.model_cache) continue;
    double most = 0, all = 0;
    for (const models::ComputeUnit& u : group.units) {
      most = std::max(most, u.memory);
      all += u.memory;
    }
    const double memory = std::isinf(group.unit_bandwidth) ? most : all;
    if (memory <= 0) continue;
    double sum = 0;
    std::string terms, last;
    std::uint32_t services = 0;
    for (const world::Service& s : r.scenario.services) {
      const auto* graph = std::get_if<world::GraphModel>(&s.work);
      if (s.group != g || !graph || !s.execution()) continue;
      const double each = s.local ? 1 : std::ceil(static_cast<double>(s.replicas) / group.count);
      const double bytes = each * (weights_of(*graph) + activations_of(*graph, s));
      sum += bytes;
      terms += fmt::format("{}{} {}", services++ == 0 ? "" : " + ", s.name, bytes_text(bytes));
      last = s.name;
    }
    if (services < 2 || sum <= memory) continue;
    const Value* service = root.find("services")->find(last);
    const Value* model = service->find("model");
    r.problems.add(model->at, child(child("/services", last), "model"),
                   fmt::format("does not fit beside the others on \"{}\": {} = {} of weights and "
                               "activations, but its memory is {}; take smaller formats, or give "
                               "the node a \"model_cache\" in which they take turns",
                               group.name, terms, bytes_text(sum), bytes_text(memory)));
  }
}

}  // namespace isthmus::scenarios
