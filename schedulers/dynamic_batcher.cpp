#include "schedulers/dynamic_batcher.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

// One value per level: those of the list, or the one for all.
std::vector<double> by_level(const Parameters& p, const char* list, double all, std::size_t levels) {
  const std::vector<double>& given = p.list(list);
  if (given.empty()) return std::vector<double>(levels, all);
  if (given.size() != levels)
    throw InputError(fmt::format("parameter \"{}\" has {} values for {} levels; give one per level of "
                                 "priority_levels",
                                 list, given.size(), levels));
  return given;
}

}  // namespace

DynamicBatcher::DynamicBatcher(const Parameters& p)
    : max_batch(static_cast<std::uint32_t>(p.number("max_batch"))),
      delay(Duration::from_seconds(p.number("max_queue_delay"))) {
  for (const double b : p.list("preferred")) preferred.push_back(static_cast<std::uint32_t>(b));
  if (preferred.empty()) preferred.push_back(max_batch);
  std::sort(preferred.begin(), preferred.end());
  if (preferred.back() > max_batch)
    throw InputError("parameter \"preferred\" holds a size above max_batch");

  const double levels = p.number("priority_levels"), normal = p.number("default_priority_level");
  if (levels > 0 && !(normal >= 1 && normal <= levels))
    throw InputError(fmt::format("parameter \"default_priority_level\" is {:g}; with {:g} levels it must "
                                 "be between 1 and {:g}",
                                 normal, levels, levels));
  if (levels == 0 && normal > 0)
    throw InputError("parameter \"default_priority_level\" needs priority_levels");
  default_level = normal > 0 ? static_cast<std::uint32_t>(normal) - 1 : 0;

  const auto n = static_cast<std::size_t>(std::max(1.0, levels));
  const auto delays = by_level(p, "level_delays", p.text("timeout_action") == "delay" ? 1 : 0, n);
  const auto timeouts = by_level(p, "level_timeout", p.number("default_timeout"), n);
  const auto shorten = by_level(p, "level_override", p.number("allow_timeout_override"), n);
  const auto sizes = by_level(p, "level_queue_size", p.number("max_queue_size"), n);
  for (std::size_t i = 0; i < n; ++i)
    rules.push_back({delays[i] > 0, Duration::from_seconds(timeouts[i]), shorten[i] > 0,
                     static_cast<std::uint32_t>(sizes[i])});
}

bool DynamicBatcher::has_queues() const {
  return rules.size() > 1 || rules[0].timeout > Duration::zero() || rules[0].capacity > 0;
}

std::uint32_t DynamicBatcher::level_of(const WaitingRequest& r) const {
  const std::int64_t level = std::int64_t{default_level} - r.priority;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(level, 0, std::ssize(rules) - 1));
}

}  // namespace isthmus::schedulers
