// The speed, memory and power of one compute unit, as a catalogue or a scenario states them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/operator_kind.hpp"
#include "models/precision.hpp"
#include "sim/core/time.hpp"

namespace isthmus::models {

enum class UnitKind : std::uint8_t { cpu, gpu, npu };

constexpr std::string_view name_of(UnitKind k) {
  return k == UnitKind::cpu ? "cpu" : k == UnitKind::gpu ? "gpu" : "npu";
}

//! One compute unit (CPU cluster, GPU, NPU). All rates are dense peaks; efficiencies turn them into
//! what large kernels reach. Unknown optional figures are 0.
struct ComputeUnit {
  std::string name;
  UnitKind kind = UnitKind::gpu;
  //! Dense peak, operations/s, per Precision; 0 = the unit cannot compute in that format.
  std::array<double, static_cast<std::size_t>(Precision::count_)> peak{};
  double memory_bandwidth = 0;      //!< bytes/s
  double memory = 0;                //!< bytes that models and caches may use
  double compute_efficiency = 1;    //!< fraction of peak for large GEMMs, (0, 1]
  double bandwidth_efficiency = 1;  //!< fraction of memory bandwidth for large streams, (0, 1]
  double efficiency_error = 0;  //!< relative standard error of roofline times with these figures
  Duration launch_overhead;     //!< per kernel or operator
  Duration iteration_overhead;  //!< fixed CPU/framework time per batch or engine iteration
  Duration sequence_overhead;   //!< CPU/framework time per sequence that gets a token in an iteration
  //! The framework prepares an engine iteration while the one before it computes: the longer of the
  //! two counts, not their sum.
  bool overlap_overhead = false;
  //! Numbers of tokens for which an engine captured its kernels (CUDA graphs), rising: iterations with
  //! fewer tokens are padded to the next, larger ones than the last are not. Empty: no padding.
  std::vector<std::int64_t> graph_sizes = {};
  double idle_power = 0;        //!< W
  double bandwidth_power = 0;   //!< W while memory-bound
  double compute_power = 0;     //!< W while compute-bound
  std::uint32_t streams = 1;    //!< operators that run on it at once, sharing its arithmetic
  std::string profile;          //!< path of an HDF5 kernel profile, "" = roofline only
  //! What graphs must run on another unit of the node; services on this unit alone ignore it.
  OperatorKinds unsupported{};

  bool supports(OperatorKind kind) const { return !unsupported[static_cast<std::size_t>(kind)]; }
};

//! Peak of the fastest path on which `weights` x `activations` products can run: the activation
//! format's own peak, or the next wider format that the unit has (weights are widened on the fly).
//! Returns operations/s; throws InputError when the unit has no usable format at all.
double usable_peak(const ComputeUnit& unit, Precision weights, Precision activations);

}  // namespace isthmus::models
