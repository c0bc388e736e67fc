// How many replicas of an old and of a new version there may be while the new one takes over. Integer
// arithmetic of the Kubernetes Deployment controller and of Argo Rollouts.
#pragma once

#include <cstdint>

namespace isthmus::schedulers {

//! A number of replicas, or a share of all of them.
struct Amount {
  double value = 0;
  bool share = false;
};

//! How many more, and how many fewer replicas than wanted there may be.
struct Fenceposts {
  std::uint32_t surge = 0, unavailable = 0;
};

//! Shares of `replicas`: of the surge rounded up, of the unavailable ones rounded down. When both come out
//! as 0, one may be unavailable (ResolveFenceposts, pkg/controller/deployment/util/deployment_util.go).
Fenceposts fenceposts(const Amount& surge, const Amount& unavailable, std::uint32_t replicas);

//! Replicas of one version: all that were asked for and are not leaving, and those that have been ready for
//! long enough.
struct VersionCounts {
  std::uint32_t replicas = 0, available = 0;
};

struct ReplicaTargets {
  std::uint32_t fresh = 0, old = 0;
  bool operator==(const ReplicaTargets&) const = default;
};

//! The next step of a rolling update to `replicas` of the new version; repeat until it changes nothing
//! (reconcileNewReplicaSet and reconcileOldReplicaSets, pkg/controller/deployment/rolling.go).
ReplicaTargets rolling_step(std::uint32_t replicas, const Fenceposts& limits, const VersionCounts& fresh,
                            const VersionCounts& old);

//! Replicas of each version that come closest to the new one having `percent` of all; with a surge there
//! may be one more in all. From 1 to 99 %, and with more than one replica, each has one.
ReplicaTargets canary_split(std::uint32_t replicas, double percent, std::uint32_t surge);

//! The next step towards that split (CalculateReplicaCountsForBasicCanary, utils/replicaset/canary.go of
//! Argo Rollouts).
ReplicaTargets canary_step(std::uint32_t replicas, double percent, const Fenceposts& limits,
                           const VersionCounts& fresh, const VersionCounts& old);

//! New replicas of a canary whose share of the traffic the balancer decides; the old ones stay as many as
//! they are (CalculateReplicaCountsForTrafficRoutedCanary).
std::uint32_t canary_replicas(std::uint32_t replicas, double percent);

}  // namespace isthmus::schedulers
