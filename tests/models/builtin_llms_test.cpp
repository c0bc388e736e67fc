// Shapes of language models against the parameter counts that their publishers state.
#include "models/builtin_llms.hpp"

#include <gtest/gtest.h>

#include "sim/core/errors.hpp"
#include "tests/models/shared_data.hpp"

namespace isthmus::models {
namespace {

// Parameters as safetensors metadata on huggingface.co count them.
TEST(BuiltinLlms, HaveThePublishedParameters) {
  const std::map<std::string, double> published{{"autoglm-phone-9b", 9399951360.0 + 891596800.0},
                                                {"llama-2-7b", 6738415616},
                                                {"llama-2-70b", 68976648192},
                                                {"llama-3.1-8b", 8030261248},
                                                {"llama-3.1-70b", 70553706496},
                                                {"llama-3.2-1b", 1235814400},
                                                {"llama-3.2-3b", 3212749824},
                                                {"mixtral-8x7b", 46702792704},
                                                {"opt-13b", 12853473280},
                                                {"opt-66b", 65.7e9},
                                                {"qwen2-vl-2b", 2208985600},
                                                {"qwen2.5-1.5b", 1543714304},
                                                {"qwen2.5-7b", 7615616512},
                                                {"qwen2.5-14b", 14770033664},
                                                {"qwen3-0.6b", 596049920},
                                                {"qwen3-1.7b", 1720574976},
                                                {"qwen3-4b", 4022468096},
                                                {"qwen3-8b", 8190735360},
                                                {"qwen3-30b-a3b", 30532122624},
                                                {"qwen3-32b", 32762123264}};
  for (const auto& name : builtin_llm_names()) {
    ASSERT_TRUE(published.contains(name)) << name;
    const LlmShape s = builtin_llm(name);
    EXPECT_NEAR((s.text_params() + s.vision_params()) / published.at(name), 1, 0.01) << name;
  }
  EXPECT_EQ(builtin_llm("llama-3.1-8b").text_params(), 8030261248);
  // The publisher counts 40 x 4608 biases of the qkv projections too.
  EXPECT_EQ(builtin_llm("autoglm-phone-9b").text_params(), 9399951360 - 40 * 4608);
  EXPECT_EQ(builtin_llm("autoglm-phone-9b").vision_params(), 679550976.0 + 1806336 + 210239488);
  EXPECT_EQ(builtin_llm("autoglm-phone-9b").kv_bytes_per_token(Precision::bf16), 40960);
}

// The operator tables of the shared data were computed from the same configs by other code.
TEST(BuiltinLlms, AgreeWithTransformerTables) {
  ISTHMUS_NEEDS_DATA();
  for (const char* name :
       {"llama-2-7b", "llama-2-70b", "llama-3.1-8b", "llama-3.1-70b", "qwen3-32b"}) {
    std::ifstream in(testing::data_root() / "models/transformer_ops" /
                     (std::string(name) + ".json"));
    ASSERT_TRUE(in) << name;
    std::stringstream text;
    text << in.rdbuf();
    const auto field = [&](const std::string& key) {
      const auto at = text.str().find("\"" + key + "\": ");
      return at == std::string::npos ? -1 : std::stod(text.str().substr(at + key.size() + 4));
    };
    const LlmShape s = builtin_llm(name);
    EXPECT_NEAR(s.text_params() / field("params"), 1, 1e-4) << name;
    EXPECT_EQ(s.kv_bytes_per_token(Precision::bf16), field("kv_bytes_per_token_bf16")) << name;
  }
}

TEST(BuiltinLlms, QuantizedBytesCountScalesAndHead) {
  const LlmShape s = builtin_llm("qwen3-8b");
  LlmVariant v;
  v.weights = Precision::int4;
  v.weight_overhead = 0.1;
  v.head = Precision::bf16;
  const double head = 2.0 * 151936 * 4096;
  EXPECT_DOUBLE_EQ(s.embedding_params(), head);
  EXPECT_DOUBLE_EQ(weight_bytes(s, v), (s.text_params() - head) * 0.55 + head * 2);
}

TEST(BuiltinLlms, SuggestANameForATypo) {
  try {
    builtin_llm("llama-3.1-8B ");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("llama-3.1-8b"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace isthmus::models
