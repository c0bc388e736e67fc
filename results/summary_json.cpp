#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "results/json_numbers.hpp"
#include "results/level_metrics.hpp"
#include "results/rollout_json.hpp"
#include "results/summary.hpp"
#include "results/version.hpp"

namespace isthmus::results {

namespace {

using Json = nlohmann::ordered_json;

// Metrics as an object: name -> {value, unit}, in the order of the list.
Json from_metrics(const std::vector<Metric>& metrics) {
  Json j = Json::object();
  for (const Metric& m : metrics) j[m.name] = {{"value", from_double(m.value)}, {"unit", m.unit}};
  return j;
}
std::vector<Metric> to_metrics(const Json& j) {
  std::vector<Metric> metrics;
  for (const auto& [name, m] : j.items())
    metrics.push_back({name, to_double(m.at("value")), m.at("unit").get<std::string>()});
  return metrics;
}

Json from_groups(const std::map<std::string, std::vector<Metric>>& groups) {
  Json j = Json::object();
  for (const auto& [name, metrics] : groups) j[name] = from_metrics(metrics);
  return j;
}
std::map<std::string, std::vector<Metric>> to_groups(const Json& j) {
  std::map<std::string, std::vector<Metric>> groups;
  for (const auto& [name, metrics] : j.items()) groups[name] = to_metrics(metrics);
  return groups;
}

Json from_info(const RunInfo& i) {
  Json objectives = Json::array();
  for (const Objective& o : i.objectives)
    objectives.push_back({{"metric", o.metric},
                          {"percentile", from_double(o.percentile)},
                          {"target_ns", o.target.ns()}});
  Json j = {{"name", i.name},
          {"label", i.label},
          {"seed", i.seed},
          {"replication", i.replication},
          {"network", i.network},
          {"duration_ns", i.duration.ns()},
          {"warmup_ns", i.warmup.ns()},
          {"workloads", i.workloads},
          {"services", i.services},
          {"nodes", i.nodes},
          {"objectives", objectives},
          {"notes", i.notes},
          {"scenario", i.scenario_json}};
  if (i.currency != "USD") j["currency"] = i.currency;
  return j;
}
RunInfo to_info(const Json& j) {
  RunInfo i;
  i.name = j.at("name");
  i.label = j.at("label");
  i.seed = j.at("seed");
  i.replication = j.at("replication");
  i.network = j.at("network");
  i.duration = Duration(j.at("duration_ns").get<std::int64_t>());
  i.warmup = Duration(j.at("warmup_ns").get<std::int64_t>());
  i.workloads = j.at("workloads").get<std::vector<std::string>>();
  i.services = j.at("services").get<std::vector<std::string>>();
  i.nodes = j.at("nodes").get<std::vector<std::string>>();
  for (const Json& o : j.at("objectives"))
    i.objectives.push_back({o.at("metric").get<std::string>(), to_double(o.at("percentile")),
                            Duration(o.at("target_ns").get<std::int64_t>())});
  i.notes = j.at("notes").get<std::vector<std::string>>();
  i.scenario_json = j.at("scenario");
  if (j.contains("currency")) i.currency = j.at("currency");
  return i;
}

Json from_physics(const NodeTotals::Physics& p) {
  return {{"throttled", from_double(p.throttled)},
          {"hottest", from_double(p.hottest)},
          {"battery", from_double(p.battery)},
          {"shut_down", p.shut_down},
          {"power_mean", from_double(p.power_mean)},
          {"power_stddev", from_double(p.power_stddev)},
          {"speed_mean", from_double(p.speed_mean)},
          {"speed_stddev", from_double(p.speed_stddev)}};
}
NodeTotals::Physics to_physics(const Json& j) {
  NodeTotals::Physics p;
  p.throttled = to_double(j.at("throttled"));
  p.hottest = to_double(j.at("hottest"));
  p.battery = to_double(j.at("battery"));
  p.shut_down = j.at("shut_down");
  p.power_mean = to_double(j.at("power_mean"));
  p.power_stddev = to_double(j.at("power_stddev"));
  p.speed_mean = to_double(j.at("speed_mean"));
  p.speed_stddev = to_double(j.at("speed_stddev"));
  return p;
}

Json from_node(const NodeTotals& n) {
  Json j = {{"name", n.name},
          {"count", n.count},
          {"energy", from_double(n.energy)},
          {"busy_seconds", from_double(n.busy_seconds)},
          {"hours", from_double(n.hours)},
          {"cost", from_double(n.cost)}};
  if (n.physics) j["physics"] = from_physics(*n.physics);
  return j;
}
NodeTotals to_node(const Json& j) {
  NodeTotals n;
  n.name = j.at("name");
  n.count = j.at("count");
  n.energy = to_double(j.at("energy"));
  n.busy_seconds = to_double(j.at("busy_seconds"));
  n.hours = to_double(j.at("hours"));
  n.cost = to_double(j.at("cost"));
  if (j.contains("physics")) n.physics = to_physics(j.at("physics"));
  return n;
}

Json from_service(const ServiceTotals& s) {
  Json j = {{"name", s.name},
          {"model", s.model},
          {"variant", s.variant},
          {"timing", s.timing},
          {"utilization", from_double(s.utilization)},
          {"mean_queue", from_double(s.mean_queue)},
          {"mean_in_system", from_double(s.mean_in_system)},
          {"mean_replicas", from_double(s.mean_replicas)},
          {"max_replicas", s.max_replicas},
          {"mean_batch", from_double(s.mean_batch)},
          {"iterations", s.iterations},
          {"timing_error", from_double(s.timing_error)},
          {"cold_starts", s.cold_starts},
          {"preemptions", s.preemptions},
          {"weight_bytes", from_double(s.weight_bytes)}};
  if (s.pool) j["pool"] = true;
  if (s.cold_start > 0) j["cold_start"] = from_double(s.cold_start);
  if (s.load_peak > 0) j["load_peak"] = from_double(s.load_peak);
  if (s.bubbles) j["bubbles"] = from_double(*s.bubbles);
  if (s.dummy_iterations) j["dummy_iterations"] = from_double(*s.dummy_iterations);
  if (s.weight_cache)
    j["weight_cache"] = {{"batches", s.weight_cache->batches},
                         {"hits", s.weight_cache->hits},
                         {"loads", s.weight_cache->loads},
                         {"evictions", s.weight_cache->evictions}};
  for (const ServiceTotals::Cache& c : s.caches)
    j["caches"].push_back({{"name", c.name},
                           {"lookups", c.lookups},
                           {"hits", c.hits},
                           {"similar", c.similar},
                           {"wrong", c.wrong},
                           {"coalesced", c.coalesced},
                           {"unanswered", c.unanswered},
                           {"writes", c.writes},
                           {"evictions", c.evictions},
                           {"expired", c.expired},
                           {"refused", c.refused},
                           {"entries", c.entries},
                           {"bytes", from_double(c.bytes)},
                           {"similar_counted", c.similar_counted}});
  if (const auto& b = s.balancing)
    j["balancing"] = {{"tries", b->tries},         {"failures", b->failures}, {"retries", b->retries},
                      {"ejections", b->ejections}, {"returns", b->returns},   {"opened", b->opened},
                      {"turned_away", b->turned_away}, {"by_replica", b->by_replica}};
  if (s.near) j["near"] = {s.near->first, s.near->second};
  if (s.calls) j["calls"] = *s.calls;
  if (s.engine)
    j["engine"] = {{"prompt_tokens", s.engine->prompt_tokens},
                   {"cached_tokens", s.engine->cached_tokens},
                   {"fetched_tokens", s.engine->fetched_tokens},
                   {"swapped_tokens", s.engine->swapped_tokens},
                   {"guessed_tokens", s.engine->guessed_tokens},
                   {"accepted_tokens", s.engine->accepted_tokens},
                   {"adapter_loads", s.engine->adapter_loads}};
  for (const auto& [name, count] : s.variants) j["variants"].push_back({name, count});
  if (!s.exits.empty()) j["exits"] = s.exits;
  for (const auto& [name, count] : s.versions) j["versions"].push_back({name, count});
  if (!s.versions.empty()) j["skewed"] = s.skewed;
  return j;
}
ServiceTotals to_service(const Json& j) {
  ServiceTotals s;
  s.name = j.at("name");
  s.model = j.at("model");
  s.variant = j.at("variant");
  s.timing = j.at("timing");
  s.utilization = to_double(j.at("utilization"));
  s.mean_queue = to_double(j.at("mean_queue"));
  s.mean_in_system = to_double(j.at("mean_in_system"));
  s.mean_replicas = to_double(j.at("mean_replicas"));
  s.max_replicas = j.at("max_replicas");
  s.mean_batch = to_double(j.at("mean_batch"));
  s.iterations = j.at("iterations");
  s.timing_error = to_double(j.at("timing_error"));
  s.cold_starts = j.at("cold_starts");
  s.preemptions = j.at("preemptions");
  s.weight_bytes = to_double(j.at("weight_bytes"));
  s.pool = j.contains("pool");
  if (j.contains("cold_start")) s.cold_start = to_double(j.at("cold_start"));
  if (j.contains("load_peak")) s.load_peak = to_double(j.at("load_peak"));
  if (j.contains("engine")) {
    const Json& e = j.at("engine");
    s.engine = {e.at("prompt_tokens"),  e.at("cached_tokens"),  e.at("fetched_tokens"),
                e.at("swapped_tokens"), e.at("guessed_tokens"), e.at("accepted_tokens"),
                e.at("adapter_loads")};
  }
  if (j.contains("bubbles")) s.bubbles = to_double(j.at("bubbles"));
  if (j.contains("dummy_iterations")) s.dummy_iterations = to_double(j.at("dummy_iterations"));
  if (j.contains("weight_cache")) {
    const Json& c = j.at("weight_cache");
    s.weight_cache = {c.at("batches"), c.at("hits"), c.at("loads"), c.at("evictions")};
  }
  if (j.contains("caches"))
    for (const Json& c : j.at("caches")) {
      ServiceTotals::Cache cache;
      cache.name = c.at("name");
      cache.lookups = c.at("lookups");
      cache.hits = c.at("hits");
      cache.similar = c.at("similar");
      cache.wrong = c.at("wrong");
      cache.coalesced = c.at("coalesced");
      cache.unanswered = c.at("unanswered");
      cache.writes = c.at("writes");
      cache.evictions = c.at("evictions");
      cache.expired = c.at("expired");
      cache.refused = c.at("refused");
      cache.entries = c.at("entries");
      cache.bytes = to_double(c.at("bytes"));
      cache.similar_counted = c.at("similar_counted");
      s.caches.push_back(std::move(cache));
    }
  if (j.contains("balancing")) {
    const Json& b = j.at("balancing");
    s.balancing = {b.at("tries"),   b.at("failures"), b.at("retries"),     b.at("ejections"),
                   b.at("returns"), b.at("opened"),   b.at("turned_away"),
                   b.at("by_replica").get<std::vector<std::uint64_t>>()};
  }
  if (j.contains("near")) s.near = {j.at("near").at(0), j.at("near").at(1)};
  if (j.contains("calls")) s.calls = j.at("calls").get<std::uint64_t>();
  if (j.contains("variants"))
    for (const Json& v : j.at("variants")) s.variants.emplace_back(v[0], v[1]);
  if (j.contains("exits")) s.exits = j.at("exits").get<std::vector<std::uint64_t>>();
  if (j.contains("versions")) {
    for (const Json& v : j.at("versions")) s.versions.emplace_back(v[0], v[1]);
    s.skewed = j.at("skewed");
  }
  return s;
}

Json from_link(const LinkTotals& l) {
  Json j = {{"name", l.name},
            {"bytes", from_double(l.bytes)},
            {"utilization", from_double(l.utilization)}};
  if (l.energy) j["energy"] = from_double(*l.energy);
  return j;
}
LinkTotals to_link(const Json& j) {
  LinkTotals l;
  l.name = j.at("name");
  l.bytes = to_double(j.at("bytes"));
  l.utilization = to_double(j.at("utilization"));
  if (j.contains("energy")) l.energy = to_double(j.at("energy"));
  return l;
}

Json from_update(const UpdateTotals& u) {
  Json j = {{"name", u.name},
            {"fleet", u.fleet},
            {"applied", u.applied},
            {"serving", u.serving},
            {"released", from_double(u.released)},
            {"first", from_double(u.first)},
            {"half", from_double(u.half)},
            {"most", from_double(u.most)},
            {"all", from_double(u.all)},
            {"from_origin", from_double(u.from_origin)},
            {"from_relays", from_double(u.from_relays)},
            {"from_peers", from_double(u.from_peers)},
            {"to_relays", from_double(u.to_relays)},
            {"news", from_double(u.news)},
            {"received", from_double(u.received)},
            {"wasted", from_double(u.wasted)},
            {"broken", u.broken},
            {"full_instead", u.full_instead}};
  if (u.taken_back)
    j["rollback"] = {{"affected", u.affected},
                     {"back", u.back},
                     {"most", from_double(u.back_most)},
                     {"all", from_double(u.back_all)}};
  j["progress"] = Json::array();
  for (const auto& [at, share] : u.progress) j["progress"].push_back({at, share});
  return j;
}
UpdateTotals to_update(const Json& j) {
  UpdateTotals u;
  u.name = j.at("name");
  u.fleet = j.at("fleet");
  u.applied = j.at("applied");
  u.serving = j.at("serving");
  u.released = to_double(j.at("released"));
  u.first = to_double(j.at("first"));
  u.half = to_double(j.at("half"));
  u.most = to_double(j.at("most"));
  u.all = to_double(j.at("all"));
  u.from_origin = to_double(j.at("from_origin"));
  u.from_relays = to_double(j.at("from_relays"));
  u.from_peers = to_double(j.at("from_peers"));
  u.to_relays = to_double(j.at("to_relays"));
  u.news = to_double(j.at("news"));
  u.received = to_double(j.at("received"));
  u.wasted = to_double(j.at("wasted"));
  u.broken = j.at("broken");
  u.full_instead = j.at("full_instead");
  if (j.contains("rollback")) {
    const Json& b = j.at("rollback");
    u.taken_back = true;
    u.affected = b.at("affected");
    u.back = b.at("back");
    u.back_most = to_double(b.at("most"));
    u.back_all = to_double(b.at("all"));
  }
  for (const Json& p : j.at("progress")) u.progress.emplace_back(to_double(p.at(0)), to_double(p.at(1)));
  return u;
}

Json from_level(const LevelTotals& l) {
  Json j = {{"name", l.name},
            {"indicator", l.indicator},
            {"objective", from_double(l.objective)},
            {"period", from_double(l.period)},
            {"good", l.good},
            {"events", l.events},
            {"budget_left", from_double(l.budget_left)},
            {"used_up", from_double(l.used_up)},
            {"apdex", from_double(l.apdex)},
            {"alerts", l.alerts}};
  j["progress"] = Json::array();
  for (const auto& [at, left] : l.progress) j["progress"].push_back({at, left});
  return j;
}
LevelTotals to_level(const Json& j) {
  LevelTotals l;
  l.name = j.at("name");
  l.indicator = j.at("indicator");
  l.objective = to_double(j.at("objective"));
  l.period = to_double(j.at("period"));
  l.good = j.at("good");
  l.events = j.at("events");
  l.budget_left = to_double(j.at("budget_left"));
  l.used_up = to_double(j.at("used_up"));
  l.apdex = to_double(j.at("apdex"));
  l.alerts = j.at("alerts").get<std::vector<std::string>>();
  for (const Json& p : j.at("progress")) l.progress.emplace_back(to_double(p.at(0)), to_double(p.at(1)));
  return l;
}

Json from_alert(const AlertEvent& a) {
  return {{"level", a.level},
          {"alert", a.alert},
          {"severity", a.severity},
          {"pending_ns", from_date(a.pending)},
          {"fired_ns", from_date(a.fired)},
          {"resolved_ns", from_date(a.resolved)}};
}
AlertEvent to_alert(const Json& j) {
  return {j.at("level"),
          j.at("alert"),
          j.at("severity"),
          to_date(j.at("pending_ns")),
          to_date(j.at("fired_ns")),
          to_date(j.at("resolved_ns"))};
}

// Amounts in millionths, as they are: sums of rows stay exact.
Json from_ledger_row(const LedgerRow& r) {
  Json j = {{"item", r.item},
            {"of", r.of},
            {"quantity", from_double(r.quantity)},
            {"unit", r.unit},
            {"unit_price", from_double(r.unit_price)},
            {"amount_micro", r.amount}};
  if (r.at_once != 0) j["at_once_micro"] = r.at_once;
  return j;
}
LedgerRow to_ledger_row(const Json& j) {
  LedgerRow r;
  r.item = j.at("item");
  r.of = j.at("of");
  r.quantity = to_double(j.at("quantity"));
  r.unit = j.at("unit");
  r.unit_price = to_double(j.at("unit_price"));
  r.amount = j.at("amount_micro");
  if (j.contains("at_once_micro")) r.at_once = j.at("at_once_micro");
  return r;
}

template <class T, class F>
Json from_list(const std::vector<T>& list, F convert) {
  Json j = Json::array();
  for (const T& item : list) j.push_back(convert(item));
  return j;
}
template <class T, class F>
std::vector<T> to_list(const Json& j, F convert) {
  std::vector<T> list;
  for (const Json& item : j) list.push_back(convert(item));
  return list;
}

Json from_ledger(const Ledger& l) {
  return {{"currency", l.currency},
          {"hours", from_double(l.hours)},
          {"total_micro", l.total()},
          {"rows", from_list(l.rows, from_ledger_row)},
          {"carbon_total_micro_grams", l.grams()},
          {"carbon", from_list(l.carbon, from_ledger_row)}};
}
Ledger to_ledger(const Json& j) {
  Ledger l;
  l.currency = j.at("currency");
  l.hours = to_double(j.at("hours"));
  l.rows = to_list<LedgerRow>(j.at("rows"), to_ledger_row);
  l.carbon = to_list<LedgerRow>(j.at("carbon"), to_ledger_row);
  return l;
}

Json from_summary(const Summary& s) {
  Json j = {{"filetype", "isthmus summary"},
          {"version", results_version},
          {"run", from_info(s.info)},
          {"requests",
           {{"created", s.created},
            {"completed", s.completed},
            {"rejected", s.rejected},
            {"failed", s.failed},
            {"in_flight", s.in_flight},
            {"by_cause", s.by_cause}}},
          {"metrics", from_metrics(s.metrics)},
          {"by_workload", from_groups(s.by_workload)},
          {"by_service", from_groups(s.by_service)},
          {"nodes", from_list(s.nodes, from_node)},
          {"services", from_list(s.services, from_service)},
          {"links", from_list(s.links, from_link)},
          {"events", s.events},
          // Hexadecimal, because JavaScript and others keep 53 bits of a number only.
          {"fingerprint", fmt::format("{:016x}", s.fingerprint)}};
  if (!s.updates.empty()) j["updates"] = from_list(s.updates, from_update);
  if (!s.levels.empty()) {
    j["service_levels"] = from_list(s.levels, from_level);
    j["alerts"] = from_list(s.alerts, from_alert);
  }
  if (!s.rollouts.empty()) {
    j["rollouts"] = from_list(s.rollouts, from_rollout);
    j["versions"] = from_list(s.versions, from_version);
  }
  if (!s.skews.empty()) j["part_skews"] = from_list(s.skews, from_skew);
  if (s.ledger) j["ledger"] = from_ledger(*s.ledger);
  return j;
}

Json from_performance(const Summary& s) {
  const auto rate = [&](std::uint64_t n) {
    return from_double(s.cpu_seconds > 0 ? static_cast<double>(n) / s.cpu_seconds
                                         : std::numeric_limits<double>::quiet_NaN());
  };
  return {{"cpu_seconds", from_double(s.cpu_seconds)},
          {"events_per_cpu_second", rate(s.events)},
          {"requests_per_cpu_second", rate(s.created)}};
}

std::string dump(const Json& j, int indent) {
  try {
    return j.dump(indent);
  } catch (const Json::exception&) {
    throw Error("a name or note of the run is not UTF-8 text: its summary cannot be JSON");
  }
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError("cannot read '" + path.string() + "'");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

std::string to_json(const Summary& s) {
  Json j = from_summary(s);
  j["performance"] = from_performance(s);
  j["directory"] = s.directory.string();
  return dump(j, -1);
}

std::string reproducible_json(const Summary& s) { return dump(from_summary(s), 1) + "\n"; }

std::string performance_json(const Summary& s) { return dump(from_performance(s), 1) + "\n"; }

Summary summary_from_json(const std::string& text) {
  try {
    const Json j = Json::parse(text);
    if (j.at("filetype") != "isthmus summary") throw InputError("not an isthmus summary");
    if (j.at("version") != results_version)
      throw InputError(fmt::format("summary of version {}, this program reads version {}",
                                   j.at("version").dump(), results_version));
    Summary s;
    s.info = to_info(j.at("run"));
    const Json& r = j.at("requests");
    s.created = r.at("created");
    s.completed = r.at("completed");
    s.rejected = r.at("rejected");
    s.failed = r.at("failed");
    s.in_flight = r.at("in_flight");
    s.by_cause = r.at("by_cause").get<std::map<std::string, std::uint64_t>>();
    s.metrics = to_metrics(j.at("metrics"));
    s.by_workload = to_groups(j.at("by_workload"));
    s.by_service = to_groups(j.at("by_service"));
    s.nodes = to_list<NodeTotals>(j.at("nodes"), to_node);
    s.services = to_list<ServiceTotals>(j.at("services"), to_service);
    s.links = to_list<LinkTotals>(j.at("links"), to_link);
    if (j.contains("updates")) s.updates = to_list<UpdateTotals>(j.at("updates"), to_update);
    if (j.contains("service_levels")) {
      s.levels = to_list<LevelTotals>(j.at("service_levels"), to_level);
      s.alerts = to_list<AlertEvent>(j.at("alerts"), to_alert);
    }
    if (j.contains("rollouts")) {
      s.rollouts = to_list<RolloutTotals>(j.at("rollouts"), to_rollout);
      s.versions = to_list<VersionTotals>(j.at("versions"), to_version);
    }
    if (j.contains("part_skews")) s.skews = to_list<SkewTotals>(j.at("part_skews"), to_skew);
    if (j.contains("ledger")) s.ledger = to_ledger(j.at("ledger"));
    s.events = j.at("events");
    const std::string fingerprint = j.at("fingerprint");
    std::size_t used = 0;
    s.fingerprint = std::stoull(fingerprint, &used, 16);
    if (used != fingerprint.size()) throw InputError("fingerprint is not hexadecimal");
    if (j.contains("performance")) s.cpu_seconds = to_double(j["performance"].at("cpu_seconds"));
    if (j.contains("directory")) s.directory = j["directory"].get<std::string>();
    return s;
  } catch (const Json::exception& e) {
    throw InputError(std::string("not a readable summary: ") + e.what());
  } catch (const std::logic_error& e) {  // of stoull
    throw InputError("not a readable summary: fingerprint is not hexadecimal");
  }
}

Summary load_summary(const std::filesystem::path& directory) {
  Summary s;
  try {
    s = summary_from_json(read_text(directory / "summary.json"));
  } catch (const InputError& e) {
    throw InputError((directory / "summary.json").string() + ": " + e.what());
  }
  s.directory = directory;
  if (const auto path = directory / "performance.json"; std::filesystem::exists(path)) {
    try {
      s.cpu_seconds = to_double(Json::parse(read_text(path)).at("cpu_seconds"));
    } catch (const Json::exception& e) {
      throw InputError(path.string() + ": " + e.what());
    }
  }
  return s;
}

}  // namespace isthmus::results
