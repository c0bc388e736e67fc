// A model configuration of Triton (config.pbtxt): what it says about batching.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "schedulers/policy.hpp"

namespace isthmus::scenarios {

struct TritonConfig {
  std::string policy;                  //!< "dynamic", or "none" without a dynamic batcher
  schedulers::Parameters parameters;   //!< of that policy
  std::uint32_t instances = 1;         //!< of all groups and devices
  std::vector<std::string> ignored;    //!< fields that say something that is not simulated here
};

//! Throws InputError, one problem per line, each "file:line:column: reason".
TritonConfig parse_triton_config(std::string_view content, std::string_view file);
TritonConfig read_triton_config(const std::filesystem::path& path);

}  // namespace isthmus::scenarios
