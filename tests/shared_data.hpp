// Where tests find the shared cases and measurements.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace isthmus::testing {

//! The folder that ISTHMUS_DATA names, else `shared` beside the source tree; it may not exist.
inline std::filesystem::path shared_data() {
  const char* set = std::getenv("ISTHMUS_DATA");
  if (set != nullptr && *set != '\0') return set;
  return std::filesystem::path(ISTHMUS_SOURCE_DIR).parent_path() / "shared";
}

}  // namespace isthmus::testing
