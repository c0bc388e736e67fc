// YOLOv5 (release 6), nano to medium, as its model files describe it: 80 classes, three scales.
#include <algorithm>
#include <cmath>
#include <string>

#include "models/builtin_graphs.hpp"
#include "models/graph_builder.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Layers of one size: depth and width multiples.
class Yolo {
 public:
  Yolo(std::string name, double depth, double width)
      : b_(std::move(name)), depth_(depth), width_(width) {}

  OperatorGraph build(std::int64_t image) {
    Tensor x = b_.input({3, image, image});
    x = conv(x, wide(64), 6, 2, 2);
    x = conv(x, wide(128), 3, 2);
    x = c3(x, wide(128), 3);
    x = conv(x, wide(256), 3, 2);
    const Tensor p3 = x = c3(x, wide(256), 6);
    x = conv(x, wide(512), 3, 2);
    const Tensor p4 = x = c3(x, wide(512), 9);
    x = conv(x, wide(1024), 3, 2);
    x = c3(x, wide(1024), 3);
    x = sppf(x, wide(1024));

    // Down to fine scales and up again.
    const Tensor h5 = conv(x, wide(512), 1, 1);
    x = c3(b_.concat({upsample(h5), p4}), wide(512), 3, false);
    const Tensor h4 = conv(x, wide(256), 1, 1);
    const Tensor out3 = c3(b_.concat({upsample(h4), p3}), wide(256), 3, false);
    x = conv(out3, wide(256), 3, 2);
    const Tensor out4 = c3(b_.concat({x, h4}), wide(512), 3, false);
    x = conv(out4, wide(512), 3, 2);
    const Tensor out5 = c3(b_.concat({x, h5}), wide(1024), 3, false);
    for (const Tensor& out : {out3, out4, out5})
      b_.activation(b_.conv(out, 3 * 85, {}), "sigmoid", 3);
    return b_.build();
  }

 private:
  std::int64_t wide(std::int64_t channels) const {
    return static_cast<std::int64_t>(std::ceil(static_cast<double>(channels) * width_ / 8)) * 8;
  }
  std::int64_t deep(std::int64_t repeats) const {
    return std::max<std::int64_t>(1, std::lround(static_cast<double>(repeats) * depth_));
  }
  Tensor conv(const Tensor& x, std::int64_t channels, std::int64_t kernel, std::int64_t stride,
              std::int64_t padding = -1) {
    return b_.activation(
        b_.conv(x, channels, {.kernel = kernel, .stride = stride, .padding = padding}), "silu", 4);
  }
  // Cross-stage partial bottlenecks with three convolutions.
  Tensor c3(const Tensor& x, std::int64_t channels, std::int64_t repeats, bool shortcut = true) {
    Tensor a = conv(x, channels / 2, 1, 1);
    for (std::int64_t i = 0; i < deep(repeats); ++i) {
      const Tensor y = conv(conv(a, channels / 2, 1, 1), channels / 2, 3, 1);
      a = shortcut ? b_.add(a, y) : y;
    }
    return conv(b_.concat({a, conv(x, channels / 2, 1, 1)}), channels, 1, 1);
  }
  // Spatial pyramid pooling, three windows one after the other.
  Tensor sppf(const Tensor& x, std::int64_t channels) {
    const Tensor a = conv(x, channels / 2, 1, 1);
    const Tensor p = b_.pool(a, 5, 1, 2), q = b_.pool(p, 5, 1, 2), r = b_.pool(q, 5, 1, 2);
    return conv(b_.concat({a, p, q, r}), channels, 1, 1);
  }
  Tensor upsample(const Tensor& x) {
    return b_.copy_to(x, {x.shape[0], 2 * x.shape[1], 2 * x.shape[2]}, "upsample");
  }

  GraphBuilder b_;
  double depth_, width_;
};

}  // namespace

OperatorGraph yolov5(char size, std::int64_t image) {
  if (image % 32 != 0) throw InputError("YOLOv5 needs an image side that is a multiple of 32");
  const std::string name = std::string("yolov5") + size;
  if (size == 'n') return Yolo(name, 1.0 / 3, 0.25).build(image);
  if (size == 's') return Yolo(name, 1.0 / 3, 0.5).build(image);
  if (size == 'm') return Yolo(name, 2.0 / 3, 0.75).build(image);
  throw InputError("YOLOv5 is built in sizes n, s and m, not " + name);
}

}  // namespace isthmus::models
