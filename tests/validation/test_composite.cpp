// Whole chains with exact dates: device, shared access link, batcher, GPU, way back.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/hdf5.hpp"
#include "scenarios/reader.hpp"
#include "sim/world/run.hpp"
#include "tests/shared_data.hpp"

namespace isthmus {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string seconds(double s) { return fmt::format("{:.17g} s", s); }

fs::path truth_file() { return testing::shared_data() / "truth" / "composite.json"; }

//! Latencies in order of creation.
std::vector<double> latencies(const json& scenario) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("isthmus-composite-{}", ::getpid());
  fs::remove_all(folder);
  fs::create_directories(folder);
  world::RunOptions options;
  options.directory = folder / "run";
  const auto loaded = scenarios::load_text(scenario.dump());
  world::run(*loaded.scenario, options);
  std::vector<double> all;
  {
    const auto file = h5::File::open((options.directory / "run.h5").string());
    const auto group = file.open_group("requests");
    const auto created = group.read<std::int64_t>("created");
    const auto completed = group.read<std::int64_t>("completed");
    const auto number = group.read<std::uint64_t>("request");
    all.resize(created.size());
    for (std::size_t i = 0; i < created.size(); ++i)
      all.at(number[i]) = static_cast<double>(completed[i] - created[i]) * 1e-9;
  }
  fs::remove_all(folder);
  return all;
}

class OffloadTrace : public ::testing::TestWithParam<const char*> {};

TEST_P(OffloadTrace, HasTheExactLatencies) {
  if (!fs::exists(truth_file())) GTEST_SKIP() << "needs " << truth_file();
  std::ifstream in(truth_file());
  int checked = 0;
  const json truth = json::parse(in);
  for (const json& c : truth["cases"]) {
    const json& i = c["inputs"];
    if (!i.contains("uplink_Bps")) continue;
    json times = json::array();
    for (const double t : i["request_times"]) times.push_back(seconds(t));
    json batching = {{"policy", "greedy"}, {"max_batch", i["batch"]["max_batch"]}};
    if (i["batch"]["max_queue_delay_s"] > 0.0)
      batching = {{"policy", "timeout"},
                  {"max_batch", i["batch"]["max_batch"]},
                  {"max_queue_delay", seconds(i["batch"]["max_queue_delay_s"])}};
    const json scenario = {
        {"isthmus", 1},
        {"name", c["id"]},
        {"duration", "60 s"},
        {"nodes",
         {{"device", {{"count", times.size()}, {"zone", "home"}, {"tier", "device"}}},
          {"gpu", {{"zone", "room"}}}}},
        {"network",
         {{"model", GetParam()},
          {"flow_model", {{"name", "LV08"}, {"cross_traffic", false}}},
          {"links",
           {{"access",
             {{"bandwidth", fmt::format("{} B/s", i["uplink_Bps"].get<double>())},
              {"bandwidth_down", fmt::format("{} B/s", i["downlink_Bps"].get<double>())},
              {"latency", seconds(i["one_way_latency_s"])},
              {"sharing", "split-duplex"},
              {"per_nodes", 0}}}}},
          {"access", {{"device", {"access"}}}},
          {"routes", {{{"from", "home"}, {"to", "room"}, {"links", json::array()}}}}}},
        {"services",
         {{"model",
           {{"service_time", seconds(i["batch"]["tau0_s"])},
            {"per_item", seconds(i["batch"]["alpha_s"])},
            {"on", "gpu"},
            {"batching", batching}}}}},
        {"workload",
         {{{"source", "times"},
           {"times", times},
           {"clients", {{"on", "device"}, {"count", times.size()}}},
           {"request",
            {{"upload", fmt::format("{} B", i["upload_bytes"].get<double>())},
             {"download", fmt::format("{} B", i["response_bytes"].get<double>())},
             {"preprocess", seconds(i["device_preprocess_s"])}}}}}}};
    const std::vector<double> got = latencies(scenario);
    const json& expected = c["expected"]["latency"];
    ASSERT_EQ(got.size(), expected.size()) << c["id"];
    for (std::size_t k = 0; k < got.size(); ++k)
      EXPECT_NEAR(got[k], expected[k].get<double>(), c["tolerance"]["abs"].get<double>())
          << c["id"] << " request " << k;
    ++checked;
  }
  EXPECT_EQ(checked, 2);
}

INSTANTIATE_TEST_SUITE_P(Networks, OffloadTrace, ::testing::Values("fluid", "simgrid"));

// The same kind of chain by hand: one transfer at a time, so that every stage is a quotient.
TEST(OffloadTrace, ByHand) {
  const json scenario = json::parse(R"({
    "isthmus": 1, "name": "by hand", "duration": "10 s",
    "nodes": {"device": {"zone": "home", "tier": "device"}, "gpu": {"zone": "room"}},
    "network": {"model": "fluid",
      "links": {"access": {"bandwidth": "1 MB/s", "bandwidth_down": "4 MB/s", "latency": "10 ms"}},
      "access": {"device": ["access"]}, "routes": [{"from": "home", "to": "room", "links": []}]},
    "services": {"model": {"service_time": "30 ms", "on": "gpu"}},
    "workload": [{"source": "times", "times": ["1 s", "2 s"], "clients": {"on": "device"},
      "request": {"upload": "50 kB", "download": "8 kB", "preprocess": "5 ms", "protocol": "20 ms"}}]})");
  // 5 ms + 20 ms + (10 ms + 50 kB / 1 MB/s) + 30 ms + (10 ms + 8 kB / 4 MB/s)
  for (const double latency : latencies(scenario)) EXPECT_NEAR(latency, 0.127, 2e-9);
}

// SimGrid's dag-comm (LV08): a second of work, 125 MB over a shared link of 125 MB/s and 100 us, a
// second of work; then an empty answer, which pays its latency alone.
TEST_P(OffloadTrace, ComputationTransferComputation) {
  if (!fs::exists(truth_file())) GTEST_SKIP() << "needs " << truth_file();
  std::ifstream in(truth_file().parent_path() / "network_simgrid.json");
  const json truth = json::parse(in);
  int checked = 0;
  for (const json& c : truth["cases"]) {
    if (c["id"] != "tesh_dag_comm") continue;
    json scenario = json::parse(R"({
      "isthmus": 1, "name": "dag", "duration": "10 s",
      "nodes": {"Tremblay": {"zone": "a", "tier": "device"}, "Jupiter": {"zone": "b"}},
      "network": {"flow_model": {"name": "LV08"},
        "links": {"1": {"bandwidth": "125 MB/s", "latency": "100 us", "sharing": "shared"}},
        "routes": [{"from": "a", "to": "b", "links": ["1"]}]},
      "services": {"child": {"service_time": "1 s", "on": "Jupiter"}},
      "workload": [{"source": "times", "times": ["0 s"], "clients": {"on": "Tremblay"},
        "request": {"upload": "125 MB", "download": "0 B", "preprocess": "1 s"}}]})");
    scenario["network"]["model"] = GetParam();
    const double answer = 13.01 * 1e-4;
    const std::vector<double> got = latencies(scenario);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_NEAR(got[0] - answer, c["expected"]["exec2"][1].get<double>(),
                c["tolerance"]["abs"].get<double>());
    ++checked;
  }
  EXPECT_EQ(checked, 1);
}

}  // namespace
}  // namespace isthmus
