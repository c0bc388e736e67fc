#include "devices/llm_engine.hpp"

#include <algorithm>
#include <limits>

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
  if (!fits(r) || r.prompt < 1 || r.output < 1 || r.image < 0 || r.image > r.prompt)
    throw InternalError("engine: request does not fit");
  const std::uint32_t slot = allocate_slot();
  const std::uint32_t generation = slab_[slot].generation;
  Sequence s;
  s.tag = r.tag;
  s.prompt = r.prompt;
  s.image = r.image;
  s.output = r.output;
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
  noticed_ = waiting_.size();
}

// ---- blocks and their contents ---------------------------------------------------------------------

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

// ---- host memory -----------------------------------------------------------------------------------

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

// ---- decoding in lockstep: every decoding sequence gets one token in every iteration ---------------

// The decode step (mod block size) at which this sequence needs a new block: its cache then holds a
// whole number of blocks.
std::size_t LlmEngine::phase_of(const Sequence& s) const {
  const auto b = static_cast<std::int64_t>(limits_.block_size);
  const std::int64_t r = (s.joined - s.prompt + 1) % b;
  return static_cast<std::size_t>(r < 0 ? r + b : r);
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
  remains_.push_back({blocks_of(s), std::move(s.keys)});
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

void LlmEngine::drop_stale_completions() {
  while (!completions_.empty()) {
    const Completion& c = completions_.top();
    if (slab_[c.slot].live && slab_[c.slot].generation == c.generation) return;
    completions_.pop();
  }
}

// Tokens that waiting prompts may have of an iteration, beside the decodes where these take part.
std::int64_t LlmEngine::prompt_budget() const {
  if (reserves_all()) return std::numeric_limits<std::int64_t>::max() / 2;
  const std::int64_t all = limits_.max_batched_tokens;
  return limits_.scheduling == Scheduling::prefill_first ? all : all - decoding_;
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

void LlmEngine::apply_decode_steps(std::int64_t steps) {
  if (!reserves_all()) kv_.take(blocks_in_next(steps));
  context_ += decoding_ * steps;
  decode_steps_ += steps;
  iterations_ += static_cast<std::uint64_t>(steps);
  sequence_steps_ += static_cast<std::uint64_t>(steps * span_rows_);
}

// ---- spans ---------------------------------------------------------------------------------------

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
    returned = s.on_host > 0;
    if (s.on_host > s.computed) {
      swapped_tokens_ += static_cast<std::uint64_t>(s.on_host - s.computed);
      swapped_blocks_ += blocks_for(s.on_host) - cached;
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
  while (noticed_ > 0 && running_ + remains_.size() < limits_.max_sequences && budget > 0) {
    const std::uint32_t slot = waiting_.front();
    const Who is = slab_[slot].on_host > 0 ? Who::with_host_copy : Who::without_host_copy;
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
      // Who comes back from host memory decodes with the others, before any new prompt.
      admit(now, Who::without_host_copy, prompt_budget(), work, admitted);
      if (!chunks_.empty()) return;
      if (!make_room_for_decodes())
        admit(now, Who::with_host_copy, prompt_budget(), work, admitted);
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
  plan(now, work, admitted);
  take_notice();
  if (chunks_.empty() && span_rows_ == 0) {
    // Nothing to do with what was known: nothing runs meanwhile, so that planning starts over.
    plan(now, work, admitted);
    if (chunks_.empty() && span_rows_ == 0)
      throw InternalError("engine: no progress possible");
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
  if (cancelled_.empty() && !admissible()) return span_end_;
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
  noticed_ = 0;
  kv_.reset();
  host_used_ = 0;
  cancelled_.clear();
  chunks_.clear();
  span_active_ = false;
}

}  // namespace isthmus::devices
