// Fusion: operators whose intermediate results never leave the chip become one operator.
#pragma once

#include <string_view>

#include "models/model_version.hpp"

namespace isthmus::models {

//! Which patterns are fused. The defaults are what every deployment runtime does.
struct FuseOptions {
  //! product, scale, mask, softmax, product -> one attention; copies that only split and join heads
  //! go with them, and so does the repetition of keys and values of grouped queries
  bool attention = true;
  //! mean, difference, square, mean, root, quotient, scale and shift -> one norm
  bool layer_norm = true;
  //! sigmoid and product -> silu; the error function's or tanh's expansion -> gelu; and the like
  bool activation = true;
  //! batch norm behind a convolution or product disappears in its weights and bias
  bool batch_norm = true;
  //! biases, activation functions and other one-input operators behind a product, a convolution or
  //! an operator of two tensors
  bool epilogue = true;
  bool residual = false;   //!< sums with another tensor behind a product or a convolution
  bool pointwise = false;  //!< chains of one-input elementwise operators
  bool causal = false;     //!< fused attention is causal: its function becomes "causal"
};

//! Fuses where every intermediate tensor has one reader (inside the pattern) and all parts have one
//! activation format. The fused operator keeps the name, module and kind of its first product and
//! lists the others in Operator::fused. flops, macs and parameters are conserved, except those of
//! batch norms, which are folded into the weights (one bias per channel is left where there was
//! none). Elements read and written shrink by the intermediate tensors. Keeps the accuracy.
ModelVersion fuse(ModelVersion version, const FuseOptions& options = {});

}  // namespace isthmus::models
