// Model updates: what is sent, to which machines, and which update follows which.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "models/llm_layout.hpp"
#include "scenarios/model_choice.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

// Bytes of the weights of a model as it is stored; 0 after problems.
double stored_bytes(Resolution& r, const ObjectView& v) {
  const ChosenModel m = choose_model(r, v);
  if (m.llm) return models::weight_bytes(m.shape, m.variant);
  if (!m.graph) return 0;
  double bytes = 0;
  for (std::size_t i = 0; i < m.graph->size(); ++i)
    bytes += m.graph->at(i).params *
             models::bytes_of(m.graph->at(i).weights.value_or(m.variant.weights));
  return bytes;
}

class Reading {
 public:
  Reading(Resolution& r, const ObjectView& v) : r_(r), v_(v) {}

  world::ModelUpdate update;
  //! Group and service of the lines that it belongs to.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> lines;

  // True when it is complete.
  bool read() {
    return read_fleet() && read_places() && read_parcels() && read_waves() && read_rest() &&
           read_rollback();
  }

 private:
  bool refuse(const char* field, const std::string& why) {
    r_.problems.add(v_.at(field), v_.pointer_to(field), why);
    return false;
  }

  bool read_fleet() {
    std::uint32_t service = ~0U;
    if (v_.has("service")) {
      service = r_.services.at(v_.text("service"));
      const world::Service& s = r_.scenario.services[service];
      if (!s.local)
        return refuse("service", fmt::format("\"{}\" does not run on every machine of a fleet; name a "
                                             "service with \"local\", or leave it out",
                                             s.name));
      if (v_.has("to") && v_.texts("to") != std::vector<std::string>{r_.scenario.nodes[s.group].name})
        return refuse("to", fmt::format("\"{}\" runs on \"{}\"; leave \"to\" out", s.name,
                                        r_.scenario.nodes[s.group].name));
      lines.emplace_back(s.group, service);
      return true;
    }
    if (!v_.has("to")) return refuse("to", "needs the field \"to\" or \"service\"");
    for (const std::string& name : v_.texts("to")) {
      const std::uint32_t group = r_.groups.at(name);
      if (std::find(lines.begin(), lines.end(), std::pair{group, ~0U}) != lines.end())
        return refuse("to", fmt::format("\"{}\" stands there twice", name));
      lines.emplace_back(group, ~0U);
    }
    for (const char* only : {"restart", "accuracy", "speed"})
      if (v_.has(only)) return refuse(only, "only with \"service\"");
    return true;
  }

  bool in_fleet(std::uint32_t group) const {
    return std::any_of(lines.begin(), lines.end(), [&](const auto& l) { return l.first == group; });
  }

  bool read_places() {
    update.origin = r_.groups.at(v_.text("from"));
    if (in_fleet(update.origin)) return refuse("from", "the origin cannot be in the fleet");
    const std::string way = v_.text("way");
    update.way = way == "cdn"    ? world::UpdateWay::cdn
                 : way == "peer" ? world::UpdateWay::peer
                                 : world::UpdateWay::direct;
    if (way == "cdn") {
      update.relays = r_.groups.at(v_.text("relays"));
      if (in_fleet(update.relays)) return refuse("relays", "relays cannot be in the fleet");
      if (update.relays == update.origin)
        return refuse("relays", "the origin cannot relay what it sends; say \"way\": \"direct\"");
      if (v_.has("relay_concurrent")) update.relay_concurrent = v_.count("relay_concurrent");
    }
    if (way == "peer") update.uploads = v_.count("uploads");
    if (v_.has("concurrent")) update.concurrent = v_.count("concurrent");
    return true;
  }

  bool read_parcels() {
    if (v_.has("size") == v_.has("model"))
      return refuse("size", v_.has("size") ? "give either \"size\" or \"model\""
                                           : "needs the field \"size\" or \"model\"");
    if (v_.has("variant") && !v_.has("model")) return refuse("variant", "only with \"model\"");
    const double image = v_.has("size") ? v_.number("size") : stored_bytes(r_, v_);
    if (!(image > 0)) {
      if (v_.has("model")) refuse("model", "has no weights to send; give a \"size\"");
      return false;
    }
    const ObjectView format = v_.object("format");
    const double ratio = format.value() ? format.number("ratio") : 1;
    const auto parcel = [&](double bytes, double written) {
      world::UpdateParcel p{bytes / ratio, written};
      if (format.has("decode")) p.work += bytes / format.number("decode");
      if (v_.has("verify")) p.work += bytes / v_.number("verify");
      return p;
    };
    update.parcels[world::ModelUpdate::full] = parcel(image, 0);
    update.parcels[world::ModelUpdate::previous] =
        parcel(v_.object("rollback").number_or("size", image), 0);
    if (!v_.has("delta")) return true;
    const ObjectView delta = v_.object("delta");
    if (delta.has("changed") == delta.has("size"))
      return refuse("delta", delta.has("size") ? "give either \"changed\" or \"size\""
                                               : "needs the field \"changed\" or \"size\"");
    const double bytes = delta.has("size") ? delta.number("size")
                                           : image * delta.number("changed") * (1 + delta.number("index"));
    if (!(bytes > 0)) return refuse("delta", "nothing changes: there is nothing to send");
    update.parcels[world::ModelUpdate::delta] =
        parcel(bytes, delta.has("patch") ? image / delta.number("patch") : 0);
    return true;
  }

  bool read_waves() {
    update.at = Instant::zero() + v_.duration("at");
    double before = 0;
    for (const ObjectView& w : v_.objects("waves")) {
      const double share = w.number("share");
      if (share <= before) {
        r_.problems.add(w.at("share"), w.pointer_to("share"),
                        "counts the waves before it: must be more than theirs");
        return false;
      }
      before = share;
      update.waves.push_back({share, w.duration("after")});
    }
    if (update.waves.empty()) update.waves.push_back({});
    return true;
  }

  bool read_rest() {
    update.poll = v_.duration("poll");
    update.message = v_.number("message");
    update.rate_cap = v_.number_or("rate_cap", 0);
    update.chunk = v_.number("chunk");
    const std::string loss = v_.text("on_failure");
    update.loss = loss == "chunk"     ? world::DownloadLoss::chunk
                  : loss == "restart" ? world::DownloadLoss::all
                                      : world::DownloadLoss::nothing;
    double largest = 0;
    for (const world::UpdateParcel& p : update.parcels) largest = std::max(largest, p.bytes);
    constexpr double most_chunks = 4096;
    if (update.way != world::UpdateWay::direct && largest > most_chunks * update.chunk)
      return refuse("chunk", fmt::format("makes more than {} chunks; take larger ones", most_chunks));
    if (update.way == world::UpdateWay::peer && update.loss == world::DownloadLoss::all)
      return refuse("on_failure", "peers keep the chunks that they have; say \"chunk\" or \"resume\"");
    if (update.poll > Duration::zero() && update.poll < Duration(1'000'000))
      return refuse("poll", "must be 0 or at least 1 ms");
    update.retry = v_.duration("retry");
    update.retry_longest = std::max(update.retry, v_.duration("retry_longest"));
    update.install = v_.duration("install");
    update.restart = v_.duration("restart");
    update.accuracy = v_.number_or("accuracy", -1);
    update.speed = v_.number("speed");
    if (lines.front().second == ~0U) return true;
    const world::Service& s = r_.scenario.services[lines.front().second];
    if (v_.has("speed") && !std::holds_alternative<world::ServiceLaw>(s.work))
      return refuse("speed", fmt::format("\"{}\" has the times of its model; only services with a "
                                         "service_time have a speed",
                                         s.name));
    return stops_alone("restart", update.restart, s);
  }

  // Whether the service can be stopped without what else runs on its machine.
  bool stops_alone(const char* field, Duration time, const world::Service& s) {
    if (time == Duration::zero() || (!s.execution() && s.cached == ~0U)) return true;
    return refuse(field, fmt::format("\"{}\" shares units or memory with other services and cannot be "
                                     "stopped alone; leave it at 0",
                                     s.name));
  }

  bool read_rollback() {
    if (!v_.has("rollback")) return true;
    const ObjectView b = v_.object("rollback");
    if (b.has("at") == b.has("share"))
      return refuse("rollback", b.has("at") ? "give either \"at\" or \"share\""
                                            : "needs the field \"at\" or \"share\"");
    world::UpdateRollback back;
    if (b.has("at")) {
      back.at = Instant::zero() + b.duration("at");
      if (b.has("after")) return refuse("rollback", "\"after\" goes with \"share\"");
      if (back.at < update.at) return refuse("rollback", "is before the update");
    } else {
      back.share = b.number("share");
      back.after = b.duration("after");
      if (back.share > update.waves.back().share)
        return refuse("rollback", "so much of the fleet never gets the update");
    }
    back.keeps_previous = b.flag("keep_previous");
    back.switch_time = b.duration("switch_time");
    if (!back.keeps_previous && b.has("switch_time"))
      return refuse("rollback", "\"switch_time\" is of kept images");
    if (back.keeps_previous && b.has("size"))
      return refuse("rollback", "\"size\" is of images that are fetched: say \"keep_previous\": false");
    update.rollback = back;
    const std::uint32_t service = lines.front().second;
    return service == ~0U ||
           stops_alone("rollback", back.switch_time, r_.scenario.services[service]);
  }

  Resolution& r_;
  const ObjectView& v_;
};

}  // namespace

void resolve_updates(Resolution& r, const ObjectView& root) {
  const Value* table = root.find("updates");
  if (!table) return;
  std::vector<std::vector<std::pair<std::uint32_t, std::uint32_t>>> lines;
  std::vector<const Member*> written;
  for (const Member& m : table->members) {
    const ObjectView v(&m.value, update_spec(), child("/updates", m.key), m.at);
    Reading reading(r, v);
    if (!reading.read()) continue;
    reading.update.name = m.key;
    r.scenario.updates.push_back(std::move(reading.update));
    lines.push_back(std::move(reading.lines));
    written.push_back(&m);
  }
  // By date: the later one is the newer version.
  std::vector<std::size_t> order(lines.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return r.scenario.updates[a].at < r.scenario.updates[b].at;
  });
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> known;
  std::map<std::uint32_t, Instant> newest;
  for (const std::size_t i : order) {
    world::ModelUpdate& u = r.scenario.updates[i];
    for (const auto& line : lines[i]) {
      const auto [it, fresh] = known.emplace(line, r.scenario.update_lines.size());
      if (fresh) r.scenario.update_lines.push_back({line.first, line.second, {"before"}});
      if (!fresh && newest.at(it->second) == u.at)
        r.problems.add(written[i]->at, child("/updates", u.name),
                       "another update of the same machines has the same date; which one is newer?");
      newest[it->second] = u.at;
      std::vector<std::string>& versions = r.scenario.update_lines[it->second].versions;
      u.targets.push_back({it->second, static_cast<std::uint16_t>(versions.size())});
      versions.push_back(u.name);
      if (versions.size() > 60000) throw InputError("too many updates of one fleet");
    }
  }
}

}  // namespace isthmus::scenarios
