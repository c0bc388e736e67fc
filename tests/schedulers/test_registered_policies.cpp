// Holds for every registered policy, whoever adds it: a complete declaration, and a valid decision
// on any view the world could show.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "schedulers/policy_docs.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

constexpr int views_per_policy = 10'000;

bool kebab(const std::string& s) {
  if (s.empty() || s.front() == '-' || s.back() == '-') return false;
  for (const char c : s)
    if (!(std::islower(static_cast<unsigned char>(c)) != 0 ||
          std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '-'))
      return false;
  return true;
}

bool snake(const std::string& s) {
  for (const char c : s)
    if (!(std::islower(static_cast<unsigned char>(c)) != 0 ||
          std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '_'))
      return false;
  return !s.empty();
}

template <class Policy>
void check_declarations(const std::vector<PolicyEntry<Policy>>& table) {
  std::set<std::string> names;
  for (const auto& e : table) {
    SCOPED_TRACE(e.name);
    EXPECT_TRUE(kebab(e.name));
    EXPECT_TRUE(names.insert(e.name).second) << "registered twice";
    EXPECT_FALSE(e.summary.empty());
    EXPECT_EQ(e.summary.back(), '.');
    EXPECT_FALSE(e.source.empty());
    EXPECT_FALSE(e.bad_idea_when.empty());
    EXPECT_EQ(e.bad_idea_when.back(), '.');
    EXPECT_TRUE(e.complexity.starts_with("O("));
    std::set<std::string> parameters;
    for (const ParameterSpec& s : e.parameters) {
      SCOPED_TRACE(s.name);
      EXPECT_TRUE(snake(s.name));
      EXPECT_TRUE(parameters.insert(s.name).second);
      EXPECT_FALSE(s.help.empty());
      if (s.dimension == Dimension::text) {
        EXPECT_TRUE(s.choices.empty() || std::find(s.choices.begin(), s.choices.end(),
                                                   s.default_text) != s.choices.end());
      } else {
        EXPECT_LE(s.min, s.default_value);
        EXPECT_GE(s.max, s.default_value);
        EXPECT_LT(s.min, s.max);
      }
    }
    ASSERT_NE(e.make, nullptr);
    EXPECT_NE(e.make(Parameters(e.parameters)), nullptr);
    // Instances are independent: a policy may keep state, but not share it.
    EXPECT_NE(e.make(Parameters(e.parameters)), e.make(Parameters(e.parameters)));
    EXPECT_EQ(&find_entry(table, e.name), &e);
  }
}

TEST(RegisteredPolicies, DeclareThemselvesCompletely) {
  check_declarations(offload_policies());
  check_declarations(routing_policies());
  check_declarations(batching_policies());
  check_declarations(autoscaling_policies());
  check_declarations(placement_policies());
  check_declarations(list_schedulers());
  check_declarations(governor_policies());
  check_declarations(variant_policies());
  check_declarations(admission_policies());
  check_declarations(eviction_policies());
  check_declarations(replacement_policies());
  check_declarations(partitioners());
}

std::uint32_t below(Rng& g, std::uint64_t n) {
  return static_cast<std::uint32_t>(uniform_index(g, n));
}

// Extremes more often than a plain draw would give them.
double skewed(Rng& g, double most) {
  switch (below(g, 4)) {
    case 0:
      return 0;
    case 1:
      return most;
    default:
      return most * uniform01(g);
  }
}

struct RandomOffloadView {
  std::vector<OffloadCandidate> candidates;
  OffloadView view;
  explicit RandomOffloadView(Rng& g) {
    static constexpr std::string_view names[] = {"a", "b", "c", "d", "e", "f"};
    const std::uint32_t n = 1 + below(g, 6);
    for (std::uint32_t i = 0; i < n; ++i) {
      OffloadCandidate c;
      c.name = names[i];
      c.tier = static_cast<Tier>(below(g, 3));
      c.healthy = below(g, 3) != 0;
      c.load = skewed(g, 1);
      c.queued = below(g, 3) == 0 ? 4294967295U : below(g, 50);
      c.running = below(g, 40);
      c.slots = below(g, 20);  // zero included: a service whose replicas are all gone
      c.service = Duration::from_seconds(skewed(g, 100));
      c.parallel_speedup = skewed(g, 30);
      c.network = Duration::from_seconds(skewed(g, 10));
      c.client_energy = skewed(g, 5);
      c.cost = skewed(g, 1);
      candidates.push_back(c);
    }
    view.slo = Duration::from_seconds(skewed(g, 10));
    view.uniform = uniform01(g);
    view.candidates = candidates;
  }
};

TEST(RegisteredPolicies, OffloadDecisionsAreValid) {
  for (const auto& e : offload_policies()) {
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    Rng g = StreamKey(1, e.name).sequence();
    for (int i = 0; i < views_per_policy; ++i) {
      RandomOffloadView r(g);
      const OffloadDecision d = policy->decide(r.view);
      ASSERT_LT(d.candidate, r.candidates.size());
      ASSERT_TRUE(std::isfinite(d.score));
      ASSERT_FALSE(d.reason.empty());
      policy->observe({r.view.request, d.candidate, true, Duration::zero(), 0});
    }
  }
}

// threshold knows two targets only: both may be down while a third candidate is up.
TEST(RegisteredPolicies, OffloadAvoidsTheUnhealthyUnlessBoundToItsTargets) {
  const std::set<std::string> bound{"always-local", "always-edge", "always-cloud", "threshold"};
  for (const auto& e : offload_policies()) {
    if (bound.contains(e.name)) continue;
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    Rng g = StreamKey(2, e.name).sequence();
    for (int i = 0; i < views_per_policy; ++i) {
      RandomOffloadView r(g);
      const std::size_t chosen = policy->decide(r.view).candidate;
      bool any_up = false;
      for (const auto& c : r.candidates) any_up |= c.healthy;
      if (any_up) {
        ASSERT_TRUE(r.candidates[chosen].healthy);
      }
    }
  }
}

TEST(RegisteredPolicies, RoutingDecisionsAreValidUnderChangingSets) {
  for (const auto& e : routing_policies()) {
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    Rng g = StreamKey(3, e.name).sequence();
    std::vector<ReplicaSignal> replicas;
    for (int i = 0; i < views_per_policy; ++i) {
      // A set lives for a while, so that state is exercised as well as its loss.
      if (replicas.empty() || below(g, 8) == 0) {
        replicas.clear();
        const std::uint32_t n = 1 + below(g, 8);
        std::uint32_t number = 0;
        for (std::uint32_t k = 0; k < n; ++k) {
          number += 1 + below(g, 3);
          replicas.push_back({number, 0, skewed(g, 10)});
        }
      }
      for (auto& r : replicas) {
        r.outstanding = below(g, 6);
        r.waiting = below(g, 4);
        r.kv_usage = skewed(g, 1);
        r.penalty = below(g, 3) == 0 ? skewed(g, 10) : 0;
        r.zone = static_cast<std::uint32_t>(below(g, 3));
        r.priority = static_cast<std::uint16_t>(below(g, 3));
        r.healthy = below(g, 3) > 0;
      }
      std::vector<std::uint64_t> prefix(below(g, 5));
      for (auto& block : prefix) block = below(g, 20);
      RoutingView view;
      view.session = g();
      view.uniform = uniform01(g);
      view.replicas = replicas;
      view.prefix = prefix;
      view.block_tokens = below(g, 3) * 512;
      view.now = Instant(i);
      view.partial = below(g, 2) == 0;
      if (below(g, 2) == 0) view.zone = static_cast<std::uint32_t>(below(g, 3));
      const std::size_t chosen = policy->choose(view);
      ASSERT_LT(chosen, replicas.size());
      if (policy->wants_outcomes() && below(g, 2) == 0) {
        const Duration latency(static_cast<std::int64_t>(below(g, 4'000'000'000)));
        policy->observe({replicas[chosen].replica, view.now, latency, latency, latency, below(g, 3) > 0});
      }
    }
  }
}

std::vector<WaitingRequest> random_queue(Rng& g, Instant now) {
  std::vector<WaitingRequest> all(1 + below(g, 20));
  const auto within = [&](double most) { return Duration::from_seconds(skewed(g, most)); };
  for (WaitingRequest& r : all) {
    r.since = Instant::zero() + Duration(static_cast<std::int64_t>(
                                    uniform01(g) * static_cast<double>(now.ns())));
    if (below(g, 3) != 0) r.due = r.since + within(2);
    r.timeout = within(1);
    r.priority = static_cast<std::int32_t>(below(g, 5)) - 2;
    r.items = 1 + below(g, 4);
    r.shape = below(g, 2);
    r.moved_back = below(g, 4) == 0;
  }
  return all;
}

// Every place once at most, and those that are taken are counted.
void check_selection(const BatchingDecision& d, std::size_t waiting) {
  if (!d.selection) return;
  ASSERT_EQ(d.selection->taken.size(), d.take);
  std::set<std::uint32_t> places;
  for (const auto* part : {&d.selection->taken, &d.selection->dropped, &d.selection->moved_back})
    for (const std::uint32_t i : *part) {
      ASSERT_LT(i, waiting);
      ASSERT_TRUE(places.insert(i).second);
    }
}

void check_batching(BatchingPolicy& policy, Rng& g) {
  const std::function<Duration(std::uint32_t)> batch_time = [](std::uint32_t size) {
    return Duration(5'000'000 + std::int64_t{size} * 1'000'000);
  };
  for (int i = 0; i < views_per_policy; ++i) {
    BatchingView view;
    view.now = Instant(static_cast<std::int64_t>(below(g, 1'000'000'000)));
    view.oldest = below(g, 3) == 0 ? view.now
                                   : Instant(static_cast<std::int64_t>(
                                         uniform01(g) * static_cast<double>(view.now.ns())));
    view.waiting = 1 + below(g, below(g, 2) == 0 ? 20 : 4294967295U);
    view.idle_slots = 1 + below(g, 4);
    view.batch_time = &batch_time;
    const auto requests = random_queue(g, view.now);
    if (policy.wants_requests()) {
      view.requests = requests;
      view.waiting = static_cast<std::uint32_t>(requests.size());
    }
    const BatchingDecision d = policy.decide(view);
    ASSERT_LE(d.take, view.waiting);
    check_selection(d, requests.size());
    // Waiting until a date that has come would ask again for ever.
    if (d.take == 0) {
      ASSERT_GT(d.look_again, view.now);
    }
    if (d.take > 0) policy.observe({d.take, Duration::from_seconds(skewed(g, 0.1))});
  }
}

TEST(RegisteredPolicies, BatchingDecisionsAreValid) {
  for (const auto& e : batching_policies()) {
    SCOPED_TRACE(e.name);
    Rng g = StreamKey(4, e.name).sequence();
    check_batching(*e.make(Parameters(e.parameters)), g);
  }
}

TEST(RegisteredPolicies, BatchingByQueuesIsValid) {
  Rng g = StreamKey(7, "queues").sequence();
  const auto& e = find_entry(batching_policies(), "dynamic");
  for (int i = 0; i < 20; ++i) {
    Parameters p(e.parameters);
    p.set("max_queue_delay", skewed(g, 0.5));
    p.set("preferred", std::vector<double>{2, 5});
    const std::uint32_t levels = below(g, 4);
    p.set("priority_levels", levels);
    p.set("default_priority_level", levels > 0 ? 1 + below(g, levels) : 0);
    p.set("timeout_action", below(g, 2) == 0 ? "reject" : "delay");
    p.set("default_timeout", skewed(g, 1));
    p.set("allow_timeout_override", below(g, 2));
    p.set("max_queue_size", below(g, 10));
    check_batching(*e.make(p), g);
  }
}

TEST(RegisteredPolicies, EarliestDeadlineIsValidHoweverItIsSet) {
  Rng g = StreamKey(8, "deadlines").sequence();
  const auto& e = find_entry(batching_policies(), "earliest-deadline");
  for (int i = 0; i < 20; ++i) {
    Parameters p(e.parameters);
    p.set("max_batch", 1 + below(g, 12));
    p.set("slo", skewed(g, 1));
    p.set("slack", skewed(g, 0.1));
    p.set("late", below(g, 2) == 0 ? "drop" : "last");
    p.set("start", below(g, 2) == 0 ? "at-once" : "last-moment");
    p.set("least_batch", 1 + below(g, 8));
    check_batching(*e.make(p), g);
  }
}

struct RandomMetrics {
  std::vector<ServiceMetrics> samples;
  std::vector<double> latencies;
  std::vector<ExternalMetric> external;
  RandomMetrics(Rng& g, Instant now) {
    for (std::uint32_t k = below(g, 20); k > 0; --k) latencies.push_back(skewed(g, 10));
    std::sort(latencies.begin(), latencies.end());
    if (below(g, 2) == 0) external.push_back({"signal", skewed(g, 1e6) - 10});
    for (std::uint32_t k = below(g, 4); k > 0; --k) {
      ServiceMetrics m;
      m.observed_at = now - Duration::from_seconds(k);
      m.window = Duration::from_seconds(below(g, 2));  // zero at the very first date
      m.arrivals = skewed(g, 1e6);
      m.completed = static_cast<double>(latencies.size());
      m.failed = skewed(g, 1000);
      m.queue_length = skewed(g, 1000);
      m.concurrency = m.queue_length + skewed(g, 100);
      m.in_flight = skewed(g, 1e5);
      m.utilization = skewed(g, 1);
      m.ready = below(g, 5);
      if (!latencies.empty()) m.mean_latency = latencies[latencies.size() / 2];
      m.latencies = latencies;
      m.external = external;
      samples.push_back(m);
    }
  }
};

TEST(RegisteredPolicies, AutoscalingDecisionsAreValid) {
  for (const auto& e : autoscaling_policies()) {
    SCOPED_TRACE(e.name);
    Parameters parameters(e.parameters);
    const auto policy = e.make(parameters);
    Rng g = StreamKey(5, e.name).sequence();
    Instant now;
    std::uint32_t current = 3, least = 3, most = 3;  // those without limits keep what there is
    for (const ParameterSpec& spec : e.parameters) {
      if (spec.name == "min_replicas") least = static_cast<std::uint32_t>(spec.default_value);
      if (spec.name == "max_replicas") most = static_cast<std::uint32_t>(spec.default_value);
    }
    for (int i = 0; i < views_per_policy; ++i) {
      now += Duration::from_seconds(15);
      std::vector<ReplicaSample> samples;
      const std::uint32_t n = below(g, current + 2);
      for (std::uint32_t k = 0; k < n; ++k) {
        ReplicaSample s;
        s.ready = below(g, 4) != 0;
        s.age = Duration::from_seconds(skewed(g, 1000));
        if (below(g, 5) != 0) s.utilization = skewed(g, 3);
        if (below(g, 5) != 0) s.in_flight = skewed(g, 100);
        samples.push_back(s);
      }
      AutoscalingView view;
      view.now = now;
      view.observed_at = now - Duration::from_seconds(skewed(g, 15));
      view.current = current;
      view.replicas = samples;
      view.waiting = skewed(g, 50);
      const RandomMetrics metrics(g, now);
      view.samples = metrics.samples;
      view.woken = current == 0 && below(g, 2) == 0;
      view.alerts = below(g, 3);
      const AutoscalingDecision d = policy->decide(view);
      ASSERT_FALSE(d.reason.empty());
      ASSERT_LE(d.desired, most);
      ASSERT_GE(d.desired, least);
      current = d.desired;
    }
  }
}

TEST(RegisteredPolicies, DecideTheSameAgain) {
  for (const auto& e : offload_policies()) {
    const auto once = e.make(Parameters(e.parameters));
    const auto again = e.make(Parameters(e.parameters));
    Rng g1 = StreamKey(6, e.name).sequence(), g2 = g1;
    for (int i = 0; i < 1000; ++i) {
      RandomOffloadView a(g1), b(g2);
      ASSERT_EQ(once->decide(a.view).candidate, again->decide(b.view).candidate) << e.name;
    }
  }
}

TEST(PolicyDocs, PageIsUpToDate) {
  const std::string path = ISTHMUS_SOURCE_DIR "/docs/policies.md";
  if (std::getenv("ISTHMUS_UPDATE") != nullptr) std::ofstream(path) << policies_markdown();
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), policies_markdown()) << "run this test with ISTHMUS_UPDATE=1";
}

}  // namespace
}  // namespace isthmus::schedulers
