#include "network/tcp_loss.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace isthmus::network {

double tcp_rate(TcpLoss law, double loss, double rtt, double segment, double timeout) {
  if (loss <= 0 || rtt <= 0) return std::numeric_limits<double>::infinity();
  double seconds = rtt * std::sqrt(2.0 * loss / 3.0);
  if (law == TcpLoss::pftk)
    seconds += timeout * std::min(1.0, 3.0 * std::sqrt(3.0 * loss / 8.0)) * loss *
               (1.0 + 32.0 * loss * loss);
  return segment / seconds;
}

}  // namespace isthmus::network
