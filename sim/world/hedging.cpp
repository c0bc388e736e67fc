// Further copies of requests that have no answer yet: one after a delay (hedged requests; Dean, Barroso,
// "The Tail at Scale", CACM 2013), or all at once (cloned ones). Each copy is a request of its own, and
// goes its own way; together they are one attempt. The first answer ends it. A copy that fails while
// others are under way is forgotten; when the last one fails, retries decide as ever.
#include <algorithm>
#include <utility>

#include "sim/world/rollouts.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

// An attempt of a request whose workload hedges.
void World::begin_hedge(std::uint32_t slot) {
  Request& r = requests_[slot];
  const Hedging& spec = *scenario_.workloads[r.record.workload].request.hedging;
  WorkloadState& workload = workloads_[r.record.workload];
  if (free_hedges_.empty()) {
    free_hedges_.push_back(static_cast<std::uint32_t>(hedges_.size()));
    hedges_.emplace_back();
  }
  const std::uint32_t id = free_hedges_.back();
  free_hedges_.pop_back();
  Hedge& h = hedges_[id];
  h.live = true;
  h.sent = 1;
  h.turns = 0;
  h.leader = slot;
  h.copies.assign(1, slot);
  h.tried.clear();
  h.since = now_;
  h.wasted = 0;
  // A percentile is an answer's own time: whoever takes that long again, to the microsecond, is not late.
  h.delay = spec.percentile > 0
                ? workload.answers.percentile(spec.percentile) + Duration::from_seconds(1e-6)
                : spec.delay;
  r.hedge = id;
  r.copy = 0;
  if (r.record.attempts == 1) {
    workload.hedge_credit += spec.budget;
    if (r.record.counted) ++hedging_.requests;
  }
  if (spec.copies > 1 && h.delay != Duration::max())
    h.timer = queue_.push(now_ + h.delay, EventKind::hedge_due, 0, Handle{id, h.generation}.pack());
}

void World::on_hedge_due(Handle which) {
  if (which.slot >= hedges_.size()) return;
  Hedge& h = hedges_[which.slot];
  if (!h.live || h.generation != which.generation) return;
  const std::uint32_t workload = requests_[h.leader].record.workload;
  h.timer = ++h.turns + 1 < scenario_.workloads[workload].request.hedging->copies
                ? queue_.push(now_ + h.delay, EventKind::hedge_due, 0, which.pack())
                : EventHandle();
  send_copy(which.slot);
}

// One more, unless the budget is spent or nobody else could answer it.
void World::send_copy(std::uint32_t id) {
  const std::uint32_t leader = hedges_[id].leader;
  const results::RequestRecord& known = requests_[leader].record;
  WorkloadState& workload = workloads_[known.workload];
  const Hedging& spec = *scenario_.workloads[known.workload].request.hedging;
  if (workload.hedge_credit < 1) return;
  const auto service = spec.service >= 0 ? static_cast<std::uint32_t>(spec.service) : known.service;
  const std::uint32_t replica = replica_for_copy(hedges_[id], service);
  if (replica == ~0U) return;
  --workload.hedge_credit;

  const std::uint32_t slot = open_request();
  Request& r = requests_[slot];
  Request& first = requests_[leader];
  Hedge& h = hedges_[id];
  // What it carries, without what has become of the other one.
  ++first.record.copies;
  r.record = first.record;
  r.record.client_energy = 0;
  r.record.service = service;
  r.record.accuracy = scenario_.services[service].accuracy;
  r.record.batch = 0;
  r.record.variant = r.record.exit = 0;
  r.record.cache = 0;
  r.record.wrong = false;
  begin_anew(r.record);
  if (first.visit) {
    r.record.download = first.visit->made_bytes;
    r.record.output_tokens = first.visit->made_tokens;
  }
  r.host = r.from = first.host;
  r.image_tokens = first.image_tokens;
  r.image_end = first.image_end;
  r.prompt_blocks = first.prompt_blocks;
  r.task = first.task;
  r.protocol = first.protocol;
  r.postprocess = first.postprocess;
  r.key = first.key;
  r.candidate = first.candidate;
  if (spec.service >= 0 && r.candidate != ~0U) {
    const auto& all = scenario_.offload.candidates;
    const auto it = std::find(all.begin(), all.end(), service);
    r.candidate = it == all.end() ? ~0U : static_cast<std::uint32_t>(it - all.begin());
  }
  r.hedge = id;
  r.copy = h.sent++;
  r.serving = service;
  h.copies.push_back(slot);
  if (r.record.counted) ++hedging_.copies;
  ServiceState& s = services_[service];
  if (s.health || s.routes_by_outcome) begin_try(slot, s, replica);
  go_to(slot, replica);
}

// A ready one that no copy of this attempt has gone to, or ~0.
std::uint32_t World::replica_for_copy(const Hedge& h, std::uint32_t service) {
  const auto tried = [&](std::uint32_t id) {
    return std::find(h.tried.begin(), h.tried.end(), id) != h.tried.end();
  };
  if (scenario_.services[service].local) {
    const std::uint32_t own = route(h.leader, service);
    return tried(own) ? ~0U : own;
  }
  ServiceState& s = services_[service];
  const std::uint64_t hop = 1ULL << 32 | h.sent;
  if (s.health) {
    if (!s.health->admits()) return ~0U;
    find_usable_for(h.leader, s, h.tried);
    return choose_replica(h.leader, s, usable_, hop);
  }
  std::vector<std::uint32_t> left = rollouts_ ? rollouts_->eligible(h.leader, service, s.ready) : s.ready;
  std::erase_if(left, tried);
  return choose_replica(h.leader, s, left, hop);
}

// ---- the first answer -----------------------------------------------------------------------------

// The answer to a copy is at the client. False: another one was there before; this one is gone.
bool World::wins(std::uint32_t slot) {
  Request& r = requests_[slot];
  if (r.hedge == Hedge::late) {
    waste(r);
    end_copy(slot);
    return false;
  }
  Hedge& h = hedges_[r.hedge];
  lead(h, slot);
  const Hedging& spec = *scenario_.workloads[r.record.workload].request.hedging;
  if (spec.percentile > 0)
    workloads_[r.record.workload].answers.add(now_ - h.since, spec.window);
  r.record.winner = r.copy;
  if (r.record.counted) {
    if (hedging_.wins.size() <= r.copy) hedging_.wins.resize(r.copy + 1U);
    ++hedging_.wins[r.copy];
  }
  part_from_others(slot);
  close_hedge(slot);
  return true;
}

// The other copies are stopped, or run to their end for nothing.
void World::part_from_others(std::uint32_t slot) {
  const std::uint32_t id = requests_[slot].hedge;
  queue_.cancel(hedges_[id].timer);
  const bool cancel = scenario_.workloads[requests_[slot].record.workload].request.hedging->cancel;
  const std::vector<std::uint32_t> copies = std::exchange(hedges_[id].copies, {slot});
  for (const std::uint32_t other : copies) {
    if (other == slot) continue;
    if (cancel) {
      stop_copy(other);
    } else {
      hedges_[id].wasted += served_for(requests_[other]);
      requests_[other].hedge = Hedge::late;
      requests_[slot].record.client_energy += std::exchange(requests_[other].record.client_energy, 0.0);
    }
  }
}

// A copy takes over what there is once per request.
void World::lead(Hedge& h, std::uint32_t slot) {
  if (h.leader == slot) return;
  Request &from = requests_[h.leader], &to = requests_[slot];
  h.leader = slot;
  to.record.copies = from.record.copies;
  to.record.client_energy += std::exchange(from.record.client_energy, 0.0);
  const RequestShape& shape = scenario_.workloads[to.record.workload].request;
  const std::uint64_t tag = handle_of(slot).pack();
  if (queue_.cancel(from.deadline_timer))
    to.deadline_timer = queue_.push(to.record.created + shape.deadline, EventKind::queue_timeout, 1, tag);
  if (shape.attempt_timeout != Duration::max())
    queue_.push(h.since + shape.attempt_timeout, EventKind::queue_timeout,
                attempt_timer | to.record.attempts, tag);
}

bool World::leads(std::uint32_t slot) const {
  const std::uint32_t id = requests_[slot].hedge;
  return id < Hedge::late && hedges_[id].leader == slot;
}

// ---- ends of copies -------------------------------------------------------------------------------

// A copy has failed, and is in nothing any more. True: others are under way or have been answered,
// and it is gone. False: it was the last one, and the request is hedged no longer.
bool World::lost_to_others(std::uint32_t slot) {
  Request& r = requests_[slot];
  if (r.hedge == Hedge::late) {
    waste(r);
    end_copy(slot);
    return true;
  }
  Hedge& h = hedges_[r.hedge];
  if (h.copies.size() == 1) {
    close_hedge(slot);
    return false;
  }
  std::erase(h.copies, slot);
  h.wasted += waste(r);
  if (h.leader == slot) lead(h, h.copies.front());
  end_copy(slot);
  return true;
}

// Out of whatever it is in.
void World::stop_copy(std::uint32_t slot) {
  Request& r = requests_[slot];
  hedges_[r.hedge].wasted += waste(r);
  if (r.stage == Stage::queued) stop_serving(slot);
  withdraw(slot);
  end_copy(slot);
}

// Without a record; what it drew at the client counts for the request while there is one.
void World::end_copy(std::uint32_t slot) {
  Request& r = requests_[slot];
  if (r.visit) abandon_visit(slot);
  queue_.cancel(r.queue_timer);
  end_exchange(slot, true, false);
  if (r.hedge != Hedge::late)
    requests_[hedges_[r.hedge].leader].record.client_energy += r.record.client_energy;
  close_request(slot);
}

// Seconds at servers so far.
double World::served_for(const Request& r) const {
  const results::RequestRecord& rec = r.record;
  if (rec.started.is_never()) return 0;
  return ((rec.served.is_never() ? now_ : rec.served) - rec.started).seconds();
}

// Those of a copy that ends without being the answer.
double World::waste(const Request& r) {
  const double seconds = served_for(r);
  if (r.record.counted) hedging_.wasted += seconds;
  return seconds;
}

void World::close_hedge(std::uint32_t slot) {
  Request& r = requests_[slot];
  Hedge& h = hedges_[r.hedge];
  queue_.cancel(h.timer);
  r.record.wasted += static_cast<float>(h.wasted);
  h.live = false;
  ++h.generation;
  free_hedges_.push_back(r.hedge);
  r.hedge = Hedge::none;
}

}  // namespace isthmus::world
