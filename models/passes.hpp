// All passes by name, for scenario files and the command line.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "models/model_version.hpp"

namespace isthmus::models {

//! A key of a pass's JSON object.
struct PassParameter {
  std::string name;
  std::string type;           //!< "text", "number", "integer", "flag", "format", "list of ..."
  std::string unit;           //!< "" = none
  std::string default_value;  //!< as JSON; "" = required; "none" = absent
  std::string help;
  std::vector<PassParameter> fields{};  //!< of the objects in a list
};

//! A pass as documentation and editors need it.
struct PassInfo {
  std::string name;
  std::string summary;
  bool keeps_accuracy = false;
  std::vector<PassParameter> parameters;
};

//! Every pass, in alphabetical order.
std::vector<PassInfo> pass_catalogue();

//! Applies a JSON array of passes, in order:
//!   [{"pass": "fuse"}, {"pass": "prune", "match": "layers.*.mlp", "ratio": 0.3}]
//! `at` is the JSON pointer of the array, for messages. Throws InputError naming the pointer of
//! what is wrong: all unknown keys of an object at once, else the first problem.
ModelVersion apply_passes(ModelVersion version, const nlohmann::json& passes,
                          std::string_view at = "");

}  // namespace isthmus::models
