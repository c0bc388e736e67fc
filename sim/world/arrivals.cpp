#include "sim/world/arrivals.hpp"

#include "sim/world/arrival_generators.hpp"
#include "sim/world/arrival_traces.hpp"

namespace isthmus::world {

std::unique_ptr<ArrivalSource> make_arrival_source(const Workload& workload, std::uint64_t seed) {
  switch (workload.arrivals.kind) {
    case ArrivalKind::closed:
      throw InternalError(
          "a closed loop has no stream of arrivals: answers bring the next request");
    case ArrivalKind::trace:
      return open_trace(workload.arrivals);
    default:
      return make_generator(workload, seed);
  }
}

}  // namespace isthmus::world
