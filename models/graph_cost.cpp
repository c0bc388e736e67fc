#include "models/graph_cost.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/kernel_profile.hpp"
#include "models/kernel_query.hpp"
#include "models/pass_fuse.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Batches whose totals are computed once; larger ones are computed when asked.
constexpr std::int64_t prepared_batches = 64;
// An extrapolated kernel is never called better than this.
constexpr double extrapolation_error = 0.3;

// A single inference takes less than this, s; what is counted wrongly takes more.
constexpr double longest_inference = 1e6;
// Times of large batches are cut here, ns: sums of them stay within the range of Duration.
constexpr double longest_batch_ns = 1e18;

Duration rounded(double ns) { return Duration(std::llround(std::min(ns, longest_batch_ns))); }

// A time under construction, in ns.
struct Time {
  double ns = 0;
  PredictionKind kind = PredictionKind::measured;
  double relative_error = 0;
};

// What a deployment runtime executes: patterns folded into single kernels.
OperatorGraph fused(const OperatorGraph& graph, const GraphVariant& variant) {
  graph.validate();
  return fuse({.graph = graph, .weights = variant.weights, .activations = variant.activations})
      .graph;
}

}  // namespace

struct GraphCost::Impl {
  Impl(OperatorGraph fused_graph, const GraphVariant& variant_in, const ComputeUnit& unit_in,
       std::shared_ptr<const KernelProfile> profile_in, std::vector<bool> keep_in = {})
      : graph(std::move(fused_graph)),
        variant(variant_in),
        unit(unit_in),
        profile(std::move(profile_in)),
        keep(std::move(keep_in)) {
    if (!(unit.memory_bandwidth > 0 && unit.bandwidth_efficiency > 0 &&
          unit.compute_efficiency > 0))
      throw InputError("unit '" + unit.name +
                       "': memory_bandwidth and the efficiencies must be positive");
    for (std::size_t v = 0; v < graph.size(); ++v)
      flops_per_ns.push_back(usable_peak(unit, weights_of(v), activations_of(v)) *
                             unit.compute_efficiency * 1e-9);
    bytes_per_ns = unit.memory_bandwidth * unit.bandwidth_efficiency * 1e-9;
    peak_elements = graph.peak_live_elements();
    check_times();
    for (std::int64_t b = 1; b <= prepared_batches; ++b) batches.push_back(total(b));
  }

  void check_times() const {
    double sum = 0, longest = 0;
    std::size_t slowest = 0;
    for (std::size_t v = 0; v < graph.size(); ++v) {
      const double s = time(v, 1).ns * 1e-9;
      sum += s;
      if (s > longest) {
        longest = s;
        slowest = v;
      }
    }
    if (!(sum < longest_inference))
      throw InputError(fmt::format(
          "unit '{}': one inference would take {:.3g} s, of it {:.3g} s for operator '{}': check "
          "the counts of the graph and the speed of the unit",
          unit.name, sum, longest, graph.at(slowest).name));
  }

  // Formats of one operator: its own, else the variant's.
  Precision weights_of(std::size_t v) const {
    return graph.at(v).weights.value_or(variant.weights);
  }
  Precision activations_of(std::size_t v) const {
    return graph.at(v).activations.value_or(variant.activations);
  }

  double bytes(std::size_t v, double batch) const {
    return graph.at(v).bytes(batch, variant.weights, variant.activations);
  }
  double flop_ns(std::size_t v, double batch) const {
    return graph.at(v).flops * batch / flops_per_ns[v];
  }
  double byte_ns(std::size_t v, double batch) const { return bytes(v, batch) / bytes_per_ns; }
  double kernel_roofline_ns(std::size_t v, const KernelQuery& q) const {
    const KernelWork work = work_of(q);
    return std::max(work.flops / flops_per_ns[v],
                    work.elements * bytes_of(activations_of(v)) / bytes_per_ns);
  }
  bool compute_bound(std::size_t v, double batch) const {
    return flop_ns(v, batch) > byte_ns(v, batch);
  }

  // One kernel from the profile, or nothing when there is no table that fits it.
  bool kernel_time(std::size_t v, const KernelQuery& query, Time& time) const {
    const Precision format = activations_of(v);
    const KernelTable* table = profile->table(query.kind, format);
    if (!table || table->parameters.size() != query.shape.size()) return false;
    std::vector<double> shape;
    for (const auto& parameter : table->parameters) {
      const auto it = std::find_if(query.shape.begin(), query.shape.end(),
                                   [&](const auto& p) { return p.first == parameter; });
      if (it == query.shape.end()) return false;
      shape.push_back(it->second);
    }
    Time kernel;
    if (const auto hit = profile->lookup(query.kind, format, shape)) {
      kernel = {hit->ns, hit->kind, hit->relative_error};
    } else {
      // Outside the grid: the nearest row, scaled as the roofline scales.
      const auto anchor = profile->nearest(query.kind, format, shape);
      KernelQuery near = query;
      for (auto& [name, value] : near.shape)
        for (std::size_t i = 0; i < table->parameters.size(); ++i)
          if (table->parameters[i] == name) value = anchor->shape[i];
      kernel = {anchor->ns * kernel_roofline_ns(v, query) / kernel_roofline_ns(v, near),
                PredictionKind::extrapolated, std::max(extrapolation_error, unit.efficiency_error)};
    }
    const double ns = kernel.ns * query.count;
    const double error_ns = time.relative_error * time.ns + kernel.relative_error * ns;
    time.ns += ns;
    time.relative_error = time.ns > 0 ? error_ns / time.ns : 0;
    time.kind = std::max(time.kind, kernel.kind);
    return true;
  }

  // Time of one operator, launch included.
  Time time(std::size_t v, std::int64_t batch) const {
    const Operator& op = graph.at(v);
    if (op.kind == OperatorKind::input || (!keep.empty() && !keep[v])) return {};
    const double size = static_cast<double>(batch);
    const double launch = static_cast<double>(unit.launch_overhead.ns());
    // Tables hold products of equal formats; widened weights are the roofline's business.
    if (profile && bytes_of(weights_of(v)) == bytes_of(activations_of(v))) {
      // As a whole if it was timed so, else in parts; the better evidence wins.
      Time whole, parts;
      const auto direct = whole_kernel_of(op, size);
      const bool timed = direct && kernel_time(v, *direct, whole);
      whole.ns += launch;
      if (timed && whole.kind <= PredictionKind::interpolated) return whole;
      const auto kernels = kernels_of(op, size);
      const bool all = std::all_of(kernels.begin(), kernels.end(),
                                   [&](const KernelQuery& q) { return kernel_time(v, q, parts); });
      parts.ns += launch;
      if (all && (!timed || parts.kind < whole.kind)) return parts;
      if (timed) return whole;
    }
    return {std::max(flop_ns(v, size), byte_ns(v, size)) + launch, PredictionKind::roofline,
            unit.efficiency_error};
  }

  // Serial execution of everything. Errors add up as if they were common to all operators.
  Prediction total(std::int64_t batch) const {
    double ns = static_cast<double>(unit.iteration_overhead.ns()), error_ns = 0, compute_ns = 0;
    PredictionKind kind = PredictionKind::measured;
    for (std::size_t v = 0; v < graph.size(); ++v) {
      const Time t = time(v, batch);
      ns += t.ns;
      error_ns += t.ns * t.relative_error;
      kind = std::max(kind, t.kind);
      if (compute_bound(v, static_cast<double>(batch))) compute_ns += t.ns;
    }
    return {.time = rounded(ns),
            .kind = kind,
            .relative_error = ns > 0 ? error_ns / ns : 0,
            .compute_share = ns > 0 ? compute_ns / ns : 0};
  }

  OperatorGraph graph;
  GraphVariant variant;
  ComputeUnit unit;
  std::shared_ptr<const KernelProfile> profile;
  std::vector<bool> keep;            // by operator; empty: all
  std::vector<double> flops_per_ns;  // by operator
  double bytes_per_ns = 0, peak_elements = 0;
  std::vector<Prediction> batches;
};

GraphCost::GraphCost(const OperatorGraph& graph, const GraphVariant& variant,
                     const ComputeUnit& unit, std::shared_ptr<const KernelProfile> profile)
    : impl_(
          std::make_shared<const Impl>(fused(graph, variant), variant, unit, std::move(profile))) {}

GraphCost GraphCost::on(const ComputeUnit& unit,
                        std::shared_ptr<const KernelProfile> profile) const {
  return GraphCost(
      std::make_shared<const Impl>(impl_->graph, impl_->variant, unit, std::move(profile)));
}

GraphCost GraphCost::only(const std::vector<bool>& keep) const {
  if (keep.size() != impl_->graph.size())
    throw InternalError("GraphCost: a part of another number of operators");
  return GraphCost(std::make_shared<const Impl>(impl_->graph, impl_->variant, impl_->unit,
                                                impl_->profile, keep));
}

Prediction GraphCost::batch(std::int64_t batch) const {
  if (batch < 1) throw InternalError("GraphCost: a batch has at least one input");
  return batch <= prepared_batches ? impl_->batches[static_cast<std::size_t>(batch - 1)]
                                   : impl_->total(batch);
}

std::int64_t GraphCost::batch_ns(std::int64_t batch) const { return this->batch(batch).time.ns(); }

Prediction GraphCost::operator_time(std::size_t index, std::int64_t batch) const {
  const Time t = impl_->time(index, batch);
  return {.time = rounded(t.ns),
          .kind = t.kind,
          .relative_error = t.relative_error,
          .compute_share = impl_->compute_bound(index, static_cast<double>(batch)) ? 1.0 : 0.0};
}

OperatorTimeParts GraphCost::operator_parts(std::size_t index, std::int64_t batch) const {
  if (impl_->graph.at(index).kind == OperatorKind::input) return {};
  const double size = static_cast<double>(batch);
  const double launch_ns = static_cast<double>(impl_->unit.launch_overhead.ns());
  const double body = std::max(impl_->time(index, batch).ns - launch_ns, 0.0) * 1e-9;
  return {.launch = impl_->unit.launch_overhead.seconds(),
          .body = body,
          .compute = std::min(impl_->flop_ns(index, size) * 1e-9, body),
          .memory = std::min(impl_->byte_ns(index, size) * 1e-9, body),
          .bytes = impl_->bytes(index, size)};
}

double GraphCost::output_bytes(std::size_t index, std::int64_t batch) const {
  return elements(impl_->graph.at(index).output) * static_cast<double>(batch) *
         bytes_of(impl_->activations_of(index));
}

std::vector<OperatorCost> GraphCost::explain(std::int64_t batch) const {
  const double size = static_cast<double>(batch);
  const double launch = static_cast<double>(impl_->unit.launch_overhead.ns());
  std::vector<OperatorCost> rows;
  rows.push_back({"iteration_overhead",
                  "overhead",
                  0,
                  0,
                  Bound::launch,
                  {.time = impl_->unit.iteration_overhead, .kind = PredictionKind::measured}});
  for (std::size_t v = 0; v < impl_->graph.size(); ++v) {
    const Operator& op = impl_->graph.at(v);
    if (op.kind == OperatorKind::input) continue;
    const Prediction p = operator_time(v, batch);
    const double work_ns = static_cast<double>(p.time.ns()) - launch;
    const Bound bound = launch > work_ns                ? Bound::launch
                        : impl_->compute_bound(v, size) ? Bound::compute
                                                        : Bound::memory;
    rows.push_back(
        {op.name, std::string(name_of(op.kind)), op.flops * size, impl_->bytes(v, size), bound, p});
  }
  return rows;
}

const OperatorGraph& GraphCost::graph() const { return impl_->graph; }
const GraphVariant& GraphCost::variant() const { return impl_->variant; }
const ComputeUnit& GraphCost::unit() const { return impl_->unit; }

double GraphCost::weight_bytes() const {
  double bytes = 0;
  for (std::size_t v = 0; v < impl_->graph.size(); ++v) bytes += weight_bytes(v);
  return bytes;
}

double GraphCost::weight_bytes(std::size_t index) const {
  return impl_->graph.at(index).params * bytes_of(impl_->weights_of(index));
}

double GraphCost::peak_activation_bytes(std::int64_t batch) const {
  return impl_->peak_elements * static_cast<double>(batch) * bytes_of(impl_->variant.activations);
}

}  // namespace isthmus::models
