// Knative, KEDA, AWS and VPA against truth/autoscaling_other.json: every case of the file.
#include <gtest/gtest.h>

#include <cmath>

#include "schedulers/keda.hpp"
#include "schedulers/kpa_decider.hpp"
#include "schedulers/registry.hpp"
#include "schedulers/target_tracking.hpp"
#include "schedulers/vpa_recommender.hpp"
#include "truth.hpp"

namespace isthmus::schedulers {
namespace {

using isthmus::testing::truth_cases;
using Json = nlohmann::json;

Duration s(double v) { return Duration::from_seconds(v); }
Instant at(double v) { return Instant::zero() + s(v); }

// Ready pods that a case does not write down, as knative's autoscaler_test.go sets them; else 1.
std::int32_t ready_of(const std::string& id) {
  static const std::map<std::string, std::int32_t> known{{"kpa_small_up_rate", 2},
                                                         {"kpa_small_down_rate", 100},
                                                         {"kpa_down_not_reachable", 100},
                                                         {"kpa_already_scaled", 5},
                                                         {"kpa_panic_stable_less", 5}};
  const auto it = known.find(id);
  return it == known.end() ? 1 : it->second;
}

void check_kpa(const Json& c) {
  const Json &in = c.at("inputs"), &w = in.at("spec"), &first = in.at("initial_state");
  KpaSpec spec;
  spec.target = w.at("target");
  spec.total_value = w.at("total_value");
  spec.target_burst_capacity = w.at("target_burst_capacity");
  spec.max_scale_up_rate = w.at("max_scale_up_rate");
  spec.max_scale_down_rate = w.at("max_scale_down_rate");
  spec.panic_threshold = w.at("panic_threshold");
  spec.stable_window = s(w.at("stable_window_s"));
  spec.scale_down_delay = s(w.at("scale_down_delay_s"));
  spec.activation_scale = w.at("activation_scale");
  spec.reachable = w.at("reachable");
  const double origin = 1e6;  // dates before the first step exist
  KpaDecider decider(spec, 0, at(origin));
  if (isthmus::testing::has(first, "panic"))
    decider.panic_since(at(origin + first.at("panic").get<double>()), first.at("maxp"));
  for (std::size_t i = 0; i < in.at("steps").size(); ++i) {
    const Json& step = in.at("steps")[i];
    const Json& e = c.at("expected").at("decisions")[i];
    const std::int32_t ready = step.value("ready", ready_of(c.at("id")));
    const KpaDecision d =
        decider.scale(at(origin + step.at("t").get<double>()), step.at("stable"), step.at("panic"), ready);
    EXPECT_EQ(d.desired, e.at("desired").get<int>()) << "step " << i;
    EXPECT_EQ(d.excess_burst_capacity, e.at("excess_burst_capacity").get<int>()) << "step " << i;
  }
}

void check_window(const Json& c) {
  const Json& in = c.at("inputs");
  ASSERT_EQ(in.at("granularity_s"), 1);
  KpaBuckets buckets(in.at("window_s"));
  for (const Json& e : in.at("events")) {
    if (e.is_array()) {
      buckets.record(e[0], e[1]);
      continue;
    }
    const std::string name = e;  // "read<second>", perhaps with a letter behind
    EXPECT_NEAR(buckets.average(std::stol(name.substr(4))), c.at("expected").at(name).get<double>(), 1e-9)
        << name;
  }
}

void check_defaults(const Json& c) {
  const Json& e = c.at("expected");
  const auto& entry = find_entry(autoscaling_policies(), "kpa");
  const Parameters p(entry.parameters);
  EXPECT_EQ(p.number("target_utilization") * 100, e.at("container_concurrency_target_percentage"));
  EXPECT_EQ(p.number("target_burst_capacity"), e.at("target_burst_capacity"));
  EXPECT_EQ(p.number("stable_window"), e.at("stable_window_s"));
  EXPECT_EQ(p.number("panic_window_percentage") * 100, e.at("panic_window_pct"));
  EXPECT_EQ(p.number("panic_threshold_percentage") * 100, e.at("panic_threshold_pct"));
  EXPECT_EQ(p.number("max_scale_up_rate"), e.at("max_scale_up_rate"));
  EXPECT_EQ(p.number("max_scale_down_rate"), e.at("max_scale_down_rate"));
  EXPECT_EQ(p.number("scale_to_zero_grace_period"), e.at("scale_to_zero_grace_s"));
  const KpaSpec spec;
  EXPECT_EQ(spec.tick.seconds(), e.at("tick_interval_s"));
  EXPECT_EQ(spec.total_value, e.at("container_concurrency_target_default"));
  // The default targets show in what a view asks for: 70 % of 100 requests, or of 200 a second.
  for (const auto& [metric, total] :
       {std::pair{"concurrency", e.at("container_concurrency_target_default").get<double>()},
        std::pair{"rps", e.at("rps_target_default").get<double>()}}) {
    for (const double load : {0.7 * total * 3, 0.7 * total * 3 + 1}) {
      Parameters q(entry.parameters);
      q.set("metric", metric);
      const auto policy = entry.make(q);
      std::vector<ServiceMetrics> samples(1);
      samples[0].observed_at = at(100);
      samples[0].window = s(1);
      samples[0].arrivals = samples[0].concurrency = load;
      AutoscalingView view;
      view.now = at(100);
      view.current = 1;
      view.samples = samples;
      EXPECT_EQ(policy->decide(view).desired, load == 0.7 * total * 3 ? 3u : 4u) << metric;
    }
  }
}

void check_keda(const Json& c) {
  const Json& in = c.at("inputs");
  KedaSpec spec;
  spec.threshold = in.at("threshold");
  spec.activation_threshold = in.at("activation_threshold");
  spec.min_replicas = in.at("min");
  spec.max_replicas = in.at("max");
  EXPECT_EQ(spec.polling_interval, s(in.at("polling_interval_s")));
  EXPECT_EQ(spec.cooldown_period, s(in.at("cooldown_s")));
  EXPECT_EQ(keda_replicas(spec, in.at("current"), in.at("metric_total")),
            c.at("expected").at("desired").get<int>());
}

// Minutes of a metric through the policy, with one decision after each.
class Tracked {
 public:
  explicit Tracked(double target) {
    const auto& e = find_entry(autoscaling_policies(), "target-tracking");
    Parameters p(e.parameters);
    p.set("target", target);
    p.set("max_replicas", 100);
    policy_ = e.make(p);
  }
  std::uint32_t minute(std::uint32_t current, double metric, std::uint32_t measured) {
    now_ += s(60);
    std::vector<ServiceMetrics> samples(1);
    samples[0].observed_at = now_;
    samples[0].window = s(60);
    samples[0].utilization = metric;
    samples[0].ready = measured;
    AutoscalingView view;
    view.now = now_;
    view.current = current;
    view.samples = samples;
    return policy_->decide(view).desired;
  }

 private:
  std::shared_ptr<AutoscalingPolicy> policy_;
  Instant now_;
};

void check_aws_rules(const Json& c) {
  const double target = c.at("inputs").at("target");
  ASSERT_EQ(c.at("inputs").at("period_s"), 60);
  const Json& e = c.at("expected");
  Tracked out(target);
  EXPECT_EQ(out.minute(2, target * 2, 2), 2u);
  EXPECT_EQ(out.minute(2, target * 2, 2), 2u);
  EXPECT_EQ(out.minute(2, target * 2, 2), 4u);  // the third point in a row
  if (e.at("scale_out_cooldown_counts_capacity_already_added").get<bool>()) {
    EXPECT_EQ(out.minute(4, target * 2, 2), 4u);  // two more are on their way
    EXPECT_EQ(out.minute(4, target * 3, 2), 6u);  // only what is wanted beyond them
  }
  Tracked at_target(target);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(at_target.minute(4, target * 0.901, 4), 4u);
  Tracked in(target);
  for (int i = 0; i < 14; ++i) EXPECT_EQ(in.minute(4, target * 0.4, 4), 4u);
  EXPECT_EQ(in.minute(4, target * 0.4, 4), 2u);
  // Scale-in cooldown: no further step, but growing is not held up.
  EXPECT_EQ(in.minute(2, target * 0.4, 2), 2u);
  EXPECT_TRUE(e.at("scale_in_cooldown_does_not_block_scale_out").get<bool>());
  for (int i = 0; i < 2; ++i) in.minute(2, target * 2, 2);
  EXPECT_EQ(in.minute(2, target * 2, 2), 4u);
  const Parameters p(find_entry(autoscaling_policies(), "target-tracking").parameters);
  EXPECT_EQ(p.number("scale_out_cooldown"), e.at("scale_out_cooldown_s"));
  EXPECT_EQ(p.number("scale_in_cooldown"), e.at("scale_in_cooldown_s"));
}

void check_vpa(const std::string& id, const Json& c) {
  const Json &in = c.at("inputs"), &e = c.at("expected");
  if (id == "vpa_percentile") {
    const auto percentile = [&](VpaRecommender::Resource r, const Json& values, double p) {
      DecayingHistogram h = r == VpaRecommender::Resource::cpu ? DecayingHistogram(0.01, 1.05, 1000, s(86400))
                                                               : DecayingHistogram(1e7, 1.05, 1e12, s(86400));
      for (const Json& v : values) h.add(at(1), v, 1);
      return h.percentile(p);
    };
    const double cpu = e.at("cpu"), memory = e.at("mem"), within = c.at("tolerance").at("rel");
    EXPECT_NEAR(percentile(VpaRecommender::Resource::cpu, in.at("cpu"), in.at("cpu_pct")), cpu, within * cpu);
    EXPECT_NEAR(percentile(VpaRecommender::Resource::memory, in.at("mem"), in.at("mem_pct")), memory,
                within * memory);
  } else if (id == "vpa_bounds_history") {
    for (std::size_t i = 0; i < in.at("history_h").size(); ++i) {
      const double hours = in.at("history_h")[i];
      const double sure = vpa_confidence(s(hours * 3600), 1'000'000);
      EXPECT_NEAR(vpa_scaled(1, 1, 1, sure) / e.at("upper")[i].get<double>(), 1, 1e-6);
      EXPECT_NEAR(vpa_scaled(1, 0.001, -2, sure) / e.at("lower")[i].get<double>(), 1, 1e-6);
    }
  } else {
    const double sure = vpa_confidence(s(24 * 3600), in.at("samples"));
    EXPECT_NEAR(sure, e.at("confidence").get<double>(), 1e-9);
    EXPECT_NEAR(vpa_scaled(in.at("base_cores"), in.at("multiplier"), in.at("exponent"), sure) /
                    e.at("estimate_cores").get<double>(), 1, 1e-3);
  }
}

TEST(AutoscalingTruth, EveryCase) {
  ISTHMUS_NEED_TRUTH();
  int checked = 0;
  for (const Json& c : truth_cases("autoscaling_other")) {
    const std::string id = c.at("id");
    SCOPED_TRACE(id);
    ++checked;
    if (id == "kpa_window_average") check_window(c);
    else if (id == "kpa_weighted_coeff")
      for (std::size_t i = 0; i < c.at("inputs").at("num_buckets").size(); ++i)
        EXPECT_NEAR(KpaBuckets::smoothing(c.at("inputs").at("num_buckets")[i]),
                    c.at("expected").at("coeff")[i].get<double>(), 1e-4);
    else if (id == "kpa_defaults") check_defaults(c);
    else if (id.starts_with("kpa_")) check_kpa(c);
    else if (id.starts_with("keda_")) check_keda(c);
    else if (id == "aws_alarm_rules") check_aws_rules(c);
    else if (id.starts_with("aws_"))
      EXPECT_EQ(proportional_capacity(c.at("inputs").at("current"), c.at("inputs").at("metric"),
                                      c.at("inputs").at("target")),
                c.at("expected").at("capacity").get<std::uint32_t>());
    else if (id.starts_with("vpa_")) check_vpa(id, c);
    else ADD_FAILURE() << "no check for this case";
  }
  EXPECT_EQ(checked, 27);
}

}  // namespace
}  // namespace isthmus::schedulers
