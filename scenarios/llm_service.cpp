#include "scenarios/llm_service.hpp"

#include <fmt/format.h>

#include <cmath>

#include "scenarios/resolve_engine.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

models::LlmLayout layout_of(const ObjectView& s) {
  models::LlmLayout layout;
  layout.tensor = static_cast<int>(s.count("parallel"));
  layout.data = static_cast<int>(s.count("data_parallel"));
  layout.pipeline = static_cast<int>(s.count("pipeline"));
  if (s.has("pipeline_layers"))
    for (const double layers : s.numbers("pipeline_layers"))
      layout.stage_layers.push_back(static_cast<std::int64_t>(layers));
  layout.expert = static_cast<int>(s.count("expert_parallel"));
  layout.all_to_all = s.text("expert_exchange") == "all-to-all";
  layout.expert_skew = s.number("expert_skew");
  layout.expert_imbalance = s.number_or("expert_imbalance", 0);
  return layout;
}

world::LlmModel llm_model(Resolution& r, const ObjectView& s, const ObjectView& node,
                          const ChosenModel& m, world::Service& service,
                          const models::KernelProfile* profile) {
  const world::NodeGroup& group = r.scenario.nodes[service.group];
  const models::ComputeUnit& unit = group.units[service.unit];
  models::LlmLayout layout = layout_of(s);
  for (const char* field : {"expert_exchange", "expert_skew", "expert_imbalance"})
    if (s.has(field) && layout.expert == 1)
      r.problems.add(s.at(field), s.pointer_to(field), "needs expert_parallel above 1");
  layout.link_bandwidth = node.number_or("interconnect_bandwidth", 0);
  layout.link_latency = node.duration("interconnect_latency");
  if (std::isfinite(group.unit_bandwidth)) layout.host_bandwidth = group.unit_bandwidth;
  if (layout.units() > 1 && layout.link_bandwidth <= 0)
    throw InputError(fmt::format("{} accelerators per replica need the interconnect_bandwidth of \"{}\"",
                                 layout.units(), group.name));
  if (!layout.stage_layers.empty()) {
    const auto refuse = [&](const char* why) {
      r.problems.add(s.at("pipeline_layers"), s.pointer_to("pipeline_layers"), why);
    };
    if (layout.pipeline == 1) refuse("needs pipeline above 1");
    try {
      if (layout.pipeline > 1) models::stages_of(layout, m.shape.layers);
    } catch (const InputError& e) {
      refuse(e.what());
    }
    if (r.problems.any()) return {};
  }
  world::LlmModel llm;
  llm.shape = m.shape;
  llm.variant = m.variant;
  const auto cost_on = [&](const models::ComputeUnit& u) {
    return std::make_shared<const models::LlmCost>(llm.shape, llm.variant, u, layout, profile);
  };
  llm.cost = cost_on(unit);
  // At every clock of its unit: the arithmetic peak scales, memory does not.
  if (group.physics) {
    const devices::UnitPhysics& clocks = group.physics->units[service.unit];
    for (const devices::OperatingPoint& point : clocks.points) {
      models::ComputeUnit slower = unit;
      for (double& peak : slower.peak) peak *= point.frequency / clocks.points.back().frequency;
      llm.by_point.push_back(cost_on(slower));
    }
    if (profile && clocks.points.size() > 1)
      r.scenario.notices.push_back(
          fmt::format("service \"{}\": measured times of \"{}\" do not follow its clock",
                      service.name, unit.name));
  }

  world::ContinuousBatching& c = service.batching.continuous;
  if (layout.pipeline > 1 &&
      (c.async_scheduling || c.swap || c.speculation.tokens > 0 || !c.tiers.empty() ||
       c.adapters.slots > 0))
    throw InputError(fmt::format("a pipeline of {} stages has no {}", layout.pipeline,
                                 c.async_scheduling           ? "async_scheduling"
                                 : c.swap                     ? "preemption by swapping"
                                 : c.speculation.tokens > 0 ? "speculation"
                                 : c.adapters.slots > 0 ? "adapters"
                                                            : "kv_tiers"));
  if (layout.data > 1 && (c.swap || c.speculation.tokens > 0 || !c.tiers.empty() || c.adapters.slots > 0))
    throw InputError(fmt::format("{} data-parallel ranks have no {}", layout.data,
                                 c.swap                     ? "preemption by swapping"
                                 : c.speculation.tokens > 0 ? "speculation"
                                 : c.adapters.slots > 0     ? "adapters"
                                                            : "kv_tiers"));
  Value storage;
  size_engine(r, service.name, policy_view(s, "batching", batching_spec(), storage), llm, c,
              [&](const models::LlmShape& shape, const models::LlmVariant& variant) {
                return std::make_shared<const models::LlmCost>(shape, variant, unit, layout.tensor,
                                                               layout.link_bandwidth,
                                                               layout.link_latency, profile);
              });
  return llm;
}

}  // namespace isthmus::scenarios
