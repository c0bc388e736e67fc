// Answers that travel token by token while they are computed.
//
// A stream has one message on its way at a time. The first token leaves at once; each message after it
// takes all tokens that have been computed when the one before is delivered, or, if there are none, the
// next one, at its own date. A slow link makes longer messages, as a connection's send buffer does.
#include <algorithm>

#include "sim/world/world.hpp"

namespace isthmus::world {

// The first token is there.
void World::begin_stream(std::uint32_t slot) {
  Request& r = requests_[slot];
  r.stream = std::make_unique<AnswerStream>();
  r.stream->tokens = 1;
  r.record.streamed = true;
  send_tokens(slot);
}

// Output tokens that its replica has computed so far.
std::uint32_t World::tokens_computed(std::uint32_t slot) const {
  const Request& r = requests_[slot];
  if (r.stage == Stage::downloading) return r.record.output_tokens;
  if (r.stage != Stage::queued) return r.stream->tokens;  // its KV cache travels
  const std::int64_t left =
      replicas_[r.replica].engine->left(handle_of(slot).pack(), now_, r.stream->place);
  if (left < 0) return r.stream->tokens;  // it waits
  return std::max(r.stream->tokens, r.record.output_tokens - static_cast<std::uint32_t>(left));
}

// Sends what there is, or waits for the next token.
void World::send_tokens(std::uint32_t slot) {
  Request& r = requests_[slot];
  AnswerStream& s = *r.stream;
  s.tokens = tokens_computed(slot);
  if (s.tokens == s.sent || (now_ < s.earliest && r.stage == Stage::queued)) return await_token(slot);
  double bytes = r.record.download / r.record.output_tokens * (s.tokens - s.sent);
  const std::uint32_t node = replicas_[r.replica].node;
  s.sent = s.tokens;
  s.earliest = now_ + scenario_.workloads[r.record.workload].request.stream_interval;
  if (node == r.host || r.host == ~0U) return received(slot);
  if (r.exchange) bytes = wire_of_answer(r, bytes);
  s.since = now_;
  set_radio(r.host, 0, 1);
  s.flow = transfer(r.replica, node, r.host, bytes, flow_tag(FlowOwner::message, handle_of(slot)));
}

// Wakes up at the next token. Between two spans nobody knows its date: the next span will.
void World::await_token(std::uint32_t slot) {
  Request& r = requests_[slot];
  if (r.stage != Stage::queued) return;
  Replica& p = replicas_[r.replica];
  if (p.node == r.host || r.host == ~0U) return;  // nothing travels: the last token ends it
  const std::uint64_t tag = handle_of(slot).pack();
  if (p.engine->busy())
    r.stream->timer = queue_.push(std::max(p.engine->next_boundary(now_), r.stream->earliest),
                                  EventKind::token_due, 0, tag);
  else
    p.streams.push_back(tag);
}

// A span has begun.
void World::wake_streams(Replica& p) {
  wakeful_.swap(p.streams);
  for (const std::uint64_t tag : wakeful_) {
    const Handle h = Handle::unpack(tag);
    const Request* r = find(h);
    if (r && r->stream && !r->stream->flow.valid() && !r->stream->timer.valid()) await_token(h.slot);
  }
  wakeful_.clear();
}

void World::on_token_due(Handle h) {
  Request* r = find(h);
  if (!r || !r->stream) return;
  r->stream->timer = {};
  if (!r->stream->flow.valid()) send_tokens(h.slot);
}

void World::end_message(Request& r) {
  r.stream->flow = FlowId::none();
  rest_radio(r, r.host, false, r.stream->since);
}

void World::on_message_ended(Handle h, network::Outcome outcome) {
  Request* r = find(h);
  if (!r || !r->stream || !r->stream->flow.valid() || outcome == network::Outcome::cancelled) return;
  end_message(*r);
  if (outcome != network::Outcome::delivered) {
    withdraw(h.slot);
    return retry_or_fail(h.slot, results::Cause::network_failed);
  }
  received(h.slot);
}

// A message is at the client.
void World::received(std::uint32_t slot) {
  Request& r = requests_[slot];
  if (r.record.first_received.is_never()) {
    r.record.first_received = now_;
    if (r.hedge < Hedge::late) wins(slot);
  }
  if (r.stage != Stage::downloading || r.stream->sent < r.record.output_tokens)
    return send_tokens(slot);
  r.record.last_received = now_;
  r.stream.reset();
  complete(slot);
}

// All tokens are computed: the last ones leave, after those on their way.
void World::end_of_stream(std::uint32_t slot) {
  Request& r = requests_[slot];
  queue_.cancel(r.stream->timer);
  r.stage = Stage::downloading;
  if (r.stream->flow.valid()) return;
  if (r.stream->sent < r.record.output_tokens) send_tokens(slot);
  else received(slot);
}

void World::drop_stream(Request& r) {
  if (!r.stream) return;
  queue_.cancel(r.stream->timer);
  if (const FlowId flow = r.stream->flow; flow.valid()) {
    end_message(r);
    network_->cancel(flow, now_);
  }
  r.stream.reset();
}

}  // namespace isthmus::world
