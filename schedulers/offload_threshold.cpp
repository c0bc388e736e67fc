// A primary target while it is fast enough, else a fallback.
#include <fmt/core.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

// "device", "edge" and "cloud" mean a tier; anything else must be the name of a candidate. A tier
// that the scenario lacks is stood in for by its neighbours, a name that it lacks is an error.
std::size_t resolve(const std::string& parameter, const std::string& target,
                    const OffloadView& view) {
  for (std::size_t i = 0; i < view.candidates.size(); ++i)
    if (view.candidates[i].name == target) return i;
  using enum Tier;
  constexpr std::array<std::array<Tier, 3>, 3> orders{
      {{device, edge, cloud}, {edge, cloud, device}, {cloud, edge, device}}};
  constexpr std::array<std::string_view, 3> words{"device", "edge", "cloud"};
  for (std::size_t word = 0; word < words.size(); ++word) {
    if (target != words[word]) continue;
    for (const Tier tier : orders[word]) {
      const auto i = tier == cloud ? last_of_tier(view, tier) : first_of_tier(view, tier);
      if (i) return *i;
    }
  }
  std::vector<std::string> known{"device", "edge", "cloud"};
  for (const OffloadCandidate& c : view.candidates) known.emplace_back(c.name);
  throw InputError(fmt::format("threshold policy: {} \"{}\" is no tier and no candidate; {}",
                               parameter, target, hint(target, known)));
}

class Threshold final : public OffloadPolicy {
 public:
  explicit Threshold(const Parameters& p)
      : threshold_(p.number("threshold")),
        primary_(p.text("primary")),
        fallback_(p.text("fallback")) {}

  OffloadDecision decide(const OffloadView& view) override {
    const std::size_t primary = resolve("primary", primary_, view);
    const std::size_t fallback = resolve("fallback", fallback_, view);
    const double latency = estimated_latency(view.candidates[primary]);
    const bool primary_up = view.candidates[primary].healthy;
    const bool fallback_up = view.candidates[fallback].healthy;
    if (!primary_up && fallback_up) return {fallback, latency, "primary unhealthy"};
    if (primary_up && !fallback_up) return {primary, latency, "fallback unhealthy"};
    if (latency < threshold_) return {primary, latency, "primary below threshold"};
    return {fallback, latency, "primary at or above threshold"};
  }

 private:
  double threshold_;
  std::string primary_, fallback_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_threshold() {
  return {
      "threshold",
      "Takes the primary target while its estimated latency is below the threshold, else the "
      "fallback; a target that is down gives way to the other.",
      "reference case R16 (cloud GPU node with an edge cluster behind it, 150 ms); with primary "
      "device and fallback cloud it is reference case R01",
      "the fallback is slower than the overloaded primary: the rule never compares the two.",
      "O(candidates)",
      {number_parameter("threshold", Dimension::duration, 0.15, 0, 86400,
                        "estimated latency from which the primary counts as too slow"),
       text_parameter("primary", "cloud", {}, "device, edge, cloud or the name of a candidate"),
       text_parameter("fallback", "edge", {}, "device, edge, cloud or the name of a candidate")},
      make_policy<OffloadPolicy, Threshold>};
}

}  // namespace isthmus::schedulers
