#include "devices/battery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace isthmus::devices {

Battery::Battery(const BatterySpec& spec) : spec_(spec), stored_(spec.capacity * spec.charge) {
  const auto check = [](const char* name, double v, bool good) {
    if (!good) throw InputError(fmt::format("battery: {} is {}", name, v));
  };
  check("capacity", spec.capacity, spec.capacity > 0 && std::isfinite(spec.capacity));
  check("charge", spec.charge, spec.charge >= 0 && spec.charge <= 1);
  check("discharge_efficiency", spec.discharge_efficiency,
        spec.discharge_efficiency > 0 && spec.discharge_efficiency <= 1);
  check("charge_efficiency", spec.charge_efficiency,
        spec.charge_efficiency > 0 && spec.charge_efficiency <= 1);
  check("discharge_limit", spec.discharge_limit, spec.discharge_limit > 0);
  check("charge_limit", spec.charge_limit, spec.charge_limit >= 0);
  check("cycles", spec.cycles, spec.cycles > 0);
  check("charger", spec.charger, spec.charger >= 0);
  set(0, spec.charger);
}

void Battery::set(double load, double charger) {
  load_ = load;
  charger_ = charger;
  flows();
}

void Battery::flows() {
  const double from_store = std::max(0.0, load_ - charger_);
  if (from_store > 0) {
    const double drain =
        stored_ > 0 ? std::min(from_store / spec_.discharge_efficiency, spec_.discharge_limit)
                    : 0.0;
    change_ = -drain;
    supply_ = drain * spec_.discharge_efficiency;
    intake_ = charger_;
    return;
  }
  supply_ = 0;
  const double spare = std::min(charger_ - load_, spec_.charge_limit);
  change_ = stored_ < capacity() ? spare * spec_.charge_efficiency : 0.0;
  intake_ = load_ + (stored_ < capacity() ? spare : 0.0);
}

void Battery::advance(double seconds) {
  while (seconds > 0) {
    // Flows change when the store runs empty or full.
    double step = seconds;
    if (change_ < 0) step = std::min(step, stored_ / -change_);
    if (change_ > 0) step = std::min(step, time_until(1));
    stored_ = std::max(0.0, stored_ + change_ * step);
    if (change_ < 0 && stored_ < 1e-12 * spec_.capacity) stored_ = 0;
    health_ =
        std::max(0.0, health_ - std::abs(change_) * step / (2 * spec_.capacity * spec_.cycles));
    if (change_ > 0 && stored_ > capacity() * (1 - 1e-12)) stored_ = capacity();
    delivered_ += supply_ * step;
    drawn_ += intake_ * step;
    seconds -= step;
    flows();
    if (step <= 0 && change_ != 0) return;
  }
}

double Battery::time_until(double share) const {
  // stored + change t = share capacity (health - |change| t / (2 capacity cycles))
  const double missing = share * capacity() - stored_;
  const double speed = change_ + share * std::abs(change_) / (2 * spec_.cycles);
  if (missing == 0) return 0;
  if (speed == 0 || (missing > 0) != (speed > 0)) return std::numeric_limits<double>::infinity();
  return missing / speed;
}

}  // namespace isthmus::devices
