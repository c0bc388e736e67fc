// Models as graphs of operators, on Boost.Graph. All counts are per sample (batch 1).
#pragma once

#include <boost/graph/adjacency_list.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/operator_kind.hpp"
#include "models/precision.hpp"

namespace isthmus::models {

//! Dimensions of a tensor without the batch: {channels, height, width}, {tokens, features} or
//! {features}.
using Shape = std::vector<std::int64_t>;

//! Number of elements; 1 for an empty shape.
double elements(const Shape& shape);
//! "32x112x112".
std::string to_string(const Shape& shape);

//! One operator. flops count a multiply-add as 2; macs are those of products only, as papers print.
struct Operator {
  std::string name;
  OperatorKind kind = OperatorKind::elementwise;
  std::vector<Shape> inputs;  //!< of activations, in order of the incoming edges
  Shape output;
  double flops = 0;
  double macs = 0;
  double params = 0;           //!< weights and biases, batch norm folded
  double input_elements = 0;   //!< activation elements read
  double output_elements = 0;  //!< activation elements written
  std::int64_t kernel = 1;     //!< window side of conv, depthwise_conv and pool
  std::int64_t stride = 1;
  std::int64_t groups = 1;
  std::int64_t heads = 1;  //!< of attention
  //! What an elementwise operator computes ("relu", "gelu", "add", "multiply") and what a norm is
  //! ("layer_norm", "rms_norm", "batch_norm"); "" when it does not matter.
  std::string function;
  //! Where it belongs, as a path: "layers.3.attention"; passes select by its prefix. "" = top.
  std::string module;
  //! Formats of this operator alone; none = those of the variant. Set by precision passes.
  std::optional<Precision> weights, activations;
  //! Share of the parameters that a sample touches, (0, 1]: 1 for dense operators, less for
  //! mixtures of experts and embeddings. flops and macs count touched parameters only.
  double active = 1;
  std::vector<std::string> fused;  //!< names of operators that passes folded into this one

  //! Memory traffic of a batch in bytes: touched weights once, activations per sample;
  //! `weights_format` and `activations_format` apply where the operator has none of its own.
  double bytes(double batch, Precision weights_format, Precision activations_format) const {
    return params * active * bytes_of(weights.value_or(weights_format)) +
           (input_elements + output_elements) * batch *
               bytes_of(activations.value_or(activations_format));
  }
};

//! Sums over a graph, per sample.
struct GraphTotals {
  std::size_t operators = 0;  //!< inputs not counted
  double flops = 0, macs = 0, params = 0, activations = 0;
};

//! A directed graph of operators; an edge carries the producer's output to a consumer's next input.
//! Immutable once built; indices are those of insertion.
class OperatorGraph {
 public:
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, Operator>;

  explicit OperatorGraph(std::string name) : name_(std::move(name)) {}

  //! Adds an operator and returns its index. input_elements and output_elements are filled from the
  //! shapes when they are 0.
  std::size_t add(Operator op);
  //! Connects producer to the next input slot of consumer.
  void connect(std::size_t producer, std::size_t consumer);
  //! Checks the whole graph: names unique, acyclic (the cycle is named), one edge per declared
  //! input and equal shapes along every edge, no negative counts. Throws InputError with all
  //! problems.
  void validate() const;

  const std::string& name() const { return name_; }
  std::size_t size() const { return boost::num_vertices(graph_); }
  const Operator& at(std::size_t i) const { return graph_[i]; }
  //! Producers in order of the input slots.
  std::vector<std::size_t> predecessors(std::size_t i) const;
  std::vector<std::size_t> successors(std::size_t i) const;
  //! The Boost graph itself, for algorithms (min-cut, traversals).
  const Graph& boost_graph() const { return graph_; }

  //! Order in which every producer comes before its consumers; the smallest index first among
  //! equals, so it is the same on every machine. Throws InputError naming a cycle.
  std::vector<std::size_t> topological_order() const;
  //! Longest path: the sum of `costs` (one per operator, any unit) along it, and its operators.
  struct Path {
    double cost = 0;
    std::vector<std::size_t> operators;
  };
  Path critical_path(std::span<const double> costs) const;
  GraphTotals totals() const;
  //! Largest number of activation elements alive at once when operators run in topological_order():
  //! an output lives from its operator to its last consumer; graph outputs live to the end.
  double peak_live_elements() const;

  //! A cut after one operator: everything up to and including `after` (in topological order) runs
  //! on one side. `crossing`: producers whose outputs the other side needs; `elements`: of those
  //! outputs together, per sample.
  struct Cut {
    std::size_t after = 0;
    std::vector<std::size_t> crossing;
    double elements = 0;
  };
  //! The cuts along topological_order(), one after every operator but the last, inputs included:
  //! the places where a chain split can go.
  std::vector<Cut> cuts() const;
  //! The cuts of cuts() that a single tensor crosses.
  std::vector<Cut> narrow_cuts() const;
  //! The operators of some cycle, in order; empty when there is none.
  std::vector<std::size_t> find_cycle() const;

 private:
  std::string name_;
  Graph graph_;
};

}  // namespace isthmus::models
