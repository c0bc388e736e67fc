// Structured pruning: whole channels disappear, and with them the work on both sides of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/model_version.hpp"

namespace isthmus::models {

struct PruneRule {
  std::string match;          //!< what select_operators() takes
  double ratio = 0;           //!< share of the output channels that go, [0, 1)
  std::int64_t multiple = 1;  //!< what remains is rounded up to a multiple of this
  std::string where = "rule";
};

struct PruneOptions {
  std::vector<PruneRule> rules{};  //!< later ones win
  std::optional<Accuracy> accuracy{};
  std::string where = "prune";
};

//! Prunes output channels of the dense convolutions and products that the rules match, and follows
//! them: through depthwise convolutions, norms, gates, pools, elementwise operators, concatenations
//! and flattening into the inputs of the next products. Channels that operators tie together (sums,
//! products of two tensors) go together, at the ratio of the last rule that matches one of them.
//! Channels stay that grouped convolutions, attention, products of activations, softmax, unknown
//! copies, or the model's inputs and outputs hold; what is left alone is counted in the history.
//! Throws InputError when a rule could prune nothing at all, with the reasons, and for graphs that
//! are sparse already.
ModelVersion prune_channels(ModelVersion version, const PruneOptions& options);

}  // namespace isthmus::models
