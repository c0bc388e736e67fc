// The scenario language as a JSON Schema (draft 2020-12), for completion and checks in editors.
#pragma once

#include <string>

namespace isthmus::scenarios {

//! The schema as JSON text. Every table becomes a definition; references to names inside a scenario
//! cannot be expressed and are plain strings there.
std::string json_schema();

}  // namespace isthmus::scenarios
