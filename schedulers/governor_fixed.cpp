// Governors that do not look at the load: performance, powersave, userspace.
#include "schedulers/entry.hpp"
#include "schedulers/governor_policy.hpp"

namespace isthmus::schedulers {

namespace {

class Performance final : public GovernorPolicy {
 public:
  std::size_t decide(const GovernorView& v) override { return v.frequencies.size() - 1; }
};

class Powersave final : public GovernorPolicy {
 public:
  std::size_t decide(const GovernorView&) override { return 0; }
};

class Userspace final : public GovernorPolicy {
 public:
  explicit Userspace(const Parameters& p) : clock_(p.number("clock")) {}
  std::size_t decide(const GovernorView& v) override { return v.at_least(clock_); }

 private:
  double clock_;
};

}  // namespace

std::size_t GovernorView::at_least(double wanted) const {
  // A relative frequency that is what was wanted up to rounding counts.
  for (std::size_t i = 0; i < frequencies.size(); ++i)
    if (relative(i) >= wanted * (1 - 1e-12)) return i;
  return frequencies.size() - 1;
}

PolicyEntry<GovernorPolicy> governor_performance() {
  return {"performance",
          "Always the highest clock.",
          "Linux cpufreq, performance",
          "the load is light or heat limits the clock anyway.",
          "O(1)",
          {},
          &make_policy<GovernorPolicy, Performance>};
}

PolicyEntry<GovernorPolicy> governor_powersave() {
  return {"powersave",
          "Always the lowest clock.",
          "Linux cpufreq, powersave",
          "deadlines are tight, or idle power is high: a slow unit keeps the machine on for "
          "longer.",
          "O(1)",
          {},
          &make_policy<GovernorPolicy, Powersave>};
}

PolicyEntry<GovernorPolicy> governor_userspace() {
  return {"userspace",
          "Always the lowest clock that is at least a given share of the highest.",
          "Linux cpufreq, userspace",
          "the load changes.",
          "O(1)",
          {number_parameter("clock", Dimension::fraction, 1.0, 0.0, 1.0,
                            "wanted clock relative to the highest")},
          &make_policy<GovernorPolicy, Userspace>};
}

}  // namespace isthmus::schedulers
