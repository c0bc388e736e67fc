#include "models/llm_layout.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/errors.hpp"

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

std::vector<LlmStage> stages_of(const LlmLayout& layout, std::int64_t layers) {
  std::vector<LlmStage> all = pipeline_stages(layers, layout.pipeline);
  const auto& given = layout.stage_layers;
  if (given.empty()) return all;
  std::int64_t sum = 0;
  for (const std::int64_t n : given) sum += n;
  if (given.size() != all.size() || sum != layers ||
      std::any_of(given.begin(), given.end(), [](std::int64_t n) { return n < 1; }))
    throw InputError(fmt::format("{} layers cannot be divided into {} stages of {}: every stage needs "
                                 "one, and together they are all",
                                 layers, layout.pipeline, fmt::join(given, ", ")));
  for (std::size_t i = 0; i < all.size(); ++i) all[i].layers = given[i];
  return all;
}

double weight_bytes(const LlmShape& shape, const LlmVariant& variant, const LlmStage& stage) {
  if (stage.first && stage.last) return weight_bytes(shape, variant);
  const auto hidden = static_cast<double>(shape.hidden);
  const double body = shape.text_params() - shape.embedding_params() - hidden;
  const double own = body * static_cast<double>(stage.layers) / static_cast<double>(shape.layers);
  const double matrix = static_cast<double>(shape.vocab) * hidden;
  const double attention = shape.attention_params() * static_cast<double>(stage.layers) /
                           static_cast<double>(shape.layers);
  double bytes = layer_bytes(own + (stage.last ? hidden : 0), attention, variant);
  if (stage.first || stage.last)
    bytes += stored_bytes(matrix, variant.head.value_or(variant.weights), variant);
  if (stage.first)
    bytes += stored_bytes(shape.vision_params(), variant.vision.value_or(variant.weights), variant);
  return bytes;
}

}  // namespace isthmus::models
