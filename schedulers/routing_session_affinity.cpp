// A session stays on its replica while it is ready and not overloaded.
#include <cstdint>

#include "schedulers/entry.hpp"
#include "schedulers/least_loaded.hpp"
#include "schedulers/lru_map.hpp"
#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

namespace {

class SessionAffinity final : public RoutingPolicy {
 public:
  explicit SessionAffinity(const Parameters& p)
      : max_outstanding_(p.number("max_outstanding")),
        sessions_(static_cast<std::size_t>(p.number("sessions"))) {}

  bool remembers() const override { return true; }

  std::size_t choose(const RoutingView& view) override {
    std::size_t chosen = least_outstanding(view.replicas);
    if (const std::uint32_t* home = homes_.find(view.session)) {
      const std::size_t i = index_of(view.replicas, *home);
      if (i < view.replicas.size() && stays(view.replicas[i], view.replicas[chosen])) chosen = i;
    }
    homes_.use(view.session, view.replicas[chosen].replica);
    homes_.shrink(sessions_);
    return chosen;
  }

 private:
  // A move to a replica that is as busy would only lose the cache.
  bool stays(const ReplicaSignal& home, const ReplicaSignal& least) const {
    return max_outstanding_ == 0 || home.outstanding < max_outstanding_ ||
           home.outstanding <= least.outstanding;
  }

  double max_outstanding_;
  std::size_t sessions_;
  LruMap<std::uint32_t> homes_;  // session: number of its replica
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_session_affinity() {
  return {"session-affinity",
          "Keeps a session on its replica while that is ready and not overloaded; new and moved "
          "sessions go to the fewest outstanding requests, ties to the lowest number.",
          "HAProxy stick tables with maxconn; nginx sticky learn",
          "sessions differ much in load, or share prompts that only one replica then has.",
          "O(replicas)",
          {number_parameter("max_outstanding", Dimension::count, 64, 0, 1e6,
                            "outstanding requests from which a replica counts as overloaded; "
                            "0 = never"),
           number_parameter("sessions", Dimension::count, 100000, 1, 1e8,
                            "sessions remembered; the one that was quiet longest is forgotten")},
          make_policy<RoutingPolicy, SessionAffinity>};
}

}  // namespace isthmus::schedulers
