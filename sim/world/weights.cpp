// Models that share the memory of a node: batches wait for weights, models come and go.
#include "sim/world/world.hpp"

namespace isthmus::world {

void World::open_model_cache(std::uint32_t node) {
  NodeState& n = nodes_[node];
  const ModelMemory& memory = *scenario_.nodes[n.group].model_cache;
  n.cache = std::make_unique<devices::ModelCache>(
      memory.capacity, memory.policy->make(*memory.parameters), memory.models);
  if (memory.preload) n.cache->preload(now_);
}

// A batch of the service has left the units.
void World::give_back_weights(std::uint32_t node, std::uint32_t service) {
  const std::uint32_t model = scenario_.services[service].cached;
  if (model == ~0U) return;
  std::vector<std::uint64_t> started;
  nodes_[node].cache->release(model, now_, started);
  begin_with_weights(node, started);
}

void World::on_weights_ready(std::uint32_t node) {
  NodeState& n = nodes_[node];
  n.weights_date = Instant::never();
  std::vector<std::uint64_t> started;
  n.cache->advance(now_, started);
  begin_with_weights(node, started);
}

// Starts batches that waited, and keeps one event at the end of the load under way.
void World::begin_with_weights(std::uint32_t node, const std::vector<std::uint64_t>& batches) {
  for (const std::uint64_t tag : batches)
    begin_on_units(static_cast<std::uint32_t>(tag >> 32), static_cast<std::uint32_t>(tag));
  NodeState& n = nodes_[node];
  const Instant next = n.cache->next();
  if (next == n.weights_date) return;
  queue_.cancel(n.weights_ready);
  n.weights_date = next;
  n.weights_ready =
      next.is_never() ? EventHandle() : queue_.push(next, EventKind::weights_ready, node, 0);
}

}  // namespace isthmus::world
