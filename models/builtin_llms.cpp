#include "models/builtin_llms.hpp"

#include <algorithm>
#include <array>

#include "models/name_error.hpp"

namespace isthmus::models {

namespace {

// One row per model, figures from the config.json of the named Hugging Face repository.
// Columns: name, layers, hidden, heads, kv_heads, head_dim, ffn, vocab, tied, experts, active,
// max_positions. OPT has plain feed-forward blocks, all others gated ones.
struct Row {
  const char* name;
  std::int64_t layers, hidden, heads, kv_heads, head_dim, ffn, vocab;
  bool tied;
  std::int64_t experts, active, positions;
};

constexpr std::array rows{
    // zai-org/AutoGLM-Phone-9B; text part of GLM-4.1V-9B-Thinking
    Row{"autoglm-phone-9b", 40, 4096, 32, 2, 128, 13696, 151552, false, 0, 0, 65536},
    Row{"llama-2-7b", 32, 4096, 32, 32, 128, 11008, 32000, false, 0, 0, 4096},      // meta-llama
    Row{"llama-2-70b", 80, 8192, 64, 8, 128, 28672, 32000, false, 0, 0, 4096},      // meta-llama
    Row{"llama-3.1-8b", 32, 4096, 32, 8, 128, 14336, 128256, false, 0, 0, 131072},  // meta-llama
    Row{"llama-3.1-70b", 80, 8192, 64, 8, 128, 28672, 128256, false, 0, 0, 131072},
    Row{"llama-3.2-1b", 16, 2048, 32, 8, 64, 8192, 128256, true, 0, 0, 131072},  // meta-llama
    Row{"llama-3.2-3b", 28, 3072, 24, 8, 128, 8192, 128256, true, 0, 0, 131072},
    Row{"mixtral-8x7b", 32, 4096, 32, 8, 128, 14336, 32000, false, 8, 2, 32768},    // mistralai
    Row{"opt-13b", 40, 5120, 40, 40, 128, 20480, 50272, true, 0, 0, 2048},          // facebook
    Row{"opt-66b", 64, 9216, 72, 72, 128, 36864, 50272, true, 0, 0, 2048},          // facebook
    Row{"qwen2-vl-2b", 28, 1536, 12, 2, 128, 8960, 151936, true, 0, 0, 32768},      // Qwen
    Row{"qwen2.5-1.5b", 28, 1536, 12, 2, 128, 8960, 151936, true, 0, 0, 32768},     // Qwen
    Row{"qwen2.5-7b", 28, 3584, 28, 4, 128, 18944, 152064, false, 0, 0, 131072},    // Qwen
    Row{"qwen2.5-14b", 48, 5120, 40, 8, 128, 13824, 152064, false, 0, 0, 131072},   // Qwen
    Row{"qwen3-0.6b", 28, 1024, 16, 8, 128, 3072, 151936, true, 0, 0, 40960},       // Qwen
    Row{"qwen3-1.7b", 28, 2048, 16, 8, 128, 6144, 151936, true, 0, 0, 40960},       // Qwen
    Row{"qwen3-4b", 36, 2560, 32, 8, 128, 9728, 151936, true, 0, 0, 262144},        // Qwen
    Row{"qwen3-8b", 36, 4096, 32, 8, 128, 12288, 151936, false, 0, 0, 40960},       // Qwen
    Row{"qwen3-30b-a3b", 48, 2048, 32, 4, 128, 768, 151936, false, 128, 8, 40960},  // Qwen
    Row{"qwen3-32b", 64, 5120, 64, 8, 128, 25600, 151936, false, 0, 0, 40960},      // Qwen
};

// The towers of the models that see. The merger is the projection from merged patches to tokens,
// together with the patch embedding.
VisionTower tower_of(std::string_view name) {
  if (name == "autoglm-phone-9b")  // patch 1,806,336 + merger 210,239,488; block FFN 4096, gated
    return {.layers = 24,
            .hidden = 1536,
            .heads = 12,
            .ffn = 4096,
            .patch = 14,
            .merge = 2,
            .merger_params = 212045824,
            .gated_ffn = true};
  if (name == "qwen2-vl-2b")  // patch 3*2*14*14*1280; merger 5120*5120 + 5120*1536
    return {.layers = 32,
            .hidden = 1280,
            .heads = 16,
            .ffn = 5120,
            .patch = 14,
            .merge = 2,
            .merger_params = 1505280 + 26214400 + 7864320,
            .gated_ffn = false};
  return {};
}

}  // namespace

std::vector<std::string> builtin_llm_names() {
  std::vector<std::string> names;
  for (const Row& r : rows) names.emplace_back(r.name);
  std::sort(names.begin(), names.end());
  return names;
}

LlmShape builtin_llm(std::string_view name) {
  for (const Row& r : rows)
    if (r.name == name) {
      LlmShape s;
      s.name = r.name;
      s.layers = r.layers;
      s.hidden = r.hidden;
      s.heads = r.heads;
      s.kv_heads = r.kv_heads;
      s.head_dim = r.head_dim;
      s.ffn = r.ffn;
      s.gated_ffn = !name.starts_with("opt-");
      s.vocab = r.vocab;
      s.tied_embeddings = r.tied;
      s.experts = r.experts;
      s.experts_active = r.active;
      s.max_positions = r.positions;
      s.vision = tower_of(name);
      return s;
    }
  throw name_error("language model", name, builtin_llm_names());
}

}  // namespace isthmus::models
