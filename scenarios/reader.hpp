// Reads a scenario file into the immutable world::Scenario that runs share.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "scenarios/alternatives.hpp"
#include "scenarios/compose.hpp"
#include "sim/world/scenario.hpp"

namespace isthmus::scenarios {

//! A scenario that was read and found sound, with what it wants to compare and to sweep.
struct LoadedScenario {
  Document document;                                //!< merged text, overrides applied
  std::shared_ptr<const world::Scenario> scenario;  //!< without any alternative
  std::vector<Choice> alternatives;                 //!< of "compare"; empty: nothing to compare
  std::vector<Choice> grid;                         //!< of "sweep"; empty: nothing to sweep
};

//! Reads and resolves a scenario file. `overrides` are applied in order, after "extends". Throws
//! one InputError with up to 20 problems, each "file:line:col: /json/pointer: message".
LoadedScenario load(const std::filesystem::path& path, const std::vector<Override>& overrides = {});

//! The same for JSON text; `name` stands in error messages, relative paths start in `folder`.
LoadedScenario load_text(const std::string& json, const std::vector<Override>& overrides = {},
                         const std::string& name = "scenario",
                         const std::filesystem::path& folder = ".");

//! Resolves a document with the edits of one alternative. Throws InputError.
std::shared_ptr<const world::Scenario> resolve(const Document& document,
                                               const std::vector<Edit>& edits = {});

}  // namespace isthmus::scenarios
