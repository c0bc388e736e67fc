// Replicas by time of day and week.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/replica_range.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

constexpr double day = 86400, week = 7 * day;

class Scheduled final : public AutoscalingPolicy {
 public:
  explicit Scheduled(const Parameters& p)
      : start_(p.number("start_weekday") * day + p.number("utc_offset") * 3600),
        range_(p) {
    const std::vector<double>&at = p.list("at"), &replicas = p.list("replicas");
    std::vector<double> days = p.list("weekdays");
    if (at.size() != replicas.size())
      throw InputError("scheduled: \"at\" and \"replicas\" describe the same entries and are equally long");
    for (const double n : replicas)
      if (n < range_.min || n > range_.max)
        throw InputError("scheduled: an entry asks for replicas outside min_replicas and max_replicas");
    if (days.empty()) days = {0, 1, 2, 3, 4, 5, 6};
    for (const double d : days)
      for (std::size_t i = 0; i < at.size(); ++i)
        entries_.emplace_back(d * day + at[i], static_cast<std::uint32_t>(replicas[i]));
    std::sort(entries_.begin(), entries_.end());
    for (std::size_t i = 1; i < entries_.size(); ++i)
      if (entries_[i].first == entries_[i - 1].first)
        throw InputError("scheduled: two entries at the same time");
  }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    if (entries_.empty()) return {range_.clamp(view.current), "no entries"};
    double local = std::fmod(start_ + view.now.seconds(), week);
    if (local < 0) local += week;
    // The newest that has come; before the first of the week the last of the week before.
    const auto next = std::upper_bound(entries_.begin(), entries_.end(), local,
                                       [](double t, const auto& e) { return t < e.first; });
    const auto& entry = next == entries_.begin() ? entries_.back() : *std::prev(next);
    return {entry.second, "scheduled"};
  }

 private:
  double start_;  // s since Monday, 00:00 local time
  ReplicaRange range_;
  std::vector<std::pair<double, std::uint32_t>> entries_;
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_scheduled() {
  ParameterSpec weekdays =
      list_parameter("weekdays", Dimension::count, 0, 6, "on which entries hold, Monday = 0; none: all");
  return {"scheduled",
          "So many replicas from given times of the day on, as scheduled actions and cron scalers do.",
          "AWS scheduled scaling, KEDA cron scaler",
          "load does not follow the clock, or the clock of users in several time zones.",
          "O(log entries)",
          {list_parameter("at", Dimension::duration, 0, day,
                          "local times since midnight at which entries begin, e.g. \"8 h\""),
           list_parameter("replicas", Dimension::count, 0, 1e6, "what each entry asks for"),
           weekdays,
           number_parameter("start_weekday", Dimension::count, 0, 0, 6,
                            "day on which the simulation begins, at 00:00 UTC; Monday = 0"),
           number_parameter("utc_offset", Dimension::none, 0, -14, 14, "hours by which local time is ahead "
                            "of UTC; without daylight saving time"),
           number_parameter("min_replicas", Dimension::count, 0, 0, 1e6, "never fewer"),
           number_parameter("max_replicas", Dimension::count, 10, 1, 1e6, "never more; at least what every "
                            "entry asks for")},
          make_policy<AutoscalingPolicy, Scheduled>};
}

}  // namespace isthmus::schedulers
