#include "schedulers/partition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "schedulers/partition_costs.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {
[[noreturn]] void refuse(const std::string& what) { throw InputError("partition: " + what); }
}  // namespace

PartitionCosts::PartitionCosts(const PartitionProblem& problem) : p(problem) {
  const std::size_t n = p.tasks, k = p.tiers, hops = k - 1;
  if (n == 0) refuse("no tasks");
  if (k < 2) refuse("fewer than two tiers");
  const auto size = [](const char* name, std::size_t is, std::size_t wanted, bool may_be_empty) {
    if (is != wanted && !(may_be_empty && is == 0))
      refuse(fmt::format("{} has {} entries instead of {}", name, is, wanted));
  };
  size("seconds", p.seconds.size(), n * k, false);
  size("output_bytes", p.output_bytes.size(), n, false);
  size("bandwidth", p.bandwidth.size(), hops, false);
  size("latency", p.latency.size(), hops, true);
  size("down_bandwidth", p.down_bandwidth.size(), hops, true);
  size("pinned", p.pinned.size(), n, true);
  size("slowdown", p.slowdown.size(), k, true);
  size("watts", p.watts.size(), k, true);
  size("price", p.price.size(), k, true);
  size("as_is", p.as_is.size(), n, true);
  if (p.encodings.empty()) refuse("no encodings");
  const auto good = [](const char* name, const std::vector<double>& v, bool infinite) {
    for (std::size_t i = 0; i < v.size(); ++i)
      if (!(v[i] >= 0) || (std::isinf(v[i]) && !infinite))
        refuse(fmt::format("{} {} is {}", name, i, v[i]));
  };
  good("seconds", p.seconds, true);
  good("output_bytes", p.output_bytes, false);
  good("bandwidth", p.bandwidth, true);
  good("down_bandwidth", p.down_bandwidth, true);
  good("latency", p.latency, false);
  good("slowdown", p.slowdown, false);
  good("watts", p.watts, false);
  good("price", p.price, false);
  for (const double w :
       {p.latency_weight, p.energy_weight, p.price_weight, p.transfer_watts, p.result_bytes})
    if (!(w >= 0) || std::isinf(w))
      refuse("a weight, transfer_watts or result_bytes is out of range");
  for (const TensorEncoding& e : p.encodings)
    if (!(e.ratio > 0) || !(e.seconds_per_byte >= 0) || !(e.accuracy_loss >= 0))
      refuse(fmt::format("encoding \"{}\" has a figure out of range", e.name));

  // Order, and cycles.
  successors.resize(n);
  std::vector<std::size_t> missing(n, 0);
  for (const auto& [a, b] : p.edges) {
    if (a >= n || b >= n) refuse(fmt::format("an edge goes from {} to {}", a, b));
    successors[a].push_back(b);
    ++missing[b];
  }
  std::vector<std::uint32_t> ready;
  for (std::uint32_t t = 0; t < n; ++t)
    if (missing[t] == 0) ready.push_back(t);
  std::make_heap(ready.begin(), ready.end(), std::greater<>());
  while (!ready.empty()) {
    std::pop_heap(ready.begin(), ready.end(), std::greater<>());
    const std::uint32_t t = ready.back();
    ready.pop_back();
    order.push_back(t);
    for (const std::uint32_t s : successors[t])
      if (--missing[s] == 0) {
        ready.push_back(s);
        std::push_heap(ready.begin(), ready.end(), std::greater<>());
      }
  }
  if (order.size() < n) refuse("tasks depend on each other in a cycle");

  std::size_t sinks = 0;
  for (const auto& s : successors) sinks += s.empty();
  for (std::uint32_t t = 0; t < n; ++t) {
    bool runs = false;
    for (std::uint32_t i = 0; i < k; ++i) {
      const bool allowed =
          p.pinned.empty() || p.pinned[t] < 0 || p.pinned[t] == static_cast<int>(i);
      double back = 0;  // the result's way home
      if (successors[t].empty() && p.result_bytes > 0)
        for (std::uint32_t h = 0; h < i; ++h)
          back += p.result_bytes / static_cast<double>(sinks) / down(h);
      const double s = allowed ? p.seconds[t * k + i] : cannot_run;
      const double compute = s * (p.slowdown.empty() ? 1.0 : p.slowdown[i]);
      task_seconds.push_back(compute + back);
      task_energy.push_back(std::isinf(s) ? 0
                                          : compute * (p.watts.empty() ? 0.0 : p.watts[i]) +
                                                back * p.transfer_watts);
      task_price.push_back(std::isinf(s) ? 0 : compute * (p.price.empty() ? 0.0 : p.price[i]));
      task.push_back(std::isinf(compute + back) ? cannot_run
                                                : p.latency_weight * task_seconds.back() +
                                                      p.energy_weight * task_energy.back() +
                                                      p.price_weight * task_price.back());
      runs = runs || task.back() != cannot_run;
    }
    if (!runs) refuse(fmt::format("no tier can run task {}", t));
    for (std::uint32_t h = 0; h < hops; ++h) {
      std::uint32_t best = 0;
      double least = cannot_run, least_seconds = cannot_run;
      const std::size_t choices = !p.as_is.empty() && p.as_is[t] ? 1 : p.encodings.size();
      for (std::uint32_t e = 0; e < choices; ++e) {
        const double s = p.output_bytes[t] == 0
                             ? 0
                             : p.output_bytes[t] * (p.encodings[e].ratio / p.bandwidth[h] +
                                                    p.encodings[e].seconds_per_byte);
        const double radio = h == 0 && std::isfinite(p.bandwidth[0])
                                 ? p.output_bytes[t] * p.encodings[e].ratio / p.bandwidth[0]
                                 : 0.0;
        const double c = std::isinf(s) || std::isnan(s)
                             ? cannot_run
                             : p.latency_weight * s + p.energy_weight * radio * p.transfer_watts;
        if (c < least) {
          least = c;
          least_seconds = s;
          best = e;
        }
      }
      transfer.push_back(least);
      transfer_seconds.push_back(least_seconds);
      encoding.push_back(best);
    }
  }
}

double PartitionCosts::down(std::uint32_t hop) const {
  return p.down_bandwidth.empty() ? p.bandwidth[hop] : p.down_bandwidth[hop];
}

Partition PartitionCosts::evaluate(std::vector<std::uint32_t> tier) const {
  const std::uint32_t k = p.tiers;
  if (tier.size() != p.tasks) refuse("a placement of another number of tasks");
  Partition out;
  out.tier = std::move(tier);
  std::uint32_t farthest = 0;
  for (std::uint32_t t = 0; t < p.tasks; ++t) {
    const std::uint32_t at = out.tier[t];
    if (at >= k) refuse(fmt::format("task {} on tier {} of {}", t, at, k));
    farthest = std::max(farthest, at);
    const std::size_t i = static_cast<std::size_t>(t) * k + at;
    out.objective += task[i];
    out.latency += task_seconds[i];
    out.client_energy += task_energy[i];
    out.price += task_price[i];
    std::uint32_t to = at;
    for (const std::uint32_t s : successors[t]) {
      if (out.tier[s] < at)
        refuse(fmt::format("task {} would run nearer to the client than its producer {}", s, t));
      to = std::max(to, out.tier[s]);
    }
    for (std::uint32_t h = at; h < to; ++h) {
      const std::size_t x = static_cast<std::size_t>(t) * (k - 1) + h;
      const TensorEncoding& e = p.encodings[encoding[x]];
      const double bytes = p.output_bytes[t] * e.ratio;
      out.objective += transfer[x];
      out.latency += transfer_seconds[x];
      if (h == 0) {
        out.client_energy += bytes / p.bandwidth[0] * p.transfer_watts;
        out.bytes += bytes;
      }
      out.accuracy_loss += e.accuracy_loss;
      out.crossings.push_back({t, h, encoding[x], bytes});
    }
  }
  for (std::uint32_t h = 0; h < farthest; ++h) {
    const double s = p.latency.empty() ? 0.0 : p.latency[h];
    out.latency += s;
    out.objective += p.latency_weight * s;
  }
  if (std::isinf(out.latency)) out.objective = cannot_run;
  return out;
}

Partition evaluate(const PartitionProblem& problem, std::vector<std::uint32_t> tier) {
  return PartitionCosts(problem).evaluate(std::move(tier));
}

SplitPlanner::SplitPlanner(std::shared_ptr<const Partitioner> partitioner, double hysteresis)
    : partitioner_(std::move(partitioner)), hysteresis_(hysteresis) {
  if (!(hysteresis >= 0)) throw InputError("split planner: hysteresis is below 0");
}

const Partition& SplitPlanner::plan(const PartitionProblem& problem) {
  std::vector<double> now = problem.bandwidth;
  now.insert(now.end(), problem.slowdown.begin(), problem.slowdown.end());
  bool moved = now.size() != conditions_.size();
  for (std::size_t i = 0; i < now.size() && !moved; ++i)
    moved = std::abs(now[i] - conditions_[i]) > hysteresis_ * conditions_[i];
  if (!moved) return partition_;
  Partition fresh = partitioner_->partition(problem);
  if (computed_++ > 0 && fresh.tier != partition_.tier) ++changed_;
  partition_ = std::move(fresh);
  conditions_ = std::move(now);
  return partition_;
}

}  // namespace isthmus::schedulers
