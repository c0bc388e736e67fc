#include "schedulers/offload_features.hpp"

#include <algorithm>

#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

// s after which load signals and measured rates are half as fresh.
constexpr double signal_half = 1, measurement_half = 10;

double worth(double value, double scale) { return scale / (scale + std::max(0.0, value)); }

}  // namespace

double freshness(Instant now, Instant then, double half) {
  if (then.is_never()) return 0;
  return half / (half + std::max(0.0, (now - then).seconds()));
}

OffloadFeatures features_of(const OffloadView& view, const OffloadCandidate& c) {
  const double scale = view.reward.latency_scale;
  const double slots = std::max(1.0, static_cast<double>(c.slots));
  const double ahead = static_cast<double>(c.queued) + static_cast<double>(c.running);
  const double network = worth(c.network.seconds(), scale);
  const double fresh = c.uplink > 0 ? freshness(view.now, c.measured_at, measurement_half) : 1;
  // The newest of the client's measurements, by any candidate.
  Instant newest = Instant::never();
  double rate = c.uplink;
  for (const OffloadCandidate& other : view.candidates)
    if (other.uplink > 0 && !other.measured_at.is_never() &&
        (newest.is_never() || newest < other.measured_at)) {
      newest = other.measured_at;
      rate = other.uplink;
    }
  const double upload = c.uplink > 0 ? worth(view.upload / rate, scale) : 1;
  const double newest_fresh = c.uplink > 0 ? freshness(view.now, newest, measurement_half) : 1;
  // The reward at another rate of the path: the radio is on for as much longer.
  const double wait = estimated_latency(c);
  const auto reward_at = [&](double r) {
    if (c.uplink <= 0 || r <= 0) return view.reward.of(wait, c.client_energy, c.accuracy);
    const double more = view.upload / r - view.upload / c.uplink;
    const double radio = c.client_energy > 0 && c.network.seconds() > 0 ? c.client_energy / c.network.seconds() : 0.0;
    return view.reward.of(std::max(0.0, wait + more), std::max(0.0, c.client_energy + radio * more), c.accuracy);
  };
  const double own = reward_at(c.uplink), now = reward_at(rate), nominal = reward_at(c.nominal_uplink);
  OffloadFeatures x;
  x << 1, worth(estimated_latency(c), scale), network, worth(c.client_energy, view.reward.energy_scale),
      slots / (slots + ahead), c.accuracy, freshness(view.now, c.observed_at, signal_half), fresh,
      network * fresh, upload, upload * newest_fresh, own, now, own * fresh, now * newest_fresh,
      nominal * (1 - newest_fresh);
  return x;
}

}  // namespace isthmus::schedulers
