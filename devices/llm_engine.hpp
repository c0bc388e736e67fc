// The serving engine of one LLM replica: continuous batching, paged KV cache.
// It knows no clock and no queue of events: the world asks for the next span of work, waits until its
// end, and tells the engine that it is over.
//
// Order of one iteration by default (vLLM v1): running sequences first, one decode token each; then
// the prompt that was cut last time; then waiting prompts in their order while the token budget, the
// sequence limit and the KV blocks last. When decodes or the cut prompt find no free block, the
// sequence admitted last (by priority: the least urgent) is preempted: it gives back its blocks and is
// computed again from its start, or from where the prefix cache or a copy in host memory still has it.
// Scheduling names the other orders.
//
// Runs of pure decode iterations are leapt over: nothing but the context length changes in them, so a
// span may cover many iterations. Every boundary inside a span is the same sum of iteration times that
// single steps would give, so `leap = false` (for checking) yields bit-identical dates. With
// speculation the sequences advance by different numbers of tokens, and every iteration is a step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <vector>

#include "devices/adapter_slots.hpp"
#include "devices/engine_counters.hpp"
#include "devices/engine_limits.hpp"
#include "devices/kv_blocks.hpp"
#include "devices/kv_tiers.hpp"
#include "devices/waiting_queue.hpp"
#include "models/llm_cost.hpp"
#include "sim/core/random.hpp"
#include "sim/core/time.hpp"

namespace isthmus::devices {

//! A request as the engine sees it. Image tokens are part of the prompt, which has at least 1 token;
//! 0 output tokens: an embedding, the prompt's pass alone.
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
  //! Answers decoded from the same prompt, >= 1: samples or beams of `output` tokens each. They share
  //! the whole blocks of the prompt. The request completes with the last one.
  std::uint32_t samples = 1;
  std::int32_t priority = 0;               //!< larger first, with QueueOrder::priority
  std::uint32_t client = 0;                //!< whose it is, with QueueOrder::fair
  //! 0: none, and with engines that have no adapters. Others share no prefixes with it. A request whose
  //! adapter finds no place lets those behind it go first.
  std::uint32_t adapter = 0;
  std::uint64_t identity = 0;              //!< names its draws
  //! Tokens from the start of the prompt to the end of its last image; 0: images come first.
  std::int64_t image_end = 0;
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
  //! Ends a run of iterations at the first boundary at or after `now`, whoever waits: their times have changed.
  //! Returns the end of the span.
  Instant cut(Instant now);
  //! Ends the running span; appends what happened, in order of date.
  void finish(std::vector<Progress>& progress);

  //! Iterations from the next span on take the times of `cost`, which is of the same model and unit
  //! at another clock. Must not be called while a span runs.
  void set_cost(std::shared_ptr<const models::LlmCost> cost) {
    cost_ = std::move(cost);
    lines_.clear();
  }

  //! What each iteration of the running span computes: decodes in order of admission, then prompts.
  //! For inspection; takes time in proportion to the running sequences.
  std::vector<Share> scheduled() const;

  //! What the first iteration of the running span computes; of the last one, if none runs.
  const models::IterationWork& work() const { return first_work_; }

  //! Output tokens that a running request has yet to emit after `now`, the date of the end of the last
  //! span or one within the running span; -1: it does not run. Of several samples, one counts.
  //! `place` speeds up the next call for this tag.
  std::int64_t left(std::uint64_t tag, Instant now, std::uint32_t& place) const;
  //! The first end of an iteration after `now`, a date within the running span.
  Instant next_boundary(Instant now) const;

  bool busy() const { return span_active_; }
  bool has_work() const { return running_ > 0 || !waiting_.empty() || !arriving_.empty(); }
  std::uint32_t waiting() const { return static_cast<std::uint32_t>(waiting_.size() + arriving_.size()); }
  //! Sequences that hold KV blocks.
  std::uint32_t running() const { return running_; }
  std::int64_t free_blocks() const { return kv_.free(); }
  //! Share of the KV blocks that sequences hold at `now`, a date within the running span if there is
  //! one; its iterations count as equally long. Blocks that only keep contents are free, as in vLLM.
  double kv_usage(Instant now) const;
  //! Blocks of host memory that preempted sequences hold.
  std::int64_t host_blocks_used() const { return host_used_; }
  const EngineCounters& counters() const { return counters_; }
  //! Share of the current span that is compute-bound, for power.
  double compute_share() const { return compute_share_; }
  //! Forgets everything (the node failed); `lost` gets the tags of all sequences.
  void clear(std::vector<std::uint64_t>& lost);
  const models::LlmCost& cost() const { return *cost_; }

 private:
  static constexpr std::uint32_t none = 0xffffffffU;

  struct Sequence {
    std::uint64_t tag = 0;
    std::uint64_t identity = 0;            // of its draws
    std::int64_t prompt = 0, image = 0;    // prompt: tokens to compute before the next token appears
    std::int64_t image_end = 0;            // images are encoded unless all until here is known
    std::int64_t output = 0;               // tokens still to emit
    std::int64_t computed = 0;             // prompt tokens in the cache (prefill)
    std::int64_t on_host = 0;              // tokens whose keys and values wait in host memory
    std::int64_t received = 0;             // that came from another engine
    std::int64_t blocks = 0;               // of its own; in lockstep those of the prompt, see blocks_of
    std::int64_t shared = 0;               // blocks of the prompt that its group has
    Instant arrived = Instant::never();    // if a span was running then
    std::uint64_t serial = 0;              // order of arrival; names the contents that only it has
    std::vector<std::uint64_t> prefix;
    std::vector<BlockKey> keys;            // of its first blocks; no_key: not in the cache
    std::int64_t joined = 0;               // decode step counter when it began to decode
    std::uint32_t prev = none, next = none;  // running list, in order of admission
    std::uint32_t group = none;
    std::uint32_t to_fork = 0;             // further samples that start when the prompt is computed
    std::int32_t priority = 0;
    std::uint32_t client = 0, adapter = 0;
    bool decoding = false, live = false, started = false, cancelled = false, first_emitted = false;
    bool ended = false;                    // an empty row of a static batch
    bool hold = false;                     // its blocks, after its end
    std::uint32_t generation = 0;
  };
  // The samples of one request.
  struct Group {
    std::uint32_t left = 0;                // that have not ended
    std::uint32_t holders = 0;             // of the shared blocks
    std::vector<BlockKey> keys;            // of these
  };
  // The blocks of a sequence that has ended.
  struct Remains {
    std::int64_t blocks = 0;
    std::vector<BlockKey> keys;
  };
  // What need not be computed of a prompt.
  struct Known {
    std::int64_t tokens = 0;               // from its start
    std::int64_t blocks = 0;               // whole ones, from caches
    std::int64_t cached = 0, idle = 0;     // of these, in the unit's memory; that nobody uses
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
  bool speculates() const { return limits_.speculation.tokens > 0; }
  std::int64_t tokens_per_decode() const { return 1 + std::int64_t{limits_.speculation.tokens}; }
  // Decoding sequences take blocks as they grow, and all grow by one token per iteration.
  bool lockstep() const { return !reserves_all() && !speculates(); }
  // Counters of clients change with every iteration, and so may who is next.
  bool leaps() const {
    return limits_.leap && !speculates() && limits_.order != QueueOrder::fair;
  }
  std::uint32_t rows_promised() const { return running_ + forks_promised_; }

  // llm_engine_plan.cpp
  enum class Who : std::uint8_t { all, to_compute, to_decode };
  std::int64_t prompt_budget() const;
  std::int64_t reserved_blocks(std::int64_t prompt, std::int64_t output, std::int64_t samples) const;
  bool can_start(const Sequence& s, const Known& k, std::int64_t budget) const;
  std::uint32_t victim() const;
  void preempt(std::uint32_t slot);
  bool make_room_for_decodes();
  void put_decode_blocks_back(std::int64_t taken);
  bool admissible() const;
  Duration adapter_time() const;
  bool add_chunk(std::uint32_t slot, std::int64_t& budget, models::IterationWork& work);
  void admit(Instant now, Who who, std::int64_t budget, models::IterationWork& work,
             std::vector<Admission>& admitted);
  void add_decodes(models::IterationWork& work) const;
  void plan(Instant now, models::IterationWork& work, std::vector<Admission>& admitted);
  // Decodes of an iteration with everybody, empty rows of a static batch included.
  std::int64_t rows() const { return batches_requests() ? running_ : decoding_; }

  // llm_engine_blocks.cpp
  std::int64_t kv_of(const Sequence& s) const { return s.prompt + (decode_steps_ - s.joined); }
  std::size_t phase_of(const Sequence& s) const;
  std::int64_t blocks_of(const Sequence& s) const;
  BlockKey key_of(const Sequence& s, std::int64_t block) const;
  Known known(const Sequence& s) const;
  void use_known(Sequence& s, const Known& k);
  void name_blocks(Sequence& s, std::int64_t tokens);
  void name_first(Sequence& s, std::int64_t blocks);
  void put_back(const Remains& r);
  Remains remains_of(Sequence& s);
  void put_back_preempted(Sequence& s, std::int64_t computed);
  void swap_out(Sequence& s, std::int64_t tokens);
  Duration copy_time() const;
  void drop_host_copy(Sequence& s);
  // Decoding sequences that need a block in the decode step that many steps ahead, in lockstep.
  std::int64_t needed_in(std::int64_t steps) const {
    return block_phase_[static_cast<std::size_t>((decode_steps_ + steps) % limits_.block_size)];
  }
  std::int64_t missing_blocks(const Sequence& s) const;
  std::int64_t decode_blocks() const;
  void take_decode_blocks();
  std::int64_t steps_before_blocks_run_out(std::int64_t limit) const;
  std::int64_t blocks_in_next(std::int64_t steps) const;

  // llm_engine.cpp
  Waiter waiter_of(std::uint32_t slot) const;
  void take_notice();
  void notice_first();
  std::uint32_t allocate_slot();
  void forget(std::uint32_t slot);
  void link_running(std::uint32_t slot);
  void unlink_running(std::uint32_t slot);
  void start_decoding(std::uint32_t slot);
  void stop_decoding(Sequence& s);
  void leave(std::uint32_t slot);
  void leave_group(Sequence& s);
  void complete(std::uint32_t slot, std::vector<Progress>& progress);
  void end_row(std::uint32_t slot);
  void end_batch(std::vector<Progress>& progress);
  bool cancel_one(std::uint64_t tag, bool& one_of_several);
  void drop_stale_completions();
  void apply_decode_steps(std::int64_t steps);
  std::int64_t steps_done(Instant now) const;
  void leap(std::int64_t steps, const models::IterationWork& work);
  const models::DecodeLine& line_of(std::int64_t decodes, std::int64_t context);

  // llm_engine_samples.cpp
  void fork(std::uint32_t slot);
  void accept_guesses();
  std::int64_t right_guesses(const Sequence& s) const;
  models::IterationTime with_draft(models::IterationTime target,
                                   const models::IterationWork& work) const;

  std::shared_ptr<const models::LlmCost> cost_;
  EngineLimits limits_;
  std::vector<Sequence> slab_;
  std::vector<std::uint32_t> free_slots_;
  WaitingQueue waiting_;
  std::deque<std::uint32_t> arriving_;     // that planning has not noticed yet
  std::uint32_t head_ = none, tail_ = none;
  std::uint32_t running_ = 0;
  std::int64_t decoding_ = 0;              // sequences that decode, in lockstep where they take part
  std::int64_t context_ = 0;               // sum of their KV tokens
  std::int64_t decode_steps_ = 0;          // decode steps done so far
  KvBlocks kv_;
  std::unique_ptr<KvTiers> tiers_;         // null: none
  std::map<std::uint64_t, Remains> held_;  // by tag
  bool released_ = false;                  // blocks came free during the span
  std::vector<Remains> remains_;           // whose end planning has not noticed yet
  std::uint32_t unnoticed_ends_ = 0;       // of sequences
  std::vector<std::int64_t> block_phase_;  // decoding sequences by the step (mod block) that needs a block
  std::priority_queue<Completion, std::vector<Completion>, std::greater<>> completions_;
  std::uint64_t order_ = 0;
  std::vector<Group> groups_;
  std::vector<std::uint32_t> free_groups_;
  std::uint32_t forks_promised_ = 0;       // samples of running prompts that will join
  StreamKey guesses_;
  AdapterSlots adapters_;
  std::int64_t adapted_decoding_ = 0;      // decoding sequences with an adapter
  Duration adapter_time_;                  // in every iteration of the span
  std::uint32_t partial_ = none;           // the prompt that was cut by the budget
  std::vector<std::uint32_t> cancelled_;

  std::int64_t host_used_ = 0;             // blocks of host memory
  std::int64_t swapped_blocks_ = 0;        // copied before the iteration that is planned
  double copy_seconds_ = 0;                // of blocks from slower tiers before it

  // The running span.
  bool span_active_ = false;
  Instant span_start_, span_end_;
  models::IterationWork first_work_;
  Duration span_first_;                    // its first iteration, swaps not counted
  std::vector<models::DecodeLine> lines_;  // the last ones used, by decodes
  Instant last_start_;                     // of its last iteration
  std::vector<Instant> boundaries_;        // ends of its iterations, if it leaps over several
  std::int64_t span_steps_ = 0;            // decode iterations in it (>= 1)
  Duration span_swap_;                     // copies before its first iteration
  std::int64_t span_rows_ = 0;             // rows() where they take part in its iterations, else 0
  std::vector<std::pair<std::uint32_t, std::int64_t>> chunks_;  // slot, tokens computed in the span
  double compute_share_ = 0;
  EngineCounters counters_;
  std::uint64_t serials_ = 0;
};

}  // namespace isthmus::devices
