// Which kernels of a profile an operator of a graph is made of.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "models/operator_graph.hpp"

namespace isthmus::models {

//! One kernel by kind and named shape, executed `count` times.
struct KernelQuery {
  std::string_view kind;
  std::vector<std::pair<std::string_view, double>> shape;
  double count = 1;

  //! The parameter called `name`; throws InternalError when there is none.
  double at(std::string_view name) const;
};

//! Arithmetic and memory traffic (elements read and written) of one execution of a kernel. Throws
//! InternalError for a kind that kernels_of() never gives.
struct KernelWork {
  double flops = 0, elements = 0;
};
KernelWork work_of(const KernelQuery& query);

//! The kernels of `op` for a batch: convolutions are a matrix product after an unfolding copy,
//! attention is two products and a softmax per head, pooling is an elementwise pass over its input.
std::vector<KernelQuery> kernels_of(const Operator& op, double batch);

}  // namespace isthmus::models
