// Shapes and small constants of an ONNX graph whose axes are bound.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/onnx_import.hpp"

namespace onnx {
class ModelProto;
class NodeProto;
class TensorProto;
}  // namespace onnx

namespace isthmus::models {

using Dims = std::vector<std::int64_t>;

//! Everything that is known about the tensors of a graph.
class OnnxShapes {
 public:
  //! Binds the axes of the inputs, runs libonnx's inference and then evaluates node by node what it
  //! left open. Throws InputError for unbound axes.
  OnnxShapes(onnx::ModelProto& model, const OnnxOptions& options, const std::string& path);

  //! Dimensions with the batch in place (size batch()); nothing when unknown.
  std::optional<Dims> shape(const std::string& tensor) const;
  //! Values of small integer tensors that do not depend on data.
  const std::vector<std::int64_t>* constant(const std::string& tensor) const;
  //! True for weights (initializers and Constant nodes).
  bool is_weight(const std::string& tensor) const { return weights_.contains(tensor); }
  //! ONNX element type of a tensor, 0 when unknown.
  int type(const std::string& tensor) const;
  //! Size that stands for the batch, and whether the file fixed it.
  std::int64_t batch() const { return batch_; }
  bool batch_is_named() const { return named_; }

 private:
  void bind(onnx::ModelProto& model, const OnnxOptions& options, const std::string& path);
  void evaluate(const onnx::NodeProto& node);
  void join(const onnx::NodeProto& node);
  std::map<std::string, Dims> shapes_;
  std::map<std::string, std::vector<std::int64_t>> constants_;
  std::map<std::string, int> weights_, types_;
  std::int64_t batch_ = 1;
  bool named_ = false;
};

//! An attribute of a node, or `other`.
std::int64_t onnx_integer(const onnx::NodeProto& node, const char* name, std::int64_t other);
std::vector<std::int64_t> onnx_integers(const onnx::NodeProto& node, const char* name);
std::string onnx_text(const onnx::NodeProto& node, const char* name, const char* other);

}  // namespace isthmus::models
