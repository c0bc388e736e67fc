// The reference page of the policies, written from what they declare about themselves.
#pragma once

#include <string>

namespace isthmus::schedulers {

//! docs/policies.md, complete, in Markdown. A test keeps the file equal to it; the test program
//! rewrites the file when ISTHMUS_UPDATE is set.
std::string policies_markdown();

}  // namespace isthmus::schedulers
