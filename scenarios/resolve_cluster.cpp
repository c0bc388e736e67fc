// Node groups whose machines come and go, from their tables.
#include <fmt/core.h>

#include <algorithm>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "sim/world/cluster_spec.hpp"

namespace isthmus::scenarios {

namespace {

world::Expander expander_named(const std::string& name) {
  using enum world::Expander;
  return name == "random" ? random : name == "most-pods" ? most_pods : name == "price" ? price
         : name == "priority" ? priority : least_waste;
}

world::SpotSpec spot_of(const ObjectView& v) {
  world::SpotSpec spot;
  spot.per_hour = v.number("interruptions_per_hour");
  spot.notice = v.duration("notice");
  for (const ObjectView& e : v.objects("schedule"))
    spot.schedule.push_back({Instant::zero() + e.duration("at"), e.count("machines")});
  return spot;
}

// What stands on machines of the group and could not stand their absence; "" when nothing does.
std::string what_stays(const world::Scenario& s, std::uint32_t group) {
  for (const world::Workload& w : s.workloads)
    if (w.clients_group == group)
      return fmt::format("clients of workload \"{}\" live on these machines; put them on a group of their own "
                         "(\"clients\": {{\"on\": ...}})", w.name);
  for (const world::Service& service : s.services) {
    if (service.group != group || service.pools) continue;
    const std::uint32_t front = service.front == ~0U ? ~0U : service.front;
    const world::Service& placed = front == ~0U ? service : s.services[front];
    if (!placed.placement)
      return fmt::format("service \"{}\" stands on these machines; give it a \"placement\", so that its replicas can "
                         "wait for machines", placed.name);
    if (!service.takes_units() && service.reserves_memory <= 0)
      return fmt::format("replicas of service \"{}\" take nothing of a machine, so that any number fits on one: say "
                         "what they take in its \"requests\"", placed.name);
    if (service.startup && service.startup->provision > Duration::zero())
      return fmt::format("the start-up of service \"{}\" has a \"provision\" of its own, but machines are ordered here; "
                         "leave it out", placed.name);
  }
  for (const world::BatchJob& job : s.jobs)
    if (std::find(job.workers.begin(), job.workers.end(), group) != job.workers.end() || job.storage == group)
      return fmt::format("batch job \"{}\" uses these machines", job.name);
  for (const world::Outbox& o : s.outboxes)
    if (o.from == group || o.to == group) return fmt::format("outbox \"{}\" uses these machines", o.name);
  for (const world::ReplicatedData& d : s.replicated)
    if (d.hub == group || d.at == group) return fmt::format("replicated data \"{}\" are kept on these machines", d.name);
  return "";
}

void add_group(Resolution& r, world::ClusterSpec& out, const std::string& name, const ObjectView& v) {
  const auto refuse = [&](const char* field, const std::string& why) {
    r.problems.add(v.at(field), v.pointer_to(field), why);
  };
  const auto at = r.groups.find(name);
  if (at == r.groups.end()) {
    r.problems.add(v.at(), v.pointer(), fmt::format("there is no node group \"{}\"", name));
    return;
  }
  world::ClusterGroup g;
  g.group = at->second;
  const world::NodeGroup& nodes = r.scenario.nodes[g.group];
  g.min = v.count("min");
  g.max = v.has("max") ? v.count("max") : nodes.count;
  g.start = v.has("start") ? v.count("start") : g.min;
  if (g.max > nodes.count)
    refuse("max", fmt::format("the node group has a count of {}; that is the most that can ever exist", nodes.count));
  if (g.min > g.max) refuse(v.has("min") ? "min" : "max", "min must not be above max");
  if (g.start < g.min || g.start > g.max) refuse("start", "must be from min to max");
  g.provisioning = v.distribution("provisioning", r.problems);
  g.failure = v.number("failure");
  g.priority = static_cast<std::int32_t>(v.number("priority"));
  g.price = nodes.price_per_hour;
  if (g.group < r.scenario.costs.billing.size()) {
    const world::Billing& b = r.scenario.costs.billing[g.group];
    if (b.kind == world::BillingKind::spot) g.price *= 1 - b.discount;
    if (b.kind == world::BillingKind::reserved || b.kind == world::BillingKind::owned)
      r.problems.add(v.at(), v.pointer(), "machines that are reserved or owned are paid for whether they exist or not; bill "
                                          "them \"on-demand\" or \"spot\"");
  }
  if (!nodes.billed_when_idle)
    r.problems.add(v.at(), v.pointer(), "machines are paid for while they exist; leave out \"billed_when_idle\": false");
  if (const std::string why = what_stays(r.scenario, g.group); !why.empty()) r.problems.add(v.at(), v.pointer(), why);
  if (v.has("spot")) g.spot = spot_of(v.object("spot"));
  out.groups.push_back(std::move(g));
}

}  // namespace

void resolve_cluster(Resolution& r, const ObjectView& root) {
  if (!root.has("cluster_autoscaler")) return;
  const ObjectView v = root.object("cluster_autoscaler");
  auto spec = std::make_shared<world::ClusterSpec>();
  if (const Value* groups = v.find("groups"))
    for (const Member& m : groups->members) {
      const Field& row = v.row("groups");
      add_group(r, *spec, m.key, ObjectView(&m.value, row.elements[0].spec(), child(v.pointer_to("groups"), m.key), m.at));
    }
  std::sort(spec->groups.begin(), spec->groups.end(), [](const auto& a, const auto& b) { return a.group < b.group; });
  spec->expander = expander_named(v.text("expander"));
  spec->scan_interval = v.duration("scan_interval");
  spec->max_provision_time = v.duration("max_node_provision_time");
  spec->backoff = v.duration("initial_backoff");
  spec->longest_backoff = v.duration("max_backoff");
  spec->backoff_reset = v.duration("backoff_reset");
  if (spec->longest_backoff < spec->backoff)
    r.problems.add(v.at("max_backoff"), v.pointer_to("max_backoff"), "must not be below initial_backoff");
  spec->scale_down = v.flag("scale_down");
  spec->utilization = v.number("utilization_threshold");
  spec->unneeded_time = v.duration("unneeded_time");
  spec->delay_after_add = v.duration("delay_after_add");
  spec->delay_after_delete = v.duration_or("delay_after_delete", spec->scan_interval);
  spec->graceful_termination = v.duration("graceful_termination");
  spec->max_empty = v.count("max_empty");
  r.scenario.cluster = std::move(spec);
}

}  // namespace isthmus::scenarios
