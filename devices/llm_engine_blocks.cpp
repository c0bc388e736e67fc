// The blocks of an engine's sequences: what they hold, what is in them, and the copies in host memory.
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

BlockKey LlmEngine::key_of(const Sequence& s, std::int64_t block) const {
  const auto i = static_cast<std::size_t>(block);
  // Even keys are shared, odd ones a sequence's own.
  if (i < s.prefix.size()) return 2 * s.prefix[i] + 2;
  return 2 * (s.serial << 28U | static_cast<std::uint64_t>(block)) + 1;
}

// Whole blocks from the start of a waiting sequence that the cache has. At least one token is computed.
std::int64_t LlmEngine::cached_blocks(const Sequence& s) const {
  if (!limits_.prefix_caching) return 0;
  const std::int64_t most = (s.prompt - 1) / limits_.block_size;
  std::int64_t cached = 0;
  while (cached < most && kv_.contains(key_of(s, cached))) ++cached;
  return cached;
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

// As above, and what the sequence has computed stays in the cache for its return.
void LlmEngine::put_back_preempted(Sequence& s, std::int64_t blocks, std::int64_t computed) {
  if (limits_.prefix_caching) name_first(s, computed / limits_.block_size);
  put_back({blocks, std::move(s.keys)});
  s.keys.clear();
}

void LlmEngine::swap_out(Sequence& s, std::int64_t tokens) {
  const std::int64_t blocks = blocks_for(tokens);
  if (limits_.swap_bandwidth == 0 || host_used_ + blocks > limits_.host_blocks) return;
  s.on_host = tokens;
  host_used_ += blocks;
  swapped_blocks_ += blocks;
}

Duration LlmEngine::swap_time() const {
  if (swapped_blocks_ == 0) return {};
  const double bytes = static_cast<double>(swapped_blocks_ * limits_.block_size) *
                       cost_->kv_bytes_per_token();
  return Duration::from_seconds(bytes / limits_.swap_bandwidth);
}

void LlmEngine::drop_host_copy(Sequence& s) {
  host_used_ -= blocks_for(s.on_host);
  s.on_host = 0;
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

// The blocks of the first step were taken when it was planned.
// Blocks that decoding sequences take in that many steps from now on.
std::int64_t LlmEngine::blocks_in_next(std::int64_t steps) const {
  const auto b = static_cast<std::int64_t>(limits_.block_size);
  std::int64_t need = (steps - 1) / b * decoding_;
  for (std::int64_t i = steps - (steps - 1) % b + 1; i <= steps; ++i) need += needed_in(i);
  return need;
}

double LlmEngine::kv_usage(Instant now) const {
  std::int64_t used = limits_.kv_blocks - kv_.free();
  if (span_active_ && span_rows_ > 0 && !reserves_all()) {
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
