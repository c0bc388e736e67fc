// The values that a field can have, where there are few: what `compare` tries when it is told none.
#pragma once

#include <string>
#include <vector>

namespace isthmus::scenarios {

//! All values of the word or flag at a JSON pointer of a scenario, e.g. "/network/model"; empty when
//! the tables have no such field or it is neither.
std::vector<std::string> words_at(const std::string& pointer);

}  // namespace isthmus::scenarios
