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
                                     ? fmt::format("; did you mean {}?", accuracy.value / 100)
                                     : ""));
  if (accuracy.source.find_first_not_of(" \t\n") == std::string::npos)
    throw InputError(fmt::format("{}: an accuracy needs its \"source\"", where));
}

double ModelVersion::weight_bytes() const {
  double bytes = 0;
  for (std::size_t v = 0; v < graph.size(); ++v)
    bytes += graph.at(v).params * bytes_of(graph.at(v).weights.value_or(weights));
  return bytes;
}

std::size_t find_operator(const OperatorGraph& graph, std::string_view name) {
  std::vector<std::string> known;
  std::size_t holder = graph.size();
  for (std::size_t v = 0; v < graph.size(); ++v) {
    const Operator& op = graph.at(v);
    if (op.name == name) return v;
    known.push_back(op.name);
    if (std::find(op.fused.begin(), op.fused.end(), name) != op.fused.end()) holder = v;
    known.insert(known.end(), op.fused.begin(), op.fused.end());
  }
  if (holder < graph.size()) return holder;
  throw name_error("operator of '" + graph.name() + "'", name, known);
}

}  // namespace isthmus::models
