// Every shipped scenario is run once (all alternatives, first replication) and compared with its
// golden result in results/reference/. ISTHMUS_UPDATE=1 rewrites the golden results.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "scenarios/experiments.hpp"
#include "scenarios/reader.hpp"

namespace isthmus {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path source_dir = ISTHMUS_SOURCE_DIR;

std::vector<fs::path> shipped_scenarios() {
  std::vector<fs::path> found;
  for (const char* folder : {"scenarios", "scenarios/reference", "scenarios/examples", "scenarios/tournament"}) {
    if (!fs::exists(source_dir / folder)) continue;
    for (const auto& entry : fs::directory_iterator(source_dir / folder))
      if (entry.path().extension() == ".json") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

fs::path golden_of(const fs::path& scenario) {
  std::string name = fs::relative(scenario, source_dir / "scenarios").replace_extension().string();
  for (char& c : name)
    if (c == '/') c = '_';
  return source_dir / "results" / "reference" / (name + ".json");
}

// What is kept of a run: its fingerprint and the figures a reader would look at.
json digest(const results::Summary& s) {
  json metrics = json::object();
  for (const auto& m : s.metrics)
    if (std::isfinite(m.value)) metrics[m.name] = m.value;
  return {{"fingerprint", fmt::format("{:016x}", s.fingerprint)},
          {"created", s.created},
          {"completed", s.completed},
          {"rejected", s.rejected},
          {"failed", s.failed},
          {"metrics", metrics}};
}

class Golden : public ::testing::TestWithParam<fs::path> {};

TEST_P(Golden, GivesTheRecordedResult) {
  const auto loaded = scenarios::load(GetParam());
  json now = json::object();
  for (const auto& candidate : scenarios::candidates_of(loaded, loaded.alternatives)) {
    const results::Summary s = world::run(*candidate.scenario, {});
    EXPECT_EQ(s.created, s.completed + s.rejected + s.failed + s.in_flight);
    EXPECT_GT(s.completed, 0U) << candidate.label << ": a shipped scenario must answer something";
    now[candidate.label] = digest(s);
  }
  const fs::path golden = golden_of(GetParam());
  if (const char* update = std::getenv("ISTHMUS_UPDATE"); update && *update == '1') {
    std::ofstream(golden) << now.dump(1) << "\n";
    return;
  }
  std::ifstream in(golden);
  ASSERT_TRUE(in.good()) << golden << " is missing; run with ISTHMUS_UPDATE=1";
  const json then = json::parse(in);
  ASSERT_EQ(then.size(), now.size());
  for (const auto& [label, expected] : then.items()) {
    ASSERT_TRUE(now.contains(label)) << label;
    EXPECT_EQ(now[label]["fingerprint"], expected["fingerprint"]) << label;
    for (const char* count : {"created", "completed", "rejected", "failed"})
      EXPECT_EQ(now[label][count], expected[count]) << label << " " << count;
    for (const auto& [name, value] : expected["metrics"].items()) {
      ASSERT_TRUE(now[label]["metrics"].contains(name)) << label << " " << name;
      const double a = now[label]["metrics"][name], b = value;
      EXPECT_NEAR(a, b, 1e-9 * std::max(1.0, std::abs(b))) << label << " " << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shipped, Golden, ::testing::ValuesIn(shipped_scenarios()),
                         [](const auto& p) {
                           std::string name =
                               fs::relative(p.param, source_dir / "scenarios").replace_extension();
                           for (char& c : name)
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           return name;
                         });

// A golden result whose scenario is gone would never be compared again.
TEST(GoldenFiles, AllHaveAScenario) {
  std::set<fs::path> expected;
  for (const auto& s : shipped_scenarios()) expected.insert(golden_of(s));
  for (const auto& entry : fs::directory_iterator(source_dir / "results" / "reference"))
    if (entry.path().extension() == ".json") {
      EXPECT_TRUE(expected.count(entry.path())) << entry.path();
    }
}

}  // namespace
}  // namespace isthmus
