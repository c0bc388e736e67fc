// What a result says about the program that made it. The build may define both macros.
#pragma once

#include <string_view>

namespace isthmus::results {

#ifdef ISTHMUS_VERSION
inline constexpr std::string_view program_version = ISTHMUS_VERSION;
#else
inline constexpr std::string_view program_version = "unknown";
#endif

#ifdef ISTHMUS_GIT_SHA
inline constexpr std::string_view git_sha = ISTHMUS_GIT_SHA;
#else
inline constexpr std::string_view git_sha = "unknown";
#endif

//! Version of run.h5 and summary.json; rises when a reader must change.
inline constexpr int results_version = 1;

}  // namespace isthmus::results
