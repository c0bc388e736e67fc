// SHA-256, to name the scenario that a result belongs to.
#pragma once

#include <string>
#include <string_view>

namespace isthmus::results {

//! SHA-256 of the bytes of `data` (FIPS 180-4) as 64 lower-case hexadecimal digits.
std::string sha256(std::string_view data);

}  // namespace isthmus::results
