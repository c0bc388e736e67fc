#include "sim/world/operator_codes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace isthmus::world {

const models::OperatorGraph& graph_of(const GraphExecution& e) {
  return (*std::find_if(e.costs.begin(), e.costs.end(), [](const auto& c) { return c != nullptr; }))
      ->graph();
}

namespace {

// Codes in order of first use.
class Names {
 public:
  std::uint32_t code(const std::string& name) {
    const auto [it, fresh] = codes_.emplace(name, static_cast<std::uint32_t>(names_.size()));
    if (fresh) names_.push_back(name);
    return it->second;
  }
  std::vector<std::string> take() { return std::move(names_); }

 private:
  std::map<std::string, std::uint32_t> codes_;
  std::vector<std::string> names_;
};

}  // namespace

OperatorCodes operator_codes(const Scenario& scenario) {
  OperatorCodes codes;
  Names lanes, operators;
  for (const NodeGroup& group : scenario.nodes) {
    std::vector<std::uint32_t>& of_group = codes.lane_of.emplace_back();
    for (const devices::ExecutorUnit& unit : group.executor.units)
      for (std::uint32_t lane = 0; lane < unit.lanes; ++lane)
        of_group.push_back(
            lanes.code(unit.lanes > 1 ? fmt::format("{} {}", unit.name, lane + 1) : unit.name));
  }
  for (const Service& service : scenario.services) {
    std::vector<std::uint32_t>& of_service = codes.operator_of.emplace_back();
    if (const GraphExecution* e = service.execution()) {
      const models::OperatorGraph& graph = graph_of(*e);
      for (std::size_t v = 0; v < graph.size(); ++v)
        of_service.push_back(operators.code(graph.at(v).name));
    }
  }
  codes.lanes = lanes.take();
  codes.operators = operators.take();
  return codes;
}

}  // namespace isthmus::world
