#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "devices/plan_schedule.hpp"
#include "models/mig.hpp"
#include "scenarios/file_reading.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

schedulers::Tier tier_named(const std::string& name) {
  if (name == "device") return schedulers::Tier::device;
  if (name == "edge") return schedulers::Tier::edge;
  return schedulers::Tier::cloud;
}

models::UnitKind kind_named(const std::string& name) {
  if (name == "gpu") return models::UnitKind::gpu;
  if (name == "npu") return models::UnitKind::npu;
  return models::UnitKind::cpu;
}

// Members of a node that describe its main unit.
Value unit_overrides(const ObjectView& node) {
  Value v = object_value(node.at());
  for (const Field& f : unit_spec().fields)
    if (const Value* written = node.find(f.name))
      v.members.push_back({f.name, written->at, *written});
  return v;
}

void put_below(Value& entry, const Value* base) {
  if (!base) return;
  Value merged = *base;
  std::erase_if(merged.members,
                [](const Member& m) { return m.key == "sources" || m.key == "summary"; });
  merge(merged, entry);
  entry = std::move(merged);
}

}  // namespace

void expand_catalogue(Value& root, const Catalogue& catalogue) {
  const auto each = [](Value* table, const auto& expand) {
    if (!table || !table->is(JsonKind::object)) return;
    for (Member& m : table->members)
      if (m.value.is(JsonKind::object)) expand(m.value);
  };
  each(root.find("nodes"), [&](Value& node) {
    // Whoever states clocks, heat or a battery wants them; the catalogue's wait until asked for.
    constexpr std::array asks{"governor", "ambient", "power_trace",     "thermal",
                              "battery",  "leakage", "operating_points"};
    const auto any_in = [&](const Value* v) {
      return v && std::any_of(asks.begin(), asks.end(), [&](const char* field) {
               const Value* stated = v->find(field);
               return stated && !stated->is(JsonKind::null);
             });
    };
    const Value* device = node.find("device");
    const Value* base =
        device && device->is(JsonKind::text) ? catalogue.device(device->text) : nullptr;
    // Written out, so that the resolved scenario reads back alike.
    if (!node.find("physics") && (any_in(&node) || any_in(base)))
      node.members.push_back({"physics", node.at, flag_value(any_in(&node), node.at)});
    put_below(node, base);
  });
  if (Value* network = root.find("network"); network && network->is(JsonKind::object))
    each(network->find("links"), [&](Value& link) {
      if (const Value* preset = link.find("preset"); preset && preset->is(JsonKind::text))
        put_below(link, catalogue.link(preset->text));
    });
}

models::ComputeUnit unit_of(const std::string& name, const ObjectView& v,
                            const std::filesystem::path& folder, Problems& problems) {
  models::ComputeUnit u;
  u.name = name;
  u.kind = kind_named(v.text("kind"));
  const ObjectView peak = v.object("peak");
  for (const auto& row : models::precisions)
    u.peak[static_cast<std::size_t>(row.precision)] = peak.number_or(row.name, 0);
  u.memory_bandwidth = v.number_or("memory_bandwidth", 0);
  u.memory = v.number_or("memory", 0);
  u.compute_efficiency = v.number("compute_efficiency");
  u.bandwidth_efficiency = v.number("bandwidth_efficiency");
  u.efficiency_error = v.number("efficiency_error");
  u.launch_overhead = v.duration("launch_overhead");
  u.iteration_overhead = v.duration("iteration_overhead");
  u.sequence_overhead = v.duration("sequence_overhead");
  u.overlap_overhead = v.flag("overlap_overhead");
  if (const Value* sizes = v.find("graph_sizes")) {
    if (sizes->is(JsonKind::text)) {
      u.graph_sizes = {1, 2, 4};
      for (std::int64_t size = 8; size <= 256; size += 8) u.graph_sizes.push_back(size);
    } else {
      for (const Value& size : sizes->items)
        u.graph_sizes.push_back(static_cast<std::int64_t>(number_of(size, Unit::none)));
    }
    if (!std::is_sorted(u.graph_sizes.begin(), u.graph_sizes.end()))
      problems.add(v.at("graph_sizes"), v.pointer_to("graph_sizes"), "sizes must rise");
  }
  u.streams = v.count("streams");
  u.idle_power = v.number("idle_power");
  u.bandwidth_power = v.number_or("bandwidth_power", u.idle_power);
  u.compute_power = v.number_or("compute_power", u.bandwidth_power);
  for (const std::string& kind : v.texts("unsupported"))
    u.unsupported.set(static_cast<std::size_t>(*models::operator_kind_from(kind)));
  if (u.bandwidth_power < u.idle_power || u.compute_power < u.idle_power)
    problems.add(v.at("idle_power"), v.pointer(),
                 "idle_power must not exceed bandwidth_power or compute_power");
  if (v.has("profile")) {
    try {
      const auto path = expand_path(v.text("profile"), folder);
      require_regular_file(path);
      u.profile = path.string();
    } catch (const InputError& e) {
      problems.add(v.at("profile"), v.pointer_to("profile"), e.what());
    }
  }
  return u;
}

namespace {

// What a machine states, though nothing reads it.
void notice_unused(Resolution& r, const ObjectView& v, const world::NodeGroup& g,
                   std::span<const double> leakages) {
  const auto notice = [&](const char* what, const char* needed) {
    r.scenario.notices.push_back(
        fmt::format("node \"{}\": {} without \"{}\" has no effect", g.name, what, needed));
  };
  if (!g.physics->thermal && v.has("ambient")) notice("an ambient temperature", "thermal");
  if (!g.physics->thermal &&
      std::any_of(leakages.begin(), leakages.end(), [](double k) { return k > 0; }))
    notice("leakage", "thermal");
  for (const devices::UnitPhysics& u : g.physics->units)
    if (u.governor && u.governor->name == "battery-saver" && !g.physics->battery)
      notice("governor battery-saver", "battery");
}

// Instances take the place of the first accelerator among the units.
void partition(Resolution& r, const ObjectView& v, world::NodeGroup& g, std::vector<devices::UnitPhysics>& clocks) {
  const auto refuse = [&](const std::string& why) { r.problems.add(v.at("mig"), v.pointer_to("mig"), why); };
  for (const char* other : {"physics", "model_cache"})
    if (v.has(other) && !(v.find(other)->is(JsonKind::boolean) && !v.flag(other)))
      return refuse(fmt::format("cannot be combined with \"{}\"", other));
  const auto gpu = std::ranges::find(g.units, models::UnitKind::gpu, &models::ComputeUnit::kind);
  if (gpu == g.units.end()) return refuse(fmt::format("\"{}\" has no GPU", g.name));
  const auto place = gpu - g.units.begin();
  std::vector<models::MigProfile> profiles;
  try {
    profiles = models::mig_profiles(v.texts("mig"), g.device, gpu->memory);
  } catch (const InputError& e) {
    return refuse(e.what());
  }
  if (!gpu->profile.empty())
    r.scenario.notices.push_back(fmt::format(
        "node \"{}\": the kernel profile of \"{}\" was measured on the whole GPU; its instances follow the roofline",
        g.name, gpu->name));
  std::vector<models::ComputeUnit> units;
  std::vector<std::uint32_t> counts;
  std::vector<double> parts;
  double left = 1;
  for (std::size_t i = 0; i < g.units.size(); ++i) {
    if (static_cast<std::ptrdiff_t>(i) != place) {
      counts.push_back(g.count_of(i));
      parts.push_back(1.0 / g.accelerators);
      units.push_back(g.units[i]);
      continue;
    }
    for (const models::MigProfile& p : profiles) {
      left -= p.memory_share();
      const auto same = std::ranges::find(units, p.name, &models::ComputeUnit::name);
      if (same != units.end()) {
        counts[static_cast<std::size_t>(same - units.begin())] += g.accelerators;
        continue;
      }
      units.push_back(models::mig_instance(*gpu, p));
      counts.push_back(g.accelerators);
      parts.push_back(p.compute_share() / g.accelerators);
    }
  }
  // What no instance has draws its idle power all the same.
  g.base_power += std::max(0.0, left) * gpu->idle_power * g.accelerators;
  const devices::UnitPhysics clock = clocks[static_cast<std::size_t>(place)];
  clocks.erase(clocks.begin() + place);
  clocks.insert(clocks.begin() + place, units.size() - clocks.size(), clock);
  g.units = std::move(units);
  g.unit_counts = std::move(counts);
  g.unit_parts = std::move(parts);
}

}  // namespace

void resolve_nodes(Resolution& r, const ObjectView& root) {
  const Value* nodes = root.find("nodes");
  std::uint64_t first = 0;
  for (const Member& m : nodes->members) {
    const ObjectView v(&m.value, node_spec(), child("/nodes", m.key), m.at);
    world::NodeGroup g;
    g.name = m.key;
    g.device = v.text("device");
    g.first = static_cast<std::uint32_t>(first);
    g.count = v.count("count");
    g.tier = tier_named(v.text("tier"));
    g.accelerators = v.count("accelerators");
    g.base_power = v.number("base_power");
    g.upload_power = v.number("upload_power");
    g.download_power = v.number("download_power");
    g.price_per_hour = v.number("price");
    g.billed_when_idle = v.flag("billed_when_idle");
    if (const Value* labels = v.find("labels"))
      for (const Member& l : labels->members) g.labels.push_back(l.key + "=" + l.value.text);
    if (v.has("taints"))
      for (const std::string& t : v.texts("taints")) {
        try {
          g.taints.push_back(schedulers::parse_taint(t));
        } catch (const InputError& e) {
          r.problems.add(v.at("taints"), v.pointer_to("taints"), e.what());
        }
      }
    const ObjectView transfer = v.object("unit_transfer");
    g.unit_bandwidth = transfer.number_or("bandwidth", g.unit_bandwidth);
    g.unit_latency = transfer.number("latency");
    g.interconnect_bandwidth = v.number_or("interconnect_bandwidth", g.interconnect_bandwidth);
    g.interconnect_latency = v.number("interconnect_latency");
    first += g.count;
    if (static_cast<double>(first) > max_nodes) {
      r.problems.add(v.at("count"), v.pointer_to("count"),
                     fmt::format("more than {:.0f} machines in all", max_nodes));
      return;
    }

    // Units of the catalogue or inline; the node's own unit fields change the main one.
    const Value own = unit_overrides(v);
    std::vector<devices::UnitPhysics> clocks;
    std::vector<double> leakages;
    const auto add_unit = [&](const std::string& name, const ObjectView& unit) {
      g.units.push_back(unit_of(name, unit, r.document.folder, r.problems));
      const std::uint32_t count = g.units.back().kind == models::UnitKind::cpu ? 1 : g.accelerators;
      clocks.push_back(unit_physics_of(g.units.back(), unit, count, r.problems));
      leakages.push_back(unit.number("leakage") * count);
    };
    const Value* units = v.find("units");
    if (units && !units->members.empty()) {
      for (std::size_t i = 0; i < units->members.size(); ++i) {
        const Member& u = units->members[i];
        Value merged = u.value;
        if (i == 0) merge(merged, own);
        const ObjectView unit(
            &merged, unit_spec(),
            i == 0 && !own.members.empty() ? v.pointer() : child(v.pointer_to("units"), u.key),
            u.at);
        add_unit(u.key, unit);
      }
    } else {
      const ObjectView unit(&own, unit_spec(), v.pointer(), v.at());
      add_unit(unit.text("kind"), unit);
    }

    if (v.has("mig")) partition(r, v, g, clocks);
    read_accelerator_sharing(r, v, g);
    g.physics = physics_of(v, g, std::move(clocks), leakages, r.problems);
    g.core_speed = v.number("core_speed");
    read_model_cache(r, v, g);
    if (g.physics) notice_unused(r, v, g, leakages);
    g.executor = devices::executor_spec(g.units, g.unit_bandwidth, v.number("memory_share"));

    std::vector<std::uint32_t> zones;
    for (const std::string& zone : v.texts("zone")) {
      const auto [it, fresh] =
          r.zones.emplace(zone, static_cast<std::uint32_t>(r.scenario.topology.zones.size()));
      if (fresh) r.scenario.topology.zones.push_back({zone});
      zones.push_back(it->second);
    }
    r.group_zones.push_back(zones);
    r.groups.emplace(m.key, static_cast<std::uint32_t>(r.scenario.nodes.size()));
    r.scenario.nodes.push_back(std::move(g));
  }

  // One host per machine, in the same order.
  auto& hosts = r.scenario.topology.hosts;
  hosts.reserve(first);
  for (std::size_t g = 0; g < r.scenario.nodes.size(); ++g) {
    const world::NodeGroup& group = r.scenario.nodes[g];
    for (std::uint32_t i = 0; i < group.count; ++i)
      hosts.push_back({group.count == 1 ? group.name : fmt::format("{}-{}", group.name, i),
                       r.group_zones[g][i % r.group_zones[g].size()],
                       {}});
  }
}

}  // namespace isthmus::scenarios
