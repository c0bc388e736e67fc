// The life of one request: created, prepared, placed, sent, served, answered - or dropped on the way.
#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/world/saturated.hpp"
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

std::uint32_t World::create_request(std::uint32_t w, std::uint32_t client, const Arrival& a,
                                    std::uint32_t task_slot, double context) {
  const Workload& spec = scenario_.workloads[w];
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
  r = Request();
  r.generation = generation;
  r.live = true;
  ++live_requests_;

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
    case Stage::connecting: start_upload(h.slot); break;
    case Stage::admitting: arrive(h.slot); break;
    case Stage::finishing: complete(h.slot); break;
    case Stage::looking_up: look_up(h.slot); break;
    case Stage::resuming: resume(h.slot); break;
    default: throw InternalError("request: delay ended in a stage without delays");
  }
}

void World::place(std::uint32_t slot) {
  const int fixed = scenario_.workloads[requests_[slot].record.workload].service;
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
  if (r.replica != ~0U) {
    ++replicas_[r.replica].outstanding;
    r.record.replica = replicas_[r.replica].number;
    if (scenario_.services[service].pools)
      r.record.accuracy = scenario_.services[replicas_[r.replica].service].accuracy;
    return send(slot);
  }
  // Nobody is ready: wait for a replica that starts, if one does.
  ServiceState& s = services_[service];
  if (!expects_replica(service) || s.pending.size() >= scenario_.services[service].queue_capacity)
    return drop(slot, results::Status::rejected, results::Cause::no_replica);
  r.stage = Stage::pending;
  s.pending.push_back(handle_of(slot).pack());
  if (scenario_.services[service].queue_timeout != Duration::max())
    r.queue_timer = queue_.push(now_ + scenario_.services[service].queue_timeout,
                                EventKind::queue_timeout, 0, handle_of(slot).pack());
}

// Local requests are there at once; remote ones pay the protocol, then the upload.
void World::send(std::uint32_t slot) {
  Request& r = requests_[slot];
  queue_.cancel(r.queue_timer);
  if (r.visit && r.visit->nested()) return send_call(slot);
  if (!r.split || r.part <= 1) r.record.sent = now_;
  if (r.from == ~0U || replicas_[r.replica].node == r.from) return arrive(slot);
  const double wait = (r.from == r.host ? r.protocol : 0) + (r.split ? r.hop_encode[r.part - 1] : 0);
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
  const double bytes = r.split ? r.hop_bytes[r.part - 1] : r.record.upload;
  const std::uint32_t policy = scenario_.services[replicas_[r.replica].service].transfers;
  r.flow = network_->start({r.from, node, bytes, 0.0, handle_of(slot).pack(), policy}, now_);
}

// The radios rest, and the client pays for its own.
void World::end_transfer(Request& r) {
  const bool up = r.stage == Stage::uploading;
  const std::uint32_t node = up ? r.from : r.host;
  set_radio(node, up ? -1 : 0, up ? 0 : -1);
  if (node != r.host) return;
  const NodeGroup& g = scenario_.nodes[nodes_[node].group];
  r.record.client_energy +=
      (now_ - r.transfer_start).seconds() * (up ? g.upload_power : g.download_power);
}

void World::on_flow_ended(Handle h, network::Outcome outcome) {
  Request* r = find(h);
  if (!r) return on_answer_sent(h, outcome);
  if (r->stage == Stage::calling || r->stage == Stage::returning) return on_call_flow(h.slot, outcome);
  if (r->handover && r->handover->flow.valid()) {
    if (outcome == network::Outcome::cancelled) return;
    r->handover->flow = FlowId::none();
    if (outcome == network::Outcome::delivered) return on_kv_sent(h.slot);
    if (r->stage == Stage::queued) return give_up_handover(h.slot);  // the prompt goes on
    return retry_or_fail(h.slot, results::Cause::network_failed);
  }
  if (r->stage != Stage::uploading && r->stage != Stage::downloading) return;
  const bool up = r->stage == Stage::uploading;
  end_transfer(*r);
  r->flow = FlowId::none();
  if (outcome != network::Outcome::delivered)
    return retry_or_fail(h.slot, results::Cause::network_failed);
  if (up) arrive(h.slot);
  else complete(h.slot);
}

// A failed transfer or node: start again with a new decision, while retries last.
void World::retry_or_fail(std::uint32_t slot, results::Cause cause) {
  Request& r = requests_[slot];
  const RequestShape& shape = scenario_.workloads[r.record.workload].request;
  if (r.handover) give_up_handover(slot);
  drop_stream(r);
  if (r.replica != ~0U && r.record.served.is_never()) {
    --replicas_[r.replica].outstanding;
    const std::uint32_t replica = r.replica;
    r.replica = ~0U;
    if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  }
  if (r.visit) {
    if (miss_instead(slot)) return;
    abandon_visit(slot);
  }
  if (r.record.attempts > shape.retries) return drop(slot, results::Status::failed, cause);
  const Duration wait = shape.retry_backoff * (1LL << std::min<int>(r.record.attempts - 1, 20));
  ++r.record.attempts;
  r.record.arrived = r.record.started = r.record.first_token = r.record.served = Instant::never();
  r.record.kv_bytes = 0;
  r.record.kv_sent = r.record.kv_received = Instant::never();
  r.record.first_received = Instant::never();
  r.record.streamed = false;
  r.replica = ~0U;
  r.split = nullptr;
  r.part = 0;
  r.stage = Stage::backing_off;
  r.timer = queue_.push(now_ + wait, EventKind::local_step, 0, handle_of(slot).pack());
}

// The request is at the service, or through its front end. Its replica may have gone meanwhile.
void World::arrive(std::uint32_t slot) {
  Request& r = requests_[slot];
  const bool admitted = r.stage == Stage::admitting;
  const Duration front = scenario_.services[r.serving].request_overhead;
  if (!admitted && front > Duration::zero() && !(r.split && !r.split->parts[r.part])) {
    r.record.arrived = now_;
    r.stage = Stage::admitting;
    r.timer = queue_.push(now_ + front, EventKind::local_step, 0, handle_of(slot).pack());
    return;
  }
  const ReplicaPhase phase = replicas_[r.replica].phase;
  if (phase == ReplicaPhase::gone || phase == ReplicaPhase::starting) {
    --replicas_[r.replica].outstanding;
    r.replica = route(slot, r.serving);
    if (r.replica == ~0U) return drop(slot, results::Status::failed, results::Cause::node_failed);
    ++replicas_[r.replica].outstanding;
    r.record.replica = replicas_[r.replica].number;
  }
  if (r.split && !r.split->parts[r.part]) return next_part(slot);
  if (!admitted) r.record.arrived = now_;
  if (scenario_.services[r.serving].fetching && begin_visit(slot)) return;
  r.stage = Stage::queued;
  enqueue(slot);
}

// The service is done with it: the answer travels back.
void World::served(std::uint32_t slot, Instant at) {
  Request& r = requests_[slot];
  if (r.split && r.part < r.split->last) return next_part(slot);
  if (r.split && r.part == 0) r.record.download = 0;
  if (r.visit && !leaves(slot)) return;
  r.record.served = at;
  const std::uint32_t replica = r.replica;
  const std::uint32_t node = replicas_[replica].node;
  --replicas_[replica].outstanding;
  if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  const bool remote = r.host != ~0U && node != r.host;
  if (remote && scenario_.nodes[nodes_[node].group].tier == schedulers::Tier::cloud && warm_)
    egress_cost_ += r.record.download * scenario_.egress_price;
  if (r.stream) return end_of_stream(slot);
  if (!remote) return complete(slot);
  r.stage = Stage::downloading;
  r.transfer_start = now_;
  set_radio(r.host, 0, 1);
  const std::uint32_t policy = scenario_.services[replicas_[replica].service].transfers;
  r.flow = network_->start({node, r.host, r.record.download, 0.0, handle_of(slot).pack(), policy}, now_);
}

// Between services: what leaves the cloud for another tier costs money.
void World::add_egress(std::uint32_t from, std::uint32_t to, double bytes) {
  const auto in_cloud = [&](std::uint32_t node) {
    return scenario_.nodes[nodes_[node].group].tier == schedulers::Tier::cloud;
  };
  if (warm_ && in_cloud(from) && !in_cloud(to)) egress_cost_ += bytes * scenario_.egress_price;
}

void World::complete(std::uint32_t slot) {
  Request& r = requests_[slot];
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
  if (r.visit && cause != results::Cause::cancelled && miss_instead(slot)) return;
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
  if (r.host != ~0U) {
    const NodeGroup& g = scenario_.nodes[nodes_[r.host].group];
    r.record.client_energy += g.base_power * (now_ - r.record.created).seconds();
  }
  recorder_.add(r.record);
  if (offload_ && r.candidate != ~0U)
    offload_->observe({r.record.request, r.candidate, r.record.status == results::Status::completed,
                       now_ - r.record.created, r.record.client_energy});
  r.live = false;
  ++r.generation;
  --live_requests_;
  free_requests_.push_back(slot);
  end_of_request(r.record.workload, r.record.client, r.task,
                 r.record.status == results::Status::completed);
}

// Deadline (1) or queue timeout (0).
void World::on_request_timer(std::uint32_t which, Handle h) {
  Request* r = find(h);
  if (!r) return;
  if (which == 0) {
    // Only those who still wait are turned away.
    if (r->stage == Stage::queued && !r->record.started.is_never()) return;
    if (r->stage != Stage::queued && r->stage != Stage::pending) return;
  }
  withdraw(h.slot);
  if (which == 0) drop(h.slot, results::Status::rejected, results::Cause::queue_timeout);
  else drop(h.slot, results::Status::failed, results::Cause::cancelled);
}

// Takes a request out of whatever it is in.
void World::withdraw(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint64_t tag = handle_of(slot).pack();
  if (r.handover) give_up_handover(slot);
  const bool streamed = r.stream != nullptr;
  drop_stream(r);
  switch (r.stage) {
    case Stage::handing_over:
    case Stage::coalesced: break;
    case Stage::looking_up:
    case Stage::resuming:
    case Stage::preparing:
    case Stage::connecting:
    case Stage::admitting:
    case Stage::finishing:
    case Stage::backing_off: queue_.cancel(r.timer); break;
    case Stage::pending: {
      auto& pending = services_[r.serving].pending;
      pending.erase(std::find(pending.begin(), pending.end(), tag));
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
        p.server->remove(tag);  // a batch in service runs on; its end finds a stale tag
      }
      show_load(r.replica);
      break;
    }
  }
  if (r.replica != ~0U && r.record.served.is_never()) {
    const std::uint32_t replica = r.replica;
    r.replica = ~0U;
    --replicas_[replica].outstanding;
    if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  }
}

}  // namespace isthmus::world
