// Decoder transformers, mixtures of experts and vision-language models as graphs of one iteration.
#include <fmt/format.h>

#include "models/builtin_graphs.hpp"
#include "models/builtin_llms.hpp"
#include "models/graph_builder.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// The tower: patches to image tokens.
Tensor vision_tower(GraphBuilder& b, const LlmShape& s, std::int64_t image_tokens) {
  const VisionTower& t = s.vision;
  const std::int64_t merge = t.merge * t.merge, patches = image_tokens * merge;
  // The merger's weights, patch embedding included, as one product per image token.
  const double merger = t.merger_params;
  b.module("vision");
  Tensor x = b.input({patches, t.hidden}, "patches");
  for (std::int64_t i = 0; i < t.layers; ++i) {
    b.module(fmt::format("vision.layers.{}.attention", i));
    const Tensor n = b.rms_norm(x);
    const Tensor q = b.gemm(n, t.hidden, false), k = b.gemm(n, t.hidden, false),
                 v = b.gemm(n, t.hidden, false);
    x = b.add(x, b.gemm(b.attention(q, k, v, t.heads), t.hidden, false));
    b.module(fmt::format("vision.layers.{}.feed_forward", i));
    const Tensor m = b.rms_norm(x);
    const Tensor inner = t.gated_ffn ? b.gate(b.gemm(m, 2 * t.ffn, false), "silu")
                                     : b.activation(b.gemm(m, t.ffn, false), "gelu", 8);
    x = b.add(x, b.gemm(inner, t.hidden, false));
  }
  b.module("vision.merger");
  x = b.copy_to(x, {image_tokens, merge * t.hidden}, "merge");
  return b.weights(x, {image_tokens, s.hidden}, merger, "merger");
}

}  // namespace

OperatorGraph decoder(const LlmShape& s, std::int64_t tokens, std::int64_t context,
                      std::int64_t image_tokens) {
  if (tokens < 1 || context < 0 || context + tokens > s.max_positions)
    throw InputError(fmt::format("model '{}' takes at most {} positions, not {} tokens behind {}",
                                 s.name, s.max_positions, tokens, context));
  if (image_tokens < 0 || image_tokens > tokens)
    throw InputError(fmt::format("model '{}': {} image tokens do not fit into {} tokens", s.name,
                                 image_tokens, tokens));
  if (image_tokens > 0 && s.vision.layers == 0)
    throw InputError(fmt::format("model '{}' takes no images", s.name));
  const std::int64_t query = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  GraphBuilder b(s.name);
  Tensor image;
  if (image_tokens > 0) image = vision_tower(b, s, image_tokens);
  b.module("");
  Tensor x;
  if (tokens > image_tokens)
    x = b.embedding(b.input({tokens - image_tokens}, "tokens"), s.vocab, s.hidden, "embedding");
  if (image_tokens > 0) x = tokens > image_tokens ? b.concat({image, x}) : image;
  for (std::int64_t i = 0; i < s.layers; ++i) {
    b.module(fmt::format("layers.{}.attention", i));
    const Tensor qkv = b.gemm(b.rms_norm(x), query + 2 * kv, false);
    const Tensor q = b.activation(b.copy_to(qkv, {tokens, query}, "slice"), "rotary", 6);
    Tensor k = b.activation(b.copy_to(qkv, {tokens, kv}, "slice"), "rotary", 6);
    Tensor v = b.copy_to(qkv, {tokens, kv}, "slice");
    if (context > 0) {
      k = b.concat({b.input({context, kv}, fmt::format("key_cache{}", i)), k});
      v = b.concat({b.input({context, kv}, fmt::format("value_cache{}", i)), v});
    }
    x = b.add(x, b.gemm(b.causal_attention(q, k, v, s.heads, s.kv_heads), s.hidden, false));
    b.module(fmt::format("layers.{}.feed_forward", i));
    const Tensor n = b.rms_norm(x);
    Tensor y;
    if (s.experts > 0) {
      b.softmax(b.gemm(n, s.experts, false, fmt::format("router{}", i)));
      const Tensor inner = b.gate(
          b.expert_gemm(n, (s.gated_ffn ? 2 : 1) * s.ffn, s.experts, s.experts_active), "silu");
      y = b.expert_gemm(inner, s.hidden, s.experts, s.experts_active);
    } else {
      const Tensor inner = s.gated_ffn ? b.gate(b.gemm(n, 2 * s.ffn, false), "silu")
                                       : b.activation(b.gemm(n, s.ffn, false), "relu");
      y = b.gemm(inner, s.hidden, false);
    }
    x = b.add(x, y);
  }
  b.module("head");
  x = b.copy_to(b.rms_norm(x), {1, s.hidden}, "slice");
  b.share_weights(s.tied_embeddings);
  b.gemm(x, s.vocab, false, "lm_head");
  return b.build();
}

}  // namespace isthmus::models
