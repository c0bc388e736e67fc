#include "results/rollout_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "results/format.hpp"
#include "results/statistics.hpp"
#include "results/text_table.hpp"
#include "sim/core/random.hpp"

namespace isthmus::results {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Ends of Wilson's score interval.
std::pair<double, double> wilson(const AbSide& s, double z) {
  const auto n = static_cast<double>(s.answers);
  const double p = static_cast<double>(s.right) / n, zz = z * z;
  const double middle = (p + zz / (2 * n)) / (1 + zz / n);
  const double half = z * std::sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n);
  return {middle - half, middle + half};
}

std::string known(double x, const char* unit) { return std::isnan(x) ? "-" : format_quantity(x, unit); }

}  // namespace

ProportionTest compare_proportions(const AbSide& old, const AbSide& fresh, double confidence) {
  if (old.answers == 0 || fresh.answers == 0) return {nan, nan, nan, nan};
  const auto n0 = static_cast<double>(old.answers), n1 = static_cast<double>(fresh.answers);
  const auto k0 = static_cast<double>(old.right), k1 = static_cast<double>(fresh.right);
  const double p0 = k0 / n0, p1 = k1 / n1, pooled = (k0 + k1) / (n0 + n1);
  ProportionTest t;
  t.difference = p1 - p0;
  const double spread = std::sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1));
  t.p_value = spread > 0 ? std::erfc(std::abs(t.difference) / spread / std::sqrt(2.0)) : 1.0;
  const double z = normal_quantile(0.5 + confidence / 2);
  const auto [l0, u0] = wilson(old, z);
  const auto [l1, u1] = wilson(fresh, z);
  t.low = t.difference - std::hypot(p1 - l1, u0 - p0);
  t.high = t.difference + std::hypot(u1 - p1, p0 - l0);
  return t;
}

void add_rollout_metrics(MetricList& list, const WorldTotals& totals) {
  for (const VersionTotals& v : totals.versions) {
    const std::string name = v.service + "/" + v.name;
    std::uint64_t answers = 0;
    for (const VersionTotals& other : totals.versions)
      if (other.service == v.service) answers += other.answered;
    list.share("version." + name, v.answered, answers);
    list.count("version_answered." + name, v.answered);
    list.count("version_failed." + name, v.failed);
    list.count("version_errors." + name, v.errors);
    list.put(fmt::format("version_latency.{}.mean", name), v.latency_mean);
    list.put(fmt::format("version_latency.{}.p50", name), v.latency_p50);
    list.put(fmt::format("version_latency.{}.p95", name), v.latency_p95);
    list.put(fmt::format("version_latency.{}.p99", name), v.latency_p99);
    list.put("version_accuracy." + name, v.accuracy);
  }
  for (const RolloutTotals& r : totals.rollouts) {
    list.put("rollout_completed." + r.name, r.outcome == "completed" ? 1 : 0);
    list.put("rollout_rolled_back." + r.name, r.outcome == "rolled back" || r.outcome == "rolling back" ? 1 : 0);
    list.put("rollout_time." + r.name, r.ended.is_never() ? nan : (r.ended - r.began).seconds());
    list.put("rollout_detect." + r.name, r.detect);
    list.count("rollout_exposed." + r.name, r.exposed);
    list.share("rollout_exposed_share." + r.name, r.exposed, r.tries);
    list.count("rollout_errors." + r.name, r.errors);
    list.count("rollout_deadlines." + r.name, r.deadlines);
    if (!r.test) continue;
    const ProportionTest p = compare_proportions(r.test->old, r.test->fresh, r.test->confidence);
    list.share("ab_accuracy_old." + r.name, r.test->old.right, r.test->old.answers);
    list.share("ab_accuracy_new." + r.name, r.test->fresh.right, r.test->fresh.answers);
    list.put("ab_difference." + r.name, p.difference);
    list.put("ab_difference_low." + r.name, p.low);
    list.put("ab_difference_high." + r.name, p.high);
    list.put("ab_p_value." + r.name, p.p_value);
  }
  for (const SkewTotals& s : totals.skews) {
    list.share("part_skew." + s.service, s.skewed, s.answers);
    list.count("part_incompatible." + s.service, s.incompatible);
  }
}

std::string rollout_section(const Summary& s) {
  if (s.versions.empty() && s.skews.empty()) return "";
  std::string out = "\n";
  TextTable rollouts({"rollout", "version", "strategy", "outcome", "began", "took", "detected", "exposed", "errors"});
  for (const RolloutTotals& r : s.rollouts)
    rollouts.add_row({r.name, r.service + "/" + r.version, r.strategy, r.outcome,
                      r.began.is_never() ? "-" : fmt::format("{} s", r.began.seconds()),
                      known(s.value("rollout_time." + r.name), "s"), known(r.detect, "s"),
                      fmt::format("{} ({})", r.exposed, format_percent(s.value("rollout_exposed_share." + r.name))),
                      fmt::format("{}", r.errors)});
  if (!rollouts.empty()) out += rollouts.text();
  constexpr std::size_t most = 20;
  for (const RolloutTotals& r : s.rollouts) {
    if (!r.reason.empty()) out += fmt::format("{}: {}\n", r.name, r.reason);
    for (std::size_t i = 0; i < std::min(most, r.events.size()); ++i)
      out += fmt::format("  {} s: {}\n", r.events[i].at.seconds(), r.events[i].what);
    if (r.events.size() > most) out += fmt::format("  and {} further events\n", r.events.size() - most);
    if (!r.test) continue;
    out += fmt::format(
        "  right answers: old {} of {}, new {} of {}; difference {:.2f} points, {:g} % interval {:.2f} to {:.2f}, "
        "p = {:.2g}\n  latency mean: old {}, new {}; p95: old {}, new {}\n",
        r.test->old.right, r.test->old.answers, r.test->fresh.right, r.test->fresh.answers,
        100 * s.value("ab_difference." + r.name), 100 * r.test->confidence,
        100 * s.value("ab_difference_low." + r.name), 100 * s.value("ab_difference_high." + r.name),
        s.value("ab_p_value." + r.name), known(r.test->old.latency_mean, "s"), known(r.test->fresh.latency_mean, "s"),
        known(r.test->old.latency_p95, "s"), known(r.test->fresh.latency_p95, "s"));
  }
  TextTable versions({"version", "answered", "failed", "errors", "p50", "p95", "p99", "accuracy"});
  for (const VersionTotals& v : s.versions)
    versions.add_row({v.service + "/" + v.name, fmt::format("{}", v.answered), fmt::format("{}", v.failed),
                      fmt::format("{}", v.errors), known(v.latency_p50, "s"), known(v.latency_p95, "s"),
                      known(v.latency_p99, "s"), std::isnan(v.accuracy) ? "-" : format_percent(v.accuracy)});
  if (!versions.empty()) out += versions.text();
  for (const SkewTotals& k : s.skews)
    out += fmt::format("{}: parts of different versions in {} of {} answers; {} requests with parts too far apart\n",
                       k.service, k.skewed, k.answers, k.incompatible);
  return out;
}

}  // namespace isthmus::results
