// What the next iteration of an engine computes: decodes, admissions and preemptions.
#include <algorithm>
#include <limits>

#include "devices/llm_engine.hpp"

namespace isthmus::devices {

// Tokens that waiting prompts may have of an iteration, beside the decodes where these take part.
std::int64_t LlmEngine::prompt_budget() const {
  if (reserves_all()) return std::numeric_limits<std::int64_t>::max() / 2;
  const std::int64_t all = limits_.max_batched_tokens;
  return limits_.scheduling == Scheduling::prefill_first ? all : all - decoding_;
}

// Do the budget and the free blocks let a waiting sequence start?
bool LlmEngine::can_start(const Sequence& s, std::int64_t cached, std::int64_t budget) const {
  const std::int64_t known = known_tokens(s, cached);
  if (!cuts_prompts() && s.prompt - known > budget) return false;
  const std::int64_t tokens = reserves_all()           ? s.prompt + s.output - 1
                              : limits_.reserve_prompt ? s.prompt
                                                       : known + std::min(s.prompt - known, budget);
  std::int64_t need = blocks_for(tokens) - cached;
  for (std::int64_t i = 0; i < cached; ++i) need += kv_.idle(key_of(s, i)) ? 1 : 0;
  // Alone it may have everything.
  return need + (running_ > 0 ? limits_.watermark_blocks : 0) <= kv_.free();
}

// The sequence admitted last gives its blocks back and waits, first in line, to be computed again.
void LlmEngine::preempt_last() {
  const std::uint32_t slot = tail_;
  Sequence& s = slab_[slot];
  const std::int64_t computed = s.decoding ? kv_of(s) : s.computed;
  put_back_preempted(s, blocks_of(s), computed);
  swap_out(s, computed);
  if (s.decoding) {
    const std::int64_t emitted = decode_steps_ - s.joined;
    stop_decoding(s);
    // The token emitted last is not in the cache yet: it is part of the new prompt.
    s.prompt = computed + 1;
    s.output -= emitted;
  }
  s.computed = s.blocks = 0;
  s.image = 0;  // image features stay with the host; only the language part runs again
  ++s.generation;
  if (partial_ == slot) partial_ = none;
  unlink_running(slot);
  waiting_.push_front(slot);
  ++noticed_;
  ++preemptions_;
}

// Gives every decoding sequence the block that its next token may need. Returns true when it had to
// preempt: then no waiting prompt is admitted in this iteration.
bool LlmEngine::make_room_for_decodes() {
  bool preempted = false;
  while (decoding_ > 0 && needed_in(1) > kv_.free()) {
    preempt_last();
    preempted = true;
  }
  if (decoding_ > 0) kv_.take(needed_in(1));
  return preempted;
}

// Could the first waiting prompt start in the iteration after one that has only decodes in it? During
// a span free blocks only become fewer: what does not fit at its start does not fit later.
bool LlmEngine::admissible() const {
  if (waiting_.empty() || running_ >= limits_.max_sequences) return false;
  if (batches_requests() && running_ > 0) return false;
  const Sequence& s = slab_[waiting_.front()];
  const std::int64_t budget = prompt_budget();
  if (budget <= 0) return false;
  return can_start(s, cached_blocks(s), budget);
}

// The next part of a prompt joins the iteration, unless blocks are missing.
bool LlmEngine::add_chunk(std::uint32_t slot, std::int64_t& budget, models::IterationWork& work) {
  Sequence& s = slab_[slot];
  const bool first = slot != partial_;
  bool returned = false;
  const std::int64_t cached = first ? cached_blocks(s) : 0;
  if (first) {
    if (!can_start(s, cached, budget)) return false;
    for (std::int64_t i = 0; i < cached; ++i) {
      s.keys.push_back(key_of(s, i));
      kv_.use(s.keys.back());
    }
    s.blocks = cached;
    s.computed = cached * limits_.block_size;
    cached_tokens_ += static_cast<std::uint64_t>(s.computed);
    returned = s.on_host > 0 || s.received > 0;
    // What was received is there already, what waits on the host is copied.
    s.computed = std::max(s.computed, s.received);
    s.received = 0;
    if (s.on_host > s.computed) {
      swapped_tokens_ += static_cast<std::uint64_t>(s.on_host - s.computed);
      swapped_blocks_ += blocks_for(s.on_host) - blocks_for(s.computed);
      s.computed = s.on_host;
    }
    drop_host_copy(s);
  }
  const std::int64_t tokens = std::min(s.prompt - s.computed, budget);
  // Blocks may cover only a part of the chunk's tokens.
  const std::int64_t until = reserves_all() ? s.prompt + s.output - 1 : s.computed + tokens;
  const std::int64_t need = blocks_for(until) - s.blocks;
  if (tokens <= 0 || need > kv_.free()) return false;
  kv_.take(need);
  s.blocks += need;
  name_blocks(s, s.computed + tokens);
  budget -= tokens;
  chunks_.emplace_back(slot, tokens);
  if (returned && s.computed + 1 == s.prompt) {
    // It decodes on.
    ++work.decode_sequences;
    work.decode_context += s.prompt;
  } else {
    work.prefill_tokens += tokens;
    work.prefill_attention += static_cast<double>(tokens) *
                              (static_cast<double>(s.computed) + static_cast<double>(tokens) / 2.0);
    work.prefill_context += s.computed + tokens;
  }
  if (first && s.computed < s.image) work.image_tokens += s.image;
  if (s.computed + tokens == s.prompt) ++work.logits;
  return true;
}

// Waiting prompts start in order of arrival while budget, sequence limit and blocks last.
void LlmEngine::admit(Instant now, Who who, std::int64_t budget, models::IterationWork& work,
                      std::vector<Admission>& admitted) {
  while (noticed_ > 0 && running_ + unnoticed_ends_ < limits_.max_sequences && budget > 0) {
    const std::uint32_t slot = waiting_.front();
    const Who is = slab_[slot].on_host + slab_[slot].received > 0 ? Who::to_decode : Who::to_compute;
    if (who != Who::all && who != is) break;
    if (!add_chunk(slot, budget, work)) break;
    waiting_.pop_front();
    --noticed_;
    link_running(slot);
    Sequence& s = slab_[slot];
    if (!s.started) admitted.push_back({s.tag, now});
    s.started = true;
  }
}

// Every decoding sequence takes part; its context includes the token that it computes. The rows of a
// static batch are computed until all have ended; attention skips the ended ones.
void LlmEngine::add_decodes(models::IterationWork& work) const {
  work.decode_sequences += rows();
  work.decode_context += context_ + decoding_;
  work.logits += rows();
}

// Chooses what the next iteration computes.
void LlmEngine::plan(Instant now, models::IterationWork& work, std::vector<Admission>& admitted) {
  chunks_.clear();
  work = {};
  span_rows_ = 0;
  switch (limits_.scheduling) {
    case Scheduling::prefill_first:
      // Who comes back from host memory or from another engine decodes with the others, before any new prompt.
      admit(now, Who::to_compute, prompt_budget(), work, admitted);
      if (!chunks_.empty()) return;
      if (!make_room_for_decodes())
        admit(now, Who::to_decode, prompt_budget(), work, admitted);
      break;
    case Scheduling::static_batch:
      if (running_ == 0) {
        admit(now, Who::all, prompt_budget(), work, admitted);
        return;
      }
      break;
    case Scheduling::decode_first:
    case Scheduling::orca: {
      bool preempted = make_room_for_decodes();
      std::int64_t budget = prompt_budget();
      if (partial_ != none && budget > 0 && !add_chunk(partial_, budget, work)) {
        // The cut prompt was admitted last: it gives way.
        preempt_last();
        preempted = true;
      }
      if (!preempted) admit(now, Who::all, budget, work, admitted);
      break;
    }
  }
  if (decoding_ == 0) return;
  span_rows_ = rows();
  add_decodes(work);
}

}  // namespace isthmus::devices
