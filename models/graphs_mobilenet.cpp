// MobileNetV2, MobileNetV3-Large and -Small, width 1.0, as published. Widths follow the papers'
// tables; squeeze-and-excite widths follow the authors' rule (a quarter, rounded to a multiple of
// 8).
#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "models/builtin_graphs.hpp"
#include "models/graph_builder.hpp"

namespace isthmus::models {

namespace {

// The authors' rounding of channel counts: to a multiple of 8, never below 90 %.
std::int64_t make_divisible(std::int64_t channels) {
  const std::int64_t rounded = std::max<std::int64_t>(8, (channels + 4) / 8 * 8);
  return rounded * 10 < channels * 9 ? rounded + 8 : rounded;
}

// Hard swish and hard sigmoid: add, clamp (2), multiply or scale.
Tensor activate(GraphBuilder& b, const Tensor& x, bool hard_swish) {
  return hard_swish ? b.activation(x, "hard_swish", 4) : b.activation(x, "relu");
}

// Squeeze-and-excite: pool, two small products, scale the channels.
Tensor squeeze_excite(GraphBuilder& b, const Tensor& x) {
  const std::int64_t channels = x.shape[0];
  Tensor s = b.global_pool(x);
  s = b.activation(b.gemm(s, make_divisible(channels / 4)), "relu");
  s = b.activation(b.gemm(s, channels), "hard_sigmoid", 3);
  return b.multiply(x, s);
}

}  // namespace

OperatorGraph mobilenet_v2(std::int64_t image) {
  // Rows of table 2: expansion t, channels c, repeats n, first stride s.
  struct Row {
    std::int64_t t, c, n, s;
  };
  constexpr std::array rows{Row{1, 16, 1, 1}, Row{6, 24, 2, 2},  Row{6, 32, 3, 2}, Row{6, 64, 4, 2},
                            Row{6, 96, 3, 1}, Row{6, 160, 3, 2}, Row{6, 320, 1, 1}};
  GraphBuilder b("mobilenet-v2");
  Tensor x = b.input({3, image, image});
  x = b.activation(b.conv(x, 32, {.kernel = 3, .stride = 2}), "relu6", 2);
  for (const Row& row : rows)
    for (std::int64_t i = 0; i < row.n; ++i) {
      const std::int64_t stride = i == 0 ? row.s : 1;
      const Tensor in = x;
      if (row.t > 1) x = b.activation(b.conv(x, in.shape[0] * row.t, {}), "relu6", 2);
      x = b.activation(b.depthwise(x, 3, stride), "relu6", 2);
      x = b.conv(x, row.c, {});
      if (stride == 1 && in.shape[0] == row.c) x = b.add(in, x);
    }
  x = b.activation(b.conv(x, 1280, {}), "relu6", 2);
  b.softmax(b.gemm(b.global_pool(x), 1000));
  return b.build();
}

namespace {

// Rows of the paper's tables 1 and 2: kernel, expansion size, channels, squeeze-and-excite, hard
// swish, stride.
struct V3Row {
  std::int64_t kernel, expansion, channels;
  bool se, hs;
  std::int64_t stride;
};

OperatorGraph mobilenet_v3(std::string name, std::span<const V3Row> rows, std::int64_t last,
                           std::int64_t features, std::int64_t image) {
  GraphBuilder b(std::move(name));
  Tensor x = b.input({3, image, image});
  x = activate(b, b.conv(x, 16, {.kernel = 3, .stride = 2}), true);
  for (const V3Row& row : rows) {
    const Tensor in = x;
    if (row.expansion != in.shape[0]) x = activate(b, b.conv(x, row.expansion, {}), row.hs);
    x = activate(b, b.depthwise(x, row.kernel, row.stride), row.hs);
    if (row.se) x = squeeze_excite(b, x);
    x = b.conv(x, row.channels, {});
    if (row.stride == 1 && in.shape[0] == row.channels) x = b.add(in, x);
  }
  x = activate(b, b.conv(x, last, {}), true);
  x = activate(b, b.gemm(b.global_pool(x), features), true);
  b.softmax(b.gemm(x, 1000));
  return b.build();
}

}  // namespace

OperatorGraph mobilenet_v3_large(std::int64_t image) {
  constexpr std::array rows{V3Row{3, 16, 16, false, false, 1}, V3Row{3, 64, 24, false, false, 2},
                            V3Row{3, 72, 24, false, false, 1}, V3Row{5, 72, 40, true, false, 2},
                            V3Row{5, 120, 40, true, false, 1}, V3Row{5, 120, 40, true, false, 1},
                            V3Row{3, 240, 80, false, true, 2}, V3Row{3, 200, 80, false, true, 1},
                            V3Row{3, 184, 80, false, true, 1}, V3Row{3, 184, 80, false, true, 1},
                            V3Row{3, 480, 112, true, true, 1}, V3Row{3, 672, 112, true, true, 1},
                            V3Row{5, 672, 160, true, true, 2}, V3Row{5, 960, 160, true, true, 1},
                            V3Row{5, 960, 160, true, true, 1}};
  return mobilenet_v3("mobilenet-v3-large", rows, 960, 1280, image);
}

OperatorGraph mobilenet_v3_small(std::int64_t image) {
  constexpr std::array rows{V3Row{3, 16, 16, true, false, 2},  V3Row{3, 72, 24, false, false, 2},
                            V3Row{3, 88, 24, false, false, 1}, V3Row{5, 96, 40, true, true, 2},
                            V3Row{5, 240, 40, true, true, 1},  V3Row{5, 240, 40, true, true, 1},
                            V3Row{5, 120, 48, true, true, 1},  V3Row{5, 144, 48, true, true, 1},
                            V3Row{5, 288, 96, true, true, 2},  V3Row{5, 576, 96, true, true, 1},
                            V3Row{5, 576, 96, true, true, 1}};
  return mobilenet_v3("mobilenet-v3-small", rows, 576, 1024, image);
}

}  // namespace isthmus::models
