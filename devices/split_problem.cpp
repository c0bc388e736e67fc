#include "devices/split_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "devices/unit_power.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::devices {

schedulers::PartitionProblem split_problem(std::span<const models::GraphCost* const> tiers,
                                           std::int64_t batch, double input_bytes) {
  const models::OperatorGraph& graph = tiers[0]->graph();
  for (const models::GraphCost* t : tiers) {
    const models::OperatorGraph& other = t->graph();
    bool same = other.size() == graph.size();
    for (std::size_t v = 0; same && v < graph.size(); ++v) {
      same = other.at(v).name == graph.at(v).name && other.predecessors(v) == graph.predecessors(v);
      if (same && other.at(v).output != graph.at(v).output)
        throw InputError(fmt::format(
            "operator '{}' gives {} on one tier and {} on another: tiers must execute the same "
            "operators; use one model, with inputs of one size",
            graph.at(v).name, models::to_string(graph.at(v).output),
            models::to_string(other.at(v).output)));
    }
    if (!same)
      throw InputError(fmt::format(
          "a graph of {} operators cannot be split with one of {}: tiers must execute the same "
          "operators; use one model, in variants that are fused alike",
          graph.size(), other.size()));
  }
  schedulers::PartitionProblem p;
  p.tasks = static_cast<std::uint32_t>(graph.size());
  p.tiers = static_cast<std::uint32_t>(tiers.size());
  double inputs = 0;
  for (std::size_t v = 0; v < graph.size(); ++v) {
    const models::Operator& op = graph.at(v);
    const bool input = op.kind == models::OperatorKind::input;
    for (const models::GraphCost* t : tiers) {
      const models::OperatorTimeParts parts = t->operator_parts(v, batch);
      p.seconds.push_back(input ? 0 : parts.launch + parts.body);
    }
    for (const std::size_t producer : graph.predecessors(v))
      p.edges.emplace_back(static_cast<std::uint32_t>(producer), static_cast<std::uint32_t>(v));
    p.output_bytes.push_back(tiers[0]->output_bytes(v, batch));
    p.pinned.push_back(input ? 0 : -1);
    p.as_is.push_back(input);
    if (input) inputs += p.output_bytes.back();
  }
  if (input_bytes >= 0 && inputs > 0)
    for (std::size_t v = 0; v < graph.size(); ++v)
      if (p.pinned[v] == 0) p.output_bytes[v] *= input_bytes / inputs;
  for (std::size_t t = 1; t < tiers.size(); ++t) {
    p.bandwidth.push_back(std::numeric_limits<double>::infinity());
    p.latency.push_back(tiers[t]->unit().iteration_overhead.seconds());
  }
  p.watts.assign(tiers.size(), 0);
  p.watts[0] = active_power(tiers[0]->unit(), tiers[0]->batch(batch).compute_share).value();
  return p;
}

schedulers::TensorEncoding quantized(const models::GraphCost& from, const models::GraphCost& to,
                                     models::Precision format, double accuracy_loss) {
  schedulers::TensorEncoding e;
  e.name = std::string(models::name_of(format));
  e.ratio = std::min(1.0, models::bytes_of(format) / models::bytes_of(from.variant().activations));
  for (const models::ComputeUnit* u : {&from.unit(), &to.unit()})
    e.seconds_per_byte += (1 + e.ratio) / (u->memory_bandwidth * u->bandwidth_efficiency);
  e.accuracy_loss = accuracy_loss;
  return e;
}

std::vector<bool> operators_on(const models::OperatorGraph& graph,
                               const schedulers::Partition& partition, std::uint32_t tier) {
  std::vector<bool> on(graph.size(), false);
  for (std::size_t v = 0; v < graph.size(); ++v)
    on[v] = partition.tier[v] == tier && graph.at(v).kind != models::OperatorKind::input;
  return on;
}

}  // namespace isthmus::devices
