#include "models/measured_kernels.hpp"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <cstring>

namespace isthmus::models {

namespace {

using Array = Eigen::ArrayXf;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<const Array, 0, Eigen::InnerStride<>>;

// Makes the compiler believe that the result is read.
void keep(const float* result) { asm volatile("" : : "g"(result) : "memory"); }

Eigen::Index index(double v) { return static_cast<Eigen::Index>(v); }

// C = A B^T with activations A (m x k) and weights B (n x k), as inference libraries store them.
class Gemm : public MeasuredKernel {
 public:
  explicit Gemm(const std::vector<double>& s)
      : a_(Matrix::Random(index(s[2]), index(s[1]))),
        b_(Matrix::Random(index(s[0]), index(s[1]))),
        c_(index(s[2]), index(s[0])) {}
  void run() override {
    c_.noalias() = a_ * b_.transpose();
    keep(c_.data());
  }

 private:
  Matrix a_, b_, c_;
};

// One filter per channel on a square plane, row by row.
class Depthwise : public MeasuredKernel {
 public:
  explicit Depthwise(const std::vector<double>& s)
      : kernel_(index(s[0])),
        stride_(index(s[1])),
        side_(index(std::sqrt(s[2]))),
        channels_(index(s[3])),
        in_side_(side_ * stride_ + kernel_ - 1),
        in_(Array::Random(channels_ * in_side_ * in_side_)),
        weights_(Array::Random(channels_ * kernel_ * kernel_)),
        out_(channels_ * side_ * side_) {}
  void run() override {
    for (Eigen::Index c = 0; c < channels_; ++c)
      for (Eigen::Index y = 0; y < side_; ++y) {
        Eigen::Map<Array> row(out_.data() + (c * side_ + y) * side_, side_);
        row.setZero();
        for (Eigen::Index i = 0; i < kernel_; ++i)
          for (Eigen::Index j = 0; j < kernel_; ++j) {
            const float* source = in_.data() + (c * in_side_ + y * stride_ + i) * in_side_ + j;
            row += weights_[(c * kernel_ + i) * kernel_ + j] *
                   Strided(source, side_, Eigen::InnerStride<>(stride_));
          }
      }
    keep(out_.data());
  }

 private:
  Eigen::Index kernel_, stride_, side_, channels_, in_side_;
  Array in_, weights_, out_;
};

class Elementwise : public MeasuredKernel {
 public:
  explicit Elementwise(const std::vector<double>& s)
      : a_(Array::Random(index(s[0]))), b_(Array::Random(index(s[0]))), c_(index(s[0])) {}
  void run() override {
    c_ = a_ + b_;
    keep(c_.data());
  }

 private:
  Array a_, b_, c_;
};

class Copy : public MeasuredKernel {
 public:
  explicit Copy(const std::vector<double>& s) : a_(Array::Random(index(s[0]))), b_(index(s[0])) {}
  void run() override {
    std::memcpy(b_.data(), a_.data(), static_cast<std::size_t>(a_.size()) * sizeof(float));
    keep(b_.data());
  }

 private:
  Array a_, b_;
};

// Row-wise kernels: {columns, rows}.
class Softmax : public MeasuredKernel {
 public:
  explicit Softmax(const std::vector<double>& s)
      : x_(Matrix::Random(index(s[1]), index(s[0]))), y_(index(s[1]), index(s[0])) {}
  void run() override {
    for (Eigen::Index r = 0; r < x_.rows(); ++r) {
      auto row = y_.row(r).array();
      row = (x_.row(r).array() - x_.row(r).maxCoeff()).exp();
      row *= 1.0F / row.sum();
    }
    keep(y_.data());
  }

 private:
  Matrix x_, y_;
};

class LayerNorm : public MeasuredKernel {
 public:
  explicit LayerNorm(const std::vector<double>& s)
      : x_(Matrix::Random(index(s[1]), index(s[0]))),
        y_(index(s[1]), index(s[0])),
        scale_(Eigen::RowVectorXf::Random(index(s[0]))),
        shift_(Eigen::RowVectorXf::Random(index(s[0]))) {}
  void run() override {
    for (Eigen::Index r = 0; r < x_.rows(); ++r) {
      const float mean = x_.row(r).mean();
      const float variance = (x_.row(r).array() - mean).square().mean();
      y_.row(r) = (x_.row(r).array() - mean) / std::sqrt(variance + 1e-5F) * scale_.array() +
                  shift_.array();
    }
    keep(y_.data());
  }

 private:
  Matrix x_, y_;
  Eigen::RowVectorXf scale_, shift_;
};

template <class Kernel>
std::unique_ptr<MeasuredKernel> make(const std::vector<double>& shape) {
  return std::make_unique<Kernel>(shape);
}

// All combinations of the values, the first axis outermost.
std::vector<std::vector<double>> grid(const std::vector<std::vector<double>>& axes) {
  std::vector<std::vector<double>> shapes{{}};
  for (const auto& axis : axes) {
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

// first, 2 first, 4 first, ... up to last.
std::vector<double> doubling(double first, double last) {
  std::vector<double> values;
  for (double v = first; v <= last; v *= 2) values.push_back(v);
  return values;
}

// Dense enough that the steps of the caches do not hide between two points.
std::vector<std::vector<double>> sizes() { return grid({doubling(1, 16777216)}); }
std::vector<std::vector<double>> planes() { return grid({doubling(16, 4096), doubling(1, 4096)}); }

}  // namespace

const std::vector<KernelFamily>& kernel_families() {
  static const std::vector<KernelFamily> families{
      {"gemm",
       {"n", "k", "m"},
       "C[m,n] = A[m,k] B[n,k]^T, row-major",
       [] {
         return grid(
             {{8, 16, 32, 64, 128, 256, 512, 1024, 2048},
              {8, 16, 32, 64, 144, 256, 576, 1024, 2304, 4608},
              {1, 2, 4, 7, 14, 28, 49, 98, 196, 392, 784, 1568, 3136, 6272, 12544, 25088, 50176}});
       },
       [](const std::vector<double>& s) { return 2 * s[0] * s[1] * s[2]; },
       make<Gemm>},
      {"depthwise_conv",
       {"kernel", "stride", "positions", "channels"},
       "square plane of `positions` outputs, channel-major, filter kernel x kernel",
       [] {
         return grid({{3, 5}, {1, 2}, {49, 196, 784, 3136, 12544}, doubling(8, 1024)});
       },
       [](const std::vector<double>& s) { return 2 * s[0] * s[0] * s[2] * s[3]; },
       make<Depthwise>},
      {"elementwise",
       {"elements"},
       "c = a + b",
       sizes,
       [](const std::vector<double>& s) { return s[0]; },
       make<Elementwise>},
      {"copy",
       {"elements"},
       "copies elements of 4 bytes",
       sizes,
       [](const std::vector<double>&) { return 0.0; },
       make<Copy>},
      {"softmax",
       {"columns", "rows"},
       "row-wise softmax",
       planes,
       [](const std::vector<double>& s) { return 5 * s[0] * s[1]; },
       make<Softmax>},
      {"norm",
       {"columns", "rows"},
       "row-wise layer norm with scale and shift",
       planes,
       [](const std::vector<double>& s) { return 7 * s[0] * s[1]; },
       make<LayerNorm>},
  };
  return families;
}

std::string kernel_library() {
  return fmt::format("Eigen {}.{}.{} ({}), GCC {}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION,
                     EIGEN_MINOR_VERSION, Eigen::SimdInstructionSetsInUse(), __VERSION__);
}

}  // namespace isthmus::models
