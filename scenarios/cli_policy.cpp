// policy: one policy on views given as JSON, outside any simulation.
#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <numeric>
#include <vector>

#include "scenarios/check.hpp"
#include "scenarios/cli.hpp"
#include "scenarios/object_view.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

using namespace schedulers;

Instant instant(const ObjectView& v, const char* name) {
  return Instant::zero() + v.duration(name);
}

std::string seconds(Instant t) {
  return t.is_never() ? "null" : fmt::format("\"{} s\"", t.seconds());
}

std::string decide(OffloadPolicy& policy, const ObjectView& v) {
  std::vector<OffloadCandidate> candidates;
  std::vector<std::string> names;
  for (const ObjectView& c : v.objects("candidates")) names.push_back(c.text("name"));
  for (const ObjectView& c : v.objects("candidates")) {
    OffloadCandidate o;
    o.name = names[candidates.size()];
    const std::string tier = c.text("tier");
    o.tier = tier == "device" ? Tier::device : tier == "edge" ? Tier::edge : Tier::cloud;
    o.healthy = c.flag("healthy");
    o.observed_at = instant(c, "observed_at");
    o.load = c.number("load");
    o.queued = c.count("queued");
    o.running = c.count("running");
    o.slots = c.count("slots");
    o.service = c.duration("service");
    o.parallel_speedup = c.number("parallel_speedup");
    o.network = c.duration("network");
    o.client_energy = c.number("client_energy");
    o.cost = c.number("cost");
    o.accuracy = c.number("accuracy");
    o.work = c.number("work");
    o.speed = c.number("speed");
    o.uplink = c.number("uplink");
    o.nominal_uplink = c.number_or("nominal_uplink", o.uplink);
    if (c.has("measured_at")) o.measured_at = instant(c, "measured_at");
    candidates.push_back(o);
  }
  OffloadView view;
  view.now = instant(v, "now");
  view.request = v.big_count("request");
  view.upload = v.number("upload");
  view.download = v.number("download");
  view.work = v.number("work");
  view.slo = v.duration("slo");
  view.uniform = v.number("uniform");
  view.reward = reward_of(v.object("reward"));
  view.candidates = candidates;
  const OffloadDecision d = policy.decide(view);
  return fmt::format("{{\"candidate\": {}, \"index\": {}, \"score\": {}, \"reason\": {}}}",
                     json_string(names.at(d.candidate)), d.candidate, d.score,
                     json_string(d.reason));
}

std::string decide(RoutingPolicy& policy, const ObjectView& v) {
  std::vector<ReplicaSignal> replicas;
  for (const ObjectView& r : v.objects("replicas"))
    replicas.push_back({.replica = r.count("replica"),
                        .outstanding = r.count("outstanding"),
                        .weight = r.number("weight"),
                        .waiting = r.count("waiting"),
                        .kv_usage = r.number("kv_usage"),
                        .zone = r.count("zone"),
                        .priority = static_cast<std::uint16_t>(r.count("priority")),
                        .healthy = r.flag("healthy")});
  std::vector<std::uint64_t> prefix;
  for (const double hash : v.numbers("prefix"))
    prefix.push_back(static_cast<std::uint64_t>(hash));
  RoutingView view;
  view.now = instant(v, "now");
  view.session = v.big_count("session");
  view.uniform = v.number("uniform");
  view.replicas = replicas;
  view.signal_age = v.duration("signal_age");
  view.prefix = prefix;
  view.block_tokens = v.count("block_tokens");
  if (v.has("zone")) view.zone = v.count("zone");
  const std::size_t index = policy.choose(view);
  return fmt::format("{{\"replica\": {}, \"index\": {}}}", replicas.at(index).replica, index);
}

std::string places(const std::vector<std::uint32_t>& all) {
  std::string text;
  for (const std::uint32_t i : all) text += fmt::format("{}{}", text.empty() ? "" : ", ", i);
  return "[" + text + "]";
}

std::string decide(BatchingPolicy& policy, const ObjectView& v) {
  BatchingView view{instant(v, "now"), v.count("waiting"), instant(v, "oldest"),
                    v.count("idle_slots")};
  std::vector<WaitingRequest> requests;
  for (const ObjectView& r : v.objects("requests")) {
    WaitingRequest w;
    w.tag = requests.size();
    w.since = instant(r, "since");
    if (w.since > view.now) throw InputError("requests: a request joins after \"now\"");
    if (r.has("due")) w.due = instant(r, "due");
    w.timeout = r.duration("timeout");
    w.priority = static_cast<std::int32_t>(r.number("priority"));
    w.items = r.count("items");
    w.shape = r.count("shape");
    w.moved_back = r.flag("moved_back");
    requests.push_back(w);
  }
  const Duration base = v.duration("batch_base"), each = v.duration("batch_per_request");
  const std::function<Duration(std::uint32_t)> batch_time = [=](std::uint32_t size) {
    return Duration::from_seconds(base.seconds() + each.seconds() * size);
  };
  view.batch_time = &batch_time;
  if (policy.wants_requests()) {
    if (requests.size() != view.waiting)
      throw InputError(fmt::format("this policy looks at each request: list all {} that wait in "
                                   "\"requests\"",
                                   view.waiting));
    view.requests = requests;
  }
  const BatchingDecision d = policy.decide(view);
  std::string which;
  if (const BatchSelection* s = d.selection)
    which = fmt::format(", \"taken\": {}, \"dropped\": {}, \"moved_back\": {}", places(s->taken),
                        places(s->dropped), places(s->moved_back));
  return fmt::format("{{\"take\": {}, \"look_again\": {}{}}}", d.take, seconds(d.look_again), which);
}

std::string decide(AutoscalingPolicy& policy, const ObjectView& v) {
  std::vector<ReplicaSample> replicas;
  for (const ObjectView& r : v.objects("replicas")) {
    ReplicaSample s;
    s.ready = r.flag("ready");
    s.age = r.duration("age");
    if (r.has("utilization")) s.utilization = r.number("utilization");
    if (r.has("in_flight")) s.in_flight = r.number("in_flight");
    replicas.push_back(s);
  }
  AutoscalingView view;
  view.now = instant(v, "now");
  view.observed_at = v.has("observed_at") ? instant(v, "observed_at") : view.now;
  view.current = v.count("current");
  view.replicas = replicas;
  view.waiting = v.number("waiting");
  view.woken = v.flag("woken");
  std::vector<ServiceMetrics> samples;
  std::deque<std::vector<double>> latencies;
  std::deque<std::vector<ExternalMetric>> external;
  for (const ObjectView& w : v.objects("samples")) {
    ServiceMetrics& m = samples.emplace_back();
    m.observed_at = w.has("observed_at") ? instant(w, "observed_at") : view.now;
    m.window = w.duration("window");
    m.arrivals = w.number("arrivals");
    m.completed = w.number("completed");
    m.failed = w.number("failed");
    m.concurrency = w.number("concurrency");
    m.queue_length = w.number("queue_length");
    m.in_flight = w.number("in_flight");
    m.utilization = w.number("utilization");
    m.ready = w.count("ready");
    std::vector<double>& times = latencies.emplace_back(w.numbers("latencies"));
    std::sort(times.begin(), times.end());
    m.latencies = times;
    if (!times.empty())
      m.mean_latency = std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size());
    std::vector<ExternalMetric>& others = external.emplace_back();
    if (const Value* map = w.find("external"))
      for (const Member& e : map->members) others.push_back({e.key, number_of(e.value, Unit::none)});
    m.external = others;
  }
  view.samples = samples;
  view.alerts = v.count("alerts");
  const AutoscalingDecision d = policy.decide(view);
  return fmt::format("{{\"desired\": {}, \"reason\": {}}}", d.desired, json_string(d.reason));
}

std::string decide(GovernorPolicy& policy, const ObjectView& v) {
  std::vector<double> frequencies;
  for (const double f : v.numbers("frequencies")) {
    if (!frequencies.empty() && f <= frequencies.back())
      throw InputError("frequencies go from slow to fast");
    frequencies.push_back(f);
  }
  GovernorView view;
  view.now = instant(v, "now");
  view.since = v.duration("since");
  view.frequencies = frequencies;
  view.current = v.has("current") ? v.count("current") : frequencies.size() - 1;
  if (view.current >= frequencies.size())
    throw InputError(fmt::format("current: there are {} frequencies, counted from 0",
                                 frequencies.size()));
  view.busy = v.number("busy");
  view.busy_now = v.number_or("busy_now", view.busy > 0 ? 1 : 0);
  view.pending = v.duration("pending").seconds();
  if (v.has("deadline")) view.deadline = instant(v, "deadline");
  view.battery = v.number("battery");
  const std::size_t i = policy.decide(view);
  return fmt::format("{{\"index\": {}, \"frequency\": \"{} Hz\"}}", i, frequencies.at(i));
}

std::string decide(VariantPolicy& policy, const ObjectView& v) {
  std::vector<VariantOption> options;
  std::vector<std::string> names;
  for (const ObjectView& o : v.objects("options")) names.push_back(o.text("name"));
  for (const ObjectView& o : v.objects("options"))
    options.push_back({names[options.size()], o.duration("service"), o.number("energy"),
                       o.number("accuracy"), o.number("weights")});
  VariantView view;
  view.now = instant(v, "now");
  view.created = instant(v, "created");
  if (v.has("deadline")) view.deadline = instant(v, "deadline");
  view.waiting = v.count("waiting");
  view.slots = v.count("slots");
  view.battery = v.number("battery");
  view.alerts = v.count("alerts");
  view.priority = static_cast<std::int32_t>(v.number("priority"));
  view.over_quota = v.flag("over_quota");
  view.options = options;
  const VariantDecision d = policy.choose(view);
  return fmt::format("{{\"variant\": {}, \"index\": {}, \"reason\": {}}}",
                     json_string(names.at(d.option)), d.option, json_string(d.reason));
}

std::string decide(AdmissionPolicy& policy, const ObjectView& v) {
  AdmissionView view;
  view.now = instant(v, "now");
  view.tokens = v.number("tokens");
  view.priority = static_cast<std::int32_t>(v.number("priority"));
  if (v.has("deadline")) view.deadline = instant(v, "deadline");
  view.waiting = v.number("waiting");
  view.running = v.number("running");
  view.slots = v.number("slots");
  view.service = v.duration("service");
  const AdmissionDecision d = policy.decide(view);
  return fmt::format("{{\"admitted\": {}, \"at\": {}, \"reason\": {}}}", d.admitted, seconds(d.at),
                     json_string(d.reason));
}

std::string decide(EvictionPolicy& policy, const ObjectView& v) {
  std::vector<ResidentModel> models;
  for (const ObjectView& m : v.objects("models")) {
    ResidentModel r{.model = m.count("model"),
                    .bytes = m.number("bytes"),
                    .load = m.duration("load").seconds(),
                    .priority = m.number("priority"),
                    .loaded = instant(m, "loaded"),
                    .last_used = instant(m, "last_used"),
                    .uses = m.big_count("uses")};
    if (r.uses > 0) policy.used(r);
    models.push_back(r);
  }
  const std::size_t i = policy.evict(models, instant(v, "now"));
  return fmt::format("{{\"model\": {}, \"index\": {}}}", models.at(i).model, i);
}

std::string decide(PlacementPolicy& policy, const ObjectView& v) {
  std::vector<PlacementSite> sites;
  for (const ObjectView& m : v.objects("sites"))
    sites.push_back({.node = m.count("node"),
                     .accelerators = m.number("accelerators"),
                     .free_accelerators = m.number("free_accelerators"),
                     .memory = m.number("memory"),
                     .free_memory = m.number("free_memory"),
                     .price = m.number("price"),
                     .replica_price = m.number("replica_price"),
                     .replicas = m.count("replicas"),
                     .own = m.count("own")});
  PlacementView view;
  view.demand = {v.number("accelerators"), v.number("memory")};
  view.sites = sites;
  view.uniform = v.number("uniform");
  const std::size_t i = policy.place(view);
  return fmt::format("{{\"node\": {}, \"index\": {}}}", sites.at(i).node, i);
}

// Parameters from "name=value" settings, checked like a scenario's.
template <class Policy>
std::shared_ptr<Policy> make(const PolicyEntry<Policy>& entry, const ObjectSpec& spec,
                             const std::vector<std::string>& set) {
  Sources sources;
  const std::uint32_t source = sources.add("--set");
  Value object = object_value({source, 0, 0});
  object.members.push_back({"policy", object.at, text_value(entry.name, object.at)});
  for (const std::string& s : set) {
    const Override o = split_override(s.starts_with('/') ? s : "/" + s);
    const Edit e = parse_override(o, sources);
    object.members.push_back({o.pointer.substr(1), e.value.at, e.value});
  }
  Problems problems(sources);
  const Names none;
  Checker(sources, none, problems).object(object, spec, "");
  problems.throw_if_any();
  return entry.make(parameters_of(entry, ObjectView(&object, spec, "", object.at)));
}

template <class Policy>
int run_policy(const std::vector<PolicyEntry<Policy>>& table, const std::string& name,
               const ObjectSpec& spec, const ObjectSpec& view_spec, const std::string& file,
               const std::vector<std::string>& set) {
  const PolicyEntry<Policy>& entry = find_entry(table, name);
  const std::shared_ptr<Policy> policy = make(entry, spec, set);
  Sources sources;
  const Value root = read_json_file(file, sources);
  const bool several = root.is(JsonKind::list);
  Problems problems(sources);
  const Names none;
  Checker checker(sources, none, problems);
  const std::size_t count = several ? root.items.size() : 1;
  const auto view = [&](std::size_t i) -> const Value& { return several ? root.items[i] : root; };
  const auto place = [&](std::size_t i) { return several ? child("", i) : std::string(); };
  for (std::size_t i = 0; i < count; ++i) checker.object(view(i), view_spec, place(i));
  problems.throw_if_any();
  // One policy object sees all views in turn, so that its memory shows.
  for (std::size_t i = 0; i < count; ++i) {
    const std::string decision =
        decide(*policy, ObjectView(&view(i), view_spec, place(i), view(i).at));
    if (several)
      fmt::print("{}{}{}", i == 0 ? "[" : " ", decision, i + 1 < count ? ",\n" : "]\n");
    else
      fmt::print("{}\n", decision);
  }
  if (count == 0) fmt::print("[]\n");
  return exit_ok;
}

}  // namespace

int command_policy(const std::string& kind, const std::string& name, const std::string& view,
                   const std::vector<std::string>& set) {
  if (kind == "offload")
    return run_policy(offload_policies(), name, offload_spec(), offload_view_spec(), view, set);
  if (kind == "routing")
    return run_policy(routing_policies(), name, routing_spec(), routing_view_spec(), view, set);
  if (kind == "batching")
    return run_policy(batching_policies(), name, batching_spec(), batching_view_spec(), view, set);
  if (kind == "autoscaling")
    return run_policy(autoscaling_policies(), name, autoscaling_spec(), autoscaling_view_spec(),
                      view, set);
  if (kind == "placement")
    return run_policy(placement_policies(), name, placement_spec(), placement_view_spec(), view, set);
  if (kind == "governor")
    return run_policy(governor_policies(), name, governor_spec(), governor_view_spec(), view, set);
  if (kind == "variant")
    return run_policy(variant_policies(), name, variant_policy_spec(), variant_view_spec(), view,
                      set);
  if (kind == "eviction")
    return run_policy(eviction_policies(), name, model_cache_spec(), eviction_view_spec(), view,
                      set);
  if (kind == "admission")
    return run_policy(admission_policies(), name, admission_spec(), admission_view_spec(), view, set);
  if (kind == "list-scheduler" || kind == "partition")
    throw InputError(fmt::format("policies of kind \"{}\" decide on graphs: see \"isthmus {}\"",
                                 kind, kind == "partition" ? "split" : "schedule"));
  if (kind == "replacement")
    throw InputError(
        "policies of kind \"replacement\" keep an order of their own, which no single view shows: run a "
        "scenario with caches, such as scenarios/examples/result_cache.json");
  const std::vector<std::string> kinds{"offload",  "routing", "batching", "autoscaling",
                                       "placement", "governor", "variant", "eviction", "admission"};
  throw InputError(fmt::format("there is no policy kind \"{}\"{}", kind, suggestion(kind, kinds)));
}

}  // namespace isthmus::scenarios
