// extends, overrides, compare and sweep.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/experiments.hpp"
#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "tests/scenarios/sample.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using testing::changed;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::sample;
using testing::TemporaryFolder;

std::string error_of(const std::filesystem::path& path,
                     const std::vector<Override>& overrides = {}) {
  try {
    load(path, overrides);
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Extends, MergesObjectsReplacesListsAndDeletes) {
  const TemporaryFolder folder;
  folder.write("base/base.json", sample);
  const auto path = folder.write("child.json", R"({
    "extends": "base/base.json", "name": "child",
    "nodes": {"phone": {"count": 3}},
    "offload": {"alpha": null, "policy": "always-cloud"},
    "slo": []
  })");
  const LoadedScenario l = load(path);
  EXPECT_EQ(l.scenario->name, "child");
  EXPECT_EQ(l.scenario->nodes[0].count, 3U);
  EXPECT_EQ(l.scenario->nodes[0].device, "snapdragon-8-gen3");
  EXPECT_EQ(l.scenario->offload.policy->name, "always-cloud");
  EXPECT_EQ(l.scenario->offload.candidates.size(), 2U);
  EXPECT_TRUE(l.scenario->objectives.empty());
  EXPECT_EQ(l.scenario->seed, 7U);
}

TEST(Extends, ALaterFileMayChangeThePolicyWithoutItsParameters) {
  const TemporaryFolder folder;
  folder.write("base.json", sample);
  const auto path = folder.write(
      "child.json", R"({"extends": "base.json", "offload": {"policy": "always-cloud"}})");
  EXPECT_EQ(load(path).scenario->offload.policy->name, "always-cloud");
}

TEST(Extends, PathsOfTheBaseStayRelativeToIt) {
  const TemporaryFolder folder;
  folder.write("base/trace.csv", "time_s,bandwidth_Mbps\n0,10\n5,20\n");
  folder.write("base/base.json", changed("\"latency\": \"18 ms\"",
                                         "\"latency\": \"18 ms\", \"trace\": \"trace.csv\""));
  const auto path = folder.write("child.json", R"({"extends": "base/base.json"})");
  const LoadedScenario l = load(path);
  const network::AccessRules& access = l.scenario->topology.access;
  const auto& trace = access.links.at(l.scenario->topology.links.front().rule).trace;
  ASSERT_EQ(trace->steps.size(), 2U);
  EXPECT_DOUBLE_EQ(*trace->steps[1].bandwidth, 2.5e6);
}

TEST(Extends, ChainsAreShownWhenTheyFail) {
  const TemporaryFolder folder;
  const auto a = folder.write("a.json", "{\n\"extends\": \"b.json\"}");
  folder.write("b.json", R"({"extends": "a.json"})");
  EXPECT_THAT(error_of(a), HasSubstr("in a circle: a.json -> b.json -> a.json"));
  const auto self = folder.write("self.json", R"({"extends": "self.json"})");
  EXPECT_THAT(error_of(self), HasSubstr("self.json -> self.json"));
  const auto lost = folder.write("lost.json", "{\n \"extends\": \"nowhere.json\"}");
  EXPECT_THAT(error_of(lost), HasSubstr("lost.json:2:13: /extends: "));
  EXPECT_THAT(error_of(lost), HasSubstr("chain: lost.json -> nowhere.json"));
}

TEST(Extends, DeletingNothingIsAnError) {
  const TemporaryFolder folder;
  folder.write("base.json", sample);
  const auto path = folder.write("child.json", R"({"extends": "base.json", "sweep": null})");
  EXPECT_THAT(error_of(path), HasSubstr("/sweep: null removes a field"));
}

TEST(Overrides, SetByPointer) {
  const LoadedScenario l = load_text(sample, {{"/seed", "18446744073709551615"},
                                              {"/nodes/phone/count", "5"},
                                              {"/offload/policy", "always-cloud"},
                                              {"/workload/0/rate", "4 /s"},
                                              {"/network/links/5g", R"({"latency": "30 ms"})"}});
  EXPECT_EQ(l.scenario->seed, 18446744073709551615ULL);
  EXPECT_EQ(l.scenario->nodes[0].count, 5U);
  EXPECT_EQ(l.scenario->offload.policy->name, "always-cloud");
  EXPECT_DOUBLE_EQ(l.scenario->workloads[0].arrivals.rate, 4);
  EXPECT_DOUBLE_EQ(l.scenario->topology.links[0].latency.seconds(), 0.03);
  EXPECT_DOUBLE_EQ(l.scenario->topology.links[0].bandwidth, 1e7);  // merged, not replaced
}

TEST(Overrides, MistakesAreNamed) {
  const TemporaryFolder folder;
  const auto path = folder.write("s.json", sample);
  EXPECT_THAT(error_of(path, {{"/nodse/phone/count", "5"}}), HasSubstr("did you mean \"nodes\"?"));
  EXPECT_THAT(error_of(path, {{"/workload/3/rate", "1 /s"}}), HasSubstr("list of 1 entries"));
  EXPECT_THAT(error_of(path, {{"offload", "x"}}), HasSubstr("no JSON pointer"));
  EXPECT_THAT(error_of(path, {{"/offload/alpha", "2"}}),
              HasSubstr("/offload/alpha=2: /offload/alpha: must be >= 0 and <= 1"));
  EXPECT_THAT(error_of(path, {{"/name/x", "1"}}), HasSubstr("/name is a string, it holds nothing"));
}

TEST(Compare, ProductOfPointers) {
  const auto text =
      changed("\"slo\"", R"("compare": {"/offload/policy": ["always-local", "always-cloud"],
    "/nodes/phone/count": [1, 2]}, "slo")");
  const LoadedScenario l = load_text(text);
  std::vector<std::string> labels;
  for (const Choice& c : l.alternatives) labels.push_back(c.label);
  EXPECT_THAT(labels, ElementsAre("policy=always-local, count=1", "policy=always-local, count=2",
                                  "policy=always-cloud, count=1", "policy=always-cloud, count=2"));
  const auto candidates = candidates_of(l, l.alternatives);
  EXPECT_EQ(candidates[1].scenario->nodes[0].count, 2U);
  EXPECT_EQ(candidates[1].scenario->offload.policy->name, "always-local");  // alpha is dropped
  EXPECT_EQ(l.scenario->offload.policy->name, "score");
}

TEST(Compare, NamedVariants) {
  const auto text = changed("\"slo\"", R"("compare": {"variants": {
    "as is": {}, "small": {"/nodes/phone/count": 1, "/offload": {"policy": "always-local"}}}}, "slo")");
  const LoadedScenario l = load_text(text);
  ASSERT_EQ(l.alternatives.size(), 2U);
  const auto candidates = candidates_of(l, l.alternatives);
  EXPECT_EQ(candidates[0].label, "as is");
  EXPECT_EQ(candidates[0].scenario->nodes[0].count, 20U);
  EXPECT_EQ(candidates[1].scenario->nodes[0].count, 1U);
  EXPECT_EQ(candidates[1].scenario->offload.policy->name, "always-local");
}

TEST(Compare, ErrorsNameTheAlternativeAndTheLine) {
  const auto text = changed(
      "\"slo\"", "\"compare\": {\n\"/offload/policy\": [\"score\", \"nonsense\"]},\n\"slo\"");
  const LoadedScenario l = load_text(text, {}, "s.json");
  try {
    candidates_of(l, l.alternatives);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_THAT(e.what(), HasSubstr("s.json:31:30: /offload/policy: unknown value \"nonsense\""));
    EXPECT_THAT(e.what(), HasSubstr("(alternative \"nonsense\")"));
  }
}

TEST(Compare, FormIsChecked) {
  const auto error = [](const std::string& table) -> std::string {
    try {
      load_text(changed("\"slo\"", "\"compare\": " + table + ", \"slo\""));
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error(R"({"offload/policy": ["score"]})"), HasSubstr("must be a JSON pointer"));
  EXPECT_THAT(error(R"({"/offload/policy": []})"), HasSubstr("at least one value"));
  EXPECT_THAT(error(R"({"/offload/policy": "score"})"), HasSubstr("must be a list"));
  EXPECT_THAT(error(R"({"variants": {}})"), HasSubstr("must not be empty"));
}

}  // namespace
}  // namespace isthmus::scenarios
