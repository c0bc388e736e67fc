// What a run leaves on disk, and what it refuses to leave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "fixtures.hpp"
#include "models/hdf5.hpp"
#include "results/sha256.hpp"
#include "results/summary.hpp"
#include "results/tables.hpp"

namespace isthmus::results {
namespace {

using namespace test;
namespace fs = std::filesystem;

ServiceSample sample(double at, std::uint32_t service, std::uint32_t queued) {
  return {Instant::from_seconds(at), service, queued, 2, 3, 4, 0.5};
}

// A run with a bit of everything; `n` answered requests on top.
Summary run(const RecorderOptions& options, std::uint64_t n = 0, double cpu_seconds = 0.25) {
  RunInfo info = two_services();
  info.objectives = {{"latency", 95, ms(50)}};
  Recorder recorder(info, options);
  recorder.add(answered(0, 1));
  recorder.add(answered_llm(1, 3));
  RequestRecord in_task = answered(2, 4, 0, 1);
  in_task.task = 77;
  recorder.add(in_task);
  recorder.add(ended(3, 5, Status::rejected, Cause::queue_full));
  recorder.add(ended(4, 6, Status::in_flight, Cause::none));
  Rng g(3);
  for (std::uint64_t i = 0; i < n; ++i) {
    RequestRecord r = answered(5 + i, 2 + 1e-4 * static_cast<double>(i), i % 2);
    r.completed += Duration::from_seconds(sample_exponential(g, 0.02));
    recorder.add(r);
  }
  TaskRecord task;
  task.task = 77;
  task.workload = 1;
  task.steps = task.steps_done = 1;
  task.created = Instant::from_seconds(4);
  task.ended = Instant::from_seconds(5);
  task.succeeded = true;
  recorder.add(task);
  for (int t = 3; t < 12; ++t) {
    recorder.add(sample(t, 0, static_cast<std::uint32_t>(t)));
    recorder.add(sample(t, 1, 1));
  }
  recorder.add(DecisionRecord{Instant::from_seconds(3), 1, 1, 1, 0.5, "lowest score"});
  recorder.add(DecisionRecord{Instant::from_seconds(4), 2, 1, 0, 0.7, "fallback"});
  recorder.add(DecisionRecord{Instant::from_seconds(5), 3, 1, 1, 0.1, "lowest score"});
  WorldTotals t = totals(5 + n);
  t.cpu_seconds = cpu_seconds;
  return recorder.finish(t);
}

RecorderOptions into(const fs::path& directory) {
  RecorderOptions o;
  o.directory = directory;
  return o;
}

TEST(Recorder, WithoutADirectoryWritesNothing) {
  const Summary s = run({});
  EXPECT_TRUE(s.directory.empty());
  EXPECT_EQ(s.created, 5U);
  EXPECT_EQ(s.conservation_line(),
            "created 5 = completed 3 + rejected 1 (queue_full 1) + failed 0 + in flight 1");
}

TEST(Recorder, ViolatedConservationThrowsAndLeavesNothing) {
  const Scratch scratch;
  {
    Recorder recorder(two_services(), into(scratch / "run"));
    recorder.add(answered(0, 3));
    EXPECT_THROW(recorder.finish(totals(2)), Error);
  }
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

TEST(Recorder, BackwardDatesAndUnknownIndicesAreBugs) {
  Recorder recorder(two_services(), {});
  RequestRecord r = answered(0, 3);
  r.started = r.arrived - ms(1);
  EXPECT_THROW(recorder.add(r), InternalError);
  r = answered(0, 3);
  r.service = 2;
  EXPECT_THROW(recorder.add(r), InternalError);
  r = answered(0, 3);
  r.workload = 2;
  EXPECT_THROW(recorder.add(r), InternalError);
  r = answered(0, 3);
  r.completed = Instant::never();
  EXPECT_THROW(recorder.add(r), InternalError);
  EXPECT_THROW(recorder.add(sample(1, 9, 1)), InternalError);
}

TEST(Recorder, RunFileHoldsTheRecords) {
  const Scratch scratch;
  const Summary s = run(into(scratch / "run"));
  EXPECT_EQ(s.directory, scratch / "run");
  const h5::File f = h5::File::open((scratch / "run" / "run.h5").string());
  EXPECT_EQ(f.string_attribute("filetype"), "isthmus run");
  EXPECT_EQ(f.int64_attribute("version"), 1);
  EXPECT_EQ(f.string_attribute("scenario"), R"({"isthmus":1})");
  EXPECT_EQ(f.string_attribute("scenario_sha256"), sha256(R"({"isthmus":1})"));
  EXPECT_EQ(f.uint64_attribute("seed"), 7U);
  EXPECT_EQ(f.string_attribute("fingerprint"), "0123456789abcdef");
  EXPECT_EQ(f.uint64_attribute("created"), 5U);
  EXPECT_THAT(f.group_names(), testing::ElementsAre("decisions", "intervals", "links",
                                                    "node_samples", "nodes", "replicas", "requests",
                                                    "tasks"));

  const h5::Group r = f.open_group("requests");
  constexpr std::int64_t never = Instant::never().ns();
  EXPECT_THAT(r.read<std::uint64_t>("request"), testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(r.read<std::uint64_t>("task"), testing::ElementsAre(~0ULL, ~0ULL, 77, ~0ULL, ~0ULL));
  EXPECT_THAT(r.read<std::uint32_t>("service"), testing::ElementsAre(0, 1, 0, ~0U, ~0U));
  EXPECT_THAT(r.read<std::uint8_t>("status"), testing::ElementsAre(0, 0, 0, 1, 3));
  EXPECT_THAT(r.read<std::int64_t>("created"),
              testing::ElementsAre(1000000000, 3000000000, 4000000000, 5000000000, 6000000000));
  EXPECT_THAT(r.read<std::int64_t>("completed"),
              testing::ElementsAre(1040000000, 3080000000, 4040000000, never, never));
  EXPECT_THAT(r.read<std::int64_t>("first_token"),
              testing::ElementsAre(never, 3036000000, never, never, never));
  EXPECT_THAT(r.read<double>("upload"), testing::ElementsAre(1000, 1000, 1000, 0, 0));
  EXPECT_THAT(r.read<std::uint32_t>("attempts"), testing::Each(1));
  EXPECT_THAT(r.read<std::uint8_t>("counted"), testing::ElementsAre(0, 1, 1, 1, 1));
  EXPECT_THAT(r.dataset("status").strings_attribute("values"),
              testing::ElementsAre("completed", "rejected", "failed", "in_flight"));
  EXPECT_EQ(r.dataset("cause").strings_attribute("values").at(r.read<std::uint8_t>("cause").at(3)),
            "queue_full");
  EXPECT_EQ(r.dataset("created").string_attribute("units"), "ns");
  EXPECT_EQ(r.dataset("served").int64_attribute("missing"), never);
  EXPECT_EQ(r.dataset("service").uint64_attribute("missing"), 0xffffffffU);
  // Every column of every table says what it is, and all columns of a table are equally long.
  for (const std::string& name : f.group_names()) {
    const h5::Group g = f.open_group(name);
    const auto columns = g.dataset_names();
    ASSERT_FALSE(columns.empty());
    for (const std::string& c : columns) {
      EXPECT_TRUE(g.dataset(c).has_attribute("units")) << name << '/' << c;
      EXPECT_FALSE(g.dataset(c).string_attribute("description").empty()) << name << '/' << c;
      EXPECT_EQ(g.dataset(c).size(), g.dataset(columns[0]).size()) << name << '/' << c;
    }
  }

  const h5::Group d = f.open_group("decisions");
  EXPECT_THAT(d.read<std::uint32_t>("reason"), testing::ElementsAre(0, 1, 0));
  EXPECT_THAT(d.dataset("reason").strings_attribute("values"),
              testing::ElementsAre("lowest score", "fallback"));
  EXPECT_EQ(f.open_group("intervals").dataset("queued").size(), 18U);
  EXPECT_THAT(f.open_group("nodes").read<std::string>("name"),
              testing::ElementsAre("gateway", "server"));
  EXPECT_THAT(f.open_group("replicas").read<double>("timing_error"),
              testing::ElementsAre(0.1, 0.02));
  EXPECT_THAT(f.open_group("links").read<double>("bytes"), testing::ElementsAre(1e6));
  EXPECT_THAT(f.open_group("tasks").read<std::uint64_t>("task"), testing::ElementsAre(77));
}

TEST(Recorder, ManyBlocksComeBackWhole) {
  const Scratch scratch;
  const std::uint64_t n = 2 * 16384 + 777;
  run(into(scratch / "run"), n);
  const h5::File f = h5::File::open((scratch / "run" / "run.h5").string());
  const auto numbers = f.open_group("requests").read<std::uint64_t>("request");
  ASSERT_EQ(numbers.size(), n + 5);
  for (std::uint64_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], i);
  // A column that turns from one constant to others, block by block.
  const auto service = f.open_group("requests").read<std::uint32_t>("service");
  for (std::uint64_t i = 5; i < service.size(); ++i) ASSERT_EQ(service[i], (i - 5) % 2);
}

TEST(Recorder, ConstantColumnsTakeNoRoom) {
  const Scratch scratch;
  run(into(scratch / "run"), 100000);
  // 27 columns of 153 bytes a row; about a third of them vary here.
  EXPECT_LT(fs::file_size(scratch / "run" / "run.h5"), 100000U * 110);
}

TEST(Recorder, EqualRunsGiveEqualBytes) {
  const Scratch scratch;
  run(into(scratch / "a"), 20000, 1.0);
  run(into(scratch / "b"), 20000, 2.0);
  EXPECT_TRUE(read_file(scratch / "a" / "run.h5") == read_file(scratch / "b" / "run.h5"));
  EXPECT_EQ(read_file(scratch / "a" / "summary.json"), read_file(scratch / "b" / "summary.json"));
  EXPECT_NE(read_file(scratch / "a" / "performance.json"),
            read_file(scratch / "b" / "performance.json"));
}

TEST(Recorder, RunsInThreadsDoNotMix) {
  const Scratch scratch;
  run(into(scratch / "alone"), 20000);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] { run(into(scratch / std::to_string(i)), 20000); });
  for (std::thread& t : threads) t.join();
  const std::string alone = read_file(scratch / "alone" / "run.h5");
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(read_file(scratch / std::to_string(i) / "run.h5") == alone) << i;
}

TEST(Recorder, SummaryOnDiskIsTheSummaryReturned) {
  const Scratch scratch;
  const Summary s = run(into(scratch / "run"), 100);
  EXPECT_EQ(to_json(load_summary(scratch / "run")), to_json(s));
}

TEST(Recorder, StreamingKeepsNoRows) {
  const Scratch scratch;
  RecorderOptions o = into(scratch / "run");
  o.streaming = true;
  run(o, 1000);
  const h5::File f = h5::File::open((scratch / "run" / "run.h5").string());
  EXPECT_EQ(f.uint64_attribute("streaming"), 1U);
  EXPECT_EQ(f.open_group("requests").dataset("created").size(), 0U);
  EXPECT_EQ(f.open_group("decisions").dataset("at").size(), 0U);
  EXPECT_EQ(f.open_group("intervals").dataset("at").size(), 18U);
  o.directory = scratch / "other";
  o.csv = true;
  EXPECT_THROW(run(o), InputError);
}

TEST(Recorder, OutputsWithoutADirectoryAreRefused) {
  RecorderOptions o;
  o.html = true;
  EXPECT_THROW(run(o), InputError);
}

TEST(Recorder, CsvHasTheRowsAsText) {
  const Scratch scratch;
  RecorderOptions o = into(scratch / "run");
  o.csv = true;
  run(o);
  std::istringstream csv(read_file(scratch / "run" / "requests.csv"));
  std::string line;
  std::getline(csv, line);
  EXPECT_TRUE(line.starts_with("request,identity,workload,client,task,")) << line;
  EXPECT_NE(line.find("created_ns"), std::string::npos);
  std::getline(csv, line);
  std::getline(csv, line);
  EXPECT_NE(line.find(",cameras,0,,0,cloud,0,cloud,completed,none,3000000000,"), std::string::npos)
      << line;
  std::getline(csv, line);
  std::getline(csv, line);
  EXPECT_NE(line.find(",rejected,queue_full,5000000000,,,,,,,"), std::string::npos) << line;
  std::getline(csv, line);
  EXPECT_FALSE(std::getline(csv, line));
}

TEST(Recorder, TraceIsValidAndNested) {
  const Scratch scratch;
  RecorderOptions o = into(scratch / "run");
  o.trace = true;
  run(o, 200);
  const auto trace = nlohmann::json::parse(read_file(scratch / "run" / "trace.json"));
  EXPECT_EQ(trace.at("otherData").at("requests shown"), "205");
  // Spans of one lane either nest or follow each other.
  std::map<std::pair<int, int>, std::vector<std::pair<double, double>>> open;
  std::size_t requests = 0, stages = 0, counters = 0;
  for (const auto& e : trace.at("traceEvents")) {
    if (e.at("ph") == "C") ++counters;
    if (e.at("ph") != "X") continue;
    const double from = e.at("ts"), to = from + e.at("dur").get<double>();
    auto& lane = open[{e.at("pid"), e.at("tid")}];
    if (e.at("name").get<std::string>().starts_with("request")) {
      ++requests;
      if (!lane.empty()) {
        EXPECT_LE(lane.back().second, from + 1e-3);
      }
      lane.emplace_back(from, to);
    } else {
      ++stages;
      ASSERT_FALSE(lane.empty());
      EXPECT_GE(from, lane.back().first - 1e-3);
      EXPECT_LE(to, lane.back().second + 1e-3);
    }
  }
  EXPECT_EQ(requests, 205U);
  EXPECT_EQ(stages, 3 * 5U + 1 + 200 * 5U);  // the LLM request has one more: prefill and decode
  EXPECT_EQ(counters, 18 * 3U);
}

TEST(Recorder, ReportIsOnePageWithoutLinks) {
  const Scratch scratch;
  RecorderOptions o = into(scratch / "run");
  o.html = true;
  run(o, 500);
  const std::string page = read_file(scratch / "run" / "report.html");
  for (const char* needed : {"<svg", "Distribution of latency", "Requests waiting", "latency.p95",
                             "created 505 = completed 503", "class=\"line\"", "gateway"})
    EXPECT_NE(page.find(needed), std::string::npos) << needed;
  for (const char* banned : {"http:", "https:", "<script", "<link", "src="})
    EXPECT_EQ(page.find(banned), std::string::npos) << banned;
}

TEST(Recorder, H5pyReadsWhatTheDocsShow) {
  const char* python = "/usr/bin/python3";
  if (std::system((std::string(python) + " -c 'import h5py, numpy' >/dev/null 2>&1").c_str()) != 0)
    GTEST_SKIP() << "no h5py";
  const Scratch scratch;
  const Summary s = run(into(scratch / "run"), 1000);
  std::ofstream(scratch / "read.py") << R"(
import sys, json, h5py, numpy as np
run = sys.argv[1]
want = json.load(open(run + "/summary.json"))["metrics"]
with h5py.File(run + "/run.h5") as f:
    assert f.attrs["filetype"] == "isthmus run" and f.attrs["version"] == 1
    assert json.loads(f.attrs["scenario"]) == {"isthmus": 1}
    r = f["requests"]
    assert list(r["status"].attrs["values"]) == ["completed", "rejected", "failed", "in_flight"]
    keep = (r["counted"][:] == 1) & (r["status"][:] == 0)
    latency = (r["completed"][:] - r["created"][:])[keep] * 1e-9
    for p in (50, 90, 95, 99):
        got = np.percentile(latency, p, method="inverted_cdf")
        assert got == want[f"latency.p{p}"]["value"], (p, got, want[f"latency.p{p}"])
    assert abs(latency.mean() - want["latency.mean"]["value"]) < 1e-12
)";
  const std::string command = std::string(python) + " '" + (scratch / "read.py").string() + "' '" +
                              (scratch / "run").string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(Recorder, ResultsFormatPageListsEveryColumn) {
  const std::string page = read_file(std::string(ISTHMUS_SOURCE_DIR) + "/docs/results_format.md");
  const auto expect_row = [&](const std::string& group, const auto& columns) {
    std::string list;
    for (const auto& any : columns)
      std::visit([&](const auto& c) { list += (list.empty() ? "" : ", ") + c.name; }, any);
    const std::size_t at = page.find("| `/" + group + "` |");
    ASSERT_NE(at, std::string::npos) << group;
    EXPECT_NE(page.substr(at, page.find('\n', at) - at).find("| " + list + " |"), std::string::npos)
        << group << ": " << list;
  };
  const RunInfo info = two_services();
  expect_row("requests", request_columns(info));
  expect_row("tasks", task_columns(info));
  expect_row("intervals", interval_columns(info));
  expect_row("decisions", decision_columns(info));
  expect_row("node_samples", node_sample_columns(info));
  expect_row("nodes", node_columns());
  expect_row("replicas", service_columns());
  expect_row("links", link_columns());
}

}  // namespace
}  // namespace isthmus::results
