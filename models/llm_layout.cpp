#include "models/llm_layout.hpp"

namespace isthmus::models {

std::vector<LlmStage> pipeline_stages(std::int64_t layers, int stages) {
  std::vector<LlmStage> all;
  const std::int64_t remaining = layers % stages;
  for (int i = 0; i < stages; ++i) {
    const int behind = stages - 1 - i;  // stages after this one
    const bool one_more = behind >= 1 && behind <= remaining;
    all.push_back({layers / stages + (one_more ? 1 : 0), i == 0, i == stages - 1});
  }
  return all;
}

double weight_bytes(const LlmShape& shape, const LlmVariant& variant, const LlmStage& stage) {
  if (stage.first && stage.last) return weight_bytes(shape, variant);
  const auto hidden = static_cast<double>(shape.hidden);
  const double body = shape.text_params() - shape.embedding_params() - hidden;
  const double own = body * static_cast<double>(stage.layers) / static_cast<double>(shape.layers);
  const double matrix = static_cast<double>(shape.vocab) * hidden;
  double bytes = stored_bytes(own + (stage.last ? hidden : 0), variant.weights, variant);
  if (stage.first || stage.last)
    bytes += stored_bytes(matrix, variant.head.value_or(variant.weights), variant);
  if (stage.first)
    bytes += stored_bytes(shape.vision_params(), variant.vision.value_or(variant.weights), variant);
  return bytes;
}

}  // namespace isthmus::models
