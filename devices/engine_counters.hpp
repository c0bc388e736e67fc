// What LLM engines have done.
#pragma once

#include <cstdint>

namespace isthmus::devices {

//! Counts since the start of an engine; sums and differences of them.
struct EngineCounters {
  std::uint64_t iterations = 0;
  std::uint64_t sequence_steps = 0;   //!< sum over iterations of the sequences in them
  std::uint64_t preemptions = 0;
  std::uint64_t prompt_tokens = 0;    //!< of requests when they start, if computed here
  std::uint64_t cached_tokens = 0;    //!< that the prefix cache had when a sequence started
  std::uint64_t fetched_tokens = 0;   //!< that slower tiers had
  std::uint64_t swapped_tokens = 0;   //!< that came back from host memory
  std::uint64_t guessed_tokens = 0;   //!< by speculation
  std::uint64_t accepted_tokens = 0;  //!< of these, that became output
  std::uint64_t adapter_loads = 0;
  //! Data-parallel ranks alone: their iterations, and those of padding, for which they had no work.
  std::uint64_t rank_iterations = 0, dummy_iterations = 0;

  EngineCounters& operator+=(const EngineCounters& o) { return add(o, 1); }
  //! Differences may wrap around in between, sums of them are right again.
  EngineCounters& operator-=(const EngineCounters& o) { return add(o, ~std::uint64_t{0}); }

 private:
  EngineCounters& add(const EngineCounters& o, std::uint64_t sign) {
    for (const auto field :
         {&EngineCounters::iterations, &EngineCounters::sequence_steps, &EngineCounters::preemptions,
          &EngineCounters::prompt_tokens, &EngineCounters::cached_tokens,
          &EngineCounters::fetched_tokens, &EngineCounters::swapped_tokens,
          &EngineCounters::guessed_tokens, &EngineCounters::accepted_tokens,
          &EngineCounters::adapter_loads, &EngineCounters::rank_iterations,
          &EngineCounters::dummy_iterations})
      this->*field += sign * (o.*field);
    return *this;
  }
};

}  // namespace isthmus::devices
