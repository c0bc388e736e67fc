// Instances of a partitioned NVIDIA GPU (multi-instance GPU): each has arithmetic, memory and bandwidth of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/machine.hpp"

namespace isthmus::models {

//! One instance profile such as 3g.40gb: so many of the GPU's compute and memory slices.
struct MigProfile {
  std::string name;
  int compute = 0, of = 7;   //!< slices, of all
  int memory = 0;            //!< eighths

  double compute_share() const { return static_cast<double>(compute) / of; }
  double memory_share() const { return memory / 8.0; }
};

//! Profiles of the instances of one GPU. `device` is the catalogue's name, "" for one that is not from there;
//! `memory` in bytes decides what the gigabytes in a profile's name mean. Throws InputError for a device without
//! MIG, an unknown profile or more slices than there are.
//! Source: NVIDIA Multi-Instance GPU User Guide, tables of GPU instance profiles (A30: 4 compute slices, others 7;
//! 8 memory slices each; shares of arithmetic as printed there, sevenths or quarters).
std::vector<MigProfile> mig_profiles(const std::vector<std::string>& names, const std::string& device,
                                     double memory);

//! The unit that one instance is: peaks, bandwidth, memory and power in proportion, no kernel profile (it was
//! measured on the whole GPU).
ComputeUnit mig_instance(const ComputeUnit& gpu, const MigProfile& profile);

}  // namespace isthmus::models
