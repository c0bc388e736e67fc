// Predictions of the LLM cost model against measured runs; prints the table of docs/models.md.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "models/builtin_llms.hpp"
#include "tests/models/reference_units.hpp"
#include "tests/models/shared_data.hpp"

namespace isthmus::models {
namespace {

using namespace testing;

LlmCost cost_of(const std::string& device, const std::string& model, const std::string& variant,
                int parallel) {
  const auto& r = reference_unit(device);
  return LlmCost(builtin_llm(model), reference_variant(variant), r.unit, parallel, r.link_bandwidth,
                 r.link_latency);
}

double prefill_ms(const LlmCost& cost, std::int64_t sequences, std::int64_t prompt) {
  const double t = static_cast<double>(prompt);
  return static_cast<double>(
             cost.iteration_ns({.prefill_tokens = prompt * sequences,
                                .prefill_attention = static_cast<double>(sequences) * t * t / 2,
                                .prefill_context = prompt * sequences,
                                .logits = sequences})) *
         1e-6;
}

double decode_ms(const LlmCost& cost, std::int64_t sequences, std::int64_t context) {
  return static_cast<double>(cost.iteration_ns({.decode_sequences = sequences,
                                                .decode_context = context * sequences,
                                                .logits = sequences})) *
         1e-6;
}

TEST(MeasuredLlms, RunsOfKnownBatch) {
  struct Sum {
    double absolute = 0, worst = 0;
    int count = 0;
  };
  std::map<std::string, Sum> fitted, held_out;
  for (const auto& run : measured_runs()) {
    const LlmCost cost = cost_of(run.device, run.model, run.variant, run.parallel);
    const auto judge = [&](const char* phase, double predicted, double measured) {
      if (measured <= 0) return;
      const double error = predicted / measured - 1;
      fmt::print(
          "{:18} {:14} {:8} tp{} b{:<2} {:7} {:5} tokens {:9.2f} ms, measured {:9.2f}  {:+6.1f} % "
          "{}\n",
          run.device, run.model, run.variant, run.parallel, run.batch, phase,
          phase[0] == 'p' ? run.prompt : run.context, predicted, measured, 100 * error,
          run.fitted ? "" : "held out");
      Sum& sum = (run.fitted ? fitted : held_out)[run.device];
      sum.absolute += std::abs(error);
      sum.worst = std::max(sum.worst, std::abs(error));
      ++sum.count;
    };
    judge("prefill", prefill_ms(cost, run.batch, run.prompt), run.prefill_ms);
    judge("decode", decode_ms(cost, run.batch, run.context), run.decode_ms);
  }
  for (const auto& [device, sum] : fitted) {
    const double mean = sum.absolute / sum.count;
    fmt::print("{:18} fitted   mean {:5.1f} % worst {:5.1f} % of {}\n", device, 100 * mean,
               100 * sum.worst, sum.count);
    EXPECT_LE(mean, reference_unit(device).unit.efficiency_error) << device;
  }
  for (const auto& [device, sum] : held_out)
    fmt::print("{:18} held out mean {:5.1f} % worst {:5.1f} % of {}\n", device,
               100 * sum.absolute / sum.count, 100 * sum.worst, sum.count);
}

// Closed-loop runs at low concurrency: each token waits for one iteration, and in the osl
// iterations of a request the prefills of the c - 1 others pass by once each.
TEST(MeasuredLlms, ClosedLoopRunsOnServers) {
  ISTHMUS_NEEDS_DATA();
  const auto rows =
      read_csv(data_root() / "measured_e2e/aiconfigurator_silicon/silicon_sample.csv");
  ASSERT_GT(rows.size(), 1000U);
  std::map<std::string, std::vector<double>> errors;
  for (const auto& row : rows) {
    const bool llama8 = row.at("model_path").find("Llama-3.1-8B") != std::string::npos;
    const bool llama70 = row.at("model_path").find("Llama-3.1-70B") != std::string::npos;
    const std::string system = row.at("system");
    if ((!llama8 && !llama70) || row.at("mode") != "agg" || row.at("backend") == "sglang") continue;
    if (system != "h100_sxm" && system != "h200_sxm") continue;
    const auto number = [&](const char* key) { return std::stoll(row.at(key)); };
    const std::int64_t c = number("silicon_concurrency"), isl = number("isl"), osl = number("osl");
    if (c > 8) continue;
    const std::string variant = row.at("precision") == "fp8" ? "fp8" : "bf16";
    const std::string device = (system == "h100_sxm" ? "nvidia-h100-sxm" : "nvidia-h200-sxm") +
                               std::string(row.at("backend") == "vllm" ? "/vllm" : "");
    const int tp = static_cast<int>(number("tp_size"));
    const LlmCost cost = cost_of(device, llama8 ? "llama-3.1-8b" : "llama-3.1-70b", variant, tp);
    const double predicted = decode_ms(cost, c, isl + osl / 2) + prefill_ms(cost, 1, isl) *
                                                                     static_cast<double>(c - 1) /
                                                                     static_cast<double>(osl);
    const double measured = std::stod(row.at("silicon_tpot_ms"));
    const double error = predicted / measured - 1;
    fmt::print(
        "{:20} {:4} {:5} tp{} c{} isl {:5} osl {:5} TPOT {:6.2f} ms, measured {:6.2f}  {:+6.1f} "
        "%\n",
        device, llama8 ? "8b" : "70b", variant, tp, c, isl, osl, predicted, measured, 100 * error);
    errors[device].push_back(error);
  }
  for (const auto& [device, list] : errors) {
    double absolute = 0, sum = 0;
    for (const double e : list) {
      absolute += std::abs(e);
      sum += e;
    }
    const double n = static_cast<double>(list.size());
    fmt::print("{:16} TPOT mean |error| {:.1f} %, mean error {:+.1f} % of {} runs\n", device,
               100 * absolute / n, 100 * sum / n, list.size());
    EXPECT_LE(absolute / n, reference_unit(device).unit.efficiency_error) << device;
  }
  EXPECT_EQ(errors.size(), 4U);
}

}  // namespace
}  // namespace isthmus::models
