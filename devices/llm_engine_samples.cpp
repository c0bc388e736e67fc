// Several tokens of a sequence at once, and several sequences of a request: speculation and samples.
#include <algorithm>

#include "devices/llm_engine.hpp"

namespace isthmus::devices {

// A prompt with its first token becomes as many sequences as the request has samples. They share the
// whole blocks of the prompt; each has a copy of the last one, as far as there are free blocks: the
// others wait, to compute what they lack.
void LlmEngine::fork(std::uint32_t slot) {
  const std::uint32_t samples = slab_[slot].to_fork + 1;
  forks_promised_ -= slab_[slot].to_fork;
  slab_[slot].to_fork = 0;
  if (free_groups_.empty()) {
    free_groups_.push_back(static_cast<std::uint32_t>(groups_.size()));
    groups_.emplace_back();
  }
  const std::uint32_t group = free_groups_.back();
  free_groups_.pop_back();

  Sequence& first = slab_[slot];
  const std::int64_t shared = first.prompt / limits_.block_size;
  const std::int64_t own =
      (reserves_all() ? (first.blocks - shared) / samples : blocks_for(first.prompt) - shared);
  groups_[group] = {.left = samples, .holders = 1, .keys = std::move(first.keys)};
  first.keys.clear();
  first.group = group;
  first.shared = shared;
  first.blocks = own;
  for (std::uint32_t i = 1; i < samples; ++i) {
    const std::uint32_t copy = allocate_slot();  // may move the first
    const std::uint32_t generation = slab_[copy].generation;
    slab_[copy] = slab_[slot];
    Sequence& s = slab_[copy];
    s.generation = generation;
    s.prev = s.next = none;
    s.identity = hash_combine(s.identity, i);
    s.serial = ++serials_;
    s.decoding = false;
    const std::int64_t taken = reserves_all() ? 0 : own;  // else they were taken at the start
    if (taken > kv_.free()) {
      s.shared = s.blocks = s.computed = 0;
      ++s.prompt;  // the token that it has emitted
      s.image = 0;
      waiting_.push_preempted(waiter_of(copy));
      ++counters_.preemptions;
      continue;
    }
    kv_.take(taken);
    if (shared > 0) ++groups_[group].holders;
    link_running(copy);
    start_decoding(copy);
  }
}

// How many of the guesses after a token are right: each one only if those before it are.
std::int64_t LlmEngine::right_guesses(const Sequence& s) const {
  const std::vector<double>& acceptance = limits_.speculation.acceptance;
  Rng g = guesses_.at(s.identity, static_cast<std::uint64_t>(kv_of(s)));
  std::int64_t right = 0;
  for (std::uint32_t i = 0; i < limits_.speculation.tokens; ++i) {
    if (uniform01(g) >= acceptance[std::min<std::size_t>(i, acceptance.size() - 1)]) break;
    ++right;
  }
  return right;
}

// Every decoding sequence has one more token; right guesses are further ones.
void LlmEngine::accept_guesses() {
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next) {
    Sequence& s = slab_[slot];
    if (!s.decoding) continue;
    counters_.guessed_tokens += limits_.speculation.tokens;
    const std::int64_t left = s.output - (decode_steps_ - s.joined);
    const std::int64_t more = std::min(left, right_guesses(s));
    s.joined -= more;
    context_ += more;
    counters_.accepted_tokens += static_cast<std::uint64_t>(more);
    waiting_.charge(s.client, 2 * more);
  }
}

// The iteration with the guesses that it verifies: the draft model computes prompts as well, and its
// guesses one after the other.
models::IterationTime LlmEngine::with_draft(models::IterationTime target,
                                            const models::IterationWork& work) const {
  const Speculation& guess = limits_.speculation;
  double extra = work.decode_sequences > 0 ? static_cast<double>(guess.overhead.ns()) : 0;
  double compute = 0;
  if (guess.draft) {
    models::IterationWork pass = work;
    pass.draft_tokens = pass.image_tokens = 0;
    pass.logits = work.decode_sequences;
    const auto add = [&](double passes) {
      const models::IterationTime p = guess.draft->iteration_time(pass);
      extra += passes * static_cast<double>(p.time.ns());
      compute += passes * p.compute_share * static_cast<double>(p.time.ns());
    };
    add(1);
    pass.prefill_tokens = pass.prefill_context = 0;
    pass.prefill_attention = 0;
    if (work.decode_sequences > 0 && guess.tokens > 1) add(static_cast<double>(guess.tokens) - 1);
  }
  const auto own = static_cast<double>(target.time.ns());
  target.compute_share = (target.compute_share * own + compute) / (own + extra);
  target.time += Duration(std::llround(extra));
  return target;
}

}  // namespace isthmus::devices
