// The blocks of an engine's sequences: what they hold, what is in them, and copies in slower memory.
#include <algorithm>

#include "devices/llm_engine.hpp"

namespace isthmus::devices {

// The decode step (mod block size) at which this sequence needs a new block: its cache then holds a
// whole number of blocks.
std::size_t LlmEngine::phase_of(const Sequence& s) const {
  const auto b = static_cast<std::int64_t>(limits_.block_size);
  const std::int64_t r = (s.joined - s.prompt + 1) % b;
  return static_cast<std::size_t>(r < 0 ? r + b : r);
}

// Blocks that only this sequence holds.
std::int64_t LlmEngine::blocks_of(const Sequence& s) const {
  return s.decoding && lockstep() ? blocks_for(kv_of(s)) - s.shared : s.blocks;
}

BlockKey LlmEngine::key_of(const Sequence& s, std::int64_t block) const {
  const auto i = static_cast<std::size_t>(block);
  // Even keys are shared, odd ones a sequence's own.
  if (i < s.prefix.size()) {
    const std::uint64_t content =
        s.adapter == 0 ? s.prefix[i] : hash_combine(s.prefix[i], s.adapter) >> 2U;
    return 2 * content + 2;
  }
  return 2 * (s.serial << 28U | static_cast<std::uint64_t>(block)) + 1;
}

// What a waiting sequence need not compute. At least one of its tokens is computed.
LlmEngine::Known LlmEngine::known(const Sequence& s) const {
  Known k;
  if (limits_.prefix_caching) {
    const std::int64_t most = (s.prompt - 1) / limits_.block_size;
    for (; k.blocks < most; ++k.blocks) {
      const BlockKey key = key_of(s, k.blocks);
      if (const std::int64_t users = kv_.users(key); users >= 0) {
        ++k.cached;
        k.idle += users == 0 ? 1 : 0;
      } else if (!tiers_ || tiers_->find(key) == KvTiers::nowhere) {
        break;
      }
    }
  }
  k.tokens = std::max({k.blocks * limits_.block_size, s.on_host, s.received});
  return k;
}

// A starting sequence uses the blocks that the cache has, and gets those that slower tiers have.
void LlmEngine::use_known(Sequence& s, const Known& k) {
  if (k.blocks == 0) return;
  // First of all nobody else may take the ones in the cache.
  std::vector<std::int64_t> missing;
  for (std::int64_t i = 0; i < k.blocks; ++i) {
    s.keys.push_back(key_of(s, i));
    if (!kv_.use(s.keys.back())) missing.push_back(i);
  }
  const auto fetched = static_cast<std::int64_t>(missing.size());
  double bytes_s = 0;  // sum of 1 / bandwidth
  for (const std::int64_t i : missing) {
    const BlockKey key = s.keys[static_cast<std::size_t>(i)];
    const std::size_t tier = tiers_->find(key);
    bytes_s += 1 / tiers_->bandwidth(tier);
    tiers_->read(tier, key);
  }
  kv_.take(fetched);
  // A trace may repeat contents within a prompt: one block has the name.
  for (const std::int64_t i : missing)
    if (BlockKey& key = s.keys[static_cast<std::size_t>(i)]; !kv_.name(key)) key = no_key;
  s.blocks = k.blocks;
  s.computed = k.blocks * limits_.block_size;
  counters_.cached_tokens += static_cast<std::uint64_t>(k.cached * limits_.block_size);
  counters_.fetched_tokens += static_cast<std::uint64_t>(fetched * limits_.block_size);
  copy_seconds_ += bytes_s * static_cast<double>(limits_.block_size) * cost_->kv_bytes_per_token();
}

// The blocks that the first `tokens` tokens fill are in the cache from now on. What only the
// sequence itself can ask for is named when it is preempted.
void LlmEngine::name_blocks(Sequence& s, std::int64_t tokens) {
  const std::int64_t full = std::min(tokens / limits_.block_size,
                                     static_cast<std::int64_t>(s.prefix.size()));
  name_first(s, full);
}

void LlmEngine::name_first(Sequence& s, std::int64_t blocks) {
  for (auto i = static_cast<std::int64_t>(s.keys.size()); i < blocks; ++i) {
    const BlockKey key = key_of(s, i);
    s.keys.push_back(kv_.name(key) ? key : no_key);
  }
}

// The end of a sequence first, so that its beginning stays longest.
void LlmEngine::put_back(const Remains& r) {
  auto named = static_cast<std::int64_t>(r.keys.size());
  kv_.put_back(r.blocks - named);
  while (named-- > 0) {
    const BlockKey key = r.keys[static_cast<std::size_t>(named)];
    if (key == no_key) kv_.put_back(1);
    else kv_.put_back_named(key);
  }
}

// Everything that a sequence holds, and what it shares if nobody else does any more.
LlmEngine::Remains LlmEngine::remains_of(Sequence& s) {
  Remains r{blocks_of(s), std::move(s.keys)};
  s.keys.clear();
  if (s.shared > 0) {
    Group& g = groups_[s.group];
    if (--g.holders == 0) {
      r.blocks += s.shared;
      r.keys = std::move(g.keys);
    }
    s.shared = 0;
  }
  return r;
}

// As above, and what the sequence has computed stays in the cache for its return.
void LlmEngine::put_back_preempted(Sequence& s, std::int64_t computed) {
  if (limits_.prefix_caching && s.shared == 0) name_first(s, computed / limits_.block_size);
  put_back(remains_of(s));
}

void LlmEngine::swap_out(Sequence& s, std::int64_t tokens) {
  const std::int64_t blocks = blocks_for(tokens);
  if (limits_.swap_bandwidth == 0 || host_used_ + blocks > limits_.host_blocks) return;
  s.on_host = tokens;
  host_used_ += blocks;
  swapped_blocks_ += blocks;
}

Duration LlmEngine::copy_time() const {
  double seconds = copy_seconds_;
  if (swapped_blocks_ > 0)
    seconds += static_cast<double>(swapped_blocks_ * limits_.block_size) *
               cost_->kv_bytes_per_token() / limits_.swap_bandwidth;
  return seconds > 0 ? Duration::from_seconds(seconds) : Duration();
}

void LlmEngine::drop_host_copy(Sequence& s) {
  host_used_ -= blocks_for(s.on_host);
  s.on_host = 0;
}

// Blocks that a decoding sequence is short of for its next token and the guesses after it.
std::int64_t LlmEngine::missing_blocks(const Sequence& s) const {
  return std::max<std::int64_t>(
      0, blocks_for(kv_of(s) + 1 + limits_.speculation.tokens) - s.shared - s.blocks);
}

// Blocks that the decoding sequences take for the next iteration.
std::int64_t LlmEngine::decode_blocks() const {
  if (decoding_ == 0 || reserves_all()) return 0;
  if (lockstep()) return needed_in(1);
  std::int64_t missing = 0;
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next)
    if (slab_[slot].decoding) missing += missing_blocks(slab_[slot]);
  return missing;
}

void LlmEngine::take_decode_blocks() {
  kv_.take(decode_blocks());
  if (reserves_all() || lockstep()) return;
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next)
    if (slab_[slot].decoding) slab_[slot].blocks += missing_blocks(slab_[slot]);
}

// How many decode steps after the first, at most `limit`, the free blocks last without a preemption.
std::int64_t LlmEngine::steps_before_blocks_run_out(std::int64_t limit) const {
  if (reserves_all()) return limit;
  const auto b = static_cast<std::int64_t>(limits_.block_size);
  // A full turn of the phases takes one block per decoding sequence.
  std::int64_t steps = 0, left = kv_.free();
  if (decoding_ > 0) {
    const std::int64_t turns = std::max<std::int64_t>(0, std::min(limit / b, left / decoding_ - 1));
    steps = turns * b;
    left -= turns * decoding_;
  }
  while (steps < limit) {
    const std::int64_t need = needed_in(steps + 2);
    if (need > left) break;
    left -= need;
    ++steps;
  }
  return steps;
}

// Blocks that decoding sequences take in that many steps from now on, beside those of the first one,
// which were taken when it was planned.
std::int64_t LlmEngine::blocks_in_next(std::int64_t steps) const {
  const auto b = static_cast<std::int64_t>(limits_.block_size);
  std::int64_t need = (steps - 1) / b * decoding_;
  for (std::int64_t i = steps - (steps - 1) % b + 1; i <= steps; ++i) need += needed_in(i);
  return need;
}

double LlmEngine::kv_usage(Instant now) const {
  std::int64_t used = limits_.kv_blocks - kv_.free();
  if (span_active_ && span_rows_ > 0 && lockstep()) {
    // An iteration has its blocks from its start on.
    const double part = span_end_ > span_start_
                            ? (now - span_start_).seconds() / (span_end_ - span_start_).seconds()
                            : 1.0;
    const auto over = static_cast<std::int64_t>(part * static_cast<double>(span_steps_));
    used += blocks_in_next(std::clamp<std::int64_t>(over + 1, 1, span_steps_));
  }
  return static_cast<double>(used) / static_cast<double>(limits_.kv_blocks);
}

}  // namespace isthmus::devices
