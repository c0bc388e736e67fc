// ONNX nodes as operators of a graph.
#pragma once

#include <string>

#include "models/onnx_import.hpp"

namespace onnx {
class GraphProto;
}

namespace isthmus::models {

class OnnxShapes;

//! Fills model.graph and model.report. Throws InputError when the shape of a tensor is unknown.
void convert_onnx_nodes(const onnx::GraphProto& graph, const OnnxShapes& shapes,
                        const OnnxOptions& options, const std::string& path, OnnxModel& model);

}  // namespace isthmus::models
