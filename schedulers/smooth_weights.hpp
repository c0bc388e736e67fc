// The current weights of nginx's smooth weighted round robin, kept per replica number.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

//! Per replica state that survives changes of the replica set: newcomers start at 0, the state of
//! replicas that left is forgotten, that of replicas that are left out for now rests.
class SmoothWeights {
 public:
  //! Aligns the state with `replicas`, which are sorted by number; then at(i) belongs to
  //! replicas[i]. Costs a comparison per replica while the set stays the same.
  void align(std::span<const ReplicaSignal> replicas, bool partial = false) {
    bool same = entries_.size() == replicas.size();
    for (std::size_t i = 0; same && i < replicas.size(); ++i)
      same = entries_[i].replica == replicas[i].replica;
    if (same && (partial || resting_.empty())) return;
    wake();
    if (partial) {
      for (const Entry& e : entries_)
        if (std::none_of(replicas.begin(), replicas.end(),
                         [&](const ReplicaSignal& r) { return r.replica == e.replica; }))
          resting_.push_back(e);
    }
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
  // Back among the others, by number.
  void wake() {
    entries_.insert(entries_.end(), resting_.begin(), resting_.end());
    resting_.clear();
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return a.replica < b.replica; });
  }
  std::vector<Entry> entries_, resting_;
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
