// Operator graphs from ONNX files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/operator_graph.hpp"

namespace isthmus::models {

struct OnnxOptions {
  std::map<std::string, std::int64_t> axes;  //!< sizes of named (dynamic) axes, all positive
  //! Named axis that is the batch; counts are per sample. "" = the first dimension of the inputs
  //! where it has a name of its own ("batch", "N", ...).
  std::string batch_axis;
  //! Keeps operators that are not supported as copies of their tensors instead of refusing.
  bool allow_unsupported = false;
};

//! What happened to the file's nodes.
struct OnnxReport {
  std::size_t nodes = 0;
  std::size_t folded = 0;  //!< shape arithmetic, constants and reshapes: cost nothing, are gone
  std::map<std::string, std::size_t> unsupported;  //!< by operator type
  std::int64_t fixed_batch = 1;  //!< batch that the file fixes; counts are divided by it
};

struct OnnxModel {
  OperatorGraph graph;
  OnnxReport report;
};

//! Reads a model, binds its axes, infers shapes (with libonnx, and by evaluating shape arithmetic
//! on constants) and turns nodes into operators. Weights need not be in the file, their shapes do.
//! Throws InputError for files that are no ONNX models, for axes that are neither bound nor the
//! batch (listing them with the inputs that have them), and for operators that are not supported
//! (listing them with counts).
OnnxModel import_onnx(const std::string& path, const OnnxOptions& options = {});

}  // namespace isthmus::models
