// Schedules of catalogue models on catalogue devices: laws that every one obeys, and what is
// refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "scenarios/explain.hpp"
#include "scenarios/file_reading.hpp"
#include "scenarios/json_document.hpp"
#include "scenarios/schedule_question.hpp"
#include "schedulers/list_scheduler.hpp"
#include "sim/core/errors.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using ::testing::ThrowsMessage;

ScheduleQuestion question(const std::string& model, const std::string& device,
                          const std::string& variant = "") {
  ScheduleQuestion q;
  q.model = model;
  q.device = device;
  q.variant = variant;
  return q;
}

// A card behind PCIe beside the host's CPU.
const std::string workstation = R"({"isthmus": 1, "name": "w", "duration": "1 s",
  "nodes": {"pc": {"units": {
    "gpu": {"kind": "gpu", "peak": {"fp32": "20 TFLOPS"}, "memory_bandwidth": "500 GB/s",
            "launch_overhead": "5 us"},
    "cpu": {"kind": "cpu", "peak": {"fp32": "1 TFLOPS"}, "memory_bandwidth": "80 GB/s"}},
    "unit_transfer": {"bandwidth": "20 GB/s", "latency": "10 us"}}},
  "services": {"s": {"model": "resnet-50", "on": "pc"}},
  "workload": [{"rate": "1 /s"}]})";

void expect_laws(const GraphSchedule& s) {
  const double close = 1e-9 * static_cast<double>(s.operators.size() + 1);
  double end = 0, busy = 0, total = 0;
  std::map<std::pair<std::uint32_t, std::uint32_t>, double> lane_free;
  for (const ScheduledOperator& o : s.operators) {
    EXPECT_GE(o.start, s.overhead - close) << o.name;
    EXPECT_GE(o.end, o.start) << o.name;
    // By start, so a lane is free again before its next operator.
    double& free = lane_free[{o.unit, o.lane}];
    EXPECT_GE(o.start, free - close) << o.name;
    free = o.end;
    end = std::max(end, o.end);
    total += o.end - o.start;
  }
  EXPECT_NEAR(end, s.makespan, close);
  for (const ScheduledUnit& u : s.units) {
    busy += u.busy;
    EXPECT_LE(u.busy, s.makespan * u.lanes);
  }
  EXPECT_NEAR(busy, total, close);
  EXPECT_GE(s.makespan, s.path_bound - close);
  EXPECT_GE(s.makespan, s.work_bound - close);
  EXPECT_GE(s.makespan, s.planned - close);
  for (const ScheduledTransfer& t : s.transfers) EXPECT_GE(t.end, t.start);
  // The marked chain reaches from the first operator to the end.
  double first = s.makespan;
  bool last = false;
  for (const ScheduledOperator& o : s.operators)
    if (o.critical) {
      first = std::min(first, o.start);
      last |= std::abs(o.end - s.makespan) <= close;
    }
  for (const ScheduledTransfer& t : s.transfers)
    if (t.critical) first = std::min(first, t.start);
  EXPECT_TRUE(last);
  EXPECT_LE(first, s.overhead + 1e-3 * s.makespan);
}

TEST(ScheduleQuestion, EveryScheduleObeysTheLaws) {
  for (const auto& [model, device, variant] : {std::tuple{"resnet-50", "snapdragon-8-gen3", ""},
                                               {"bert-base", "apple-m4", "int8"},
                                               {"yolov5n", "rockchip-rk3588", "fp16"},
                                               {"mobilenet-v2", "jetson-nano", ""}}) {
    SCOPED_TRACE(model);
    ScheduleQuestion q = question(model, device, variant);
    q.compare = true;
    const GraphSchedule s = schedule(q);
    expect_laws(s);
    ASSERT_EQ(s.compared.size(), schedulers::list_schedulers().size());
    double best = INFINITY;
    for (const ScheduleAlternative& a : s.compared) {
      if (!a.refusal.empty()) continue;
      EXPECT_GE(a.makespan, s.path_bound * (1 - 1e-6)) << a.scheduler;
      if (a.scheduler == s.scheduler) {
        EXPECT_EQ(a.makespan, s.makespan);
      }
      best = std::min(best, a.makespan);
    }
    EXPECT_LE(best, s.makespan);
  }
}

TEST(ScheduleQuestion, OneUnitIsWhatExplainSays) {
  for (const char* unit : {"gpu", "cpu", "little"}) {
    ScheduleQuestion q = question("resnet-50", "snapdragon-8-gen3");
    q.units = {unit};
    q.batch = 3;
    const GraphSchedule s = schedule(q);
    ExplainQuestion e;
    e.model = "resnet-50";
    e.device = std::string("snapdragon-8-gen3/") + unit;
    e.batch = 3;
    const double serial = explain(e).phases[0].total.time.seconds();
    EXPECT_NEAR(s.makespan, serial, 1e-9 * 100) << unit;
    EXPECT_NEAR(s.units[0].alone, serial, 1e-9 * 100) << unit;
    EXPECT_NEAR(s.units[0].energy, s.units[0].alone_energy, 1e-12) << unit;
    EXPECT_TRUE(s.transfers.empty());
    expect_laws(s);
    q.units.clear();
    q.device = e.device;
    EXPECT_EQ(schedule(q).makespan, s.makespan);
  }
}

TEST(ScheduleQuestion, UnsupportedOperatorsFallBack) {
  const GraphSchedule s = schedule(question("bert-base", "apple-m4", "int8"));
  const auto npu = std::find_if(s.units.begin(), s.units.end(),
                                [](const ScheduledUnit& u) { return u.name == "npu"; });
  EXPECT_THAT(npu->refusal, HasSubstr("does not support embedding"));
  EXPECT_TRUE(std::isinf(npu->alone));
  EXPECT_GT(npu->operators, 100u);
  for (const ScheduledOperator& o : s.operators)
    if (o.kind == "embedding") {
      EXPECT_NE(s.units[o.unit].name, "npu");
    }
  // Times in fp32 are nothing for an NPU that computes in int8 only.
  const GraphSchedule wide = schedule(question("bert-base", "snapdragon-8-gen3", "fp32"));
  EXPECT_EQ(wide.units[3].operators, 0u);
  EXPECT_THAT(wide.units[3].refusal, HasSubstr("cannot compute fp32"));
}

TEST(ScheduleQuestion, InputsCrossPcieOnce) {
  TemporaryFolder folder;
  ScheduleQuestion q;
  q.scenario = folder.write("w.json", workstation);
  const GraphSchedule s = schedule(q);
  expect_laws(s);
  EXPECT_EQ(s.device, "pc");
  const double upload = 10e-6 + 3 * 224 * 224 * 4 / 20e9;
  ASSERT_GE(s.transfers.size(), 1u);
  EXPECT_EQ(s.transfers[0].bytes, 3 * 224 * 224 * 4);
  EXPECT_NEAR(s.transfers[0].end - s.transfers[0].start, upload, 1e-12);
  EXPECT_TRUE(s.transfers[0].critical);
  // The card alone has to wait for the same copy.
  q.units = {"gpu", "cpu"};
  EXPECT_NEAR(s.units[0].alone, s.makespan, 1e-6);
}

TEST(ScheduleQuestion, ServicesBringTheirUnitsAndScheduler) {
  TemporaryFolder folder;
  std::string text = workstation;
  text.replace(text.find("\"on\": \"pc\""), 10,
               "\"on\": \"pc\", \"units\": [\"cpu\"], \"scheduler\": \"fifo\"");
  ScheduleQuestion q;
  q.scenario = folder.write("w.json", text);
  const GraphSchedule s = schedule(q);
  EXPECT_EQ(s.scheduler, "fifo");
  ASSERT_EQ(s.units.size(), 1u);
  EXPECT_EQ(s.units[0].name, "cpu");
  q.units = {"gpu", "cpu"};
  q.scheduler = "heft";
  EXPECT_EQ(schedule(q).units.size(), 2u);
}

// The first unit of a service need not know the format: the others run the graph.
TEST(ScheduleQuestion, ServicesFallBackFromTheirFirstUnit) {
  TemporaryFolder folder;
  ScheduleQuestion q;
  q.scenario = folder.write("f.json", R"({"isthmus": 1, "name": "f", "duration": "1 s",
    "nodes": {"phone": {"device": "snapdragon-8-gen3"}},
    "services": {"s": {"model": "resnet-50", "variant": "fp16", "on": "phone",
                       "units": ["npu", "cpu", "gpu"]}},
    "workload": [{"rate": "1 /s"}]})");
  const GraphSchedule s = schedule(q);
  EXPECT_EQ(s.units[0].operators, 0u);
  EXPECT_THAT(s.units[0].refusal, HasSubstr("cannot compute fp16"));
  EXPECT_GT(s.units[2].operators, 0u);
}

TEST(ScheduleQuestion, OutputsAreSound) {
  ScheduleQuestion q = question("mobilenet-v2", "snapdragon-8-gen3");
  q.compare = true;
  const GraphSchedule s = schedule(q);
  Sources sources;
  const std::uint32_t source = sources.add("answer");
  const Value parsed = parse_json(to_json(s), sources, source);
  EXPECT_EQ(parsed.find("operators")->items.size(), s.operators.size());
  EXPECT_EQ(parsed.find("units")->items.size(), 4u);
  EXPECT_EQ(to_json(s), to_json(schedule(q)));
  EXPECT_EQ(to_svg(s), to_svg(schedule(q)));
  const std::string text = to_text(s, 5);
  EXPECT_THAT(text, AllOf(HasSubstr("lower bounds: longest path"), HasSubstr("others"),
                          HasSubstr("critical-path"), HasSubstr("over best")));
  EXPECT_THAT(to_svg(s), HasSubstr("% busy"));
}

// The picture in docs/scheduling_graphs.md; ISTHMUS_UPDATE=1 draws it again.
TEST(ScheduleQuestion, PictureOfTheDocsIsUpToDate) {
  ScheduleQuestion q = question("yolov5n", "rockchip-rk3588");
  q.units = {"gpu", "cpu"};
  q.batch = 2;
  const std::string picture = to_svg(schedule(q));
  const auto path = std::filesystem::path(ISTHMUS_SOURCE_DIR) / "docs" / "schedule_yolov5n.svg";
  if (std::getenv("ISTHMUS_UPDATE") != nullptr) write_file_atomically(path, picture);
  EXPECT_EQ(testing::slurp(path), picture) << "run this test with ISTHMUS_UPDATE=1";
}

void expect_refused(const ScheduleQuestion& q, const std::string& text) {
  EXPECT_THAT([&] { schedule(q); }, ThrowsMessage<InputError>(HasSubstr(text)));
}

TEST(ScheduleQuestion, RefusesWhatDoesNotFit) {
  const ScheduleQuestion good = question("mobilenet-v2", "snapdragon-8-gen3");
  ScheduleQuestion q = good;
  q.scheduler = "hefty";
  expect_refused(q, "unknown list-scheduler policy \"hefty\"; did you mean \"heft\"?");
  q = good;
  q.units = {"gpu", "tpu"};
  expect_refused(q, "\"snapdragon-8-gen3\" has no unit \"tpu\"; did you mean \"gpu\"?");
  q.units = {"reading"};
  expect_refused(q, "has no unit \"reading\"");
  q.device = "snapdragon-8-gen3/gpu";
  expect_refused(q, "not both");
  q = good;
  q.units = {"gpu", "gpu"};
  expect_refused(q, "unit \"gpu\" is named twice");
  q = good;
  q.batch = 0;
  expect_refused(q, "--batch must be between 1 and 1000000, not 0");
  expect_refused(question("mobilenet-v2", "snapdragon-9"), "snapdragon");
  expect_refused(question("mobilenet-v9", "snapdragon-8-gen3"), "no model \"mobilenet-v9\"");
  expect_refused(question("", "snapdragon-8-gen3"), "name a model and a device");
  expect_refused(question("llama-3.1-8b", "snapdragon-8-gen3"), "language models run in an engine");
  q = question("mobilenet-v2", "snapdragon-8-gen3");
  q.units = {"npu"};
  expect_refused(q, "unit 'npu' cannot compute fp32 weights");
}

TEST(ScheduleQuestion, NamesTheOperatorThatNobodyCanRun) {
  const ScheduleQuestion q = question("bert-base", "coral-edge-tpu", "int8");
  EXPECT_THAT([&] { schedule(q); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("no unit can run operator '"),
                                              HasSubstr("of kind embedding"), HasSubstr("'npu'"))));
}

TEST(ScheduleQuestion, RefusesZeroBandwidthAndCycles) {
  ScheduleQuestion q = question("mobilenet-v2", "snapdragon-8-gen3");
  q.set = {{"/nodes/node/unit_transfer/bandwidth", "\"0 B/s\""}};
  expect_refused(q, "/nodes/node/unit_transfer/bandwidth");
  q.set = {{"/nodes/node/units", R"({"gpu": {"memory_bandwidth": "0 B/s"}})"}};
  q.units = {"gpu"};
  expect_refused(q, "memory_bandwidth and the efficiencies must be positive");

  TemporaryFolder folder;
  const std::string cyclic = R"({"isthmus_graph": 1, "name": "loop", "operators": [
    {"name": "in", "kind": "input", "output": [8]},
    {"name": "a", "kind": "gemm", "inputs": ["b"], "output": [8]},
    {"name": "b", "kind": "gemm", "inputs": ["a"], "output": [8]}]})";
  expect_refused(question(folder.write("loop.json", cyclic).string(), "raspberry-pi-5"), "a");
  // Operators without work take the launch at most.
  const std::string idle = R"({"isthmus_graph": 1, "name": "idle", "operators": [
    {"name": "in", "kind": "input", "output": [8]},
    {"name": "nothing", "kind": "copy", "inputs": ["in"], "output": [8], "input_elements": 0}]})";
  const GraphSchedule s =
      schedule(question(folder.write("idle.json", idle).string(), "snapdragon-8-gen3"));
  EXPECT_LT(s.makespan - s.overhead, 100e-6);
}

}  // namespace
}  // namespace isthmus::scenarios
