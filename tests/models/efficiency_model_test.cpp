// Fits on made-up devices whose rates are known.
#include "models/efficiency_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/builtin_graphs.hpp"
#include "models/nonnegative_fit.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

// Deterministic values in (0, 1).
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}
  double operator()() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<double>((state_ >> 11) + 1) / 9007199254740994.0;
  }

 private:
  std::uint64_t state_;
};

TEST(NonnegativeLeastSquares, FindsWhatIsPositive) {
  Draw draw(1);
  for (int trial = 0; trial < 50; ++trial) {
    Eigen::MatrixXd a(30, 6);
    Eigen::VectorXd x(6);
    for (Eigen::Index j = 0; j < 6; ++j) {
      x(j) = j % 2 == 0 ? draw() * 5 : 0;
      for (Eigen::Index i = 0; i < 30; ++i) a(i, j) = (draw() - 0.3) * std::pow(10.0, j);
    }
    const Eigen::VectorXd found = nonnegative_least_squares(a, a * x);
    for (Eigen::Index j = 0; j < 6; ++j) EXPECT_NEAR(found(j), x(j), 1e-6) << trial;
  }
}

// The conditions of Karush, Kuhn and Tucker decide whether it is the minimum.
TEST(NonnegativeLeastSquares, MeetsTheOptimalityConditions) {
  Draw draw(2);
  for (int trial = 0; trial < 100; ++trial) {
    Eigen::MatrixXd a(12, 8);
    Eigen::VectorXd b(12);
    for (Eigen::Index i = 0; i < 12; ++i) {
      b(i) = draw() * 2 - 1;
      for (Eigen::Index j = 0; j < 8; ++j) a(i, j) = draw() * 2 - 1;
    }
    const Eigen::VectorXd x = nonnegative_least_squares(a, b);
    const Eigen::VectorXd slope = a.transpose() * (b - a * x);
    for (Eigen::Index j = 0; j < 8; ++j) {
      EXPECT_GE(x(j), 0);
      EXPECT_LE(slope(j), 1e-7);
      if (x(j) > 1e-9) {
        EXPECT_NEAR(slope(j), 0, 1e-7);
      }
    }
  }
}

TEST(NonnegativeLeastSquares, TakesDegenerateInput) {
  Eigen::MatrixXd a = Eigen::MatrixXd::Zero(3, 3);
  a.col(0) << 1, 2, 3;
  a.col(1) << 1, 2, 3;  // the same again; the third is zero
  const Eigen::VectorXd x = nonnegative_least_squares(a, a.col(0));
  EXPECT_NEAR(x(0) + x(1), 1, 1e-6);
  EXPECT_EQ(x(2), 0);
  a(0, 0) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(nonnegative_least_squares(a, Eigen::VectorXd::Ones(3)), InternalError);
  EXPECT_THROW(nonnegative_least_squares(a, Eigen::VectorXd::Ones(2)), InternalError);
}

std::vector<MeasuredNetwork> networks(const EfficiencyModel& truth, int count, double noise,
                                      std::uint64_t seed) {
  Draw draw(seed);
  std::vector<MeasuredNetwork> all;
  for (int n = 0; n < count; ++n) {
    MeasuredNetwork m;
    for (std::size_t i = 0; i < work_kinds; ++i) m.work[i] = std::exp(3 * draw());
    m.ns = truth.predict_ns(m.work) * (1 + noise * (2 * draw() - 1));
    all.push_back(m);
  }
  return all;
}

EfficiencyModel some_rates(std::uint64_t seed) {
  Draw draw(seed);
  EfficiencyModel m;
  for (double& v : m.ns) v = 1 + 9 * draw();
  return m;
}

TEST(EfficiencyModel, ClassFitFindsTheCommonShape) {
  const EfficiencyModel truth = some_rates(7);
  std::vector<std::vector<MeasuredNetwork>> devices;
  for (const double speed : {0.1, 1.0, 10.0}) {
    devices.push_back(networks(truth, 60, 0, 11 + static_cast<std::uint64_t>(10 * speed)));
    for (auto& n : devices.back()) n.ns *= speed;
  }
  const EfficiencyModel found = fit_class(devices);
  for (std::size_t i = 0; i < work_kinds; ++i)
    EXPECT_NEAR(found.ns[i] / truth.ns[i], found.ns[0] / truth.ns[0], 0.02) << work_names[i];
  EXPECT_NEAR(fit_speed(found, devices[2]) / fit_speed(found, devices[0]), 100, 1);
}

TEST(EfficiencyModel, DeviceFitBendsTheClassOnlyAsFarAsNeeded) {
  const EfficiencyModel shape = some_rates(7);
  // Twice as slow at depthwise work, everything else as the class at half its speed.
  EfficiencyModel device = shape;
  for (double& v : device.ns) v *= 2;
  device.ns[static_cast<std::size_t>(Work::depthwise)] *= 2;
  const auto measured = networks(device, 60, 0.02, 5), fresh = networks(device, 40, 0, 6);
  const EfficiencyModel fitted = fit_device(shape, measured);
  double worst = 0;
  for (const auto& n : fresh)
    worst = std::max(worst, std::abs(fitted.predict_ns(n.work) / n.ns - 1));
  EXPECT_LT(worst, 0.04);
  // Two measurements cannot bend much: nearly the class.
  const EfficiencyModel two = fit_device(shape, {measured[0], measured[1]}, 10);
  const double speed = fit_speed(shape, {measured[0], measured[1]});
  for (std::size_t i = 0; i < work_kinds; ++i)
    EXPECT_NEAR(two.ns[i] / (shape.ns[i] * speed), 1, 0.05);
}

TEST(EfficiencyModel, OneOutlierDoesNotSpoilADevice) {
  const EfficiencyModel shape = some_rates(9);
  auto measured = networks(shape, 40, 0.02, 5);
  measured[3].ns *= 10;
  const EfficiencyModel fitted = fit_device(shape, measured);
  std::vector<double> errors;
  for (const auto& n : networks(shape, 41, 0, 6))
    errors.push_back(std::abs(fitted.predict_ns(n.work) / n.ns - 1));
  std::nth_element(errors.begin(), errors.begin() + 20, errors.end());
  EXPECT_LT(errors[20], 0.05);
}

TEST(EfficiencyModel, SortsTheWorkOfANetwork) {
  const OperatorGraph g = builtin_graph("resnet-50");
  const WorkAmounts w = work_of(g);
  double macs = 0;
  for (const Work k :
       {Work::pointwise, Work::winograd, Work::convolution, Work::grouped, Work::depthwise})
    macs += w[static_cast<std::size_t>(k)];
  // The classifier reads its weights and is not counted as arithmetic.
  EXPECT_NEAR(macs, g.totals().macs - 2048000, 1);
  EXPECT_EQ(w[static_cast<std::size_t>(Work::depthwise)], 0);
  const WorkAmounts four = work_of(g, 4);
  EXPECT_DOUBLE_EQ(four[static_cast<std::size_t>(Work::winograd)],
                   4 * w[static_cast<std::size_t>(Work::winograd)]);
  EXPECT_DOUBLE_EQ(four[static_cast<std::size_t>(Work::conv_weights)],
                   w[static_cast<std::size_t>(Work::conv_weights)]);
}

}  // namespace
}  // namespace isthmus::models
