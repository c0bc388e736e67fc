#include "models/builtin_graphs.hpp"

#include <algorithm>
#include <array>

#include "models/name_error.hpp"

namespace isthmus::models {

namespace {

struct Entry {
  std::string_view name;
  OperatorGraph (*build)();
};

// The one list of built-in graphs.
constexpr std::array entries{
    Entry{"mobilenet-v2", mobilenet_v2},
    Entry{"mobilenet-v3-large", mobilenet_v3_large},
    Entry{"resnet-18", [] { return resnet(18, true); }},
    Entry{"resnet-34", [] { return resnet(34, true); }},
    Entry{"resnet-50", [] { return resnet(50, true); }},
    Entry{"resnet-50-v1", [] { return resnet(50, false); }},
    Entry{"resnet-101", [] { return resnet(101, true); }},
    Entry{"resnet-152", [] { return resnet(152, true); }},
};

}  // namespace

std::vector<std::string> builtin_graph_names() {
  std::vector<std::string> names;
  for (const auto& e : entries) names.emplace_back(e.name);
  std::sort(names.begin(), names.end());
  return names;
}

OperatorGraph builtin_graph(std::string_view name) {
  for (const auto& e : entries)
    if (e.name == name) return e.build();
  throw name_error("graph", name, builtin_graph_names());
}

}  // namespace isthmus::models
