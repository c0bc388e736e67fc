// Replicas on their way to life, and images on their way to machines.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "sim/core/event_queue.hpp"
#include "sim/core/ids.hpp"
#include "sim/world/startup_spec.hpp"

namespace isthmus::world {

//! What an event of kind `startup` says; its payload is a replica, or a pull.
enum class StartStep : std::uint32_t { provisioned, unpacked, pull_again, kept_long_enough, restart };

struct StartupState {
  using Parts = std::array<Duration, start_parts>;
  struct Start {
    Instant asked, since;              // since: of the present part
    Parts parts{};
    bool pulling = false;
  };
  std::map<std::uint32_t, Start> starts;  // by replica
  std::set<std::uint32_t> kept;           // idle replicas that may be asked for again

  struct Pull {
    std::uint32_t node = 0, registry = 0, generation = 0, attempts = 0;
    bool live = false;
    std::vector<ImageLayer> layers;
    double unpack = 0;
    Instant arrived = Instant::never();
    FlowId flow = FlowId::none();
    EventHandle timer;
  };
  std::vector<Pull> pulls;
  std::set<std::pair<std::uint32_t, std::uint64_t>> held, coming;  // (machine, layer)

  // By service, since the warm-up.
  struct Totals {
    std::uint64_t starts = 0, revived = 0;
    Parts parts{};
    Duration whole;
  };
  std::vector<Totals> totals;
  double pulled = 0;                   // bytes, since the warm-up
};

}  // namespace isthmus::world
