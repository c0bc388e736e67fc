// A HorizontalPodAutoscaler manifest (autoscaling/v2), used unchanged: what it says, and changes to its
// text that leave everything else as it was.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schedulers/hpa_object.hpp"

namespace isthmus::scenarios {

struct HpaManifest {
  schedulers::HpaObject object;
  std::vector<std::string> ignored;    //!< fields that say something that is not simulated here
};

//! `names`: metric of the simulator for a metric of the manifest. Others mean the simulator's metric of
//! that name, and external ones the scenario's external metric. Throws InputError, one problem per line,
//! each "file:line:column: reason".
HpaManifest parse_hpa_manifest(std::string_view content, const std::string& file,
                               const std::map<std::string, std::string>& names = {});
HpaManifest read_hpa_manifest(const std::filesystem::path& path,
                              const std::map<std::string, std::string>& names = {});

//! The text with scalars changed or, in block mappings, added; comments, order and spacing stay. Paths are
//! as "spec.metrics[0].resource.target.averageUtilization". Throws InputError when a path leads nowhere or
//! the result would not say exactly that.
std::string edit_yaml(std::string_view content, const std::string& file,
                      const std::vector<std::pair<std::string, std::string>>& changes);

//! Unified diff of two texts with three lines of context; "" when they are equal.
std::string unified_diff(std::string_view before, std::string_view after, const std::string& from,
                         const std::string& to);

}  // namespace isthmus::scenarios
