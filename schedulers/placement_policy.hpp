// On which machine does a new replica run, of those that may take it?
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "schedulers/policy.hpp"

namespace isthmus::schedulers {

//! What a replica takes of a machine.
struct PlacementDemand {
  double accelerators = 0;  //!< whole units
  double memory = 0;        //!< bytes
};

//! A machine that may take the replica (schedulers/placement_rules.hpp) and has room for it.
struct PlacementSite {
  std::uint32_t node = 0;      //!< its number in the run
  double accelerators = 0, free_accelerators = 0;  //!< units of the kind that the replica takes
  double memory = 0, free_memory = 0;              //!< bytes; 0: unknown
  double price = 0;            //!< USD/h of the machine
  double replica_price = 0;    //!< USD/h of the share of it that the replica takes
  std::uint32_t replicas = 0;  //!< of all services on it
  std::uint32_t own = 0;       //!< of the same service
};

struct PlacementView {
  PlacementDemand demand;
  std::span<const PlacementSite> sites;  //!< never empty, by number
  double uniform = 0;                    //!< draw in (0, 1)
};

//! One object per service; pure: it keeps no state.
class PlacementPolicy {
 public:
  virtual ~PlacementPolicy() = default;
  //! Index of the site that takes the replica.
  virtual std::size_t place(const PlacementView& view) = 0;
};

const std::vector<PolicyEntry<PlacementPolicy>>& placement_policies();

//! Share of a machine that is taken once the replica is there, 0 to 1, of the resource `used` of `all`.
inline double taken_share(double all, double free, double demand) {
  return all > 0 ? (all - free + demand) / all : 0.0;
}
//! Likewise, the mean over the resources that the replica takes and the machine states.
double mean_taken_share(const PlacementSite& site, const PlacementDemand& demand);
//! The largest of these.
double dominant_share(const PlacementSite& site, const PlacementDemand& demand);

}  // namespace isthmus::schedulers
