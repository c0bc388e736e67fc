// Synthetic arrival processes: renewal, modulated and time-varying Poisson, explicit dates.
#pragma once

#include <cstdint>
#include <memory>

#include "sim/world/arrivals.hpp"

namespace isthmus::world {

//! The stream of a workload that is neither a trace nor closed. Its draws come from the stream
//! "arrivals/<workload name>" of `seed` alone. Throws InputError naming the workload when a
//! parameter is impossible.
//!
//! Dates. Gaps are drawn as double seconds; what rounding to whole nanoseconds cuts off is carried
//! into the next gap, so that dates do not drift from the sum of the gaps. Renewal processes begin
//! with a gap after Arrivals::start, except `deterministic`, whose arrival i is at start + i/rate.
//! The dates of `diurnal`, `steps` and `times` are dates of the run; nothing arrives before start.
//! A stream whose next date would lie beyond the clock's range (292 years) ends.
//!
//! mmpp: sojourns are exponential with the given means, states follow one another in the order
//! given and the last is followed by the first; with two states this is the usual MMPP(2), with
//! switching rates 1/sojourn. The first state is drawn with probabilities proportional to the
//! sojourns, so that the process is stationary from its start.
std::unique_ptr<ArrivalSource> make_generator(const Workload& workload, std::uint64_t seed);

//! The shape k of the Weibull distribution whose coefficient of variation is `cv`, for cv in
//! [0.01, 100]; outside: Error.
double weibull_shape(double cv);

}  // namespace isthmus::world
