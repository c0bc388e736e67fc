#include "models/pass_channels.hpp"

#include <algorithm>
#include <numeric>

#include "models/pass_weights.hpp"

namespace isthmus::models {

namespace {

using K = OperatorKind;

// Where an operator that makes channels puts them: convolutions first, products last.
std::size_t own_axis(const Operator& op) {
  return is_convolution(op.kind) ? 0 : op.output.size() - 1;
}

// Where channels are when nothing says so: images have them first, sequences last.
std::size_t usual_axis(const Shape& shape) { return shape.size() == 3 ? 0 : shape.size() - 1; }

}  // namespace

ChannelMap::ChannelMap(const OperatorGraph& graph) : channels_(graph.size()) {
  for (const std::size_t v : graph.topological_order()) follow(graph, v);
  for (std::size_t v = 0; v < graph.size(); ++v)
    if (graph.successors(v).empty()) hold(channels_[v], "they are the model's output");
}

std::size_t ChannelMap::root(std::size_t set) const {
  while (parent_[set] != set) set = parent_[set];
  return set;
}

std::size_t ChannelMap::open(std::int64_t size) {
  parent_.push_back(parent_.size());
  sizes_.push_back(size);
  multiples_.push_back(1);
  held_.emplace_back();
  return parent_.size() - 1;
}

void ChannelMap::tie(std::size_t a, std::size_t b, const Operator& op) {
  a = root(a);
  b = root(b);
  if (a == b) return;
  if (sizes_[a] != sizes_[b] && held_[a].empty())
    held_[a] = "'" + op.name + "' joins unequal runs of them";
  if (held_[a].empty()) held_[a] = held_[b];
  multiples_[a] = std::lcm(multiples_[a], multiples_[b]);
  parent_[b] = a;
}

bool ChannelMap::tie(const Channels& a, const Channels& b, const Operator& op) {
  if (a.axis != b.axis || a.segments.size() != b.segments.size()) return false;
  for (std::size_t i = 0; i < a.segments.size(); ++i)
    if (a.segments[i].repeat != b.segments[i].repeat ||
        a.segments[i].divide != b.segments[i].divide ||
        size(a.segments[i].set) != size(b.segments[i].set))
      return false;
  for (std::size_t i = 0; i < a.segments.size(); ++i) tie(a.segments[i].set, b.segments[i].set, op);
  return true;
}

void ChannelMap::hold(const Channels& channels, const std::string& reason) {
  for (const Segment& s : channels.segments)
    if (std::string& held = held_[root(s.set)]; held.empty()) held = reason;
}

void ChannelMap::follow(const OperatorGraph& graph, std::size_t v) {
  const Operator& op = graph.at(v);
  const auto producers = graph.predecessors(v);
  Channels& out = channels_[v];
  if (op.output.empty()) {
    for (const auto p : producers) hold(channels_[p], "'" + op.name + "' reads them as a whole");
    return;
  }
  if (!op.inputs.empty() && op.inputs[0].empty())
    return hold(out = Channels{usual_axis(op.output), {{open(op.output[usual_axis(op.output)])}}},
                "'" + op.name + "' reads a scalar");
  const auto count = [](const Shape& shape, const Channels& c) {
    return c.axis < shape.size() ? shape[c.axis] : 0;
  };
  // Everything around this operator stays as it is.
  const auto stop = [&](const std::string& reason) {
    for (const auto p : producers) hold(channels_[p], reason);
    out.axis = usual_axis(op.output);
    out.segments = {{open(op.output[out.axis])}};
    hold(out, reason);
  };
  // Tensors beside the first one must have the channels of the output, or one for all.
  const auto tie_others = [&](std::size_t from) {
    for (std::size_t i = from; i < producers.size(); ++i) {
      const Channels& other = channels_[producers[i]];
      if (count(op.inputs[i], other) == 1) continue;
      if (!tie(out, other, op)) {
        const std::string reason = "'" + op.name + "' mixes tensors of different form";
        hold(out, reason);
        hold(other, reason);
      }
    }
  };

  switch (op.kind) {
    case K::input:
      out.axis = usual_axis(op.output);
      out.segments = {{open(op.output[out.axis])}};
      return hold(out, "they are the model's input");
    case K::embedding:
      out = {op.output.size() - 1, {{open(op.output.back())}}};
      return;
    case K::depthwise_conv:
    case K::conv:
    case K::gemm: {
      if (producers.empty()) return stop("'" + op.name + "' reads nothing");
      const Channels& in = channels_[producers[0]];
      const std::size_t axis = is_convolution(op.kind) ? 0 : op.inputs[0].size() - 1;
      if (in.axis != axis) return stop("'" + op.name + "' reads another dimension of its input");
      if (op.kind == K::depthwise_conv) {
        if (op.output[0] != op.inputs[0][0])
          return stop("'" + op.name + "' multiplies channels in groups");
        out = in;
      } else if (op.kind == K::conv && op.groups > 1) {
        return stop("'" + op.name + "' is a grouped convolution");
      } else {
        out = {own_axis(op), {{open(op.output[own_axis(op)])}}};
      }
      return tie_others(1);
    }
    case K::elementwise:
      if (producers.size() == 1 && op.inputs[0].size() == op.output.size()) {
        // A gate: one half of the channels times a function of the other.
        const Channels& in = channels_[producers[0]];
        if (in.segments.size() == 1 && in.segments[0].repeat == 1 && in.segments[0].divide == 1 &&
            in.axis < op.output.size() && op.output[in.axis] > 0 &&
            count(op.inputs[0], in) == 2 * op.output[in.axis]) {
          const std::size_t set = root(in.segments[0].set);
          multiples_[set] = std::lcm(multiples_[set], std::int64_t{2});
          out = {in.axis, {{set, 1, 2}}};
          return;
        }
      }
      [[fallthrough]];
    case K::norm:
    case K::pool: {
      // The first input that has the output's channels says what they are.
      std::size_t main = producers.size();
      for (std::size_t i = 0; i < producers.size() && main == producers.size(); ++i) {
        const Channels& c = channels_[producers[i]];
        if (c.axis < op.output.size() && count(op.inputs[i], c) == op.output[c.axis] &&
            (op.inputs[i].size() == op.output.size() || op.kind == K::pool))
          main = i;
      }
      if (main == producers.size()) return stop("'" + op.name + "' changes their number");
      out = channels_[producers[main]];
      return tie_others(0);
    }
    case K::copy: {
      const Channels& first = channels_[producers.empty() ? v : producers[0]];
      if (producers.empty()) return stop("'" + op.name + "' reads nothing");
      const std::size_t axis = first.axis;
      if (producers.size() == 1) {
        const Shape& in = op.inputs[0];
        if (axis < op.output.size() && in.size() == op.output.size() &&
            in[axis] == op.output[axis] && (axis == 0 || elements(in) == elements(op.output))) {
          // Upsampling, padding and crops keep planes; a transposition of equal sides cannot be
          // told from a plain copy, so other layouts must have one dimension of that size only.
          if (std::count(in.begin(), in.end(), in[axis]) == 1 || in == op.output) {
            out = first;
            return;
          }
        }
        if (op.output.size() == 1 && axis == 0 && elements(in) == elements(op.output)) {
          out = {0, first.segments};  // flattening: a plane per channel
          const auto plane = op.output[0] / std::max<std::int64_t>(in[0], 1);
          for (Segment& s : out.segments) s.repeat *= plane;
          return;
        }
        return stop("'" + op.name + "' rearranges them");
      }
      // Concatenation along the channels, or along another dimension.
      std::int64_t sum = 0;
      bool alike = true;
      for (std::size_t i = 0; i < producers.size(); ++i) {
        alike = alike && channels_[producers[i]].axis == axis &&
                op.inputs[i].size() == op.output.size() && axis < op.output.size();
        if (alike) sum += op.inputs[i][axis];
      }
      if (alike && sum == op.output[axis]) {
        out.axis = axis;
        for (const auto p : producers)
          out.segments.insert(out.segments.end(), channels_[p].segments.begin(),
                              channels_[p].segments.end());
        return;
      }
      if (alike && op.inputs[0][axis] == op.output[axis]) {
        out = first;
        return tie_others(1);
      }
      return stop("'" + op.name + "' rearranges them");
    }
    case K::batched_gemm:
    case K::attention:
    case K::softmax:
    case K::count_:
      return stop("'" + op.name + "' is of the kind " + std::string(name_of(op.kind)));
  }
}

}  // namespace isthmus::models
