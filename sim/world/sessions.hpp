// Prompts of agent sessions: every turn brings a screenshot and text, and its prompt holds what was
// said before. Old screenshots leave the prompt, and with them the beginning that two turns share.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/world/arrivals.hpp"

namespace isthmus::world {

//! One turn of a session. Tokens; bytes that its screenshot adds to every request that carries it.
struct Turn {
  std::uint32_t image = 0, text = 0, answer = 0;
  double upload = 0;
};

//! What the request of the last turn sends.
struct SessionPrompt {
  std::uint32_t tokens = 0;            //!< of the whole prompt
  std::uint32_t image_end = 0;         //!< of them, up to the end of the newest screenshot; 0: it has none
  double upload = 0;                   //!< bytes
  std::shared_ptr<const PromptBlocks> blocks;
};

//! The prompt of the last of `turns` (at least one): system prompt, then of each turn its screenshot
//! if that is among the newest `keep_images`, its text and, of earlier turns, its answer. Equal
//! pieces of text have equal contents: the system prompt in all sessions of `workload` (a number of
//! its own), everything else within `session`.
SessionPrompt session_prompt(const SessionShape& shape, std::uint64_t workload,
                             std::uint64_t session, const std::vector<Turn>& turns);

}  // namespace isthmus::world
