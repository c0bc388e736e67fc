// Work of kernel kinds by hand, and rooflines fitted to tables whose figures are known.
#include "models/roofline_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "models/kernel_kinds.hpp"
#include "models/kernel_profile.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::models {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> result;
  for (std::string w; in >> w;) result.push_back(w);
  return result;
}

KernelWork work(const char* kind, const char* parameters, const std::vector<double>& shape) {
  const auto model = WorkModel::of(kind, words(parameters));
  EXPECT_TRUE(model) << kind;
  return (*model)(shape);
}

TEST(WorkModel, CountsByHand) {
  // 3 x 4 times 4 x 5: 2 * 60 operations, 12 + 20 + 15 elements.
  EXPECT_EQ(work("gemm", "m n k", {3, 5, 4}).flops, 120);
  EXPECT_EQ(work("gemm", "n k m", {5, 4, 3}).elements, 47);
  EXPECT_EQ(work("gemm", "n k m", {5, 4, 3}).traffic(Precision::bf16), 94);
  EXPECT_EQ(work("batched_gemm", "count n k m", {10, 5, 4, 3}).flops, 1200);
  // 3x3, 8 -> 16 channels, 100 positions: 2 * 100 * 16 * 72; in 2 groups half of it.
  EXPECT_EQ(
      work("conv", "kernel stride groups in_channels out_channels positions", {3, 1, 1, 8, 16, 100})
          .flops,
      230400);
  EXPECT_EQ(
      work("conv", "kernel stride groups in_channels out_channels positions", {3, 1, 2, 8, 16, 100})
          .flops,
      115200);
  // One prompt of 4 tokens behind 2: 3 + 4 + 5 + 6 pairs.
  const char* prefill = "heads kv_heads head_dim window batch context tokens";
  EXPECT_EQ(work("prefill_attention", prefill, {2, 1, 8, 0, 1, 2, 4}).flops, 4 * 2 * 8 * 18);
  // Window of 4: 3 + 4 + 4 + 4.
  EXPECT_EQ(work("prefill_attention", prefill, {2, 1, 8, 4, 1, 2, 4}).flops, 4 * 2 * 8 * 15);
  // Decode reads keys and values of the context and its own: 2 * 8 * (2 + 101).
  EXPECT_EQ(
      work("decode_attention", "heads kv_heads head_dim window batch context", {2, 1, 8, 0, 1, 100})
          .elements,
      2 * 8 * (2 + 101));
  // Without a window column there is no window.
  EXPECT_EQ(
      work("decode_attention", "heads kv_heads head_dim batch context", {2, 1, 8, 1, 100}).flops,
      4 * 2 * 8 * 101);
  EXPECT_EQ(work("all_reduce", "devices bytes", {8, 1000}).bytes, 1750);
}

// Causal pairs under a window against the plain sum.
TEST(WorkModel, CountsWindowedPairsLikeALoop) {
  for (const int window : {1, 3, 10, 100})
    for (const int context : {0, 2, 9, 10, 11, 50})
      for (const int tokens : {1, 5, 64}) {
        double pairs = 0;
        for (int i = 1; i <= tokens; ++i) pairs += std::min(context + i, window);
        const KernelWork w =
            work("prefill_attention", "heads kv_heads head_dim window batch context tokens",
                 {1, 1, 1, 1.0 * window, 1, 1.0 * context, 1.0 * tokens});
        EXPECT_DOUBLE_EQ(w.flops, 4 * pairs) << window << " " << context << " " << tokens;
      }
}

TEST(WorkModel, EveryKindHasOneThatNeverFalls) {
  for (const KernelKind& kind : kernel_kinds) {
    const auto names = words(kind.parameters);
    ASSERT_LE(names.size(), 8U) << kind.name;
    const auto model = WorkModel::of(kind.name, names);
    ASSERT_TRUE(model) << kind.name;
    const std::vector<double> shape(names.size(), 4);
    const KernelWork w = (*model)(shape);
    EXPECT_GT(w.flops + w.traffic(Precision::fp16), 0) << kind.name;
    for (std::size_t i = 0; i < names.size(); ++i) {
      // Devices, groups and popularity divide work; a wider window adds some.
      if (names[i] == "groups" || names[i].ends_with("parallel") || names[i] == "skew" ||
          names[i] == "window" || names[i] == "experts")
        continue;
      std::vector<double> more = shape;
      more[i] = 9;
      const KernelWork v = (*model)(more);
      EXPECT_GE(v.flops, w.flops) << kind.name << " " << names[i];
      EXPECT_GE(v.traffic(Precision::fp16), w.traffic(Precision::fp16))
          << kind.name << " " << names[i];
    }
  }
}

TEST(WorkModel, KnowsNoStrangers) {
  EXPECT_FALSE(WorkModel::of("gem", words("n k m")));
  EXPECT_FALSE(WorkModel::of("gemm", words("n k m colour")));
  EXPECT_THROW((void)work_of({"gem", {{"m", 1}}, 1}), InternalError);
}

// Products on a device of 100 flops/ns and 2 bytes/ns behind a launch of 5 us, off by `noise`.
KernelTable products(double noise) {
  KernelTable t;
  t.kind = "gemm";
  t.precision = Precision::bf16;
  t.parameters = {"n", "k", "m"};
  const WorkModel model = *WorkModel::of(t.kind, t.parameters);
  Rng rng(3);
  for (double n = 64; n <= 8192; n *= 2)
    for (double k = 64; k <= 8192; k *= 2)
      for (double m = 1; m <= 4096; m *= 4) {
        const std::vector<double> shape{n, k, m};
        const KernelWork w = model(shape);
        const double ns = (5000 + std::max(w.flops / 100, w.traffic(t.precision) / 2)) *
                          std::exp(noise * (uniform01(rng) - 0.5));
        t.shapes.insert(t.shapes.end(), shape.begin(), shape.end());
        t.median_ns.push_back(ns);
        t.p10_ns.push_back(ns);
        t.p90_ns.push_back(ns);
        t.n.push_back(3);
      }
  return t;
}

TEST(RooflineFit, FindsTheFiguresAgain) {
  const auto exact = fit_roofline(products(0));
  ASSERT_TRUE(exact);
  EXPECT_NEAR(exact->launch_ns, 5000, 5);
  EXPECT_NEAR(exact->flops_per_ns, 100, 0.1);
  EXPECT_NEAR(exact->bytes_per_ns, 2, 0.002);
  EXPECT_LT(exact->median_error, 1e-3);
  const auto noisy = fit_roofline(products(0.4));
  EXPECT_NEAR(noisy->launch_ns, 5000, 250);
  EXPECT_NEAR(noisy->flops_per_ns, 100, 5);
  EXPECT_NEAR(noisy->bytes_per_ns, 2, 0.1);
  EXPECT_NEAR(noisy->median_error, 0.1, 0.03);  // uniform in +-0.2: the median of |e| is 0.1
}

TEST(RooflineFit, IgnoresRowsThatStayedInACache) {
  KernelTable t = products(0);
  t.flags.assign(t.rows(), 0);
  for (std::size_t row = 0; row < t.rows(); row += 3) {
    t.median_ns[row] /= 5;
    t.flags[row] = kernel_flag_cached;
  }
  EXPECT_NEAR(fit_roofline(t)->bytes_per_ns, 2, 0.01);
}

TEST(RooflineFit, SaysWhichLimitWasNeverReached) {
  KernelTable t;
  t.kind = "copy";
  t.parameters = {"elements"};
  for (double n = 1; n < 1e6; n *= 10) {
    t.shapes.push_back(n);
    t.median_ns.push_back(10 + n);
    t.n.push_back(1);
  }
  t.p10_ns = t.p90_ns = t.median_ns;
  const auto fit = fit_roofline(t);
  EXPECT_EQ(fit->flops_per_ns, 0);
  EXPECT_NEAR(fit->bytes_per_ns, 8, 0.1);
  t.kind = "my own kernel";
  EXPECT_FALSE(fit_roofline(t));
}

TEST(RooflineFit, BlamesMemoryForElementwiseKernels) {
  KernelTable t;
  t.kind = "norm";
  t.parameters = {"columns", "rows"};
  for (double rows = 1; rows < 1e5; rows *= 10) {
    t.shapes.insert(t.shapes.end(), {1000, rows});
    t.median_ns.push_back(50 + 4 * rows);
    t.n.push_back(1);
  }
  t.p10_ns = t.p90_ns = t.median_ns;
  const auto fit = fit_roofline(t);
  EXPECT_EQ(fit->flops_per_ns, 0);
  EXPECT_NEAR(fit->bytes_per_ns, 2000, 20);  // 8,000 bytes per row in 4 ns
}

// Times that no roofline explains must not stop or upset the fit.
TEST(RooflineFit, SurvivesNonsense) {
  KernelTable t;
  t.kind = "gemm";
  t.parameters = {"n", "k", "m"};
  Rng rng(9);
  for (int i = 0; i < 50; ++i) {
    for (int p = 0; p < 3; ++p)
      t.shapes.push_back(std::floor(std::pow(10, 12 * uniform01(rng)) - 1));
    t.median_ns.push_back(std::pow(10, 20 * uniform01(rng) - 5));
    t.n.push_back(1);
  }
  t.p10_ns = t.p90_ns = t.median_ns;
  const auto fit = fit_roofline(t);
  ASSERT_TRUE(fit);
  for (const double v : {fit->launch_ns, fit->flops_per_ns, fit->bytes_per_ns, fit->median_error}) {
    EXPECT_TRUE(std::isfinite(v));
    EXPECT_GE(v, 0);
  }
  KernelTable one = products(0);
  one.shapes.resize(3);
  for (auto* c : {&one.median_ns, &one.p10_ns, &one.p90_ns}) c->resize(1);
  one.n.resize(1);
  EXPECT_TRUE(std::isfinite(fit_roofline(one)->launch_ns));
}

}  // namespace
}  // namespace isthmus::models
