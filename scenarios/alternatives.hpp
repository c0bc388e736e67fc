// The alternatives of "compare" and the grid of "sweep": sets of edits with a label.
#pragma once

#include <string>
#include <vector>

#include "scenarios/compose.hpp"

namespace isthmus::scenarios {

//! One alternative.
struct Choice {
  std::string label;  //!< e.g. "always-cloud", or "policy=score, alpha=0.6"
  std::vector<Edit> edits;
  //! What the alternative sets, one entry per axis: the pointer (or "variant") and the value.
  std::vector<std::pair<std::string, std::string>> settings;
};

//! All combinations of the lists in `table` (an object as FieldType::pointers describes), the last
//! axis fastest; named variants are the first axis. At most 100,000. Throws InputError.
std::vector<Choice> choices_of(const Value& table, Sources& sources);

//! The same for one pointer and values in text form, as `isthmus compare` takes them.
std::vector<Choice> choices_of(const std::string& pointer, const std::vector<std::string>& values,
                               Sources& sources);

//! Combines the alternatives of two lists; an empty list stands for "nothing set".
std::vector<Choice> product(const std::vector<Choice>& a, const std::vector<Choice>& b);

}  // namespace isthmus::scenarios
