#include "devices/kv_tiers.hpp"

namespace isthmus::devices {

KvTiers::KvTiers(const std::vector<KvTier>& tiers) {
  for (const KvTier& t : tiers) tiers_.push_back({t.blocks, t.bandwidth, {}, {}});
}

void KvTiers::evicted(BlockKey key) {
  for (std::size_t i = 0; i < tiers_.size(); ++i) {
    Tier& tier = tiers_[i];
    if (tier.by_key.contains(key)) return read(i, key);
    tier.by_key[key] = tier.order.insert(tier.order.end(), key);
    if (static_cast<std::int64_t>(tier.order.size()) <= tier.blocks) return;
    key = tier.order.front();
    tier.by_key.erase(key);
    tier.order.pop_front();
  }
}

std::size_t KvTiers::find(BlockKey key) const {
  for (std::size_t i = 0; i < tiers_.size(); ++i)
    if (tiers_[i].by_key.contains(key)) return i;
  return nowhere;
}

void KvTiers::read(std::size_t tier, BlockKey key) {
  Tier& t = tiers_[tier];
  t.order.splice(t.order.end(), t.order, t.by_key.at(key));
}

void KvTiers::clear() {
  for (Tier& t : tiers_) {
    t.order.clear();
    t.by_key.clear();
  }
}

}  // namespace isthmus::devices
