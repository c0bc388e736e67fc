// Operator graphs as text: Graphviz for the eye, JSON to write, edit and read back.
#pragma once

#include <string>

#include "models/operator_graph.hpp"

namespace isthmus::models {

//! Graphviz (dot): one node per operator with kind, shape, parameters and multiply-adds; modules
//! are clusters.
std::string to_dot(const OperatorGraph& graph);
//! JSON, described in docs/graph_format.md.
std::string to_json(const OperatorGraph& graph);
//! Reads it back; `where` stands in messages. Throws InputError, naming the operator and the key.
OperatorGraph graph_from_json(const std::string& text, const std::string& where);

}  // namespace isthmus::models
