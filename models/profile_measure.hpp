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
  std::string licence = "CC0-1.0";    //!< of the resulting data, SPDX
  std::string program_version;        //!< of the calling program
  std::string library = "onednn";     //!< onednn or eigen
  std::vector<std::string> kinds;     //!< subset of measurable_kinds(); empty = all
  std::vector<Precision> precisions;  //!< empty = all that the library has
  int core = 0;                       //!< first CPU core to pin to; must exist
  int threads = 1;                  //!< cores used, `core` and the following; > 1 with oneDNN only
  bool quick = false;               //!< few shapes
  double seconds_per_shape = 0.01;  //!< repeat at least this long; finite, >= 0 ...
  std::uint64_t min_repeats = 7;    //!< ... and at least this often, >= 1 ...
  std::uint64_t max_repeats = 200;  //!< ... but no oftener than this
  double max_flops = 2e9;           //!< leaves out shapes with more work, flops
  double max_bytes = 256e6;         //!< leaves out shapes with larger operands, bytes
  //! Called after every shape with the share done in (0, 1]; may be empty.
  std::function<void(double)> progress;
};

//! Kinds that a library measures in some format. Throws InputError for an unknown library.
std::vector<std::string> measurable_kinds(const std::string& library = "onednn");

//! Runs every shape once to warm up, then repeats it; the median, p10 and p90 of single executions
//! are kept. A shape whose repetitions disagree much is measured again, twice at most, and the run
//! with the smallest spread kept. With one thread its CPU time counts, so that other programs
//! disturb only through caches and memory; with several the wall time. Shapes for which the library
//! has a reference implementation only, or nothing, are left out and counted in the provenance.
//! Throws InputError for an unknown library, kind or core, for a library without a wanted format,
//! for impossible options, and when nothing could be measured.
KernelProfile measure_profile(const MeasureOptions& options);

}  // namespace isthmus::models
