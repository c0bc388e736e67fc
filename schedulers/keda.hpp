// The two halves of a KEDA ScaledObject: KEDA's operator between zero and one, an HPA above.
#pragma once

#include <cstdint>
#include <optional>

#include "schedulers/hpa_controller.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

struct KedaSpec {
  double threshold = 5;                //!< of the metric per replica (AverageValue)
  double activation_threshold = 0;     //!< above it the service leaves zero
  std::int32_t min_replicas = 0;       //!< minReplicaCount
  std::int32_t max_replicas = 100;     //!< maxReplicaCount
  std::optional<std::int32_t> idle_replicas;  //!< idleReplicaCount, below min_replicas
  Duration polling_interval = Duration(30'000'000'000);
  Duration cooldown_period = Duration(300'000'000'000);
  double tolerance = 0.1;              //!< of the HPA
  Duration downscale_stabilization = Duration(300'000'000'000);  //!< of the HPA
};

//! The HPA's wish for a total over the replicas, before stabilization: at least one replica, and
//! min_replicas; from zero whatever the operator does.
std::int32_t keda_replicas(const KedaSpec& spec, std::int32_t current, double total);

class Keda {
 public:
  //! Throws InputError when the numbers contradict each other.
  explicit Keda(const KedaSpec& spec);

  //! `total`: the metric, empty when it could not be read.
  std::int32_t decide(Instant now, std::int32_t current, std::optional<double> total);
  //! Why, in a word.
  const char* reason() const { return reason_; }

 private:
  KedaSpec spec_;
  HpaController controller_;
  std::optional<Instant> polled_, active_;
  bool is_active_ = false;
  const char* reason_ = "";
};

}  // namespace isthmus::schedulers
