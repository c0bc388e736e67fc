#include "models/pass_edit.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

void erase_one(std::vector<std::size_t>& list, std::size_t value) {
  list.erase(std::find(list.begin(), list.end(), value));
}

}  // namespace

GraphEdit::GraphEdit(const OperatorGraph& graph) : nodes_(graph.size()) {
  for (std::size_t v = 0; v < graph.size(); ++v) {
    nodes_[v].op = graph.at(v);
    nodes_[v].inputs = graph.predecessors(v);
    nodes_[v].readers = graph.successors(v);
    nodes_[v].place = v;
  }
}

std::vector<std::size_t> GraphEdit::order() const {
  using Key = std::pair<std::size_t, std::size_t>;  // place, index
  std::priority_queue<Key, std::vector<Key>, std::greater<>> ready;
  std::vector<std::size_t> waiting(size()), result;
  for (std::size_t v = 0; v < size(); ++v) {
    waiting[v] = nodes_[v].inputs.size();
    if (nodes_[v].alive && waiting[v] == 0) ready.push({nodes_[v].place, v});
  }
  while (!ready.empty()) {
    const std::size_t v = ready.top().second;
    ready.pop();
    result.push_back(v);
    for (const std::size_t r : nodes_[v].readers)
      if (--waiting[r] == 0) ready.push({nodes_[r].place, r});
  }
  return result;
}

std::size_t GraphEdit::add(Operator op, std::vector<std::size_t> producers, std::size_t place) {
  const std::size_t index = nodes_.size();
  op.inputs.clear();
  for (const std::size_t p : producers) {
    op.inputs.push_back(nodes_[p].op.output);
    nodes_[p].readers.push_back(index);
  }
  if (op.input_elements == 0)
    for (const auto& shape : op.inputs) op.input_elements += elements(shape);
  if (op.output_elements == 0) op.output_elements = elements(op.output);
  nodes_.push_back({std::move(op), std::move(producers), {}, nodes_[place].place, true});
  return index;
}

void GraphEdit::rewire(std::size_t consumer, std::size_t slot, std::size_t producer) {
  erase_one(nodes_[nodes_[consumer].inputs[slot]].readers, consumer);
  nodes_[consumer].inputs[slot] = producer;
  nodes_[producer].readers.push_back(consumer);
}

void GraphEdit::redirect(std::size_t from, std::size_t to) {
  for (const std::size_t r : std::exchange(nodes_[from].readers, {})) {
    *std::find(nodes_[r].inputs.begin(), nodes_[r].inputs.end(), from) = to;
    nodes_[to].readers.push_back(r);
  }
}

void GraphEdit::remove(std::size_t i) {
  if (!nodes_[i].readers.empty())
    throw InternalError("'" + nodes_[i].op.name + "' is removed but still read");
  for (const std::size_t p : nodes_[i].inputs) erase_one(nodes_[p].readers, i);
  nodes_[i].inputs.clear();
  nodes_[i].alive = false;
}

void GraphEdit::fuse(std::span<const std::size_t> members, std::size_t root, std::size_t sink,
                     std::span<const std::size_t> leads) {
  const auto inside = [&](std::size_t v) {
    return std::find(members.begin(), members.end(), v) != members.end();
  };
  for (const std::size_t m : members)
    if (m != sink)
      for (const std::size_t r : nodes_[m].readers)
        if (!inside(r))
          throw InternalError("'" + nodes_[m].op.name + "' is folded but read elsewhere");

  // Counts and inputs of the whole.
  Operator op = nodes_[root].op;
  const Operator& last = nodes_[sink].op;
  op.output = last.output;
  op.output_elements = last.output_elements;
  op.flops = op.macs = op.params = op.input_elements = 0;
  op.inputs.clear();
  double touched = 0;
  std::vector<std::size_t> producers;
  std::vector<Shape> shapes;
  for (const std::size_t m : members) {
    const Operator& part = nodes_[m].op;
    op.flops += part.flops;
    op.macs += part.macs;
    op.params += part.params;
    touched += part.params * part.active;
    if (part.params > 0 && !op.weights) op.weights = part.weights;
    op.input_elements += part.input_elements;
    for (std::size_t slot = 0; slot < nodes_[m].inputs.size(); ++slot) {
      if (inside(nodes_[m].inputs[slot])) {
        op.input_elements -= elements(part.inputs[slot]);
      } else {
        producers.push_back(nodes_[m].inputs[slot]);
        shapes.push_back(part.inputs[slot]);
      }
    }
    if (m != root) {
      op.fused.push_back(part.name);
      op.fused.insert(op.fused.end(), part.fused.begin(), part.fused.end());
    }
  }
  op.input_elements = std::max(op.input_elements, 0.0);
  if (op.params > 0) op.active = std::min(1.0, touched / op.params);
  // `leads` come first; what is left keeps its order.
  std::vector<std::size_t> inputs;
  const auto take = [&](std::size_t i) {
    inputs.push_back(producers[i]);
    op.inputs.push_back(shapes[i]);
    producers[i] = none();
  };
  for (const std::size_t lead : leads) {
    const auto at = std::find(producers.begin(), producers.end(), lead);
    if (at == producers.end()) throw InternalError("a leading input is not one of the members'");
    take(static_cast<std::size_t>(at - producers.begin()));
  }
  for (std::size_t i = 0; i < producers.size(); ++i)
    if (producers[i] != none()) take(i);

  // The members' edges go, the root gets its own.
  for (const std::size_t m : members) {
    for (const std::size_t p : nodes_[m].inputs) erase_one(nodes_[p].readers, m);
    nodes_[m].inputs.clear();
  }
  if (sink != root) redirect(sink, root);
  for (const std::size_t m : members)
    if (m != root) nodes_[m].alive = false;
  nodes_[root].op = std::move(op);
  nodes_[root].inputs = inputs;
  for (const std::size_t p : inputs) nodes_[p].readers.push_back(root);
}

void GraphEdit::read_once(std::size_t i) {
  Node& node = nodes_[i];
  for (std::size_t slot = 0; slot < node.inputs.size();) {
    const auto first = std::find(node.inputs.begin(), node.inputs.end(), node.inputs[slot]);
    if (first - node.inputs.begin() == static_cast<std::ptrdiff_t>(slot)) {
      ++slot;
      continue;
    }
    node.op.input_elements = std::max(node.op.input_elements - elements(node.op.inputs[slot]), 0.0);
    erase_one(nodes_[node.inputs[slot]].readers, i);
    node.inputs.erase(node.inputs.begin() + static_cast<std::ptrdiff_t>(slot));
    node.op.inputs.erase(node.op.inputs.begin() + static_cast<std::ptrdiff_t>(slot));
  }
}

OperatorGraph GraphEdit::build(const std::string& name) const {
  OperatorGraph graph(name);
  std::vector<std::size_t> index(size(), none());
  const auto live = order();
  for (const std::size_t v : live) index[v] = graph.add(nodes_[v].op);
  for (const std::size_t v : live)
    for (const std::size_t p : nodes_[v].inputs) graph.connect(index[p], index[v]);
  try {
    graph.validate();
  } catch (const InputError& e) {
    throw InternalError(std::string("a pass broke its graph: ") + e.what());
  }
  return graph;
}

}  // namespace isthmus::models
