// A server whose latencies are known by hand, for service levels and their alerts.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace isthmus::scenarios::testing {

//! Ten requests per second that take 100 ms each, on a server with room for all; `duration` in s.
inline nlohmann::json station(const nlohmann::json& levels, double duration) {
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", std::to_string(duration) + " s"},
          {"nodes", {{"server", {{"count", 1}}}}},
          {"network", {{"model", "fluid"}}},
          {"services",
           {{"s", {{"service_time", "100 ms"}, {"on", "server"}, {"local", false}, {"slots", 1000},
                   {"queue", {{"timeout", "50 ms"}}}}}}},
          {"workload", {{{"name", "steady"}, {"source", "deterministic"}, {"rate", "10 /s"}, {"target", "s"}}}},
          {"service_levels", levels}};
}

//! One more request per second from 600 s to 1499 s, four times as long.
inline nlohmann::json slow_requests() {
  nlohmann::json times = nlohmann::json::array();
  for (int t = 600; t < 1500; ++t) times.push_back(std::to_string(t) + " s");
  return {{"name", "slow"}, {"source", "times"}, {"times", times}, {"target", "s"}, {"request", {{"work", 4}}}};
}

}  // namespace isthmus::scenarios::testing
