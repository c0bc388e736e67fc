// Requests and versions: which one a request gets, errors, what versions did, A/B tests.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "sim/world/rollouts.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// Numbers of draws of one request.
constexpr std::uint64_t traffic_draw = 1, error_draw = 2, answer_draw = 3, user_draw = 4;

double seconds_at(const results::Distribution& d, double percent) {
  return results::MergedDistribution({&d}).percentiles(std::span(&percent, 1)).front() * 1e-9;
}

}  // namespace

// ---- which version ---------------------------------------------------------------------------------

// By weight each attempt draws anew; users always draw the same.
void Rollouts::aim(std::uint32_t slot, std::uint32_t service) {
  aimed_line_ = line_of_service_[service];
  aim_ = Aim::any;
  if (aimed_line_ == none) return;
  const Line& l = lines_[aimed_line_];
  if (l.split == Split::mixed || l.current == none) return;
  const Request& r = world_.requests_[slot];
  const bool users = l.split == Split::users;
  double u;
  if (users) {
    const std::uint64_t user = hash_combine(world_.workloads_[r.record.workload].draws.value(), r.record.client);
    Rng g = draws_.at(hash_combine(user, hash_name(spec(l.current).name)), user_draw);
    u = uniform01(g);
  } else {
    Rng g = draws_.at(hash_combine(r.record.identity, traffic_draw), r.record.attempts);
    u = uniform01(g);
  }
  aim_ = Aim::version;
  aimed_version_ = u < (users ? spec(l.current).share : l.weight) ? l.fresh : states_[l.current].old;
}

bool Rollouts::aim_elsewhere() {
  if (aim_ != Aim::version) return false;
  aim_ = Aim::weighted;
  return true;
}

bool Rollouts::may_get(std::uint32_t id) const {
  const Replica& p = world_.replicas_[id];
  if (aim_ == Aim::any || line_of_service_[p.service] != aimed_line_) return true;
  if (aim_ == Aim::version) return p.version == aimed_version_;
  const Line& l = lines_[aimed_line_];
  if (l.split == Split::users) return true;
  return p.version == l.fresh ? l.weight > 0 : l.weight < 1;
}

const std::vector<std::uint32_t>& Rollouts::eligible(std::uint32_t slot, std::uint32_t service,
                                                     const std::vector<std::uint32_t>& ready) {
  aim(slot, service);
  if (aim_ == Aim::any) return ready;
  do {
    eligible_.clear();
    for (const std::uint32_t id : ready)
      if (may_get(id)) eligible_.push_back(id);
  } while (eligible_.empty() && aim_elsewhere());
  return eligible_;
}

void Rollouts::sent(std::uint32_t slot, std::uint32_t id) {
  const Replica& p = world_.replicas_[id];
  if (compatibility_of_[p.service] != none) {
    device_versions_.resize(std::max(device_versions_.size(), world_.requests_.size()));
    device_versions_[slot] = world_.requests_[slot].record.version;  // its last part was on the device
  }
  Line* l = find(p.service);
  if (!l || l->current == none) return;
  State& s = states_[l->current];
  if (!s.totals.ended.is_never()) return;
  const bool counted = world_.requests_[slot].record.counted;
  s.totals.tries += counted ? 1 : 0;
  if (p.version != l->fresh) return;
  s.totals.exposed += counted ? 1 : 0;
  if (s.phase != Phase::growing || !s.exposed_since.is_never()) return;
  s.exposed_since = world_.now_;
  if (spec(l->current).strategy != RolloutStrategy::blue_green)
    start_analysis(l->current, spec(l->current).analysis, true);
}

// ---- what they do ----------------------------------------------------------------------------------

bool Rollouts::fails(std::uint32_t slot, Instant at) {
  const Request& r = world_.requests_[slot];
  const Replica& p = world_.replicas_[r.replica];
  const std::uint32_t line = line_of_service_[p.service];
  if (compatibility_of_[p.service] != none && !fits(slot)) {
    world_.retry_or_fail(slot, results::Cause::service_error);
    return true;
  }
  if (line == none) return false;
  Line& l = lines_[line];
  const ServiceVersion& v = world_.scenario_.versions[line].versions[p.version];
  bool error = false;
  if (v.error_rate > 0) {
    // Further tries of the same attempt are draws of their own.
    const std::uint64_t tries = slot < world_.tries_.size() ? world_.tries_[slot].failed.size() : 0;
    const std::uint64_t hops = r.visit ? r.visit->hops : 0;
    Rng g = draws_.at(hash_combine(hash_combine(r.record.identity, error_draw), hash_combine(tries, hops)),
                      std::uint64_t{r.copy} << 16 | r.record.attempts);
    error = uniform01(g) < v.error_rate;
  }
  if (l.counting && l.current != none)
    l.scrapes.count(p.version == l.fresh, error, (at - r.record.arrived).seconds());
  if (!error) return false;
  if (r.record.counted) {
    ++l.tallies[p.version].errors;
    if (l.current != none && p.version == l.fresh && states_[l.current].phase != Phase::promoted)
      ++states_[l.current].totals.errors;
  }
  world_.requests_[slot].record.version = p.version;
  world_.retry_or_fail(slot, results::Cause::service_error);
  return true;
}

// Of a split request, that its parts go together. Those that do not may be answered, but less accurately.
bool Rollouts::fits(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  const Replica& p = world_.replicas_[r.replica];
  if (!r.split || r.part == 0 || !r.split->parts[0]) return true;  // the device did nothing
  const std::uint32_t index = compatibility_of_[p.service];
  const CompatibilitySpec& c = world_.scenario_.compatibilities[index];
  results::SkewTotals& t = skews_[index];
  const std::uint16_t device = device_versions_[slot];
  const std::uint32_t skew = device > p.version ? device - p.version : p.version - device;
  if (r.record.counted) {
    ++t.answers;
    t.skewed += skew > 0 ? 1 : 0;
    t.incompatible += skew > c.max_skew ? 1 : 0;
  }
  if (skew <= c.max_skew) return true;
  if (!c.fails) r.record.accuracy *= c.accuracy_factor;
  return !c.fails;
}

void Rollouts::observe(const Request& request) {
  const results::RequestRecord& r = request.record;
  if (!r.counted || r.service == ~0U) return;
  Line* l = find(r.service);
  if (!l || r.version >= l->tallies.size()) return;
  VersionTally& t = l->tallies[r.version];
  if (r.status != results::Status::completed) {
    t.failed += r.cause == results::Cause::service_error ? 1 : 0;
    return;
  }
  // Of a split service, its device may have answered alone.
  if (request.replica == ~0U || world_.replicas_[request.replica].service != l->service) return;
  const double ns = static_cast<double>((r.completed - r.created).ns());
  ++t.answered;
  t.latency.add(ns);
  if (r.accuracy > 0) ++t.with_accuracy, t.accuracy += r.accuracy;
  if (l->current == none || l->split != Split::users) return;
  State& s = states_[l->current];
  // Only requests of the test, and answered by one of its versions.
  if (r.created < s.test_since || (r.version != l->fresh && r.version != s.old)) return;
  Side& side = s.sides[r.version == l->fresh ? 1 : 0];
  Rng g = draws_.at(hash_combine(r.identity, answer_draw), r.attempts);
  ++side.counts.answers;
  side.counts.right += uniform01(g) < r.accuracy ? 1 : 0;
  side.latency.add(ns);
}

// ---- A/B -------------------------------------------------------------------------------------------

void Rollouts::end_test(Line& l) {
  const std::uint32_t index = l.current;
  State& s = states_[index];
  const RolloutSpec& r = spec(index);
  results::RolloutTotals::Test test;
  for (Side& side : s.sides) {
    side.latency.seal();
    if (side.latency.count() == 0) continue;
    side.counts.latency_mean = side.latency.sum() * 1e-9 / static_cast<double>(side.latency.count());
    side.counts.latency_p95 = seconds_at(side.latency, 95);
  }
  test.old = s.sides[0].counts;
  test.fresh = s.sides[1].counts;
  test.confidence = r.confidence;
  const results::ProportionTest p = results::compare_proportions(test.old, test.fresh, r.confidence);
  const bool better = p.difference > 0 && p.p_value < 1 - r.confidence;
  test.stays = r.promotes && better;
  s.totals.test = test;
  s.totals.reason = std::isnan(p.p_value) ? "one side has no answers"
                    : p.p_value >= 1 - r.confidence ? "no significant difference of accuracy"
                    : better ? "the new version is more accurate"
                             : "the old version is more accurate";
  l.split = Split::weights;
  if (test.stays) {
    l.weight = 0;  // until set_weight()
    set_weight(l, 1);
    promote(l);
    return;
  }
  s.phase = Phase::aborting;
  s.old_stays = true;
  s.totals.outcome = "completed";
  s.totals.ended = world_.now_;
  note(index, "completed; the old version stays");
  for (Run& run : s.runs) run.live = false;
  l.weight = 1;
  set_weight(l, 0);
  retire_later(index, r.abort_delay);
}

// ---- totals ----------------------------------------------------------------------------------------

void Rollouts::add_totals(results::WorldTotals& out) {
  for (Line& l : lines_) {
    const Service& service = world_.scenario_.services[l.service];
    const auto& versions = world_.scenario_.versions[line_of_service_[l.service]].versions;
    for (std::size_t i = 0; i < versions.size(); ++i) {
      VersionTally& t = l.tallies[i];
      t.latency.seal();
      results::VersionTotals v;
      v.service = service.name;
      v.name = versions[i].name;
      v.answered = t.answered;
      v.failed = t.failed;
      v.errors = t.errors;
      const bool any = t.latency.count() > 0;
      v.latency_mean = any ? t.latency.sum() * 1e-9 / static_cast<double>(t.latency.count())
                           : std::numeric_limits<double>::quiet_NaN();
      v.latency_p50 = seconds_at(t.latency, 50);
      v.latency_p95 = seconds_at(t.latency, 95);
      v.latency_p99 = seconds_at(t.latency, 99);
      v.accuracy = t.with_accuracy > 0 ? t.accuracy / static_cast<double>(t.with_accuracy)
                                       : std::numeric_limits<double>::quiet_NaN();
      out.versions.push_back(std::move(v));
    }
  }
  out.skews = skews_;
  for (const State& s : states_) out.rollouts.push_back(s.totals);
}

}  // namespace isthmus::world
