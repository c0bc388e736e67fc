// Times real kernels on this machine's CPU and returns them as a profile.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/kernel_profile.hpp"

namespace isthmus::models {

//! What to measure and how patiently.
struct MeasureOptions {
  std::string device;  //!< name in the profile; "" = CPU model from /proc/cpuinfo, "(1 core)"
  std::string licence = "CC0-1.0";  //!< of the resulting data, SPDX
  std::string program_version;      //!< of the calling program
  std::vector<std::string> kinds;   //!< subset of measurable_kinds(); empty = all
  int core = 0;                     //!< CPU core to pin to; must exist
  double seconds_per_shape = 0.02;  //!< repeat at least this long ...
  std::uint64_t min_repeats = 7;    //!< ... and at least this often ...
  std::uint64_t max_repeats = 200;  //!< ... but no oftener than this
  double max_flops = 2e9;  //!< leaves out shapes with more work, flops; raises the time needed
  //! Called after every shape with the share done in (0, 1]; may be empty.
  std::function<void(double)> progress;
};

//! gemm, depthwise_conv, elementwise, copy, softmax, norm; all in fp32.
std::vector<std::string> measurable_kinds();

//! Runs every shape once to warm up, then repeats it; the median, p10 and p90 of single executions
//! are kept. One thread, pinned while measuring; its CPU time counts, so that other programs
//! disturb only through the caches. Throws InputError for an unknown kind or core.
KernelProfile measure_profile(const MeasureOptions& options);

}  // namespace isthmus::models
