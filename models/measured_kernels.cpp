#include "models/measured_kernels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <sstream>

#include "models/kernel_kinds.hpp"
#include "models/measured_kernels_internal.hpp"
#include "models/name_error.hpp"

namespace isthmus::models {

namespace {

// All combinations of the values, the first axis outermost. Quick: up to two values of each axis,
// from its small end.
std::vector<std::vector<double>> grid(std::vector<std::vector<double>> axes, bool quick) {
  std::vector<std::vector<double>> shapes{{}};
  for (auto& axis : axes) {
    if (quick && axis.size() > 2) axis = {axis[(axis.size() - 1) / 3], axis[axis.size() / 2]};
    std::vector<std::vector<double>> longer;
    for (const auto& shape : shapes)
      for (const double v : axis) {
        longer.push_back(shape);
        longer.back().push_back(v);
      }
    shapes = std::move(longer);
  }
  return shapes;
}

// first, factor first, factor^2 first, ... up to last.
std::vector<double> powers(double first, double last, double factor = 2) {
  std::vector<double> values;
  for (double v = first; v <= last; v *= factor) values.push_back(v);
  return values;
}

// Sizes in steps of about the square root of two: dense enough for the steps of the caches.
std::vector<double> sizes() {
  std::vector<double> values;
  for (double v = 1; v <= 16777216; v *= 2) {
    values.push_back(v);
    if (v >= 1024 && v < 16777216) values.push_back(v * 1.5);
  }
  return values;
}

std::vector<std::vector<double>> conv_shapes(bool quick) {
  // kernel, stride, groups, input channels, output channels, positions.
  const std::vector<double> planes{49, 196, 400, 784, 1600, 3136, 6400, 12544};
  std::vector<std::vector<double>> shapes;
  const auto add = [&](std::vector<std::vector<double>> axes) {
    for (auto& s : grid(std::move(axes), quick)) shapes.push_back(std::move(s));
  };
  const std::vector<double> widths{16, 32, 64, 128, 256, 512};
  const std::vector<double> wide{16, 32, 64, 128, 256, 512, 1024, 2048};
  add({{1}, {1}, {1}, wide, wide, planes});
  add({{1}, {2}, {1}, {64, 256, 512, 1024}, {128, 256, 512, 1024, 2048}, {49, 196, 784}});
  add({{3}, {1}, {1}, widths, widths, planes});
  add({{3}, {2}, {1}, {3, 16, 32, 64, 128, 256, 512}, widths, planes});
  add({{5}, {1}, {1}, {16, 32, 64, 128}, {16, 32, 64, 128}, {49, 196, 784, 3136}});
  add({{7}, {2}, {1}, {3}, {32, 64}, {3136, 12544}});
  return shapes;
}

class Copy : public MeasuredKernel {
 public:
  explicit Copy(std::size_t bytes) : from_(bytes, 'a'), to_(bytes) {}
  void run() override {
    std::memcpy(to_.data(), from_.data(), from_.size());
    keep(to_.data());
  }

 private:
  std::vector<char> from_, to_;
};

class Embedding : public MeasuredKernel {
 public:
  Embedding(std::size_t row_bytes, std::size_t rows)
      : row_(row_bytes),
        table_(std::clamp<std::size_t>((64U << 20) / row_bytes, 1, 32768) * row_bytes, 'a'),
        out_(rows * row_bytes) {
    const std::size_t entries = table_.size() / row_;
    for (std::size_t i = 0; i < rows; ++i) ids_.push_back(i * 2654435761U % entries);
  }
  void run() override {
    for (std::size_t i = 0; i < ids_.size(); ++i)
      std::memcpy(out_.data() + i * row_, table_.data() + ids_[i] * row_, row_);
    keep(out_.data());
  }

 private:
  std::size_t row_;
  std::vector<char> table_, out_;
  std::vector<std::size_t> ids_;
};

}  // namespace

std::vector<std::vector<double>> measured_shapes(std::string_view kind, bool quick) {
  if (kind == "gemm")
    return grid({{8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096},
                 {8, 16, 32, 64, 144, 256, 576, 1024, 2304, 4608},
                 {1, 2, 4, 7, 14, 28, 49, 98, 196, 392, 784, 1568, 3136, 6272, 12544}},
                quick);
  if (kind == "batched_gemm")
    return grid({{1, 12}, powers(32, 1024), powers(32, 1024), powers(32, 1024)}, quick);
  if (kind == "conv") return conv_shapes(quick);
  if (kind == "depthwise_conv")
    return grid({{3, 5, 7}, {1, 2}, {49, 196, 784, 1600, 3136, 6400, 12544}, powers(8, 1024)},
                quick);
  if (kind == "elementwise" || kind == "activation" || kind == "copy")
    return grid({sizes()}, quick);
  if (kind == "softmax" || kind == "norm") return grid({powers(16, 8192), powers(1, 4096)}, quick);
  if (kind == "embedding") return grid({powers(64, 8192), powers(1, 4096)}, quick);
  if (kind == "encoder_attention")
    return grid({{4, 12, 16},
                 {32, 64, 128},
                 {1, 4},
                 {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024}},
                quick);
  if (kind == "decode_attention") {
    std::vector<std::vector<double>> shapes;
    for (const auto& [heads, kv] : {std::pair{8.0, 8.0}, {32.0, 8.0}, {32.0, 32.0}})
      for (auto& s : grid({{heads},
                           {kv},
                           {64, 128},
                           {0},
                           {1, 2, 4, 8},
                           {15, 31, 63, 127, 255, 511, 1023, 2047, 4095}},
                          quick))
        shapes.push_back(std::move(s));
    return shapes;
  }
  throw InternalError(fmt::format("nothing measures kernels of kind '{}'", kind));
}

std::vector<std::string> kind_parameters(std::string_view kind) {
  const KernelKind* k = find_kernel_kind(kind);
  if (!k) throw InternalError(fmt::format("there is no kernel kind '{}'", kind));
  std::istringstream in{std::string(k->parameters)};
  std::vector<std::string> names;
  for (std::string name; in >> name;) names.push_back(name);
  return names;
}

std::unique_ptr<MeasuredKernel> make_copy(const std::vector<double>& s, double bytes) {
  return std::make_unique<Copy>(static_cast<std::size_t>(s[0] * bytes));
}

std::unique_ptr<MeasuredKernel> make_embedding(const std::vector<double>& s, double bytes) {
  return std::make_unique<Embedding>(static_cast<std::size_t>(s[0] * bytes),
                                     static_cast<std::size_t>(s[1]));
}

std::vector<std::string> kernel_libraries() { return {"onednn", "eigen"}; }

std::vector<KernelFamily> kernel_families(std::string_view library) {
  if (library == "onednn") return onednn_families();
  if (library == "eigen") return eigen_families();
  throw name_error("kernel library", library, kernel_libraries());
}

std::string kernel_library(std::string_view library) {
  return library == "eigen" ? eigen_library() : onednn_library();
}

}  // namespace isthmus::models
