#include "schedulers/rollout_rules.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace isthmus::schedulers {

namespace {

std::int64_t wide(std::uint32_t n) { return n; }
std::uint32_t narrow(std::int64_t n) { return static_cast<std::uint32_t>(std::max<std::int64_t>(0, n)); }

std::uint32_t replicas_of(const Amount& a, std::uint32_t replicas, bool up) {
  if (!a.share) return static_cast<std::uint32_t>(a.value);
  // 30 % of 10 is 3, whatever binary fractions make of it.
  const double exact = a.value * replicas, nearest = std::round(exact);
  if (std::abs(exact - nearest) < 1e-9) return static_cast<std::uint32_t>(nearest);
  return static_cast<std::uint32_t>(up ? std::ceil(exact) : std::floor(exact));
}

// Of `part` percent of all replicas.
double exact_part(std::uint32_t replicas, double percent) {
  const double exact = replicas * percent / 100, nearest = std::round(exact);
  return std::abs(exact - nearest) < 1e-9 ? nearest : exact;
}

// Keeps both versions together within the limits after one of them, `down`, has lost replicas.
void keep_within(std::int64_t most, std::int64_t least_available, const VersionCounts& down, std::int64_t& down_target,
                 const VersionCounts& other, std::int64_t& other_target) {
  other_target -= std::max<std::int64_t>(0, other_target + down_target - most);
  const std::int64_t available =
      std::min(wide(down.available), down_target) + std::min(wide(other.available), other_target);
  const std::int64_t lost = std::max<std::int64_t>(0, other.available - other_target);
  other_target += std::min(lost, std::max<std::int64_t>(0, least_available - available));
  down_target -= std::max<std::int64_t>(0, other_target + down_target - most);
}

}  // namespace

Fenceposts fenceposts(const Amount& surge, const Amount& unavailable, std::uint32_t replicas) {
  Fenceposts f{replicas_of(surge, replicas, true), replicas_of(unavailable, replicas, false)};
  if (f.surge == 0 && f.unavailable == 0) f.unavailable = 1;
  f.unavailable = std::min(f.unavailable, replicas);
  return f;
}

ReplicaTargets rolling_step(std::uint32_t replicas, const Fenceposts& limits, const VersionCounts& fresh,
                            const VersionCounts& old) {
  const std::int64_t all = wide(fresh.replicas) + old.replicas;
  if (fresh.replicas > replicas) return {replicas, old.replicas};
  const std::int64_t more = std::min(wide(replicas) + limits.surge - all, wide(replicas) - fresh.replicas);
  if (more > 0) return {narrow(fresh.replicas + more), old.replicas};
  if (old.replicas == 0) return {fresh.replicas, 0};

  // New replicas that are not available yet must not make old ones go.
  const std::int64_t least = wide(replicas) - limits.unavailable;
  const std::int64_t fewer = all - least - (wide(fresh.replicas) - fresh.available);
  if (fewer <= 0) return {fresh.replicas, old.replicas};
  const std::int64_t unhealthy = std::min(fewer, wide(old.replicas) - old.available);
  const std::int64_t spare = std::max<std::int64_t>(0, wide(fresh.available) + old.available - least);
  return {fresh.replicas, narrow(old.replicas - unhealthy - std::min(spare, old.replicas - unhealthy))};
}

ReplicaTargets canary_split(std::uint32_t replicas, double percent, std::uint32_t surge) {
  if (replicas == 0) return {};
  const double part = exact_part(replicas, percent);
  const auto up = static_cast<std::uint32_t>(std::ceil(part)), down = static_cast<std::uint32_t>(std::floor(part));
  const auto tied = [&](std::uint32_t all) {
    const double exact = exact_part(all, percent);
    return exact - std::floor(exact) == 0.5;
  };
  const bool may_be_none = percent >= 100 || percent <= 0 || (replicas == 1 && surge == 0);
  const bool may_go_down = down != 0 || may_be_none;

  ReplicaTargets best{0, replicas};
  double distance = 1e9;
  const auto consider = [&](std::uint32_t fresh, std::uint32_t all) {
    const double off = std::abs(100.0 * fresh / all - percent);
    if (off < distance) distance = off, best = {fresh, all - fresh};
  };
  if (up < replicas || may_be_none) consider(up, replicas);
  if (!tied(replicas) && may_go_down) consider(down, replicas);
  if (surge > 0) {
    consider(up, replicas + 1);
    if (!tied(replicas + 1) && may_go_down) consider(down, replicas + 1);
  }
  return best;
}

ReplicaTargets canary_step(std::uint32_t replicas, double percent, const Fenceposts& limits,
                           const VersionCounts& fresh, const VersionCounts& old) {
  const ReplicaTargets wanted = canary_split(replicas, percent, limits.surge);
  const std::int64_t most = wide(replicas) + limits.surge;
  std::int64_t fresh_target = fresh.replicas, old_target = old.replicas;
  std::int64_t more = most - fresh_target - old_target;
  // The old version first.
  for (const auto& [target, want] : {std::pair{&old_target, wanted.old}, std::pair{&fresh_target, wanted.fresh}}) {
    const std::int64_t add = std::min(more, wide(want) - *target);
    if (add <= 0) continue;
    *target += add;
    more -= add;
  }
  // Of the version that grows only what is available counts.
  const bool grows = wanted.fresh >= fresh.replicas;
  const std::int64_t least = wide(replicas) - limits.unavailable;
  const std::int64_t spare = (grows ? wide(fresh.available) + old.replicas : wide(fresh.replicas) + old.available) - least;
  if (spare > 0 && grows) {
    if (old.replicas > wanted.old) old_target = std::max(wide(wanted.old), wide(old.replicas) - spare);
    keep_within(most, least, old, old_target, fresh, fresh_target);
  } else if (spare > 0) {
    if (fresh.replicas > wanted.fresh) fresh_target = std::max(wide(wanted.fresh), wide(fresh.replicas) - spare);
    keep_within(most, least, fresh, fresh_target, old, old_target);
  }
  return {narrow(fresh_target), narrow(old_target)};
}

std::uint32_t canary_replicas(std::uint32_t replicas, double percent) {
  return static_cast<std::uint32_t>(std::ceil(exact_part(replicas, percent)));
}

}  // namespace isthmus::schedulers
