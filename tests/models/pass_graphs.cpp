#include "tests/models/pass_graphs.hpp"

namespace isthmus::models::testing {

OperatorGraph random_graph(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  GraphBuilder b("random" + std::to_string(seed));
  std::vector<Tensor> images, vectors;
  images.push_back(b.input({8, 8, 8}));
  if (below(2)) images.push_back(b.input({16, 8, 8}));
  const char* functions[] = {"relu", "sigmoid", "hard_sigmoid", "add", "multiply", "tanh"};
  const std::size_t count = 5 + below(40);
  for (std::size_t i = 0; i < count; ++i) {
    // Mostly the last tensor, so that chains with one reader are frequent.
    const Tensor x = below(3) ? images.back() : images[below(images.size())];
    b.module("layers." + std::to_string(i / 4));
    switch (below(8)) {
      case 0:
        images.push_back(b.conv(x, below(2) ? 8 : 16, {.kernel = 3, .bias = below(2) == 0}));
        break;
      case 1:
        images.push_back(b.depthwise(x, 3));
        break;
      case 2:
      case 3:
        images.push_back(b.activation(x, functions[below(6)]));
        break;
      case 4:
      case 5: {
        std::vector<Tensor> partners;
        for (const auto& y : images)
          if (y.shape == x.shape) partners.push_back(y);
        const Tensor y = partners[below(partners.size())];
        images.push_back(below(2) ? b.add(x, y) : b.multiply(x, y));
        break;
      }
      case 6:
        images.push_back(b.norm(x));
        break;
      default: {
        const Tensor s = b.gemm(b.global_pool(x), x.shape[0], below(2) == 0);
        images.push_back(b.multiply(x, b.activation(s, "hard_sigmoid", 3)));
        break;
      }
    }
  }
  b.module("");
  b.softmax(b.gemm(b.global_pool(images.back()), 10));
  return b.build();
}

OperatorGraph senseless_graph(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const Shape shapes[] = {{},     {4},       {1},       {0},       {4, 4},    {4, 1},
                          {2, 8}, {4, 4, 4}, {2, 4, 4}, {4, 0, 2}, {1, 4, 4}, {2, 2, 2, 2}};
  const char* functions[] = {"",    "relu",       "add",         "mul",  "div",  "sub",    "erf",
                             "pow", "batch_norm", "reduce_mean", "sqrt", "tanh", "sigmoid"};
  Sketch s("senseless" + std::to_string(seed));
  const std::size_t count = 1 + below(60);
  for (std::size_t i = 0; i < count; ++i) {
    s.module = below(2) ? "layers." + std::to_string(below(4)) : "";
    const auto kind =
        static_cast<OperatorKind>(below(static_cast<std::size_t>(OperatorKind::count_)));
    std::vector<std::size_t> producers;
    for (std::size_t j = 0; i > 0 && kind != OperatorKind::input && j < below(4); ++j)
      producers.push_back(below(2) ? i - 1 : below(i));
    // Often of the shape of the last, so that patterns begin to match.
    const Shape shape = i > 0 && below(3) ? s.shape_of(i - 1) : shapes[below(std::size(shapes))];
    s.op(kind, functions[below(std::size(functions))], shape, producers,
         static_cast<double>(below(3) * 8), static_cast<double>(below(3) * 64));
  }
  return s.build();
}

}  // namespace isthmus::models::testing
