// What offload policies share: the latency estimate and the meaning of "local" and "cloud".
#pragma once

#include <cstddef>
#include <optional>

#include "schedulers/offload_policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! Expected time from sending a request to having its answer, in seconds, out of what the view
//! says:
//!
//!     network + wait + service * n / S(n)
//!
//! With c slots, S = parallel_speedup clamped to [1, c] and k = queued + running requests ahead:
//!   n    = min(k + 1, c), the requests in service together with this one;
//!   S(n) = 1 + (S - 1) (n - 1) / (c - 1), the speed-up of n busy slots, linear between 1 and S;
//!   wait = max(0, k - c + 1) * service / S, the departures needed until a slot is free, at the
//!   rate
//!          of a full service.
//! Independent slots (S = c) give the plain service time; S = 1 is processor sharing. Stale signals
//! are taken as they are: no policy knows more than the view.
double estimated_latency(const OffloadCandidate& candidate);

//! What the view expects the reward of a candidate to be.
double estimated_reward(const OffloadView& view, const OffloadCandidate& candidate);

//! Index of the local candidate: the first of tier device. Healthy ones go first; an unhealthy one
//! is returned only when no candidate at all is healthy. Empty when there is none.
std::optional<std::size_t> local_candidate(const OffloadView& view);

//! Index of the cloud candidate: the last of tier cloud, else the last of tier edge, with the same
//! rule for health.
std::optional<std::size_t> cloud_candidate(const OffloadView& view);

//! First candidate of `tier`, a healthy one if the tier has one. Empty when the tier has none.
std::optional<std::size_t> first_of_tier(const OffloadView& view, Tier tier);
//! Last candidate of `tier`, a healthy one if the tier has one. Empty when the tier has none.
std::optional<std::size_t> last_of_tier(const OffloadView& view, Tier tier);

//! True when at least one candidate is healthy.
bool any_healthy(const OffloadView& view);

//! Index of the candidate with the smallest `key(candidate)`; only healthy ones compete unless
//! there are none; ties go to the first. `key` returns anything with operator<, e.g. a tuple.
template <class Key>
std::size_t smallest(const OffloadView& view, Key key) {
  const bool healthy_only = any_healthy(view);
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < view.candidates.size(); ++i) {
    if (healthy_only && !view.candidates[i].healthy) continue;
    if (!best || key(view.candidates[i]) < key(view.candidates[*best])) best = i;
  }
  return *best;  // candidates is never empty
}

}  // namespace isthmus::schedulers
