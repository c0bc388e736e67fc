#include "scenarios/offload_training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {

namespace {

std::uint64_t parse_seed(const std::string& text, const std::string& all) {
  std::uint64_t seed = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seed);
  if (error != std::errc() || stop != end || text.empty())
    throw InputError(fmt::format("seeds \"{}\": write numbers and ranges such as 1..8 or 1..3,7", all));
  return seed;
}

}  // namespace

std::vector<std::uint64_t> parse_seeds(const std::string& text) {
  std::vector<std::uint64_t> seeds;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t comma = std::min(text.find(',', from), text.size());
    const std::string part = text.substr(from, comma - from);
    const std::size_t dots = part.find("..");
    const std::uint64_t first = parse_seed(part.substr(0, dots), text);
    const std::uint64_t last =
        dots == std::string::npos ? first : parse_seed(part.substr(dots + 2), text);
    constexpr std::uint64_t most = 100'000;
    if (last < first) throw InputError(fmt::format("seeds \"{}\": {} is after {}", text, first, last));
    if (last - first >= most || seeds.size() + (last - first) >= most)
      throw InputError(fmt::format("seeds \"{}\": these are more than {}", text, most));
    for (std::uint64_t s = first;; ++s) {
      seeds.push_back(s);
      if (s == last) break;
    }
    from = comma + 1;
  }
  return seeds;
}

world::Scenario with_policy(const world::Scenario& scenario, const std::string& policy,
                            const std::vector<PolicySetting>& settings, std::uint64_t seed) {
  if (!scenario.offload.policy)
    throw InputError(fmt::format("\"{}\" has no offload section: no policy decides there",
                                 scenario.name));
  world::Scenario out = scenario;
  const auto& entry = schedulers::find_entry(schedulers::offload_policies(), policy);
  // The scenario's own parameters stay where it is the scenario's own policy.
  if (&entry != scenario.offload.policy) {
    out.offload.policy = &entry;
    out.offload.parameters = schedulers::Parameters(entry.parameters);
  }
  for (const PolicySetting& s : settings) {
    if (s.is_text) out.offload.parameters->set(s.name, s.text);
    else out.offload.parameters->set(s.name, s.number);
  }
  out.seed = seed;
  out.replications = 1;
  out.offload.rewarded = true;
  return out;
}

std::string train_policy(const world::Scenario& scenario, const std::string& policy,
                         const std::vector<PolicySetting>& settings,
                         const std::vector<std::uint64_t>& seeds, std::size_t passes,
                         const std::function<void(const TrainingStep&)>& after_run) {
  std::string learned;
  for (std::size_t pass = 0; pass < passes; ++pass) {
    for (const std::uint64_t seed : seeds) {
      const world::Scenario s = with_policy(scenario, policy, settings, seed);
      if (s.offload.policy->make(*s.offload.parameters)->save().empty())
        throw InputError(fmt::format("policy {} does not learn", policy));
      world::RunOptions options;
      options.learned = learned;
      std::string kept;
      options.keep_learned = &kept;
      const results::Summary summary = world::run(s, options);
      learned = std::move(kept);
      if (after_run) after_run({seed, pass, summary.value("offload_reward")});
    }
  }
  return learned;
}

}  // namespace isthmus::scenarios
