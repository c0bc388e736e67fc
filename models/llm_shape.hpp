// Shapes of decoder transformers with an optional vision tower. Source of each figure: the
// catalogue.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "models/precision.hpp"

namespace isthmus::models {

//! A ViT that turns image patches into prompt tokens.
struct VisionTower {
  std::int64_t layers = 0, hidden = 0, heads = 0, ffn = 0;
  std::int64_t patch = 0;    //!< pixels per patch side
  std::int64_t merge = 1;    //!< merge x merge patches become one token
  double merger_params = 0;  //!< parameters of patch embedding and merger together
  bool gated_ffn = true;
};

//! A decoder-only language model; `experts` > 0 for mixtures.
struct LlmShape {
  std::string name;
  std::int64_t layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocab = 0;
  bool gated_ffn = true;
  bool tied_embeddings = false;
  std::int64_t experts = 0, experts_active = 0;
  std::int64_t max_positions = 0;
  VisionTower vision;  //!< layers == 0: text only

  //! Weights of the input embedding and the output head (one matrix when tied).
  double embedding_params() const;
  //! Weights of q, k, v and output projections of all layers.
  double attention_params() const;
  //! Weights of the experts of all layers; 0: not a mixture.
  double expert_params() const;
  //! Weights of the language part: attention, feed-forward (all experts and the router), norms and
  //! embeddings; biases are left out (below 0.1 % of any shape here).
  double text_params() const;
  //! Weights of the vision tower, patch embedding and merger included.
  double vision_params() const;
  //! KV-cache bytes of one token in format `kv`.
  double kv_bytes_per_token(Precision kv) const;
};

//! How the shape is stored and computed.
struct LlmVariant {
  std::string name;
  Precision weights = Precision::bf16;
  Precision activations = Precision::bf16;
  Precision kv = Precision::bf16;
  //! Extra bytes for scales and zero points, fraction of the parts narrower than 16 bits.
  double weight_overhead = 0;
  double accuracy = 0;          //!< task accuracy in [0, 1]
  std::string accuracy_metric;  //!< what `accuracy` counts, e.g. "AndroidWorld task success"
  std::string accuracy_source;  //!< where it was published
  //! Format of the embedding and output head; none = as `weights`. AWQ, GPTQ and most int4 files
  //! keep them at 16 bits, which is a quarter of the bytes that a small model reads per token.
  std::optional<Precision> head;
  //! Format of the vision tower; none = as `weights`. Usually 16 bits.
  std::optional<Precision> vision;
  //! Format of the attention's projections (q, k, v, output); none = as `weights`, which then is the
  //! format of the feed-forward alone.
  std::optional<Precision> attention;
  //! Share of the feed-forward's neurons that a token needs, (0, 1]; below 1 only those that some
  //! token of the iteration needs are read and computed (contextual sparsity). Not for mixtures.
  double ffn_active = 1;
  //! Kernels that one decoder layer launches, >= 1: five for the four products and attention, fewer
  //! when fused, more without any fusion.
  double layer_kernels = 5;
  //! Share of the layers' weights that stays in host memory and is copied in every iteration, [0, 1].
  double host_weights = 0;
  //! The copies run ahead, beside the computation: the longer of the two counts, not their sum.
  bool prefetch = false;
};

//! Bytes of `params` weights stored as `format` in this variant, scales included where quantized.
double stored_bytes(double params, Precision format, const LlmVariant& variant);

//! Bytes of `params` weights of decoder layers, of which `attention` are projections of attention.
double layer_bytes(double params, double attention, const LlmVariant& variant);

//! Bytes of all weights (text and vision) of a variant.
double weight_bytes(const LlmShape& shape, const LlmVariant& variant);

}  // namespace isthmus::models
