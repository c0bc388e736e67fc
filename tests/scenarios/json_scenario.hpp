// Scenarios that tests put together as JSON values.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios::testing {

inline LoadedScenario load_json(const nlohmann::json& s) { return load_text(s.dump(), {}, "s.json"); }

//! "no error" when there is none.
inline std::string first_problem(const nlohmann::json& s) {
  try {
    load_json(s);
  } catch (const InputError& e) {
    return e.problems().front();
  }
  return "no error";
}

}  // namespace isthmus::scenarios::testing
