// Transformer encoders: the BERT family on text, ViT on images.
#include <fmt/format.h>

#include "models/builtin_graphs.hpp"
#include "models/graph_builder.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Queries, keys, values, attention and the output projection, spelt out as exports have it.
Tensor self_attention(GraphBuilder& b, const Tensor& x, std::int64_t heads) {
  const std::int64_t width = x.shape[1];
  const Tensor q = b.gemm(x, width), k = b.gemm(x, width), v = b.gemm(x, width);
  return b.gemm(b.spelt_attention(q, k, v, heads), width);
}

Tensor feed_forward(GraphBuilder& b, const Tensor& x, std::int64_t inner) {
  return b.gemm(b.activation(b.gemm(x, inner), "gelu", 8), x.shape[1]);
}

}  // namespace

OperatorGraph text_encoder(const TextEncoder& e, std::int64_t tokens) {
  if (tokens < 1 || tokens > e.positions)
    throw InputError(
        fmt::format("graph '{}' takes 1 to {} tokens, not {}", e.name, e.positions, tokens));
  GraphBuilder b(std::string(e.name));
  const Tensor ids = b.input({tokens}, "tokens");
  b.module("embeddings");
  Tensor x = b.embedding(ids, e.vocab, e.hidden, "word_embedding");
  // Position and segment codes are read row by row like words.
  x = b.add(x, b.embedding(ids, e.position_rows, e.hidden, "position_embedding"));
  if (e.segments > 0) x = b.add(x, b.embedding(ids, e.segments, e.hidden, "segment_embedding"));
  x = b.norm(x);
  for (std::int64_t i = 0; i < e.layers; ++i) {
    b.module(fmt::format("layers.{}.attention", i));
    x = b.norm(b.add(x, self_attention(b, x, e.heads)));
    b.module(fmt::format("layers.{}.feed_forward", i));
    x = b.norm(b.add(x, feed_forward(b, x, e.ffn)));
  }
  if (e.pooler) {
    b.module("pooler");
    const Tensor first = b.copy_to(x, {1, e.hidden}, "slice");
    b.activation(b.gemm(first, e.hidden), "tanh", 8);
  }
  return b.build();
}

OperatorGraph vision_transformer(const VisionEncoder& e, std::int64_t image) {
  if (image < e.patch || image % e.patch != 0)
    throw InputError(fmt::format("graph '{}' needs an image side that is a multiple of {}, not {}",
                                 e.name, e.patch, image));
  const std::int64_t side = image / e.patch, patches = side * side;
  GraphBuilder b(std::string(e.name));
  b.module("embeddings");
  Tensor x = b.conv(b.input({3, image, image}, "image"), e.hidden,
                    {.kernel = e.patch, .stride = e.patch, .padding = 0});
  x = b.copy_to(x, {patches, e.hidden}, "flatten");
  x = b.concat({b.parameter({1, e.hidden}, "class_token"), x});
  x = b.add(x, b.parameter({patches + 1, e.hidden}, "position_embedding"));
  for (std::int64_t i = 0; i < e.layers; ++i) {
    b.module(fmt::format("layers.{}.attention", i));
    x = b.add(x, self_attention(b, b.norm(x), e.heads));
    b.module(fmt::format("layers.{}.feed_forward", i));
    x = b.add(x, feed_forward(b, b.norm(x), 4 * e.hidden));
  }
  b.module("head");
  x = b.copy_to(b.norm(x), {1, e.hidden}, "slice");
  b.softmax(b.gemm(x, 1000));
  return b.build();
}

}  // namespace isthmus::models
