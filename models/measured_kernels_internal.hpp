// What the two libraries of measured kernels share.
#pragma once

#include <vector>

#include "models/measured_kernels.hpp"

namespace isthmus::models {

//! Makes the compiler believe that the memory is read.
inline void keep(const void* result) { asm volatile("" : : "g"(result) : "memory"); }

//! Copies elements of `bytes` bytes with memcpy.
std::unique_ptr<MeasuredKernel> make_copy(const std::vector<double>& shape, double bytes);
//! Gathers rows of a table of at most 32,768 rows or 64 MB by scattered identifiers.
std::unique_ptr<MeasuredKernel> make_embedding(const std::vector<double>& shape, double bytes);

std::vector<KernelFamily> eigen_families();
std::string eigen_library();
std::vector<KernelFamily> onednn_families();
std::string onednn_library();

}  // namespace isthmus::models
