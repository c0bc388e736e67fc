// Sparsity without a change of shapes: zero weights, and weights that a sample does not touch.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "models/model_version.hpp"

namespace isthmus::models {

struct SparsityRule {
  std::string match;  //!< what select_operators() takes
  double zeros = 0;   //!< share of weights that are zero, [0, 1)
  //! N:M sparsity, `kept` of every `of` neighbours stay; of = 0: no structure, `zeros` counts.
  std::size_t kept = 0, of = 0;
  //! Bits that place one kept weight. None = log2(of), rounded up, with structure; else one bit per
  //! weight of the dense matrix, kept or not.
  std::optional<double> index_bits{};
  //! By how much the hardware's kernels are faster than dense ones; 1 = they multiply zeros too.
  double sparse_speedup = 1;
  std::string where = "rule";
};

struct SparsifyOptions {
  std::vector<SparsityRule> rules{};  //!< later ones win
  std::optional<Accuracy> accuracy{};
  std::string where = "sparsify";
};

//! Zero weights of convolutions and products. Parameters become what is stored: kept weights and
//! their places, in units of the weight format, or the dense matrix where that is smaller; biases
//! stay. flops and macs are divided by `sparse_speedup`, which may not exceed 1 / (share kept).
ModelVersion sparsify(ModelVersion version, const SparsifyOptions& options);

struct ActivationRule {
  std::string match;
  double active = 1;  //!< share of the parameters that a sample touches, (0, 1]
  std::string where = "rule";
};

struct SparseActivationOptions {
  std::vector<ActivationRule> rules{};  //!< later ones win
  std::optional<Accuracy> accuracy{};
  std::string where = "sparse-activation";
};

//! Convolutions and products that skip rows or channels by the sample's own activations:
//! Operator::active, flops and macs are multiplied by the share.
ModelVersion sparse_activation(ModelVersion version, const SparseActivationOptions& options);

}  // namespace isthmus::models
