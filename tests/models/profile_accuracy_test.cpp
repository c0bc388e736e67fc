// Leave-one-out errors of profiles imported from public data: the aim is 5 % in the median for
// products and attention, for every device.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "models/profile_import.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"
#include "tests/models/shared_data.hpp"

namespace isthmus::models {
namespace {

constexpr double aim = 0.05;

// Imports the files and prints and checks every table of products or attention.
void check(const std::string& format, const std::vector<std::string>& files, std::size_t tables,
           ImportOptions options = {}) {
  std::vector<std::string> paths;
  for (const auto& f : files) paths.push_back((testing::data_root() / "kernels" / f).string());
  ImportReport report;
  const KernelProfile profile = import_profile(format, paths, options, report);
  std::size_t seen = 0;
  for (const KernelTable* t : profile.tables()) {
    if (t->kind != "gemm" && !t->kind.ends_with("attention")) continue;
    const auto e = profile.leave_one_out(t->kind, t->precision);
    if (!e) continue;
    ++seen;
    std::printf("%-28s %-18s %-5s %6zu rows, %6zu left out: %4.1f %% median %5.1f %% mean\n",
                profile.info().device.substr(0, 28).c_str(), t->kind.c_str(),
                std::string(name_of(t->precision)).c_str(), t->rows(), e->all.count,
                100 * e->all.median, 100 * e->all.mean);
    EXPECT_LE(e->all.median, aim) << files[0] << " " << t->kind;
    EXPECT_GT(e->all.count, t->rows() / 2) << t->kind;
    // Look-ups give every row back.
    const std::size_t width = t->parameters.size();
    for (std::size_t row = 0; row < t->rows(); row += 13) {
      const auto hit = profile.lookup(
          t->kind, t->precision, std::span<const double>(t->shapes).subspan(row * width, width));
      ASSERT_TRUE(hit);
      EXPECT_EQ(hit->ns, t->median_ns[row]);
      EXPECT_EQ(hit->kind, PredictionKind::measured);
    }
  }
  EXPECT_EQ(seen, tables) << files[0];
}

TEST(ProfileAccuracy, AIConfigurator) {
  ISTHMUS_NEEDS_DATA();
  const std::string a = "aiconfigurator/";
  check("aiconfigurator",
        {a + "a100_sxm/gemm_vllm_0.14.0_gemm_perf.csv",
         a + "a100_sxm/attention_vllm_0.14.0_context_attention_perf.bf16_h8up.csv",
         a + "a100_sxm/attention_vllm_0.14.0_generation_attention_perf.bf16_h8up.csv"},
        3);
  check("aiconfigurator",
        {a + "h100_sxm/gemm_vllm_0.14.0_gemm_perf.bf16.csv",
         a + "h100_sxm/gemm_vllm_0.14.0_gemm_perf.fp8_1k-16k.csv",
         a + "h100_sxm/attention_vllm_0.14.0_context_attention_perf.bf16_h8up.csv",
         a + "h100_sxm/attention_vllm_0.14.0_generation_attention_perf.bf16_h8up.csv",
         a + "h100_sxm/encoder_attention_vllm_0.19.0.bsle8.csv"},
        5);
  check("aiconfigurator",
        {a + "l40s/gemm_vllm_0.14.0_gemm_perf.bf16.csv",
         a + "l40s/attention_vllm_0.14.0_context_attention_perf.bf16_h8up.csv",
         a + "l40s/attention_vllm_0.14.0_generation_attention_perf.bf16_h8up.csv"},
        3);
  for (const char* device : {"h200_sxm", "b200_sxm"})
    check("aiconfigurator",
          {a + device + "/gemm_vllm_0.22.0.bf16_1k-16k_pow2m.power.csv",
           a + device + "/context_attention_vllm_0.22.0.bf16_d128.power.csv",
           a + device + "/generation_attention_vllm_0.22.0.bf16_d128.power.csv"},
          3);
}

TEST(ProfileAccuracy, Vidur) {
  ISTHMUS_NEEDS_DATA();
  const std::string v = "vidur/compute/";
  const std::pair<const char*, const char*> products[] = {
      {"A100, llama-2-70b", "a100/meta-llama/Llama-2-70b-hf/mlp.csv"},
      {"A100, llama-3-8b", "a100/meta-llama/Meta-Llama-3-8B/mlp.tp1-2.csv"},
      {"A100, phi-2", "a100/microsoft/phi-2/mlp.csv"},
      {"A40, llama-2-7b", "a40/meta-llama/Llama-2-7b-hf/mlp.tp1.csv"},
      {"H100, llama-2-7b", "h100/meta-llama/Llama-2-7b-hf/mlp.tp1-2.csv"}};
  ImportOptions o;
  for (const auto& [device, file] : products) {
    o.device = device;
    check("vidur", {v + file}, 1, o);
  }
  o.device = "A100, llama-2-70b TP2";
  check("vidur", {v + "a100/llama2-70b-tp2_history/attention.subset.csv"}, 2, o);
}

TEST(ProfileAccuracy, LLMServingSim) {
  ISTHMUS_NEEDS_DATA();
  ImportOptions o;
  o.model = "llama-3.1-8b";
  for (const char* device : {"RTX4090", "RTXPRO6000"}) {
    o.device = device;
    const std::string folder =
        std::string("llmservingsim/") + device + "/meta-llama/Llama-3.1-8B/bf16/tp1/";
    check("llmservingsim", {folder + "attention.csv", folder + "dense.csv"}, 2, o);
  }
}

// A fifth of the rows of a real table held out: the error is what leave-one-out promised, and the
// promised standard errors hold.
TEST(ProfileAccuracy, PromisesHoldForRowsHeldOut) {
  ISTHMUS_NEEDS_DATA();
  for (const char* file : {"a100_sxm/gemm_vllm_0.14.0_gemm_perf.csv",
                           "h100_sxm/attention_vllm_0.14.0_context_attention_perf.bf16_h8up.csv",
                           "l40s/attention_vllm_0.14.0_generation_attention_perf.bf16_h8up.csv"}) {
    ImportReport report;
    const KernelProfile whole = import_profile(
        "aiconfigurator", {(testing::data_root() / "kernels/aiconfigurator" / file).string()}, {},
        report);
    const KernelTable& t = *whole.tables().front();
    const std::size_t width = t.parameters.size();
    KernelTable kept = t;
    for (auto* c : {&kept.shapes, &kept.median_ns, &kept.p10_ns, &kept.p90_ns}) c->clear();
    kept.n.clear();
    kept.flags.clear();
    kept.power_w.clear();
    std::vector<std::size_t> held_out;
    Rng rng(1);
    for (std::size_t row = 0; row < t.rows(); ++row) {
      if (uniform01(rng) < 0.2) {
        held_out.push_back(row);
        continue;
      }
      const auto shape = t.shapes.begin() + static_cast<std::ptrdiff_t>(row * width);
      kept.shapes.insert(kept.shapes.end(), shape, shape + static_cast<std::ptrdiff_t>(width));
      kept.median_ns.push_back(t.median_ns[row]);
      kept.p10_ns.push_back(t.p10_ns[row]);
      kept.p90_ns.push_back(t.p90_ns[row]);
      kept.n.push_back(t.n[row]);
    }
    KernelProfile profile(whole.info());
    profile.add(kept);
    std::vector<double> errors;
    double within = 0;
    for (const std::size_t row : held_out) {
      const auto v = profile.lookup(t.kind, t.precision,
                                    std::span<const double>(t.shapes).subspan(row * width, width));
      ASSERT_TRUE(v);
      if (v->kind == PredictionKind::extrapolated) continue;
      errors.push_back(std::abs(v->ns / t.median_ns[row] - 1));
      within += errors.back() <= 2 * v->relative_error;
    }
    const ErrorSummary e = summarize(errors);
    within /= static_cast<double>(e.count);
    std::printf(
        "%-18s %zu of %zu rows held out: %.1f %% median, %.1f %% mean; %.0f %% within two "
        "standard errors\n",
        t.kind.c_str(), e.count, t.rows(), 100 * e.median, 100 * e.mean, 100 * within);
    EXPECT_LE(e.median, aim);
    EXPECT_GE(within, 0.85);
  }
}

TEST(ProfileAccuracy, Shipped) {
  for (const auto& entry :
       std::filesystem::directory_iterator(ISTHMUS_SOURCE_DIR "/models/profiles")) {
    if (entry.path().extension() != ".h5") continue;
    const KernelProfile p = KernelProfile::load(entry.path().string());
    for (const KernelTable* t : p.tables()) {
      if (t->kind != "gemm" && !t->kind.ends_with("attention")) continue;
      const auto e = p.leave_one_out(t->kind, t->precision);
      if (e) {
        EXPECT_LE(e->all.median, aim) << entry.path() << " " << t->kind;
      }
    }
  }
}

}  // namespace
}  // namespace isthmus::models
