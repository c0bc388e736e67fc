// Which variant of its model answers a request, and at which exit it leaves.
#include <algorithm>

#include "devices/unit_power.hpp"
#include "sim/world/decision_watch.hpp"
#include "sim/world/service_levels.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

// What policies are told of the variants of a service.
void World::open_variants(std::uint32_t index) {
  const Service& service = scenario_.services[index];
  const auto* graph = std::get_if<GraphModel>(&service.work);
  if (!graph || graph->choices.empty()) return;
  ServiceState& s = services_[index];
  const models::ComputeUnit& unit = scenario_.nodes[service.group].units[service.unit];
  std::size_t exits = 0;
  for (const GraphChoice& c : graph->choices) {
    schedulers::VariantOption o;
    o.name = c.name;
    o.accuracy = c.accuracy;
    o.weight_bytes = c.weight_bytes;
    double seconds = 0;
    for (const GraphExit& e : c.exits) {
      const models::Prediction p = e.cost->batch(1);
      seconds += e.share * p.time.seconds();
      o.energy += e.share * p.time.seconds() * devices::active_power(unit, p.compute_share).value();
    }
    o.service = Duration::from_seconds(seconds);
    s.options.push_back(o);
    exits = std::max(exits, c.exits.size());
  }
  s.variant_counts.assign(graph->choices.size(), 0);
  s.exit_counts.assign(exits, 0);
}

// Requests of a batch run variant by variant; within one, those that leave at an exit make the rest
// of the batch smaller.
void World::choose_variants(std::uint32_t replica, Batch& b) {
  Replica& p = replicas_[replica];
  const Service& service = scenario_.services[p.service];
  const auto& graph = std::get<GraphModel>(service.work);
  ServiceState& s = services_[p.service];
  if (graph.policy && !p.variants) p.variants = graph.policy->make(*graph.parameters);

  schedulers::VariantView view;
  view.now = now_;
  view.waiting = p.server->waiting() + (p.line ? p.line->size() : 0);
  view.slots = p.server->slots();
  if (const NodeState& n = nodes_[p.node]; n.physics)
    view.battery = n.physics->battery_charge(now_);
  view.options = s.options;
  if (levels_) view.alerts = levels_->active(p.service);
  double best = 0;
  for (const schedulers::VariantOption& o : s.options) best = std::max(best, o.accuracy);
  std::vector<std::vector<std::int64_t>> leave(
      graph.choices.size());  // requests by choice and exit
  for (const std::uint64_t tag : b.tags) {
    Request& r = requests_[Handle::unpack(tag).slot];
    const Workload& w = scenario_.workloads[r.record.workload];
    std::size_t choice = 0;
    schedulers::VariantDecision decision;
    if (p.variants) {
      view.created = r.record.created;
      view.priority = w.priority;
      view.over_quota = r.over_quota;
      Duration limit = w.request.deadline;
      for (const results::Objective& o : scenario_.objectives)
        if (o.metric == "latency") limit = std::min(limit, o.target);
      view.deadline = r.record.created + limit;
      decision = p.variants->choose(view);
      choice = decision.option;
      if (choice >= graph.choices.size())
        throw Error("variant policy: chose a variant that does not exist");
    }
    const std::vector<GraphExit>& exits = graph.choices[choice].exits;
    std::size_t exit = 0;
    if (exits.size() > 1) {
      Rng g = difficulty_draws_.at(r.record.identity, 0);
      const double difficulty = w.request.difficulty.sample(g);
      for (double share = exits[0].share; exit + 1 < exits.size() && difficulty >= share;
           share += exits[++exit].share) {
      }
    }
    leave[choice].resize(exits.size(), 0);
    ++leave[choice][exit];
    if (eyes_ && eyes_->variant && watched(r))
      eyes_->variant({r.record.request, front_of(p.service),
                      p.variants ? std::string_view(graph.policy->name) : std::string_view(), &view, decision, exit,
                      exits.size()});
    r.record.variant = static_cast<std::uint16_t>(choice);
    r.record.degraded = s.options[choice].accuracy < best;
    r.record.exit = static_cast<std::uint16_t>(exit);
    r.record.accuracy = service.accuracy_given ? service.accuracy : exits[exit].accuracy;
    if (r.record.counted) {
      ++s.variant_counts[choice];
      if (exits.size() > 1) ++s.exit_counts[exit];
    }
  }
  for (std::size_t c = 0; c < leave.size(); ++c) {
    std::int64_t staying = 0;
    for (const std::int64_t n : leave[c]) staying += n;
    const std::vector<GraphExit>& exits = graph.choices[c].exits;
    for (std::size_t e = 0; e < leave[c].size() && staying > 0; ++e) {
      b.parts.push_back({exits[e].cost.get(), staying, 1});
      if (e > 0) b.parts.push_back({exits[e - 1].cost.get(), staying, -1});
      staying -= leave[c][e];
    }
  }
}

}  // namespace isthmus::world
