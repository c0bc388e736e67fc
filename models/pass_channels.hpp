// Which channels of which tensors are the same channels. For pruning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "models/operator_graph.hpp"

namespace isthmus::models {

//! The channels of every tensor of a graph as segments of sets: an operator that makes channels (a
//! dense convolution or product, a table look-up) opens a set, and others pass sets on, join them
//! in a row or tie them together.
class ChannelMap {
 public:
  explicit ChannelMap(const OperatorGraph& graph);

  //! A run of channels: those of `set`, each `repeat` times (flattened planes), or `divide` of them
  //! together making one (gates).
  struct Segment {
    std::size_t set = 0;
    std::int64_t repeat = 1, divide = 1;
  };
  //! Channels of an operator's output and the dimension that they are in; no segments = a tensor of
  //! one channel or of none.
  struct Channels {
    std::size_t axis = 0;
    std::vector<Segment> segments;
  };

  const Channels& of(std::size_t v) const { return channels_[v]; }
  //! The set that ties have made of `set`.
  std::size_t root(std::size_t set) const;
  std::int64_t size(std::size_t set) const { return sizes_[root(set)]; }
  std::size_t sets() const { return sizes_.size(); }
  //! What remains of a set has to be a multiple of this.
  std::int64_t multiple(std::size_t set) const { return multiples_[root(set)]; }
  //! Why a set cannot shrink; "" = it can.
  const std::string& held(std::size_t set) const { return held_[root(set)]; }

 private:
  std::size_t open(std::int64_t size);
  void tie(std::size_t a, std::size_t b, const Operator& op);
  bool tie(const Channels& a, const Channels& b, const Operator& op);
  void hold(const Channels& channels, const std::string& reason);
  void follow(const OperatorGraph& graph, std::size_t v);
  std::vector<Channels> channels_;
  std::vector<std::size_t> parent_;
  std::vector<std::int64_t> sizes_, multiples_;
  std::vector<std::string> held_;
};

}  // namespace isthmus::models
