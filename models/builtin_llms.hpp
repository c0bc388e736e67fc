// Shapes of published language models by name. Variants and accuracies live in the catalogue.
#pragma once

#include <string_view>
#include <vector>

#include "models/llm_shape.hpp"

namespace isthmus::models {

//! The shape called `name` ("llama-3.1-8b"). Throws InputError with a suggestion when there is
//! none.
LlmShape builtin_llm(std::string_view name);
//! All names, sorted.
std::vector<std::string> builtin_llm_names();

}  // namespace isthmus::models
