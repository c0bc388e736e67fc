// Rollouts in summary.json.
#pragma once

#include <nlohmann/json.hpp>

#include "results/rollout.hpp"

namespace isthmus::results {

nlohmann::ordered_json from_rollout(const RolloutTotals& r);
RolloutTotals to_rollout(const nlohmann::ordered_json& j);
nlohmann::ordered_json from_version(const VersionTotals& v);
VersionTotals to_version(const nlohmann::ordered_json& j);
nlohmann::ordered_json from_skew(const SkewTotals& s);
SkewTotals to_skew(const nlohmann::ordered_json& j);

}  // namespace isthmus::results
