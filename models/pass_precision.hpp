// Mixed precision: number formats module by module.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "models/model_version.hpp"

namespace isthmus::models {

struct PrecisionRule {
  std::string match;  //!< what select_operators() takes
  std::optional<Precision> weights{}, activations{};
  //! Weights that share one scale; 0 = so many that scales do not count (per channel or tensor).
  std::size_t group_size = 0;
  double scale_bytes = 2;      //!< per group: the scale, and the zero point if there is one
  std::string where = "rule";  //!< names the rule in messages
};

struct PrecisionOptions {
  std::vector<PrecisionRule> rules{};  //!< later ones win, weights and activations apart
  //! Format of softmax and norm operators whatever the rules say; none = the rules decide.
  std::optional<Precision> sensitive{};
  //! Insert copies where a tensor is read in another format than it is written in.
  bool conversions = false;
  std::optional<Accuracy> accuracy{};  //!< of the result
  std::string where = "precision";
};

//! Sets Operator::weights and ::activations. Operators without parameters take the format of their
//! activations for both. Scales of groups are added to the parameters, in units of the weight
//! format: 4-bit weights in groups of 128 with 16-bit scales count 1 + 16 / (4 * 128) each.
//! Conversions are copy operators with the functions "quantize", "dequantize" and "cast", one per
//! tensor and target format, whose input elements are counted in units of the target format.
//! Clears the accuracy unless nothing changes or one is given.
//! Throws InputError for a rule that matches nothing, sets nothing, or groups weights twice.
ModelVersion set_precision(ModelVersion version, const PrecisionOptions& options);

}  // namespace isthmus::models
