// The parts of cold starts.
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/random.hpp"

namespace isthmus::scenarios {

void read_startup(Resolution& r, const ObjectView& s, world::Service& out) {
  if (!s.has("startup")) return;
  const auto refuse = [&](const ObjectView& v, const char* field, const std::string& why) {
    r.problems.add(v.at(field), v.pointer_to(field), why);
  };
  if (s.has("cold_start")) refuse(s, "cold_start", "\"startup\" says it part by part; leave one of both out");
  if (s.has("pools")) refuse(s, "startup", "services with pools have a \"cold_start\" for each pool");
  const ObjectView v = s.object("startup");
  auto spec = std::make_shared<world::Startup>();
  spec->provision = v.duration("provision");
  if (v.has("image")) {
    const ObjectView image = v.object("image");
    const world::NodeGroup& registry = r.scenario.nodes[r.groups.at(image.text("registry"))];
    spec->registry = registry.first;
    for (const Member& m : image.find("layers")->members)
      spec->layers.push_back({hash_name(m.key), number_of(m.value, Unit::bytes)});
    spec->unpack = image.number_or("unpack", 0);
    spec->on_machines = image.flag("on_machines");
  }
  spec->runtime = v.duration("runtime");
  spec->weights = v.duration_or("weights", out.cold_start);
  spec->warmup = v.duration("warmup");
  spec->warmup_requests = v.count("warmup_requests");
  if (spec->warmup_requests > 0 && std::holds_alternative<world::LlmModel>(out.work))
    refuse(v, "warmup_requests", "not for language models, whose requests have no single time; give \"warmup\"");
  if (v.has("snapshot")) {
    spec->snapshot = v.duration("snapshot");
    for (const char* other : {"runtime", "weights", "warmup", "warmup_requests"})
      if (v.has(other)) refuse(v, other, "a snapshot is restored instead; leave one of both out");
  }
  spec->keep_alive = v.duration("keep_alive");
  out.cold_start = Duration::zero();
  out.startup = std::move(spec);
}

}  // namespace isthmus::scenarios
