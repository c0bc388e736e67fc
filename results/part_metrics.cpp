#include "results/part_metrics.hpp"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "results/metrics.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::results {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

void add_transfers(MetricList& list, const TransferTotals& t) {
  list.count("transfer_retries", t.retries);
  list.count("transfer_resumes", t.resumes);
  list.count("transfers_given_up", t.given_up);
  list.put("resent_bytes", t.resent);
  list.count("promotions", t.promotions);
  list.count("handovers", t.handovers);
  list.put("transfer_wait", t.waited);
}

void add_protocols(MetricList& list, const ProtocolTotals& t) {
  list.count("connections_opened", t.opened);
  list.count("connections_resumed", t.resumed);
  list.count("connections_reused", t.reused);
  list.put("handshake_time", t.opened > 0 ? t.handshake / static_cast<double>(t.opened) : nan);
  list.put("payload_bytes", t.payload);
  list.put("wire_bytes", t.wire);
  list.put("client_codec_time", t.client_work);
  list.put("server_codec_time", t.server_work);
  list.count("attempt_timeouts", t.timeouts);
  list.put("sent_raw", t.raw);
  list.put("sent_features", t.features);
  list.put("sent_noised", t.noised);
  list.put("bytes_in_clear", t.in_clear);
  list.put("broker_memory", t.broker_memory);
  list.count("broker_held", t.broker_held);
}

void add_hedging(MetricList& list, const HedgingTotals& t) {
  std::uint64_t answers = 0;
  for (const std::uint64_t n : t.wins) answers += n;
  list.share("hedge_copies", t.copies, t.requests);
  list.put("hedge_wins", answers > 0 ? share_of(answers - t.wins[0], answers) : nan);
  for (std::size_t i = 0; i < t.wins.size(); ++i) list.share(fmt::format("hedge_wins.{}", i), t.wins[i], answers);
  list.put("hedge_wasted", t.wasted);
}

void add_update(MetricList& list, const UpdateTotals& u) {
  const auto put = [&](const char* name, double value) { list.put(fmt::format("{}.{}", name, u.name), value); };
  put("update_share", static_cast<double>(u.serving) / static_cast<double>(u.fleet));
  put("update_time_first", u.first);
  put("update_time_50", u.half);
  put("update_time_95", u.most);
  put("update_time_all", u.all);
  if (u.taken_back) {
    put("rollback_time_95", u.back_most);
    put("rollback_time_all", u.back_all);
  }
  put("update_bytes", u.from_origin + u.from_relays + u.from_peers);
  put("update_bytes_origin", u.from_origin);
  put("update_bytes_relays", u.from_relays);
  put("update_bytes_peers", u.from_peers);
  put("update_bytes_fill", u.to_relays);
  put("update_bytes_news", u.news);
  put("update_bytes_wasted", u.wasted);
  put("update_broken", static_cast<double>(u.broken));
  put("update_full_instead", static_cast<double>(u.full_instead));
}

void add_offload(MetricList& list, const OffloadTotals& t) {
  const auto mean = [](double sum, std::uint64_t n) { return n > 0 ? sum / static_cast<double>(n) : nan; };
  list.put("offload_reward", mean(t.reward, t.ended));
  if (t.compared == 0) return;
  list.share("oracle_agreement", t.agreed, t.compared);
  list.put("oracle_gap", mean(t.gap, t.compared));
}

void add_link_energy(MetricList& list, const std::vector<LinkTotals>& links) {
  double energy = 0;
  bool powered = false;
  for (const LinkTotals& l : links)
    if (l.energy) powered = true, energy += *l.energy;
  if (powered) list.put("link_energy", energy);
}

void add_service(MetricList& list, const ServiceTotals& v, double seconds) {
  if (v.cold_start > 0) list.put("cold_start." + v.name, v.cold_start);
  if (v.max_replicas > 0) list.put("replicas." + v.name, v.mean_replicas);
  if (v.load_peak > 0) list.put("load_peak." + v.name, v.load_peak);
  if (v.weight_bytes > 0) list.put("weights." + v.name, v.weight_bytes);
  if (v.bubbles) list.put("bubbles." + v.name, *v.bubbles);
  if (v.dummy_iterations) list.put("dummy_iterations." + v.name, *v.dummy_iterations);
  if (const auto& c = v.weight_cache) {
    list.share("weight_hits." + v.name, c->hits, c->batches);
    list.count("weight_loads." + v.name, c->loads);
    list.count("weight_evictions." + v.name, c->evictions);
  }
  for (const ServiceTotals::Cache& c : v.caches) {
    const std::string name = v.name + "/" + c.name;
    list.share("cache_hits." + name, c.hits, c.lookups);
    if (c.coalesced > 0) list.share("cache_coalesced." + name, c.coalesced, c.lookups);
    if (c.similar_counted) list.share("cache_wrong." + name, c.wrong, c.hits);
  }
  if (const auto& b = v.balancing) {
    list.share("tries_failed." + v.name, b->failures, b->tries);
    for (std::size_t i = 0; i < b->by_replica.size(); ++i)
      list.share(fmt::format("routed.{}/{}", v.name, i), b->by_replica[i], b->tries);
    list.count("ejections." + v.name, b->ejections + b->opened);
  }
  if (v.near) list.share("routed_near." + v.name, v.near->first, v.near->second);
  if (v.calls) list.put("load." + v.name, seconds > 0 ? static_cast<double>(*v.calls) / seconds : nan);
  std::uint64_t all = 0, through_exits = 0, answers = 0;
  for (const auto& [name, count] : v.variants) all += count;
  for (const std::uint64_t count : v.exits) through_exits += count;
  for (const auto& [name, count] : v.versions) answers += count;
  if (v.variants.size() > 1)
    for (const auto& [name, count] : v.variants) list.share(fmt::format("variant.{}/{}", v.name, name), count, all);
  for (const auto& [name, count] : v.versions) list.share(fmt::format("version.{}/{}", v.name, name), count, answers);
  if (!v.versions.empty()) list.share("version_skew." + v.name, v.skewed, answers);
  for (std::size_t e = 0; e < v.exits.size(); ++e)
    list.share(fmt::format("exit.{}/{}", v.name, e), v.exits[e], through_exits);
}

void add_physics(MetricList& list, const std::string& node, const NodeTotals::Physics& p) {
  for (const auto& [name, value] : {std::pair{"power.{}.mean", p.power_mean},
                                    {"power.{}.stddev", p.power_stddev},
                                    {"clock.{}.mean", p.speed_mean},
                                    {"clock.{}.stddev", p.speed_stddev},
                                    {"temperature.{}.max", p.hottest},
                                    {"throttled.{}", p.throttled},
                                    {"battery.{}", p.battery}})
    list.put(fmt::format(fmt::runtime(name), node), value);
}

}  // namespace

double share_of(std::uint64_t part, std::uint64_t of) {
  return of > 0 ? static_cast<double>(part) / static_cast<double>(of) : nan;
}

void MetricList::put(std::string name, double value) {
  const auto definition = find_metric(name);
  if (!definition) throw InternalError(fmt::format("metric '{}' is not in the table", name));
  out_.push_back({std::move(name), value, std::string(definition->unit)});
}

void add_network_metrics(MetricList& list, const WorldTotals& totals) {
  if (totals.transfers) add_transfers(list, *totals.transfers);
  if (totals.protocols) add_protocols(list, *totals.protocols);
  if (totals.hedging) add_hedging(list, *totals.hedging);
  for (const UpdateTotals& u : totals.updates) add_update(list, u);
}

void add_part_metrics(MetricList& list, const WorldTotals& totals, double seconds) {
  for (const auto& [name, value] : totals.more) list.put(name, value);
  if (totals.offload) add_offload(list, *totals.offload);
  if (totals.outages) list.count("outages", *totals.outages);
  add_link_energy(list, totals.links);
  for (const ServiceTotals& v : totals.services) add_service(list, v, seconds);
  for (const NodeTotals& n : totals.nodes)
    if (n.physics) add_physics(list, n.name, *n.physics);
}

}  // namespace isthmus::results
