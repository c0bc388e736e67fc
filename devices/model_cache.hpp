// Models that share the memory of a machine: who is in it, who is on the way, who has to leave.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "schedulers/eviction_policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::devices {

//! A model as the memory sees it.
struct CachedModel {
  double bytes = 0;  //!< weights, and activations of what runs at once
  Duration load;     //!< from storage
  Duration reload;   //!< when it has been here before
  double priority = 0;
};

//! Loads one model at a time, in the order in which they were asked for. Models with batches in
//! service are not taken away: when the idle ones do not give enough room, busy ones are marked and
//! take no new batches until they have left. A dropped model takes no time: its weights are still
//! in storage.
class ModelCache {
 public:
  //! `capacity` bytes; every model must fit alone (throws InputError).
  ModelCache(double capacity, std::shared_ptr<schedulers::EvictionPolicy> policy,
             std::vector<CachedModel> models);

  //! Brings in models in order, as long as they fit, in no time.
  void preload(Instant now);

  //! A batch `tag` of `model` wants to begin. True: at once; false: advance() or release() hands
  //! the tag out when the weights are there. Either way it holds the model until release().
  bool acquire(std::uint32_t model, std::uint64_t tag, Instant now);
  //! A batch that had begun is done. `started` gets the tags of batches that may begin now.
  void release(std::uint32_t model, Instant now, std::vector<std::uint64_t>& started);
  //! End of the load under way; never when there is none.
  Instant next() const { return loading_ == none ? Instant::never() : load_ends_; }
  //! Ends the load that is due at `now` and begins the next one.
  void advance(Instant now, std::vector<std::uint64_t>& started);
  //! The machine failed: nothing is in memory, nobody waits.
  void clear();

  bool resident(std::uint32_t model) const { return states_[model].resident; }
  double used_bytes() const { return used_; }

  struct Counts {
    std::uint64_t batches = 0;  //!< that asked
    std::uint64_t hits = 0;     //!< of these, found the weights there
    std::uint64_t loads = 0, evictions = 0;
  };
  const Counts& counts(std::uint32_t model) const { return states_[model].counts; }
  void reset_counts();

 private:
  static constexpr std::uint32_t none = 0xffffffffU;
  struct State {
    bool resident = false, leaving = false, wanted = false, been_here = false;
    std::uint32_t batches = 0;  // that hold it
    schedulers::ResidentModel view;
    std::vector<std::uint64_t> waiting;
    Counts counts;
  };

  void begin_waiting(std::uint32_t model, Instant now, std::vector<std::uint64_t>& started);
  void begin_batch(State& s, Instant now);
  void drop(State& s);
  bool make_room(double bytes, Instant now);
  void keep_leaving(Instant now, std::vector<std::uint64_t>& started);
  void next_load(Instant now, std::vector<std::uint64_t>& started);

  double capacity_, used_ = 0;
  std::shared_ptr<schedulers::EvictionPolicy> policy_;
  std::vector<CachedModel> models_;
  std::vector<State> states_;
  std::deque<std::uint32_t> queue_;  // models that are wanted and not there
  std::uint32_t loading_ = none;
  Instant load_ends_;
  std::vector<schedulers::ResidentModel> candidates_;
};

}  // namespace isthmus::devices
