// Operator graphs from the text files of ncnn (.param), as its benchmark ships them.
#pragma once

#include <optional>
#include <string>

#include "models/operator_graph.hpp"

namespace isthmus::models {

struct NcnnOptions {
  //! Shape of every input, {channels, height, width}; needed where the file does not state it.
  std::optional<Shape> input;
};

//! Reads a .param file (magic 7767517). Shapes come from the file's hints where it has them and are
//! inferred elsewhere. Split and Noop layers vanish; reshapes stay as copies, which they are in
//! ncnn; layers marked int8 get that format. Multi-head attention becomes four products and an
//! attention.
//!
//! Throws InputError with "file:line:" for text that is no such file, and one that lists all layer
//! types that are not supported with their counts.
OperatorGraph import_ncnn_graph(const std::string& path, const NcnnOptions& options = {});

}  // namespace isthmus::models
