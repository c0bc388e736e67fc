#include "results/alert_verdict.hpp"

#include <algorithm>

namespace isthmus::results {

AlertVerdict judge(std::vector<std::pair<Instant, Instant>> incidents, std::span<const Instant> fired, Duration grace,
                   Instant from, Instant end) {
  std::sort(incidents.begin(), incidents.end());
  std::vector<std::pair<Instant, Instant>> whole;
  for (const auto& [begin, over] : incidents) {
    const Instant until = over + grace;
    if (whole.empty() || begin > whole.back().second) whole.emplace_back(begin, until);
    else whole.back().second = std::max(whole.back().second, until);
  }
  AlertVerdict v;
  const auto within = [&](const auto& incident, Instant at) { return incident.first <= at && at <= incident.second; };
  for (const Instant at : fired) {
    const bool right = std::any_of(whole.begin(), whole.end(), [&](const auto& i) { return within(i, at); });
    ++(right ? v.right : v.wrong);
  }
  double delays = 0;
  for (const auto& incident : whole) {
    if (incident.first < from || incident.first >= end) continue;
    const auto first = std::find_if(fired.begin(), fired.end(), [&](Instant at) { return within(incident, at); });
    if (first == fired.end()) {
      ++v.missed;
      continue;
    }
    ++v.caught;
    delays += (*first - incident.first).seconds();
  }
  if (v.caught > 0) v.delay = delays / static_cast<double>(v.caught);
  return v;
}

}  // namespace isthmus::results
