#include "models/llm_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

using nlohmann::json;

constexpr std::int64_t largest = 1'000'000'000;

// One object of a configuration, with its place for messages.
class Config {
 public:
  Config(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  [[noreturn]] void refuse(const std::string& what) const {
    throw InputError(fmt::format("{}: {}", where_, what));
  }
  bool has(const char* key) const {
    const auto it = object_.find(key);
    return it != object_.end() && !it->is_null();
  }
  // The first of the keys that is there, as a positive integer; `other` when none is.
  std::int64_t integer(std::initializer_list<const char*> keys, std::int64_t other) const {
    for (const char* key : keys) {
      if (!has(key)) continue;
      const json& v = object_[key];
      if (!v.is_number_integer() || v.get<double>() < 0 || v.get<double>() > largest)
        refuse(fmt::format("{} must be an integer from 0 to {}, not {}", key, largest, v.dump()));
      return v.get<std::int64_t>();
    }
    return other;
  }
  std::int64_t needed(std::initializer_list<const char*> keys) const {
    const std::int64_t v = integer(keys, 0);
    if (v > 0) return v;
    std::string names;
    for (const char* key : keys) names += (names.empty() ? "" : " or ") + std::string(key);
    refuse("needs " + names + ", a positive integer");
  }
  double number(const char* key, double other) const {
    if (!has(key)) return other;
    const json& v = object_[key];
    if (!v.is_number()) refuse(fmt::format("{} must be a number, not {}", key, v.dump()));
    return v.get<double>();
  }
  bool flag(const char* key, bool other) const {
    if (!has(key)) return other;
    if (!object_[key].is_boolean()) refuse(fmt::format("{} must be true or false", key));
    return object_[key].get<bool>();
  }
  std::string text(const char* key) const {
    return has(key) && object_[key].is_string() ? object_[key].get<std::string>() : "";
  }
  Config below(const char* key) const {
    if (!object_[key].is_object()) refuse(fmt::format("{} must be an object", key));
    return {object_[key], where_ + ": " + key};
  }

 private:
  const json& object_;
  std::string where_;
};

json read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(path + ": cannot be read");
  try {
    json all = json::parse(file);
    if (!all.is_object()) throw InputError(path + ": is no model configuration (a JSON object)");
    return all;
  } catch (const json::exception& e) {
    throw InputError(fmt::format("{}: is not JSON: {}", path, e.what()));
  }
}

bool one_of(const std::string& word, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(), [&](const char* w) { return word == w; });
}

VisionTower tower(const Config& c, std::int64_t text_width, bool glm) {
  VisionTower t;
  t.layers = c.needed({"depth", "num_hidden_layers"});
  // Qwen2-VL calls the width of its tower embed_dim and the text's width hidden_size.
  t.hidden = c.needed({"embed_dim", "hidden_size"});
  t.heads = c.needed({"num_heads", "num_attention_heads"});
  const double ratio = c.number("mlp_ratio", 0);
  if (!c.has("intermediate_size") && !(ratio > 0 && ratio < 1000))
    c.refuse("needs intermediate_size or mlp_ratio");
  t.gated_ffn = c.has("intermediate_size") && !c.has("mlp_ratio");
  t.ffn = c.integer({"intermediate_size"},
                    static_cast<std::int64_t>(ratio * static_cast<double>(t.hidden)));
  t.patch = c.needed({"patch_size"});
  t.merge = c.integer({"spatial_merge_size"}, 1);
  if (t.merge < 1) c.refuse("spatial_merge_size must be positive");
  const double merged = static_cast<double>(t.hidden * t.merge * t.merge);
  const double frames = static_cast<double>(c.integer({"temporal_patch_size"}, 1));
  const double embedding = 3 * frames * static_cast<double>(t.patch * t.patch * t.hidden);
  if (glm) {
    // GLM-4V: blocks as wide inside as the text, a gated merger of its own width behind them.
    const double out = static_cast<double>(c.needed({"out_hidden_size"}));
    t.merger_params = embedding + merged * out + out * out + 3 * out * static_cast<double>(t.ffn);
    t.ffn = c.needed({"out_hidden_size"});
  } else {
    t.merger_params = embedding + merged * merged + merged * static_cast<double>(text_width);
  }
  return t;
}

}  // namespace

LlmShape llm_from_config(const std::string& path, const std::string& name) {
  const json all = read(path);
  const Config top(all, path);
  const Config c = top.has("text_config") ? top.below("text_config") : top;
  const std::string type = top.text("model_type");
  if (one_of(type, {"bert", "roberta", "distilbert", "vit", "deit", "t5", "whisper", "clip"}))
    c.refuse(
        fmt::format("model_type \"{}\" is no decoder-only language model; import it as a "
                    "graph from ONNX",
                    type));
  if (c.has("kv_lora_rank")) c.refuse("latent attention (kv_lora_rank) is not modelled");
  if (c.integer({"n_shared_experts"}, 0) > 0 ||
      c.integer({"shared_expert_intermediate_size"}, 0) > 0)
    c.refuse("mixtures with shared experts are not modelled");

  LlmShape s;
  s.name = name;
  s.layers = c.needed({"num_hidden_layers", "n_layer"});
  s.hidden = c.needed({"hidden_size", "n_embd"});
  s.heads = c.needed({"num_attention_heads", "n_head"});
  s.kv_heads = c.integer({"num_key_value_heads"}, s.heads);
  if (!c.has("head_dim") && s.hidden % s.heads != 0)
    c.refuse(fmt::format("hidden_size {} is no multiple of {} heads and there is no head_dim",
                         s.hidden, s.heads));
  s.head_dim = c.integer({"head_dim"}, s.hidden / s.heads);
  s.experts = c.integer({"num_experts", "num_local_experts", "n_routed_experts"}, 0);
  s.experts_active = c.integer({"num_experts_per_tok"}, 0);
  if (s.experts > 0 && (s.experts_active < 1 || s.experts_active > s.experts))
    c.refuse(fmt::format("num_experts_per_tok must be from 1 to {}", s.experts));
  const bool plain =
      one_of(type, {"opt", "gpt2", "gpt_neox", "gptj", "phi", "falcon", "bloom", "mpt"});
  s.gated_ffn = !plain;
  s.ffn = s.experts > 0
              ? c.needed({"moe_intermediate_size", "intermediate_size"})
              : c.integer({"intermediate_size", "ffn_dim", "n_inner"}, plain ? 4 * s.hidden : 0);
  if (s.ffn < 1) c.refuse("needs intermediate_size, a positive integer");
  s.vocab = c.integer({"vocab_size"}, 0);
  if (s.vocab < 1) s.vocab = top.needed({"vocab_size"});
  s.tied_embeddings = c.flag("tie_word_embeddings", top.flag("tie_word_embeddings", plain));
  s.max_positions = c.integer({"max_position_embeddings", "n_positions"}, 0);
  if (s.kv_heads < 1 || s.heads % s.kv_heads != 0)
    c.refuse(fmt::format("{} heads are no multiple of {} key-value heads", s.heads, s.kv_heads));
  if (top.has("vision_config")) {
    s.vision = tower(top.below("vision_config"), s.hidden, type.starts_with("glm4v"));
  }
  return s;
}

}  // namespace isthmus::models
