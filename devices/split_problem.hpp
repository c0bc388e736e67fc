// Operator graphs on tiers of machines as partition problems.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/graph_cost.hpp"
#include "schedulers/partition.hpp"

namespace isthmus::devices {

//! The tasks, times, tensors and client power of a batch of `batch` inputs. `tiers`: the cost of
//! one graph on each tier, from the client outwards. Inputs are pinned to the client and sent as
//! they are; tiers beyond it add the overhead of their framework to the latency of the hop before
//! them. Hops are left infinitely fast, for the caller to fill in. `input_bytes`: what all inputs
//! together are sent as; below 0: as tensors. Throws InputError when the tiers execute different
//! operators.
schedulers::PartitionProblem split_problem(std::span<const models::GraphCost* const> tiers,
                                           std::int64_t batch, double input_bytes = -1);

//! Activations sent in another format: the bytes of both formats pass through the memory of the two
//! units once. The ratio is at most 1. `accuracy_loss`: of one tensor, [0, 1].
schedulers::TensorEncoding quantized(const models::GraphCost& from, const models::GraphCost& to,
                                     models::Precision format, double accuracy_loss = 0);

//! The operators that a placement runs on a tier.
std::vector<bool> operators_on(const models::OperatorGraph& graph,
                               const schedulers::Partition& partition, std::uint32_t tier);

}  // namespace isthmus::devices
