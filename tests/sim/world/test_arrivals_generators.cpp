#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sim/world/arrival_generators.hpp"
#include "tests/sim/world/test_arrivals_support.hpp"

namespace isthmus::world {
namespace {

using namespace isthmus::world::arrival_testing;
using ::testing::HasSubstr;

Arrivals of_kind(ArrivalKind kind, double rate, std::uint64_t limit = ~0ULL) {
  Arrivals a;
  a.kind = kind;
  a.rate = rate;
  a.limit = limit;
  return a;
}

Arrivals mmpp(std::vector<double> rates, std::vector<double> sojourns, std::uint64_t limit) {
  Arrivals a = of_kind(ArrivalKind::mmpp, 0, limit);
  a.rates = std::move(rates);
  for (const double s : sojourns) a.sojourns.push_back(Duration::from_seconds(s));
  return a;
}

Arrivals steps(std::vector<std::pair<double, double>> at_and_rate) {
  Arrivals a = of_kind(ArrivalKind::steps, 0);
  for (const auto& [at, rate] : at_and_rate) a.steps.push_back({Duration::from_seconds(at), rate});
  return a;
}

void expect_non_decreasing(const std::vector<Arrival>& arrivals) {
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    ASSERT_EQ(arrivals[i].index, i);
    ASSERT_TRUE(i == 0 || arrivals[i].at >= arrivals[i - 1].at) << i;
  }
}

struct RenewalCase {
  const char* name;
  Arrivals arrivals;
  double cv;
};

class Renewals : public ::testing::TestWithParam<RenewalCase> {};

TEST_P(Renewals, HaveTheirRateAndVariation) {
  const auto all = take(workload(GetParam().arrivals));
  ASSERT_EQ(all.size(), 300'000u);
  expect_non_decreasing(all);
  const auto gaps = gaps_of(seconds_of(all));
  const double cv = GetParam().cv;
  EXPECT_NEAR(1 / mean_of(gaps), 50, 50 * (0.001 + 4 * cv / std::sqrt(300'000.0)));
  EXPECT_NEAR(cv_of(gaps), cv, 0.03 * cv + 1e-6);
}

RenewalCase renewal_case(const char* name, ArrivalKind kind, double cv, int phases = 1) {
  Arrivals a = of_kind(kind, 50, 300'000);
  a.cv = cv;
  a.phases = phases;
  return {name, a, cv};
}

INSTANTIATE_TEST_SUITE_P(
    Arrivals, Renewals,
    ::testing::Values(renewal_case("poisson", ArrivalKind::poisson, 1),
                      renewal_case("gamma_smooth", ArrivalKind::gamma, 0.5),
                      renewal_case("gamma_bursty", ArrivalKind::gamma, 3),
                      renewal_case("weibull_smooth", ArrivalKind::weibull, 0.4),
                      renewal_case("weibull_bursty", ArrivalKind::weibull, 2),
                      renewal_case("erlang", ArrivalKind::erlang, 0.5, 4),
                      renewal_case("deterministic", ArrivalKind::deterministic, 0)),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Arrivals, PoissonGapsAreExponentialAndCountsPoisson) {
  const auto dates = seconds_of(take(workload(of_kind(ArrivalKind::poisson, 20, 200'000))));
  EXPECT_LT(ks_distance(gaps_of(dates), [](double x) { return 1 - std::exp(-20 * x); }),
            ks_bound(dates.size()));
  EXPECT_NEAR(dispersion(dates, 1), 1, 0.06);
  EXPECT_NEAR(dispersion(dates, 10), 1, 0.18);
}

TEST(Arrivals, WeibullShapeInvertsTheVariation) {
  EXPECT_NEAR(weibull_shape(1), 1, 1e-9);
  EXPECT_NEAR(weibull_shape(std::sqrt(4 / std::acos(-1.0) - 1)), 2, 1e-9);
  EXPECT_NEAR(weibull_shape(std::sqrt(5.0)), 0.5, 1e-9);
  EXPECT_NO_THROW(weibull_shape(0.01));
  EXPECT_NO_THROW(weibull_shape(100));
  EXPECT_THROW(weibull_shape(0.001), Error);
  EXPECT_THROW(weibull_shape(std::numeric_limits<double>::quiet_NaN()), Error);
}

TEST(Arrivals, DeterministicDatesDoNotDrift) {
  Arrivals a = of_kind(ArrivalKind::deterministic, 3, 3'000'001);
  a.start = Duration::from_seconds(2);
  const auto all = take(workload(a));
  EXPECT_EQ(all[0].at, Instant::from_seconds(2));
  EXPECT_EQ(all[1].at.ns(), 2'333'333'333);
  EXPECT_EQ(all.back().at.ns(), 1'000'002'000'000'000);
}

// The carried remainder makes the date the floor of the exact sum of the gaps.
TEST(Arrivals, PoissonDatesDoNotDriftFromTheSumOfTheGaps) {
  const double rate = 3e6;  // gaps of 333 ns: rounding each would lose a thousandth
  const auto all = take(workload(of_kind(ArrivalKind::poisson, rate, 200'000)), 5);
  Rng g = StreamKey(5, "arrivals/w").sequence();
  long double sum = 0;
  for (const Arrival& a : all) {
    sum += sample_exponential(g, 1 / rate);
    ASSERT_NEAR(static_cast<double>(a.at.ns()), static_cast<double>(sum * 1e9L), 1.01);
  }
}

TEST(Arrivals, StartAndLimitAreKept) {
  for (const ArrivalKind kind :
       {ArrivalKind::poisson, ArrivalKind::gamma, ArrivalKind::weibull, ArrivalKind::erlang,
        ArrivalKind::deterministic, ArrivalKind::diurnal}) {
    Arrivals a = of_kind(kind, 10, 17);
    a.start = Duration::from_seconds(100);
    const auto all = take(workload(a));
    EXPECT_EQ(all.size(), 17u);
    EXPECT_GE(all.front().at, Instant::from_seconds(100));
    a.limit = 0;
    EXPECT_TRUE(take(workload(a)).empty());
  }
  Arrivals m = mmpp({10, 1}, {1, 1}, 5);
  m.start = Duration::from_seconds(100);
  EXPECT_EQ(take(workload(m)).size(), 5u);
  EXPECT_GE(take(workload(m)).front().at, Instant::from_seconds(100));
}

TEST(Arrivals, StreamsDependOnSeedAndNameOnly) {
  const Arrivals a = of_kind(ArrivalKind::poisson, 10, 100);
  const auto first = seconds_of(take(workload(a, "cam3"), 9));
  EXPECT_EQ(first, seconds_of(take(workload(a, "cam3"), 9)));
  EXPECT_NE(first, seconds_of(take(workload(a, "cam4"), 9)));
  EXPECT_NE(first, seconds_of(take(workload(a, "cam3"), 10)));

  // Read in turns with another stream: nothing moves.
  const auto one = make_arrival_source(workload(a, "cam3"), 9);
  const auto other = make_arrival_source(workload(a, "cam4"), 9);
  for (const double date : first) {
    other->next();
    EXPECT_EQ(one->next()->at.seconds(), date);
  }
  EXPECT_FALSE(one->next());
  EXPECT_FALSE(one->next());
}

// Two-state closed forms (Fischer and Meier-Hellstern 1993): rate, gap CV and dispersion.
struct Mmpp2 {
  double r0, s0, r1, s1;
  double rate() const { return (r0 * s0 + r1 * s1) / (s0 + s1); }
  double scv() const {
    const double q0 = 1 / s0, q1 = 1 / s1;
    return 1 + 2 * q0 * q1 * (r0 - r1) * (r0 - r1) /
                   ((q0 + q1) * (q0 + q1) * (r0 * r1 + r0 * q1 + r1 * q0));
  }
  double dispersion(double t) const {
    const double q = 1 / s0 + 1 / s1, p = s0 / (s0 + s1);
    return 1 + 2 * p * (1 - p) * (r0 - r1) * (r0 - r1) / (rate() * q) *
                   (1 - (1 - std::exp(-q * t)) / (q * t));
  }
};

TEST(Arrivals, TwoStateMmppHasItsClosedForms) {
  const Mmpp2 m{8, 2, 0.5, 3};
  const auto dates = seconds_of(take(workload(mmpp({8, 0.5}, {2, 3}, 1'000'000))));
  const auto gaps = gaps_of(dates);
  EXPECT_NEAR(1 / mean_of(gaps), m.rate(), 0.01 * m.rate());
  EXPECT_NEAR(cv_of(gaps), std::sqrt(m.scv()), 0.01 * std::sqrt(m.scv()));
  for (const double t : {0.5, 1.0, 5.0, 20.0})
    EXPECT_NEAR(dispersion(dates, t), m.dispersion(t), 0.05 * m.dispersion(t)) << t;
}

TEST(Arrivals, MmppStatesFollowInTurn) {
  // States hardly overlap in rate: the count of a second names its state, and 0 -> 1 -> 2 -> 0.
  const auto dates = seconds_of(take(workload(mmpp({4000, 400, 0}, {50, 50, 50}, 300'000))));
  std::vector<int> seen;
  std::size_t i = 0;
  for (double t = 0; t < dates.back(); ++t) {
    int n = 0;
    for (; i < dates.size() && dates[i] < t + 1; ++i) ++n;
    const int state = n > 3700 ? 0 : (n > 320 && n < 480) ? 1 : n == 0 ? 2 : -1;
    if (state >= 0 && (seen.empty() || seen.back() != state)) seen.push_back(state);
  }
  ASSERT_GT(seen.size(), 3u);
  int jumps = 0;
  for (std::size_t k = 1; k < seen.size(); ++k) jumps += seen[k] != (seen[k - 1] + 1) % 3;
  // A sojourn below a second can hide a state: rare.
  EXPECT_LE(jumps, 1);
}

TEST(Arrivals, MmppStartsStationary) {
  // Slow states: the first second's count over many seeds has the stationary mean.
  double total = 0;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    const auto source = make_arrival_source(workload(mmpp({10, 0}, {1000, 3000}, 1000)), seed);
    while (source->next()->at < Instant::from_seconds(1)) total += 1;
  }
  EXPECT_NEAR(total / 4000, 2.5, 4 * std::sqrt((2.5 + 18.75) / 4000));
}

// Waiting time plus service of MMPP(2)/M/1 by Lindley's recursion against the matrix-geometric
// solution (rates 1.6 and 0, switching 1 and 1, service rate 1: W = 6.864208).
TEST(Arrivals, MmppQueueHasItsMatrixGeometricSojourn) {
  const auto source = make_arrival_source(workload(mmpp({1.6, 0}, {1, 1}, 4'000'000)), 3);
  Rng g = StreamKey(3, "service").sequence();
  double free_at = 0, total = 0;
  std::uint64_t n = 0;
  while (const auto a = source->next()) {
    const double now = a->at.seconds();
    free_at = std::max(free_at, now) + sample_exponential(g, 1);
    total += free_at - now;
    ++n;
  }
  EXPECT_NEAR(total / static_cast<double>(n), 6.864208, 0.05 * 6.864208);
}

TEST(Arrivals, StepsHaveTheirRatesExactly) {
  const double inf = 1e9;
  struct {
    double from, to, rate;
  } const parts[] = {{0, 10, 0}, {10, 110, 200}, {110, 210, 0}, {210, 710, 20}, {710, inf, 100}};
  Arrivals a = steps({{10, 200}, {110, 0}, {210, 20}, {710, 100}});
  a.limit = 60'000;
  const auto dates = seconds_of(take(workload(a)));
  for (const auto& part : parts) {
    std::vector<double> inside;
    for (const double d : dates)
      if (d >= part.from && d < part.to) inside.push_back(d);
    if (part.rate == 0) {
      EXPECT_TRUE(inside.empty()) << part.from;
      continue;
    }
    const double last = part.to == inf ? dates.back() : part.to;
    const double expected = part.rate * (last - part.from);
    EXPECT_NEAR(static_cast<double>(inside.size()), expected, 4.5 * std::sqrt(expected));
    // Given their number, Poisson dates are uniform over the part.
    EXPECT_LT(ks_distance(inside, [&](double x) { return (x - part.from) / (last - part.from); }),
              ks_bound(inside.size()));
  }
}

TEST(Arrivals, StepsEndWithARateOfZeroAndHonourStart) {
  Arrivals a = steps({{0, 100}, {5, 0}});
  a.start = Duration::from_seconds(4);
  const auto all = take(workload(a));
  EXPECT_NEAR(static_cast<double>(all.size()), 100, 45);
  EXPECT_GE(all.front().at, Instant::from_seconds(4));
  EXPECT_LT(all.back().at, Instant::from_seconds(5));
}

TEST(Arrivals, DiurnalFollowsTheSine) {
  Arrivals a = of_kind(ArrivalKind::diurnal, 50, 500'000);
  a.amplitude = 0.8;
  a.phase = 0.25;
  a.period = Duration::from_seconds(100);
  const auto dates = seconds_of(take(workload(a)));
  EXPECT_NEAR(50.0 * dates.back() / 500'000, 1, 0.01);
  // Time within a period has the integrated sine as its law.
  std::vector<double> phase;
  for (const double d : dates)
    if (d < 9900) phase.push_back(std::fmod(d, 100) / 100);
  const double tau = 2 * std::acos(-1.0);
  EXPECT_LT(ks_distance(phase,
                        [&](double x) {
                          return x +
                                 0.8 / tau * (std::cos(tau * 0.25) - std::cos(tau * (x + 0.25)));
                        }),
            ks_bound(phase.size()));
}

TEST(Arrivals, ExplicitTimesAreTakenAsTheyAre) {
  Arrivals a = of_kind(ArrivalKind::times, 0);
  for (const int t : {1, 3, 3, 7}) a.times.push_back(Duration::from_seconds(t));
  EXPECT_EQ(seconds_of(take(workload(a))), (std::vector<double>{1, 3, 3, 7}));
  a.start = Duration::from_seconds(2);
  EXPECT_EQ(seconds_of(take(workload(a))), (std::vector<double>{3, 3, 7}));
  a.limit = 1;
  EXPECT_EQ(seconds_of(take(workload(a))), (std::vector<double>{3}));
  a.times.clear();
  EXPECT_TRUE(take(workload(a)).empty());
}

TEST(Arrivals, AStreamEndsAtTheEndOfTheClock) {
  const auto all = take(workload(of_kind(ArrivalKind::poisson, 1e-9)), 1, 1000);
  EXPECT_LT(all.size(), 60u);  // 292 years hold about 9 of them
  expect_non_decreasing(all);
  EXPECT_TRUE(take(workload(of_kind(ArrivalKind::poisson, 1e-300))).empty());
  EXPECT_EQ(take(workload(of_kind(ArrivalKind::deterministic, 1e-300))).size(), 1u);
}

TEST(Arrivals, ImpossibleParametersNameTheWorkload) {
  const auto problem = [](const Arrivals& a) { return error_of(workload(a, "chat")); };
  EXPECT_EQ(problem(of_kind(ArrivalKind::poisson, 0)),
            "workload \"chat\": arrivals: rate must be positive and finite, found 0");
  EXPECT_THAT(problem(of_kind(ArrivalKind::deterministic, -1)), HasSubstr("rate"));
  EXPECT_THAT(problem(of_kind(ArrivalKind::erlang, std::nan(""))), HasSubstr("rate"));
  Arrivals a = of_kind(ArrivalKind::gamma, 1);
  a.cv = 0;
  EXPECT_THAT(problem(a), HasSubstr("cv must lie between"));
  a.kind = ArrivalKind::weibull;
  EXPECT_THAT(problem(a), HasSubstr("cv must lie between"));
  a = of_kind(ArrivalKind::erlang, 1);
  a.phases = 0;
  EXPECT_THAT(problem(a), HasSubstr("phases"));
  a = of_kind(ArrivalKind::diurnal, 1);
  a.amplitude = 1.5;
  EXPECT_THAT(problem(a), HasSubstr("amplitude"));
  a.amplitude = 1;
  a.period = Duration::zero();
  EXPECT_THAT(problem(a), HasSubstr("period"));
  EXPECT_THAT(problem(mmpp({1, 2}, {1}, 1)), HasSubstr("2 rates and 1 sojourns"));
  EXPECT_THAT(problem(mmpp({}, {}, 1)), HasSubstr("at least one state"));
  EXPECT_THAT(problem(mmpp({0, 0}, {1, 1}, 1)), HasSubstr("positive rate"));
  EXPECT_THAT(problem(mmpp({1, -1}, {1, 1}, 1)), HasSubstr("rate of state 1"));
  EXPECT_THAT(problem(mmpp({1, 1}, {1, 0}, 1)), HasSubstr("sojourn of state 1"));
  EXPECT_THAT(problem(steps({})), HasSubstr("at least one step"));
  EXPECT_THAT(problem(steps({{5, 1}, {5, 2}})), HasSubstr("step 1 at 5 s must come after"));
  EXPECT_THAT(problem(steps({{0, -1}})), HasSubstr("rate of step 0"));
  a = of_kind(ArrivalKind::times, 0);
  a.times = {Duration::from_seconds(2), Duration::from_seconds(1)};
  EXPECT_THAT(problem(a), HasSubstr("date 1 is 1 s, after 2 s"));
  a = of_kind(ArrivalKind::poisson, 1);
  a.start = Duration::from_seconds(-1);
  EXPECT_THAT(problem(a), HasSubstr("start"));
  EXPECT_THROW(take(workload(of_kind(ArrivalKind::closed, 1))), InternalError);
}

}  // namespace
}  // namespace isthmus::world
