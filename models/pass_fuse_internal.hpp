// The pattern matchers behind fuse(). Each changes the edit and returns how many it found.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "models/model_version.hpp"
#include "models/pass_edit.hpp"
#include "models/pass_fuse.hpp"

namespace isthmus::models {

//! What a sweep of one pattern did.
struct FuseCount {
  std::size_t found = 0;  //!< patterns fused
  std::size_t apart = 0;  //!< patterns left apart because their formats differ
};

//! Lower case, without '_' and '-', with ONNX's short names spelt out: "mul" = "multiply".
std::string plain_function(std::string_view function);

//! An elementwise operator of one tensor that keeps its shape.
bool is_unary(const Operator& op);

//! Whether `members` agree on their number formats, as far as they use them. Unset formats are
//! those of the version.
bool same_formats(const GraphEdit& edit, const ModelVersion& version,
                  std::span<const std::size_t> members);

FuseCount fuse_attention(GraphEdit& edit, const ModelVersion& version, bool causal);
//! Expansions of activation functions (norms = false) or of layer and RMS norms.
FuseCount fuse_regions(GraphEdit& edit, const ModelVersion& version, bool norms);

}  // namespace isthmus::models
