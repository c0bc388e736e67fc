// Look-ups between and beyond rows: filled holes, extrapolation, lines, errors that are honest.
#include "models/kernel_grid.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "models/kernel_kinds.hpp"
#include "models/kernel_profile.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::models {
namespace {

constexpr Precision bf16 = Precision::bf16;
using Shape = std::vector<double>;

void add_row(KernelTable& t, const Shape& shape, double ns) {
  t.shapes.insert(t.shapes.end(), shape.begin(), shape.end());
  t.median_ns.push_back(ns);
  t.p10_ns.push_back(ns * 0.98);
  t.p90_ns.push_back(ns * 1.02);
  t.n.push_back(5);
}

KernelTable empty(const char* kind, std::vector<std::string> parameters) {
  KernelTable t;
  t.kind = kind;
  t.precision = bf16;
  t.parameters = std::move(parameters);
  return t;
}

// A device of 200 flops/ns and 1.5 bytes/ns behind a launch of 4 us.
double truth(const KernelTable& t, const Shape& shape) {
  const KernelWork w = (*WorkModel::of(t.kind, t.parameters))(shape);
  return 4000 + std::max(w.flops / 200, w.traffic(t.precision) / 1.5);
}

KernelProfile profile_of(KernelTable t) {
  KernelProfile p({"device", "formula", "CC0-1.0", "1"});
  p.add(std::move(t));
  return p;
}

KernelTable decode(const std::vector<double>& heads, const std::vector<double>& batches,
                   const std::vector<double>& contexts) {
  KernelTable t = empty("decode_attention", {"heads", "kv_heads", "head_dim", "batch", "context"});
  for (const double h : heads)
    for (const double b : batches)
      for (const double c : contexts) {
        if (b * c > 1 << 20) continue;  // memory is full: the grid is ragged, as real ones are
        const Shape s{h, 8, 128, b, c};
        add_row(t, s, truth(t, s));
      }
  return t;
}

const std::vector<double> batches{1, 2, 4, 8, 16, 32, 64, 128};
const std::vector<double> contexts{1, 127, 255, 511, 1023, 2047, 4095, 8191, 16383, 65535};

TEST(KernelGrid, RaggedEdgesFollowTheRoofline) {
  const auto p = profile_of(decode({16, 32, 64}, batches, contexts));
  // Rows end at 128 x 8191; the grid has cells up to 128 x 65535.
  for (const double c : {16000.0, 16383.0, 40000.0, 65535.0}) {
    const Shape s{32, 8, 128, 128, c};
    const auto t = p.lookup("decode_attention", bf16, s);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->kind, PredictionKind::extrapolated);
    EXPECT_NEAR(t->ns / truth(*p.tables()[0], s), 1, 0.02) << c;
    EXPECT_GT(t->relative_error, 0.05);
  }
  const auto far = p.lookup("decode_attention", bf16, Shape{32, 8, 128, 128, 1e6});
  const auto near = p.lookup("decode_attention", bf16, Shape{32, 8, 128, 128, 2e4});
  EXPECT_GT(far->relative_error, near->relative_error) << "the farther, the less sure";
  EXPECT_NEAR(far->ns / truth(*p.tables()[0], {32, 8, 128, 128, 1e6}), 1, 0.02);
}

TEST(KernelGrid, IsContinuousThroughRowsEdgesAndBeyond) {
  const auto p = profile_of(decode({16, 32, 64}, batches, contexts));
  const KernelGrid& g = *p.grid("decode_attention", bf16);
  for (std::size_t axis : {0U, 3U, 4U}) {
    Shape s{24, 8, 128, 3, 3000};
    for (const double at : {1.0, 2.0, 16.0, 64.0, 128.0, 4095.0, 65535.0}) {
      s[axis] = at * (1 - 1e-9);
      const double below = g.ns(s);
      s[axis] = at * (1 + 1e-9);
      EXPECT_NEAR(g.ns(s) / below, 1, 1e-6) << axis << " " << at;
    }
  }
}

TEST(KernelGrid, NeverFallsAlongBatchAndContext) {
  const auto p = profile_of(decode({16, 32, 64}, batches, contexts));
  const KernelGrid& g = *p.grid("decode_attention", bf16);
  for (const std::size_t axis : {3U, 4U}) {
    Shape s{20, 8, 128, 5, 777};
    double before = 0;
    for (double x = 0; x < 2e5; x = x * 1.07 + 0.5) {
      s[axis] = x;
      const double ns = g.ns(s);
      EXPECT_GE(ns, before * (1 - 1e-12)) << axis << " " << x;
      EXPECT_GT(ns, 0);
      before = ns;
    }
  }
}

TEST(KernelGrid, LinesEqualLookUps) {
  const auto p = profile_of(decode({16, 32, 64}, batches, contexts));
  const KernelGrid& g = *p.grid("decode_attention", bf16);
  // Inside: exactly, everywhere.
  Shape s{24, 8, 128, 3, 0};
  const auto inside = p.line("decode_attention", bf16, s, 4, 1, 65535);
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->x, contexts);
  EXPECT_EQ(inside->kind, PredictionKind::interpolated);
  for (const double c : {1.0, 2.5, 127.0, 300.0, 5000.0, 65535.0}) {
    s[4] = c;
    EXPECT_NEAR(inside->at(c) / g.ns(s), 1, 1e-12) << c;
  }
  // Other parameters or the range beyond the rows: within a percent.
  for (const double batch : {3.0, 100.0, 1000.0}) {
    Shape o{24, 8, 128, batch, 0};
    const auto line = g.line(o, 4, 0, 1e6);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->kind, PredictionKind::extrapolated);
    for (double c = 0; c < 1e6; c = c * 1.3 + 1) {
      o[4] = c;
      EXPECT_NEAR(line->at(c) / g.ns(o), 1, 0.01) << batch << " " << c;
    }
  }
  // Over the batch; one point only; beyond its ends it goes on.
  const auto over_batch = g.line(Shape{16, 8, 128, 0, 511}, 3, 1, 128);
  EXPECT_NEAR(over_batch->at(48) / g.ns(Shape{16, 8, 128, 48, 511}), 1, 1e-12);
  EXPECT_GT(over_batch->at(200), over_batch->at(128));
  EXPECT_EQ(g.line(s, 4, 511, 511)->x.size(), 1U);
  EXPECT_EQ(g.line(s, 4, 511, 511)->at(1e9), g.line(s, 4, 511, 511)->ns[0]);
  EXPECT_THROW((void)g.line(s, 4, 5, 1), InternalError);
  EXPECT_THROW((void)g.line(s, 4, -1, 1), InternalError);
  EXPECT_THROW((void)g.line(s, 5, 0, 1), InternalError);
  EXPECT_THROW((void)g.line(s, 4, 0, std::numeric_limits<double>::infinity()), InternalError);
  EXPECT_FALSE(p.line("gemm", bf16, s, 4, 0, 1));
}

TEST(KernelGrid, FollowsTheCurveOfPrompts) {
  KernelTable t = empty("prefill_attention", {"heads", "kv_heads", "head_dim", "batch", "tokens"});
  for (const double h : {16.0, 32.0})
    for (const double b : {1.0, 2.0, 4.0})
      for (double tokens = 64; tokens <= 16384; tokens *= 2)
        add_row(t, {h, 8, 128, b, tokens}, truth(t, {h, 8, 128, b, tokens}));
  const auto p = profile_of(t);
  const LeaveOneOut e = *p.leave_one_out("prefill_attention", bf16);
  EXPECT_TRUE(e.axes.back().curved);
  EXPECT_FALSE(e.axes[3].curved) << "time is linear in the batch";
  EXPECT_LT(e.axes.back().curve.median, e.axes.back().line.median / 2);
  for (const double tokens : {3000.0, 6000.0, 11585.0}) {
    const Shape s{32, 8, 128, 1, tokens};
    const auto hit = p.lookup("prefill_attention", bf16, s);
    EXPECT_EQ(hit->kind, PredictionKind::interpolated);
    // A straight line errs by 12 % in the middle of a doubling.
    EXPECT_NEAR(hit->ns / truth(t, s), 1, 0.03) << tokens;
  }
  EXPECT_EQ(p.lookup("prefill_attention", bf16, Shape{32, 8, 128, 1, 4096})->kind,
            PredictionKind::measured);
  // The line knows the points between rows, and is straight between those.
  const auto line = p.line("prefill_attention", bf16, Shape{24, 8, 128, 3, 0}, 4, 64, 16384);
  EXPECT_GT(line->x.size(), 30U);
  for (double tokens = 64; tokens < 16384; tokens *= 1.01)
    EXPECT_NEAR(
        line->at(tokens) / p.lookup("prefill_attention", bf16, Shape{24, 8, 128, 3, tokens})->ns, 1,
        1e-12);
}

TEST(KernelGrid, FilledHolesStayBetweenTheirNeighbours) {
  // b is noise-free and linear, a is not: b fills the hole, a's rows bound it.
  KernelTable t = empty("my kernel", {"a", "b"});
  for (const double a : {1.0, 2.0, 3.0})
    for (const double b : {1.0, 2.0, 3.0, 4.0}) {
      if (a == 2 && b == 2) continue;
      add_row(t, {a, b}, a == 1 ? 100 + b : a == 2 ? 100 + 10 * b : 121 + 20 * b);
    }
  const auto p = profile_of(t);
  const auto hole = p.lookup("my kernel", bf16, Shape{2, 2});
  ASSERT_TRUE(hole);
  EXPECT_EQ(hole->kind, PredictionKind::interpolated);
  EXPECT_DOUBLE_EQ(hole->ns, 120);  // between (2,1) = 110 and (2,3) = 130, and 102 and 161
  EXPECT_GE(hole->relative_error, 0);
}

TEST(KernelGrid, RefusesImpossibleShapesQuietly) {
  const auto p = profile_of(decode({16, 32}, {1, 2}, {1, 127}));
  const KernelGrid& g = *p.grid("decode_attention", bf16);
  for (const double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_FALSE(g.at(Shape{16, 8, 128, 1, bad})) << bad;
    EXPECT_TRUE(std::isnan(g.ns(Shape{16, 8, bad, 1, 1}))) << bad;
    EXPECT_FALSE(g.line(Shape{16, 8, bad, 1, 1}, 4, 0, 10)) << bad;
  }
  EXPECT_THROW((void)g.ns(Shape{16, 8}), InternalError);
  EXPECT_THROW((void)g.at(Shape{}), InternalError);
  // Huge shapes are finite or nothing, never negative.
  const auto huge = g.at(Shape{1e300, 8, 128, 1, 1});
  if (huge) {
    EXPECT_GT(huge->ns, 0);
  }
}

// Tables that no device shows, valid as files: answers are nothing or positive, and come in time.
TEST(KernelGrid, SurvivesNonsense) {
  Rng rng(42);
  for (int round = 0; round < 60; ++round) {
    KernelTable t = round % 2 ? empty("gemm", {"n", "k", "m"}) : empty("copy", {"elements"});
    const double wide = std::pow(10, 280 * uniform01(rng));
    for (int row = 0; row < 40; ++row) {
      Shape s(t.parameters.size());
      for (double& v : s) v = round % 3 ? wide * uniform01(rng) : std::floor(5 * uniform01(rng));
      add_row(t, s, std::pow(10, 250 * uniform01(rng) - 120));
    }
    KernelProfile p({"device", "nonsense", "CC0-1.0", "1"});
    try {
      p.add(t);
    } catch (const InputError&) {
      continue;  // a shape occurs twice
    }
    for (int ask = 0; ask < 50; ++ask) {
      Shape s(t.parameters.size());
      for (double& v : s) v = ask % 3 ? 2 * wide * uniform01(rng) : 5 * uniform01(rng);
      const auto hit = p.lookup(t.kind, bf16, s);
      if (!hit) continue;
      EXPECT_GE(hit->ns, 0);
      EXPECT_TRUE(std::isfinite(hit->ns));
      EXPECT_GE(hit->relative_error, 0) << "not NaN";
    }
  }
}

// Many scattered shapes have no common grid: leading parameters are matched exactly then.
TEST(KernelGrid, SplitsScatteredTables) {
  KernelTable t =
      empty("conv", {"kernel", "stride", "groups", "in_channels", "out_channels", "positions"});
  Rng rng(5);
  for (int i = 0; i < 600; ++i) {
    Shape s{1.0 + 2.0 * std::floor(3 * uniform01(rng)), 1, 1, 0, 0, 0};
    for (std::size_t p = 3; p < 6; ++p) s[p] = std::floor(1 + 2000 * uniform01(rng));
    add_row(t, s, truth(t, s));
  }
  const auto p = profile_of(t);
  const KernelGrid& g = *p.grid("conv", bf16);
  EXPECT_LT(g.cells(), 70000U);
  for (std::size_t row = 0; row < t.rows(); row += 7) {
    const auto s = std::span<const double>(t.shapes).subspan(row * 6, 6);
    const auto hit = g.at(s);
    ASSERT_TRUE(hit);
    EXPECT_EQ(hit->kind, PredictionKind::measured);
    EXPECT_EQ(hit->ns, t.median_ns[row]);
  }
  // A filter that was never measured: the nearest ones, scaled, and said so.
  const Shape other{9, 1, 1, 500, 500, 500};
  const auto far = g.at(other);
  ASSERT_TRUE(far);
  EXPECT_EQ(far->kind, PredictionKind::extrapolated);
  EXPECT_NEAR(far->ns / truth(t, other), 1, 0.5);
}

TEST(KernelGrid, ReportsCachedRowsApart) {
  KernelTable t = empty("copy", {"elements"});
  for (double n = 1; n <= 9; ++n) add_row(t, {n}, n == 5 ? 50 : 100 * n);
  t.flags.assign(t.rows(), 0);
  t.flags[4] = kernel_flag_cached;
  const LeaveOneOut e = *profile_of(t).leave_one_out("copy", bf16);
  EXPECT_EQ(e.all.count, 7U);
  EXPECT_EQ(e.uncached.count, 6U);
  EXPECT_GT(e.all.mean, 2 * e.uncached.mean);
}

TEST(Summarize, MatchesHandCalculation) {
  const ErrorSummary s = summarize({0.4, 0.1, 0.2, 0.3, 0.0});
  EXPECT_EQ(s.count, 5U);
  EXPECT_DOUBLE_EQ(s.median, 0.2);
  EXPECT_DOUBLE_EQ(s.mean, 0.2);
  EXPECT_NEAR(s.p90, 0.36, 1e-12);
  EXPECT_EQ(summarize({}).count, 0U);
}

// Predicted errors against real ones: rows that were held out of a noisy table, in a block, so
// that the truth is far from what leave-one-out saw.
TEST(KernelGrid, SaysHonestlyHowSureItIs) {
  KernelTable all = empty("gemm", {"n", "k", "m"}), kept = all;
  Rng rng(11);
  std::vector<std::pair<Shape, double>> held_out;
  for (double n = 64; n <= 16384; n *= 2)
    for (double k = 64; k <= 16384; k *= 2)
      for (double m = 1; m <= 8192; m *= 2) {
        const Shape s{n, k, m};
        // Tiles: times are stairs in m and n, and differ from shape to shape.
        const Shape tiled{n, k, std::ceil(m / 96) * 96};
        const double ns = truth(all, tiled) * std::exp(0.2 * (uniform01(rng) - 0.5));
        const bool inside = n > 64 && n < 16384 && k > 64 && k < 16384 && m > 1 && m < 8192;
        if (inside && uniform01(rng) < 0.3)
          held_out.emplace_back(s, ns);
        else
          add_row(kept, s, ns);
      }
  const auto p = profile_of(kept);
  double within = 0, squared = 0, promised = 0;
  for (const auto& [s, ns] : held_out) {
    const auto t = p.lookup("gemm", bf16, s);
    const double error = std::abs(t->ns / ns - 1);
    within += error < 2 * t->relative_error;
    squared += error * error;
    promised += t->relative_error * t->relative_error;
  }
  const double n = static_cast<double>(held_out.size());
  EXPECT_GT(n, 150);
  EXPECT_GT(within / n, 0.85) << "two standard errors should hold about 95 %";
  EXPECT_GT(promised / squared, 0.4) << "promised and real mean squares agree within a factor";
  EXPECT_LT(promised / squared, 4);
}

}  // namespace
}  // namespace isthmus::models
