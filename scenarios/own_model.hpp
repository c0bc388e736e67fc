// Models that questions such as `explain` and `schedule` bring with them.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace isthmus::scenarios {

//! Sizes of a model's input; 0 = as published.
struct InputSizes {
  std::int64_t sequence = 0, image = 0;
  std::map<std::string, std::int64_t> axes;  //!< named axes of an ONNX file
};

//! The model as an entry of "models", when it is a file (a graph or a config.json) or a built-in
//! graph of another size; null when its name says it all. Throws InputError for sizes that it
//! cannot have.
nlohmann::json own_model(const std::string& model, const InputSizes& sizes);

}  // namespace isthmus::scenarios
