// The kernels that profile_measure times on a CPU: plain ones written with Eigen, tuned ones of
// oneDNN.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/precision.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

//! A kernel of one shape with its buffers allocated and filled.
class MeasuredKernel {
 public:
  virtual ~MeasuredKernel() = default;
  virtual void run() = 0;
  //! What the library runs for this shape, e.g. "brg:avx512_core"; "" = there is but one way.
  virtual std::string implementation() const { return {}; }
};

//! Thrown by KernelFamily::make: this library has no optimized kernel for the shape or format on
//! this CPU, so a time of it would say nothing about what programs run.
struct NoTunedKernel : Error {
  using Error::Error;
};

//! Kernels of one kind in one format. Parameters are those of models/kernel_kinds.hpp.
struct KernelFamily {
  std::string kind;
  Precision precision = Precision::fp32;
  std::string description;  //!< what one execution does
  std::function<std::unique_ptr<MeasuredKernel>(const std::vector<double>&)> make;
};

//! Names of the libraries that kernel_families() knows: onednn, eigen.
std::vector<std::string> kernel_libraries();
//! All families of a library. Throws InputError for an unknown name.
std::vector<KernelFamily> kernel_families(std::string_view library);
//! Library, version, instruction sets and compiler, for the provenance.
std::string kernel_library(std::string_view library);
//! Parameters of a kind in their order. Throws InternalError for an unknown kind.
std::vector<std::string> kind_parameters(std::string_view kind);

//! Shapes of a kind that are worth measuring: the layers of the networks in this program, in steps
//! of about two, with squares of 7 (224 x 224 images) and of 10 (640 x 640) as positions. `quick`
//! keeps one or two values of each parameter. Throws InternalError for an unknown kind.
std::vector<std::vector<double>> measured_shapes(std::string_view kind, bool quick);

//! Sets the number of threads that oneDNN uses while it lives, then the former number again.
class KernelThreads {
 public:
  explicit KernelThreads(int threads);
  ~KernelThreads();
  KernelThreads(const KernelThreads&) = delete;
  KernelThreads& operator=(const KernelThreads&) = delete;

 private:
  int before_;
};

}  // namespace isthmus::models
