#include "devices/kv_tiers.hpp"

namespace isthmus::devices {

KvTiers::KvTiers(const std::vector<KvTier>& tiers) {
  for (const KvTier& t : tiers) tiers_.push_back({t.blocks, t.bandwidth, {}});
}

void KvTiers::evicted(BlockKey key) {
  for (Tier& tier : tiers_) {
    const bool known = tier.contents.contains(key);
    tier.contents.use(key, true);
    if (known || static_cast<std::int64_t>(tier.contents.size()) <= tier.blocks) return;
    key = tier.contents.forget_oldest();
  }
}

std::size_t KvTiers::find(BlockKey key) const {
  for (std::size_t i = 0; i < tiers_.size(); ++i)
    if (tiers_[i].contents.contains(key)) return i;
  return nowhere;
}

void KvTiers::read(std::size_t tier, BlockKey key) { tiers_[tier].contents.use(key, true); }

void KvTiers::clear() {
  for (Tier& t : tiers_) t.contents = {};
}

}  // namespace isthmus::devices
