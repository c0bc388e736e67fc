// Times of operator graphs on one unit: profile first, roofline where the profile has no answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/machine.hpp"
#include "models/operator_graph.hpp"
#include "models/prediction.hpp"

namespace isthmus::models {

class KernelProfile;

//! How a graph is stored and computed.
struct GraphVariant {
  std::string name;
  Precision weights = Precision::fp32;
  Precision activations = Precision::fp32;
  double accuracy = 0;
  std::string accuracy_metric, accuracy_source;
};

//! What the time of one operator is made of, in seconds. An executor that slows the clock stretches
//! `compute`, one that shares the memory stretches `memory`; the rest of `body` stays.
struct OperatorTimeParts {
  double launch = 0;   //!< the unit's launch_overhead
  double body = 0;     //!< the rest of operator_time(): what a profile measured, or the roofline
  double compute = 0;  //!< of `body` at most: arithmetic alone, at the efficiency of large products
  double memory = 0;   //!< of `body` at most: memory traffic alone, at the reachable bandwidth
  double bytes = 0;    //!< memory traffic
};

//! Prepared for one (graph, variant, unit); immutable and safe from many threads. The time is that
//! of the serial execution of all operators on the unit.
//!
//! An operator's time: its kernels in `profile` (measured or interpolated); outside the grid, the
//! nearest measured row scaled by the roofline (extrapolated); without a table for its kind, the
//! roofline. The graph is fused first (pass_fuse.hpp), as every deployment runtime does: attention,
//! batch norm, biases and activations are parts of the products and sums before them. One
//! launch_overhead per remaining operator.
class GraphCost {
 public:
  //! `profile` may be null. Throws InputError when the unit cannot compute the variant's format.
  GraphCost(const OperatorGraph& graph, const GraphVariant& variant, const ComputeUnit& unit,
            std::shared_ptr<const KernelProfile> profile);
  //! The same fused graph and variant on another unit. Throws as the constructor.
  GraphCost on(const ComputeUnit& unit, std::shared_ptr<const KernelProfile> profile) const;
  //! The operators with keep[index] alone, the others taking no time: a part of the graph that runs
  //! here, in one call of the framework. `keep` has one entry per operator of graph().
  GraphCost only(const std::vector<bool>& keep) const;
  //! Time of a batch of `batch` >= 1 inputs, the unit's iteration_overhead included.
  Prediction batch(std::int64_t batch) const;
  std::int64_t batch_ns(std::int64_t batch) const;
  //! Per-operator table for a batch, the overhead first. The times add up to batch() up to
  //! rounding.
  std::vector<OperatorCost> explain(std::int64_t batch) const;
  //! Time of operator `index` of graph() alone, launch included; for executors that schedule
  //! operators one by one.
  Prediction operator_time(std::size_t index, std::int64_t batch) const;
  //! The same time in parts, not rounded.
  OperatorTimeParts operator_parts(std::size_t index, std::int64_t batch) const;
  //! Bytes of the output of operator `index`, in the format of its activations.
  double output_bytes(std::size_t index, std::int64_t batch) const;
  //! What is executed: the graph after fusion.
  const OperatorGraph& graph() const;
  const GraphVariant& variant() const;
  const ComputeUnit& unit() const;
  double weight_bytes() const;
  double weight_bytes(std::size_t index) const;  //!< of operator `index`
  //! Largest sum of live activations in topological order, bytes, for a batch.
  double peak_activation_bytes(std::int64_t batch) const;

 private:
  struct Impl;
  explicit GraphCost(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace isthmus::models
