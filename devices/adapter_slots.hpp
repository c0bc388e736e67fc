// Low-rank adapters (LoRA) beside the weights of a model: which are in the unit's memory.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

namespace isthmus::devices {

//! A number of places, each for one adapter; one that nobody uses makes way, the least recently used
//! first. Adapter 0 is none and takes no place. Constant time per call but for the search of an
//! unused one, linear in the places.
class AdapterSlots {
 public:
  explicit AdapterSlots(std::uint32_t slots) : slots_(slots) {}

  //! True when a sequence with the adapter can run now.
  bool can_use(std::uint32_t adapter) const;
  //! One more sequence uses the adapter, which can_use(); true when it has to be loaded for that.
  bool use(std::uint32_t adapter);
  void done(std::uint32_t adapter);
  //! Adapters that sequences use.
  std::uint32_t active() const { return active_; }
  void clear();

 private:
  struct Place {
    std::uint32_t adapter = 0, users = 0;
  };
  std::uint32_t slots_, active_ = 0;
  std::list<Place> places_;  // least recently used first
  std::unordered_map<std::uint32_t, std::list<Place>::iterator> by_adapter_;
};

}  // namespace isthmus::devices
