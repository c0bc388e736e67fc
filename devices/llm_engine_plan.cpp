// What the next iteration of an engine computes: decodes, admissions and preemptions.
#include <algorithm>
#include <limits>

#include "devices/llm_engine.hpp"

namespace isthmus::devices {

// Tokens that waiting prompts may have of an iteration, beside the decodes where these take part.
std::int64_t LlmEngine::prompt_budget() const {
  if (reserves_all()) return std::numeric_limits<std::int64_t>::max() / 2;
  const std::int64_t all = limits_.max_batched_tokens;
  return limits_.scheduling == Scheduling::prefill_first ? all
                                                         : all - decoding_ * tokens_per_decode();
}

// Blocks of all tokens of all samples, and of the guesses after the last ones.
std::int64_t LlmEngine::reserved_blocks(std::int64_t prompt, std::int64_t output,
                                        std::int64_t samples) const {
  const std::int64_t one = blocks_for(prompt + std::max<std::int64_t>(1, output) - 1 +
                                      limits_.speculation.tokens);
  return one + (samples - 1) * (one - prompt / limits_.block_size);
}

// Do the budget, the free blocks and the sequence limit let a waiting sequence start?
bool LlmEngine::can_start(const Sequence& s, const Known& k, std::int64_t budget) const {
  if (rows_promised() + s.to_fork + 1 > limits_.max_sequences) return false;
  if (!cuts_prompts() && s.prompt - k.tokens > budget) return false;
  std::int64_t need = 0;
  if (reserves_all())
    need = reserved_blocks(s.prompt, s.output, s.to_fork + 1);
  else if (limits_.reserve_prompt)
    need = blocks_for(s.prompt);
  else
    need = blocks_for(k.tokens + std::min(s.prompt - k.tokens, budget));
  need += k.idle - k.cached;
  // Alone it may have everything.
  return need + (running_ > 0 ? limits_.watermark_blocks : 0) <= kv_.free();
}

// Who gives way when blocks are missing.
std::uint32_t LlmEngine::victim() const {
  if (limits_.order != QueueOrder::priority) return tail_;
  std::uint32_t worst = tail_;
  for (std::uint32_t slot = head_; slot != none; slot = slab_[slot].next) {
    const Sequence &s = slab_[slot], &w = slab_[worst];
    if (s.priority < w.priority || (s.priority == w.priority && s.serial > w.serial)) worst = slot;
  }
  return worst;
}

// The sequence gives its blocks back and waits to be computed again.
void LlmEngine::preempt(std::uint32_t slot) {
  Sequence& s = slab_[slot];
  const std::int64_t computed = s.decoding ? kv_of(s) : s.computed;
  put_back_preempted(s, computed);
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
  waiting_.push_preempted(waiter_of(slot));
  ++counters_.preemptions;
}

// Gives every decoding sequence the blocks that its next tokens may need. Returns true when it had to
// preempt: then no waiting prompt is admitted in this iteration.
bool LlmEngine::make_room_for_decodes() {
  bool preempted = false;
  while (decode_blocks() > kv_.free()) {
    preempt(victim());
    preempted = true;
  }
  take_decode_blocks();
  return preempted;
}

// Takes back what make_room_for_decodes took, for a plan that has to start over.
void LlmEngine::put_decode_blocks_back(std::int64_t taken) {
  // Otherwise the sequences have them.
  if (lockstep()) kv_.put_back(taken);
}

// Could a waiting prompt start in the iteration after one that has only decodes in it? During a span
// free blocks only become fewer: what does not fit at its start does not fit later.
bool LlmEngine::admissible() const {
  if ((waiting_.empty() && arriving_.empty()) || rows_promised() >= limits_.max_sequences)
    return false;
  if (batches_requests() && running_ > 0) return false;
  const std::int64_t budget = prompt_budget();
  if (budget <= 0) return false;
  // Who is next may change with the arrivals that planning notices.
  if (limits_.order == QueueOrder::priority && !arriving_.empty()) return true;
  const Sequence& s = slab_[waiting_.empty() ? arriving_.front() : waiting_.front()];
  // Those behind it may go first.
  if (!adapters_.can_use(s.adapter)) return true;
  return can_start(s, known(s), budget);
}

// The next part of a prompt joins the iteration, unless blocks are missing.
bool LlmEngine::add_chunk(std::uint32_t slot, std::int64_t& budget, models::IterationWork& work) {
  Sequence& s = slab_[slot];
  const bool first = slot != partial_;
  bool returned = false;
  if (first) {
    const Known k = known(s);
    if (!can_start(s, k, budget)) return false;
    use_known(s, k);
    returned = s.on_host > 0 || s.received > 0;
    // What was received is there already, what waits on the host is copied.
    s.computed = std::max(s.computed, s.received);
    s.received = 0;
    if (s.on_host > s.computed) {
      counters_.swapped_tokens += static_cast<std::uint64_t>(s.on_host - s.computed);
      swapped_blocks_ += blocks_for(s.on_host) - blocks_for(s.computed);
      s.computed = s.on_host;
    }
    drop_host_copy(s);
  }
  const std::int64_t tokens = std::min(s.prompt - s.computed, budget);
  // Blocks may cover only a part of the chunk's tokens.
  const std::int64_t need = (reserves_all() ? reserved_blocks(s.prompt, s.output, s.to_fork + 1)
                                            : blocks_for(s.computed + tokens)) -
                            s.blocks;
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
  if (first && s.image > 0 && s.computed < s.image_end) work.image_tokens += s.image;
  if (s.computed + tokens == s.prompt && s.output > 0) ++work.logits;
  return true;
}

// Waiting prompts start in their order while budget, sequence limit and blocks last.
void LlmEngine::admit(Instant now, Who who, std::int64_t budget, models::IterationWork& work,
                      std::vector<Admission>& admitted) {
  std::vector<std::uint32_t> passed_over;
  while (!waiting_.empty() && rows_promised() + unnoticed_ends_ < limits_.max_sequences &&
         budget > 0) {
    const std::uint32_t slot = waiting_.front();
    if (!adapters_.can_use(slab_[slot].adapter)) {
      passed_over.push_back(slot);
      waiting_.pop_front();
      continue;
    }
    const bool received = slab_[slot].received > 0;
    const Who is = received || slab_[slot].on_host > 0 ? Who::to_decode : Who::to_compute;
    if (who != Who::all && who != is) break;
    if (!add_chunk(slot, budget, work)) break;
    waiting_.pop_front();
    link_running(slot);
    Sequence& s = slab_[slot];
    if (s.started) continue;
    if (!received) {  // else another engine has computed it
      waiting_.charge(s.client, s.prompt);
      counters_.prompt_tokens += static_cast<std::uint64_t>(s.prompt);
    }
    admitted.push_back({s.tag, now});
    s.started = true;
  }
  for (; !passed_over.empty(); passed_over.pop_back())
    waiting_.push_preempted(waiter_of(passed_over.back()));
}

// What adapters add to the iteration that was planned.
Duration LlmEngine::adapter_time() const {
  if (limits_.adapters.slots == 0) return {};
  std::int64_t tokens = 0;
  std::vector<std::uint32_t> used;
  for (const auto& [slot, computed] : chunks_) {
    if (slab_[slot].adapter == 0) continue;
    tokens += computed;
    used.push_back(slab_[slot].adapter);
  }
  auto adapters = static_cast<std::int64_t>(adapters_.active());
  if (span_rows_ > 0) {
    tokens += adapted_decoding_ * tokens_per_decode();
  } else {
    std::sort(used.begin(), used.end());
    adapters = std::unique(used.begin(), used.end()) - used.begin();
  }
  return limits_.adapters.cost.time(adapters, tokens);
}

// Every decoding sequence takes part; its context includes the tokens that it computes. The rows of a
// static batch are computed until all have ended; attention skips the ended ones.
void LlmEngine::add_decodes(models::IterationWork& work) const {
  work.decode_sequences += rows();
  work.decode_context += context_ + decoding_ * tokens_per_decode();
  work.draft_tokens += rows() * (tokens_per_decode() - 1);
  work.logits += rows() * tokens_per_decode();
}

// Chooses what the next iteration computes.
void LlmEngine::plan(Instant now, models::IterationWork& work, std::vector<Admission>& admitted) {
  chunks_.clear();
  work = {};
  span_rows_ = 0;
  switch (limits_.scheduling) {
    case Scheduling::prefill_first:
      // Who comes back from host memory or from another engine decodes with the others, before any
      // new prompt.
      admit(now, Who::to_compute, prompt_budget(), work, admitted);
      if (!chunks_.empty()) return;
      if (!make_room_for_decodes()) admit(now, Who::to_decode, prompt_budget(), work, admitted);
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
      while (partial_ != none && budget > 0 && !add_chunk(partial_, budget, work)) {
        // Mostly the cut prompt itself, which was admitted last.
        const std::int64_t taken = decode_blocks();
        const std::uint32_t slot = victim();
        if (slab_[slot].decoding) {
          put_decode_blocks_back(taken);
          preempt(slot);
          make_room_for_decodes();
        } else {
          preempt(slot);
        }
        budget = prompt_budget();
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
