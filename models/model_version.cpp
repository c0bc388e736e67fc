#include "models/model_version.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/name_error.hpp"

namespace isthmus::models {

void check_accuracy(const Accuracy& accuracy, std::string_view where) {
  if (!(accuracy.value >= 0 && accuracy.value <= 1))
    throw InputError(fmt::format("{}: an accuracy is a fraction from 0 to 1, not {}{}", where,
                                 accuracy.value,
                                 accuracy.value > 1 && accuracy.value <= 100
                                     ? fmt::format("; did you mean {:.6g}?", accuracy.value / 100)
                                     : ""));
  if (accuracy.source.find_first_not_of(" \t\n") == std::string::npos)
    throw InputError(fmt::format("{}: an accuracy needs its \"source\"", where));
}

void replace_accuracy(ModelVersion& version, const std::optional<Accuracy>& given,
                      std::string_view where) {
  if (given) check_accuracy(*given, where);
  version.accuracy = given;
  for (ExitPoint& exit : version.exits) exit.accuracy.reset();
}

double ModelVersion::weight_bytes() const {
  double bytes = 0;
  for (std::size_t v = 0; v < graph.size(); ++v)
    bytes += graph.at(v).params * bytes_of(graph.at(v).weights.value_or(weights));
  return bytes;
}

bool lists(const std::set<std::string>& names, const Operator& op) {
  return names.contains(op.name) ||
         std::any_of(op.fused.begin(), op.fused.end(),
                     [&](const std::string& name) { return names.contains(name); });
}

std::size_t find_operator(const OperatorGraph& graph, std::string_view name) {
  for (std::size_t v = 0; v < graph.size(); ++v)
    if (graph.at(v).name == name) return v;
  std::vector<std::string> known;
  for (std::size_t v = 0; v < graph.size(); ++v) {
    const Operator& op = graph.at(v);
    if (std::find(op.fused.begin(), op.fused.end(), name) != op.fused.end()) return v;
    known.push_back(op.name);
    known.insert(known.end(), op.fused.begin(), op.fused.end());
  }
  throw name_error("operator of '" + graph.name() + "'", name, known);
}

}  // namespace isthmus::models
