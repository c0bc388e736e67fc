#include "scenarios/own_model.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/builtin_graphs.hpp"
#include "models/graph_loading.hpp"
#include "scenarios/file_reading.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

nlohmann::json own_model(const std::string& model, const InputSizes& sizes) {
  for (const auto& [option, size] :
       {std::pair{"--image", sizes.image}, {"--sequence", sizes.sequence}})
    if (size < 0) throw InputError(fmt::format("{} must be above 0, not {}", option, size));
  const auto graphs = models::builtin_graph_names();
  const bool built_in = std::find(graphs.begin(), graphs.end(), model) != graphs.end();
  nlohmann::json entry;
  if (models::is_graph_file(model)) {
    const std::string path = std::filesystem::absolute(model).string();
    const bool is_json = model.ends_with(".json");
    const std::string text = is_json ? read_regular_file(path, 64 << 20) : "";
    // A graph of ours says so; any other JSON file is taken for a config.json.
    if (is_json && text.find("\"isthmus_graph\"") == std::string::npos)
      entry["llm"] = {{"config", path}};
    else
      entry["file"] = path;
  } else if (built_in && (sizes.sequence > 0 || sizes.image > 0)) {
    entry["shape"] = model;
    if (sizes.sequence > 0) entry["sequence"] = sizes.sequence;
  }
  if (entry.is_null()) {
    if (sizes.image > 0) throw InputError("--image is for built-in graphs and ncnn files");
    if (!sizes.axes.empty()) throw InputError("--bind is for ONNX files");
    return entry;
  }
  if (sizes.image > 0) entry["image"] = sizes.image;
  for (const auto& [axis, size] : sizes.axes) entry["bind"][axis] = size;
  return entry;
}

}  // namespace isthmus::scenarios
