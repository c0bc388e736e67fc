// Model updates: from their release to every machine of a fleet, and back (docs/updates.md). Who sends
// is decided in update_senders.cpp; services are renewed in update_services.cpp.
#include "sim/world/update_state.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

constexpr std::uint32_t none = UpdateDevice::none;

// Devices that make up a share.
std::uint32_t devices_of(double share, std::size_t fleet) {
  return static_cast<std::uint32_t>(std::ceil(share * static_cast<double>(fleet) - 1e-9));
}

// A point of the curve whenever it has moved by half a percent.
void note_share(results::UpdateTotals& t, Instant now, bool last = false) {
  const double share = static_cast<double>(t.serving) / static_cast<double>(t.fleet);
  const bool first = t.progress.empty();
  if (!first && !last && std::abs(share - t.progress.back().second) < 0.005 && t.serving != t.fleet &&
      t.serving != 0)
    return;
  if (!first && t.progress.back().first == now.seconds()) t.progress.back().second = share;
  else t.progress.emplace_back(now.seconds(), share);
}

}  // namespace

void World::open_updates() {
  if (scenario_.updates.empty()) return;
  updates_ = std::make_unique<Updates>();
  Updates& all = *updates_;
  all.line_of_service.assign(scenario_.services.size(), none);
  for (const UpdateLine& line : scenario_.update_lines) {
    const NodeGroup& group = scenario_.nodes[line.group];
    UpdateLineState s;
    s.first = static_cast<std::uint32_t>(all.devices.size());
    s.count = group.count;
    s.answers.assign(line.versions.size(), 0);
    s.updates.assign(line.versions.size(), none);
    if (line.service != ~0U)
      all.line_of_service[line.service] = static_cast<std::uint32_t>(all.lines.size());
    for (std::uint32_t i = 0; i < group.count; ++i) {
      UpdateDevice& d = all.devices.emplace_back();
      d.node = group.first + i;
      d.line = static_cast<std::uint32_t>(all.lines.size());
    }
    all.lines.push_back(std::move(s));
  }
  all.states.resize(scenario_.updates.size());
  for (std::uint32_t u = 0; u < all.states.size(); ++u) open_update(u);
}

void World::open_update(std::uint32_t u) {
  const ModelUpdate& spec = scenario_.updates[u];
  UpdateState& s = updates_->states[u];
  for (const ModelUpdate::Target& t : spec.targets) {
    UpdateLineState& line = updates_->lines[t.line];
    line.updates[t.version] = u;
    s.offsets.push_back(static_cast<std::uint32_t>(s.order.size()));
    for (std::uint32_t i = 0; i < line.count; ++i) s.order.push_back(line.first + i);
  }
  s.totals.name = spec.name;
  s.totals.fleet = s.order.size();
  s.totals.released = spec.at.seconds();
  // One wave takes the fleet in order; of several, chance decides who is in which.
  if (spec.waves.front().share < 1) {
    Rng g = update_draws_.at(hash_name(spec.name));
    for (std::size_t i = s.order.size(); i > 1; --i)
      std::swap(s.order[i - 1], s.order[uniform_index(g, i)]);
  }
  open_senders(u);
  queue_.push(spec.at, EventKind::update_step, release_begins, u);
  queue_.push(spec.at + spec.waves.front().after, EventKind::update_step, wave_begins, u);
  if (spec.rollback) queue_.push(spec.rollback->at, EventKind::update_step, recall_begins, u);
}

void World::on_update_event(std::uint32_t what, std::uint64_t payload) {
  const auto low = static_cast<std::uint32_t>(payload), high = static_cast<std::uint32_t>(payload >> 32);
  switch (what) {
    case release_begins:
      for (const ModelUpdate::Target& t : scenario_.updates[low].targets)
        updates_->lines[t.line].cloud = t.version;
      note_share(updates_->states[low].totals, now_);
      break;
    case wave_begins: begin_wave(low, high); break;
    case recall_begins: recall(low); break;
    case relay_retries: retry_fill(low, high); break;
    default:
      if (updates_->devices[low].serial == high) step_device(low);
  }
}

void World::set_stage(UpdateDevice& d, UpdateStage stage) {
  d.stage = stage;
  ++d.serial;
}

// The stage ends then.
void World::end_stage_at(UpdateDevice& d, Instant at) {
  const auto index = static_cast<std::uint64_t>(&d - updates_->devices.data());
  queue_.push(at, EventKind::update_step, device_step, static_cast<std::uint64_t>(d.serial) << 32 | index);
}

void World::step_device(std::uint32_t index) {
  UpdateDevice& d = updates_->devices[index];
  switch (d.stage) {
    case UpdateStage::polling: return ask(d);
    case UpdateStage::backing_off: return go_on(d);
    case UpdateStage::installing: return installed(d);
    case UpdateStage::restarting: return in_place(d);
    default: throw InternalError("update: a stage without an end has ended");
  }
}

void World::begin_wave(std::uint32_t u, std::uint32_t wave) {
  const ModelUpdate& spec = scenario_.updates[u];
  UpdateState& s = updates_->states[u];
  if (s.recalled) return;
  const std::uint32_t from = wave == 0 ? 0 : devices_of(spec.waves[wave - 1].share, s.order.size());
  const std::uint32_t to = devices_of(spec.waves[wave].share, s.order.size());
  for (std::uint32_t i = from; i < to; ++i) offer_update(u, updates_->devices[s.order[i]]);
  if (wave + 1 < spec.waves.size())
    queue_.push(now_ + spec.waves[wave + 1].after, EventKind::update_step, wave_begins,
                static_cast<std::uint64_t>(wave + 1) << 32 | u);
}

// The update is for this device from now on. The newest wins.
void World::offer_update(std::uint32_t u, UpdateDevice& d) {
  const std::uint16_t version = version_on(u, d.line);
  if (d.version > version || (d.update != none && version_on(d.update, d.line) > version)) return;
  if (d.update != none) abandon(d);
  d.update = u;
  d.told = d.back = false;
  d.failures = 0;
  await_poll(d, false);
}

std::uint16_t World::version_on(std::uint32_t u, std::uint32_t line) const {
  for (const ModelUpdate::Target& t : scenario_.updates[u].targets)
    if (t.line == line) return t.version;
  throw InternalError("update: not on that line");
}

// Leaves the update that it is concerned with, as far as it has not got it yet.
void World::abandon(UpdateDevice& d) {
  UpdateState& s = updates_->states[d.update];
  if (d.stage != UpdateStage::settled) {
    if (!d.back || d.told) {  // else it has been in use
      s.totals.received -= d.received + d.partial;
      s.totals.wasted += d.received + d.partial;
    }
    if (s.recalled) {
      --s.affected;
      look_at_rollback(s);
    }
  }
  if (d.transfer != none) {
    updates_->transfers[d.transfer].orphan = true;
    network_->cancel(updates_->transfers[d.transfer].flow, now_);
    d.transfer = none;
  }
  leave_swarm(d);
  start_service(d);
  d.received = d.partial = 0;
  d.chunk = none;
  d.update = none;
  d.back = false;
  set_stage(d, UpdateStage::settled);
}

// Until it hears the news. `later`: not at this instant.
void World::await_poll(UpdateDevice& d, bool later) {
  const ModelUpdate& spec = scenario_.updates[d.update];
  if (spec.poll == Duration::zero()) return ask(d);
  set_stage(d, UpdateStage::polling);
  Rng g = update_draws_.at(d.node, 1);
  const std::int64_t period = spec.poll.ns();
  const auto phase = static_cast<std::int64_t>(uniform01(g) * static_cast<double>(period));
  const std::int64_t since = now_.ns() + (later ? 1 : 0) - phase;
  const std::int64_t polls = since <= 0 ? 0 : (since + period - 1) / period;
  end_stage_at(d, Instant(phase) + Duration(polls * period));
}

void World::ask(UpdateDevice& d) {
  const ModelUpdate& spec = scenario_.updates[d.update];
  if (!nodes_[d.node].up) return set_stage(d, UpdateStage::down);
  if (spec.message <= 0) return hear(d);
  const std::uint32_t origin = origin_of(d);
  if (!nodes_[updates_->states[d.update].origins[origin].node].up) return not_heard(d);
  set_stage(d, UpdateStage::asking);
  send_update(d, UpdateCargo::message, UpdateSource::origin, origin, spec.message);
}

void World::not_heard(UpdateDevice& d) {
  if (!nodes_[d.node].up) return set_stage(d, UpdateStage::down);
  if (scenario_.updates[d.update].poll > Duration::zero()) return await_poll(d, true);
  back_off(d);
}

// It knows of the update, or that it is taken back.
void World::hear(UpdateDevice& d) {
  const ModelUpdate& spec = scenario_.updates[d.update];
  d.told = true;
  d.failures = 0;
  if (d.back) {
    leave_swarm(d);
    d.received = d.partial = 0;
    d.chunk = none;
    d.parcel = ModelUpdate::previous;
    return take_back(d);
  }
  d.parcel = ModelUpdate::full;
  if (spec.parcels[ModelUpdate::delta].bytes > 0) {
    if (d.version + 1 == version_on(d.update, d.line)) d.parcel = ModelUpdate::delta;
    else ++updates_->states[d.update].totals.full_instead;
  }
  seek(d);
}

// Where it was before a failure.
void World::go_on(UpdateDevice& d) {
  if (!d.told) return await_poll(d, false);
  if (d.back) return take_back(d);
  seek(d);
}

void World::back_off(UpdateDevice& d) {
  if (!nodes_[d.node].up) return set_stage(d, UpdateStage::down);
  const ModelUpdate& spec = scenario_.updates[d.update];
  set_stage(d, UpdateStage::backing_off);
  end_stage_at(d, now_ + retry_wait(spec, d.failures));
  d.failures = static_cast<std::uint8_t>(std::min(d.failures + 1, 60));
}

Duration World::retry_wait(const ModelUpdate& spec, std::uint32_t failures) const {
  const double wait = std::ldexp(spec.retry.seconds(), static_cast<int>(failures));
  return std::min(spec.retry_longest, saturated(wait));
}

// All bytes are there.
void World::loaded(UpdateDevice& d) {
  const ModelUpdate& spec = scenario_.updates[d.update];
  set_stage(d, UpdateStage::installing);
  const double work = spec.parcels[d.parcel].work / core_speed(d.node);
  end_stage_at(d, now_ + saturated(work) + spec.install);
}

void World::installed(UpdateDevice& d) {
  const ModelUpdate& spec = scenario_.updates[d.update];
  if (spec.restart == Duration::zero()) return in_place(d);
  stop_service(d);
  set_stage(d, UpdateStage::restarting);
  end_stage_at(d, now_ + spec.restart);
}

// The other version serves from now on.
void World::in_place(UpdateDevice& d) {
  const std::uint32_t u = d.update;
  const ModelUpdate& spec = scenario_.updates[u];
  UpdateState& s = updates_->states[u];
  set_stage(d, UpdateStage::settled);
  if (d.back) {
    set_version(d, d.previous);
    start_service(d);
    d.back = false;
    ++s.back;
    return look_at_rollback(s);
  }
  d.previous = d.version;
  set_version(d, version_on(u, d.line));
  start_service(d);
  ++s.applied;
  const double since = (now_ - spec.at).seconds();
  const std::size_t fleet = s.order.size();
  if (s.applied == 1) s.totals.first = since;
  if (s.applied == devices_of(0.5, fleet)) s.totals.half = since;
  if (s.applied == devices_of(0.95, fleet)) s.totals.most = since;
  if (s.applied == fleet) s.totals.all = since;
  if (s.recalled) {  // it was being installed then
    d.back = true;
    d.told = false;
    return await_poll(d, false);
  }
  if (!spec.rollback || !spec.rollback->at.is_never() || s.rule_met ||
      s.applied < devices_of(spec.rollback->share, fleet))
    return;
  s.rule_met = true;
  queue_.push(now_ + spec.rollback->after, EventKind::update_step, recall_begins, u);
}

void World::set_version(UpdateDevice& d, std::uint16_t version) {
  const UpdateLineState& line = updates_->lines[d.line];
  const std::uint32_t old = line.updates[d.version], now = line.updates[version];
  d.version = version;
  if (old != none) {
    --updates_->states[old].totals.serving;
    note_share(updates_->states[old].totals, now_);
  }
  if (now != none) {
    ++updates_->states[now].totals.serving;
    note_share(updates_->states[now].totals, now_);
  }
  const std::uint32_t service = scenario_.update_lines[d.line].service;
  if (service == ~0U) return;
  Replica& p = replicas_[local_replica(service, d.node)];
  p.version = version;
  p.accuracy = now == none ? -1 : scenario_.updates[now].accuracy;
  p.speed = now == none ? 1 : scenario_.updates[now].speed;
}

// Who has not got it stops; who has it hears of it as of the update.
void World::recall(std::uint32_t u) {
  UpdateState& s = updates_->states[u];
  if (s.recalled) return;
  s.recalled_at = now_;
  for (const ModelUpdate::Target& t : scenario_.updates[u].targets) {
    UpdateLineState& line = updates_->lines[t.line];
    if (line.cloud == t.version) --line.cloud;
  }
  std::vector<std::uint32_t> has;
  for (const std::uint32_t i : s.order) {
    UpdateDevice& d = updates_->devices[i];
    if (d.update != u) continue;
    if (d.stage == UpdateStage::installing || d.stage == UpdateStage::restarting) ++s.affected;
    else if (d.stage != UpdateStage::settled) abandon(d);
    else has.push_back(i);
  }
  s.affected += static_cast<std::uint32_t>(has.size());
  s.recalled = s.totals.taken_back = true;
  for (const std::uint32_t i : has) {
    UpdateDevice& d = updates_->devices[i];
    d.back = true;
    d.told = false;
    d.failures = 0;
    await_poll(d, false);
  }
  look_at_rollback(s);
}

void World::look_at_rollback(UpdateState& s) {
  const double since = (now_ - s.recalled_at).seconds();
  if (std::isnan(s.totals.back_most) && s.back >= devices_of(0.95, s.affected)) s.totals.back_most = since;
  if (std::isnan(s.totals.back_all) && s.back >= s.affected) s.totals.back_all = since;
}

// To the image that is kept, or by fetching it again.
void World::take_back(UpdateDevice& d) {
  const UpdateRollback& rollback = *scenario_.updates[d.update].rollback;
  if (!rollback.keeps_previous) return seek(d);
  if (!nodes_[d.node].up) return set_stage(d, UpdateStage::down);
  if (rollback.switch_time == Duration::zero()) return in_place(d);
  stop_service(d);
  set_stage(d, UpdateStage::restarting);
  end_stage_at(d, now_ + rollback.switch_time);
}

void World::add_update_totals(results::WorldTotals& t) {
  if (!updates_) return;
  for (UpdateState& s : updates_->states) {
    note_share(s.totals, now_, true);
    s.totals.affected = s.affected;
    s.totals.back = s.back;
    s.totals.applied = s.applied;
    t.updates.push_back(s.totals);
  }
  for (std::uint32_t i = 0; i < updates_->lines.size(); ++i) {
    const UpdateLine& spec = scenario_.update_lines[i];
    if (spec.service == ~0U) continue;
    results::ServiceTotals& service = t.services[spec.service];
    for (std::size_t v = 0; v < spec.versions.size(); ++v)
      service.versions.emplace_back(spec.versions[v], updates_->lines[i].answers[v]);
    service.skewed = updates_->lines[i].skewed;
  }
}

}  // namespace isthmus::world
