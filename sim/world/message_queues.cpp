#include "sim/world/message_queues.hpp"

#include <algorithm>
#include <limits>

#include "sim/world/calls.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

MessageQueues::MessageQueues(World& world) : world_(world) {
  for (std::uint32_t i = 0; i < world.scenario_.services.size(); ++i) {
    const auto& fetching = world.scenario_.services[i].fetching;
    if (!fetching || !fetching->queue) continue;
    of_service_[i] = states_.size();
    states_.emplace_back().service = i;
  }
  reset_totals();
}

void MessageQueues::put(State& s, Line& line, std::uint64_t number, bool first) {
  if (first) line.waiting.push_front(number);
  else line.waiting.push_back(number);
  s.waiting.change(world_.now_, 1);
  s.most = std::max(s.most, s.waiting.value());
}

bool MessageQueues::publish(std::uint32_t slot) {
  const Request& r = world_.requests_[slot];
  State& s = states_[of_service_.at(r.serving)];
  Line& line = s.lines[r.replica];
  if (line.held >= world_.scenario_.services[r.serving].fetching->queue->capacity) return false;
  ++line.held;
  const std::uint64_t number = next_++;
  Message& m = messages_[number];
  m.record = r.record;
  m.record.service = r.serving;
  m.record.client_energy = 0;
  m.host = r.host;
  m.image_tokens = r.image_tokens;
  m.image_end = r.image_end;
  m.replica = r.replica;
  m.prompt_blocks = r.prompt_blocks;
  m.key = r.key;
  m.path = r.visit->here().path;
  m.hops = r.visit->hops;
  m.published = world_.now_;
  if (m.record.counted) ++s.published;
  put(s, line, number, false);
  deliver(m.replica);
  return true;
}

// As many as may be without an answer.
void MessageQueues::deliver(std::uint32_t replica) {
  const std::uint32_t service = world_.replicas_[replica].service;
  State& s = states_[of_service_.at(service)];
  Line& line = s.lines[replica];
  const QueueSpec& spec = *world_.scenario_.services[service].fetching->queue;
  if (world_.replicas_[replica].phase != ReplicaPhase::ready) return;
  while (line.out < spec.concurrency && !line.waiting.empty()) {
    const std::uint64_t number = line.waiting.front();
    line.waiting.pop_front();
    s.waiting.change(world_.now_, -1);
    s.oldest = std::max(s.oldest, world_.now_ - messages_.at(number).published);
    ++line.out;
    open_delivery(number);
  }
}

void MessageQueues::open_delivery(std::uint64_t number) {
  Message& m = messages_.at(number);
  const std::uint32_t slot = world_.open_request();
  Request& r = world_.requests_[slot];
  r.record = m.record;
  // A try is an attempt of its own in all draws.
  r.record.attempts = static_cast<std::uint16_t>(m.record.attempts + m.tries++);
  begin_anew(r.record);
  r.host = m.host;
  r.image_tokens = m.image_tokens;
  r.image_end = m.image_end;
  r.prompt_blocks = m.prompt_blocks;
  r.key = m.key;
  r.serving = m.record.service;
  r.replica = m.replica;
  r.from = world_.replicas_[m.replica].node;
  r.visit = std::make_unique<Visit>();
  Visit& v = *r.visit;
  v.branch = true;
  v.message = number;
  v.made_bytes = r.record.download;
  v.made_tokens = r.record.output_tokens;
  v.hops = hash_combine(m.hops, number);
  Level l;
  l.serving = r.serving;
  l.replica = r.replica;
  l.borrowed = true;
  l.path = hash_combine(m.path, 1);
  v.levels.push_back(l);
  m.delivery = world_.handle_of(slot);
  const QueueSpec& spec = *world_.scenario_.services[r.serving].fetching->queue;
  if (spec.ack_timeout != Duration::max())
    m.timer = world_.queue_.push(world_.now_ + spec.ack_timeout, EventKind::message_queue, late, number);
  world_.resume_later(slot, Visit::Next::begin);
}

void MessageQueues::forget(std::uint64_t number) {
  const Message& m = messages_.at(number);
  --state_of(m).lines[m.replica].held;
  messages_.erase(number);
}

void MessageQueues::consumed(std::uint64_t number) {
  Message& m = messages_.at(number);
  State& s = state_of(m);
  world_.queue_.cancel(m.timer);
  if (m.record.counted) {
    ++s.consumed;
    s.delays->add(static_cast<double>((world_.now_ - m.published).ns()));
  }
  const std::uint32_t replica = m.replica;
  --s.lines[replica].out;
  forget(number);
  deliver(replica);
}

void MessageQueues::failed(std::uint64_t number) {
  Message& m = messages_.at(number);
  State& s = state_of(m);
  const QueueSpec& spec = *world_.scenario_.services[s.service].fetching->queue;
  world_.queue_.cancel(m.timer);
  const std::uint32_t replica = m.replica;
  --s.lines[replica].out;
  if (m.tries >= spec.max_tries) {
    if (m.record.counted) ++s.dead;
    forget(number);
  } else {
    if (m.record.counted) ++s.redelivered;
    ++returning_;
    m.timer = world_.queue_.push(world_.now_ + spec.redelivery_delay, EventKind::message_queue, due, number);
  }
  deliver(replica);
}

void MessageQueues::on_event(std::uint32_t what, std::uint64_t number) {
  const auto it = messages_.find(number);
  if (it == messages_.end()) return;
  Message& m = it->second;
  if (what == due) {
    --returning_;
    State& s = state_of(m);
    put(s, s.lines[m.replica], number, true);  // the older ones first
    return deliver(m.replica);
  }
  const std::uint32_t slot = m.delivery.slot;
  world_.withdraw(slot);
  world_.calls_->branch_failed(slot, results::Status::failed, results::Cause::cancelled, true);
}

void MessageQueues::replica_ready(std::uint32_t replica) {
  if (manages(world_.replicas_[replica].service)) deliver(replica);
}

// Deliveries have failed already.
void MessageQueues::replica_lost(std::uint32_t replica) {
  const std::uint32_t service = world_.replicas_[replica].service;
  if (!manages(service) || world_.scenario_.services[service].fetching->queue->durable) return;
  State& s = states_[of_service_.at(service)];
  Line& line = s.lines[replica];
  for (auto it = messages_.begin(); it != messages_.end();) {
    Message& m = it->second;
    if (m.record.service != service || m.replica != replica) {
      ++it;
      continue;
    }
    if (m.record.counted) ++s.lost;
    if (world_.queue_.cancel(m.timer)) --returning_;
    it = messages_.erase(it);
  }
  s.waiting.change(world_.now_, -static_cast<double>(line.waiting.size()));
  line = Line();
}

bool MessageQueues::idle() const {
  if (returning_ > 0) return false;
  for (const State& s : states_)
    for (const auto& [replica, line] : s.lines)
      if (!line.waiting.empty() && world_.replicas_[replica].phase == ReplicaPhase::ready) return false;
  return true;
}

void MessageQueues::reset_totals() {
  for (State& s : states_) {
    s.published = s.consumed = s.redelivered = s.dead = s.lost = 0;
    s.waiting.reset(world_.now_);
    s.most = s.waiting.value();
    s.oldest = Duration();
    s.delays = std::make_unique<results::Distribution>(!world_.scenario_.streaming);
  }
}

void MessageQueues::add_totals(std::vector<std::pair<std::string, double>>& out) {
  for (State& s : states_) {
    std::uint64_t open = 0;
    for (const auto& [number, m] : messages_)
      if (m.record.service == s.service && m.record.counted) ++open;
    for (const auto& [replica, line] : s.lines)
      for (const std::uint64_t number : line.waiting)
        s.oldest = std::max(s.oldest, world_.now_ - messages_.at(number).published);
    const std::string& name = world_.scenario_.services[s.service].name;
    const auto put = [&](const char* what, double value, const char* suffix = "") {
      out.emplace_back(std::string(what) + "." + name + suffix, value);
    };
    s.delays->seal();
    const results::MergedDistribution delays({s.delays.get()});
    const double percentile = 95;
    put("messages_published", static_cast<double>(s.published));
    put("messages_consumed", static_cast<double>(s.consumed));
    put("messages_redelivered", static_cast<double>(s.redelivered));
    put("messages_dead", static_cast<double>(s.dead));
    put("messages_lost", static_cast<double>(s.lost));
    put("messages_open", static_cast<double>(open));
    put("message_depth", s.waiting.mean(world_.now_), ".mean");
    put("message_depth", s.most, ".max");
    put("message_age", s.oldest.seconds());
    put("message_delay", delays.mean() * 1e-9, ".mean");
    put("message_delay", delays.percentiles(std::span(&percentile, 1)).front() * 1e-9, ".p95");
  }
}

}  // namespace isthmus::world
