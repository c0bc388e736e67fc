// What operators of a graph compute.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace isthmus::models {

//! What an operator computes; also the name of its timings in kernel profiles.
enum class OperatorKind : std::uint8_t {
  input,           //!< a model input; costs nothing
  conv,            //!< dense or grouped convolution
  depthwise_conv,  //!< one filter per channel
  gemm,            //!< fully connected layer
  batched_gemm,    //!< product of two activations
  attention,       //!< scaled dot-product attention, scores and weighted sum together
  elementwise,     //!< add, multiply and activation functions
  pool,            //!< pooling over a window or over the whole plane
  norm,            //!< layer norm, RMS norm; batch norm that could not be folded
  softmax,
  embedding,  //!< table look-up
  copy,       //!< concatenation, reshape with movement, transposition, upsampling
  count_
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(OperatorKind::count_)>
    operator_kind_names{"input",        "conv",      "depthwise_conv", "gemm",
                        "batched_gemm", "attention", "elementwise",    "pool",
                        "norm",         "softmax",   "embedding",      "copy"};

constexpr std::string_view name_of(OperatorKind k) {
  return operator_kind_names[static_cast<std::size_t>(k)];
}
std::optional<OperatorKind> operator_kind_from(std::string_view name);

//! A set of kinds, by the value of the enumerator.
using OperatorKinds = std::bitset<static_cast<std::size_t>(OperatorKind::count_)>;

}  // namespace isthmus::models
