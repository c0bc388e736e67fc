#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "sim/world/fitted_workloads.hpp"
#include "tests/sim/world/test_arrivals_support.hpp"

namespace isthmus::world {
namespace {

using namespace isthmus::world::arrival_testing;
using ::testing::HasSubstr;

std::vector<double> dates(const char* preset, std::uint64_t n, std::uint64_t seed = 11) {
  Arrivals a = fitted_workload(preset).arrivals;
  a.limit = n;
  return seconds_of(take(workload(a), seed));
}

// Whole tokens, as a run draws them.
std::vector<double> tokens(const Distribution& d, std::size_t n) {
  Rng g = StreamKey(11, "tokens").sequence();
  std::vector<double> x(n);
  for (double& v : x) v = std::round(d.sample(g));
  return x;
}

// Published figures: percentiles 5, 25, 50, 75, 90, 95, 99, and the mean.
struct Lengths {
  double p[7], mean;
};

void expect_lengths(const char* what, const Distribution& d, const Lengths& published,
                    double mean_tolerance) {
  EXPECT_NO_THROW(d.validate());
  const auto x = tokens(d, 400'000);
  constexpr double at[] = {.05, .25, .5, .75, .9, .95, .99};
  for (int i = 0; i < 7; ++i)
    EXPECT_NEAR(quantile_of(x, at[i]), published.p[i], 0.02 * published.p[i] + 1.01)
        << what << " p" << at[i];
  std::printf("%-32s mean %8.1f published %8.1f\n", what, mean_of(x), published.mean);
  EXPECT_NEAR(mean_of(x), published.mean, mean_tolerance * published.mean) << what;
}

void expect_burstiness(const char* preset, double rate, double cv, double iod) {
  const auto t = dates(preset, 2'000'000);
  const double r = static_cast<double>(t.size()) / t.back(), c = cv_of(gaps_of(t)),
               d = dispersion(t, 1);
  std::printf("%-24s rate %.3f (%.3f)  gap CV %.3f (%.3f)  1-s IoD %.3f (%.3f)\n", preset, r, rate,
              c, cv, d, iod);
  EXPECT_NEAR(r, rate, 0.03 * rate);
  EXPECT_NEAR(c, cv, 0.05 * cv);
  EXPECT_NEAR(d, iod, 0.05 * iod);
}

TEST(FittedWorkloads, AzureCodeHasThePublishedBurstiness) {
  expect_burstiness("azure-2023-code", 2.57, 13.15, 13.2);
}

TEST(FittedWorkloads, AzureConversationHasThePublishedBurstiness) {
  expect_burstiness("azure-2023-conv", 5.53, 1.09, 1.39);
}

// The trace's gap CV of 3.03 comes from its stamps: rounding ours to 3 s gives it back.
TEST(FittedWorkloads, MooncakeHasThePublishedVariationOnceStampsAreBucketed) {
  auto t = dates("mooncake-conversation", 500'000);
  EXPECT_NEAR(static_cast<double>(t.size()) / t.back(), 3.40, 0.03 * 3.40);
  EXPECT_NEAR(cv_of(gaps_of(t)), 1, 0.03);
  for (double& d : t) d = std::floor(d / 3) * 3;
  const auto gaps = gaps_of(t);
  std::size_t zeros = 0;
  for (const double g : gaps) zeros += g == 0;
  EXPECT_NEAR(cv_of(gaps), 3.03, 0.05 * 3.03);
  EXPECT_NEAR(static_cast<double>(zeros) / static_cast<double>(gaps.size()), 0.90, 0.01);
}

TEST(FittedWorkloads, TokenLengthsMatchThePublishedPercentiles) {
  const auto& code = fitted_workload("azure-2023-code").request;
  expect_lengths("azure-2023-code prompt", code.prompt_tokens,
                 {{75, 578, 1469, 2744, 5187, 7303, 7436}, 2048}, 0.02);
  expect_lengths("azure-2023-code output", code.output_tokens, {{6, 9, 13, 24, 55, 90, 251}, 27.9},
                 0.04);
  const auto& conv = fitted_workload("azure-2023-conv").request;
  expect_lengths("azure-2023-conv prompt", conv.prompt_tokens,
                 {{181, 396, 1020, 1189, 2734, 4083, 4142}, 1155}, 0.02);
  expect_lengths("azure-2023-conv output", conv.output_tokens,
                 {{41, 85, 129, 395, 424, 451, 601}, 211}, 0.02);
  const auto& chat = fitted_workload("mooncake-conversation").request;
  expect_lengths("mooncake-conversation prompt", chat.prompt_tokens,
                 {{901, 2306, 6909, 15367, 27367, 39550, 85400}, 12035}, 0.04);
  expect_lengths("mooncake-conversation output", chat.output_tokens,
                 {{10, 156, 350, 472, 597, 698, 1118}, 343}, 0.02);
}

TEST(FittedWorkloads, LikenessesHaveTheFewFiguresThatArePrinted) {
  const auto& burst = fitted_workload("burstgpt-like").request;
  const auto prompt = tokens(burst.prompt_tokens, 400'000);
  const auto output = tokens(burst.output_tokens, 400'000);
  EXPECT_NEAR(quantile_of(prompt, .5), 353, 5);
  EXPECT_NEAR(quantile_of(prompt, .95), 1638, 33);
  EXPECT_NEAR(quantile_of(output, .5), 238, 4);
  EXPECT_NEAR(quantile_of(output, .95), 841, 17);
  const auto& share = fitted_workload("sharegpt-like").request;
  EXPECT_NEAR(share.prompt_tokens.mean(), 857, 0.03 * 857);
  EXPECT_NEAR(share.output_tokens.mean(), 653, 0.03 * 653);
  const auto t = dates("sharegpt-like", 100'000);
  EXPECT_NEAR(static_cast<double>(t.size()) / t.back(), 10, 0.2);
}

TEST(FittedWorkloads, AreAllValidAndDescribed) {
  for (const FittedWorkload& w : fitted_workloads()) {
    EXPECT_FALSE(w.summary.empty() || w.source.empty() || w.falls_short.empty()) << w.name;
    EXPECT_EQ(&fitted_workload(w.name), &w);
    EXPECT_GT(mean_rate(w.arrivals), 0);
    for (const double n : tokens(w.request.prompt_tokens, 10'000)) ASSERT_GE(n, 1);
    for (const double n : tokens(w.request.output_tokens, 10'000)) ASSERT_GE(n, 1);
  }
}

TEST(FittedWorkloads, UnknownNamesListTheKnown) {
  try {
    fitted_workload("azure-2023-chat");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_THAT(e.what(), HasSubstr("did you mean \"azure-2023-c"));
    EXPECT_THAT(e.what(), HasSubstr("mooncake-conversation, burstgpt-like, sharegpt-like"));
  }
}

TEST(FittedWorkloads, ScaleToAnotherRate) {
  const Arrivals code = scaled_to_rate(fitted_workload("azure-2023-code").arrivals, 100);
  EXPECT_NEAR(mean_rate(code), 100, 1e-9);
  EXPECT_EQ(code.sojourns, fitted_workload("azure-2023-code").arrivals.sojourns);
  EXPECT_DOUBLE_EQ(scaled_to_rate(fitted_workload("burstgpt-like").arrivals, 7).rate, 7);
  EXPECT_THROW(scaled_to_rate(code, 0), Error);
  Arrivals times;
  times.kind = ArrivalKind::times;
  EXPECT_THROW(scaled_to_rate(times, 1), Error);
}

// --- against the traces -----------------------------------------------------------------------

struct TraceCase {
  const char* preset;
  const char* file;
  TraceFormat format;
  double stamp;                         // s, the trace's dates are rounded down to this
  double prompt_ks, output_ks, gap_ks;  // bounds: measured distances and some room
};

class AgainstTrace : public ::testing::TestWithParam<TraceCase> {};

TEST_P(AgainstTrace, DistributionsAreClose) {
  const TraceCase& c = GetParam();
  const auto file = workload_data() / c.file;
  if (!std::filesystem::exists(file))
    GTEST_SKIP() << "no trace at " << file
                 << "; set ISTHMUS_DATA (docs/workloads.md says where to fetch it)";
  const auto real = take(trace(file.string(), c.format));
  std::vector<double> prompt, output;
  for (const Arrival& a : real) {
    prompt.push_back(*a.prompt_tokens);
    output.push_back(*a.output_tokens);
  }
  const FittedWorkload& fitted = fitted_workload(c.preset);
  const double prompt_ks = ks_distance(prompt, tokens(fitted.request.prompt_tokens, 200'000));
  const double output_ks = ks_distance(output, tokens(fitted.request.output_tokens, 200'000));
  const auto real_dates = seconds_of(real);
  auto our_dates = dates(c.preset, 200'000);
  if (c.stamp > 0)
    for (double& d : our_dates) d = std::floor(d / c.stamp) * c.stamp;
  const double gap_ks = ks_distance(gaps_of(real_dates), gaps_of(our_dates));
  std::printf("%-24s KS distance: prompt %.3f, output %.3f, gaps %.3f\n", c.preset, prompt_ks,
              output_ks, gap_ks);
  for (const double w : {0.1, 1.0, 3.0, 12.0, 60.0, 300.0})
    std::printf("  counts in %5.1f s: IoD trace %7.2f, fitted %7.2f\n", w,
                dispersion(real_dates, w), dispersion(our_dates, w));
  EXPECT_LT(prompt_ks, c.prompt_ks);
  EXPECT_LT(output_ks, c.output_ks);
  EXPECT_LT(gap_ks, c.gap_ks);
}

INSTANTIATE_TEST_SUITE_P(
    FittedWorkloads, AgainstTrace,
    ::testing::Values(TraceCase{"azure-2023-code", "azure_llm_2023/AzureLLMInferenceTrace_code.csv",
                                TraceFormat::azure_llm, 0, 0.05, 0.04, 0.32},
                      TraceCase{"azure-2023-conv", "azure_llm_2023/AzureLLMInferenceTrace_conv.csv",
                                TraceFormat::azure_llm, 0, 0.05, 0.04, 0.03},
                      TraceCase{"mooncake-conversation",
                                "mooncake/conversation_trace.first6000.jsonl",
                                TraceFormat::mooncake, 3, 0.05, 0.06, 0.1}),
    [](const auto& info) {
      std::string name = info.param.preset;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace isthmus::world
