// A mark and a hash behind the contents of a file, so that damage is found before it is parsed.
#pragma once

#include <string>

namespace isthmus::h5 {

//! Appends the seal of the file's present contents; false when it cannot be written.
bool append_seal(const std::string& path);
//! False when the file ends in a seal that does not belong to what precedes it; true otherwise, and
//! for files without a seal.
bool seal_holds(const std::string& path);

}  // namespace isthmus::h5
