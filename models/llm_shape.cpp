#include "models/llm_shape.hpp"

#include <algorithm>

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

}  // namespace

double LlmShape::embedding_params() const {
  return d(vocab) * d(hidden) * (tied_embeddings ? 1 : 2);
}

double LlmShape::attention_params() const {
  return d(layers) * d(hidden) * d((2 * heads + 2 * kv_heads) * head_dim);
}

double LlmShape::expert_params() const {
  return d(layers) * (gated_ffn ? 3 : 2) * d(hidden) * d(ffn) * d(experts);
}

double LlmShape::text_params() const {
  const double attention = d(hidden) * d((2 * heads + 2 * kv_heads) * head_dim);
  const double one_ffn = (gated_ffn ? 3 : 2) * d(hidden) * d(ffn);
  const double ffn_block = one_ffn * d(std::max<std::int64_t>(1, experts)) + d(hidden) * d(experts);
  const double norms = 2 * d(hidden);
  return d(layers) * (attention + ffn_block + norms) + embedding_params() + d(hidden);
}

double LlmShape::vision_params() const {
  if (vision.layers == 0) return 0;
  const double attention = 4 * d(vision.hidden) * d(vision.hidden);
  const double ffn_block = (vision.gated_ffn ? 3 : 2) * d(vision.hidden) * d(vision.ffn);
  return d(vision.layers) * (attention + ffn_block + 2 * d(vision.hidden)) + vision.merger_params;
}

double LlmShape::kv_bytes_per_token(Precision kv) const {
  return 2 * d(layers) * d(kv_heads) * d(head_dim) * bytes_of(kv);
}

double weight_bytes(const LlmShape& shape, const LlmVariant& variant) {
  const double head = shape.embedding_params();
  const double body = shape.text_params() - head;
  return layer_bytes(body, shape.attention_params(), variant) +
         stored_bytes(head, variant.head.value_or(variant.weights), variant) +
         stored_bytes(shape.vision_params(), variant.vision.value_or(variant.weights), variant);
}

double stored_bytes(double params, Precision format, const LlmVariant& variant) {
  // Scales and zero points come with the quantized parts only.
  const double overhead = bytes_of(format) < 2 ? variant.weight_overhead : 0;
  return params * bytes_of(format) * (1 + overhead);
}

double layer_bytes(double params, double attention, const LlmVariant& variant) {
  if (!variant.attention) return stored_bytes(params, variant.weights, variant);
  return stored_bytes(params - attention, variant.weights, variant) +
         stored_bytes(attention, *variant.attention, variant);
}

}  // namespace isthmus::models
