#include "sim/world/protocol.hpp"

#include <algorithm>
#include <cmath>

namespace isthmus::world {

namespace {
double through(const Layer& layer, double bytes) {
  return layer.piece > 0 ? bytes + std::ceil(bytes / layer.piece) * layer.overhead : bytes;
}
}  // namespace

double wire_bytes(const Protocol& p, const MessageCosts& way, double payload) {
  // Whole bytes, but not one more for what rounding leaves.
  const double body = std::max(0.0, std::ceil(payload / way.ratio * p.expansion - 1e-6));
  return packed(p, through(p.record, through(p.frame, body) + way.fixed));
}

double packed(const Protocol& p, double bytes) { return through(p.packet, bytes); }

}  // namespace isthmus::world
