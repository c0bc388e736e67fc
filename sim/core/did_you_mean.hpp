// The nearest known name to a misspelt one, for error messages.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace isthmus {

//! Damerau-Levenshtein distance in its optimal string alignment form: insertions, deletions,
//! substitutions and swaps of neighbours cost 1 each, and no part is edited twice. Bytes, case
//! ignored (ASCII), with '_' equal to '-'.
std::size_t edit_distance(std::string_view a, std::string_view b);

//! The candidate that `word` was probably meant to be, or "" if none is close. Close: at most one
//! edit per three characters of the longer word (at least one), or `word` (three characters or
//! more) begins or ends a candidate. The fewest edits win; ties go to the first candidate.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace isthmus
