// Every metric against a run small enough to compute by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "fixtures.hpp"
#include "results/metrics.hpp"

namespace isthmus::results {
namespace {

using namespace test;

double of(const std::vector<Metric>& metrics, const std::string& name) {
  for (const Metric& m : metrics)
    if (m.name == name) return m.value;
  ADD_FAILURE() << "no metric " << name;
  return NAN;
}

// Ten seconds measured: 3 answers from the edge, 1 LLM answer from the cloud, 1 rejected, 1 failed,
// 1 young and 1 old request in flight; one more answer in the warm-up.
Summary small_run(bool streaming = false) {
  RunInfo info = two_services();
  info.objectives = {{"latency", 50, ms(50)},
                     {"ttft", 90, ms(30)},
                     {"tpot", 90, ms(5)},
                     {"task_duration", 50, Duration::from_seconds(1)}};
  RecorderOptions options;
  options.streaming = streaming;
  Recorder recorder(info, options);
  recorder.add(answered(0, 1));  // warm-up
  recorder.add(answered(1, 3));
  RequestRecord moved = answered(2, 4);
  moved.first_choice = 1;
  moved.attempts = 2;
  moved.accuracy = 0;  // not stated
  recorder.add(moved);
  RequestRecord slow = answered(3, 5);
  slow.completed = slow.completed + ms(60);  // 100 ms
  slow.degraded = true;
  recorder.add(slow);
  RequestRecord sent = answered_llm(4, 6);  // 80 ms: ttft 36, tpot 4
  sent.kv_bytes = 3e6;  // on its way 2 ms before the first token, there 5 ms after it
  sent.kv_sent = sent.first_token - ms(2);
  sent.kv_received = sent.first_token + ms(5);
  recorder.add(sent);
  recorder.add(ended(5, 7, Status::rejected, Cause::queue_full));
  recorder.add(ended(6, 8, Status::failed, Cause::network_failed));
  recorder.add(ended(7, 11.99, Status::in_flight, Cause::none));
  recorder.add(ended(8, 9, Status::in_flight, Cause::none));
  TaskRecord task;
  task.workload = 1;
  task.created = Instant::from_seconds(3);
  task.ended = Instant::from_seconds(3.5);
  task.succeeded = true;
  recorder.add(task);
  task.ended = Instant::from_seconds(3.1);
  task.succeeded = false;
  recorder.add(task);
  task.ended = Instant::never();
  recorder.add(task);
  return recorder.finish(totals(9));
}

TEST(Metrics, CountsAndRates) {
  const Summary s = small_run();
  EXPECT_EQ(s.completed, 5U);
  EXPECT_EQ(s.value("requests"), 8);
  EXPECT_EQ(s.value("completed"), 4);
  EXPECT_DOUBLE_EQ(s.value("throughput"), 0.4);
  // Met everything: two edge answers of 40 ms. The LLM answer misses latency and ttft.
  EXPECT_DOUBLE_EQ(s.value("goodput"), 0.2);
  EXPECT_DOUBLE_EQ(s.value("rejected_rate"), 1.0 / 8);
  EXPECT_DOUBLE_EQ(s.value("failed_rate"), 1.0 / 8);
  EXPECT_DOUBLE_EQ(s.value("fallback_rate"), 1.0 / 4);
  EXPECT_DOUBLE_EQ(s.value("tenant_degraded.gold"), 1.0 / 4);
  EXPECT_DOUBLE_EQ(s.value("retry_rate"), 1.0 / 8);
  EXPECT_DOUBLE_EQ(s.value("output_token_throughput"), 1.1);
}

TEST(Metrics, Times) {
  const Summary s = small_run();
  EXPECT_NEAR(s.value("latency.mean"), (40 + 40 + 100 + 80) / 4e3, 1e-12);
  EXPECT_NEAR(s.value("latency.p50"), 0.040, 1e-12);
  EXPECT_NEAR(s.value("latency.p90"), 0.100, 1e-12);
  EXPECT_NEAR(s.value("latency.max"), 0.100, 1e-12);
  EXPECT_NEAR(s.value("queue_wait.mean"), 0.005, 1e-12);
  EXPECT_NEAR(s.value("network_time.p50"), 0.014, 1e-12);
  EXPECT_NEAR(s.value("network_time.max"), 0.074, 1e-12);
  EXPECT_NEAR(s.value("service_time.mean"), (20 * 3 + 60) / 4e3, 1e-12);
  EXPECT_NEAR(s.value("service_share"), 120.0 / 260, 1e-12);
}

TEST(Metrics, Tokens) {
  const Summary s = small_run();
  EXPECT_NEAR(s.value("ttft.mean"), 0.036, 1e-12);
  EXPECT_NEAR(s.value("tpot.p99"), 0.004, 1e-12);
  EXPECT_NEAR(s.value("itl.mean"), 0.004, 1e-12);
  EXPECT_NEAR(s.value("e2e.mean"), 0.036 + 0.004 * 10, 1e-12);
}

TEST(Metrics, InterTokenLatencyWeighsGapsNotRequests) {
  Recorder recorder(two_services(), {});
  recorder.add(answered_llm(0, 3));  // 10 gaps of 4 ms
  RequestRecord r = answered_llm(1, 4);
  r.output_tokens = 3;  // 2 gaps of 20 ms
  recorder.add(r);
  const Summary s = recorder.finish(totals(2));
  EXPECT_NEAR(s.value("itl.mean"), 80e-3 / 12, 1e-12);
  EXPECT_NEAR(s.value("tpot.mean"), (4e-3 + 20e-3) / 2, 1e-12);
}

TEST(Metrics, ObjectivesCountWhatDidNotComplete) {
  const Summary s = small_run();
  // Latency <= 50 ms: 2 of 4 answers; rejected, failed and the old request in flight missed it; the
  // young one is undecided.
  EXPECT_DOUBLE_EQ(s.value("slo.0.attainment"), 2.0 / 7);
  EXPECT_EQ(s.value("slo.0.met"), 0);
  // TTFT <= 30 ms concerns the LLM answer alone (36 ms), TPOT <= 5 ms too (4 ms).
  EXPECT_EQ(s.value("slo.1.attainment"), 0);
  EXPECT_EQ(s.value("slo.2.attainment"), 1);
  EXPECT_EQ(s.value("slo.2.met"), 1);
  // Tasks: one in time, one failed, one still running after nine seconds.
  EXPECT_DOUBLE_EQ(s.value("slo.3.attainment"), 1.0 / 3);
}

TEST(Metrics, ATargetMetExactlyIsMet) {
  RunInfo info = two_services();
  info.objectives = {{"latency", 95, ms(40)}};
  Recorder recorder(info, {});
  for (std::uint64_t i = 0; i < 19; ++i) recorder.add(answered(i, 3));
  recorder.add(ended(19, 3, Status::failed, Cause::node_failed));
  const Summary s = recorder.finish(totals(20));
  EXPECT_DOUBLE_EQ(s.value("slo.0.attainment"), 0.95);
  EXPECT_EQ(s.value("slo.0.met"), 1);
}

TEST(Metrics, TasksEnergyAndCost) {
  const Summary s = small_run();
  EXPECT_EQ(s.value("tasks"), 2);
  EXPECT_DOUBLE_EQ(s.value("task_success"), 0.5);
  EXPECT_DOUBLE_EQ(s.value("task_duration.mean"), 0.5);
  EXPECT_DOUBLE_EQ(s.value("energy"), 1000);
  EXPECT_DOUBLE_EQ(s.value("energy_per_request"), 250);
  EXPECT_DOUBLE_EQ(s.value("client_energy_per_request"), 0.5);
  EXPECT_DOUBLE_EQ(s.value("cost"), 0.035);
  EXPECT_DOUBLE_EQ(s.value("network_cost"), 0.005);
  EXPECT_EQ(s.value("transfer_retries"), 3);
  EXPECT_EQ(s.value("handovers"), 4);
  EXPECT_EQ(s.value("outages"), 7);
  EXPECT_DOUBLE_EQ(s.value("hedge_copies"), 0.4);
  EXPECT_DOUBLE_EQ(s.value("hedge_wins"), 0.25);
  EXPECT_DOUBLE_EQ(s.value("hedge_wins.0"), 0.75);
  EXPECT_DOUBLE_EQ(s.value("hedge_wasted"), 1.5);
  EXPECT_EQ(s.value("update_share.v2"), 0.25);
  EXPECT_EQ(s.value("update_time_50.v2"), 4);
  EXPECT_TRUE(std::isnan(s.value("update_time_95.v2")));
  EXPECT_EQ(s.value("rollback_time_95.v2"), 2.25);
  EXPECT_EQ(s.value("update_bytes.v2"), 600);
  EXPECT_EQ(s.value("version.edge/v2"), 0.75);
  EXPECT_EQ(s.value("version_skew.edge"), 0.2);
  EXPECT_EQ(s.value("connections_reused"), 16);
  EXPECT_DOUBLE_EQ(s.value("handshake_time"), 0.05);
  EXPECT_EQ(s.value("wire_bytes"), 1100);
  EXPECT_EQ(s.value("bytes_in_clear"), 50);
  EXPECT_EQ(s.value("broker_held"), 3);
  EXPECT_DOUBLE_EQ(s.value("cost_per_1000"), 8.75);
  EXPECT_DOUBLE_EQ(s.value("accuracy"), 0.8);
  EXPECT_DOUBLE_EQ(s.value("bytes_per_request"), 1024);
}

TEST(Metrics, SharesAndTimingError) {
  const Summary s = small_run();
  EXPECT_DOUBLE_EQ(s.value("share.edge"), 0.75);
  EXPECT_DOUBLE_EQ(s.value("share.cloud"), 0.25);
  // 60 ms of service at the edge with 10 %, 60 ms in the cloud with 2 %.
  EXPECT_NEAR(s.value("timing_error"), 0.06, 1e-12);
  EXPECT_NEAR(s.value("utilization"), (1 * 0.5 + 3 * 0.2) / 4, 1e-12);
}

TEST(Metrics, GroupsAddUp) {
  const Summary s = small_run();
  EXPECT_EQ(of(s.by_workload.at("cameras"), "completed"), 4);
  EXPECT_EQ(of(s.by_workload.at("agents"), "completed"), 0);
  EXPECT_TRUE(std::isnan(of(s.by_workload.at("agents"), "latency.mean")));
  EXPECT_EQ(of(s.by_workload.at("agents"), "tasks"), 2);
  EXPECT_EQ(of(s.by_service.at("edge"), "completed") + of(s.by_service.at("cloud"), "completed"),
            s.value("completed"));
  EXPECT_NEAR(of(s.by_service.at("cloud"), "latency.mean"), 0.080, 1e-12);
  EXPECT_EQ(of(s.by_service.at("edge"), "timing_error"), 0.1);
}

TEST(Metrics, StreamingAgreesWithinTheSketch) {
  const Summary exact = small_run(false), sketched = small_run(true);
  ASSERT_EQ(exact.metrics.size(), sketched.metrics.size());
  for (std::size_t i = 0; i < exact.metrics.size(); ++i) {
    const Metric &a = exact.metrics[i], &b = sketched.metrics[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(std::isnan(a.value), std::isnan(b.value)) << a.name;
    if (!std::isnan(a.value)) {
      EXPECT_NEAR(b.value, a.value, 1e-3 * std::abs(a.value)) << a.name;
    }
  }
}

TEST(Metrics, NothingCountedIsNaN) {
  Recorder recorder(two_services(), {});
  recorder.add(answered(0, 1));
  const Summary s = recorder.finish(totals(1));
  EXPECT_EQ(s.value("requests"), 0);
  for (const char* name : {"latency.p95", "accuracy", "cost_per_1000", "task_success", "ttft.max"})
    EXPECT_TRUE(std::isnan(s.value(name))) << name;
}

TEST(Metrics, KvTransfersHideBehindThePrompt) {
  const Summary s = small_run();
  EXPECT_DOUBLE_EQ(s.value("kv_transfer.mean"), 0.005);
  EXPECT_DOUBLE_EQ(s.value("kv_bytes_per_transfer"), 3e6);
}

TEST(Metrics, EveryNameIsDocumented) {
  const std::string page = read_file(std::string(ISTHMUS_SOURCE_DIR) + "/docs/metrics.md");
  const Summary s = small_run();
  std::vector<Metric> emitted = s.metrics;
  for (const auto* groups : {&s.by_workload, &s.by_service})
    for (const auto& [name, metrics] : *groups)
      emitted.insert(emitted.end(), metrics.begin(), metrics.end());
  std::set<std::string> used;
  for (const Metric& m : emitted) {
    const auto d = find_metric(m.name);
    ASSERT_TRUE(d) << m.name;
    used.insert(std::string(d->name));
    EXPECT_EQ(m.unit, d->unit) << m.name;
    // The row of the page, with the same unit and direction.
    const std::string row = "| `" + std::string(d->name) + "` | " + m.unit + " | ";
    const std::size_t at = page.find(row);
    ASSERT_NE(at, std::string::npos) << row;
    const std::string line = page.substr(at, page.find('\n', at) - at);
    EXPECT_EQ(line.find("timed;") != std::string::npos, d->timed) << line;
  }
  // And nothing in the table that no summary holds.
  for (const MetricDefinition& d : metric_definitions())
    EXPECT_TRUE(used.contains(std::string(d.name))) << d.name;
}

TEST(Metrics, FindsFullNamesOnly) {
  EXPECT_EQ(find_metric("latency.p95")->name, "latency");
  EXPECT_EQ(find_metric("slo.12.met")->name, "slo.<i>.met");
  EXPECT_EQ(find_metric("share.my cloud")->name, "share.<service>");
  EXPECT_FALSE(find_metric("latency"));
  EXPECT_FALSE(find_metric("latency.p96"));
  EXPECT_FALSE(find_metric("share."));
  EXPECT_FALSE(find_metric("nonsense"));
}

TEST(Objectives, AreChecked) {
  const auto with = [](Objective o) {
    RunInfo info = two_services();
    info.objectives = {o};
    Recorder recorder(info, {});
  };
  EXPECT_THROW(with({"speed", 95, ms(1)}), Error);
  EXPECT_THROW(with({"latency", 0, ms(1)}), Error);
  EXPECT_THROW(with({"latency", 101, ms(1)}), Error);
  EXPECT_THROW(with({"latency", 95, ms(0)}), Error);
  EXPECT_NO_THROW(with({"tpot", 100, ms(1)}));
}

}  // namespace
}  // namespace isthmus::results
