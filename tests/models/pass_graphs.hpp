// Small graphs for the tests of passes, written operator by operator.
#pragma once

#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "models/graph_builder.hpp"
#include "models/model_version.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models::testing {

//! A graph under construction without shape inference: operators by kind, function and shape.
class Sketch {
 public:
  explicit Sketch(std::string name = "sketch") : graph_(std::move(name)) {}

  std::size_t input(Shape shape) { return op(OperatorKind::input, "", std::move(shape), {}); }
  //! flops: one per output element, or two per mac.
  std::size_t op(OperatorKind kind, std::string function, Shape output,
                 const std::vector<std::size_t>& producers, double params = 0, double macs = 0,
                 std::string name = "") {
    Operator o;
    o.name = name.empty() ? std::string(name_of(kind)) + std::to_string(graph_.size()) : name;
    o.kind = kind;
    o.function = std::move(function);
    o.output = std::move(output);
    o.params = params;
    o.macs = macs;
    o.module = module;
    if (kind != OperatorKind::input && kind != OperatorKind::copy)
      o.flops = macs > 0 ? 2 * macs : elements(o.output);
    for (const auto p : producers) o.inputs.push_back(graph_.at(p).output);
    const std::size_t index = graph_.add(std::move(o));
    for (const auto p : producers) graph_.connect(p, index);
    return index;
  }
  std::size_t pointwise(std::string function, const std::vector<std::size_t>& producers,
                        double params = 0) {
    return op(OperatorKind::elementwise, std::move(function), graph_.at(producers.front()).output,
              producers, params);
  }
  const Shape& shape_of(std::size_t v) const { return graph_.at(v).output; }
  OperatorGraph build() {
    graph_.validate();
    return std::move(graph_);
  }

  std::string module;  //!< of the operators that follow

 private:
  OperatorGraph graph_;
};

inline ModelVersion version_of(OperatorGraph graph) { return {.graph = std::move(graph)}; }

//! What a callable throws as InputError; "" when it does not.
template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

//! Names of all operators, folded ones too.
inline std::multiset<std::string> all_names(const OperatorGraph& g) {
  std::multiset<std::string> names;
  for (std::size_t v = 0; v < g.size(); ++v) {
    names.insert(g.at(v).name);
    names.insert(g.at(v).fused.begin(), g.at(v).fused.end());
  }
  return names;
}

//! Shapes of the outputs that nothing reads.
inline std::multiset<Shape> final_shapes(const OperatorGraph& g) {
  std::multiset<Shape> shapes;
  for (std::size_t v = 0; v < g.size(); ++v)
    if (g.successors(v).empty()) shapes.insert(g.at(v).output);
  return shapes;
}

//! A random graph: operators of every kind on earlier tensors of fitting shape.
OperatorGraph random_graph(std::uint64_t seed);

//! A valid graph without sense: any kind on any tensors, scalars and empty tensors among them.
OperatorGraph senseless_graph(std::uint64_t seed);

}  // namespace isthmus::models::testing
