// Markdown pages that are written from the tables: docs/scenario_reference.md, docs/catalogue.md.
#pragma once

#include <string>

#include "scenarios/catalogue.hpp"

namespace isthmus::scenarios {

//! docs/scenario_reference.md, complete. A test keeps the file equal to it; it is rewritten when
//! ISTHMUS_UPDATE is set for the test program.
std::string scenario_reference_markdown();

//! docs/catalogue.md: every shipped device, link and model with its figures and their sources.
std::string catalogue_markdown(const Catalogue& catalogue);

}  // namespace isthmus::scenarios
