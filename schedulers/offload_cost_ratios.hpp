// The two times of the cost-ratio rule.
#pragma once

#include "schedulers/offload_policy.hpp"

namespace isthmus::schedulers {

//! model_flops / device_flops, in s: the peak of the units, as the rule has it. A service with a law
//! has neither figure; its estimated service time stands for the ratio.
double compute_ratio(const OffloadCandidate& candidate);

//! model_flops / (bandwidth * flop_per_bit), in s; bandwidth in bit/s. Without model_flops the bits of
//! the upload over the bandwidth. 0 where no network is in between.
double transfer_ratio(const OffloadView& view, const OffloadCandidate& candidate, double uplink,
                      double flop_per_bit);

}  // namespace isthmus::schedulers
