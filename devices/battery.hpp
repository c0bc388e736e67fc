// A battery: charge, losses, limits, wear.
#pragma once

#include "sim/core/errors.hpp"

namespace isthmus::devices {

struct BatterySpec {
  double capacity = 0;              //!< J when new, > 0
  double charge = 1;                //!< share of the capacity at the start, [0, 1]
  double discharge_efficiency = 1;  //!< W delivered per W drawn from the store, (0, 1]
  double charge_efficiency = 1;     //!< W stored per W drawn from the charger, (0, 1]
  double discharge_limit = 1e300;   //!< W that the store gives at most
  double charge_limit = 1e300;      //!< W that the charger gives at most
  double cycles = 1e300;            //!< full cycles after which the capacity would be gone
  double charger = 0;               //!< W that the charger could give; 0: not plugged in
};

//! Linear in time between changes of load, so every date is exact. Wear takes capacity in
//! proportion to the energy that went through the store: one full cycle is twice the capacity (as
//! SimGrid's battery plugin).
class Battery {
 public:
  explicit Battery(const BatterySpec& spec);

  //! W that the load asks for and W that the charger could give from now on. The charger feeds the
  //! load first.
  void set(double load, double charger);
  void advance(double seconds);
  double stored() const { return stored_; }                     //!< J
  double capacity() const { return spec_.capacity * health_; }  //!< J, worn
  double health() const { return health_; }                     //!< of the new capacity
  double charge() const { return capacity() > 0 ? stored_ / capacity() : 0; }
  bool empty() const { return stored_ <= 0 && change_ <= 0; }
  double delivered() const { return delivered_; }  //!< J that reached the load from the store
  double drawn() const { return drawn_; }          //!< J taken from the charger
  double delivering() const { return supply_; }    //!< W that the load gets from the store now
  //! Seconds until charge() is `share`, infinite if it never gets there with the present flows.
  double time_until(double share) const;

 private:
  void flows();
  BatterySpec spec_;
  double stored_, health_ = 1, delivered_ = 0, drawn_ = 0;
  double load_ = 0, charger_ = 0;
  double change_ = 0, supply_ = 0,
         intake_ = 0;  // J/s of the store, W to the load, W from the charger
};

}  // namespace isthmus::devices
