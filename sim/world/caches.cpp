// What caches hold, who waits for what is being fetched, and what is on its way to cache servers.
#include <algorithm>
#include <cmath>

#include "sim/world/world.hpp"

namespace isthmus::world {

void World::open_caches() {
  for (const Service& s : scenario_.services) {
    if (!s.fetching) continue;
    visits_ = true;
    for (const CacheTier& tier : s.fetching->caches) tiers_.push_back(&tier);
  }
  caches_.resize(tiers_.size());
}

CacheHolder& World::holder_of(const CacheTier& tier, std::uint32_t holder) {
  auto& holders = caches_[tier.id - 1].holders;
  if (holder >= holders.size()) holders.resize(holder + 1);
  if (!holders[holder])
    holders[holder] = std::make_unique<CacheHolder>(
        CacheHolder{{tier.limits, tier.policy->make(*tier.parameters)}, {}});
  return *holders[holder];
}

// True when the cache has an answer, which then is that of the visit.
bool World::find_answer(const CacheTier& tier, std::uint32_t id, Request& r) {
  CacheState::Counts& counts = caches_[tier.id - 1].counts;
  devices::AnswerCache& cache = holder_of(tier, id).cache;
  devices::Answer& answer = r.visit->answer;
  ++counts.lookups;
  if (const devices::Answer* a = cache.find(r.key, now_)) {
    answer = *a;
    ++counts.hits;
    counts.wrong += answer.wrong ? 1 : 0;
    return true;
  }
  const KeyLaw& law = *scenario_.workloads[r.record.workload].request.key;
  if (tier.threshold >= 1 || law.clusters == 0) return false;

  // The most similar one. How similar two items are, and whether the answer to the one suits the
  // other, is always the same.
  double best = -1;
  std::uint32_t nearest = 0;
  std::uint64_t pair = 0;
  for (const std::uint32_t slot : cache.similar(law.cluster(r.key), now_)) {
    const std::uint64_t other = cache.at(slot).key;
    const std::uint64_t both = hash_combine(std::min(r.key, other), std::max(r.key, other));
    Rng g = similarity_draws_.at(both);
    const double s = std::clamp(law.similarity.sample(g), 0.0, 1.0);
    if (s <= best) continue;
    best = s;
    nearest = slot;
    pair = both;
  }
  if (best < tier.threshold) return false;
  cache.use(nearest, now_);
  answer = cache.at(nearest);
  Rng g = similarity_draws_.at(pair, 1);
  answer.wrong = answer.wrong || uniform01(g) >= tier.suits_at(best);
  if (answer.wrong) answer.accuracy = 0;
  ++counts.hits;
  ++counts.similar;
  counts.wrong += answer.wrong ? 1 : 0;
  return true;
}

// The answer of the visit, from the node where the request is.
void World::write_answer(const CacheTier& tier, std::uint32_t holder, std::uint32_t from,
                         const Request& r) {
  const devices::Answer& answer = r.visit->answer;
  const std::uint32_t to =
      tier.scope == CacheScope::server ? replicas_[holder].node : from;
  if (from == to) {
    if (tier.scope != CacheScope::server || replicas_[holder].phase == ReplicaPhase::ready)
      holder_of(tier, holder).cache.write(answer, now_);
    return;
  }
  std::uint32_t slot = static_cast<std::uint32_t>(writes_.size());
  if (free_writes_.empty()) {
    writes_.emplace_back();
  } else {
    slot = free_writes_.back();
    free_writes_.pop_back();
  }
  CacheWrite& w = writes_[slot];
  w.cache = tier.id - 1;
  w.holder = holder;
  w.answer = answer;
  add_egress(from, to, answer.bytes);
  transfer(holder, from, to, answer.bytes, flow_tag(FlowOwner::cache_write, {slot, w.generation}));
}

void World::on_cache_write_ended(Handle h, network::Outcome outcome) {
  if (h.slot >= writes_.size() || writes_[h.slot].generation != h.generation) return;
  CacheWrite& w = writes_[h.slot];
  ++w.generation;
  free_writes_.push_back(h.slot);
  if (outcome == network::Outcome::delivered && replicas_[w.holder].phase == ReplicaPhase::ready)
    holder_of(*tiers_[w.cache], w.holder).cache.write(w.answer, now_);
}

void World::stop_waiting(const CacheTier& tier, std::uint32_t id, std::uint64_t key,
                         std::uint64_t tag) {
  auto& waiting = holder_of(tier, id).waiting;
  if (const auto it = waiting.find(key); it != waiting.end()) std::erase(it->second, tag);
}

// Who fetched for others has given up: the first of them fetches.
void World::hand_over_lead(const CacheTier& tier, std::uint32_t id, std::uint64_t key) {
  auto& waiting = holder_of(tier, id).waiting;
  const auto it = waiting.find(key);
  if (it == waiting.end()) return;
  if (it->second.empty()) {
    waiting.erase(it);
    return;
  }
  const std::uint32_t slot = Handle::unpack(it->second.front()).slot;
  it->second.erase(it->second.begin());
  Level& l = requests_[slot].visit->here();
  l.leads |= 1U << l.tier;
  ++l.tier;
  resume_later(slot, Visit::Next::look);
}

// A machine that fails forgets.
void World::lose_caches(std::uint32_t node) {
  for (std::size_t i = 0; i < caches_.size(); ++i)
    for (std::uint32_t id = 0; id < caches_[i].holders.size(); ++id) {
      const std::uint32_t at = tiers_[i]->scope == CacheScope::node ? id : replicas_[id].node;
      if (at != node || !caches_[i].holders[id]) continue;
      caches_[i].holders[id]->cache.clear();
      caches_[i].holders[id]->waiting.clear();
    }
}

void World::forget_caches(std::uint32_t replica) {
  for (std::size_t i = 0; i < caches_.size(); ++i) {
    auto& holders = caches_[i].holders;
    if (tiers_[i]->scope == CacheScope::node || replica >= holders.size() || !holders[replica])
      continue;
    holders[replica]->cache.clear();
    holders[replica]->waiting.clear();
  }
}

devices::AnswerCache::Counts World::writes_of(const CacheState& state) const {
  devices::AnswerCache::Counts all;
  for (const auto& h : state.holders) {
    if (!h) continue;
    const devices::AnswerCache::Counts& c = h->cache.counts();
    all.writes += c.writes;
    all.evictions += c.evictions;
    all.expired += c.expired;
    all.refused += c.refused;
  }
  return all;
}

void World::add_cache_totals(std::uint32_t service, results::ServiceTotals& out) const {
  if (!visits_) return;
  // Who is called has a load of its own.
  for (const Service& s : scenario_.services) {
    if (!s.fetching) continue;
    bool calls = std::any_of(s.fetching->calls.begin(), s.fetching->calls.end(),
                             [&](const Call& c) { return c.service == service; });
    for (const CacheTier& t : s.fetching->caches) calls = calls || t.server == service;
    if (calls) out.calls = services_[service].calls;
  }
  const auto& fetching = scenario_.services[service].fetching;
  if (!fetching) return;
  for (const CacheTier& tier : fetching->caches) {
    const CacheState& state = caches_[tier.id - 1];
    const devices::AnswerCache::Counts all = writes_of(state);
    results::ServiceTotals::Cache c;
    c.name = tier.name;
    c.similar_counted = tier.threshold < 1;
    c.lookups = state.counts.lookups;
    c.hits = state.counts.hits;
    c.similar = state.counts.similar;
    c.wrong = state.counts.wrong;
    c.coalesced = state.counts.coalesced;
    c.unanswered = state.counts.unanswered;
    c.writes = all.writes - state.before.writes;
    c.evictions = all.evictions - state.before.evictions;
    c.expired = all.expired - state.before.expired;
    c.refused = all.refused - state.before.refused;
    for (const auto& h : state.holders) {
      if (!h) continue;
      c.entries += h->cache.entries();
      c.bytes += h->cache.bytes();
    }
    out.caches.push_back(std::move(c));
  }
}

}  // namespace isthmus::world
