// Clocks, heat and batteries from nodes.
#include <fmt/core.h>

#include <algorithm>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

devices::UnitPhysics unit_physics_of(const models::ComputeUnit& unit, const ObjectView& v,
                                     std::uint32_t count, Problems& problems) {
  devices::UnitPhysics u;
  u.name = unit.name;
  const std::vector<ObjectView> rows = v.objects("operating_points");
  u.points.clear();
  u.hertz = !rows.empty();
  const double highest = rows.empty() ? 1 : rows.back().number("frequency");
  const double top_voltage = rows.empty() ? 1 : rows.back().number_or("voltage", 1);
  for (const ObjectView& row : rows) {
    devices::OperatingPoint p;
    p.frequency = row.number("frequency");
    p.idle = row.number_or("idle_power", unit.idle_power) * count;
    p.scale = row.number_or(
        "dynamic", devices::cmos_scale(p.frequency, highest, row.number_or("voltage", top_voltage),
                                       top_voltage));
    if (!u.points.empty() && p.frequency <= u.points.back().frequency)
      problems.add(row.at("frequency"), row.pointer_to("frequency"),
                   "operating points go from slow to fast");
    u.points.push_back(p);
  }
  if (u.points.empty()) u.points.push_back({1, unit.idle_power * count, 0, 1});
  try {
    Value storage;
    const ObjectView g = policy_view(v, "governor", governor_spec(), storage);
    u.governor = &schedulers::find_entry(schedulers::governor_policies(), g.variant());
    u.parameters = parameters_of(*u.governor, g);
    u.governor->make(*u.parameters);
  } catch (const InputError& e) {
    problems.add(v.at("governor"), v.pointer_to("governor"), e.what());
  }
  return u;
}

namespace {

// The thermal network, and the part that each unit heats.
devices::ThermalSpec thermal_of(const ObjectView& v, const world::NodeGroup& group,
                                std::vector<devices::UnitPhysics>& units,
                                std::span<const double> leakages) {
  devices::ThermalSpec t;
  std::vector<std::string> names;
  const auto part_named = [&](const std::string& name) {
    const auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end())
      throw InputError(fmt::format("there is no part \"{}\"{}", name, suggestion(name, names)));
    return static_cast<std::uint32_t>(it - names.begin());
  };
  const Value* parts = v.find("parts");
  if (parts && !parts->members.empty()) {
    if (v.has("capacitance") || v.has("resistance"))
      throw InputError("give either \"parts\" or the capacitance and resistance of one");
    for (const Member& m : parts->members) {
      const Field& row = v.row("parts").elements.front();
      const ObjectView p(&m.value, row.spec(), child(v.pointer_to("parts"), m.key), m.at);
      t.network.nodes.push_back(
          {m.key, p.number("capacitance"), p.number_or("resistance", t.shutdown), 0});
      names.push_back(m.key);
    }
  } else {
    if (!v.has("capacitance") || !v.has("resistance"))
      throw InputError("needs a capacitance and a resistance to the ambient, or parts");
    t.network.nodes.push_back({"machine", v.number("capacitance"), v.number("resistance"), 0});
    names.push_back("machine");
  }
  for (const ObjectView& l : v.objects("links")) {
    const std::vector<std::string> ends = l.texts("between");
    t.network.links.push_back({part_named(ends[0]), part_named(ends[1]), l.number("resistance")});
  }
  for (const ObjectView& trip : v.objects("trips")) {
    devices::TripPoint p;
    if (trip.has("part")) p.thermal_node = part_named(trip.text("part"));
    p.at = trip.number("at");
    p.resume = trip.number_or("resume", p.at - 2);
    p.clock = trip.number("clock");
    p.stepwise = trip.flag("stepwise");
    t.trips.push_back(p);
  }
  t.shutdown = v.number_or("shutdown", t.shutdown);
  for (std::size_t i = 0; i < units.size(); ++i) {
    const auto it = std::find(names.begin(), names.end(), group.units[i].name);
    units[i].thermal_node = it == names.end() ? 0 : static_cast<std::uint32_t>(it - names.begin());
    t.network.nodes[units[i].thermal_node].leakage += leakages[i];
  }
  return t;
}

}  // namespace

std::shared_ptr<const devices::PhysicsSpec> physics_of(const ObjectView& node,
                                                       const world::NodeGroup& group,
                                                       std::vector<devices::UnitPhysics> units,
                                                       std::span<const double> leakages,
                                                       Problems& problems) {
  if (!node.has("physics") || !node.flag("physics")) return nullptr;
  auto spec = std::make_shared<devices::PhysicsSpec>();
  const auto guarded = [&](const char* field, const auto& read) {
    try {
      read();
    } catch (const InputError& e) {
      for (const std::string& line : e.problems())
        problems.add(node.at(field), node.pointer_to(field), line);
    }
  };
  std::vector<devices::AmbientStep> ambient;
  if (node.has("ambient") || node.has("thermal"))
    guarded("ambient", [&] {
      const Value* written = node.find("ambient");
      if (written && written->is(JsonKind::list)) {
        for (std::size_t i = 0; i < written->items.size(); ++i) {
          const ObjectView step(&written->items[i], ambient_step_spec(),
                                child(node.pointer_to("ambient"), std::to_string(i)),
                                written->items[i].at);
          const Instant at = Instant::zero() + step.duration("at");
          if (!ambient.empty() && at <= ambient.back().at)
            throw InputError("the dates of the steps must rise");
          ambient.push_back({at, step.number("temperature")});
        }
        if (ambient.front().at != Instant::zero())
          throw InputError("the first step must be at 0 s");
      } else {
        ambient.push_back(
            {Instant::zero(), written ? number_of(*written, Unit::temperature) : 25.0});
      }
    });
  if (node.has("thermal"))
    guarded("thermal", [&] {
      spec->thermal = thermal_of(node.object("thermal"), group, units, leakages);
      spec->thermal->ambient = ambient;
    });
  if (node.has("battery"))
    guarded("battery", [&] {
      const ObjectView v = node.object("battery");
      devices::BatterySpec b;
      b.capacity = v.number("capacity");
      b.charge = v.number("charge");
      b.discharge_efficiency = v.number("discharge_efficiency");
      b.charge_efficiency = v.number("charge_efficiency");
      b.discharge_limit = v.number_or("discharge_limit", b.discharge_limit);
      b.charge_limit = v.number_or("charge_limit", b.charge_limit);
      b.charger = v.number("charger");
      b.cycles = v.number_or("cycles", b.cycles);
      spec->battery = b;
      double idle = group.base_power;
      for (const devices::UnitPhysics& u : units) idle += u.points.front().idle;
      const double given = b.discharge_limit * b.discharge_efficiency + b.charger;
      if (given < idle)
        throw InputError(fmt::format(
            "gives at most {:.3g} W with its charger, but the idle machine draws {:.3g} W; raise "
            "discharge_limit",
            given, idle));
    });
  spec->units = std::move(units);
  if (node.has("power_trace")) {
    spec->trace = true;
    spec->tick = node.duration("power_trace");
  }
  if (problems.any()) return nullptr;
  guarded(spec->thermal ? "thermal" : "physics", [&] { devices::check(*spec); });
  return spec;
}

}  // namespace isthmus::scenarios
