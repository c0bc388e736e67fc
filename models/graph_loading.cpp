#include "models/graph_loading.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "models/graph_export.hpp"
#include "models/ncnn_graph.hpp"
#include "models/onnx_import.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

bool is_graph_file(const std::string& name) {
  const std::string ending = std::filesystem::path(name).extension().string();
  return ending == ".onnx" || ending == ".param" || ending == ".json";
}

LoadedGraph load_graph(const GraphSource& s) {
  const GraphArguments& a = s.arguments;
  const std::string ending = std::filesystem::path(s.name).extension().string();
  if (!is_graph_file(s.name)) {
    if (!s.axes.empty()) throw InputError(fmt::format("graph '{}' has no axes to bind", s.name));
    return {builtin_graph(s.name, a), {}};
  }
  if (a.sequence != 0 || a.context != 0 || a.image_tokens != 0 ||
      (a.image != 0 && ending != ".param"))
    throw InputError(fmt::format("{}: sizes of a file are bound by the names of its axes", s.name));
  if (!s.axes.empty() && ending != ".onnx")
    throw InputError(fmt::format("{}: has no named axes to bind", s.name));
  if (ending == ".onnx") {
    OnnxModel m = import_onnx(
        s.name, {.axes = s.axes, .batch_axis = "", .allow_unsupported = s.allow_unsupported});
    std::vector<std::string> notes{
        fmt::format("{} of {} nodes are shape arithmetic, constants or reshapes and cost nothing",
                    m.report.folded, m.report.nodes)};
    if (m.report.fixed_batch > 1)
      notes.push_back(
          fmt::format("the file fixes a batch of {}; counts are per sample", m.report.fixed_batch));
    for (const auto& [type, count] : m.report.unsupported)
      notes.push_back(fmt::format("{} x{} is not supported and counts as a copy", type, count));
    return {std::move(m.graph), std::move(notes)};
  }
  if (ending == ".param") {
    NcnnOptions options;
    if (a.image > 0) options.input = Shape{3, a.image, a.image};
    return {import_ncnn_graph(s.name, options), {}};
  }
  std::ifstream file(s.name, std::ios::binary);
  if (!file || !std::filesystem::is_regular_file(s.name))
    throw InputError(s.name + ": is no file that can be read");
  std::stringstream text;
  text << file.rdbuf();
  return {graph_from_json(text.str(), s.name), {}};
}

}  // namespace isthmus::models
