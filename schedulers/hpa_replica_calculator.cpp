#include "schedulers/hpa_replica_calculator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace isthmus::schedulers {

namespace {

std::int32_t rounded_up(double replicas) {
  constexpr double most = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(std::clamp(std::ceil(replicas), 0.0, most));
}

bool within_tolerance(double ratio, double tolerance) { return std::abs(1.0 - ratio) <= tolerance; }

// The samples that take part, pod by pod: the calculator drops, then adds to them.
struct Sample {
  std::size_t pod;
  std::int64_t value;
};

std::vector<Sample> usable_samples(std::span<const HpaPod> pods, const HpaPodGroups& groups) {
  std::vector<Sample> samples;
  for (std::size_t i = 0; i < pods.size(); ++i) {
    const bool ignored =
        std::find(groups.ignored.begin(), groups.ignored.end(), i) != groups.ignored.end();
    if (pods[i].value && !ignored) samples.push_back({i, *pods[i].value});
  }
  return samples;
}

// Both per-pod metrics follow one course and differ in the ratio and in what a missing pod counts
// for when the service would shrink.
//   ratio_of(samples): usage over target and the observed figure; empty if it cannot be computed
//   assumed(pod): value of a missing pod on the way down
template <class RatioOf, class Assumed>
std::optional<HpaProposal> per_pod_replicas(std::int32_t current, std::span<const HpaPod> pods,
                                            bool cpu, const HpaCalculatorConfig& config,
                                            RatioOf ratio_of, Assumed assumed) {
  const HpaPodGroups groups = group_pods(pods, cpu, config);
  std::vector<Sample> samples = usable_samples(pods, groups);
  if (samples.empty()) return std::nullopt;
  const auto measured = ratio_of(samples);
  if (!measured) return std::nullopt;
  const auto [ratio, observed] = *measured;
  const HpaProposal unchanged{current, observed};

  const bool rebalance_ignored = !groups.ignored.empty() && ratio > 1.0;
  if (!rebalance_ignored && groups.missing.empty()) {
    if (within_tolerance(ratio, config.tolerance)) return unchanged;
    return HpaProposal{rounded_up(ratio * groups.ready_count), observed};
  }

  // Missing pods damp the change: they count as busy on the way down and as idle on the way up.
  for (const std::size_t i : groups.missing) {
    if (ratio < 1.0) samples.push_back({i, assumed(pods[i])});
    if (ratio > 1.0) samples.push_back({i, 0});
  }
  // Pods that are not ready yet will take load soon: idle on the way up.
  if (rebalance_ignored)
    for (const std::size_t i : groups.ignored) samples.push_back({i, 0});

  const auto damped = ratio_of(samples);
  if (!damped) return std::nullopt;
  const double new_ratio = damped->first;
  const bool turned = (ratio < 1.0 && new_ratio > 1.0) || (ratio > 1.0 && new_ratio < 1.0);
  if (within_tolerance(new_ratio, config.tolerance) || turned) return unchanged;
  const std::int32_t replicas = rounded_up(new_ratio * static_cast<double>(samples.size()));
  // The number of samples differs from the number of replicas: it must not turn the direction.
  const bool against =
      (new_ratio < 1.0 && replicas > current) || (new_ratio > 1.0 && replicas < current);
  return against ? unchanged : HpaProposal{replicas, observed};
}

using Ratio = std::optional<std::pair<double, std::int64_t>>;

}  // namespace

HpaPodGroups group_pods(std::span<const HpaPod> pods, bool cpu, const HpaCalculatorConfig& config) {
  HpaPodGroups groups;
  for (std::size_t i = 0; i < pods.size(); ++i) {
    const HpaPod& pod = pods[i];
    if (pod.deleted || pod.phase == HpaPhase::failed) continue;
    if (pod.phase == HpaPhase::pending) {
      groups.ignored.push_back(i);
      continue;
    }
    if (!pod.value) {
      groups.missing.push_back(i);
      continue;
    }
    if (cpu) {
      bool ignore = true;
      if (pod.ready_known) {
        if (pod.age < config.cpu_initialization_period) {
          // Start-up costs CPU: a sample counts only when a whole window lies after the last
          // change.
          const bool stale = pod.sample_age + pod.window > pod.since_transition;
          ignore = !pod.ready || stale;
        } else {
          // Unready ever since shortly after its start means never ready.
          ignore = !pod.ready && pod.age - config.initial_readiness_delay < pod.since_transition;
        }
      }
      if (ignore) {
        groups.ignored.push_back(i);
        continue;
      }
    }
    ++groups.ready_count;
  }
  return groups;
}

std::optional<HpaProposal> resource_replicas(std::int32_t current, std::int32_t target_percent,
                                             std::span<const HpaPod> pods,
                                             const HpaCalculatorConfig& config) {
  const auto ratio_of = [&](const std::vector<Sample>& samples) -> Ratio {
    std::int64_t usage = 0, request = 0;
    for (const Sample& s : samples) {
      usage += s.value;
      request += pods[s.pod].request;
    }
    if (request <= 0) return std::nullopt;
    const std::int64_t percent = usage * 100 / request;  // truncated to whole percents, as there
    return std::pair(static_cast<double>(percent) / target_percent, percent);
  };
  // A missing pod uses its whole request, or the target where that is above 100 %.
  const auto assumed = [&](const HpaPod& pod) {
    return pod.request * std::max(100, target_percent) / 100;
  };
  return per_pod_replicas(current, pods, true, config, ratio_of, assumed);
}

std::optional<HpaProposal> pods_metric_replicas(std::int32_t current, std::int64_t target_average,
                                                std::span<const HpaPod> pods,
                                                const HpaCalculatorConfig& config) {
  const auto ratio_of = [&](const std::vector<Sample>& samples) -> Ratio {
    std::int64_t total = 0;
    for (const Sample& s : samples) total += s.value;
    const std::int64_t average = total / static_cast<std::int64_t>(samples.size());
    return std::pair(static_cast<double>(average) / static_cast<double>(target_average), average);
  };
  const auto assumed = [&](const HpaPod&) { return target_average; };
  return per_pod_replicas(current, pods, false, config, ratio_of, assumed);
}

HpaProposal value_metric_replicas(std::int32_t current, std::int64_t target, std::int64_t value,
                                  std::int32_t ready_pods, double tolerance) {
  const double ratio = static_cast<double>(value) / static_cast<double>(target);
  if (current == 0) return {rounded_up(ratio), value};
  if (within_tolerance(ratio, tolerance)) return {current, value};
  return {rounded_up(ratio * ready_pods), value};
}

HpaProposal average_metric_replicas(std::int32_t current, std::int64_t target_average,
                                    std::int64_t value, double tolerance) {
  const double wanted = static_cast<double>(value) / static_cast<double>(target_average);
  if (current == 0) return {rounded_up(wanted), value};
  HpaProposal proposal{current, 0};
  if (!within_tolerance(wanted / current, tolerance)) proposal.replicas = rounded_up(wanted);
  proposal.observed = (value + current - 1) / current;
  return proposal;
}

}  // namespace isthmus::schedulers
