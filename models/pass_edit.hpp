// A graph while a pass changes it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/operator_graph.hpp"

namespace isthmus::models {

//! A mutable copy of an OperatorGraph. Indices stay valid while nodes are added and removed;
//! build() numbers what is left in topological order. For passes only.
class GraphEdit {
 public:
  explicit GraphEdit(const OperatorGraph& graph);

  std::size_t size() const { return nodes_.size(); }  //!< removed nodes included
  bool alive(std::size_t i) const { return nodes_[i].alive; }
  Operator& at(std::size_t i) { return nodes_[i].op; }
  const Operator& at(std::size_t i) const { return nodes_[i].op; }
  //! Producers by input slot.
  const std::vector<std::size_t>& inputs(std::size_t i) const { return nodes_[i].inputs; }
  //! One entry per slot that reads `i`.
  const std::vector<std::size_t>& readers(std::size_t i) const { return nodes_[i].readers; }
  //! The reader of `i` when exactly one slot reads it, else none().
  std::size_t only_reader(std::size_t i) const {
    return nodes_[i].readers.size() == 1 ? nodes_[i].readers.front() : none();
  }
  static constexpr std::size_t none() { return ~std::size_t{0}; }
  //! Live nodes, producers before consumers, else as inserted.
  std::vector<std::size_t> order() const;

  //! Adds an operator behind `place` in the numbering. op.inputs is filled from the producers.
  std::size_t add(Operator op, std::vector<std::size_t> producers, std::size_t place);
  //! Input `slot` of `consumer` comes from `producer` from now on; shapes are not touched.
  void rewire(std::size_t consumer, std::size_t slot, std::size_t producer);
  //! Everything that reads `from` reads `to` instead.
  void redirect(std::size_t from, std::size_t to);
  //! Removes a node that nothing reads.
  void remove(std::size_t i);
  //! Folds `members` (in the order in which their names are to be listed, `root` and `sink` among
  //! them) into `root`, which takes over sink's output and readers. Only `sink` may be read from
  //! outside. Inputs from outside: those of `leads` first, then the members' in order. flops, macs
  //! and params add up; tensors between members are neither read nor written any more.
  void fuse(std::span<const std::size_t> members, std::size_t root, std::size_t sink,
            std::span<const std::size_t> leads = {});
  //! Inputs of `i` that come from the same producer become one, read once.
  void read_once(std::size_t i);

  //! The valid graph, called `name`. Throws InternalError when a pass has broken it.
  OperatorGraph build(const std::string& name) const;

 private:
  struct Node {
    Operator op;
    std::vector<std::size_t> inputs, readers;
    std::size_t place = 0;  // index of the original node beside which it is numbered
    bool alive = true;
  };
  std::vector<Node> nodes_;
};

}  // namespace isthmus::models
