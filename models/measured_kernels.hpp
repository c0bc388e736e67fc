// The kernels that profile_measure times: fp32 on one CPU core, written with Eigen.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace isthmus::models {

//! A kernel of one shape with its buffers allocated and filled.
class MeasuredKernel {
 public:
  virtual ~MeasuredKernel() = default;
  virtual void run() = 0;
};

//! Kernels of one kind and the shapes worth measuring.
struct KernelFamily {
  std::string kind;
  std::vector<std::string> parameters;  //!< outermost first, densest last
  std::string description;
  std::function<std::vector<std::vector<double>>()> shapes;
  std::function<double(const std::vector<double>&)> flops;
  std::function<std::unique_ptr<MeasuredKernel>(const std::vector<double>&)> make;
};

//! All families.
const std::vector<KernelFamily>& kernel_families();
//! Library, version, instruction sets and compiler, for the provenance.
std::string kernel_library();

}  // namespace isthmus::models
