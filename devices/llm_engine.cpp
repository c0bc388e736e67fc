#include "devices/llm_engine.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace isthmus::devices {

LlmEngine::LlmEngine(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits)
    : cost_(std::move(cost)), limits_(limits), kv_(std::max<std::int64_t>(0, limits.kv_blocks)) {
  if (limits_.max_sequences < 1 || limits_.block_size < 1 || limits_.kv_blocks < 1)
    throw InputError("engine: max_sequences, block_size and KV blocks must be at least 1");
  if (!reserves_all() && limits_.max_batched_tokens < limits_.max_sequences)
    throw InputError(fmt::format("engine: max_batched_tokens ({}) must be at least max_sequences ({})",
                                 limits_.max_batched_tokens, limits_.max_sequences));
  if (limits_.prefix_caching && !limits_.reserve_prompt)
    throw InputError("engine: prefix_caching needs reserve_prompt");
  if (limits_.async_scheduling && limits_.scheduling != Scheduling::decode_first)
    throw InputError("engine: async_scheduling needs decode-first scheduling");
  if (limits_.watermark_blocks < 0 || limits_.watermark_blocks >= limits_.kv_blocks)
    throw InputError(fmt::format("engine: the watermark ({} blocks) must be below the KV cache ({})",
                                 limits_.watermark_blocks, limits_.kv_blocks));
  if (!(limits_.swap_bandwidth >= 0) || limits_.host_blocks < 0)
    throw InputError("engine: swap_bandwidth and host_blocks must not be negative");
  block_phase_.assign(limits_.block_size, 0);
}

bool LlmEngine::fits(const EngineRequest& r) const {
  if (blocks_for(r.prompt + r.output - 1) > limits_.kv_blocks) return false;
  // Uncut prompts: also one that is computed again after its last token must fit the budget.
  return cuts_prompts() || reserves_all() || r.prompt + r.output - 1 <= limits_.max_batched_tokens;
}

std::uint32_t LlmEngine::allocate_slot() {
  if (free_slots_.empty()) {
    slab_.emplace_back();
    return static_cast<std::uint32_t>(slab_.size() - 1);
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void LlmEngine::enqueue(const EngineRequest& r) {
  if (!fits(r) || r.prompt < 1 || r.output < 1 || r.image < 0 || r.image > r.prompt ||
      r.received < 0 || r.received >= r.prompt)
    throw InternalError("engine: request does not fit");
  const std::uint32_t slot = allocate_slot();
  const std::uint32_t generation = slab_[slot].generation;
  Sequence s;
  s.tag = r.tag;
  s.prompt = r.prompt;
  s.image = r.image;
  s.output = r.output;
  s.received = r.received;
  s.hold = r.hold;
  s.live = true;
  s.generation = generation;
  s.serial = ++serials_;
  if (limits_.prefix_caching) s.prefix = r.prefix;
  slab_[slot] = std::move(s);
  waiting_.push_back(slot);
  if (!limits_.async_scheduling) take_notice();
}

// What happened until now counts in the next plan: ended sequences and new requests.
void LlmEngine::take_notice() {
  for (const Remains& r : remains_) put_back(r);
  remains_.clear();
  unnoticed_ends_ = 0;
  noticed_ = waiting_.size();
}

// ---- the running list, in order of admission ------------------------------------------------------

void LlmEngine::link_running(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  s.prev = tail_;
  s.next = none;
  (tail_ == none ? head_ : slab_[tail_].next) = slot;
  tail_ = slot;
  ++running_;
}

void LlmEngine::unlink_running(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  (s.prev == none ? head_ : slab_[s.prev].next) = s.next;
  (s.next == none ? tail_ : slab_[s.next].prev) = s.prev;
  s.prev = s.next = none;
  --running_;
}

void LlmEngine::start_decoding(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  s.decoding = true;
  s.joined = decode_steps_;
  ++decoding_;
  context_ += s.prompt;
  if (!reserves_all()) ++block_phase_[phase_of(s)];
  completions_.push({decode_steps_ + s.output, order_++, slot, s.generation});
}

void LlmEngine::stop_decoding(Sequence& s) {
  --decoding_;
  context_ -= kv_of(s);
  if (!reserves_all()) --block_phase_[phase_of(s)];
  s.decoding = false;
}

// Frees everything that a running sequence holds and forgets it.
void LlmEngine::leave(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  ++unnoticed_ends_;
  Remains remains{blocks_of(s), std::move(s.keys)};
  if (s.hold && !s.cancelled) held_[s.tag] = std::move(remains);
  else remains_.push_back(std::move(remains));
  if (!limits_.async_scheduling) take_notice();
  if (s.decoding) stop_decoding(s);
  if (partial_ == slot) partial_ = none;
  unlink_running(slot);
  s.live = false;
  ++s.generation;
  free_slots_.push_back(slot);
}

// A sequence of a static batch has nothing left to compute; its row and its blocks stay.
void LlmEngine::end_row(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  if (s.decoding) stop_decoding(s);
  s.ended = true;
  ++s.generation;
}

void LlmEngine::end_batch(std::vector<Progress>& progress) {
  while (head_ != none) {
    const Sequence& s = slab_[head_];
    if (!s.cancelled) progress.push_back({s.tag, Progress::What::completed, span_end_});
    leave(head_);
  }
}

void LlmEngine::drop_stale_completions() {
  while (!completions_.empty()) {
    const Completion& c = completions_.top();
    if (slab_[c.slot].live && slab_[c.slot].generation == c.generation) return;
    completions_.pop();
  }
}

void LlmEngine::apply_decode_steps(std::int64_t steps) {
  if (!reserves_all()) kv_.take(blocks_in_next(steps));
  context_ += decoding_ * steps;
  decode_steps_ += steps;
  iterations_ += static_cast<std::uint64_t>(steps);
  sequence_steps_ += static_cast<std::uint64_t>(steps * span_rows_);
}

// Of a pure decode iteration. Contexts grow slowly, so that the line of the one before often holds.
Duration LlmEngine::decode_time(std::int64_t sequences, std::int64_t context) {
  const auto x = static_cast<double>(context);
  if (sequences != line_sequences_ || !line_.holds(x)) {
    line_ = cost_->decode_line(sequences, context);
    line_sequences_ = sequences;
  }
  return Duration(line_.ns(x));
}

Instant LlmEngine::begin(Instant now, std::vector<Admission>& admitted) {
  if (span_active_) throw InternalError("engine: a span is running");
  if (!has_work()) return Instant::never();
  // The plans within a leap would have noticed who came before the last of its iterations.
  while (noticed_ < waiting_.size() && slab_[waiting_[noticed_]].arrived <= last_start_) ++noticed_;
  models::IterationWork work;
  swapped_blocks_ = 0;
  released_ = false;
  plan(now, work, admitted);
  take_notice();
  if (chunks_.empty() && span_rows_ == 0) {
    // Nothing to do with what was known: nothing runs meanwhile, so that planning starts over.
    plan(now, work, admitted);
    if (chunks_.empty() && span_rows_ == 0) {
      if (held_.empty()) throw InternalError("engine: no progress possible");
      return Instant::never();
    }
  }

  const models::Prediction p = cost_->iteration(work);
  span_first_ = p.time;
  span_swap_ = swap_time();
  compute_share_ = p.compute_share;
  if (span_swap_ > Duration::zero())
    compute_share_ *= span_first_.seconds() / (span_first_ + span_swap_).seconds();
  span_start_ = last_start_ = now;
  span_end_ = now + span_swap_ + span_first_;
  span_steps_ = 1;
  span_active_ = true;

  // Leap: pure decodes go on until a sequence ends, blocks run out or the next prompt could join.
  if (chunks_.empty() && limits_.leap && cancelled_.empty() && !admissible()) {
    drop_stale_completions();
    std::int64_t steps = completions_.top().step - decode_steps_;
    steps = 1 + steps_before_blocks_run_out(steps - 1);
    while (span_steps_ < steps) {
      last_start_ = span_end_;
      span_end_ += decode_time(work.decode_sequences, work.decode_context += decoding_);
      ++span_steps_;
    }
  }
  return span_end_;
}

std::vector<Share> LlmEngine::scheduled() const {
  std::vector<Share> shares;
  if (!span_active_) return shares;
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next)
    if (slab_[slot].decoding && span_rows_ > 0) shares.push_back({slab_[slot].tag, 1});
  for (const auto& [slot, tokens] : chunks_) shares.push_back({slab_[slot].tag, tokens});
  return shares;
}

Instant LlmEngine::interrupt(Instant now) {
  for (auto it = waiting_.rbegin(); it != waiting_.rend() && slab_[*it].arrived.is_never(); ++it)
    slab_[*it].arrived = now;
  if (!span_active_ || span_steps_ == 1) return span_end_;
  if (cancelled_.empty() && !released_ && !admissible()) return span_end_;
  // The same sum as in begin, up to the first boundary that is not before `now`.
  models::IterationWork work;
  add_decodes(work);
  Instant end = span_start_ + span_swap_ + span_first_;
  Instant last_start = span_start_;
  std::int64_t steps = 1;
  while (steps < span_steps_ && end < now) {
    last_start = end;
    end += decode_time(work.decode_sequences, work.decode_context += decoding_);
    ++steps;
  }
  span_steps_ = steps;
  last_start_ = last_start;
  span_end_ = end;
  return end;
}

void LlmEngine::finish(std::vector<Progress>& progress) {
  if (!span_active_) throw InternalError("engine: no span is running");
  span_active_ = false;
  if (span_rows_ > 0) apply_decode_steps(span_steps_);
  else ++iterations_;
  sequence_steps_ += chunks_.size();

  // Sequences whose last token was decoded.
  for (drop_stale_completions(); !completions_.empty() && completions_.top().step <= decode_steps_;
       drop_stale_completions()) {
    const std::uint32_t slot = completions_.top().slot;
    completions_.pop();
    if (batches_requests()) {
      end_row(slot);
      continue;
    }
    if (!slab_[slot].cancelled)
      progress.push_back({slab_[slot].tag, Progress::What::completed, span_end_});
    leave(slot);
  }
  // Prompts that are complete emit their next token and decode from the next iteration on.
  for (const auto& [slot, tokens] : chunks_) {
    Sequence& s = slab_[slot];
    s.computed += tokens;
    if (s.computed < s.prompt) {
      partial_ = slot;
      continue;
    }
    if (partial_ == slot) partial_ = none;
    if (!s.first_emitted && !s.cancelled)
      progress.push_back({s.tag, Progress::What::first_token, span_end_});
    s.first_emitted = true;
    --s.output;
    if (s.output == 0 && batches_requests()) {
      end_row(slot);
    } else if (s.output == 0) {
      if (!s.cancelled) progress.push_back({s.tag, Progress::What::completed, span_end_});
      leave(slot);
    } else {
      start_decoding(slot);
    }
  }
  chunks_.clear();
  for (const std::uint32_t slot : cancelled_) {
    if (!slab_[slot].live || !slab_[slot].cancelled) continue;
    if (!batches_requests()) leave(slot);
    else if (!slab_[slot].ended) end_row(slot);
  }
  cancelled_.clear();
  if (batches_requests() && decoding_ == 0) end_batch(progress);
  // With nothing left to compute there is nothing to plan ahead.
  if (!has_work()) take_notice();
}

bool LlmEngine::release(std::uint64_t tag) {
  const auto it = held_.find(tag);
  if (it == held_.end()) return false;
  remains_.push_back(std::move(it->second));
  held_.erase(it);
  released_ = true;
  if (!limits_.async_scheduling || !span_active_) take_notice();
  return true;
}

bool LlmEngine::cancel(std::uint64_t tag) {
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (slab_[*it].tag != tag) continue;
    drop_host_copy(slab_[*it]);
    slab_[*it].live = false;
    ++slab_[*it].generation;
    free_slots_.push_back(*it);
    if (static_cast<std::size_t>(it - waiting_.begin()) < noticed_) --noticed_;
    waiting_.erase(it);
    return true;
  }
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next) {
    if (slab_[slot].tag != tag || slab_[slot].cancelled) continue;
    // The row of a static batch is computed once more.
    if (span_active_ || batches_requests()) {
      slab_[slot].cancelled = true;
      cancelled_.push_back(slot);
    } else {
      leave(slot);
      if (!has_work()) take_notice();
    }
    return true;
  }
  return false;
}

void LlmEngine::clear(std::vector<std::uint64_t>& lost) {
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next)
    if (!slab_[slot].cancelled) lost.push_back(slab_[slot].tag);
  for (const std::uint32_t slot : waiting_) lost.push_back(slab_[slot].tag);
  while (head_ != none) leave(head_);
  for (const std::uint32_t slot : waiting_) {
    slab_[slot].live = false;
    ++slab_[slot].generation;
    free_slots_.push_back(slot);
  }
  waiting_.clear();
  remains_.clear();
  unnoticed_ends_ = 0;
  held_.clear();
  noticed_ = 0;
  kv_.reset();
  host_used_ = 0;
  cancelled_.clear();
  chunks_.clear();
  span_active_ = false;
}

}  // namespace isthmus::devices
