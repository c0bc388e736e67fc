#include "results/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "results/comparison_figures.hpp"
#include "results/format.hpp"
#include "results/metrics.hpp"
#include "results/statistics.hpp"
#include "sim/core/did_you_mean.hpp"

namespace isthmus::results {

Interval mean_interval(const std::vector<double>& values, double confidence) {
  if (values.empty()) throw Error("interval of no values");
  if (!(confidence > 0 && confidence < 1)) throw Error("confidence must lie between 0 and 1");
  Interval i;
  i.n = static_cast<std::uint32_t>(values.size());
  i.mean = mean_of(values);
  constexpr double infinite = std::numeric_limits<double>::infinity();
  double half = infinite;
  if (i.n > 1)
    half = student_t_quantile((1 + confidence) / 2, i.n - 1) *
           std::sqrt(variance_of(values) / static_cast<double>(i.n));
  i.low = i.mean - half;
  i.high = i.mean + half;
  return i;
}

Interval paired_difference(const std::vector<double>& a, const std::vector<double>& b,
                           double confidence) {
  if (a.size() != b.size()) throw Error("paired difference of unequal numbers of replications");
  std::vector<double> difference;
  for (std::size_t k = 0; k < a.size(); ++k) difference.push_back(b[k] - a[k]);
  return mean_interval(difference, confidence);
}

std::vector<double> values_of(const Alternative& a, const std::string& metric) {
  std::vector<double> values;
  for (const Summary& s : a.replications) values.push_back(s.value(metric));
  return values;
}

std::string unit_of(const std::string& metric) {
  const auto definition = find_metric(metric);
  return definition ? std::string(definition->unit) : std::string("1");
}

std::vector<ObjectiveState> objective_states(const Alternative& a) {
  std::vector<ObjectiveState> states;
  const auto& objectives = a.replications.front().info.objectives;
  for (std::size_t i = 0; i < objectives.size(); ++i) {
    ObjectiveState s;
    s.text = fmt::format("{} <= {}", objectives[i].metric,
                         format_quantity(objectives[i].target.seconds(), "s"));
    s.wanted = objectives[i].percentile / 100;
    s.attainment = mean_interval(values_of(a, fmt::format("slo.{}.attainment", i)));
    s.met = s.attainment.mean >= s.wanted;  // false without data
    states.push_back(std::move(s));
  }
  return states;
}

bool meets_all(const Alternative& a) {
  const auto states = objective_states(a);
  return std::all_of(states.begin(), states.end(), [](const auto& s) { return s.met; });
}

namespace {

// Everything that the figures below take for granted.
void check(const Comparison& c) {
  if (c.alternatives.empty()) throw Error("a comparison needs at least one alternative");
  const auto& first = c.alternatives.front();
  if (first.replications.empty()) throw Error("a comparison needs at least one replication");
  for (const Alternative& a : c.alternatives) {
    if (a.replications.size() != first.replications.size())
      throw Error(fmt::format("'{}' has {} replications, '{}' has {}: pairs need equal numbers",
                              a.label, a.replications.size(), first.label,
                              first.replications.size()));
    for (std::size_t k = 0; k < a.replications.size(); ++k)
      if (a.replications[k].info.seed != first.replications[k].info.seed)
        throw Error(
            fmt::format("replication {} of '{}' has another seed than that of '{}': "
                        "differences would not be paired",
                        k, a.label, first.label));
  }
  std::vector<std::string> names;
  for (const Alternative& a : c.alternatives)
    for (const Metric& m : a.replications.front().metrics) {
      if (m.name == c.metric) return;
      names.push_back(m.name);
    }
  const std::string hint = did_you_mean(c.metric, names);
  throw Error(fmt::format("unknown metric '{}' to compare by{}", c.metric,
                          hint.empty() ? "" : fmt::format("; did you mean '{}'?", hint)));
}

double mean_metric(const Alternative& a, const std::string& metric) {
  return mean_of(values_of(a, metric));
}

// Two standard errors of a - b in a metric of time, from the uncertainty of the service times.
double timing_tolerance(const Alternative& a, const Alternative& b, const std::string& metric) {
  if (unit_of(metric) != "s") return 0;
  double squares = 0;
  for (const Alternative* x : {&a, &b}) {
    const double error = mean_metric(*x, "timing_error") * mean_metric(*x, "service_share") *
                         mean_metric(*x, metric);
    if (std::isfinite(error)) squares += error * error;
  }
  return 2 * std::sqrt(squares);
}

// "97.1 % of latency <= 500 ms (95 % wanted)"
std::string describe(const ObjectiveState& s) {
  return fmt::format("{} with {} ({} wanted)", format_percent(s.attainment.mean), s.text,
                     format_percent(s.wanted));
}

// What the winner's objectives say, doubts included.
std::string objective_sentence(const std::string& label,
                               const std::vector<ObjectiveState>& states) {
  if (states.empty()) return "";
  std::string met, doubtful;
  for (const ObjectiveState& s : states) {
    met += (met.empty() ? "" : ", ") + describe(s);
    if (s.attainment.n > 1 && s.attainment.low < s.wanted)
      doubtful += (doubtful.empty() ? "" : ", ") + s.text;
  }
  std::string text = fmt::format(" {} meets every objective: {}.", label, met);
  if (!doubtful.empty())
    text += fmt::format(" Whether it meets {} is within the noise of the replications.", doubtful);
  return text;
}

}  // namespace

Verdict judge(const Comparison& comparison) {
  check(comparison);
  const auto& list = comparison.alternatives;
  const std::string& metric = comparison.metric;
  const std::string unit = unit_of(metric);
  const auto definition = find_metric(metric);
  const bool higher = definition && definition->higher_is_better;

  // Rank: objectives first, then the metric; no data comes last, ties keep the given order.
  std::vector<double> key;
  std::vector<bool> meets;
  for (const Alternative& a : list) {
    const double m = mean_metric(a, metric);
    key.push_back(std::isnan(m) ? std::numeric_limits<double>::infinity() : higher ? -m : m);
    meets.push_back(meets_all(a));
  }
  Verdict v;
  v.ranking.resize(list.size());
  std::iota(v.ranking.begin(), v.ranking.end(), std::size_t{0});
  std::stable_sort(v.ranking.begin(), v.ranking.end(), [&](std::size_t a, std::size_t b) {
    return meets[a] != meets[b] ? meets[a] : key[a] < key[b];
  });

  const Alternative& best = list[v.ranking.front()];
  const auto n = best.replications.size();
  const bool any_meets = meets[v.ranking.front()];
  const auto states = objective_states(best);
  const auto figure = [&](const Alternative& a) {
    const Interval i = mean_interval(values_of(a, metric));
    return format_interval(i.mean, i.high - i.mean, unit);
  };
  const std::string over =
      n == 1 ? std::string("in one replication") : fmt::format("over {} replications", n);

  if (!any_meets) {
    // Say who comes nearest: the smallest of the worst shortfalls.
    std::size_t nearest = v.ranking.front();
    double smallest = std::numeric_limits<double>::infinity();
    for (const std::size_t i : v.ranking) {
      double worst = 0;
      for (const ObjectiveState& s : objective_states(list[i]))
        worst = std::max(worst,
                         std::isnan(s.attainment.mean) ? s.wanted : s.wanted - s.attainment.mean);
      if (worst < smallest) smallest = worst, nearest = i;
    }
    std::string missed;
    for (const ObjectiveState& s : objective_states(list[nearest]))
      if (!s.met) missed += (missed.empty() ? "" : ", ") + describe(s);
    v.text = fmt::format("No alternative meets every objective; {} comes nearest: {}. ",
                         list[nearest].label, missed);
  }
  v.text += fmt::format("{} has the {} {}{}: {} {}.", best.label, higher ? "highest" : "lowest",
                        metric, any_meets && !states.empty() ? " of those that meet them" : "",
                        figure(best), over);
  if (any_meets) v.text += objective_sentence(best.label, states);

  // An alternative that would win by the metric but misses an objective deserves a word.
  if (any_meets)
    for (const std::size_t i : v.ranking)
      if (!meets[i] && key[i] < key[v.ranking.front()]) {
        std::string missed;
        for (const ObjectiveState& s : objective_states(list[i]))
          if (!s.met) missed += (missed.empty() ? "" : ", ") + describe(s);
        v.text += fmt::format(" {} has {} but misses an objective: {}.", list[i].label,
                              figure(list[i]), missed);
        break;
      }

  if (list.size() == 1) {
    v.text += " There is nothing to compare it with.";
    return v;
  }
  const Alternative& second = list[v.ranking[1]];
  const std::string ask =
      "ask for more, for example \"replications\": 5 in the scenario or --replications 5";
  if (any_meets && !meets[v.ranking[1]]) {
    // The runner-up fails its objectives: the metric does not decide between the two.
    if (n == 1) {
      v.too_close = true;
      v.text += fmt::format(
          " One replication cannot tell whether that holds for other seeds: {}. "
          "Too close to call; {} leads for now.",
          ask, best.label);
    } else {
      v.text +=
          fmt::format(" Recommendation: {}, the only one that meets every objective.", best.label);
    }
    return v;
  }

  const std::vector<double> a = values_of(best, metric), b = values_of(second, metric);
  const Interval difference = paired_difference(a, b);
  const double size = std::abs(difference.mean);
  const double tolerance = timing_tolerance(best, second, metric);
  v.text += fmt::format(" {} is {} {} ({})", second.label, format_quantity(size, unit),
                        higher ? "lower" : "higher", format_percent(size / std::abs(mean_of(a))));
  if (n > 1)
    v.text +=
        fmt::format(", 95 % interval of the paired difference {} to {}",
                    format_quantity(difference.low, unit), format_quantity(difference.high, unit));
  v.text += ".";

  if (std::isnan(difference.mean)) {
    v.too_close = true;
    v.text += fmt::format(" Too close to call: {} has no data for {}.",
                          std::isnan(mean_of(b)) ? second.label : best.label, metric);
  } else if (n == 1) {
    v.too_close = true;
    v.text += fmt::format(
        " Too close to call: one replication cannot tell a difference from "
        "chance; {}. {} leads for now.",
        ask, best.label);
  } else if (difference.low == 0 && difference.high == 0) {
    v.too_close = true;
    v.text += fmt::format(" Too close to call: {} and {} are equal in every replication.",
                          best.label, second.label);
  } else if (difference.low <= 0 && difference.high >= 0) {
    v.too_close = true;
    v.text += fmt::format(
        " Too close to call: the interval covers zero. More replications narrow "
        "it ({}). {} leads for now.",
        ask, best.label);
  } else if (size <= tolerance) {
    v.too_close = true;
    v.text += fmt::format(
        " Too close to call: the service times are uncertain, and two standard "
        "errors of them are {}. Measured kernel profiles would narrow that. {} "
        "leads for now.",
        format_quantity(tolerance, unit), best.label);
  } else if (tolerance > 0) {
    v.text += fmt::format(
        " Uncertain service times could move it by {} (two standard errors). "
        "Recommendation: {}.",
        format_quantity(tolerance, unit), best.label);
  } else {
    v.text += fmt::format(" Recommendation: {}.", best.label);
  }
  return v;
}

}  // namespace isthmus::results
