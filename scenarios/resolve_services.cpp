#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "devices/split_problem.hpp"
#include "models/kernel_profile.hpp"
#include "models/pass_exits.hpp"
#include "scenarios/file_reading.hpp"
#include "scenarios/llm_service.hpp"
#include "scenarios/model_choice.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/resolve_engine.hpp"
#include "scenarios/tables.hpp"
#include "scenarios/triton_config.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

std::shared_ptr<const models::KernelProfile> profile_of(const models::ComputeUnit& unit) {
  if (unit.profile.empty()) return nullptr;
  return std::make_shared<const models::KernelProfile>(models::KernelProfile::load(unit.profile));
}

// A graph spread over units of a node. Throws InputError.
world::GraphExecution read_execution(Resolution& r, const ObjectView& s, const ChosenModel& m,
                                     const world::NodeGroup& group) {
  world::GraphExecution e;
  std::vector<std::string> reasons;
  for (const std::string& name : s.texts("units")) {
    const std::uint32_t unit = unit_named(group, name);
    if (std::find(e.units.begin(), e.units.end(), unit) != e.units.end())
      throw InputError(fmt::format("unit \"{}\" is named twice", name));
    if (group.count_of(unit) > 1)
      throw InputError(
          fmt::format("\"{}\" has {} of unit \"{}\"; graphs are spread over machines with one of each",
                      group.name, group.count_of(unit), name));
    e.units.push_back(unit);
    try {
      e.costs.push_back(std::make_shared<const models::GraphCost>(
          *m.graph, m.graph_variant(), group.units[unit], profile_of(group.units[unit])));
    } catch (const InputError& error) {  // such as a format that it does not have
      e.costs.push_back(nullptr);
      reasons.push_back(error.what());
      r.scenario.notices.push_back(fmt::format("service \"{}\": nothing runs on unit \"{}\": {}",
                                               s.pointer().substr(10), name, error.what()));
    }
  }
  if (std::all_of(e.costs.begin(), e.costs.end(), [](const auto& c) { return c == nullptr; }))
    throw InputError(
        fmt::format("none of its units can run the graph: {}", fmt::join(reasons, "; ")));
  read_policy(r, s, "scheduler", list_scheduler_spec(), schedulers::list_schedulers(), e.scheduler,
              e.parameters);
  e.priority = static_cast<std::int32_t>(s.number("priority"));
  e.pack = s.number_or("pack", 0);
  if (!r.problems.any())
    world::execution_plan(e, group, 1);  // what cannot be planned is refused here
  return e;
}

// A variant with its exits on a unit. Throws InputError.
world::GraphChoice choice_of(const ChosenModel& m, const models::ComputeUnit& unit,
                             const std::string& name, std::optional<double> accuracy) {
  world::GraphChoice c;
  c.name = name;
  const auto cost_of = [&](const models::OperatorGraph& graph) {
    return std::make_shared<const models::GraphCost>(graph, m.graph_variant(), unit,
                                                     profile_of(unit));
  };
  const std::size_t exits = m.exits ? m.exits->exits.size() : 0;
  for (std::size_t e = 0; e <= exits; ++e) {
    world::GraphExit exit;
    if (m.exits) {
      exit.share = models::exit_share(*m.exits, e);
      const auto& known = e < exits ? m.exits->exits[e].accuracy : m.exits->accuracy;
      exit.accuracy = accuracy.value_or(known ? known->value : 0);
    } else {
      exit.accuracy = accuracy.value_or(m.variant.accuracy);
    }
    exit.cost = cost_of(e < exits ? models::prefix_graph(*m.exits, e) : *m.graph);
    c.accuracy += exit.share * exit.accuracy;
    c.exits.push_back(std::move(exit));
  }
  c.weight_bytes = c.exits.back().cost->weight_bytes();
  return c;
}

// The variants among which a service chooses.
void read_choices(Resolution& r, const ObjectView& s, const models::ComputeUnit& unit,
                  world::GraphModel& graph) {
  std::vector<std::string> names;
  for (const Value& written : s.find("variants")->items) {
    // As a service with that variant would be read.
    const Position at = written.at;
    Value as = written;
    if (written.is(JsonKind::text)) {
      as = object_value(at);
      as.members.push_back({"variant", at, written});
    }
    std::string name = written.is(JsonKind::text) ? written.text : "";
    if (!as.find("model")) as.members.push_back({"model", at, text_value(s.text("model"), at)});
    const ObjectView v(&as, variant_choice_spec(),
                       child(s.pointer_to("variants"), std::to_string(names.size())), at);
    const ChosenModel m = choose_model(r, v);
    if (r.problems.any()) return;
    const auto refuse = [&](const std::string& why) { r.problems.add(at, v.pointer(), why); };
    if (m.llm)
      return refuse("language models answer with one variant; make them services of their own");
    if (v.has("name")) name = v.text("name");
    if (name.empty())
      name = v.text("model") == s.text("model") ? m.variant.name
                                                : v.text("model") + " " + m.variant.name;
    if (std::find(names.begin(), names.end(), name) != names.end())
      return refuse(fmt::format("two variants are called \"{}\"; give them names", name));
    names.push_back(name);
    if (!m.accuracy_known && !v.has("accuracy") && !m.exits)
      r.scenario.notices.push_back(fmt::format(
          "service \"{}\": no published accuracy of variant {} is known; it counts as 0",
          s.pointer().substr(10), name));
    try {
      graph.choices.push_back(choice_of(
          m, unit, name,
          v.has("accuracy") ? std::optional<double>(v.number("accuracy")) : std::nullopt));
    } catch (const InputError& e) {
      return refuse(e.what());
    }
  }
}

// A fixed variant must be one of those that the service has.
void check_variant_policy(Resolution& r, const ObjectView& s, const world::GraphModel& graph) {
  if (!graph.policy || graph.policy->name != "fixed") return;
  const std::string wanted = graph.parameters->text("variant");
  std::vector<std::string> known;
  for (const world::GraphChoice& c : graph.choices) known.push_back(c.name);
  if (wanted.empty() || std::find(known.begin(), known.end(), wanted) != known.end()) return;
  r.problems.add(
      s.at("variant_policy"), s.pointer_to("variant_policy"),
      fmt::format("the service has no variant \"{}\"{}", wanted, suggestion(wanted, known)));
}

// A model on a unit: its cost model, with errors placed at the service.
void build_work(Resolution& r, const ObjectView& s, const ObjectView& node, world::Service& out) {
  const world::NodeGroup& group = r.scenario.nodes[out.group];
  const models::ComputeUnit& unit = group.units[out.unit];
  const ChosenModel m = choose_model(r, s);
  out.model = s.text("model");
  out.variant = m.variant.name;
  out.accuracy = s.number_or("accuracy", m.variant.accuracy);
  if (!m.accuracy_known && !s.has("accuracy") && !s.has("variants") && !m.exits)
    r.scenario.notices.push_back(
        fmt::format("service \"{}\": no published accuracy of {} as {} is known; it counts as 0",
                    out.name, out.model, out.variant));
  if (r.problems.any()) return;  // a half-known unit or variant would only add noise
  try {
    std::shared_ptr<const models::KernelProfile> profile = profile_of(unit);
    if (m.llm) {
      world::LlmModel llm = llm_model(r, s, node, m, out, profile.get());
      if (!llm.cost) return;
      out.timing = std::string(models::name_of(llm.cost->kind()));
      out.timing_error = llm.cost->relative_error();
      out.work = std::move(llm);
    } else {
      if (out.parallel > 1) throw InputError("only language models run on several accelerators");
      for (const char* field :
           {"pipeline_layers", "data_parallel", "expert_parallel", "expert_exchange", "expert_skew", "expert_imbalance"})
        if (s.has(field))
          r.problems.add(s.at(field), s.pointer_to(field), "only for language models");
      world::GraphModel graph;
      if (s.has("variants")) {
        if (s.has("variant")) throw InputError("give either \"variant\" or \"variants\"");
        read_choices(r, s, unit, graph);
        if (r.problems.any()) return;
        read_policy(r, s, "variant_policy", variant_policy_spec(), schedulers::variant_policies(),
                    graph.policy, graph.parameters);
        check_variant_policy(r, s, graph);
        out.variant = "chosen per request";
      } else if (m.exits) {
        graph.choices.push_back(choice_of(m, unit, m.variant.name, std::nullopt));
      }
      if (!graph.choices.empty()) {
        if (s.has("units"))
          throw InputError("variants and early exits run on one unit; use \"unit\"");
        out.accuracy = s.number_or("accuracy", graph.choices.front().accuracy);
        out.accuracy_given = s.has("accuracy");
      }
      if (s.has("units")) {
        try {
          graph.execution = read_execution(r, s, m, group);
        } catch (const InputError& e) {
          r.problems.add(s.at("units"), s.pointer_to("units"), e.what());
          return;
        }
        // Its unit for estimates is the first that computes the format.
        std::size_t first = 0;
        while (!graph.execution->costs[first]) ++first;
        out.unit = graph.execution->units[first];
        graph.cost = graph.execution->costs[first];
      } else if (!graph.choices.empty()) {
        graph.cost = graph.choices.front().exits.back().cost;
      } else {
        graph.cost = std::make_shared<const models::GraphCost>(*m.graph, m.graph_variant(), unit,
                                                               std::move(profile));
      }
      const models::Prediction one = graph.cost->batch(1);
      out.timing = std::string(models::name_of(one.kind));
      out.timing_error = one.relative_error;
      out.work = std::move(graph);
    }
  } catch (const InputError& e) {
    for (const std::string& line : e.problems())
      r.problems.add(s.at("model"), s.pointer_to("model"), line);
  }
  out.timing_error = s.number_or("timing_error", out.timing_error);
  if (out.timing_error > 0)
    out.timing += fmt::format(", standard error {:.0f} %", 100 * out.timing_error);
}

// Policy and slots from a model configuration of Triton.
void read_triton(Resolution& r, const ObjectView& s, const ObjectView& v, world::Service& out) {
  try {
    const TritonConfig c = read_triton_config(expand_path(v.text("config"), r.document.folder));
    out.batching.policy = &schedulers::find_entry(schedulers::batching_policies(), c.policy);
    out.batching.parameters = c.parameters;
    out.batching.policy->make(c.parameters);
    if (!s.has("slots")) out.slots = c.instances;
    else if (out.slots != c.instances)
      r.scenario.notices.push_back(
          fmt::format("service \"{}\": {} slots, though its config.pbtxt has {} instances", out.name,
                      out.slots, c.instances));
    if (c.ignored.empty()) return;
    std::string all;
    for (const std::string& name : c.ignored) all += (all.empty() ? "" : ", ") + name;
    r.scenario.notices.push_back(
        fmt::format("service \"{}\": not simulated of its config.pbtxt: {}", out.name, all));
  } catch (const InputError& e) {
    for (const std::string& line : e.problems())
      r.problems.add(v.at("config"), v.pointer_to("config"), line);
  }
}

void read_batching(Resolution& r, const ObjectView& s, bool llm, world::Service& out) {
  Value storage;
  const ObjectView v = policy_view(s, "batching", batching_spec(), storage);
  if (v.variant() == "continuous" || llm) {
    if (!llm)
      r.problems.add(s.at("batching"), s.pointer_to("batching"),
                     "continuous batching is for language models");
    if (v.variant() != "continuous") {
      if (!v.variant().empty())
        r.problems.add(
            s.at("batching"), s.pointer_to("batching"),
            fmt::format("language models batch continuously; \"{}\" does not apply", v.variant()));
      return;
    }
    read_engine(r, v, out.batching.continuous);
    return;
  }
  if (v.variant() == "fitted") return;  // once its times are known
  if (v.variant() == "triton") return read_triton(r, s, v, out);
  read_policy(r, s, "batching", batching_spec(), schedulers::batching_policies(),
              out.batching.policy, out.batching.parameters);
}

// The batch with the highest throughput on what the service runs on, within a limit of its time.
void fit_batch(Resolution& r, const ObjectView& s, world::Service& out) {
  Value storage;
  const ObjectView v = policy_view(s, "batching", batching_spec(), storage);
  if (v.variant() != "fitted" || r.problems.any()) return;
  const auto* graph = std::get_if<world::GraphModel>(&out.work);
  if (!graph) {
    r.problems.add(s.at("batching"), s.pointer_to("batching"),
                   "batches are fitted to operator graphs only");
    return;
  }
  const double limit = v.number_or("latency_limit", 1e300);
  double best = 0;
  std::uint32_t size = 0;
  for (std::uint32_t b = 1; b <= v.count("max_batch"); ++b) {
    const double seconds =
        out.execution() ? world::execution_plan(*out.execution(), r.scenario.nodes[out.group], b)
                              .makespan()
                              .seconds()
                        : graph->cost->batch(b).time.seconds();
    if (seconds <= limit && b / seconds > best * (1 + 1e-9)) {
      best = b / seconds;
      size = b;
    }
  }
  if (size == 0) {
    r.problems.add(
        s.at("batching"), s.pointer_to("batching"),
        fmt::format("a single request takes longer than the latency_limit of {:g} s", limit));
    return;
  }
  out.batching.policy = &schedulers::find_entry(schedulers::batching_policies(), "greedy");
  out.batching.parameters.emplace(out.batching.policy->parameters);
  out.batching.parameters->set("max_batch", size);
  out.timing += fmt::format(", batches of up to {} fitted to its units", size);
}

// Splits between a service and a local one, once all services are known.
void resolve_split(Resolution& r, const ObjectView& s, world::Service& tail) {
  Value storage;
  const ObjectView v = policy_view(s, "split", split_spec(), storage);
  const auto refuse = [&](const std::string& why) {
    r.problems.add(s.at("split"), s.pointer_to("split"), why);
  };
  world::GraphSplit split;
  split.before = {r.services.at(v.text("head"))};
  if (&r.scenario.services[split.before[0]] == &tail)
    return refuse("the head is this service itself; name a local one");
  if (v.has("via"))
    for (const std::string& name : v.texts("via")) split.before.push_back(r.services.at(name));
  if (split.before.size() > 3) return refuse("at most two services may lie between the ends");
  std::vector<world::Service*> tiers;
  for (const std::uint32_t i : split.before) tiers.push_back(&r.scenario.services[i]);
  tiers.push_back(&tail);
  std::vector<const models::GraphCost*> costs;
  for (std::size_t t = 0; t < tiers.size(); ++t) {
    const world::Service& service = *tiers[t];
    if (std::find(tiers.begin(), tiers.begin() + static_cast<std::ptrdiff_t>(t), tiers[t]) !=
        tiers.begin() + static_cast<std::ptrdiff_t>(t))
      return refuse(fmt::format("\"{}\" runs one part only; name it once", service.name));
    const auto* graph = std::get_if<world::GraphModel>(&service.work);
    if (!graph || graph->execution || !graph->choices.empty())
      return refuse(
          fmt::format("\"{}\" must run an operator graph on one unit, in one variant and without "
                      "early exits",
                      service.name));
    if (service.local != (t == 0))
      return refuse("splits are between a local head and services that are not local");
    costs.push_back(graph->cost.get());
  }
  split.policy = &schedulers::find_entry(schedulers::partitioners(), v.variant());
  split.parameters = parameters_of(*split.policy, v);
  split.hysteresis = v.number("hysteresis");
  split.latency_weight = v.number("latency_weight");
  split.energy_weight = v.number("energy_weight");
  split.price_weight = v.number("price_weight");
  try {
    devices::split_problem(costs, 1);
    if (v.has("encode"))
      for (const std::string& format : v.texts("encode"))
        split.encodings.push_back(devices::quantized(
            *costs[0], *costs[1], *models::precision_from(format), v.number("accuracy_loss")));
  } catch (const InputError& e) {
    return refuse(e.what());
  }
  for (world::Service* service : tiers) service->parts = true;
  tail.split = std::move(split);
}

}  // namespace

ObjectView policy_view(const ObjectView& owner, std::string_view name, const ObjectSpec& spec,
                       Value& storage) {
  const Value* written = owner.find(name);
  const std::string bare = written && !written->is(JsonKind::text) ? "" : owner.text(name);
  if (!bare.empty()) {
    storage = object_value(owner.at(name));
    storage.members.push_back({"policy", storage.at, text_value(bare, storage.at)});
    return {&storage, spec, owner.pointer_to(name), storage.at};
  }
  return {written, spec, owner.pointer_to(name), owner.at(name)};
}

world::Service resolve_service(Resolution& r, const ObjectView& root, const std::string& name,
                               const ObjectView& s) {
  world::Service out;
  out.name = name;
  out.group = r.groups.at(s.text("on"));
  read_placement(r, s, out);
  out.slots = s.count("slots");
  out.workspace = s.number("workspace");
  if (s.has("cold_start")) out.cold_start = s.duration("cold_start");
  const ObjectView queue = s.object("queue");
  if (queue.has("capacity")) out.queue_capacity = queue.count("capacity");
  out.request_overhead = s.duration("request_overhead");
  out.queue_timeout = queue.duration_or("timeout", Duration::max());
  out.transfers = read_transfer_policy(r, s, r.transfer_policy);
  out.protocol = read_protocol(r, s, out);

  // What it runs: a model or a law.
  const bool law = s.has("service_time");
  bool llm = false;
  if (law == s.has("model")) {
    r.problems.add(s.at(), s.pointer(), "give either \"model\" or \"service_time\"");
  } else if (!law) {
    llm = is_language_model(r, s.text("model"));
  }
  read_batching(r, s, llm, out);
  if (!s.has("pools")) read_front(r, s, out);
  if (!out.local) read_replicas(r, s, out);
  read_policy(r, s, "routing", routing_spec(), schedulers::routing_policies(), out.routing,
              out.routing_parameters);
  if (!s.has("pools")) read_balancer(r, s, out, out.max_replicas);
  const ObjectView node(root.find("nodes")->find(s.text("on")), node_spec(),
                        child("/nodes", s.text("on")), s.at());
  if (law) {
    world::ServiceLaw w;
    w.time = s.distribution("service_time", r.problems);
    w.per_item = s.number("per_item");
    out.work = w;
    out.model = "service time";
    out.accuracy = s.number_or("accuracy", 0);
    out.timing_error = s.number_or("timing_error", 0);
    out.timing = "given";
    for (const char* other :
         {"variant", "variants", "variant_policy", "loading", "parallel", "pipeline",
          "pipeline_layers", "data_parallel", "expert_parallel", "expert_exchange", "expert_skew",
          "expert_imbalance", "unit", "units", "scheduler", "priority", "workspace", "time_cv"})
      if (s.has(other))
        r.problems.add(s.at(other), s.pointer_to(other), "only services with a model have this");
  } else if (s.has("model")) {
    if (s.has("per_item"))
      r.problems.add(s.at("per_item"), s.pointer_to("per_item"), "only for service_time");
    if (llm && s.has("slots"))
      r.problems.add(s.at("slots"), s.pointer_to("slots"),
                     "language models batch continuously; see batching.max_batch");
    if (llm)
      for (const char* other :
           {"units", "scheduler", "priority", "pack", "variants", "variant_policy", "workspace"})
        if (s.has(other))
          r.problems.add(s.at(other), s.pointer_to(other), "only for operator graphs");
    if (s.has("variant_policy") && !s.has("variants"))
      r.problems.add(s.at("variant_policy"), s.pointer_to("variant_policy"),
                     "only with \"variants\"");
    if (!s.has("units")) {
      for (const char* other : {"scheduler", "priority", "pack"})
        if (s.has(other)) r.problems.add(s.at(other), s.pointer_to(other), "only with \"units\"");
      check_capacity(r, s, out);
    }
    if (s.has("time_cv") && (llm || s.has("units")))
      r.problems.add(s.at("time_cv"), s.pointer_to("time_cv"),
                     "only for operator graphs on a unit of their own");
    out.time_cv = s.number("time_cv");
    build_work(r, s, node, out);
    fit_batch(r, s, out);
    read_loading(r, s, node, out);
    read_cached(r, s, node, out);
  }
  read_startup(r, s, out);
  read_shared_use(r, s, out);
  return out;
}

void resolve_services(Resolution& r, const ObjectView& root) {
  for (const Member& m : root.find("services")->members) {
    const ObjectView s(&m.value, service_spec(), child("/services", m.key), m.at);
    if (m.key == "offload")
      r.problems.add(m.at, s.pointer(),
                     "\"offload\" is the name of the offload policy; choose another");
    r.services.emplace(m.key, static_cast<std::uint32_t>(r.scenario.services.size()));
    if (s.find("on")->is(JsonKind::list)) {
      const bool twice = s.has("placement") && !s.has("pools");
      r.problems.add(s.at("on"), s.pointer_to("on"),
                     s.has("pools") ? "each pool names its node group; give one here"
                     : twice        ? "a node group is named twice"
                                    : "several node groups need a \"placement\", which chooses among them");
      continue;
    }
    if (s.has("pools")) {
      resolve_pools(r, root, m.key, s);
      continue;
    }
    for (const char* other : {"kv_transfer", "decode_routing"})
      if (s.has(other))
        r.problems.add(s.at(other), s.pointer_to(other), "only with \"pools\"");
    r.scenario.services.push_back(resolve_service(r, root, m.key, s));
    if (!s.has("placement")) continue;
    world::Service& placed = r.scenario.services.back();
    if (const std::string why = unmet_requirement(r, s, s, placed.group); !why.empty())
      r.problems.add(s.at("placement"), s.pointer_to("placement"), "no machine is what it requires: " + why);
    if (r.problems.any()) continue;
    read_requests(r, s, placed);
    read_rules(r, s, placed, {});
  }
  check_shared_memory(r, root);
  if (!r.problems.any()) check_shared_pools(r, root);
  if (!r.problems.any()) check_brokers(r, root);
  if (r.problems.any()) return;
  for (const Member& m : root.find("services")->members) {
    const ObjectView s(&m.value, service_spec(), child("/services", m.key), m.at);
    if (s.has("placement")) resolve_neighbours(r, s, r.scenario.services[r.services.at(m.key)]);
    if (s.has("split")) resolve_split(r, s, r.scenario.services[r.services.at(m.key)]);
  }
  resolve_caching(r, root);
}

}  // namespace isthmus::scenarios
