#include "results/tally.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace isthmus::results {

namespace {

using Kind = ObjectiveRule::Kind;

double between(Instant from, Instant to) { return static_cast<double>((to - from).ns()); }

// Whether a request asks for tokens, so that objectives on tokens concern it.
bool is_token_request(const RequestRecord& r) {
  return r.prompt_tokens > 0 || r.output_tokens > 0 || !r.first_token.is_never();
}

// When the client, or without a stream the service, has the first token.
Instant first_seen(const RequestRecord& r) { return r.streamed ? r.first_received : r.first_token; }

}  // namespace

std::vector<ObjectiveRule> ObjectiveRule::of(const std::vector<Objective>& objectives) {
  std::vector<ObjectiveRule> rules;
  for (const Objective& o : objectives) {
    ObjectiveRule rule;
    if (o.metric == "latency")
      rule.kind = Kind::latency;
    else if (o.metric == "ttft")
      rule.kind = Kind::ttft;
    else if (o.metric == "tpot")
      rule.kind = Kind::tpot;
    else if (o.metric == "task_duration")
      rule.kind = Kind::task_duration;
    else
      throw Error(
          fmt::format("objective on '{}': valid metrics are latency, ttft, tpot and "
                      "task_duration",
                      o.metric));
    if (!(o.percentile > 0 && o.percentile <= 100))
      throw Error(
          fmt::format("objective on {}: percentile {} is not in (0, 100]", o.metric, o.percentile));
    if (o.target <= Duration::zero())
      throw Error(fmt::format("objective on {}: the target must be positive", o.metric));
    rule.target = static_cast<double>(o.target.ns());
    rule.percentile = o.percentile;
    rules.push_back(rule);
  }
  return rules;
}

RequestTally::RequestTally(bool exact, const std::vector<ObjectiveRule>* rules)
    : attainment(rules->size()), rules_(rules) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(Timed::count_); ++i)
    timed_.emplace_back(exact);
}

void RequestTally::add(const RequestRecord& r) {
  ++created;
  client_energy += r.client_energy;
  retried += r.attempts > 1 ? 1 : 0;
  if (r.status != Status::completed) {
    if (r.status == Status::in_flight) {
      ++in_flight;
      return;
    }
    ++(r.status == Status::rejected ? rejected : failed);
    // A request without an answer has missed every objective that concerns it.
    for (std::size_t i = 0; i < rules_->size(); ++i) {
      const Kind kind = (*rules_)[i].kind;
      if (kind == Kind::latency || (kind != Kind::task_duration && is_token_request(r)))
        decide(i, false);
    }
    return;
  }

  ++completed;
  if (r.completed.is_never()) throw InternalError("a completed request has no completion date");
  const double latency = between(r.created, r.completed);
  timed(Timed::latency).add(latency);
  double network = 0;
  if (!r.arrived.is_never()) {
    if (!r.started.is_never()) timed(Timed::queue_wait).add(between(r.arrived, r.started));
    if (!r.sent.is_never()) network = between(r.sent, r.arrived);
  }
  if (!r.served.is_never()) {
    network += between(r.served, r.completed);
    if (!r.started.is_never()) timed(Timed::service_time).add(between(r.started, r.served));
  }
  timed(Timed::network_time).add(network);

  // Tokens: definitions of vLLM's serving benchmark, at the service or, of streams, at the client.
  double ttft = -1, tpot = -1;
  if (!first_seen(r).is_never() && !r.served.is_never()) {
    const Instant first = first_seen(r), last = r.streamed ? r.last_received : r.served;
    ttft = between(r.created, first);
    timed(Timed::ttft).add(ttft);
    timed(Timed::e2e).add(between(r.created, last));
    if (r.output_tokens > 1) {
      const double decoding = between(first, last);
      tpot = decoding / (r.output_tokens - 1);
      timed(Timed::tpot).add(tpot);
      gap_time += decoding;
      gaps += r.output_tokens - 1;
    }
  }
  if (!r.kv_received.is_never()) {
    // What a request waits for it: nothing of it while its prompt is computed.
    timed(Timed::kv_transfer).add(between(std::max(r.kv_sent, r.first_token), r.kv_received));
    kv_bytes += r.kv_bytes;
  }
  degraded += r.degraded ? 1 : 0;
  output_tokens += r.output_tokens;
  bytes += r.upload + r.download;
  fallbacks += r.first_choice != ~0U && r.first_choice != r.service ? 1 : 0;
  if (r.accuracy > 0 || r.wrong) {
    accuracy += r.accuracy;
    ++with_accuracy;
  }

  bool all_met = true;
  for (std::size_t i = 0; i < rules_->size(); ++i) {
    const ObjectiveRule& rule = (*rules_)[i];
    double value = -1;  // negative: the objective does not concern this request
    if (rule.kind == Kind::latency) value = latency;
    if (rule.kind == Kind::ttft) value = ttft;
    if (rule.kind == Kind::tpot) value = tpot;
    if (value < 0) continue;
    decide(i, value <= rule.target);
    all_met = all_met && value <= rule.target;
  }
  good += all_met ? 1 : 0;
}

void RequestTally::settle(const RequestRecord& r, Instant end) {
  const double age = between(r.created, end);
  for (std::size_t i = 0; i < rules_->size(); ++i) {
    const ObjectiveRule& rule = (*rules_)[i];
    if (rule.kind == Kind::latency && age > rule.target) decide(i, false);
    if (rule.kind != Kind::ttft || !is_token_request(r)) continue;
    if (!first_seen(r).is_never())
      decide(i, between(r.created, first_seen(r)) <= rule.target);
    else if (age > rule.target)
      decide(i, false);
  }
}

void RequestTally::seal() {
  for (Distribution& d : timed_) d.seal();
}

TaskTally::TaskTally(bool exact, const std::vector<ObjectiveRule>* rules)
    : duration(exact), attainment(rules->size()), rules_(rules) {}

void TaskTally::add(const TaskRecord& t) {
  if (t.ended.is_never()) return;
  ++ended;
  const double took = between(t.created, t.ended);
  if (t.succeeded) {
    ++succeeded;
    duration.add(took);
  }
  for (std::size_t i = 0; i < rules_->size(); ++i) {
    if ((*rules_)[i].kind != Kind::task_duration) continue;
    ++attainment[i].decided;
    attainment[i].met += t.succeeded && took <= (*rules_)[i].target ? 1 : 0;
  }
}

void TaskTally::settle(const TaskRecord& t, Instant end) {
  for (std::size_t i = 0; i < rules_->size(); ++i)
    if ((*rules_)[i].kind == Kind::task_duration && between(t.created, end) > (*rules_)[i].target)
      ++attainment[i].decided;
}

}  // namespace isthmus::results
