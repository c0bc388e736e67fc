// Mistakes in scenarios: each is found, placed and explained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/problems.hpp"
#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"
#include "tests/scenarios/sample.hpp"

namespace isthmus::scenarios {
namespace {

using testing::changed;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::sample;
using ::testing::StartsWith;

std::vector<std::string> problems_of(const std::string& text) {
  try {
    load_text(text, {}, "s.json");
  } catch (const InputError& e) {
    return e.problems();
  }
  return {};
}

std::string first(const std::string& text) {
  const auto all = problems_of(text);
  return all.empty() ? "no error" : all.front();
}

TEST(ReaderErrors, TheSampleIsSound) { EXPECT_EQ(first(sample), "no error"); }

TEST(ReaderErrors, PrefixCachingNeedsWholePromptsAndWholeBlocks) {
  EXPECT_THAT(first(changed("\"max_batch\": 64", "\"prefix_caching\": true")),
              StartsWith("s.json:23:70: /services/cloud/batching/prefix_caching: needs "
                         "\"reserve_prompt\": true"));
  std::string cached = changed(
      "\"max_batch\": 64", "\"prefix_caching\": true, \"reserve_prompt\": true, \"block_size\": 24");
  EXPECT_EQ(first(cached), "no error");
  const std::string poisson = "\"source\": \"poisson\", \"rate\": \"2 /s\"";
  cached.replace(cached.find(poisson), poisson.size(),
                 "\"source\": \"trace\", \"format\": \"mooncake\", \"file\": \"x\", \"tokens_per_hash\": 512");
  EXPECT_THAT(problems_of(cached),
              Contains(HasSubstr("/tokens_per_hash: must be a multiple of the block_size of service "
                                 "\"cloud\", 24")));
}

TEST(ReaderErrors, SchedulingOptionsThatContradictEachOther) {
  const auto batching = [](const std::string& fields) {
    return first(changed("\"max_batch\": 64", fields));
  };
  for (const char* order : {"decode-first", "prefill-first", "orca", "static"})
    EXPECT_EQ(batching("\"watermark\": 0.01, \"scheduling\": \"" + std::string(order) + "\""),
              "no error");
  EXPECT_EQ(batching("\"preemption\": \"swap\", \"swap_bandwidth\": \"12 GB/s\""), "no error");
  EXPECT_THAT(batching("\"scheduling\": \"prefill-first\", \"async_scheduling\": true"),
              HasSubstr("/services/cloud/batching/async_scheduling: needs \"scheduling\": "
                        "\"decode-first\", not \"prefill-first\""));
  EXPECT_THAT(batching("\"scheduling\": \"orca\", \"chunked_prefill\": true"),
              HasSubstr("/services/cloud/batching/chunked_prefill: needs"));
  EXPECT_THAT(batching("\"scheduling\": \"static\", \"preemption\": \"swap\""),
              HasSubstr("/services/cloud/batching/preemption: \"static\" scheduling preempts nobody"));
  EXPECT_THAT(batching("\"swap_space\": \"1 GB\""),
              HasSubstr("/services/cloud/batching/swap_space: needs \"preemption\": \"swap\""));
  EXPECT_THAT(batching("\"watermark\": 1"), HasSubstr("/services/cloud/batching/watermark: "));
}

TEST(ReaderErrors, PlacesAreExact) {
  EXPECT_EQ(first(changed("\"warmup\"", "\"warmupp\"")),
            "s.json:6:3: /warmupp: unknown field; did you mean \"warmup\"?");
  EXPECT_THAT(
      first(changed("\"80 Mbps\"", "80")),
      StartsWith("s.json:14:27: /network/links/5g/bandwidth: 80 has no unit; write a bandwidth "
                 "such as \"80 Mbps\""));
  EXPECT_THAT(first(changed("\"count\": 20", "\"count\": -3")),
              StartsWith("s.json:8:55: /nodes/phone/count: must be >= 1"));
}

TEST(ReaderErrors, ManyProblemsAtOnceButNotTooMany) {
  std::string text = changed("\"warmup\"", "\"warmupp\"");
  text.replace(text.find("\"30 min\""), 8, "\"30 MB\"");
  text.replace(text.find("\"score\""), 7, "\"scor\"");
  const auto all = problems_of(text);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_THAT(all[0],
              HasSubstr("s.json:5:15: /duration: \"30 MB\" is a data size, not a duration"));
  EXPECT_THAT(all[2], HasSubstr("unknown value \"scor\"; did you mean \"score\"?"));
  std::string flood = "{\"isthmus\": 1";
  for (int i = 0; i < 100; ++i) flood += ", \"x" + std::to_string(i) + "\": 1";
  EXPECT_EQ(problems_of(flood + "}").size(), Problems::limit);
}

TEST(ReaderErrors, DanglingReferencesSuggestNames) {
  EXPECT_THAT(
      first(changed("\"on\": \"phone\"", "\"on\": \"phones\"")),
      HasSubstr("/services/local/on: there is no node group \"phones\"; did you mean \"phone\"?"));
  EXPECT_THAT(
      first(changed("nvidia-a100-80g", "nvidia-a100-80gb")),
      HasSubstr("there is no device \"nvidia-a100-80gb\"; did you mean \"nvidia-a100-80g\"?"));
  EXPECT_THAT(
      first(changed("autoglm-phone-9b", "autoglm-fone-9b")),
      HasSubstr("there is no model \"autoglm-fone-9b\"; did you mean \"autoglm-phone-9b\"?"));
  EXPECT_THAT(
      first(changed("\"links\": [\"wan\"]", "\"links\": [\"wam\"]")),
      HasSubstr("/network/routes/0/links/0: there is no link \"wam\"; did you mean \"wan\"?"));
  EXPECT_THAT(first(changed("\"from\": \"field\"", "\"from\": \"fields\"")),
              HasSubstr("there is no zone \"fields\""));
  EXPECT_THAT(first(changed("\"access\": {\"phone\"", "\"access\": {\"fone\"")),
              HasSubstr("/network/access/fone: there is no node group"));
  EXPECT_THAT(first(changed("\"fallback\": \"cloud\"", "\"fallback\": \"clout\"")),
              HasSubstr("there is no service \"clout\""));
  EXPECT_THAT(first(changed("\"int4\"", "\"int4-aqw\"")),
              HasSubstr("has no variant \"int4-aqw\"; did you mean \"int4-awq\"?"));
}

TEST(ReaderErrors, ImpossibleValues) {
  EXPECT_THAT(first(changed("\"2 min\"", "\"30 min\"")), HasSubstr("/warmup: must be shorter"));
  EXPECT_THAT(first(changed("\"count\": 20", "\"count\": 10000001")), HasSubstr("<= 10000000"));
  EXPECT_THAT(first(changed("\"count\": 20", "\"count\": 2.5")),
              HasSubstr("must be a whole number"));
  EXPECT_THAT(first(changed("\"count\": 20", "\"count\": \"20\"")), HasSubstr("whole number"));
  EXPECT_THAT(first(changed("\"alpha\": 0.6", "\"alpha\": 1.5")),
              HasSubstr("must be >= 0 and <= 1"));
  EXPECT_THAT(first(changed("\"2 /s\"", "\"0 /s\"")),
              HasSubstr("/workload/0/rate: must be > 0 /s"));
  EXPECT_THAT(first(changed("\"30 min\"", "\"1e12 s\"")), HasSubstr("too long"));
  EXPECT_THAT(first(changed("\"18 ms\"", "\"-18 ms\"")), HasSubstr("must be >= 0 s"));
  EXPECT_THAT(first(changed("\"percentile\": 95", "\"percentile\": 101")), HasSubstr("<= 100"));
  EXPECT_THAT(first(changed("\"seed\": 7", "\"seed\": -7")), HasSubstr("/seed: must be >= 0"));
  EXPECT_THAT(first(changed("\"seed\": 7", "\"seed\": 18446744073709551616")),
              HasSubstr("/seed: 18446744073709551616 is too large"));
  EXPECT_THAT(first(changed("\"isthmus\": 1", "\"isthmus\": 2")), HasSubstr("/isthmus: must be"));
  EXPECT_THAT(first(changed("\"replicas\": 4", "\"replicas\": 40")), HasSubstr("do not fit"));
  EXPECT_THAT(first(changed("\"variant\": \"int4\"", "\"variant\": \"int4\", \"parallel\": 2")),
              HasSubstr("needs 2 accelerators"));
}

TEST(ReaderErrors, WrongKinds) {
  EXPECT_THAT(first("[1, 2]"), HasSubstr("s.json:1:1: a scenario is an object, not a list"));
  EXPECT_THAT(first("7"), HasSubstr("is an object, not a number"));
  EXPECT_THAT(first(changed("\"name\": \"sample\"", "\"name\": 7")),
              HasSubstr("must be a string, not 7"));
  EXPECT_THAT(first(changed("\"zone\": \"field\"", "\"zone\": 3")),
              HasSubstr("must be text or list of text, not 3"));
  EXPECT_THAT(first(changed("\"name\": \"sample\"", "\"name\": null")),
              HasSubstr("nothing to remove"));
  EXPECT_THAT(first("{}"), HasSubstr("needs the field \"isthmus\""));
  EXPECT_THAT(first(changed("\"prompt_tokens\": 500", "\"prompt_tokens\": \"500\"")),
              HasSubstr("must be a bare number"));
}

TEST(ReaderErrors, ParametersOfOtherPolicies) {
  EXPECT_THAT(first(changed("\"policy\": \"score\"", "\"policy\": \"always-local\"")),
              HasSubstr("/offload/alpha: belongs to policy \"score\""));
  EXPECT_THAT(first(changed("\"alpha\": 0.6", "\"alpa\": 0.6")),
              HasSubstr("did you mean \"alpha\"?"));
  EXPECT_THAT(
      first(changed("\"policy\": \"continuous\", \"max_batch\": 64", "\"policy\": \"greedy\"")),
      HasSubstr("language models batch continuously"));
}

TEST(ReaderErrors, TheThresholdPolicyTakesATierAsFallback) {
  EXPECT_EQ(first(changed("\"score\", \"alpha\": 0.6", "\"threshold\", \"threshold\": \"1 s\"")),
            "no error");
  std::string text = changed("\"score\", \"alpha\": 0.6", "\"threshold\"");
  text.replace(text.find("\"fallback\": \"cloud\""), 19, "\"fallback\": \"device\"");
  EXPECT_EQ(first(text), "no error");
}

TEST(ReaderErrors, ZonesThatNothingJoins) {
  EXPECT_THAT(first(changed("\"to\": [\"az1\", \"az2\"]", "\"to\": \"az1\"")),
              HasSubstr("no route joins zone \"field\" of its clients to zone \"az2\""));
}

TEST(ReaderErrors, DistributionsAreChecked) {
  const auto with = [](const std::string& d) {
    return changed("\"output_tokens\": 80", "\"output_tokens\": " + d);
  };
  EXPECT_EQ(first(with(R"({"distribution": "lognormal", "median": 80, "sigma": 0.5})")),
            "no error");
  EXPECT_THAT(first(with(R"({"distribution": "lognormal", "mean": 80})")),
              HasSubstr("belongs to distribution"));
  EXPECT_THAT(first(with(R"({"distribution": "exponentiel", "mean": 80})")),
              HasSubstr("did you mean \"exponential\"?"));
  EXPECT_THAT(first(with(R"({"distribution": "uniform", "low": 80, "high": 20})")),
              HasSubstr("/workload/0/request/output_tokens: "));
  EXPECT_THAT(first(with(R"({"mean": 80})")), HasSubstr("needs the field \"distribution\""));
}

// Random damage never crashes the reader, and what it reports is always an InputError with a place.
TEST(ReaderErrors, DamagedFilesNeverCrash) {
  Rng g(13);
  const std::string pieces[] = {"{",  "}",    "[",     "]",  ",",  ":",
                                "\"", "null", "1e999", "-1", "\\", "\x80"};
  for (int i = 0; i < 1500; ++i) {
    std::string text = sample;
    const int edits = 1 + static_cast<int>(3 * uniform01(g));
    for (int e = 0; e < edits; ++e) {
      const auto at = static_cast<std::size_t>(uniform01(g) * static_cast<double>(text.size()));
      const auto& piece = pieces[static_cast<std::size_t>(uniform01(g) * 12)];
      if (uniform01(g) < 0.5)
        text.erase(at, 1 + static_cast<std::size_t>(8 * uniform01(g)));
      else
        text.insert(at, piece);
    }
    try {
      load_text(text, {}, "s.json");
    } catch (const InputError& e) {
      EXPECT_FALSE(e.problems().empty());
      EXPECT_LE(e.problems().size(), Problems::limit);
    }
  }
}

}  // namespace
}  // namespace isthmus::scenarios
