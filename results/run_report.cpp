#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "results/comparison.hpp"
#include "results/format.hpp"
#include "results/level_metrics.hpp"
#include "results/rollout_metrics.hpp"
#include "results/text_table.hpp"

namespace isthmus::results {

namespace {

double value_in(const std::vector<Metric>& metrics, const std::string& name) {
  for (const Metric& m : metrics)
    if (m.name == name) return m.value;
  return std::numeric_limits<double>::quiet_NaN();
}

std::string seconds(double v) { return format_quantity(v, "s"); }

// One row of the latency table, for the whole run, a workload or a service.
void latency_row(TextTable& table, const std::string& name, const std::vector<Metric>& m) {
  const auto v = [&](const char* metric) { return value_in(m, metric); };
  table.add_row({name, fmt::format("{:.0f}", v("completed")), seconds(v("latency.mean")),
                 seconds(v("latency.p50")), seconds(v("latency.p95")), seconds(v("latency.p99")),
                 seconds(v("latency.max")), seconds(v("queue_wait.mean")),
                 seconds(v("network_time.mean")), seconds(v("service_time.mean"))});
}

std::string latency_section(const Summary& s) {
  TextTable table(
      {"latency", "answers", "mean", "p50", "p95", "p99", "max", "queue", "network", "service"});
  latency_row(table, "all", s.metrics);
  if (s.by_workload.size() > 1)
    for (const std::string& name : s.info.workloads)
      if (const auto at = s.by_workload.find(name); at != s.by_workload.end())
        latency_row(table, "from " + name, at->second);
  if (s.by_service.size() > 1)
    for (const std::string& name : s.info.services)
      if (const auto at = s.by_service.find(name); at != s.by_service.end())
        latency_row(table, "at " + name, at->second);
  return table.text();
}

// Token figures, only of services that made tokens.
std::string token_section(const Summary& s) {
  TextTable table(
      {"tokens", "per second", "TTFT mean", "TTFT p95", "TPOT mean", "TPOT p95", "ITL mean"});
  for (const std::string& name : s.info.services) {
    const auto at = s.by_service.find(name);
    if (at == s.by_service.end() || std::isnan(value_in(at->second, "ttft.mean"))) continue;
    const auto v = [&](const char* metric) { return value_in(at->second, metric); };
    table.add_row({"at " + name, format_figure(v("output_token_throughput")),
                   seconds(v("ttft.mean")), seconds(v("ttft.p95")), seconds(v("tpot.mean")),
                   seconds(v("tpot.p95")), seconds(v("itl.mean"))});
  }
  return table.empty() ? "" : "\n" + table.text();
}

std::string service_section(const Summary& s) {
  TextTable table({"service", "share", "utilization", "queue", "replicas", "most", "batch",
                   "cold starts", "preempted", "model"});
  std::string evidence;
  for (const ServiceTotals& t : s.services) {
    table.add_row({t.name, format_percent(s.value("share." + t.name)),
                   format_percent(t.utilization), format_figure(t.mean_queue),
                   format_figure(t.mean_replicas), fmt::format("{}", t.max_replicas),
                   format_figure(t.mean_batch), fmt::format("{}", t.cold_starts),
                   fmt::format("{}", t.preemptions),
                   t.variant.empty() ? t.model : t.model + " " + t.variant});
    if (t.bubbles)
      evidence += fmt::format("pipeline of {}: bubbles take {} of its stages' time\n", t.name,
                              format_percent(*t.bubbles));
    if (t.dummy_iterations)
      evidence += fmt::format("data-parallel ranks of {}: {} of their iterations without work\n", t.name,
                              format_percent(*t.dummy_iterations));
    if (!t.timing.empty()) evidence += fmt::format("timing of {}: {}\n", t.name, t.timing);
  }
  return table.empty() ? "" : "\n" + table.text() + evidence;
}

// What engines need not have computed, and guessed; only of services where there is any.
std::string engine_section(const Summary& s) {
  TextTable table({"engines", "prompt tokens", "cached", "from KV tiers", "from swap space", "guessed",
                   "guessed right", "adapter loads"});
  for (const ServiceTotals& t : s.services) {
    if (!t.engine) continue;
    const ServiceTotals::Engine& e = *t.engine;
    if (e.cached_tokens + e.fetched_tokens + e.swapped_tokens + e.guessed_tokens + e.adapter_loads == 0)
      continue;
    const auto share = [](std::uint64_t part, std::uint64_t of) {
      return of == 0 ? "-" : format_percent(static_cast<double>(part) / static_cast<double>(of));
    };
    table.add_row({t.name, fmt::format("{}", e.prompt_tokens), share(e.cached_tokens, e.prompt_tokens),
                   share(e.fetched_tokens, e.prompt_tokens), fmt::format("{}", e.swapped_tokens),
                   fmt::format("{}", e.guessed_tokens), share(e.accepted_tokens, e.guessed_tokens),
                   fmt::format("{}", e.adapter_loads)});
  }
  return table.empty() ? "" : "\n" + table.text();
}

// Caches of answers, and the load of the services that others call.
std::string cache_section(const Summary& s) {
  TextTable table({"cache", "look-ups", "hits", "coalesced", "wrong", "entries", "bytes", "evicted",
                   "expired"});
  std::string loads;
  for (const ServiceTotals& t : s.services) {
    for (const ServiceTotals::Cache& c : t.caches) {
      const std::string name = t.name + "/" + c.name;
      table.add_row({name, fmt::format("{}", c.lookups), format_percent(s.value("cache_hits." + name)),
                     fmt::format("{}", c.coalesced), fmt::format("{}", c.wrong),
                     fmt::format("{}", c.entries), format_quantity(c.bytes, "B"),
                     fmt::format("{}", c.evictions), fmt::format("{}", c.expired)});
    }
    if (t.calls)
      loads += fmt::format("calls to {}: {}\n", t.name,
                           format_quantity(s.value("load." + t.name), "1/s"));
  }
  return (table.empty() ? "" : "\n" + table.text()) + (loads.empty() ? "" : "\n" + loads);
}

// Balancers that watch their replicas.
std::string balancing_section(const Summary& s) {
  TextTable table({"balancer", "tries", "failed", "again", "ejections", "returns", "circuits opened",
                   "turned away", "by replica"});
  for (const ServiceTotals& t : s.services) {
    if (!t.balancing) continue;
    const ServiceTotals::Balancing& b = *t.balancing;
    std::string shares;
    for (std::size_t i = 0; i < std::min<std::size_t>(b.by_replica.size(), 8); ++i)
      shares += fmt::format("{}{}", i > 0 ? " " : "", b.by_replica[i]);
    if (b.by_replica.size() > 8) shares += " ...";
    table.add_row({t.name, fmt::format("{}", b.tries), fmt::format("{}", b.failures),
                   fmt::format("{}", b.retries), fmt::format("{}", b.ejections),
                   fmt::format("{}", b.returns), fmt::format("{}", b.opened),
                   fmt::format("{}", b.turned_away), shares});
  }
  return table.empty() ? "" : "\n" + table.text();
}

// Names of the parts that have a metric, e.g. of outboxes.
std::vector<std::string> parts_with(const Summary& s, std::string_view metric) {
  std::vector<std::string> names;
  for (const Metric& m : s.metrics)
    if (m.name.starts_with(metric)) names.push_back(m.name.substr(metric.size()));
  return names;
}

// Rules at the front of services, and who shared them.
std::string tenant_section(const Summary& s) {
  TextTable rules({"admission", "admitted", "held back", "turned away"});
  for (const std::string& name : parts_with(s, "admitted."))
    rules.add_row({name, fmt::format("{:.0f}", s.value("admitted." + name)),
                   fmt::format("{:.0f}", s.value("held_back." + name)),
                   fmt::format("{:.0f}", s.value("turned_away." + name))});
  TextTable table({"tenant", "requests", "answered", "in time", "latency", "p95", "p99", "share", "cost"});
  for (const std::string& name : parts_with(s, "tenant_requests.")) {
    const auto of = [&](const char* metric, const char* suffix = "") {
      return s.value(fmt::format("{}.{}{}", metric, name, suffix));
    };
    table.add_row({name, fmt::format("{:.0f}", of("tenant_requests")), format_percent(of("tenant_answered")),
                   format_percent(of("tenant_attainment")), seconds(of("tenant_latency", ".mean")),
                   seconds(of("tenant_latency", ".p95")), seconds(of("tenant_latency", ".p99")),
                   format_percent(of("tenant_share")), format_quantity(of("tenant_cost"), s.info.currency)});
  }
  return (rules.empty() ? "" : "\n" + rules.text()) +
         (table.empty() ? "" : "\n" + table.text() + fmt::format("fairness of shares by weight (Jain) {}\n", format_figure(s.value("fairness"))));
}

std::string node_section(const Summary& s) {
  TextTable table({"nodes", "count", "energy", "node-hours", "cost"});
  for (const NodeTotals& n : s.nodes)
    table.add_row({n.name, fmt::format("{}", n.count), format_quantity(n.energy, "J"),
                   format_figure(n.hours), format_quantity(n.cost, s.info.currency)});
  if (table.empty()) return "";
  TextTable physics({"clocks and heat", "throttled", "hottest", "battery", "shut down", "mean power"});
  const auto known = [](double x, const std::string& text) { return std::isnan(x) ? "-" : text; };
  for (const NodeTotals& n : s.nodes)
    if (n.physics)
      physics.add_row({n.name, fmt::format("{:.1f} %", 100 * n.physics->throttled),
                       known(n.physics->hottest, fmt::format("{:.1f} C", n.physics->hottest)),
                       fmt::format("{:.1f} %", 100 * n.physics->battery),
                       fmt::format("{}", n.physics->shut_down),
                       known(n.physics->power_mean, format_quantity(n.physics->power_mean, "W"))});
  return "\n" + table.text() + (physics.empty() ? "" : physics.text()) +
         fmt::format("energy per request {}, at the clients {}; cost per 1000 requests {}\n",
                     format_quantity(s.value("energy_per_request"), "J"),
                     format_quantity(s.value("client_energy_per_request"), "J"),
                     format_quantity(s.value("cost_per_1000"), s.info.currency));
}

// Parts of cold starts.
std::string startup_section(const Summary& s) {
  std::string out;
  for (const std::string& name : parts_with(s, "cold_start_mean.")) {
    out += fmt::format("cold starts of {}: {:.0f}, {} each:", name, s.value("cold_starts." + name),
                       seconds(s.value("cold_start_mean." + name)));
    const char* separator = " ";
    for (const std::string& part : parts_with(s, "cold_start_part." + name + "/")) {
      out += fmt::format("{}{} {}", separator, part, seconds(s.value(fmt::format("cold_start_part.{}/{}", name, part))));
      separator = ", ";
    }
    out += "\n";
  }
  return out.empty() ? out : "\n" + out;
}

// The bill, carbon per answer, and agreements of providers.
std::string cost_section(const Summary& s) {
  if (!s.ledger) return "";
  std::string out = "\n" + ledger_text(*s.ledger);
  if (!std::isnan(s.value("sci")))
    out += fmt::format("carbon per answered request (SCI) {}\n", format_quantity(s.value("sci"), "g"));
  for (const std::string& name : parts_with(s, "availability."))
    out += fmt::format("availability of {}: {:.4f} %\n", name, 100 * s.value("availability." + name));
  return out;
}

std::string link_section(const Summary& s) {
  const bool powered = std::any_of(s.links.begin(), s.links.end(),
                                   [](const LinkTotals& l) { return l.energy.has_value(); });
  std::vector<std::string> heads = {"link", "bytes", "utilization"};
  if (powered) heads.push_back("energy");
  TextTable table(heads);
  for (const LinkTotals& l : s.links) {
    std::vector<std::string> row = {l.name, format_quantity(l.bytes, "B"),
                                    format_percent(l.utilization)};
    if (powered) row.push_back(l.energy ? format_quantity(*l.energy, "J") : "-");
    table.add_row(row);
  }
  std::string out = table.empty() ? "" : "\n" + table.text();
  if (!std::isnan(s.value("transfer_retries")))
    out += fmt::format(
        "transfers: {:.0f} retried ({} sent again), {:.0f} resumed, {:.0f} given up, {:.0f} "
        "promotions, {:.0f} handovers, waited {}\n",
        s.value("transfer_retries"), format_quantity(s.value("resent_bytes"), "B"),
        s.value("transfer_resumes"), s.value("transfers_given_up"), s.value("promotions"),
        s.value("handovers"), seconds(s.value("transfer_wait")));
  if (!std::isnan(s.value("wire_bytes")))
    out += fmt::format(
        "protocols: {} on the wire for {} of payload; {:.0f} connections opened ({:.0f} resumed, {} "
        "each), {:.0f} requests on open ones; codecs {} at clients, {} at servers\n",
        format_quantity(s.value("wire_bytes"), "B"), format_quantity(s.value("payload_bytes"), "B"),
        s.value("connections_opened"), s.value("connections_resumed"),
        seconds(s.value("handshake_time")), s.value("connections_reused"),
        seconds(s.value("client_codec_time")), seconds(s.value("server_codec_time")));
  if (!std::isnan(s.value("hedge_copies"))) {
    out += fmt::format("hedging: {} further copies, which gave {} of the answers; {} at servers for nothing\n",
                       format_percent(s.value("hedge_copies")), format_percent(s.value("hedge_wins")),
                       seconds(s.value("hedge_wasted")));
  }
  if (!std::isnan(s.value("outages"))) out += fmt::format("{:.0f} outages\n", s.value("outages"));
  return out;
}

std::string update_section(const Summary& s) {
  TextTable table({"update", "has it", "first", "50 %", "95 %", "all", "95 % back", "origin", "relays",
                   "peers", "wasted"});
  const auto known = [](double x) { return std::isnan(x) ? std::string("-") : seconds(x); };
  for (const UpdateTotals& u : s.updates)
    table.add_row({u.name, fmt::format("{} of {}", u.serving, u.fleet), known(u.first), known(u.half),
                   known(u.most), known(u.all), known(u.back_most),
                   format_quantity(u.from_origin + u.to_relays, "B"), format_quantity(u.from_relays, "B"),
                   format_quantity(u.from_peers, "B"), format_quantity(u.wasted, "B")});
  std::string out = table.empty() ? "" : "\n" + table.text();
  for (const ServiceTotals& v : s.services) {
    if (v.versions.empty()) continue;
    out += v.name + " answered with";
    for (const auto& [name, count] : v.versions)
      out += fmt::format(" {} {}", name, format_percent(s.value("version." + v.name + "/" + name)));
    out += fmt::format("; not with the cloud's version: {}\n",
                       format_percent(s.value("version_skew." + v.name)));
  }
  return out;
}

std::string offline_section(const Summary& s) {
  std::string out;
  for (const std::string& name : parts_with(s, "outbox_made.")) {
    const auto of = [&](const char* metric, const char* suffix = "") {
      return s.value(fmt::format("{}.{}{}", metric, name, suffix));
    };
    out += fmt::format(
        "outbox {}: made {:.0f} = delivered {:.0f} + dropped {:.0f} + lost {:.0f} + queued {:.0f}; {:.0f} "
        "duplicates\n  age mean {}, p99 {}, max {}; {} sent; largest backlog {:.0f} ({})\n",
        name, of("outbox_made"), of("outbox_delivered"), of("outbox_dropped"),
        of("outbox_lost_network") + of("outbox_lost_node"), of("outbox_queued"), of("outbox_duplicates"),
        seconds(of("outbox_age", ".mean")), seconds(of("outbox_age", ".p99")), seconds(of("outbox_age", ".max")),
        format_quantity(of("outbox_bytes"), "B"), of("outbox_backlog"),
        format_quantity(of("outbox_backlog_bytes"), "B"));
    if (of("outbox_partitions") > 0)
      out += fmt::format("  {:.0f} partitions, {:.0f} failed attempts, catch-up mean {}, max {}\n",
                         of("outbox_partitions"), of("outbox_failures"), seconds(of("outbox_catch_up", ".mean")),
                         seconds(of("outbox_catch_up", ".max")));
  }
  for (const std::string& name : parts_with(s, "data_writes.")) {
    const auto of = [&](const char* metric, const char* suffix = "") {
      return s.value(fmt::format("{}.{}{}", metric, name, suffix));
    };
    out += fmt::format(
        "data {}: {:.0f} writes, known elsewhere after {} (p95 {}, max {}); {:.0f} conflicts, {:.0f} writes lost, "
        "{:.0f} copies differ at the end\n",
        name, of("data_writes"), seconds(of("data_propagation", ".mean")), seconds(of("data_propagation", ".p95")),
        seconds(of("data_propagation", ".max")), of("data_conflicts"), of("data_lost"), of("data_diverged"));
    if (of("data_reads") > 0)
      out += fmt::format("  {:.0f} reads, {} stale; staleness mean {}, p95 {}, max {}\n", of("data_reads"),
                         format_percent(of("data_stale")), seconds(of("data_staleness", ".mean")),
                         seconds(of("data_staleness", ".p95")), seconds(of("data_staleness", ".max")));
    out += fmt::format("  {:.0f} messages ({:.0f} failed), {} up, {} down, {} of these for vectors", of("data_messages"),
                       of("data_failures"), format_quantity(of("data_bytes_up"), "B"),
                       format_quantity(of("data_bytes_down"), "B"), format_quantity(of("data_vector_bytes"), "B"));
    out += std::isnan(of("data_converge", ".max"))
               ? "\n"
               : fmt::format("; after partitions in agreement within {}\n", seconds(of("data_converge", ".max")));
  }
  return out.empty() ? out : "\n" + out;
}

std::string objective_section(const Summary& s) {
  std::string out;
  for (std::size_t i = 0; i < s.info.objectives.size(); ++i) {
    const Objective& o = s.info.objectives[i];
    const double met = s.value(fmt::format("slo.{}.met", i));
    out += fmt::format("SLO {} <= {} for {} of requests: {}, {}\n", o.metric,
                       seconds(o.target.seconds()), format_percent(o.percentile / 100),
                       format_percent(s.value(fmt::format("slo.{}.attainment", i))),
                       std::isnan(met) ? "no data"
                       : met > 0       ? "met"
                                       : "MISSED");
  }
  return out.empty() ? out : "\n" + out;
}

}  // namespace

std::string run_report(const Summary& s) {
  std::string out =
      fmt::format("{}{}\n", s.info.name, s.info.label.empty() ? "" : ": " + s.info.label);
  out += fmt::format("seed {}, replication {}, {} simulated ({} warm-up), network: {}\n",
                     s.info.seed, s.info.replication, seconds(s.info.duration.seconds()),
                     seconds(s.info.warmup.seconds()), s.info.network);
  out += s.conservation_line() + "\n";
  out += fmt::format("throughput {}, goodput {}; {} requests counted after the warm-up\n\n",
                     format_quantity(s.value("throughput"), "1/s"),
                     format_quantity(s.value("goodput"), "1/s"),
                     fmt::format("{:.0f}", s.value("requests")));
  out += latency_section(s) + token_section(s);
  if (!std::isnan(s.value("task_success")))
    out +=
        fmt::format("\ntasks: {:.0f} ended, {} succeeded, duration mean {}, p95 {}\n",
                    s.value("tasks"), format_percent(s.value("task_success")),
                    seconds(s.value("task_duration.mean")), seconds(s.value("task_duration.p95")));
  out += service_section(s) + engine_section(s) + cache_section(s) + balancing_section(s) + tenant_section(s) +
         startup_section(s) + node_section(s) + cost_section(s) + link_section(s) + update_section(s) +
         rollout_section(s) + offline_section(s) + level_section(s) + objective_section(s);
  if (!std::isnan(s.value("accuracy")))
    out += fmt::format("\naccuracy {}\n", format_percent(s.value("accuracy")));
  out += "\n";
  for (const std::string& note : s.info.notes) out += "note: " + note + "\n";
  out += fmt::format("fingerprint {:016x}, {} events, {} of processor time\n", s.fingerprint,
                     s.events, seconds(s.cpu_seconds));
  out += s.directory.empty() ? "results were not written\n"
                             : fmt::format("results in {}\n", s.directory.string());
  return out;
}

}  // namespace isthmus::results
