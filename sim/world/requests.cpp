// The life of one request: created, prepared, placed, sent, served, answered - or dropped on the way.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "sim/world/calls.hpp"
#include "sim/world/failover.hpp"
#include "sim/world/rollouts.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/service_levels.hpp"
#include "sim/world/store_and_forward.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {
std::uint32_t tokens(double x) {
  return static_cast<std::uint32_t>(std::clamp(std::round(x), 0.0, 1e9));
}
}  // namespace

Request* World::find(Handle h) {
  if (h.slot >= requests_.size()) return nullptr;
  Request& r = requests_[h.slot];
  return r.live && r.generation == h.generation ? &r : nullptr;
}

std::uint32_t World::open_request() {
  std::uint32_t slot;
  if (free_requests_.empty()) {
    slot = static_cast<std::uint32_t>(requests_.size());
    requests_.emplace_back();
  } else {
    slot = free_requests_.back();
    free_requests_.pop_back();
  }
  Request& r = requests_[slot];
  const std::uint32_t generation = r.generation;
  // Anew in its place, for a request is large. Nothing in it throws.
  std::destroy_at(&r);
  std::construct_at(&r);
  r.generation = generation;
  r.live = true;
  ++live_requests_;
  return slot;
}

void World::close_request(std::uint32_t slot) {
  end_admission(slot, false);
  if (slot < tries_.size()) {
    end_try(slot, schedulers::TryEnd::abandoned);
    tries_[slot].failed.clear();
  }
  Request& r = requests_[slot];
  r.live = false;
  ++r.generation;
  --live_requests_;
  free_requests_.push_back(slot);
}

std::uint32_t World::create_request(std::uint32_t w, std::uint32_t client, const Arrival& a,
                                    std::uint32_t task_slot, double context) {
  const Workload& spec = scenario_.workloads[w];
  const std::uint32_t slot = open_request();
  Request& r = requests_[slot];

  // Who and when.
  results::RequestRecord& rec = r.record;
  rec.request = created_++;
  rec.workload = w;
  rec.client = client;
  rec.created = now_;
  rec.counted = counted();
  if (task_slot != ~0U) {
    r.task = task_slot;
    rec.task = tasks_[task_slot].record.task;
    rec.step = tasks_[task_slot].record.steps_done;
    rec.counted = tasks_[task_slot].record.counted;
  }
  rec.identity = hash_combine(hash_combine(workloads_[w].draws.value(), a.index), rec.step);
  if (spec.clients_group < scenario_.nodes.size()) {
    const NodeGroup& g = scenario_.nodes[spec.clients_group];
    r.host = g.first + client % g.count;
  }

  // What it carries: draws depend on (seed, workload, index, step) alone; a trace overrides them.
  const RequestShape& shape = spec.request;
  Rng g = workloads_[w].draws.at(a.index, rec.step);
  std::optional<Rng> content;  // the same for all requests of an item
  if (shape.key) {
    r.key = a.key;
    if (shape.key->from_trace && a.prompt_blocks) {
      for (const std::uint64_t block : a.prompt_blocks->contents) r.key = hash_combine(r.key, block);
      r.key = hash_combine(r.key, a.prompt_tokens.value_or(0));
    }
    if (!shape.key->from_trace) {
      Rng ranks = workloads_[w].keys.at(a.index, rec.step);
      r.key = shape.key->key(shape.key->popularity.sample(ranks), now_);
    }
    if (r.key != 0) content = content_draws_.at(r.key);
  }
  Rng& c = content ? *content : g;
  const double prompt = shape.prompt_tokens.sample(c), image = shape.image_tokens.sample(c),
               output = shape.output_tokens.sample(c);
  r.image_tokens = a.image_tokens ? *a.image_tokens : tokens(image);
  rec.prompt_tokens = tokens((a.prompt_tokens ? *a.prompt_tokens : prompt) + context) + r.image_tokens;
  r.prompt_blocks = a.prompt_blocks;
  rec.output_tokens =
      shape.embedding ? 0 : std::max(1U, a.output_tokens ? *a.output_tokens : tokens(output));
  double sent = a.upload ? *a.upload : std::max(0.0, shape.upload.sample(c));
  if (task_slot != ~0U && spec.task.session) {
    // The history comes on top. Its screenshots have been encoded in their own turns.
    Task& task = tasks_[task_slot];
    task.turns.push_back(
        {r.image_tokens, rec.prompt_tokens - r.image_tokens, rec.output_tokens, sent});
    SessionPrompt prompt = session_prompt(*spec.task.session, workloads_[w].draws.value(),
                                          task.record.identity, task.turns);
    rec.prompt_tokens = prompt.tokens;
    r.image_end = prompt.image_end;
    r.prompt_blocks = std::move(prompt.blocks);
    sent = prompt.upload;
  }
  rec.upload = a.upload ? sent : sent + shape.upload_per_token * rec.prompt_tokens;
  rec.download = a.download ? *a.download
                            : std::max(0.0, shape.download.sample(c)) +
                                  shape.download_per_token * rec.output_tokens;
  r.preprocess = shape.preprocess.sample(g);
  r.protocol = shape.protocol.sample(g);
  r.postprocess = shape.postprocess.sample(g);

  if (!retry_credit_.empty()) retry_credit_[w] += shape.retry_budget;
  const Handle h = handle_of(slot);
  if (shape.deadline != Duration::max())
    r.deadline_timer = queue_.push(now_ + shape.deadline, EventKind::queue_timeout, 1, h.pack());
  if (r.preprocess > 0) {
    r.timer = queue_.push(now_ + saturated(r.preprocess), EventKind::local_step, 0,
                          h.pack());
    return slot;
  }
  place(slot);
  return slot;
}

// A delay inside the request is over.
void World::on_local_step(Handle h) {
  Request* r = find(h);
  if (!r) return;
  switch (r->stage) {
    case Stage::preparing:
    case Stage::backing_off: place(h.slot); break;
    case Stage::connecting: r->exchange ? go_on_connecting(h.slot) : start_upload(h.slot); break;
    case Stage::admitting:
      r->exchange && r->exchange->phase == Exchange::Phase::passing ? on_passed(h.slot) : arrive(h.slot);
      break;
    case Stage::answering:
      r->exchange->phase == Exchange::Phase::passing ? on_passed(h.slot) : answer(h.slot);
      break;
    case Stage::finishing: complete(h.slot); break;
    case Stage::looking_up: look_up(h.slot); break;
    case Stage::resuming: resume(h.slot); break;
    case Stage::refused: retry_or_fail(h.slot, results::Cause::node_failed); break;
    case Stage::throttled: arrive(h.slot); break;
    case Stage::pooling: calls_->on_step(h.slot); break;
    default: throw InternalError("request: delay ended in a stage without delays");
  }
}

void World::place(std::uint32_t slot) {
  const results::RequestRecord& record = requests_[slot].record;
  const int fixed = scenario_.workloads[record.workload].service;
  if (const Duration limit = scenario_.workloads[record.workload].request.attempt_timeout;
      limit != Duration::max())
    queue_.push(now_ + limit, EventKind::queue_timeout, attempt_timer | record.attempts,
                handle_of(slot).pack());
  if (scenario_.workloads[record.workload].request.hedging) begin_hedge(slot);
  const std::uint32_t service = fixed >= 0 ? static_cast<std::uint32_t>(fixed) : choose_service(slot);
  assign_service(slot, service);
}

void World::assign_service(std::uint32_t slot, std::uint32_t service) {
  Request& r = requests_[slot];
  if (service == ~0U) return drop(slot, results::Status::rejected, results::Cause::no_replica);
  r.record.service = service;
  if (r.record.first_choice == ~0U) r.record.first_choice = service;
  r.record.accuracy = scenario_.services[service].accuracy;
  r.from = r.host;
  if (scenario_.services[service].split && begin_split(slot)) return;
  approach(slot, service);
}

// On to a replica of the service, from where its data are.
void World::approach(std::uint32_t slot, std::uint32_t service) {
  Request& r = requests_[slot];
  r.serving = service;
  r.replica = route(slot, service);
  if (r.replica != ~0U) return go_to(slot, r.replica);
  // A balancer that has replicas and would use none of them turns requests away.
  if (services_[service].health && !services_[service].listed.empty())
    return drop(slot, results::Status::rejected, results::Cause::no_replica);
  // Nobody is ready: wait for a replica that starts, if one does.
  ServiceState& s = services_[service];
  const std::uint32_t own = scenario_.services[service].local ? local_replica(service, r.host) : ~0U;
  const bool comes = scenario_.services[service].local
                         ? own != ~0U && replicas_[own].phase == ReplicaPhase::starting
                         : expects_replica(service);
  if (!comes || s.pending.size() >= scenario_.services[service].queue_capacity)
    return drop(slot, results::Status::rejected, results::Cause::no_replica);
  r.stage = Stage::pending;
  s.pending.push_back(handle_of(slot).pack());
  note_pending(service, slot);
  if (scenario_.services[service].queue_timeout != Duration::max())
    r.queue_timer = queue_.push(now_ + scenario_.services[service].queue_timeout,
                                EventKind::queue_timeout, 0, handle_of(slot).pack());
}

void World::go_to(std::uint32_t slot, std::uint32_t replica) {
  Request& r = requests_[slot];
  r.replica = replica;
  ++replicas_[replica].outstanding;
  r.record.replica = replicas_[replica].number;
  if (scenario_.services[r.serving].pools)
    r.record.accuracy = scenario_.services[replicas_[replica].service].accuracy;
  if (r.hedge < Hedge::late) hedges_[r.hedge].tried.push_back(replica);
  if (rollouts_) rollouts_->sent(slot, replica);
  if (meets_nobody(slot)) return;
  send(slot);
}

// Local requests are there at once; remote ones pay the protocol, then the upload.
void World::send(std::uint32_t slot) {
  Request& r = requests_[slot];
  queue_.cancel(r.queue_timer);
  if (r.visit && r.visit->nested()) return send_call(slot);
  if (!r.split || r.part <= 1) r.record.sent = now_;
  if (r.from == ~0U || replicas_[r.replica].node == r.from) return arrive(slot);
  const double wait = (r.from == r.host ? r.protocol : 0) + (r.split ? r.hop_encode[r.part - 1] : 0);
  if (r.from == r.host && begin_exchange(slot, wait)) return;
  if (wait > 0) {
    r.stage = Stage::connecting;
    r.timer = queue_.push(now_ + saturated(wait), EventKind::local_step, 0,
                          handle_of(slot).pack());
    return;
  }
  start_upload(slot);
}

void World::set_radio(std::uint32_t host, int uploads, int downloads) {
  NodeState& n = nodes_[host];
  const NodeGroup& g = scenario_.nodes[n.group];
  const auto watts = [&] {
    return (n.uploads > 0 ? g.upload_power : 0.0) + (n.downloads > 0 ? g.download_power : 0.0);
  };
  const double before = watts();
  n.uploads = static_cast<std::uint32_t>(static_cast<int>(n.uploads) + uploads);
  n.downloads = static_cast<std::uint32_t>(static_cast<int>(n.downloads) + downloads);
  const double after = watts();
  if (after != before && n.up) draw(host, after - before);
}

void World::start_upload(std::uint32_t slot) {
  Request& r = requests_[slot];
  r.stage = Stage::uploading;
  r.transfer_start = now_;
  set_radio(r.from, 1, 0);
  const std::uint32_t node = replicas_[r.replica].node;
  double bytes = r.split ? r.hop_bytes[r.part - 1] : r.record.upload;
  if (r.exchange && r.from == r.host) {
    const Exchange& e = *r.exchange;
    bytes = e.wire + e.extra_up;
    if (r.record.counted) {
      const double payload = e.held;
      talk_.wire += bytes;
      talk_.payload += payload;
      if (!e.protocol->encrypted) talk_.in_clear += payload;
      (e.protocol->shows == Shows::raw        ? talk_.raw
       : e.protocol->shows == Shows::features ? talk_.features
                                              : talk_.noised) += payload;
    }
  }
  r.flow = transfer(r.replica, r.from, node, bytes, handle_of(slot).pack());
}

// The radio of a node rests, and a client pays for its own.
void World::rest_radio(Request& r, std::uint32_t node, bool sends, Instant since) {
  set_radio(node, sends ? -1 : 0, sends ? 0 : -1);
  if (node != r.host) return;
  const NodeGroup& g = scenario_.nodes[nodes_[node].group];
  r.record.client_energy +=
      (now_ - since).seconds() * (sends ? g.upload_power : g.download_power);
}

void World::end_transfer(Request& r) {
  const bool up = r.stage == Stage::uploading;
  rest_radio(r, up ? r.from : r.host, up, r.transfer_start);
}

// Under the policy of the service of that replica.
FlowId World::transfer(std::uint32_t replica, std::uint32_t from, std::uint32_t to, double bytes,
                       std::uint64_t tag) {
  const std::uint32_t policy = scenario_.services[replicas_[replica].service].transfers;
  return network_->start({from, to, bytes, 0.0, tag, policy}, now_);
}

void World::on_request_flow_ended(Handle h, network::Outcome outcome) {
  Request* r = find(h);
  if (!r || outcome == network::Outcome::cancelled) return;  // who cancels does the rest
  if (r->stage == Stage::pooling) return calls_->on_flow(h.slot, outcome);
  if (r->stage == Stage::calling || r->stage == Stage::returning) return on_call_flow(h.slot, outcome);
  if (r->handover && r->handover->flow.valid()) {
    r->handover->flow = FlowId::none();
    if (outcome == network::Outcome::delivered) return on_kv_sent(h.slot);
    if (r->stage == Stage::queued) return give_up_handover(h.slot);  // the prompt goes on
    return retry_or_fail(h.slot, results::Cause::network_failed);
  }
  if (r->stage == Stage::connecting && r->flow.valid()) return on_shake_ended(h.slot, outcome);
  if (r->stage != Stage::uploading && r->stage != Stage::downloading) return;
  const bool up = r->stage == Stage::uploading;
  end_transfer(*r);
  r->flow = FlowId::none();
  if (outcome != network::Outcome::delivered)
    return retry_or_fail(h.slot, results::Cause::network_failed);
  if (offload_state_) measure_path(*r, up);
  if (up) arrive(h.slot);
  else complete(h.slot);
}

// A failed transfer or node: start again with a new decision, while retries last.
void World::retry_or_fail(std::uint32_t slot, results::Cause cause) {
  Request& r = requests_[slot];
  const RequestShape& shape = scenario_.workloads[r.record.workload].request;
  end_admission(slot, false);
  end_exchange(slot, false, true);
  if (r.handover) give_up_handover(slot);
  drop_stream(r);
  if (r.replica != ~0U && r.record.served.is_never() && holds_replica(r)) {
    --replicas_[r.replica].outstanding;
    const std::uint32_t replica = r.replica;
    r.replica = ~0U;
    if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  }
  end_try(slot, cause == results::Cause::cancelled ? schedulers::TryEnd::timeout
                                                   : schedulers::TryEnd::error);
  if (cause != results::Cause::cancelled && r.hedge != Hedge::late && try_elsewhere(slot)) return;
  if (slot < tries_.size()) tries_[slot].failed.clear();
  if (r.visit) {
    if (miss_instead(slot)) return;
    if (calls_ && calls_->branch_failed(slot, results::Status::failed, cause, true)) return;
    abandon_visit(slot);
  }
  if (r.hedge != Hedge::none && lost_to_others(slot)) return;
  if (r.record.attempts > shape.retries || !may_retry(r.record.workload))
    return drop(slot, results::Status::failed, cause);
  Duration wait = shape.retry_backoff * (1LL << std::min<int>(r.record.attempts - 1, 20));
  if (shape.retry_jitter > 0) {
    Rng g = retry_draws_.at(r.record.identity, r.record.attempts);
    wait = Duration::from_seconds(wait.seconds() * (1 - shape.retry_jitter * uniform01(g)));
  }
  ++r.record.attempts;
  forget_attempt(r);
  r.split = nullptr;
  r.part = 0;
  r.stage = Stage::backing_off;
  r.timer = queue_.push(now_ + wait, EventKind::local_step, 0, handle_of(slot).pack());
}

// As if it had never been at a replica.
void World::forget_attempt(Request& r) {
  begin_anew(r.record);
  r.replica = ~0U;
}

// Takes a retry from the budget of the workload, if there is one.
bool World::may_retry(std::uint32_t workload) {
  if (retry_credit_.empty()) return true;
  if (retry_credit_[workload] < 1) return false;
  --retry_credit_[workload];
  return true;
}

// The request is at the service, or through its front end. Its replica may have gone meanwhile.
void World::arrive(std::uint32_t slot) {
  Request& r = requests_[slot];
  if (r.exchange && r.exchange->phase == Exchange::Phase::sending && pass_broker(slot)) return;
  const bool admitted = r.stage == Stage::admitting, throttled = r.stage == Stage::throttled;
  if (!meters_.empty() && !admitted && !throttled) note_arrival(slot, r.replica);
  if (admission_ && !admitted && !throttled && !admit(slot)) return;
  Duration front = scenario_.services[r.serving].request_overhead;
  if (!admitted && r.exchange) front = front + saturated(std::exchange(r.exchange->server_before, 0.0));
  if (!admitted && front > Duration::zero() && !(r.split && !r.split->parts[r.part])) {
    if (!throttled) r.record.arrived = now_;
    r.stage = Stage::admitting;
    r.timer = queue_.push(now_ + front, EventKind::local_step, 0, handle_of(slot).pack());
    return;
  }
  const ReplicaPhase phase = replicas_[r.replica].phase;
  if (phase == ReplicaPhase::gone || phase == ReplicaPhase::starting) {
    if (services_[r.serving].health || (calls_ && calls_->is_bound(r)))
      return retry_or_fail(slot, results::Cause::node_failed);
    --replicas_[r.replica].outstanding;
    r.replica = route(slot, r.serving);
    if (r.replica == ~0U) return drop(slot, results::Status::failed, results::Cause::node_failed);
    ++replicas_[r.replica].outstanding;
    r.record.replica = replicas_[r.replica].number;
  }
  if (r.split && !r.split->parts[r.part]) return next_part(slot);
  if (!admitted && !throttled) r.record.arrived = now_;
  if (scenario_.services[r.serving].fetching && begin_visit(slot)) return;
  r.stage = Stage::queued;
  enqueue(slot);
}

// The service is done with it: the answer travels back.
void World::served(std::uint32_t slot, Instant at) {
  if (rollouts_ && rollouts_->fails(slot, at)) return;
  if (failover_ && failover_->hold(slot)) return;
  Request& r = requests_[slot];
  if (r.split && r.part < r.split->last) return next_part(slot);
  if (r.split && r.part == 0) r.record.download = 0;
  if (r.visit && !leaves(slot)) return;
  end_admission(slot, true);
  if (!meters_.empty()) note_answer(slot, at);
  r.record.served = at;
  if (costs_) count_use(r.record.service, r.record);
  const std::uint32_t replica = r.replica;
  const std::uint32_t node = replicas_[replica].node;
  --replicas_[replica].outstanding;
  if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  if (outboxes_) outboxes_->served(r.record.service, node);
  const bool remote = r.host != ~0U && node != r.host;
  double egress = r.record.download;
  if (r.exchange) {
    const Protocol& p = *r.exchange->protocol;
    r.record.accuracy = std::max(0.0, r.record.accuracy - p.accuracy_loss);
    if (!r.stream) egress = wire_bytes(p, p.down, egress);
    if (r.stream || !remote) leave_broker(r);
  }
  if (remote && scenario_.nodes[nodes_[node].group].tier == schedulers::Tier::cloud && warm_)
    egress_cost_ += egress * scenario_.egress_price, egress_bytes_ += egress;
  if (r.stream) return end_of_stream(slot);
  if (!remote) return complete(slot);
  if (r.exchange) return answer(slot);
  start_download(slot);
}

void World::complete(std::uint32_t slot) {
  Request& r = requests_[slot];
  end_try(slot, schedulers::TryEnd::answered);
  if (r.exchange) {
    r.postprocess += r.exchange->client_after;
    end_exchange(slot, true, false);
  }
  if (r.hedge != Hedge::none && !wins(slot)) return;
  if (r.postprocess > 0) {
    r.stage = Stage::finishing;
    r.timer = queue_.push(now_ + saturated(r.postprocess), EventKind::local_step, 0,
                          handle_of(slot).pack());
    r.postprocess = 0;
    return;
  }
  r.record.status = results::Status::completed;
  r.record.completed = now_;
  finish_record(slot);
}

void World::drop(std::uint32_t slot, results::Status status, results::Cause cause) {
  Request& r = requests_[slot];
  if (!tries_.empty()) {
    using schedulers::TryEnd;
    end_try(slot, cause == results::Cause::queue_full || cause == results::Cause::queue_timeout ||
                          cause == results::Cause::not_admitted
                      ? TryEnd::rejected
                  : cause == results::Cause::cancelled || cause == results::Cause::too_large
                      ? TryEnd::abandoned
                      : TryEnd::error);
    if (slot < tries_.size()) tries_[slot].failed.clear();
  }
  if (r.visit && cause != results::Cause::cancelled && miss_instead(slot)) return;
  if (calls_ && calls_->branch_failed(slot, status, cause, false)) return;
  if (r.hedge != Hedge::none && lost_to_others(slot)) return;
  if (!meters_.empty()) note_failure(slot);
  r.record.status = status;
  r.record.cause = cause;
  finish_record(slot);
}

// Hands the record over, tells the policy, frees the slot, moves its task on.
void World::finish_record(std::uint32_t slot) {
  Request& r = requests_[slot];
  if (r.visit) abandon_visit(slot);
  queue_.cancel(r.deadline_timer);
  queue_.cancel(r.queue_timer);
  end_exchange(slot, r.record.status != results::Status::failed,
               r.record.cause == results::Cause::node_failed);
  if (r.host != ~0U) {
    const NodeGroup& g = scenario_.nodes[nodes_[r.host].group];
    r.record.client_energy += g.base_power * (now_ - r.record.created).seconds();
  }
  if (updates_ && r.record.counted && r.record.status == results::Status::completed) count_version(r);
  if (rollouts_) rollouts_->observe(r);
  recorder_.add(r.record);
  if (eyes_ && watched(r)) ended_ = true;
  if (levels_ && r.record.counted) levels_->observe(r.record);
  if (offload_ && r.candidate != ~0U) report_outcome(r);
  close_request(slot);
  end_of_request(r.record.workload, r.record.client, r.task,
                 r.record.status == results::Status::completed);
}

// Deadline (1), queue timeout (0), or timeout of an attempt or in its broker.
void World::on_request_timer(std::uint32_t which, Handle h) {
  Request* r = find(h);
  if (!r) return;
  // The patience of the client is for all copies together.
  const bool of_client = which == 1 || (which & attempt_timer) != 0;
  if (of_client && r->hedge != Hedge::none && !leads(h.slot)) return;
  if (which >= broker_timer) {
    if (r->record.attempts != (which & ~(attempt_timer | broker_timer))) return;
    if ((which & broker_timer) && !(r->exchange && r->exchange->broker)) return;
    if (r->stage == Stage::backing_off || r->stage == Stage::finishing) return;
    if (r->record.counted) ++talk_.timeouts;
    if (of_client && r->hedge != Hedge::none) part_from_others(h.slot);
    withdraw(h.slot);
    if (r->visit) abandon_visit(h.slot);
    // A batch that runs on must not find the next attempt under this name.
    ++r->generation;
    if (queue_.cancel(r->deadline_timer)) {
      const Duration deadline = scenario_.workloads[r->record.workload].request.deadline;
      r->deadline_timer = queue_.push(r->record.created + deadline, EventKind::queue_timeout, 1,
                                      handle_of(h.slot).pack());
    }
    return retry_or_fail(h.slot, results::Cause::cancelled);
  }
  if (which == 0) {
    if (r->stage == Stage::pooling) return calls_->on_timeout(h.slot);
    // Only those who still wait are turned away.
    if (r->stage == Stage::queued && !r->record.started.is_never()) return;
    if (r->stage != Stage::queued && r->stage != Stage::pending) return;
  } else if (r->hedge != Hedge::none) {
    part_from_others(h.slot);
  }
  withdraw(h.slot);
  if (which == 0) drop(h.slot, results::Status::rejected, results::Cause::queue_timeout);
  else drop(h.slot, results::Status::failed, results::Cause::cancelled);
}

// Takes a request out of whatever it is in.
void World::withdraw(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint64_t tag = handle_of(slot).pack();
  end_exchange(slot, false, false);
  if (r.handover) give_up_handover(slot);
  const bool streamed = r.stream != nullptr;
  drop_stream(r);
  switch (r.stage) {
    case Stage::handing_over:
    case Stage::coalesced: break;
    case Stage::joining: calls_->stop_branches(slot); break;
    case Stage::pooling: calls_->withdraw(slot); break;
    case Stage::looking_up:
    case Stage::resuming:
    case Stage::refused:
    case Stage::throttled:
    case Stage::preparing:
    case Stage::connecting:
    case Stage::admitting:
    case Stage::answering:
    case Stage::finishing:
    case Stage::backing_off: queue_.cancel(r.timer); break;
    case Stage::pending: {
      auto& pending = services_[r.serving].pending;
      pending.erase(std::find(pending.begin(), pending.end(), tag));
      note_pending(r.serving, ~0U);
      break;
    }
    case Stage::uploading:
    case Stage::downloading: {
      if (streamed) break;
      end_transfer(r);
      network_->cancel(r.flow, now_);
      break;
    }
    case Stage::calling:
    case Stage::returning: {
      end_call_transfer(r);
      network_->cancel(r.flow, now_);
      break;
    }
    case Stage::queued: {
      Replica& p = replicas_[r.replica];
      if (p.engine) {
        p.engine->cancel(tag);
        look_again(r.replica);
      } else {
        // A batch in service runs on; its end finds a stale tag. What is left may be a batch now.
        if ((!p.line || !p.line->erase(tag)) && p.server->remove(tag) && p.server->wants_requests() &&
            p.server->can_start())
          request_dispatch(r.replica);
      }
      show_load(r.replica);
      break;
    }
  }
  if (r.replica != ~0U && r.record.served.is_never() && holds_replica(r)) {
    const std::uint32_t replica = r.replica;
    r.replica = ~0U;
    --replicas_[replica].outstanding;
    if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  }
}

}  // namespace isthmus::world
