// The ResNet family of He et al. 2015, table 1, with batch norm folded into the convolutions.
#include <array>
#include <string>

#include "models/builtin_graphs.hpp"
#include "models/graph_builder.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Blocks per stage, and whether they are bottlenecks.
struct Layout {
  int depth;
  std::array<int, 4> blocks;
  bool bottleneck;
};
constexpr std::array layouts{Layout{18, {2, 2, 2, 2}, false}, Layout{34, {3, 4, 6, 3}, false},
                             Layout{50, {3, 4, 6, 3}, true}, Layout{101, {3, 4, 23, 3}, true},
                             Layout{152, {3, 8, 36, 3}, true}};

const Layout& layout_of(int depth) {
  for (const auto& l : layouts)
    if (l.depth == depth) return l;
  throw InputError("a ResNet has depth 18, 34, 50, 101 or 152, not " + std::to_string(depth));
}

}  // namespace

OperatorGraph resnet(int depth, bool stride_in_3x3, std::int64_t image) {
  const Layout& layout = layout_of(depth);
  const bool v1 = layout.bottleneck && !stride_in_3x3;
  GraphBuilder b("resnet-" + std::to_string(depth) + (v1 ? "-v1" : ""));
  Tensor x = b.input({3, image, image});
  x = b.activation(b.conv(x, 64, {.kernel = 7, .stride = 2}), "relu");
  x = b.pool(x, 3, 2, 1);

  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t width = std::int64_t{64} << stage;
    const std::int64_t channels = layout.bottleneck ? 4 * width : width;
    for (int block = 0; block < layout.blocks[stage]; ++block) {
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      const Tensor in = x;
      // The shortcut is a projection where the shape changes.
      const Tensor shortcut = stride != 1 || in.shape[0] != channels
                                  ? b.conv(in, channels, {.kernel = 1, .stride = stride})
                                  : in;
      if (layout.bottleneck) {
        x = b.activation(b.conv(in, width, {.kernel = 1, .stride = v1 ? stride : 1}), "relu");
        x = b.activation(b.conv(x, width, {.kernel = 3, .stride = v1 ? 1 : stride}), "relu");
        x = b.conv(x, channels, {.kernel = 1});
      } else {
        x = b.activation(b.conv(in, width, {.kernel = 3, .stride = stride}), "relu");
        x = b.conv(x, channels, {.kernel = 3});
      }
      x = b.activation(b.add(shortcut, x), "relu");
    }
  }
  b.softmax(b.gemm(b.global_pool(x), 1000));
  return b.build();
}

}  // namespace isthmus::models
