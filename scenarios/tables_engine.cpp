#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

const ObjectSpec& speculation_spec() {
  static const ObjectSpec spec{
      "speculation",
      "Speculative decoding: tokens are guessed ahead, and the model verifies them in one iteration.",
      {integer("tokens", "guessed per sequence and iteration").at_least(1).at_most(64).needed(),
       either("acceptance",
              {quantity("", Unit::fraction, "probability").at_most(1),
               list("", quantity("", Unit::fraction, "probability").at_most(1),
                    "by position; the last one holds for all further ones")
                   .at_least(1)},
              "probability that a guess is right when those before it are")
           .needed(),
       refer("model", Reference::model,
             "draft model: on the same unit, with weights and KV cache beside those of the model")
           .default_is("none: the guesses are looked up (n-grams)"),
       stored_as("how the draft model is stored and computed").default_is("its default"),
       quantity("overhead", Unit::duration, "of guessing, per iteration with decodes")
           .by_default("0 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& kv_tier_spec() {
  static const ObjectSpec spec{
      "kv_tier",
      "A slower memory of a replica for KV blocks that the unit's memory gives up.",
      {quantity("capacity", Unit::bytes, "of the tier").above(0).needed(),
       quantity("bandwidth", Unit::bandwidth, "of reading from it; iterations wait").above(0).needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& engine_adapters_spec() {
  static const ObjectSpec spec{
      "engine_adapters",
      "Low-rank adapters (LoRA) beside the weights, on all products of every layer.",
      {integer("rank", "of the adapters").at_least(1).at_most(4096).needed(),
       integer("slots", "adapters in the unit's memory at once; they take memory from the KV cache")
           .at_least(1)
           .at_most(100'000)
           .by_default("8"),
       quantity("bandwidth", Unit::bandwidth, "of loading one; the next iteration waits for it")
           .above(0)
           .by_default("25 GB/s")},
      "",
      {}};
  return spec;
}

std::vector<Field> continuous_batching_fields() {
  return {
      word("scheduling", {"decode-first", "prefill-first", "orca", "static"},
           "who takes part in an iteration. decode-first: running sequences, then parts of prompts "
           "in what is left of max_batched_tokens (vLLM v1, Sarathi-Serve). prefill-first: whole "
           "waiting prompts alone as long as any can start, else running sequences (vLLM v0). "
           "orca: running sequences and whole prompts together, without a limit on tokens; a "
           "sequence starts when there are KV blocks for all of its tokens. static: requests in "
           "batches of which the next starts when the longest sequence of the last has ended, and "
           "which complete as a whole (FasterTransformer); KV blocks as with orca")
          .by_default("decode-first"),
      integer("max_batch", "sequences running at once, of a pipeline in each micro-batch, in each data-parallel rank").at_least(1).at_most(1e6).by_default("64"),
      integer("max_batched_tokens", "tokens per iteration, prompts and decodes together, in each data-parallel rank; not orca, static")
          .at_least(1)
          .by_default("8192"),
      integer("block_size", "KV tokens per block").at_least(1).at_most(65536).by_default("16"),
      integer("kv_tokens", "KV capacity in tokens, of data-parallel ranks in each; 0 = what fits into memory")
          .at_most(1e15)
          .by_default("0"),
      quantity("memory_utilization", Unit::fraction,
               "share of the unit's memory for weights, workspace and KV cache")
          .above(0)
          .at_most(1)
          .by_default("0.9"),
      flag("chunked_prefill", "split prompts that exceed the token budget; decode-first only").by_default("true"),
      flag("reserve_prompt",
           "start a prompt only when all of it fits into the free KV blocks, not just its first "
           "part (vLLM from 0.19 on)")
          .by_default("false"),
      flag("prefix_caching",
           "freed KV blocks keep their contents until they are taken: prompts with a common start "
           "(trace with tokens_per_hash) and preempted sequences use them again; needs "
           "reserve_prompt")
          .by_default("false"),
      word("mode", {"leap", "step"},
           "leap: runs of decode iterations in closed form; step: one by one, for checking. The dates "
           "are the same to the nanosecond")
          .by_default("leap"),
      flag("async_scheduling",
           "plan an iteration while the one before it runs: arrivals and freed blocks count one "
           "iteration later; decode-first only")
          .by_default("false"),
      quantity("watermark", Unit::fraction,
               "share of the KV blocks that a prompt leaves free when it starts beside others "
               "(vLLM v0: 0.01)")
          .at_most(0.9)
          .by_default("0"),
      word("preemption", {"recompute", "swap"},
           "what a sequence does that must give its KV blocks back: compute its tokens again, or "
           "copy them to host memory and back")
          .by_default("recompute"),
      quantity("swap_bandwidth", Unit::bandwidth,
               "of the copies, per replica; iterations wait for them")
          .above(0)
          .by_default("25 GB/s"),
      quantity("swap_space", Unit::bytes,
               "of host memory per replica; sequences that do not fit compute again")
          .by_default("4 GB"),
      word("order", {"arrival", "priority", "fair"},
           "which waiting request is next. priority: of the workload with the largest one; the least "
           "urgent sequence gives its blocks back first (vLLM's priority scheduling). fair: of the "
           "workload that was served least (Virtual Token Counter, Sheng et al. 2024)")
          .by_default("arrival"),
      object("speculation", speculation_spec, "guess tokens ahead").default_is("none"),
      object("adapters", engine_adapters_spec,
             "serve requests that ask for adapters (request.adapters); others ignore what they ask for")
          .default_is("none"),
      list("kv_tiers", object("", kv_tier_spec, "a tier"),
           "where blocks of the prefix cache go when their place is taken, such as host memory and "
           "SSD, fastest first; needs prefix_caching")
          .default_is("none"),
  };
}

}  // namespace isthmus::scenarios
