// What a scenario says about money and carbon (docs/cost.md). Prices are in its one currency.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::world {

//! The conventions of price lists.
inline constexpr double hours_per_month = 730, hours_per_year = 8760;

//! How the machines of a group are paid for.
enum class BillingKind : std::uint8_t {
  on_demand,  //!< per hour of use
  reserved,   //!< per hour of a term, used or not, and at once
  spot,       //!< on_demand at a discount
  owned,      //!< bought, and written off over its life
  none,       //!< nothing for the machine itself
};

struct Licence {
  std::string name;
  double per_month = 0, per_machine = 1;  //!< price of one, and how many a machine needs
};

struct Billing {
  BillingKind kind = BillingKind::on_demand;
  bool stated = false;                 //!< the scenario says how: there are rows even for prices of 0
  Duration granularity, minimum;       //!< of one use of a machine; zero: to the nanosecond
  double discount = 0;                 //!< spot
  double upfront = 0, term_hours = 1;  //!< reserved: per machine
  double purchase = 0, salvage = 0, life_hours = 1;  //!< owned: per machine
  bool pays_power = false;
  std::vector<Licence> licences;
  std::uint32_t site = ~0U;            //!< index into Costs::sites; ~0: power neither costs nor emits
  double embodied_grams = 0, embodied_hours = 1;  //!< per machine, and its life
};

//! Prices or intensities over time: each holds until the next one; they repeat.
struct TimeSeries {
  std::vector<Duration> at;            //!< the first one is zero; empty: constant
  std::vector<double> value;
  Duration length;                     //!< of one round
};

//! Where machines get their power.
struct Site {
  std::string name;
  double pue = 1;
  double price = 0, grams = 0;         //!< per kWh, when constant
  TimeSeries prices, intensities;
};

//! A service paid for by use.
struct UsageBilling {
  double per_request = 0;
  double per_second = 0;               //!< of a request's time in service
  double per_byte_second = 0, memory = 0;
  Duration granularity, minimum;       //!< of that time
  bool provider = false;               //!< somebody else's: answers are calls, with an agreement
  double availability = 0;             //!< that is agreed on; 0: none
  struct Credit {
    double below = 0, share = 0;       //!< of the bill of a month with less availability
  };
  std::vector<Credit> credits;         //!< by falling `below`
};

struct FlatItem {
  std::string name;
  double per_hour = 0, once = 0, life_hours = hours_per_year;
};

struct EgressTier {
  double bytes = std::numeric_limits<double>::infinity();  //!< a month, after the tiers before
  double price = 0;                    //!< per byte
};

struct Costs {
  bool enabled = false;                //!< a ledger is kept
  std::string currency = "USD";
  std::vector<Billing> billing;        //!< by node group
  std::vector<std::optional<UsageBilling>> usage;  //!< by service
  std::vector<Site> sites;
  std::vector<FlatItem> flat;
  std::vector<EgressTier> egress;      //!< empty: Scenario::egress_price
  bool carbon = false;                 //!< somebody states an intensity or an embodied carbon
};

}  // namespace isthmus::world
