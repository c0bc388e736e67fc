#include "schedulers/offload_estimates.hpp"

#include <algorithm>

namespace isthmus::schedulers {

double estimated_latency(const OffloadCandidate& candidate) {
  const double slots = std::max(1.0, static_cast<double>(candidate.slots));
  const double full = std::clamp(candidate.parallel_speedup, 1.0, slots);
  const double service = candidate.service.seconds();
  const double ahead =
      static_cast<double>(candidate.queued) + static_cast<double>(candidate.running);

  const double together = std::min(ahead + 1, slots);
  const double speedup = slots > 1 ? 1 + (full - 1) * (together - 1) / (slots - 1) : 1.0;
  const double departures = std::max(0.0, ahead - slots + 1);
  return candidate.network.seconds() + departures * service / full + service * together / speedup;
}

double estimated_reward(const OffloadView& view, const OffloadCandidate& c) {
  return view.reward.of(estimated_latency(c), c.client_energy, c.accuracy);
}

bool any_healthy(const OffloadView& view) {
  return std::any_of(view.candidates.begin(), view.candidates.end(),
                     [](const OffloadCandidate& c) { return c.healthy; });
}

std::optional<std::size_t> first_of_tier(const OffloadView& view, Tier tier) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < view.candidates.size(); ++i) {
    if (view.candidates[i].tier != tier) continue;
    if (view.candidates[i].healthy) return i;
    if (!found) found = i;
  }
  return found;
}

std::optional<std::size_t> last_of_tier(const OffloadView& view, Tier tier) {
  std::optional<std::size_t> found;
  for (std::size_t i = view.candidates.size(); i-- > 0;) {
    if (view.candidates[i].tier != tier) continue;
    if (view.candidates[i].healthy) return i;
    if (!found) found = i;
  }
  return found;
}

std::optional<std::size_t> local_candidate(const OffloadView& view) {
  const auto found = first_of_tier(view, Tier::device);
  if (found && !view.candidates[*found].healthy && any_healthy(view)) return std::nullopt;
  return found;
}

std::optional<std::size_t> cloud_candidate(const OffloadView& view) {
  const auto cloud = last_of_tier(view, Tier::cloud);
  if (cloud && view.candidates[*cloud].healthy) return cloud;
  const auto edge = last_of_tier(view, Tier::edge);
  if (edge && view.candidates[*edge].healthy) return edge;
  if (any_healthy(view)) return std::nullopt;
  return cloud ? cloud : edge;
}

}  // namespace isthmus::schedulers
