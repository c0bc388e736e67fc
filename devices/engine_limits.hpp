// What an LLM engine may do in an iteration, and how it chooses.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/waiting_queue.hpp"
#include "models/adapter_cost.hpp"
#include "models/llm_cost.hpp"
#include "sim/core/time.hpp"

namespace isthmus::devices {

//! Who takes part in an iteration.
enum class Scheduling : std::uint8_t {
  //! Decodes, then parts of prompts in what is left of the token budget (vLLM v1, Sarathi-Serve).
  decode_first,
  //! Whole waiting prompts alone as long as any can start, else decodes (vLLM v0).
  prefill_first,
  //! Decodes and whole prompts together, no token budget; a sequence starts when there are blocks
  //! for all of its tokens, so that none is preempted (Orca).
  orca,
  //! Batches of requests: the next one starts when all of the last one have ended. Ended sequences
  //! stay as empty rows and complete with their batch (FasterTransformer). Blocks as with orca.
  static_batch,
};

//! Tokens guessed ahead, which the model verifies in one iteration (speculative decoding).
struct Speculation {
  std::uint32_t tokens = 0;          //!< guessed per sequence and iteration; 0: none
  //! Probability that a guess is right when those before it are, in order of position; the last one
  //! holds for all further positions. In [0, 1], at least one.
  std::vector<double> acceptance = {};
  //! Computes the guesses one after the other, and prompts before; null: they cost `overhead` alone
  //! (look-up of n-grams). Of the same unit as the model itself.
  std::shared_ptr<const models::LlmCost> draft = nullptr;
  Duration overhead = {};            //!< of guessing, per iteration with decodes
  std::uint64_t seed = 0;            //!< of what is accepted: a function of seed, request and position
};

//! A slower memory for the contents of KV blocks.
struct KvTier {
  std::int64_t blocks = 0;           //!< that it holds, >= 1
  double bandwidth = 0;              //!< bytes/s of reading into the unit's memory, > 0
};

//! Adapters that requests may ask for (LoRA).
struct Adapters {
  std::uint32_t slots = 0;           //!< adapters in the unit's memory at once; 0: requests have none
  models::AdapterCost cost = {};
  double bandwidth = 0;              //!< bytes/s of loading one, > 0; the next iteration waits for it
};

//! Limits of one engine.
struct EngineLimits {
  Scheduling scheduling = Scheduling::decode_first;
  std::uint32_t max_sequences = 64;        //!< running at once, >= 1
  std::uint32_t max_batched_tokens = 8192; //!< tokens per iteration; >= max_sequences; not orca, static
  std::uint32_t block_size = 16;           //!< KV tokens per block, >= 1
  std::int64_t kv_blocks = 0;              //!< blocks of the KV cache, >= 1
  //! False: prompts are never cut; too long ones wait for an empty budget. Only decode_first cuts.
  bool chunked_prefill = true;
  //! A prompt starts only when all of it would fit into the free blocks, not just its first part.
  bool reserve_prompt = false;
  //! Blocks keep their contents until they are taken: prompts with the same beginning and preempted
  //! sequences need not compute them again. Needs reserve_prompt.
  bool prefix_caching = false;
  //! Each iteration is planned when the one before it begins: it knows neither the requests that
  //! arrive meanwhile nor the blocks that become free. With decode_first only.
  bool async_scheduling = false;
  //! Waiting prompts leave at least so many blocks free when they start, unless nothing else runs;
  //! below kv_blocks.
  std::int64_t watermark_blocks = 0;
  //! Bytes/s between unit and host memory. Above 0, preempted sequences keep their computed tokens in
  //! host memory and get them back instead of computing them again; the copies lengthen the
  //! iterations before which they are made.
  double swap_bandwidth = 0;
  std::int64_t host_blocks = 0;            //!< that host memory holds; what does not fit is computed again
  QueueOrder order = QueueOrder::arrival;  //!< of waiting requests
  Speculation speculation;                 //!< not with async_scheduling
  //! Where evicted blocks go, fastest first; what they have is copied instead of computed, before the
  //! iteration. Needs prefix_caching.
  std::vector<KvTier> tiers;
  Adapters adapters;
  bool leap = true;                        //!< false: one iteration per span
};

}  // namespace isthmus::devices
