// The scenario that the project was born from: its times follow from the machines, and it repeats itself.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "scenarios/experiments.hpp"
#include "scenarios/reader.hpp"
#include "tests/shared_data.hpp"

namespace isthmus {
namespace {

namespace fs = std::filesystem;

const fs::path quickstart = fs::path(ISTHMUS_SOURCE_DIR) / "scenarios" / "quickstart.json";

const world::LlmModel& llm_of(const world::Scenario& s, const std::string& service) {
  for (const auto& v : s.services)
    if (v.name == service) return std::get<world::LlmModel>(v.work);
  throw Error("no service " + service);
}

std::int64_t decode_ns(const world::LlmModel& m) {
  return m.cost->iteration_ns({.decode_sequences = 1, .decode_context = 1, .logits = 1});
}

std::string half_bandwidth(const models::ComputeUnit& unit) {
  return "\"" + std::to_string(unit.memory_bandwidth / 2e9) + " GB/s\"";
}

TEST(Quickstart, StatesNoServiceTime) {
  std::ifstream in(quickstart);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str().find("service_time"), std::string::npos);
  EXPECT_EQ(text.str().find("per_item"), std::string::npos);
}

// Decode reads all weights once per token: half the memory bandwidth, twice that part of the time.
TEST(Quickstart, HalvedDramBandwidthDoublesTheMemoryPartOfDecode) {
  const auto base = scenarios::load(quickstart);
  const struct {
    const char *service, *group;
  } cases[] = {{"on-phone", "phone"}, {"edge", "edge"}, {"cloud", "cloud"}};
  for (const auto& c : cases) {
    const auto& m = llm_of(*base.scenario, c.service);
    const auto& unit = m.cost->unit();
    const auto slower =
        scenarios::load(quickstart, {{"/nodes/" + std::string(c.group) + "/memory_bandwidth",
                                      half_bandwidth(unit)}});
    const auto& slow_unit = llm_of(*slower.scenario, c.service).cost->unit();
    ASSERT_NEAR(slow_unit.memory_bandwidth, unit.memory_bandwidth / 2, 1e4);
    const auto fast = static_cast<double>(decode_ns(m));
    const auto slow = static_cast<double>(decode_ns(llm_of(*slower.scenario, c.service)));
    // What the roofline adds: the bytes of the language weights at the reachable bandwidth. A separate
    // embedding table is looked up, not streamed; the head has a format of its own.
    const double bandwidth = unit.memory_bandwidth * unit.bandwidth_efficiency;
    const double table = static_cast<double>(m.shape.vocab * m.shape.hidden);
    const double layers = m.shape.text_params() - table * (m.shape.tied_embeddings ? 1 : 2);
    const double weights =
        layers * models::bytes_of(m.variant.weights) * (1 + m.variant.weight_overhead) +
        table * models::bytes_of(m.variant.head.value_or(m.variant.weights));
    EXPECT_NEAR((slow - fast) * 1e-9, weights / bandwidth, 0.02 * weights / bandwidth) << c.service;
    EXPECT_GT(slow, 1.5 * fast) << c.service << ": decode must be bound by memory";
    EXPECT_LT(slow, 2.0 * fast) << c.service << ": overheads do not depend on memory";
  }
}

// The same change seen through a whole run: time per output token of the phone's answers.
TEST(Quickstart, HalvedDramBandwidthShowsInTheRun) {
  const std::vector<scenarios::Override> local = {{"/offload/policy", "\"always-local\""},
                                                  {"/duration", "\"10 min\""},
                                                  {"/network/model", "\"fluid\""}};
  const auto base = scenarios::load(quickstart, local);
  auto changed = local;
  changed.push_back({"/nodes/phone/memory_bandwidth",
                     half_bandwidth(llm_of(*base.scenario, "on-phone").cost->unit())});
  const auto slower = scenarios::load(quickstart, changed);
  const double fast = world::run(*base.scenario, {}).value("tpot.mean");
  const double slow = world::run(*slower.scenario, {}).value("tpot.mean");
  EXPECT_GT(slow, 1.8 * fast);
  EXPECT_LT(slow, 2.0 * fast);
}

std::vector<std::uint64_t> fingerprints() {
  std::vector<std::uint64_t> all;
  const auto loaded = scenarios::load(quickstart, {{"/duration", "\"6 min\""}});
  for (const auto& c : scenarios::candidates_of(loaded, loaded.alternatives))
    all.push_back(world::run(*c.scenario, {}).fingerprint);
  return all;
}

// Twice in one process, in another process, on two threads at once.
TEST(Quickstart, SameSeedSameFingerprintEverywhere) {
  const auto here = fingerprints();
  EXPECT_EQ(here, fingerprints());

  std::vector<std::uint64_t> one, two;
  std::thread a([&] { one = fingerprints(); }), b([&] { two = fingerprints(); });
  a.join();
  b.join();
  EXPECT_EQ(one, here);
  EXPECT_EQ(two, here);

  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const auto there = fingerprints();
    const auto size = static_cast<ssize_t>(there.size() * sizeof there[0]);
    _exit(write(fds[1], there.data(), static_cast<std::size_t>(size)) == size ? 0 : 1);
  }
  std::vector<std::uint64_t> there(here.size());
  const auto size = static_cast<ssize_t>(there.size() * sizeof there[0]);
  EXPECT_EQ(read(fds[0], there.data(), static_cast<std::size_t>(size)), size);
  int status = 0;
  waitpid(pid, &status, 0);
  close(fds[0]);
  close(fds[1]);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(there, here);
}

// One replication cannot tell a difference from chance, and the verdict says so.
TEST(Quickstart, RecommendsOnlyWhatReplicationsSupport) {
  const auto loaded = scenarios::load(quickstart);
  const auto candidates = scenarios::candidates_of(loaded, loaded.alternatives);
  ASSERT_GE(candidates.size(), 4U);
  const auto five = scenarios::run_alternatives(candidates, {});
  EXPECT_EQ(results::judge(five).ranking.size(), candidates.size());
  const auto single = scenarios::load(quickstart, {{"/replications", "1"}});
  EXPECT_TRUE(results::judge(scenarios::run_alternatives(
                                 scenarios::candidates_of(single, single.alternatives), {}))
                  .too_close);
}

// All 19,366 requests of the Azure conversation trace, over the quickstart's fleet and SimGrid.
TEST(AzureConversation, ReplaysEveryRequest) {
  if (!fs::exists(testing::shared_data() / "data" / "workloads" / "azure_llm_2023"))
    GTEST_SKIP() << "needs the Azure LLM 2023 trace below " << testing::shared_data();
  const auto loaded = scenarios::load(fs::path(ISTHMUS_SOURCE_DIR) / "scenarios" / "traces" /
                                      "azure_conversation.json");
  for (const auto& c : scenarios::candidates_of(loaded, loaded.alternatives)) {
    const auto s = world::run(*c.scenario, {});
    EXPECT_EQ(s.created, 19366U) << c.label;
    EXPECT_EQ(s.completed + s.rejected + s.failed + s.in_flight, 19366U) << c.label;
    if (c.label == "always-cloud + HPA") {
      EXPECT_EQ(s.completed, 19366U);
    }
  }
}

}  // namespace
}  // namespace isthmus
