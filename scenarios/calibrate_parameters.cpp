// Which parameters a service has, where they stand, and how far they may go.
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "scenarios/calibrate_internal.hpp"
#include "scenarios/field_table.hpp"
#include "scenarios/problems.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

// Simulated durations are whole nanoseconds.
std::string duration_text(double s) { return json_string(fmt::format("{:.3f} us", s * 1e6)); }
std::string share_text(double x) { return fmt::format("{:.6f}", x); }

// A written quantity times a factor, unit kept.
void scale_text(Value& v, double factor) {
  if (!v.is(JsonKind::text)) return;
  const double s = parse_quantity(v.text, Unit::duration) * factor;
  v.text = fmt::format("{:.6f} us", s * 1e6);
}

// A law of durations with every duration of it times a factor.
std::string scaled_law(Value law, double factor) {
  const ObjectSpec& spec = distribution_spec(Unit::duration);
  const Value* tag = law.find(spec.tag);
  for (Member& m : law.members) {
    const Field* f = spec.find(m.key, tag ? tag->text : "");
    if (!f) continue;
    if (f->type == FieldType::quantity && f->unit == Unit::duration) scale_text(m.value, factor);
    if (f->type == FieldType::list && f->elements[0].unit == Unit::duration)
      for (Value& item : m.value.items) scale_text(item, factor);
  }
  return to_text(law);
}

class Parameters {
 public:
  Parameters(const LoadedScenario& loaded, std::size_t service, const LogScales& scales)
      : loaded_(loaded),
        s_(loaded.scenario->services[service]),
        group_(loaded.scenario->nodes[s_.group]),
        unit_(group_.units[s_.unit]),
        scales_(scales) {}

  const std::vector<std::string>& all() const {
    static const std::vector<std::string> of_unit{
        "compute_efficiency", "bandwidth_efficiency", "iteration_overhead",
        "request_overhead",   "sequence_overhead",    "launch_overhead"},
        of_law{"service_time", "per_item", "request_overhead"}, of_spread{"request_overhead"};
    return law() ? of_law : s_.execution() ? of_spread : of_unit;
  }

  // Measured kernels already know the efficiencies. Launches, iterations and the reading of weights
  // say nearly the same about an engine whose iterations all have the same kernels.
  std::vector<std::string> usual() const {
    if (s_.execution()) return {"request_overhead"};
    if (law())
      return s_.batching.policy ? std::vector<std::string>{"service_time", "per_item",
                                                           "request_overhead"}
                                : std::vector<std::string>{"service_time", "request_overhead"};
    std::vector<std::string> names;
    if (unit_.profile.empty()) names.emplace_back("compute_efficiency");
    names.emplace_back("iteration_overhead");
    names.emplace_back("request_overhead");
    if (std::holds_alternative<world::LlmModel>(s_.work)) names.emplace_back("sequence_overhead");
    return names;
  }

  FitParameter make(const std::string& name) const {
    if (name == "service_time") return service_time();
    if (name == "per_item") {
      const double now = std::get<world::ServiceLaw>(s_.work).per_item;
      return duration(name, service_pointer(name), now, scales_.step / 8, scales_.longest);
    }
    if (name == "request_overhead")
      return duration(name, service_pointer(name), s_.request_overhead.seconds(), scales_.soonest,
                      scales_.longest);
    if (name == "iteration_overhead")
      return duration(name, unit_pointer(name), unit_.iteration_overhead.seconds(), scales_.step,
                      4 * scales_.step);
    if (name == "sequence_overhead")
      return duration(name, unit_pointer(name), unit_.sequence_overhead.seconds(),
                      scales_.step / 16, scales_.step);
    if (name == "launch_overhead")
      return duration(name, unit_pointer(name), unit_.launch_overhead.seconds(),
                      scales_.step / 200, scales_.step);
    const double now =
        name == "compute_efficiency" ? unit_.compute_efficiency : unit_.bandwidth_efficiency;
    const double slowness = 1 / now;
    return {name,
            unit_pointer(name),
            "1",
            {slowness, 1, std::max(100.0, slowness), 0.02 * slowness, slowness},
            share_text,
            true};
  }

 private:
  bool law() const { return std::holds_alternative<world::ServiceLaw>(s_.work); }

  std::string service_pointer(const std::string& name) const {
    return child(child("/services", s_.name), name);
  }
  // The node's own fields win over those of its main unit.
  std::string unit_pointer(const std::string& name) const {
    const std::string node = child("/nodes", group_.name);
    return child(s_.unit == 0 ? node : child(node + "/units", unit_.name), name);
  }

  // Steps of 2 % of what it is, or of the scale that it lives on.
  static FitParameter duration(const std::string& name, const std::string& pointer, double now,
                               double scale, double most) {
    const double step = std::max(2e-9, 0.02 * std::max(now, scale));
    return {name, pointer, "s", {now, 0, std::max(most, 2 * now), step, now}, duration_text};
  }

  // A constant, or a factor that stretches the law.
  FitParameter service_time() const {
    const std::string pointer = service_pointer("service_time");
    const Value* written = find_pointer(loaded_.document.root, pointer);
    if (!written) throw InternalError("the service's law is not in its scenario");
    if (written->is(JsonKind::object)) {
      const Value law = *written;
      return {"service_time x", pointer, "1", {1, 1e-6, 1e6, 0.02, 1},
              [law](double factor) { return scaled_law(law, factor); }};
    }
    const double now = std::get<world::ServiceLaw>(s_.work).time.a;
    FitParameter p = duration("service_time", pointer, now, scales_.soonest, 2 * scales_.longest);
    // Logarithms of nothing lead nowhere.
    p.unknown.first = std::max(now, scales_.soonest / 10);
    return p;
  }

  const LoadedScenario& loaded_;
  const world::Service& s_;
  const world::NodeGroup& group_;
  const models::ComputeUnit& unit_;
  const LogScales& scales_;
};

}  // namespace

std::vector<FitParameter> fit_parameters(const LoadedScenario& loaded, std::size_t service,
                                         const std::vector<std::string>& names,
                                         const LogScales& scales) {
  const Parameters known(loaded, service, scales);
  std::vector<FitParameter> out;
  for (const std::string& name : names.empty() ? known.usual() : names) {
    const std::vector<std::string>& all = known.all();
    if (std::find(all.begin(), all.end(), name) == all.end())
      throw InputError(fmt::format("--parameters {}: service \"{}\" has {}{}", name,
                                   loaded.scenario->services[service].name, fmt::join(all, ", "),
                                   suggestion(name, all)));
    for (const FitParameter& p : out)
      if (p.name == name) throw InputError(fmt::format("--parameters {}: named twice", name));
    out.push_back(known.make(name));
  }
  return out;
}

}  // namespace isthmus::scenarios
