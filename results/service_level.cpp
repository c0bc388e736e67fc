#include "results/service_level.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::results {

namespace {
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
}

double GoodCount::ratio() const {
  return all > 0 ? static_cast<double>(good) / static_cast<double>(all) : nan;
}

GoodCount SlidingCounts::last(std::size_t slices) const {
  const std::uint64_t back = std::min<std::uint64_t>({slices, ends_.size() - 1, closed_});
  return ends_[closed_ % ends_.size()] - ends_[(closed_ - back) % ends_.size()];
}

std::array<BurnRateRule, 4> burn_rate_rules(Duration period) {
  const auto rule = [&](const char* name, const char* severity, std::int64_t long_share,
                        std::int64_t short_share, double budget) {
    return BurnRateRule{name, severity, Duration(period.ns() / long_share), Duration(period.ns() / short_share),
                        budget * static_cast<double>(long_share)};
  };
  return {rule("burn-fast", "page", 720, 8640, 0.02), rule("burn-medium", "page", 120, 1440, 0.05),
          rule("burn-slow", "ticket", 30, 360, 0.1), rule("burn-creeping", "ticket", 10, 120, 0.1)};
}

Duration error_budget(double objective, Duration period) {
  return Duration::from_seconds((1 - objective) * period.seconds());
}

double burn_rate(const GoodCount& count, double objective) { return (1 - count.ratio()) / (1 - objective); }

bool more_bad_than(const GoodCount& count, double share) {
  // Shares such as 1 - 0.9 are off by a rounding.
  return static_cast<double>(count.bad()) > share * static_cast<double>(count.all) * (1 + 1e-9);
}

bool at_least_bad(const GoodCount& count, double share) {
  return count.all > 0 && static_cast<double>(count.bad()) >= share * static_cast<double>(count.all) * (1 - 1e-9);
}

double apdex(std::uint64_t satisfied, std::uint64_t tolerating, std::uint64_t all) {
  if (all == 0) return nan;
  return (static_cast<double>(satisfied) + static_cast<double>(tolerating) / 2) / static_cast<double>(all);
}

double percentile_linear(std::span<const double> values, double percent) {
  if (!(percent >= 0 && percent <= 100)) throw Error("a percentile is between 0 and 100");
  if (values.empty()) return nan;
  const double place = percent / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

double histogram_quantile(std::span<const std::pair<double, std::uint64_t>> buckets, double quantile) {
  if (!(quantile >= 0 && quantile <= 1)) throw Error("a quantile is between 0 and 1");
  if (buckets.empty() || buckets.back().second == 0) return nan;
  const double rank = quantile * static_cast<double>(buckets.back().second);
  double from = 0;
  std::uint64_t before = 0;
  for (const auto& [bound, up_to] : buckets) {
    if (static_cast<double>(up_to) >= rank) {
      // Nobody knows how far the values of an endless bucket go.
      if (std::isinf(bound) || up_to == before) return from;
      return from + (bound - from) * (rank - static_cast<double>(before)) / static_cast<double>(up_to - before);
    }
    from = bound;
    before = up_to;
  }
  return from;
}

AlertState::Change AlertState::evaluate(bool holds, Instant now) {
  if (!holds) {
    pending_ = Instant::never();
    return std::exchange(active_, false) ? Change::resolves : Change::none;
  }
  if (pending_.is_never()) pending_ = now;
  if (active_ || now - pending_ < hold_) return Change::none;
  active_ = true;
  return Change::fires;
}

}  // namespace isthmus::results
