// Plain fp32 kernels, as portable code without a tuned library runs them.

#include <fmt/format.h>

#include <Eigen/Dense>
#include <cmath>

#include "models/measured_kernels_internal.hpp"

namespace isthmus::models {

namespace {

using Array = Eigen::ArrayXf;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<const Array, 0, Eigen::InnerStride<>>;

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

}  // namespace

std::vector<KernelFamily> eigen_families() {
  const auto fp32 = Precision::fp32;
  return {
      {"gemm", fp32, "C[m,n] = A[m,k] B[n,k]^T, row-major", make<Gemm>},
      {"depthwise_conv", fp32,
       "square plane of `positions` outputs, channel-major, filter kernel x kernel",
       make<Depthwise>},
      {"elementwise", fp32, "c = a + b", make<Elementwise>},
      {"copy", fp32, "memcpy of elements of 4 bytes",
       [](const std::vector<double>& s) { return make_copy(s, 4); }},
      {"softmax", fp32, "row-wise softmax", make<Softmax>},
      {"norm", fp32, "row-wise layer norm with scale and shift", make<LayerNorm>},
      {"embedding", fp32, "gathers rows of 4-byte elements from a table of up to 64 MB",
       [](const std::vector<double>& s) { return make_embedding(s, 4); }},
  };
}

std::string eigen_library() {
  return fmt::format("Eigen {}.{}.{} ({}), GCC {}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION,
                     EIGEN_MINOR_VERSION, Eigen::SimdInstructionSetsInUse(), __VERSION__);
}

}  // namespace isthmus::models
