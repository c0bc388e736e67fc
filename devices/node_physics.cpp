#include "devices/node_physics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "devices/physics_spec.hpp"
#include "devices/thermal_network.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::devices {

namespace {

constexpr double longest_step = 9e9;  // s; no run is longer
constexpr int settled_ticks = 50;  // idle decisions without a change after which a governor rests

struct Unit {
  std::shared_ptr<schedulers::GovernorPolicy> governor;
  std::vector<double> frequencies;
  Duration period;
  Instant next_decision = Instant::never(), last_decision;
  std::size_t wish = 0, point = 0, cap = 0;
  UnitActivity activity;
  double busy_integral = 0, decided_integral = 0;  // busy seconds; at the last decision
  int quiet = 0;                                   // idle decisions without a change
  double watts = 0, dynamic = 0;                   // now, without leakage; of it, work
  double joules = 0, dynamic_joules = 0;
};

}  // namespace

struct NodePhysics::Impl {
  std::shared_ptr<const PhysicsSpec> spec;
  std::vector<Unit> units;
  std::optional<ThermalNetwork> heat;
  std::optional<Battery> battery;
  std::vector<std::size_t> trip_level;  // per trip: 0 = open, else points below the highest
  std::size_t ambient_step = 0;
  Instant start, since;  // everything is advanced to `since`
  Instant next_look;     // trips, battery, trace
  double other = 0, other_joules = 0, off_joules = 0;
  Duration throttled;
  double hottest = std::nan("");
  bool running = true, dead = false, capped = false;
  std::vector<PowerSample> samples;
  double sampled_energy = 0, sampled_busy = 0;
  Instant sampled;

  bool drawing() const { return running && !dead; }
  bool idle() const {
    return std::all_of(units.begin(), units.end(), [](const Unit& u) {
      return u.activity.busy == 0 && u.activity.pending <= 0;
    });
  }

  // ---- powers ----

  void find_power(std::size_t i) {
    Unit& u = units[i];
    const OperatingPoint& p = spec->units[i].points[u.point];
    u.dynamic = u.activity.busy > 0 ? p.floor + p.scale * u.activity.dynamic_power : 0.0;
    u.watts = p.idle + u.dynamic;
  }

  double without_leakage() const {
    if (!drawing()) return spec->off_power;
    double w = other;
    for (const Unit& u : units) w += u.watts;
    return w;
  }

  double leakage() const { return heat && drawing() ? heat->leakage() : 0.0; }

  // Tells heat and battery what is drawn from `since` on.
  void apply() {
    if (heat) {
      std::vector<double>& in = scratch;
      in.assign(heat->size(), 0.0);
      if (drawing()) {
        for (std::size_t i = 0; i < units.size(); ++i)
          in[spec->units[i].thermal_node] += units[i].watts;
        in[spec->other_heat_node] += other;
      } else {
        in[spec->other_heat_node] += spec->off_power;
      }
      for (std::uint32_t n = 0; n < in.size(); ++n) heat->set_power(n, in[n]);
    }
    if (battery) battery->set(without_leakage() + leakage(), spec->battery->charger);
  }

  void advance(Instant now) {
    const double s = (now - since).seconds();
    if (s <= 0) return;
    if (drawing()) {
      for (Unit& u : units) {
        u.joules += u.watts * s;
        u.dynamic_joules += u.dynamic * s;
        u.busy_integral += u.activity.busy * s;
      }
      other_joules += other * s;
      if (capped) throttled += now - since;
    } else {
      off_joules += spec->off_power * s;
    }
    double leaked = 0;
    if (heat) {
      leaked = -heat->leaked();
      heat->advance(s);
      leaked += heat->leaked();
      if (!drawing()) off_leak -= leaked;  // what is off does not leak; its heat is small
    }
    // The battery gives what was drawn on average since the last change.
    if (battery) {
      battery->set(without_leakage() + (drawing() ? leaked / s : 0.0), spec->battery->charger);
      battery->advance(s);
    }
    since = now;
  }

  double energy_at(Instant now) const {
    const double s = (now - since).seconds();
    double e = other_joules + off_joules + off_leak + without_leakage() * s;
    for (const Unit& u : units) e += u.joules;
    if (heat) e += heat->leaked() + (drawing() ? heat->leaked_after(s) : 0.0);
    return e;
  }

  // ---- clocks ----

  std::size_t highest(std::size_t i) const { return spec->units[i].points.size() - 1; }

  // Caps that the open trips put on a unit.
  std::size_t cap_of(std::size_t i) const {
    std::size_t cap = highest(i);
    if (!spec->thermal) return cap;
    const auto& f = units[i].frequencies;
    for (std::size_t t = 0; t < trip_level.size(); ++t) {
      if (trip_level[t] == 0) continue;
      const TripPoint& trip = spec->thermal->trips[t];
      std::size_t limit = 0;  // the highest clock not above trip.clock
      while (limit < highest(i) && f[limit + 1] <= trip.clock * f.back() * (1 + 1e-12)) ++limit;
      if (trip.stepwise) {
        const std::size_t down = std::min(trip_level[t], highest(i));
        limit = std::max(limit, highest(i) - down);
      }
      cap = std::min(cap, limit);
    }
    return cap;
  }

  void look_at_trips() {
    if (!heat) return;
    for (std::size_t t = 0; t < trip_level.size(); ++t) {
      const TripPoint& trip = spec->thermal->trips[t];
      const double c = heat->temperature(trip.thermal_node);
      std::size_t& level = trip_level[t];
      std::size_t most = 1;
      if (trip.stepwise)
        for (std::size_t i = 0; i < units.size(); ++i) most = std::max(most, highest(i));
      if (c >= trip.at)
        level = trip.stepwise ? std::min(level + 1, most) : 1;
      else if (c <= trip.resume && level > 0)
        level = trip.stepwise ? level - 1 : 0;
    }
    for (std::uint32_t n = 0; n < heat->size(); ++n) {
      const double c = heat->temperature(n);
      if (!(c <= hottest)) hottest = c;
      if (c >= spec->thermal->shutdown) dead = true;
    }
  }

  void decide(std::size_t i, Instant now) {
    Unit& u = units[i];
    schedulers::GovernorView v;
    v.now = now;
    v.since = now - u.last_decision;
    v.frequencies = u.frequencies;
    v.current = u.point;
    const double s = v.since.seconds();
    v.busy =
        s > 0 ? std::clamp((u.busy_integral - u.decided_integral) / s, 0.0, 1.0) : u.activity.busy;
    v.busy_now = u.activity.busy;
    v.pending = u.activity.pending;
    v.deadline = u.activity.deadline;
    v.battery = battery ? battery->charge() : 1.0;
    const std::size_t wish = u.governor->decide(v);
    if (wish > highest(i)) throw Error("governor: chose an operating point that does not exist");
    u.quiet = wish == u.wish && u.activity.busy == 0 ? u.quiet + 1 : 0;
    u.wish = wish;
    u.last_decision = now;
    u.decided_integral = u.busy_integral;
    u.next_decision = u.period > Duration::zero() ? now + u.period : Instant::never();
  }

  bool settled(const Unit& u) const {
    return u.period == Duration::zero() ||
           (u.activity.busy == 0 && u.activity.pending <= 0 &&
            ((u.wish == 0 && u.quiet > 0) || u.quiet >= settled_ticks));
  }

  // Takes wishes and caps over into points. True when a clock changed.
  bool clock() {
    bool changed = false;
    capped = false;
    for (std::size_t i = 0; i < units.size(); ++i) {
      Unit& u = units[i];
      u.cap = cap_of(i);
      const std::size_t point = std::min(u.wish, u.cap);
      capped = capped || u.cap < u.wish;
      if (point != u.point) {
        u.point = point;
        changed = true;
      }
      find_power(i);
    }
    return changed;
  }

  // Could a trip open or close, or the node go down, though nobody changes anything?
  bool heat_may_act() const {
    if (!heat) return false;
    for (const std::size_t level : trip_level)
      if (level > 0) return true;
    double reach = -1e300;
    for (std::uint32_t n = 0; n < heat->size(); ++n)
      reach = std::max({reach, heat->temperature(n), heat->settles_at(n)});
    double first = spec->thermal->shutdown;
    for (const TripPoint& t : spec->thermal->trips) first = std::min(first, t.at);
    return reach >= first;
  }

  std::vector<double> scratch;
  double off_leak = 0;
};

NodePhysics::NodePhysics(std::shared_ptr<const PhysicsSpec> spec, Instant start)
    : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  m.spec = std::move(spec);
  m.start = m.since = m.sampled = start;
  for (const UnitPhysics& u : m.spec->units) {
    Unit& unit = m.units.emplace_back();
    for (const OperatingPoint& p : u.points) unit.frequencies.push_back(p.frequency);
    unit.wish = unit.point = unit.cap = u.points.size() - 1;
    unit.last_decision = start;
    if (u.governor) {
      unit.governor = u.governor->make(*u.parameters);
      unit.period = unit.governor->period();
    }
  }
  if (m.spec->thermal) {
    const ThermalSpec& t = *m.spec->thermal;
    m.heat.emplace(t.network, t.ambient.front().celsius);
    m.trip_level.assign(t.trips.size(), 0);
  }
  if (m.spec->battery) m.battery.emplace(*m.spec->battery);
  m.look_at_trips();
  for (std::size_t i = 0; i < m.units.size(); ++i)
    if (m.units[i].governor) m.decide(i, start);
  m.clock();
  m.apply();
  m.next_look = start + m.spec->tick;
}

NodePhysics::~NodePhysics() = default;
NodePhysics::NodePhysics(NodePhysics&&) noexcept = default;
NodePhysics& NodePhysics::operator=(NodePhysics&&) noexcept = default;

void NodePhysics::set_activity(Instant now, std::uint32_t unit, const UnitActivity& activity) {
  Impl& m = *impl_;
  Unit& u = m.units[unit];
  const bool same_power =
      u.activity.busy == activity.busy && u.activity.dynamic_power == activity.dynamic_power;
  const bool rested = m.settled(u);
  if (!same_power) m.advance(now);
  u.activity = activity;
  if (same_power) return;
  if (rested && u.period > Duration::zero()) {
    // The governor slept through an idle stretch: it looks again one period after work came.
    u.quiet = 0;
    u.last_decision = now;
    u.decided_integral = u.busy_integral;
    u.next_decision = now + u.period;
  }
  m.find_power(unit);
  m.apply();
  if (m.next_look < now) m.next_look = now + m.spec->tick;
}

void NodePhysics::set_other_power(Instant now, double watts) {
  Impl& m = *impl_;
  if (m.other == watts) return;
  m.advance(now);
  m.other = watts;
  m.apply();
  if (m.next_look < now) m.next_look = now + m.spec->tick;
}

void NodePhysics::set_running(Instant now, bool running) {
  Impl& m = *impl_;
  m.advance(now);
  m.running = running;
  m.apply();
  if (m.next_look < now) m.next_look = now + m.spec->tick;
}

Instant NodePhysics::next_tick() const {
  const Impl& m = *impl_;
  Instant next = Instant::never();
  if (m.spec->trace) next = std::min(next, m.next_look);
  if (m.dead) return next;
  for (const Unit& u : m.units)
    if (!m.settled(u)) next = std::min(next, u.next_decision);
  if (m.heat) {
    const auto& ambient = m.spec->thermal->ambient;
    if (m.ambient_step + 1 < ambient.size()) next = std::min(next, ambient[m.ambient_step + 1].at);
    if (m.heat_may_act()) next = std::min(next, std::max(m.next_look, m.since));
  }
  if (m.battery) {
    // Leakage drifts, so a date far ahead is looked at again on the way.
    const double left = m.battery->empty()         ? 0.0
                        : m.battery->stored() <= 0 ? std::numeric_limits<double>::infinity()
                                                   : m.battery->time_until(0);
    const double step = m.heat ? std::min(left, std::max(1.0, 0.5 * left)) : left;
    if (step < longest_step)
      next = std::min(next, m.since + Duration(std::llround(std::ceil(step * 1e9))));
  }
  return next;
}

bool NodePhysics::tick(Instant now) {
  Impl& m = *impl_;
  m.advance(now);
  if (m.heat) {
    const auto& ambient = m.spec->thermal->ambient;
    while (m.ambient_step + 1 < ambient.size() && ambient[m.ambient_step + 1].at <= now)
      m.heat->set_ambient(ambient[++m.ambient_step].celsius);
  }
  const bool was_dead = m.dead;
  if (m.battery && m.battery->empty()) m.dead = true;
  if (!m.dead) {
    m.look_at_trips();
    for (std::size_t i = 0; i < m.units.size(); ++i)
      if (m.units[i].next_decision <= now) m.decide(i, now);
  }
  const bool changed = m.clock();
  m.apply();
  if (now >= m.next_look) {
    m.next_look = now + m.spec->tick;
    if (m.spec->trace) {
      const double s = (now - m.sampled).seconds();
      const double energy = m.energy_at(now);
      const double busy = m.units.empty() ? 0.0 : m.units[0].busy_integral;
      PowerSample sample{now, s > 0 ? (energy - m.sampled_energy) / s : power(now), 0, speed(0),
                         s > 0 ? (busy - m.sampled_busy) / s : 0.0};
      if (m.heat)
        for (std::uint32_t n = 0; n < m.heat->size(); ++n)
          sample.temperature = n == 0 ? m.heat->temperature(n)
                                      : std::max(sample.temperature, m.heat->temperature(n));
      m.samples.push_back(sample);
      m.sampled = now;
      m.sampled_energy = energy;
      m.sampled_busy = busy;
    }
  }
  return changed || m.dead != was_dead;
}

double NodePhysics::speed(std::uint32_t unit) const {
  const Impl& m = *impl_;
  if (unit >= m.units.size()) return 1;
  return m.units[unit].frequencies[m.units[unit].point] / m.units[unit].frequencies.back();
}

double NodePhysics::frequency(std::uint32_t unit) const {
  return impl_->spec->units[unit].hertz ? impl_->units[unit].frequencies[impl_->units[unit].point]
                                        : 0;
}

std::size_t NodePhysics::point(std::uint32_t unit) const { return impl_->units[unit].point; }

double NodePhysics::temperature(Instant now, std::uint32_t node) const {
  if (!impl_->heat) return std::nan("");
  return impl_->heat->temperature_after(node, (now - impl_->since).seconds());
}

double NodePhysics::battery_charge(Instant now) const {
  if (!impl_->battery) return 1;
  Battery b = *impl_->battery;
  b.advance((now - impl_->since).seconds());
  return b.charge();
}

bool NodePhysics::wants_deadlines() const {
  return std::any_of(impl_->units.begin(), impl_->units.end(),
                     [](const Unit& u) { return u.governor && u.governor->wants_deadline(); });
}

bool NodePhysics::shut_down() const { return impl_->dead; }

double NodePhysics::power(Instant now) const {
  const Impl& m = *impl_;
  double w = m.without_leakage();
  if (m.heat && m.drawing()) {
    const double s = (now - m.since).seconds();
    const auto& nodes = m.spec->thermal->network.nodes;
    for (std::uint32_t n = 0; n < m.heat->size(); ++n)
      if (nodes[n].leakage > 0)
        w += nodes[n].leakage *
             (m.heat->temperature_after(n, s) - m.spec->thermal->network.leakage_reference);
  }
  return w;
}

double NodePhysics::energy(Instant now) const { return impl_->energy_at(now); }

double NodePhysics::unit_energy(Instant now, std::uint32_t unit) const {
  const Impl& m = *impl_;
  const Unit& u = m.units[unit];
  return u.joules + (m.drawing() ? u.watts * (now - m.since).seconds() : 0.0);
}

double NodePhysics::dynamic_energy(Instant now) const {
  const Impl& m = *impl_;
  double e = 0;
  for (const Unit& u : m.units)
    e += u.dynamic_joules + (m.drawing() ? u.dynamic * (now - m.since).seconds() : 0.0);
  return e;
}

double NodePhysics::throttled_seconds(Instant now) const {
  const Impl& m = *impl_;
  return (m.capped && m.drawing() ? m.throttled + (now - m.since) : m.throttled).seconds();
}

double NodePhysics::hottest() const { return impl_->hottest; }

std::vector<PowerSample> NodePhysics::take_samples() {
  std::vector<PowerSample> s;
  s.swap(impl_->samples);
  return s;
}

namespace {

// Leakage counts from its reference temperature on; below, it must not take more than is drawn.
void check_cold(const PhysicsSpec& spec) {
  const ThermalSpec& t = *spec.thermal;
  double coldest = t.ambient.front().celsius;
  for (const AmbientStep& s : t.ambient) coldest = std::min(coldest, s.celsius);
  double idle = 0, leakage = 0;
  for (const UnitPhysics& u : spec.units)
    idle += std::min_element(u.points.begin(), u.points.end(), [](const auto& x, const auto& y) {
              return x.idle < y.idle;
            })->idle;
  for (const ThermalNode& n : t.network.nodes) leakage += n.leakage;
  const double less = leakage * (t.network.leakage_reference - coldest);
  if (less > idle)
    throw InputError(fmt::format(
        "at an ambient of {} C leakage takes {:.3g} W off the idle power of {:.3g} W, which would "
        "be negative: lower the leakage or raise idle_power",
        coldest, less, idle));
}

}  // namespace

void check(const PhysicsSpec& spec) {
  for (const UnitPhysics& u : spec.units) {
    if (u.points.empty()) throw InputError(fmt::format("unit \"{}\": no operating points", u.name));
    for (std::size_t i = 0; i < u.points.size(); ++i) {
      const OperatingPoint& p = u.points[i];
      if (!(p.frequency > 0) || (i > 0 && p.frequency <= u.points[i - 1].frequency))
        throw InputError(fmt::format(
            "unit \"{}\": frequencies of operating points must rise and be above 0", u.name));
      if (!(p.idle >= 0) || !(p.scale >= 0) || !(p.idle + p.floor >= 0))
        throw InputError(
            fmt::format("unit \"{}\": negative power at operating point {}", u.name, i));
    }
  }
  if (!(spec.tick > Duration::zero())) throw InputError("the period of physics must be above 0");
  if (spec.battery) Battery{*spec.battery};
  if (!spec.thermal) return;
  const ThermalSpec& t = *spec.thermal;
  const ThermalNetwork network(t.network, t.ambient.front().celsius);
  double ambient = t.ambient.front().celsius;
  for (const AmbientStep& s : t.ambient) ambient = std::max(ambient, s.celsius);
  if (ambient >= t.shutdown)
    throw InputError(fmt::format(
        "ambient {} C is not below the shutdown temperature {} C: the machine could not even be "
        "switched on; lower the ambient or raise the shutdown",
        ambient, t.shutdown));
  check_cold(spec);
  for (const TripPoint& trip : t.trips) {
    if (trip.resume > trip.at)
      throw InputError(fmt::format("a trip point at {} C resumes at {} C, which is hotter", trip.at,
                                   trip.resume));
    if (!(trip.clock > 0 && trip.clock <= 1))
      throw InputError(fmt::format("a trip point caps the clock at {} of the highest", trip.clock));
    if (trip.at >= t.shutdown)
      throw InputError(fmt::format("a trip point at {} C is not below the shutdown at {} C",
                                   trip.at, t.shutdown));
  }
  if (network.runs_away() && std::isinf(t.shutdown))
    throw InputError(
        "leakage grows faster with temperature than heat gets out (thermal runaway): lower the "
        "leakage or the resistance, or give a shutdown temperature");
  if (network.growth() * spec.tick.seconds() > 1)
    throw InputError(fmt::format(
        "leakage multiplies the heat by more than e within {:g} s, the time between two looks at "
        "the shutdown temperature: lower the leakage, or look more often (power_trace)",
        spec.tick.seconds()));
}

}  // namespace isthmus::devices
