// What is counted during a run for its bill.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::world {

struct CostState {
  Instant start;                       // of what is counted
  // By machine: since when it is rented; never: it is not. By group: s of uses that have ended, each
  // rounded as billing says.
  std::vector<Instant> rented_since;
  std::vector<double> rented;

  // By group: meters at the last change of a price, and what was used until then.
  struct Power {
    double read = 0;                   // J
    double cost = 0, grams = 0;
  };
  std::vector<Power> power;
  struct SiteNow {
    double price = 0, grams = 0;       // per kWh
  };
  std::vector<SiteNow> sites;

  // By service.
  struct Month {
    std::uint64_t requests = 0;
    Duration down;
  };
  struct Use {
    std::uint64_t requests = 0, granules = 0;
    std::vector<Month> months;         // of providers
    std::uint32_t machines_up = 0;
    Instant down_since = Instant::never();
  };
  std::vector<Use> use;
};

}  // namespace isthmus::world
