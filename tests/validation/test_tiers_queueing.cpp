// Tiers behind a service against closed forms: a pool of connections as a queue with as many servers,
// closed loops by exact mean value analysis, and parallel calls as maxima. Runs are long enough for a
// relative error of the mean waiting time near 1 % (one standard error); bounds are four of these.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "scenarios/reader.hpp"
#include "sim/world/run.hpp"

namespace isthmus {
namespace {

using nlohmann::json;

json exponential(double mean) { return {{"distribution", "exponential"}, {"mean", fmt::format("{:.17g} s", mean)}}; }

// One machine without a network: "api" calls "db", which serves everybody at once.
json base(double query, double duration) {
  return {{"isthmus", 1},
          {"name", "tiers"},
          {"seed", 11},
          {"duration", fmt::format("{} s", duration)},
          {"warmup", fmt::format("{} s", duration / 20)},
          {"nodes", {{"m", json::object()}}},
          {"network", {{"model", "fluid"}}},
          {"services",
           {{"api", {{"service_time", "0 s"}, {"on", "m"}, {"slots", 100000}, {"local", false},
                     {"calls", json::array({{{"service", "db"}}})}}},
            {"db", {{"service_time", exponential(query)}, {"on", "m"}, {"slots", 100000}, {"local", false}}}}},
          {"workload", json::array({{{"name", "load"}, {"target", "api"}, {"clients", {{"on", "m"}}}}})},
          {"results", {{"streaming", true}, {"decisions", false}, {"sample_period", fmt::format("{} s", duration / 20)}}}};
}

void add_pool(json& s, int connections) {
  json& api = s["services"]["api"];
  api["calls"][0]["pool"] = "main";
  api["connection_pools"]["main"] = {{"max_open", connections}, {"max_idle", connections}, {"round_trips", 0}};
}

results::Summary simulate(const json& s) { return world::run(*scenarios::load_text(s.dump()).scenario, {}); }

TEST(TierQueueing, APoolIsAQueueWithAsManyServers) {
  // Erlang's C formula, from the recursion of his B formula.
  const double rate = 40, query = 0.1;
  const int servers = 5;
  double b = 1;
  for (int k = 1; k <= servers; ++k) b = rate * query * b / (k + rate * query * b);
  const double c = b / (1 - rate * query / servers * (1 - b));
  const double wait = c / (servers / query - rate);
  EXPECT_NEAR(wait, 0.0554, 0.0001);

  json s = base(query, 20000);
  s["workload"][0]["source"] = "poisson";
  s["workload"][0]["rate"] = "40 /s";
  add_pool(s, servers);
  const results::Summary r = simulate(s);
  EXPECT_NEAR(r.value("pool_wait.api/main.mean"), wait, 0.04 * wait);
  EXPECT_NEAR(r.value("pool_waited.api/main"), c, 0.02);
  EXPECT_NEAR(r.value("pool_waiting.api/main"), rate * wait, 0.05 * rate * wait);  // Little's law
  EXPECT_NEAR(r.value("latency.mean"), wait + query, 0.02 * (wait + query));
  EXPECT_NEAR(r.value("pool_open.api/main"), servers, 1e-3);
  EXPECT_NEAR(r.value("pool_idle.api/main"), servers - rate * query, 0.03);
  // 95th percentile of the wait: P(W > t) = C exp(-(c mu - lambda) t).
  const double p95 = std::log(c / 0.05) / (servers / query - rate);
  EXPECT_NEAR(r.value("pool_wait.api/main.p95"), p95, 0.04 * p95);
}

// Exact mean value analysis of a closed loop: `users` who think, a first station with one server and
// one with `servers` (Reiser and Lavenberg 1980). Gives throughput; 0 as time of the first: none.
double closed_loop(int users, double think, double first, double query, int servers) {
  double throughput = 0, length = 0;
  std::vector<double> p{1.0};  // of the second station
  for (int n = 1; n <= users; ++n) {
    double second = 0;
    for (int j = 1; j <= n; ++j)
      second += j * query / std::min(j, servers) * p[static_cast<std::size_t>(j - 1)];
    const double one = first * (1 + length);
    throughput = n / (think + one + second);
    length = throughput * one;
    std::vector<double> next(static_cast<std::size_t>(n) + 1);
    double sum = 0;
    for (int j = n; j >= 1; --j) {
      next[static_cast<std::size_t>(j)] =
          throughput * query / std::min(j, servers) * p[static_cast<std::size_t>(j - 1)];
      sum += next[static_cast<std::size_t>(j)];
    }
    next[0] = std::max(0.0, 1 - sum);
    p = next;
  }
  return throughput;
}

// The same without a first station, as a birth-death process (machine repair): mean value analysis loses all
// digits when a station of many servers is full.
double repair(int users, double think, double query, int servers) {
  std::vector<double> logs{0.0};
  double most = 0;
  for (int j = 1; j <= users; ++j) {
    logs.push_back(logs.back() + std::log((users - j + 1) / think * query / std::min(j, servers)));
    most = std::max(most, logs.back());
  }
  double all = 0, served = 0;
  for (int j = 0; j <= users; ++j) {
    const double p = std::exp(logs[static_cast<std::size_t>(j)] - most);
    all += p;
    served += p * std::min(j, servers) / query;
  }
  return served / all;
}

TEST(TierQueueing, ClosedLoopsThroughAPool) {
  EXPECT_NEAR(closed_loop(20, 0.5, 0, 0.1, 3), repair(20, 0.5, 0.1, 3), 1e-9);
  struct Case {
    int users;
    double think, first, query;
    int connections;
    double duration;
  };
  for (const Case& c : {Case{20, 0.5, 0, 0.1, 3, 4000}, Case{12, 0.3, 0.02, 0.1, 4, 4000},
                        Case{147, 0.021, 0, 0.417, 50, 2000}, Case{147, 0.021, 0, 0.0345, 50, 300}}) {
    json s = base(c.query, c.duration);
    s["services"]["api"]["service_time"] = exponential(c.first);
    if (c.first > 0) s["services"]["api"]["slots"] = 1;
    else s["services"]["api"]["service_time"] = "0 s";
    s["workload"][0]["source"] = "closed";
    s["workload"][0]["think"] = exponential(c.think);
    s["workload"][0]["clients"]["count"] = c.users;
    add_pool(s, c.connections);
    const double x = c.first > 0 ? closed_loop(c.users, c.think, c.first, c.query, c.connections)
                                 : repair(c.users, c.think, c.query, c.connections);
    const results::Summary r = simulate(s);
    SCOPED_TRACE(fmt::format("{} users: {:.2f}/s and {:.2f} ms", c.users, x, 1e3 * (c.users / x - c.think)));
    EXPECT_NEAR(r.value("throughput"), x, 0.012 * x);
    EXPECT_NEAR(r.value("latency.mean"), c.users / x - c.think, 0.02 * (c.users / x - c.think));
  }
}

TEST(TierQueueing, ParallelCallsTakeTheMaximum) {
  for (const int k : {2, 8}) {
    json s = base(0.05, 5000);
    s["workload"][0]["source"] = "poisson";
    s["workload"][0]["rate"] = "10 /s";
    s["services"]["api"]["calls"][0]["parallel"] = true;
    s["services"]["api"]["calls"][0]["count"] = k;
    double harmonic = 0, variance = 0;
    for (int i = 1; i <= k; ++i) harmonic += 1.0 / i, variance += 1.0 / i / i;
    const results::Summary r = simulate(s);
    const double error = 0.05 * std::sqrt(variance / 47500);
    EXPECT_NEAR(r.value("latency.mean"), 0.05 * harmonic, 4 * error);
    // P(max <= t) = (1 - exp(-t / S))^k
    const double median = -0.05 * std::log(1 - std::pow(0.5, 1.0 / k));
    EXPECT_NEAR(r.value("latency.p50"), median, 0.03 * median);
  }
}

TEST(TierQueueing, CallsInOrderAddUp) {
  json s = base(0.05, 5000);
  s["workload"][0]["source"] = "poisson";
  s["workload"][0]["rate"] = "10 /s";
  s["services"]["api"]["calls"][0]["count"] = 4;
  const results::Summary r = simulate(s);
  EXPECT_NEAR(r.value("latency.mean"), 0.2, 4 * 0.1 / std::sqrt(47500));
  // Erlang with four phases: median 3.6721 of its mean phase.
  EXPECT_NEAR(r.value("latency.p50"), 0.05 * 3.67206, 0.0025);
}

}  // namespace
}  // namespace isthmus
