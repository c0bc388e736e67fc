// Which kernels of a profile an operator of a graph is made of, and the work of each kernel kind.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/operator_graph.hpp"
#include "models/precision.hpp"

namespace isthmus::models {

//! One kernel by kind and named shape, executed `count` times.
struct KernelQuery {
  std::string_view kind;
  std::vector<std::pair<std::string_view, double>> shape;
  double count = 1;

  //! The parameter called `name`; throws InternalError when there is none.
  double at(std::string_view name) const;
};

//! Arithmetic and memory traffic of one execution of a kernel.
struct KernelWork {
  double flops = 0;
  double elements = 0;  //!< read and written, in the kernel's number format
  double bytes = 0;     //!< traffic that no number format scales (collectives)

  double traffic(Precision p) const { return elements * bytes_of(p) + bytes; }
};

//! Work as a function of shape for one kind, with the parameters in the order of a table.
class WorkModel {
 public:
  //! Nothing when the kind is not in kernel_kinds or a parameter does not belong to it. Parameters
  //! of the kind that `parameters` lacks count as 1, except window, context, decode_context,
  //! sequences, tokens of a mixed batch and skew, which count as 0.
  static std::optional<WorkModel> of(std::string_view kind,
                                     std::span<const std::string> parameters);
  //! `shape` holds the parameters given to of(). Continuous in every parameter.
  KernelWork operator()(std::span<const double> shape) const;
  //! Whether flops and bytes are real quantities; whole language models are counted in tokens.
  bool physical() const;

 private:
  std::size_t kind_ = 0;
  std::array<int, 8> source_{};  // where the kind's parameters lie in the table's, -1 = absent
  std::array<double, 8> default_{};
};

//! Work of a kernel. Throws InternalError for a kind or parameter that does not exist.
KernelWork work_of(const KernelQuery& query);

//! The kernels of `op` for a batch: convolutions are a matrix product after an unfolding copy,
//! attention is two products and a softmax per head, pooling is an elementwise pass over its input.
std::vector<KernelQuery> kernels_of(const Operator& op, double batch);

//! The one kernel that is `op` as a whole, for tables that timed it so (conv, batched_gemm,
//! encoder_attention, activation, embedding); nothing for the others.
std::optional<KernelQuery> whole_kernel_of(const Operator& op, double batch);

}  // namespace isthmus::models
