// Reads the shared reference cases; a test skips when the folder is absent, never when a case is.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace isthmus::testing {

//! Folder of the reference data: ISTHMUS_DATA, or ../shared beside the source tree.
inline std::filesystem::path data_folder() {
  const char* set = std::getenv("ISTHMUS_DATA");
  return set != nullptr && *set != 0 ? std::filesystem::path(set)
                                     : std::filesystem::path(ISTHMUS_SOURCE_DIR "/../shared");
}

inline bool truth_is_absent() { return !std::filesystem::exists(data_folder() / "truth"); }

//! The cases of truth/<name>.json.
inline nlohmann::json truth_cases(const std::string& name) {
  std::ifstream in(data_folder() / "truth" / (name + ".json"));
  return nlohmann::json::parse(in).at("cases");
}

//! Number of cases per model.
inline std::map<std::string, int> cases_per_model(const nlohmann::json& cases) {
  std::map<std::string, int> n;
  for (const auto& c : cases) ++n[c.at("model").get<std::string>()];
  return n;
}

//! Number of failed expectations of the running test so far; a case passed when it adds none.
inline int failures_so_far() {
  return ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
}

//! True when `key` has a value; the cases write "no value" by leaving it out or as null.
inline bool has(const nlohmann::json& object, const char* key) {
  return object.contains(key) && !object.at(key).is_null();
}

}  // namespace isthmus::testing

#define ISTHMUS_NEED_TRUTH()                                               \
  if (isthmus::testing::truth_is_absent())                                 \
  GTEST_SKIP() << "no folder truth in " << isthmus::testing::data_folder() \
               << "; set ISTHMUS_DATA to the reference data"
