// Builds operator graphs layer by layer with shape inference, as one reads a network's definition.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "models/operator_graph.hpp"

namespace isthmus::models {

//! A tensor inside a graph under construction.
struct Tensor {
  std::size_t producer = 0;
  Shape shape;
};

//! Options of a convolution.
struct ConvOptions {
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t padding = -1;  //!< per side; -1 = kernel / 2
  std::int64_t groups = 1;
  bool bias = true;  //!< a bias per channel; a folded batch norm is one too
};

//! Operators are named by kind and number ("conv3") unless a name is given. Methods throw
//! InputError when shapes do not fit. Layers are inference layers: batch norm is folded into the
//! convolution before it, dropout is gone.
class GraphBuilder {
 public:
  explicit GraphBuilder(std::string name) : graph_(std::move(name)) {}

  Tensor input(Shape shape, std::string name = "");
  //! {c, h, w} -> {channels, h', w'} with h' = (h + 2 padding - kernel) / stride + 1.
  Tensor conv(const Tensor& x, std::int64_t channels, ConvOptions options, std::string name = "");
  //! {c, h, w} -> {c, h', w'}.
  Tensor depthwise(const Tensor& x, std::int64_t kernel, std::int64_t stride = 1,
                   std::string name = "");
  //! {..., f} -> {..., features}.
  Tensor gemm(const Tensor& x, std::int64_t features, bool bias = true, std::string name = "");
  //! a {m, k} times b {k, n} -> {m, n}, both activations.
  Tensor batched_gemm(const Tensor& a, const Tensor& b, std::string name = "");
  //! q {t, f}, k and v {s, g} -> {t, f}; `heads` query heads share features evenly.
  Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads,
                   std::string name = "");
  //! The same spelt out, as exports have it: copies that split the heads, two batched products, a
  //! scale and a softmax between them, a copy that joins the heads. Fewer key heads are repeated.
  Tensor spelt_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads);
  //! Causal attention of the last tokens of a context: q {t, f}, k and v {s, g} with s >= t.
  Tensor causal_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads,
                          std::int64_t kv_heads, std::string name = "");
  //! Element by element; b may be {c, 1, 1} or {c} against a {c, h, w} (squeeze-and-excite).
  Tensor add(const Tensor& a, const Tensor& b, std::string name = "");
  Tensor multiply(const Tensor& a, const Tensor& b, std::string name = "");
  //! `function` names the operator ("relu", "hard_swish"); `flops` per element.
  Tensor activation(const Tensor& x, std::string_view function, double flops = 1);
  //! Window pooling {c, h, w} -> {c, h', w'}.
  Tensor pool(const Tensor& x, std::int64_t kernel, std::int64_t stride, std::int64_t padding = 0,
              std::string name = "");
  //! {c, h, w} -> {c}.
  Tensor global_pool(const Tensor& x, std::string name = "");
  //! Layer norm of the last dimension; two parameters per feature.
  Tensor norm(const Tensor& x, std::string name = "");
  //! RMS norm of the last dimension; one parameter per feature.
  Tensor rms_norm(const Tensor& x, std::string name = "");
  Tensor softmax(const Tensor& x, std::string name = "");
  //! Rows of a table: {t} -> {t, width}; a sample touches as many rows as it has tokens.
  Tensor embedding(const Tensor& tokens, std::int64_t entries, std::int64_t width,
                   std::string name = "");
  //! A learned tensor, such as a class token or position codes.
  Tensor parameter(Shape shape, std::string name);
  //! The same elements in another shape, moved: transpositions, splitting of heads, upsampling
  //! (more elements) and slices (fewer).
  Tensor copy_to(const Tensor& x, Shape shape, std::string_view stem, std::string name = "");
  //! Two inputs of the same shape halved: a gate times its activation, {.., 2 f} -> {.., f}.
  Tensor gate(const Tensor& x, std::string_view function);
  //! Products of a mixture: {t, f} -> {t, features} by `active` of `experts` matrices per token.
  Tensor expert_gemm(const Tensor& x, std::int64_t features, std::int64_t experts,
                     std::int64_t active, std::string name = "");
  //! Any dense map with so many weights, given as a whole: x -> shape, one multiply-add per weight
  //! and row of the output.
  Tensor weights(const Tensor& x, Shape shape, double params, std::string name);
  //! Joins tensors along the first dimension.
  Tensor concat(const std::vector<Tensor>& parts, std::string name = "");

  //! Operators that follow reuse weights that are counted already: they get no parameters.
  void share_weights(bool shared) { shared_ = shared; }
  //! Module path of the operators that follow ("layers.3.attention"); "" = top.
  void module(std::string path) { module_ = std::move(path); }

  //! Validates and hands the graph out; the builder is spent.
  OperatorGraph build();

 private:
  Tensor emit(Operator op, const std::vector<Tensor>& inputs, std::string_view stem,
              std::string name);
  Tensor binary(const Tensor& a, const Tensor& b, std::string_view stem, std::string name);
  [[noreturn]] void refuse(std::string_view what, const Tensor& x) const;
  OperatorGraph graph_;
  std::string module_;
  bool shared_ = false;
};

}  // namespace isthmus::models
