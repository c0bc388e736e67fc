// EfficientNet, its Lite variants, and the EfficientDet-Lite detectors on them.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "models/builtin_graphs.hpp"
#include "models/graph_builder.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

// The authors' rounding of channels (to a multiple of 8, never below 90 %) and of repeats.
std::int64_t scaled_channels(std::int64_t channels, double width) {
  const double wanted = d(channels) * width;
  const auto rounded = std::max<std::int64_t>(8, static_cast<std::int64_t>(wanted + 4) / 8 * 8);
  return d(rounded) < 0.9 * wanted ? rounded + 8 : rounded;
}
std::int64_t scaled_repeats(std::int64_t repeats, double depth) {
  return static_cast<std::int64_t>(std::ceil(d(repeats) * depth));
}

// Rows of EfficientNet-B0, table 1 of arXiv:1905.11946.
struct Stage {
  std::int64_t kernel, stride, expansion, channels, repeats;
};
constexpr std::array stages{Stage{3, 1, 1, 16, 1}, Stage{3, 2, 6, 24, 2},  Stage{5, 2, 6, 40, 2},
                            Stage{3, 2, 6, 80, 3}, Stage{5, 1, 6, 112, 3}, Stage{5, 2, 6, 192, 4},
                            Stage{3, 1, 6, 320, 1}};

// Width, depth and image side of the Lite variants (TPU repository, efficientnet/lite).
struct Lite {
  double width, depth;
  std::int64_t image;
};
constexpr std::array lites{Lite{1.0, 1.0, 224}, Lite{1.0, 1.1, 240}, Lite{1.1, 1.2, 260},
                           Lite{1.2, 1.4, 280}, Lite{1.4, 1.8, 300}};

// The stages on an image tensor; keeps the output of every stage. Lite variants have neither
// squeeze-and-excite nor swish, and leave first and last stage as deep and the stem as wide.
std::vector<Tensor> backbone(GraphBuilder& b, Tensor x, double width, double depth, bool lite) {
  const auto activate = [&](const Tensor& t) {
    return lite ? b.activation(t, "relu6", 2) : b.activation(t, "silu", 4);
  };
  x = activate(b.conv(x, lite ? 32 : scaled_channels(32, width), {.kernel = 3, .stride = 2}));
  std::vector<Tensor> outputs;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const Stage& stage = stages[s];
    const bool fixed = lite && (s == 0 || s + 1 == stages.size());
    const std::int64_t repeats = fixed ? stage.repeats : scaled_repeats(stage.repeats, depth);
    const std::int64_t channels = scaled_channels(stage.channels, width);
    for (std::int64_t i = 0; i < repeats; ++i) {
      const Tensor in = x;
      const std::int64_t stride = i == 0 ? stage.stride : 1;
      if (stage.expansion > 1) x = activate(b.conv(x, in.shape[0] * stage.expansion, {}));
      x = activate(b.depthwise(x, stage.kernel, stride));
      if (!lite) {
        // A quarter of the block's input channels.
        Tensor e = b.global_pool(x);
        e = b.activation(b.gemm(e, std::max<std::int64_t>(1, in.shape[0] / 4)), "silu", 4);
        e = b.activation(b.gemm(e, x.shape[0]), "sigmoid", 3);
        x = b.multiply(x, e);
      }
      x = b.conv(x, channels, {});
      if (stride == 1 && in.shape[0] == channels) x = b.add(in, x);
    }
    outputs.push_back(x);
  }
  return outputs;
}

OperatorGraph classifier(std::string name, double width, double depth, bool lite,
                         std::int64_t image) {
  GraphBuilder b(std::move(name));
  Tensor x = backbone(b, b.input({3, image, image}), width, depth, lite).back();
  x = b.conv(x, lite ? 1280 : scaled_channels(1280, width), {});
  x = lite ? b.activation(x, "relu6", 2) : b.activation(x, "silu", 4);
  b.softmax(b.gemm(b.global_pool(x), 1000));
  return b.build();
}

}  // namespace

OperatorGraph efficientnet_b0(std::int64_t image) {
  return classifier("efficientnet-b0", 1, 1, false, image == 0 ? 224 : image);
}

OperatorGraph efficientnet_lite(int size, std::int64_t image) {
  if (size < 0 || size > 4)
    throw InputError("EfficientNet-Lite has sizes 0 to 4, not " + std::to_string(size));
  const Lite& l = lites[static_cast<std::size_t>(size)];
  return classifier("efficientnet-lite" + std::to_string(size), l.width, l.depth, true,
                    image == 0 ? l.image : image);
}

OperatorGraph efficientdet_lite(int size, std::int64_t image) {
  if (size < 0 || size > 4)
    throw InputError("EfficientDet-Lite has sizes 0 to 4, not " + std::to_string(size));
  // Image side, channels and layers of the feature pyramid, layers of the heads (automl
  // repository, efficientdet/hparams_config.py).
  struct Row {
    std::int64_t image, channels, pyramid, heads;
  };
  constexpr std::array rows{Row{320, 64, 3, 3}, Row{384, 88, 4, 3}, Row{448, 112, 5, 3},
                            Row{512, 160, 6, 4}, Row{640, 224, 7, 4}};
  const Row& row = rows[static_cast<std::size_t>(size)];
  const Lite& l = lites[static_cast<std::size_t>(size)];
  const std::int64_t side = image == 0 ? row.image : image;
  if (side % 128 != 0 && side % 64 != 0)
    throw InputError("EfficientDet-Lite needs an image side that is a multiple of 64");
  GraphBuilder b("efficientdet-lite" + std::to_string(size));
  b.module("backbone");
  const auto features = backbone(b, b.input({3, side, side}), l.width, l.depth, true);

  // Levels 3 to 7; the upper two are pooled from the last stage.
  b.module("pyramid");
  const auto project = [&](const Tensor& x) { return b.conv(x, row.channels, {}); };
  std::vector<Tensor> level{features[2], features[4], features[6]};
  level.push_back(b.pool(project(level[2]), 3, 2, 1));
  level.push_back(b.pool(level[3], 3, 2, 1));
  const auto fuse = [&](const std::vector<Tensor>& inputs) {
    Tensor x = inputs[0];
    for (std::size_t i = 1; i < inputs.size(); ++i) x = b.add(x, inputs[i]);
    x = b.depthwise(b.activation(x, "relu6", 2), 3);
    return b.conv(x, row.channels, {});
  };
  const auto resized = [&](const Tensor& x, const Tensor& like) {
    if (x.shape[1] < like.shape[1])
      return b.copy_to(x, {x.shape[0], like.shape[1], like.shape[2]}, "upsample");
    Tensor y = b.pool(x, 3, 2, 1);
    return y;
  };
  for (std::int64_t layer = 0; layer < row.pyramid; ++layer) {
    // Inputs of another width are projected once for every node that reads them.
    const auto at = [&](std::size_t i) {
      return level[i].shape[0] == row.channels ? level[i] : project(level[i]);
    };
    std::vector<Tensor> down(5), out(5);
    down[4] = level[4];
    for (std::size_t i = 4; i-- > 0;) {
      const Tensor own = at(i);
      down[i] = fuse({own, resized(down[i + 1], own)});
    }
    out[0] = down[0];
    for (std::size_t i = 1; i < 5; ++i)
      out[i] = i < 4 ? fuse({at(i), down[i], resized(out[i - 1], down[i])})
                     : fuse({level[4], resized(out[3], level[4])});
    level = out;
  }

  // One head for classes and one for boxes, with the same weights on every level.
  const auto head = [&](const char* name, std::int64_t outputs) {
    b.module(name);
    for (std::size_t i = 0; i < level.size(); ++i) {
      b.share_weights(i > 0);
      Tensor x = level[i];
      for (std::int64_t k = 0; k < row.heads; ++k)
        x = b.activation(b.conv(b.depthwise(x, 3), row.channels, {}), "relu6", 2);
      b.conv(b.depthwise(x, 3), outputs, {});
    }
    b.share_weights(false);
  };
  head("classes", 9 * 90);
  head("boxes", 9 * 4);
  return b.build();
}

}  // namespace isthmus::models
