// The view in numbers between 0 and 1, for policies that learn from it.
#pragma once

#include <Eigen/Core>

#include "schedulers/offload_policy.hpp"

namespace isthmus::schedulers {

//! Per candidate: 1; worth of the estimated latency, of the network alone and of the client's energy
//! as the reward has it; share of free slots; accuracy; how fresh the load signals and the
//! measurement of the path are; the worth of the network where it is fresh; the worth of the upload at
//! the rate that the client has measured last, to whichever candidate, and that times its freshness
//! (paths to several candidates mostly share the client's own link); and the estimated reward at the
//! candidate's own measured rate, at the newest one of all, both of these times their freshness, and at the rate
//! from before anything was measured times what the newest lacks in freshness. Their linear mixture is what no fixed
//! rule has: how far to trust an old measurement.
inline constexpr Eigen::Index offload_features = 16;
using OffloadFeatures = Eigen::Matrix<double, offload_features, 1>;

OffloadFeatures features_of(const OffloadView& view, const OffloadCandidate& candidate);

//! How fresh a date is: 1 now, 1/2 after `half`, 0 never.
double freshness(Instant now, Instant then, double half);

}  // namespace isthmus::schedulers
