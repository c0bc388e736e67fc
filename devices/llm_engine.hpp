// The serving engine of one LLM replica: first come first served, continuous batching, paged KV cache.
// It knows no clock and no queue of events: the world asks for the next span of work, waits until its
// end, and tells the engine that it is over.
//
// Order of one iteration by default (vLLM v1): running sequences first, one decode token each; then
// the prompt that was cut last time; then waiting prompts in order of arrival while the token budget,
// the sequence limit and the KV blocks last. When decodes or the cut prompt find no free block, the
// sequence admitted last is preempted: it gives back its blocks and is computed again from its start,
// or from where the prefix cache or a copy in host memory still has it. Scheduling names the other
// orders.
//
// Runs of pure decode iterations are leapt over: nothing but the context length changes in them, so a
// span may cover many iterations. Every boundary inside a span is the same sum of iteration times that
// single steps would give, so `leap = false` (for checking) yields bit-identical dates.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <vector>

#include "devices/engine_limits.hpp"
#include "devices/kv_blocks.hpp"
#include "models/llm_cost.hpp"
#include "sim/core/time.hpp"

namespace isthmus::devices {

//! A request as the engine sees it. Token counts >= 1 (image tokens are part of the prompt).
struct EngineRequest {
  std::uint64_t tag = 0;                   //!< the caller's name for it
  std::int64_t prompt = 1, image = 0, output = 1;
  //! For prefix caching, what the whole blocks at the start of the prompt hold: equal numbers mean
  //! equal tokens up to the end of the block. Below 2^62; blocks without one are the request's own.
  std::vector<std::uint64_t> prefix = {};
  //! Tokens at the start of the prompt whose keys and values come from another engine, in [0, prompt):
  //! they take blocks when the request starts and are not computed.
  std::int64_t received = 0;
  //! Its blocks stay taken after its last token until release(), for another engine to fetch them.
  bool hold = false;
};

//! What happened to a sequence at the end of a span.
struct Progress {
  enum class What : std::uint8_t { first_token, completed };
  std::uint64_t tag = 0;
  What what = What::completed;
  Instant at;
};

//! Called by the engine for sequences that are scheduled for the first time.
struct Admission {
  std::uint64_t tag = 0;
  Instant at;
};

//! What a span computes of one sequence.
struct Share {
  std::uint64_t tag = 0;
  std::int64_t tokens = 0;  //!< of the prompt, or 1 per iteration for a decode
  auto operator<=>(const Share&) const = default;
};

//! One replica's engine.
class LlmEngine {
 public:
  //! Throws InputError when limits contradict each other.
  LlmEngine(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits);

  //! True when the request can ever run: prompt + output - 1 tokens fit into the KV cache and, when
  //! prompts are not cut, into the token budget (vLLM's rule for its longest model length).
  bool fits(const EngineRequest& request) const;
  //! Joins the waiting queue; the request must fit (InternalError).
  void enqueue(const EngineRequest& request);
  //! Removes a waiting or running sequence; a running one leaves at the end of the current span.
  //! Returns false for an unknown tag.
  bool cancel(std::uint64_t tag);
  //! Frees the blocks of a completed request that asked to hold them; false for any other tag. The
  //! caller then interrupts the running span or, without one, begins the next.
  bool release(std::uint64_t tag);
  //! Plans and starts the next span at `now`; returns its end, or never() when there is no work or
  //! nothing can start before held blocks are released.
  //! Must not be called while a span runs. `admitted` gets the sequences that started.
  Instant begin(Instant now, std::vector<Admission>& admitted);
  //! Must be called when a request has been enqueued or cancelled at `now` while a span runs: returns
  //! the possibly earlier end of the span (the first iteration boundary at or after `now`).
  Instant interrupt(Instant now);
  //! Ends the running span; appends what happened, in order of date.
  void finish(std::vector<Progress>& progress);

  //! Iterations from the next span on take the times of `cost`, which is of the same model and unit
  //! at another clock. Must not be called while a span runs.
  void set_cost(std::shared_ptr<const models::LlmCost> cost) {
    cost_ = std::move(cost);
    line_sequences_ = -1;
  }

  //! What each iteration of the running span computes: decodes in order of admission, then prompts.
  //! For inspection; takes time in proportion to the running sequences.
  std::vector<Share> scheduled() const;

  bool busy() const { return span_active_; }
  bool has_work() const { return running_ > 0 || !waiting_.empty(); }
  std::uint32_t waiting() const { return static_cast<std::uint32_t>(waiting_.size()); }
  //! Sequences that hold KV blocks.
  std::uint32_t running() const { return running_; }
  std::int64_t free_blocks() const { return kv_.free(); }
  //! Share of the KV blocks that sequences hold at `now`, a date within the running span if there is
  //! one; its iterations count as equally long. Blocks that only keep contents are free, as in vLLM.
  double kv_usage(Instant now) const;
  //! Blocks of host memory that preempted sequences hold.
  std::int64_t host_blocks_used() const { return host_used_; }
  std::uint64_t iterations() const { return iterations_; }
  //! Sum over iterations of the sequences in them.
  std::uint64_t sequence_steps() const { return sequence_steps_; }
  std::uint64_t preemptions() const { return preemptions_; }
  //! Tokens that came back from host memory.
  std::uint64_t swapped_tokens() const { return swapped_tokens_; }
  //! Prompt tokens that the prefix cache had.
  std::uint64_t cached_tokens() const { return cached_tokens_; }
  //! Share of the current span that is compute-bound, for power.
  double compute_share() const { return compute_share_; }
  //! Forgets everything (the node failed); `lost` gets the tags of all sequences.
  void clear(std::vector<std::uint64_t>& lost);
  const models::LlmCost& cost() const { return *cost_; }

 private:
  static constexpr std::uint32_t none = 0xffffffffU;

  struct Sequence {
    std::uint64_t tag = 0;
    std::int64_t prompt = 0, image = 0;    // prompt: tokens to compute before the next token appears
    std::int64_t output = 0;               // tokens still to emit
    std::int64_t computed = 0;             // prompt tokens in the cache (prefill)
    std::int64_t on_host = 0;              // tokens whose keys and values wait in host memory
    std::int64_t received = 0;             // that came from another engine
    std::int64_t blocks = 0;               // held by the prefill part; decode adds below
    Instant arrived = Instant::never();    // if a span was running then
    std::uint64_t serial = 0;              // names the contents that only this sequence has
    std::vector<std::uint64_t> prefix;
    std::vector<BlockKey> keys;            // of its first blocks; no_key: not in the cache
    std::int64_t joined = 0;               // decode step counter when it began to decode
    std::uint32_t prev = none, next = none;  // running list, in order of admission
    bool decoding = false, live = false, started = false, cancelled = false, first_emitted = false;
    bool ended = false;                    // an empty row of a static batch
    bool hold = false;                     // its blocks, after its end
    std::uint32_t generation = 0;
  };
  // The blocks of a sequence that has ended.
  struct Remains {
    std::int64_t blocks = 0;
    std::vector<BlockKey> keys;
  };
  struct Completion {
    std::int64_t step;
    std::uint64_t order;
    std::uint32_t slot, generation;
    bool operator>(const Completion& o) const {
      return step != o.step ? step > o.step : order > o.order;
    }
  };

  std::int64_t blocks_for(std::int64_t tokens) const {
    return (tokens + limits_.block_size - 1) / limits_.block_size;
  }
  // A sequence holds the blocks of all its tokens from the start on.
  bool reserves_all() const {
    return limits_.scheduling == Scheduling::orca || limits_.scheduling == Scheduling::static_batch;
  }
  bool batches_requests() const { return limits_.scheduling == Scheduling::static_batch; }
  bool cuts_prompts() const {
    return limits_.chunked_prefill && limits_.scheduling == Scheduling::decode_first;
  }
  std::int64_t prompt_budget() const;
  std::int64_t blocks_of(const Sequence& s) const {
    return s.decoding && !reserves_all() ? blocks_for(kv_of(s)) : s.blocks;
  }
  std::size_t phase_of(const Sequence& s) const;
  // Decoding sequences that need a block in the decode step that many steps ahead.
  std::int64_t needed_in(std::int64_t steps) const {
    return block_phase_[static_cast<std::size_t>((decode_steps_ + steps) % limits_.block_size)];
  }
  BlockKey key_of(const Sequence& s, std::int64_t block) const;
  std::int64_t cached_blocks(const Sequence& s) const;
  std::int64_t known_tokens(const Sequence& s, std::int64_t cached) const {
    return std::max({cached * limits_.block_size, s.on_host, s.received});
  }
  bool can_start(const Sequence& s, std::int64_t cached, std::int64_t budget) const;
  void swap_out(Sequence& s, std::int64_t tokens);
  Duration swap_time() const;
  void drop_host_copy(Sequence& s);
  void name_blocks(Sequence& s, std::int64_t tokens);
  void name_first(Sequence& s, std::int64_t blocks);
  void put_back(const Remains& r);
  void put_back_preempted(Sequence& s, std::int64_t blocks, std::int64_t computed);
  void take_notice();
  std::int64_t kv_of(const Sequence& s) const { return s.prompt + (decode_steps_ - s.joined); }
  std::uint32_t allocate_slot();
  void link_running(std::uint32_t slot);
  void unlink_running(std::uint32_t slot);
  void start_decoding(std::uint32_t slot);
  void stop_decoding(Sequence& s);
  void leave(std::uint32_t slot);
  void end_row(std::uint32_t slot);
  void end_batch(std::vector<Progress>& progress);
  void preempt_last();
  bool make_room_for_decodes();
  bool add_chunk(std::uint32_t slot, std::int64_t& budget, models::IterationWork& work);
  enum class Who : std::uint8_t { all, to_compute, to_decode };
  void admit(Instant now, Who who, std::int64_t budget, models::IterationWork& work,
             std::vector<Admission>& admitted);
  void plan(Instant now, models::IterationWork& work, std::vector<Admission>& admitted);
  // Decodes of an iteration with everybody, empty rows of a static batch included.
  std::int64_t rows() const { return batches_requests() ? running_ : decoding_; }
  void add_decodes(models::IterationWork& work) const;
  bool admissible() const;
  void drop_stale_completions();
  std::int64_t steps_before_blocks_run_out(std::int64_t limit) const;
  std::int64_t blocks_in_next(std::int64_t steps) const;
  void apply_decode_steps(std::int64_t steps);
  Duration decode_time(std::int64_t sequences, std::int64_t context);

  std::shared_ptr<const models::LlmCost> cost_;
  EngineLimits limits_;
  std::vector<Sequence> slab_;
  std::vector<std::uint32_t> free_slots_;
  std::deque<std::uint32_t> waiting_;
  std::size_t noticed_ = 0;                // of them, from the front, the ones that planning may see
  std::uint32_t head_ = none, tail_ = none;
  std::uint32_t running_ = 0;
  std::int64_t decoding_ = 0;              // sequences that decode, in lockstep where they take part
  std::int64_t context_ = 0;               // sum of their KV tokens
  std::int64_t decode_steps_ = 0;          // decode steps done so far
  KvBlocks kv_;
  std::map<std::uint64_t, Remains> held_;  // by tag
  bool released_ = false;                  // blocks came free during the span
  std::vector<Remains> remains_;           // whose end planning has not noticed yet
  std::uint32_t unnoticed_ends_ = 0;       // of sequences
  std::vector<std::int64_t> block_phase_;  // decoding sequences by the step (mod block) that needs a block
  std::priority_queue<Completion, std::vector<Completion>, std::greater<>> completions_;
  std::uint64_t order_ = 0;
  std::uint32_t partial_ = none;           // the prompt that was cut by the budget
  std::vector<std::uint32_t> cancelled_;

  std::int64_t host_used_ = 0;             // blocks of host memory
  std::int64_t swapped_blocks_ = 0;        // copied before the iteration that is planned

  // The running span.
  bool span_active_ = false;
  Instant span_start_, span_end_;
  Duration span_first_;                    // its first iteration, swaps not counted
  models::DecodeLine line_;                // of decodes of that many sequences; -1: none
  std::int64_t line_sequences_ = -1;
  Instant last_start_;                     // of its last iteration
  std::int64_t span_steps_ = 0;            // decode iterations in it (>= 1)
  Duration span_swap_;                     // copies before its first iteration
  std::int64_t span_rows_ = 0;             // rows() where they take part in its iterations, else 0
  std::vector<std::pair<std::uint32_t, std::int64_t>> chunks_;  // slot, tokens computed in the span
  double compute_share_ = 0;
  std::uint64_t iterations_ = 0, sequence_steps_ = 0, preemptions_ = 0, cached_tokens_ = 0;
  std::uint64_t swapped_tokens_ = 0;
  std::uint64_t serials_ = 0;
};

}  // namespace isthmus::devices
