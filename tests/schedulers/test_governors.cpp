// Governors with a goal of their own, view by view. Those of Linux are held to laws in tests/devices.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "schedulers/registry.hpp"

namespace isthmus::schedulers {
namespace {

const std::vector<double> clocks{0.5e9, 1.0e9, 1.5e9, 2.0e9};

std::shared_ptr<GovernorPolicy> governor(const std::string& name) {
  const auto& entry = find_entry(governor_policies(), name);
  return entry.make(Parameters(entry.parameters));
}

GovernorView view() {
  GovernorView v;
  v.now = Instant::from_seconds(10);
  v.frequencies = clocks;
  v.current = 3;
  return v;
}

TEST(Governors, BatterySaverLimitsTheClockBelowItsLevel) {
  const auto policy = governor("battery-saver");  // below 20 %: at most 0.6 of the highest clock
  GovernorView v = view();
  for (const auto& [charge, clock] : {std::pair{1.0, 3U}, {0.2, 3U}, {0.19, 1U}, {0.0, 1U}, {0.5, 3U}}) {
    v.battery = charge;
    EXPECT_EQ(policy->decide(v), clock) << charge;
  }
  // A limit below every clock leaves the lowest one.
  const auto& entry = find_entry(governor_policies(), "battery-saver");
  Parameters p(entry.parameters);
  p.set("clock", 0.1);
  v.battery = 0.1;
  EXPECT_EQ(entry.make(p)->decide(v), 0U);
}

TEST(Governors, DeadlineTakesTheSlowestClockThatSuffices) {
  const auto policy = governor("deadline");  // 10 % of the time left stays unused
  GovernorView v = view();
  EXPECT_EQ(policy->decide(v), 0U);  // nothing to do
  v.pending = 0.45;
  EXPECT_EQ(policy->decide(v), 3U);  // no deadline
  for (const auto& [due, clock] : {std::pair{11.0, 1U}, {12.1, 0U}, {10.7, 2U}, {10.5, 3U}, {9.0, 3U}}) {
    v.deadline = Instant::from_seconds(due);
    EXPECT_EQ(policy->decide(v), clock) << due;
  }
}

TEST(Governors, LoadThresholdHasHysteresis) {
  const auto policy = governor("load-threshold");  // up from 0.7 busy, down below 0.3 of the highest clock
  GovernorView v = view();
  v.current = 1;
  for (const auto& [busy, clock] : {std::pair{0.69, 1U}, {0.7, 3U}}) {
    v.busy = busy;
    EXPECT_EQ(policy->decide(v), clock) << busy;
  }
  v.current = 3;
  for (const auto& [busy, clock] : {std::pair{0.31, 3U}, {0.29, 1U}}) {
    v.busy = busy;
    EXPECT_EQ(policy->decide(v), clock) << busy;
  }
}

}  // namespace
}  // namespace isthmus::schedulers
