// Service levels at work: what requests mean for them, and alerts.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "results/records.hpp"
#include "results/service_level.hpp"
#include "sim/world/metric_watch.hpp"
#include "sim/world/service_level_spec.hpp"

namespace isthmus::world {

class World;

//! All service levels of a run. The world tells it which requests end; it outlives no world.
class ServiceLevels {
 public:
  explicit ServiceLevels(World& world);

  //! A request has ended. Hot path.
  void observe(const results::RequestRecord& r);
  //! A slice of the level is over.
  void on_slice(std::uint32_t level);
  //! A failure begins or ends; several may go on at once.
  void fault(bool begins);
  //! Something failed at this moment.
  void failed_once() { fault(true), fault(false); }
  //! Alerts that are active and about the service.
  std::uint32_t active(std::uint32_t service) const { return active_[service]; }
  void add_totals(std::vector<results::LevelTotals>& levels, std::vector<results::AlertEvent>& alerts) const;

 private:
  struct Alert {
    results::AlertState state;
    std::optional<results::SlidingCounts> own;  // of a percentile
    std::optional<MetricWatch> watch;
    std::size_t event = 0;                      // in events_, while it is active
  };
  struct Level {
    results::SlidingCounts counts;
    std::vector<Alert> alerts;
    std::uint64_t answers = 0;                  // of this slice
    std::uint64_t satisfied = 0, tolerating = 0, judged = 0;  // for Apdex
    Instant period_start;
    results::GoodCount before_period;
    double budget_left = 1, used_up = results::LevelTotals::never;
    std::vector<std::pair<double, double>> progress;
    double step = 0;                            // of the budget, between two points
  };

  results::AlertVerdict verdict(std::uint32_t level, const AlertSpec& alert) const;
  bool concerns(const ServiceLevel& spec, const results::RequestRecord& r) const;
  void count(std::uint32_t level, const results::RequestRecord& r);
  bool is_up(const ServiceLevel& spec) const;
  void look_at_budget(std::uint32_t level);
  void look_at_alert(std::uint32_t level, std::uint32_t alert);

  World& world_;
  std::vector<Level> levels_;
  std::vector<std::vector<std::uint32_t>> of_workload_;  // levels
  std::vector<std::uint32_t> active_;                    // by service
  std::vector<results::AlertEvent> events_;
  std::vector<std::pair<Instant, Instant>> incidents_;  // time with any failure
  std::uint32_t faults_ = 0;                            // that go on
};

}  // namespace isthmus::world
