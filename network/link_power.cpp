#include "network/link_power.hpp"

namespace isthmus::network {

BusyTime::BusyTime(const Topology& topology) {
  for (std::size_t l = 0; l < topology.links.size(); ++l) {
    if (!topology.links[l].power && topology.links[l].sharing != Sharing::wifi) continue;
    slot_.resize(topology.links.size(), none);
    slot_[l] = static_cast<std::uint32_t>(ways_.size());
    ways_.emplace_back();
  }
}

void BusyTime::settle(LinkId link, std::array<double, 2> flying, const LinkTable& links) {
  for (ResourceIndex w = 0; w < 2; ++w) {
    Way& way = ways_[slot_[link.value()]][w];
    const double taken = way.ended + flying[w];
    way.busy += (taken - way.settled) / links.capacity(2 * link.value() + w);
    way.settled = taken;
  }
}

double BusyTime::seconds(LinkId link, std::array<double, 2> flying, const LinkTable& links) const {
  double sum = 0;
  for (ResourceIndex w = 0; w < 2; ++w) {
    const Way& way = ways_[slot_[link.value()]][w];
    sum += way.busy +
           (way.ended + flying[w] - way.settled) / links.capacity(2 * link.value() + w);
  }
  return links.sharing(link) == Sharing::split_duplex ? sum / 2 : sum;
}

}  // namespace isthmus::network
