// Is this text UTF-8, and if not, what is it?
#pragma once

#include <string_view>

namespace isthmus::scenarios {

//! First byte that is no valid UTF-8 (overlong forms and surrogates included), or null.
const char* find_invalid_utf8(std::string_view text);

//! Name of another encoding that the first bytes betray ("UTF-16", "UTF-32"), or null.
const char* foreign_encoding(std::string_view text);

}  // namespace isthmus::scenarios
