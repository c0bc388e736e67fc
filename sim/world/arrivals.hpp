// Streams of arrivals: generators and trace readers behind one interface. Nothing is preloaded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sim/world/scenario.hpp"

namespace isthmus::world {

//! What the blocks of a prompt hold, from its start: equal numbers mean equal tokens up to the end of
//! the block. The last block may be a part of one.
struct PromptBlocks {
  std::uint32_t tokens = 0;            //!< per block
  std::vector<std::uint64_t> contents;
};

//! The next thing that a workload brings.
struct Arrival {
  Instant at;
  std::uint64_t index = 0;             //!< 0, 1, ... within the workload
  //! Set by traces; otherwise the request's own draws decide.
  std::optional<std::uint32_t> prompt_tokens, output_tokens, image_tokens;
  std::optional<double> upload, download;  //!< bytes
  std::optional<std::uint32_t> client;
  std::uint64_t key = 0;               //!< fingerprint of the request; 0: unlike all others
  std::shared_ptr<const PromptBlocks> prompt_blocks;  //!< null: prompts have nothing in common
};

//! An open stream of arrivals in order of date. Not thread-safe; one per run and workload.
class ArrivalSource {
 public:
  virtual ~ArrivalSource() = default;
  //! The next arrival, or nothing when the stream has ended. Throws InputError with file and line
  //! for a malformed trace row.
  virtual std::optional<Arrival> next() = 0;
};

//! Makes the stream of a workload; `seed` is the run's master seed. Not for ArrivalKind::closed.
std::unique_ptr<ArrivalSource> make_arrival_source(const Workload& workload, std::uint64_t seed);

}  // namespace isthmus::world
