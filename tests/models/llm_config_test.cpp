// Configurations as they are published, against the built-in shapes made from the same models.
#include "models/llm_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "models/builtin_llms.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

class Config : public ::testing::Test {
 protected:
  Config()
      : path_(std::filesystem::temp_directory_path() /
              ("config-" + std::to_string(std::random_device{}()) + ".json")) {}
  ~Config() override { std::filesystem::remove(path_); }
  LlmShape read(const std::string& text) {
    std::ofstream(path_) << text;
    return llm_from_config(path_.string(), "own");
  }
  std::string error(const std::string& text) {
    try {
      read(text);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
  std::filesystem::path path_;
};

void expect_same(const LlmShape& a, const LlmShape& b) {
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.head_dim, b.head_dim);
  EXPECT_EQ(a.max_positions, b.max_positions);
  EXPECT_EQ(a.gated_ffn, b.gated_ffn);
  EXPECT_EQ(a.experts_active, b.experts_active);
  EXPECT_EQ(a.vision.heads, b.vision.heads);
  EXPECT_EQ(a.vision.merge, b.vision.merge);
  EXPECT_DOUBLE_EQ(a.text_params(), b.text_params());
  EXPECT_DOUBLE_EQ(a.vision_params(), b.vision_params());
  EXPECT_DOUBLE_EQ(a.kv_bytes_per_token(Precision::bf16), b.kv_bytes_per_token(Precision::bf16));
}

TEST_F(Config, DenseWithGroupedQueries) {
  expect_same(read(R"({"model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096,
      "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
      "vocab_size": 128256, "tie_word_embeddings": false, "max_position_embeddings": 131072})"),
              builtin_llm("llama-3.1-8b"));
}

TEST_F(Config, PlainFeedForward) {
  expect_same(read(R"({"model_type": "opt", "num_hidden_layers": 40, "hidden_size": 5120,
      "num_attention_heads": 40, "ffn_dim": 20480, "vocab_size": 50272,
      "max_position_embeddings": 2048})"),
              builtin_llm("opt-13b"));
}

TEST_F(Config, Mixture) {
  expect_same(read(R"({"model_type": "qwen3_moe", "num_hidden_layers": 48, "hidden_size": 2048,
      "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
      "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128,
      "num_experts_per_tok": 8, "vocab_size": 151936, "tie_word_embeddings": false,
      "max_position_embeddings": 40960})"),
              builtin_llm("qwen3-30b-a3b"));
}

TEST_F(Config, VisionLanguage) {
  expect_same(read(R"({"model_type": "qwen2_vl", "num_hidden_layers": 28, "hidden_size": 1536,
      "num_attention_heads": 12, "num_key_value_heads": 2, "intermediate_size": 8960,
      "vocab_size": 151936, "tie_word_embeddings": true, "max_position_embeddings": 32768,
      "vision_config": {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16,
        "hidden_size": 1536, "patch_size": 14, "spatial_merge_size": 2,
        "temporal_patch_size": 2}})"),
              builtin_llm("qwen2-vl-2b"));
  expect_same(read(R"({"model_type": "glm4v", "tie_word_embeddings": false,
      "text_config": {"num_hidden_layers": 40, "hidden_size": 4096, "num_attention_heads": 32,
        "num_key_value_heads": 2, "intermediate_size": 13696, "vocab_size": 151552,
        "max_position_embeddings": 65536},
      "vision_config": {"depth": 24, "hidden_size": 1536, "num_heads": 12,
        "intermediate_size": 13696, "out_hidden_size": 4096, "patch_size": 14,
        "spatial_merge_size": 2, "temporal_patch_size": 2}})"),
              builtin_llm("autoglm-phone-9b"));
}

TEST_F(Config, RefusalsNameFileAndKey) {
  using ::testing::HasSubstr;
  EXPECT_THROW(llm_from_config("/no/such/config.json", "x"), InputError);
  EXPECT_THAT(error("{"), HasSubstr("is not JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("is no model configuration"));
  EXPECT_THAT(error("{}"), HasSubstr("needs num_hidden_layers"));
  EXPECT_THAT(error("{}"), HasSubstr(path_.string()));
  EXPECT_THAT(error(R"({"model_type": "bert"})"), HasSubstr("ONNX"));
  EXPECT_THAT(error(R"({"num_hidden_layers": 2.5})"), HasSubstr("must be an integer"));
  EXPECT_THAT(error(R"({"num_hidden_layers": -3})"), HasSubstr("must be an integer"));
  EXPECT_THAT(error(R"({"num_hidden_layers": 1e30})"), HasSubstr("must be an integer"));
  EXPECT_THAT(error(R"({"kv_lora_rank": 512})"), HasSubstr("latent attention"));
  EXPECT_THAT(error(R"({"n_shared_experts": 1})"), HasSubstr("shared experts"));
  const std::string base = R"("num_hidden_layers": 2, "hidden_size": 10, "num_attention_heads": 4)";
  EXPECT_THAT(error("{" + base + "}"), HasSubstr("no multiple of 4 heads"));
  EXPECT_THAT(error("{" + base + R"(, "head_dim": 8, "vocab_size": 9})"),
              HasSubstr("needs intermediate_size"));
  EXPECT_THAT(error("{" + base + R"(, "head_dim": 8, "intermediate_size": 9})"),
              HasSubstr("needs vocab_size"));
  EXPECT_THAT(error("{" + base + R"(, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 5})"),
              HasSubstr("num_experts_per_tok"));
}

}  // namespace
}  // namespace isthmus::models
