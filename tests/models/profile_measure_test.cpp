// Measuring kernels: what is refused, what a tiny measurement holds. No test depends on how fast
// anything is.
#include "models/profile_measure.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>

#include "models/kernel_kinds.hpp"
#include "models/kernel_query.hpp"
#include "models/measured_kernels.hpp"

namespace isthmus::models {
namespace {

MeasureOptions hasty(const std::string& library, const std::string& kind) {
  MeasureOptions o;
  o.library = library;
  o.kinds = {kind};
  o.quick = true;
  o.seconds_per_shape = 0;
  o.min_repeats = 2;
  o.max_repeats = 3;
  o.max_flops = 2e7;
  o.max_bytes = 4e6;
  o.program_version = "test";
  return o;
}

void expect_refused(const MeasureOptions& o, const std::string& message) {
  try {
    measure_profile(o);
    ADD_FAILURE() << "accepted; expected: " << message;
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find(message), std::string::npos) << e.what();
  }
}

class EveryKind : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(EveryKind, IsTimedWithTheParametersOfItsKind) {
  const auto& [library, kind] = GetParam();
  MeasureOptions o = hasty(library, kind);
  double progress = 0;
  o.progress = [&](double share) {
    EXPECT_GT(share, progress);
    progress = share;
  };
  const KernelProfile p = measure_profile(o);
  EXPECT_EQ(progress, 1);
  ASSERT_NE(p.table(kind, Precision::fp32), nullptr) << p.info().provenance;
  for (const KernelTable* t : p.tables()) {
    EXPECT_EQ(t->kind, kind);
    EXPECT_EQ(t->parameters, kind_parameters(kind));
    EXPECT_GE(t->rows(), 1U);
    EXPECT_EQ(t->description.find("ref"), std::string::npos) << t->description;
    for (const auto n : t->n) EXPECT_GE(n, 2U);
    // What every row costs is known, so that roofs can be fitted.
    EXPECT_TRUE(WorkModel::of(t->kind, t->parameters));
  }
  EXPECT_FALSE(p.info().device.empty());
  EXPECT_NE(p.info().provenance.find(library == "eigen" ? "Eigen 3" : "oneDNN"), std::string::npos);
  EXPECT_NE(p.info().provenance.find("warm weights and caches"), std::string::npos);
}

std::vector<std::pair<std::string, std::string>> all_kinds() {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& library : kernel_libraries())
    for (const auto& kind : measurable_kinds(library)) all.emplace_back(library, kind);
  return all;
}
INSTANTIATE_TEST_SUITE_P(MeasureProfile, EveryKind, testing::ValuesIn(all_kinds()),
                         [](const auto& info) {
                           return info.param.first + "_" + info.param.second;
                         });

TEST(MeasureProfile, KnowsTheKindsOfCnnsAndTransformers) {
  const auto kinds = measurable_kinds();
  for (const char* kind :
       {"gemm", "batched_gemm", "conv", "depthwise_conv", "norm", "softmax", "encoder_attention",
        "decode_attention", "elementwise", "activation", "copy", "embedding"})
    EXPECT_NE(std::find(kinds.begin(), kinds.end(), kind), kinds.end()) << kind;
}

// Shapes are distinct, have all parameters and cover the layers they are for.
TEST(MeasureProfile, GridsHoldDistinctShapesOfTheirKind) {
  for (const auto& kind : measurable_kinds()) {
    for (const bool quick : {false, true}) {
      const auto shapes = measured_shapes(kind, quick);
      const std::set<std::vector<double>> distinct(shapes.begin(), shapes.end());
      EXPECT_EQ(distinct.size(), shapes.size()) << kind;
      EXPECT_FALSE(shapes.empty()) << kind;
      EXPECT_LE(shapes.size(), quick ? 48U : 3000U) << kind;
      for (const auto& s : shapes) ASSERT_EQ(s.size(), kind_parameters(kind).size()) << kind;
    }
  }
  const auto conv = measured_shapes("conv", false);
  const auto has = [&](std::vector<double> s) {
    return std::find(conv.begin(), conv.end(), s) != conv.end();
  };
  EXPECT_TRUE(has({7, 2, 1, 3, 64, 12544}));    // ResNet-50, first
  EXPECT_TRUE(has({3, 1, 1, 64, 64, 3136}));    // ResNet-50, stage 1
  EXPECT_TRUE(has({1, 1, 1, 512, 2048, 49}));   // ResNet-50, stage 4
  EXPECT_TRUE(has({1, 2, 1, 1024, 2048, 49}));  // ResNet-50, shortcut
  EXPECT_TRUE(has({3, 2, 1, 64, 128, 6400}));   // YOLOv5s, P3
  EXPECT_THROW(measured_shapes("moe", false), InternalError);
  EXPECT_THROW(kind_parameters("gem"), InternalError);
}

TEST(MeasureProfile, MeasuresTheFormatsAskedFor) {
  MeasureOptions o = hasty("onednn", "copy");
  o.precisions = {Precision::bf16, Precision::int8};
  const KernelProfile p = measure_profile(o);
  EXPECT_EQ(p.tables().size(), 2U);
  EXPECT_EQ(p.table("copy", Precision::fp32), nullptr);
}

TEST(MeasureProfile, LeavesOutWhatIsTooLarge) {
  MeasureOptions o = hasty("eigen", "gemm");
  o.quick = false;
  o.max_flops = 2e4;
  const KernelProfile p = measure_profile(o);
  const KernelTable* t = p.table("gemm", Precision::fp32);
  ASSERT_NE(t, nullptr);
  EXPECT_LT(t->rows(), 300U);
  for (std::size_t i = 0; i < t->rows(); ++i)
    EXPECT_LE(2 * t->shapes[3 * i] * t->shapes[3 * i + 1] * t->shapes[3 * i + 2], 2e4);
  o.max_flops = 0;
  expect_refused(o, "nothing could be measured");
}

TEST(MeasureProfile, RefusesWhatCannotBeMeasured) {
  const MeasureOptions good = hasty("onednn", "copy");
  const auto with = [&](auto change) {
    MeasureOptions o = good;
    change(o);
    return o;
  };
  expect_refused(with([](auto& o) { o.kinds = {"gem"}; }), "did you mean \"gemm\"");
  expect_refused(with([](auto& o) { o.kinds = {"all_reduce"}; }), "all_reduce");
  expect_refused(with([](auto& o) { o.library = "onedn"; }), "did you mean \"onednn\"");
  expect_refused(with([](auto& o) { o.precisions = {Precision::fp8}; }), "no such kernels");
  expect_refused(with([](auto& o) { o.core = 100000; }), "there is no core");
  expect_refused(with([](auto& o) { o.core = -1; }), "there is no core -1");
  expect_refused(with([](auto& o) { o.core = CPU_SETSIZE - 1; }), "cannot run on core");
  expect_refused(with([](auto& o) { o.core = CPU_SETSIZE - 1, o.threads = 2; }),
                 "there is no core");
  expect_refused(with([](auto& o) { o.threads = 0; }), "0 threads");
  expect_refused(with([](auto& o) { o.min_repeats = 0; }), "repetition");
  for (const double s : {-1.0, 1e9, std::numeric_limits<double>::quiet_NaN()})
    expect_refused(with([&](auto& o) { o.seconds_per_shape = s; }), "seconds per shape");
  MeasureOptions eigen = hasty("eigen", "copy");
  eigen.threads = 2;
  expect_refused(eigen, "one thread");
  eigen.threads = 1;
  eigen.precisions = {Precision::bf16};
  expect_refused(eigen, "no such kernels");
}

// Share of a filter's taps that lie on the plane and not on the padding around it, which need not
// be computed: 361/441 for a filter of 3 on a square of 7.
double share_inside(double kernel, double stride, double side) {
  const double in = side * stride, pad = std::floor(kernel / 2);
  double inside = 0;
  for (double o = 0; o < side; ++o)
    for (double k = 0; k < kernel; ++k) {
      const double at = o * stride - pad + k;
      if (at >= 0 && at < in) ++inside;
    }
  return std::pow(inside / (side * kernel), 2);
}

// The profile that oneDNN measured: rows predict each other as well as docs/profile_format.md says,
// narrower formats are faster, and no time is shorter than the core's peak allows.
TEST(MeasureProfile, ShippedProfileOfOneDnnIsSound) {
  const auto p =
      KernelProfile::load(ISTHMUS_SOURCE_DIR "/models/profiles/amd-epyc-zen4-1core-onednn.h5");
  for (const KernelTable* t : p.tables()) {
    const auto errors = p.leave_one_out(t->kind, t->precision);
    ASSERT_TRUE(errors) << t->kind;
    if (t->kind == "gemm" || t->kind == "batched_gemm" || t->kind == "conv" ||
        t->kind.ends_with("attention")) {
      EXPECT_LE(errors->all.median, 0.05) << t->kind;
    }
    // Two 256-bit units multiply and add: fp32 32 flops a cycle, bf16 twice, int8 four times that;
    // 3.7 GHz is the highest clock of such cores.
    const double per_ns = 32 * 3.7 * 4 / bytes_of(t->precision);
    const auto work = WorkModel::of(t->kind, t->parameters);
    if (t->kind == "gemm" || t->kind == "batched_gemm" || t->kind == "conv")
      for (std::size_t i = 0; i < t->rows(); ++i) {
        const std::span shape(t->shapes.data() + i * t->parameters.size(), t->parameters.size());
        const double computed =
            t->kind == "conv" ? share_inside(shape[0], shape[1], std::sqrt(shape[5])) : 1.0;
        EXPECT_GT(t->median_ns[i], (*work)(shape).flops * computed / per_ns)
            << t->kind << " row " << i;
      }
  }
  const auto ns = [&](Precision format) {
    return p.lookup("gemm", format, std::vector<double>{1024, 1024, 392})->ns;
  };
  EXPECT_LT(ns(Precision::bf16), ns(Precision::fp32) / 1.5);
  EXPECT_LT(ns(Precision::int8), ns(Precision::bf16) / 1.5);
}

// A failed measurement leaves the thread where it was allowed to run before.
TEST(MeasureProfile, GivesTheCoresBack) {
  cpu_set_t before, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  measure_profile(hasty("eigen", "copy"));
  MeasureOptions bad = hasty("eigen", "copy");
  bad.core = CPU_SETSIZE - 1;
  EXPECT_THROW(measure_profile(bad), InputError);
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

}  // namespace
}  // namespace isthmus::models
