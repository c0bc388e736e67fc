#include "devices/adapter_slots.hpp"

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

bool AdapterSlots::can_use(std::uint32_t adapter) const {
  return adapter == 0 || active_ < slots_ || by_adapter_.contains(adapter);
}

bool AdapterSlots::use(std::uint32_t adapter) {
  if (adapter == 0) return false;
  const auto known = by_adapter_.find(adapter);
  if (known != by_adapter_.end()) {
    places_.splice(places_.end(), places_, known->second);
    if (known->second->users++ == 0) ++active_;
    return false;
  }
  if (places_.size() >= slots_) {
    const auto unused =
        std::find_if(places_.begin(), places_.end(), [](const Place& p) { return p.users == 0; });
    if (unused == places_.end()) throw InternalError("adapters: no place");
    by_adapter_.erase(unused->adapter);
    places_.erase(unused);
  }
  by_adapter_[adapter] = places_.insert(places_.end(), {adapter, 1});
  ++active_;
  return true;
}

void AdapterSlots::done(std::uint32_t adapter) {
  if (adapter == 0) return;
  if (--by_adapter_.at(adapter)->users == 0) --active_;
}

void AdapterSlots::clear() {
  places_.clear();
  by_adapter_.clear();
  active_ = 0;
}

}  // namespace isthmus::devices
