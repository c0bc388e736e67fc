#include "schedulers/placement_rules.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

std::string_view name_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::none: return "can take it";
    case Refusal::down: return "down";
    case Refusal::requirement: return "not what it requires";
    case Refusal::taint: return "with a taint that it does not tolerate";
    case Refusal::affinity: return "without the service it must be near";
    case Refusal::anti_affinity: return "with a service it must not be near";
    case Refusal::spread: return "beyond the skew of its spread";
    case Refusal::accelerators: return "without enough free accelerators";
    case Refusal::memory: return "without enough free memory";
    case Refusal::count_: break;
  }
  throw InternalError("refusal without a name");
}

namespace {

void check_word(std::string_view word, std::string_view text) {
  if (word.empty() || word.find_first_of(" \t:=") != std::string_view::npos)
    throw InputError(fmt::format("\"{}\" is neither \"key\" nor \"key=value\"", text));
}

}  // namespace

Taint parse_taint(std::string_view text) {
  Taint t;
  std::string_view rest = text;
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    const std::string_view effect = rest.substr(colon + 1);
    if (effect == "PreferNoSchedule") t.soft = true;
    else if (effect != "NoSchedule" && effect != "NoExecute")
      throw InputError(fmt::format(
          "\"{}\" has the effect \"{}\"; there are NoSchedule (the default), NoExecute and PreferNoSchedule",
          text, effect));
    rest = rest.substr(0, colon);
  }
  const std::size_t equals = rest.find('=');
  t.key = rest.substr(0, equals);
  check_word(t.key, text);
  if (equals != std::string_view::npos) {
    t.value = rest.substr(equals + 1);
    check_word(t.value, text);
  }
  return t;
}

Toleration parse_toleration(std::string_view text) {
  if (text == "*") return {};
  Toleration t;
  const std::size_t equals = text.find('=');
  t.key = text.substr(0, equals);
  check_word(t.key, text);
  if (equals != std::string_view::npos) {
    t.any_value = false;
    t.value = text.substr(equals + 1);
    check_word(t.value, text);
  }
  return t;
}

bool tolerates(const Toleration& toleration, const Taint& taint) {
  if (toleration.key.empty()) return true;
  return toleration.key == taint.key && (toleration.any_value || toleration.value == taint.value);
}

bool tolerates_all(std::span<const Toleration> tolerations, std::span<const Taint> taints) {
  return std::all_of(taints.begin(), taints.end(), [&](const Taint& taint) {
    return taint.soft || std::any_of(tolerations.begin(), tolerations.end(),
                                     [&](const Toleration& t) { return tolerates(t, taint); });
  });
}

std::uint32_t untolerated_soft(std::span<const Toleration> tolerations, std::span<const Taint> taints) {
  return static_cast<std::uint32_t>(std::count_if(taints.begin(), taints.end(), [&](const Taint& taint) {
    return taint.soft && std::none_of(tolerations.begin(), tolerations.end(),
                                      [&](const Toleration& t) { return tolerates(t, taint); });
  }));
}

std::uint32_t skew_with_one_more(std::span<const std::uint32_t> domains, std::size_t domain) {
  if (domain >= domains.size()) throw InternalError("a domain that is not there");
  const std::uint32_t fewest = *std::min_element(domains.begin(), domains.end());
  return domains[domain] + 1 - fewest;
}

std::string explain(const RefusalCounts& counts) {
  std::uint32_t all = 0;
  std::string reasons;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    all += counts[i];
    if (i == 0 || counts[i] == 0) continue;
    reasons += fmt::format("{}{} {}", reasons.empty() ? ": " : ", ", counts[i],
                           name_of(static_cast<Refusal>(i)));
  }
  return fmt::format("{} of {} machines can take it{}", counts[0], all, reasons);
}

std::uint64_t room_for(const PlacementDemand& demand, double free_accelerators, double free_memory,
                       std::uint64_t most) {
  double room = static_cast<double>(most);
  if (demand.accelerators > 0) room = std::min(room, std::floor(free_accelerators / demand.accelerators));
  if (demand.memory > 0) room = std::min(room, std::floor(free_memory / demand.memory * (1 + 1e-12)));
  return static_cast<std::uint64_t>(std::max(0.0, room));
}

double mean_taken_share(const PlacementSite& s, const PlacementDemand& d) {
  double sum = 0;
  int resources = 0;
  if (d.accelerators > 0) {
    sum += taken_share(s.accelerators, s.free_accelerators, d.accelerators);
    ++resources;
  }
  if (d.memory > 0) {
    sum += taken_share(s.memory, s.free_memory, d.memory);
    ++resources;
  }
  return resources > 0 ? sum / resources : static_cast<double>(s.replicas);
}

double dominant_share(const PlacementSite& s, const PlacementDemand& d) {
  double most = d.accelerators > 0 ? taken_share(s.accelerators, s.free_accelerators, d.accelerators) : 0.0;
  if (d.memory > 0) most = std::max(most, taken_share(s.memory, s.free_memory, d.memory));
  return most > 0 ? most : static_cast<double>(s.replicas);
}

}  // namespace isthmus::schedulers
