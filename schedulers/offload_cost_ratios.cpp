#include "schedulers/offload_cost_ratios.hpp"

#include <algorithm>

namespace isthmus::schedulers {

double compute_ratio(const OffloadCandidate& c) {
  return c.work > 0 && c.speed > 0 ? c.work / c.speed : c.service.seconds();
}

double transfer_ratio(const OffloadView& view, const OffloadCandidate& c, double uplink,
                      double flop_per_bit) {
  if (uplink <= 0) return 0;
  const double bits = c.work > 0 ? c.work / flop_per_bit : 8 * view.upload;
  return std::min(1e9, bits / (8 * uplink));
}

}  // namespace isthmus::schedulers
