// A run with its requests in order of creation.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios::testing {

struct Outcome {
  results::Summary summary;
  std::vector<results::RequestRecord> requests;
  double latency_ms(std::size_t i) const {
    return (requests.at(i).completed - requests.at(i).created).seconds() * 1e3;
  }
  double value(const std::string& metric) const { return summary.value(metric); }
};

inline Outcome run(const nlohmann::json& s) {
  Outcome out;
  world::RunOptions options;
  options.on_request = [&](const results::RequestRecord& r) { out.requests.push_back(r); };
  out.summary = world::run(*load_json(s).scenario, options);
  std::sort(out.requests.begin(), out.requests.end(),
            [](const auto& x, const auto& y) { return x.request < y.request; });
  return out;
}

}  // namespace isthmus::scenarios::testing
