// The current weights of nginx's smooth weighted round robin, kept per replica number.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

//! Per replica state that survives changes of the replica set: newcomers start at 0, the state of
//! replicas that left is forgotten.
class SmoothWeights {
 public:
  //! Aligns the state with `replicas`, which are sorted by number; then at(i) belongs to
  //! replicas[i]. Costs a comparison per replica while the set stays the same.
  void align(std::span<const ReplicaSignal> replicas) {
    bool same = entries_.size() == replicas.size();
    for (std::size_t i = 0; same && i < replicas.size(); ++i)
      same = entries_[i].replica == replicas[i].replica;
    if (same) return;
    std::vector<Entry> next;
    next.reserve(replicas.size());
    std::size_t old = 0;
    for (const ReplicaSignal& r : replicas) {
      while (old < entries_.size() && entries_[old].replica < r.replica) ++old;
      const bool known = old < entries_.size() && entries_[old].replica == r.replica;
      next.push_back({r.replica, known ? entries_[old].current : 0.0});
    }
    entries_.swap(next);
  }
  double& at(std::size_t i) { return entries_[i].current; }

 private:
  struct Entry {
    std::uint32_t replica;
    double current;
  };
  std::vector<Entry> entries_;
};

//! Weight with which a replica takes part. Not positive means: never, unless all are so.
inline double share_of(const ReplicaSignal& r, bool all_weightless) {
  return all_weightless ? 1.0 : (r.weight > 0 ? r.weight : 0.0);
}

//! True when no replica has a positive weight; they then count as equal.
inline bool all_weightless(std::span<const ReplicaSignal> replicas) {
  for (const ReplicaSignal& r : replicas)
    if (r.weight > 0) return false;
  return true;
}

}  // namespace isthmus::schedulers
