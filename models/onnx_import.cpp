#include "models/onnx_import.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <onnx/onnx_pb.h>

#include <exception>
#include <filesystem>
#include <fstream>

#include "models/onnx_operators.hpp"
#include "models/onnx_shapes.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Silences protobuf's own messages while it looks at a file that may be anything.
struct Quiet {
  google::protobuf::LogSilencer silencer;
};

onnx::ModelProto read(const std::string& path) {
  if (!std::filesystem::is_regular_file(path))
    throw InputError(path + ": is no file that can be read");
  if (std::filesystem::file_size(path) > 2'000'000'000)
    throw InputError(path + ": is larger than 2 GB; keep the weights in external data");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(path + ": cannot be read");
  google::protobuf::io::IstreamInputStream stream(&file);
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetRecursionLimit(64);
  onnx::ModelProto model;
  if (!model.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
    throw InputError(path + ": is no ONNX model, or is damaged");
  if (!model.has_graph() || model.graph().node_size() == 0)
    throw InputError(path + ": is an ONNX file without a graph");
  return model;
}

}  // namespace

OnnxModel import_onnx(const std::string& path, const OnnxOptions& options) {
  const Quiet quiet;
  OnnxModel result{OperatorGraph(std::filesystem::path(path).stem().string()), {}};
  try {
    onnx::ModelProto model = read(path);
    const OnnxShapes shapes(model, options, path);
    result.report.nodes = static_cast<std::size_t>(model.graph().node_size());
    result.report.fixed_batch = shapes.batch();
    convert_onnx_nodes(model.graph(), shapes, options, path, result);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    // protobuf and libonnx throw for nodes without the inputs that their kind needs.
    throw InputError(fmt::format("{}: is malformed: {}", path, e.what()));
  }

  result.graph.validate();
  return result;
}

}  // namespace isthmus::models
