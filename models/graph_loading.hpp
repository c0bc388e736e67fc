// Graphs from wherever they come: built in, or in a file of any known format.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/builtin_graphs.hpp"
#include "models/operator_graph.hpp"

namespace isthmus::models {

struct GraphSource {
  std::string name;          //!< a built-in graph, or a path that ends in .onnx, .param or .json
  GraphArguments arguments;  //!< of built-in graphs
  std::map<std::string, std::int64_t> axes;  //!< of ONNX files, by name
  bool allow_unsupported = false;            //!< of ONNX files
};

struct LoadedGraph {
  OperatorGraph graph;
  std::vector<std::string> notes;  //!< what was folded, kept unsupported, divided by a batch
};

//! True for names that are files: with a known ending.
bool is_graph_file(const std::string& name);
//! Throws InputError for what cannot be loaded, and for arguments that the source does not take.
LoadedGraph load_graph(const GraphSource& source);

}  // namespace isthmus::models
