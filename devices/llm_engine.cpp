#include "devices/llm_engine.hpp"

#include <algorithm>
#include <memory>
#include <unordered_set>

#include <fmt/format.h>

namespace isthmus::devices {

LlmEngine::LlmEngine(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits)
    : cost_(std::move(cost)),
      limits_(limits),
      waiting_(limits.order),
      kv_(std::max<std::int64_t>(0, limits.kv_blocks)),
      guesses_(limits.speculation.seed, "guesses"),
      adapters_(limits.adapters.slots) {
  if (limits_.max_sequences < 1 || limits_.block_size < 1 || limits_.kv_blocks < 1)
    throw InputError("engine: max_sequences, block_size and KV blocks must be at least 1");
  const Speculation& guess = limits_.speculation;
  if (!reserves_all() && limits_.max_batched_tokens < limits_.max_sequences * tokens_per_decode())
    throw InputError(fmt::format(
        "engine: max_batched_tokens ({}) must be at least max_sequences ({}){}",
        limits_.max_batched_tokens, limits_.max_sequences,
        speculates() ? fmt::format(" times the {} tokens of a decode", tokens_per_decode()) : ""));
  if (speculates() && guess.acceptance.empty())
    throw InputError("engine: speculation needs the probability that a guess is right");
  for (const double p : guess.acceptance)
    if (!(p >= 0 && p <= 1))
      throw InputError(fmt::format("engine: acceptance {} is not a probability", p));
  if (speculates() && limits_.async_scheduling)
    throw InputError("engine: async_scheduling cannot know how many guesses will be right");
  if (!limits_.tiers.empty() && !limits_.prefix_caching)
    throw InputError("engine: KV tiers need prefix_caching");
  for (const KvTier& t : limits_.tiers)
    if (t.blocks < 1 || !(t.bandwidth > 0))
      throw InputError("engine: KV tiers need at least one block and a bandwidth above 0");
  if (limits_.prefix_caching && !limits_.reserve_prompt)
    throw InputError("engine: prefix_caching needs reserve_prompt");
  if (limits_.async_scheduling && limits_.scheduling != Scheduling::decode_first)
    throw InputError("engine: async_scheduling needs decode-first scheduling");
  if (limits_.watermark_blocks < 0 || limits_.watermark_blocks >= limits_.kv_blocks)
    throw InputError(fmt::format("engine: the watermark ({} blocks) must be below the KV cache ({})",
                                 limits_.watermark_blocks, limits_.kv_blocks));
  if (!(limits_.swap_bandwidth >= 0) || limits_.host_blocks < 0)
    throw InputError("engine: swap_bandwidth and host_blocks must not be negative");
  if (limits_.adapters.slots > 0 && !(limits_.adapters.bandwidth > 0))
    throw InputError("engine: adapters need a bandwidth above 0 to be loaded with");
  block_phase_.assign(limits_.block_size, 0);
  if (!limits_.tiers.empty()) {
    tiers_ = std::make_unique<KvTiers>(limits_.tiers);
    kv_.tell(tiers_.get());
  }
}

bool LlmEngine::fits(const EngineRequest& r) const {
  if (r.samples > limits_.max_sequences) return false;
  const std::int64_t tokens = r.prompt + std::max<std::int64_t>(1, r.output) - 1;
  // Where nobody is preempted, all samples are there at once.
  if (reserved_blocks(r.prompt, r.output, reserves_all() ? r.samples : 1) > limits_.kv_blocks)
    return false;
  // Uncut prompts: also one that is computed again after its last token must fit the budget.
  return cuts_prompts() || reserves_all() || tokens <= limits_.max_batched_tokens;
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
  if (!fits(r) || r.prompt < 1 || r.output < 0 || r.image < 0 || r.image > r.prompt || r.samples < 1 ||
      (r.samples > 1 && r.hold) ||
      r.received < 0 || r.received >= r.prompt)
    throw InternalError("engine: request does not fit");
  const std::uint32_t slot = allocate_slot();
  const std::uint32_t generation = slab_[slot].generation;
  // Anew in its place. Nothing in it throws.
  Sequence& s = slab_[slot];
  std::destroy_at(&s);
  std::construct_at(&s);
  s.tag = r.tag;
  s.prompt = r.prompt;
  s.image = r.image;
  s.image_end = r.image_end > 0 ? r.image_end : r.image;
  s.output = r.output;
  s.received = r.received;
  s.hold = r.hold;
  // One token each comes from the prompt's own pass.
  s.to_fork = r.output > 1 ? r.samples - 1 : 0;
  s.priority = r.priority;
  s.client = r.client;
  s.identity = r.identity;
  if (limits_.adapters.slots > 0) s.adapter = r.adapter;
  s.live = true;
  s.generation = generation;
  s.serial = ++serials_;
  if (limits_.prefix_caching) s.prefix = r.prefix;
  arriving_.push_back(slot);
  if (!limits_.async_scheduling) take_notice();
}

Waiter LlmEngine::waiter_of(std::uint32_t slot) const {
  const Sequence& s = slab_[slot];
  return {slot, s.serial, s.priority, s.client};
}

void LlmEngine::notice_first() {
  waiting_.push(waiter_of(arriving_.front()));
  arriving_.pop_front();
}

// What happened until now counts in the next plan: ended sequences and new requests.
void LlmEngine::take_notice() {
  for (const Remains& r : remains_) put_back(r);
  remains_.clear();
  unnoticed_ends_ = 0;
  while (!arriving_.empty()) notice_first();
}

// ---- the running list, in order of admission ------------------------------------------------------

void LlmEngine::link_running(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  s.prev = tail_;
  s.next = none;
  (tail_ == none ? head_ : slab_[tail_].next) = slot;
  tail_ = slot;
  ++running_;
  forks_promised_ += s.to_fork;
  if (adapters_.use(s.adapter)) {
    ++counters_.adapter_loads;
    copy_seconds_ += limits_.adapters.cost.bytes() / limits_.adapters.bandwidth;
  }
}

void LlmEngine::unlink_running(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  (s.prev == none ? head_ : slab_[s.prev].next) = s.next;
  (s.next == none ? tail_ : slab_[s.next].prev) = s.prev;
  s.prev = s.next = none;
  --running_;
  forks_promised_ -= s.to_fork;
  adapters_.done(s.adapter);
}

void LlmEngine::start_decoding(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  s.decoding = true;
  s.joined = decode_steps_;
  ++decoding_;
  if (s.adapter != 0) ++adapted_decoding_;
  context_ += s.prompt;
  if (lockstep()) ++block_phase_[phase_of(s)];
  if (!speculates()) completions_.push({decode_steps_ + s.output, order_++, slot, s.generation});
}

void LlmEngine::stop_decoding(Sequence& s) {
  --decoding_;
  if (s.adapter != 0) --adapted_decoding_;
  context_ -= kv_of(s);
  if (lockstep()) --block_phase_[phase_of(s)];
  s.decoding = false;
}

void LlmEngine::forget(std::uint32_t slot) {
  leave_group(slab_[slot]);
  slab_[slot].live = false;
  ++slab_[slot].generation;
  free_slots_.push_back(slot);
}

// Frees everything that a running sequence holds and forgets it.
void LlmEngine::leave(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  ++unnoticed_ends_;
  Remains remains = remains_of(s);
  if (s.hold && !s.cancelled) held_[s.tag] = std::move(remains);
  else remains_.push_back(std::move(remains));
  if (!limits_.async_scheduling) take_notice();
  if (s.decoding) stop_decoding(s);
  if (partial_ == slot) partial_ = none;
  unlink_running(slot);
  forget(slot);
}

void LlmEngine::leave_group(Sequence& s) {
  if (s.group == none) return;
  if (--groups_[s.group].left == 0) free_groups_.push_back(s.group);
  s.group = none;
}

// A request is complete with the last of its samples.
void LlmEngine::complete(std::uint32_t slot, std::vector<Progress>& progress) {
  const Sequence& s = slab_[slot];
  if (!s.cancelled && (s.group == none || groups_[s.group].left == 1))
    progress.push_back({s.tag, Progress::What::completed, span_end_});
  leave(slot);
}

// A sequence of a static batch has nothing left to compute; its row and its blocks stay.
void LlmEngine::end_row(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  if (s.decoding) stop_decoding(s);
  s.ended = true;
  ++s.generation;
}

void LlmEngine::end_batch(std::vector<Progress>& progress) {
  while (head_ != none) complete(head_, progress);
}

void LlmEngine::drop_stale_completions() {
  while (!completions_.empty()) {
    const Completion& c = completions_.top();
    if (slab_[c.slot].live && slab_[c.slot].generation == c.generation) return;
    completions_.pop();
  }
}

void LlmEngine::apply_decode_steps(std::int64_t steps) {
  if (lockstep()) kv_.take(blocks_in_next(steps));
  context_ += decoding_ * steps;
  decode_steps_ += steps;
  counters_.iterations += static_cast<std::uint64_t>(steps);
  counters_.sequence_steps += static_cast<std::uint64_t>(steps * span_rows_);
  if (limits_.order == QueueOrder::fair)
    for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next)
      if (slab_[slot].decoding) waiting_.charge(slab_[slot].client, 2 * steps);
}

// The time of pure decodes around a context. Contexts grow slowly, so that the line of the last time
// often holds.
const models::DecodeLine& LlmEngine::line_of(std::int64_t decodes, std::int64_t context) {
  const auto i = static_cast<std::size_t>(decodes);
  if (i >= lines_.size()) lines_.resize(i + 1);
  models::DecodeLine& line = lines_[i];
  if (!line.holds(static_cast<double>(context))) line = cost_->decode_line(decodes, context);
  return line;
}

Instant LlmEngine::begin(Instant now, std::vector<Admission>& admitted) {
  if (span_active_) throw InternalError("engine: a span is running");
  if (!has_work()) return Instant::never();
  // The plans within a leap would have noticed who came before the last of its iterations.
  while (!arriving_.empty() && slab_[arriving_.front()].arrived <= last_start_) notice_first();
  models::IterationWork work;
  swapped_blocks_ = 0;
  copy_seconds_ = 0;
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

  first_work_ = work;
  models::IterationTime p;
  if (work.decode_sequences > 0 && chunks_.empty() && lockstep()) {
    const models::DecodeLine& line = line_of(work.decode_sequences, work.decode_context);
    const auto context = static_cast<double>(work.decode_context);
    p = {Duration(line.ns(context)), line.compute_share(context)};
  } else {
    p = cost_->iteration_time(work);
  }
  if (speculates()) p = with_draft(p, work);
  adapter_time_ = adapter_time();
  span_first_ = p.time + adapter_time_;
  span_swap_ = copy_time();
  compute_share_ = p.compute_share;
  if (span_swap_ > Duration::zero())
    compute_share_ *= span_first_.seconds() / (span_first_ + span_swap_).seconds();
  span_start_ = last_start_ = now;
  span_end_ = now + span_swap_ + span_first_;
  span_steps_ = 1;
  span_active_ = true;

  // Leap: pure decodes go on until a sequence ends, blocks run out or the next prompt could join.
  if (chunks_.empty() && leaps() && cancelled_.empty() && !admissible()) {
    drop_stale_completions();
    std::int64_t steps = completions_.top().step - decode_steps_;
    steps = 1 + steps_before_blocks_run_out(steps - 1);
    leap(steps, work);
  }
  return span_end_;
}

// Adds iterations to the span until it has `steps`; `work` is the first one's.
void LlmEngine::leap(std::int64_t steps, const models::IterationWork& work) {
  if (boundaries_.size() < static_cast<std::size_t>(steps)) boundaries_.resize(static_cast<std::size_t>(steps));
  Instant* const boundaries = boundaries_.data();
  const std::int64_t rows = decoding_;
  const Duration adapters = adapter_time_;
  std::int64_t context = work.decode_context;
  Instant end = boundaries[0] = span_end_;
  for (std::int64_t i = 1; i < steps;) {
    const models::DecodeLine line = line_of(work.decode_sequences, context + rows);
    do {
      context += rows;
      end += adapters + Duration(line.ns(static_cast<double>(context)));
      boundaries[i++] = end;
    } while (i < steps && line.holds(static_cast<double>(context + rows)));
  }
  if (steps > 1) last_start_ = boundaries[steps - 2];
  span_steps_ = std::max<std::int64_t>(1, steps);
  span_end_ = end;
}

std::int64_t LlmEngine::left(std::uint64_t tag, Instant now, std::uint32_t& place) const {
  if (place >= slab_.size() || !slab_[place].live || slab_[place].tag != tag)
    for (place = head_; place != none && slab_[place].tag != tag;) place = slab_[place].next;
  if (place == none) return -1;
  const Sequence& s = slab_[place];
  return s.output - (s.decoding ? decode_steps_ + steps_done(now) - s.joined : 0);
}

// Decode steps of the running span that are over.
std::int64_t LlmEngine::steps_done(Instant now) const {
  if (!span_active_ || span_rows_ == 0) return 0;
  if (span_steps_ == 1) return span_end_ <= now && !speculates() ? 1 : 0;
  return std::upper_bound(boundaries_.begin(), boundaries_.begin() + span_steps_, now) - boundaries_.begin();
}

Instant LlmEngine::next_boundary(Instant now) const {
  if (span_steps_ == 1) return span_end_;
  return *std::upper_bound(boundaries_.begin(), boundaries_.begin() + (span_steps_ - 1), now);
}

std::vector<Share> LlmEngine::scheduled() const {
  std::vector<Share> shares;
  if (!span_active_) return shares;
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next)
    if (slab_[slot].decoding && span_rows_ > 0) shares.push_back({slab_[slot].tag, tokens_per_decode()});
  for (const auto& [slot, tokens] : chunks_) shares.push_back({slab_[slot].tag, tokens});
  return shares;
}

Instant LlmEngine::interrupt(Instant now) {
  for (auto it = arriving_.rbegin(); it != arriving_.rend() && slab_[*it].arrived.is_never(); ++it)
    slab_[*it].arrived = now;
  if (!span_active_ || span_steps_ == 1) return span_end_;
  if (cancelled_.empty() && !released_ && !admissible()) return span_end_;
  return cut(now);
}

Instant LlmEngine::cut(Instant now) {
  if (!span_active_ || span_steps_ == 1) return span_end_;
  const auto last = boundaries_.begin() + (span_steps_ - 1);
  const auto end = std::lower_bound(boundaries_.begin(), last, now);
  span_steps_ = 1 + (end - boundaries_.begin());
  last_start_ = span_steps_ == 1 ? span_start_ : *(end - 1);
  return span_end_ = *end;
}

void LlmEngine::finish(std::vector<Progress>& progress) {
  if (!span_active_) throw InternalError("engine: no span is running");
  span_active_ = false;
  if (span_rows_ > 0) apply_decode_steps(span_steps_);
  else ++counters_.iterations;
  counters_.sequence_steps += chunks_.size();

  // Sequences whose last token was decoded.
  const auto ended = [&](std::uint32_t slot) {
    if (batches_requests()) end_row(slot);
    else complete(slot, progress);
  };
  if (speculates()) {
    if (span_rows_ > 0) accept_guesses();
    for (std::uint32_t slot = head_, next = none; slot != none; slot = next) {
      const Sequence& s = slab_[slot];
      next = s.next;
      if (s.decoding && decode_steps_ - s.joined >= s.output) ended(slot);
    }
  }
  for (drop_stale_completions(); !completions_.empty() && completions_.top().step <= decode_steps_;
       drop_stale_completions()) {
    const std::uint32_t slot = completions_.top().slot;
    completions_.pop();
    ended(slot);
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
    if (s.output > 0) --s.output;
    if (s.output == 0) {
      ended(slot);
      continue;
    }
    start_decoding(slot);
    if (slab_[slot].to_fork > 0) fork(slot);
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
  bool one_of_several = false;
  if (!cancel_one(tag, one_of_several)) return false;
  while (one_of_several && cancel_one(tag, one_of_several)) {}
  return true;
}

bool LlmEngine::cancel_one(std::uint64_t tag, bool& one_of_several) {
  std::uint32_t found = none;
  const auto is_it = [&](std::uint32_t slot) {
    if (slab_[slot].tag != tag) return false;
    found = slot;
    return true;
  };
  if (waiting_.any_of(is_it)) {
    waiting_.erase(waiter_of(found));
  } else if (const auto it = std::find_if(arriving_.begin(), arriving_.end(), is_it);
             it != arriving_.end()) {
    arriving_.erase(it);
  }
  if (found != none) {
    one_of_several = slab_[found].group != none;
    drop_host_copy(slab_[found]);
    forget(found);
    return true;
  }
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next) {
    if (slab_[slot].tag != tag || slab_[slot].cancelled) continue;
    one_of_several = slab_[slot].group != none;
    slab_[slot].cancelled = true;
    // The row of a static batch is computed once more.
    if (span_active_ || batches_requests()) {
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
  // Several samples are one request.
  std::unordered_set<std::uint64_t> seen;
  const auto lose = [&](std::uint32_t slot) {
    const Sequence& s = slab_[slot];
    if (!s.cancelled && (s.group == none || seen.insert(s.tag).second)) lost.push_back(s.tag);
    return false;
  };
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next) lose(slot);
  waiting_.any_of(lose);
  for (const std::uint32_t slot : arriving_) lose(slot);
  while (head_ != none) leave(head_);
  take_notice();
  while (!waiting_.empty()) {
    forget(waiting_.front());
    waiting_.pop_front();
  }
  held_.clear();
  kv_.reset();
  if (tiers_) tiers_->clear();
  adapters_.clear();
  host_used_ = 0;
  cancelled_.clear();
  chunks_.clear();
  span_active_ = false;
}

}  // namespace isthmus::devices
