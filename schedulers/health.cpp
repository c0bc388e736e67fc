#include "schedulers/health.hpp"

#include <algorithm>
#include <cmath>

namespace isthmus::schedulers {

ReplicaHealth::State& ReplicaHealth::at(std::uint32_t number) {
  if (number >= states_.size()) states_.resize(number + 1);
  return states_[number];
}

void ReplicaHealth::joined(std::uint32_t number, Instant now) {
  State& s = at(number);
  s.since = now;
  if (s.listed) return;  // its process has come back: what is held against it stays until found out
  s = State();
  s.listed = true;
  s.since = s.window = now;
}

void ReplicaHealth::left(std::uint32_t number) { at(number).listed = false; }

bool ReplicaHealth::usable(std::uint32_t number, std::uint32_t outstanding, Instant now, bool alone) {
  sweep(now);
  State& s = at(number);
  const ServerSpec& server = spec_.server(number);
  if (server.down) return false;
  if (server.max_conns > 0 && outstanding >= server.max_conns) return false;
  if (s.ejected || s.out) return false;
  // ngx_http_upstream_get_peer(), where a single peer is never taken out.
  if (!alone && server.max_fails > 0 && s.fails >= server.max_fails &&
      now - s.checked <= server.fail_timeout)
    return false;
  if (s.circuit == Circuit::open) {
    if (now - s.opened < spec_.breaker->open_for) return false;
    s.circuit = Circuit::half_open;
    s.probing = s.proved = 0;
  }
  return s.circuit != Circuit::half_open || s.probing < spec_.breaker->probes;
}

std::string_view ReplicaHealth::why_out(std::uint32_t number, std::uint32_t outstanding, Instant now,
                                        bool alone) const {
  const ServerSpec& server = spec_.server(number);
  if (server.down) return "down by configuration";
  if (server.max_conns > 0 && outstanding >= server.max_conns) return "max_conns reached";
  if (number >= states_.size()) return {};
  const State& s = states_[number];
  if (s.ejected) return "ejected as an outlier";
  if (s.out) return "failed its probes";
  if (!alone && server.max_fails > 0 && s.fails >= server.max_fails && now - s.checked <= server.fail_timeout)
    return "max_fails reached";
  if (s.circuit == Circuit::open && now - s.opened < spec_.breaker->open_for) return "circuit open";
  if (s.circuit == Circuit::half_open && s.probing >= spec_.breaker->probes) return "circuit half open, probed by others";
  return {};
}

double ReplicaHealth::weight(std::uint32_t number, Instant now) const {
  const double weight = spec_.server(number).weight;
  if (!spec_.slow_start || number >= states_.size()) return weight;
  const SlowStartSpec& slow = *spec_.slow_start;
  const Duration age = now - states_[number].since;
  if (age >= slow.window) return weight;
  const double share = std::max(age.seconds(), 1e-9) / slow.window.seconds();
  return weight * std::max(slow.least, std::pow(share, 1 / slow.aggression));
}

double ReplicaHealth::take_penalty(std::uint32_t number) {
  State& s = at(number);
  const double penalty = s.penalty;
  s.penalty = std::max(0.0, penalty - 1);
  return penalty;
}

void ReplicaHealth::tried(std::uint32_t number, Instant now, bool again) {
  State& s = at(number);
  ++counts_.tries;
  if (number >= counts_.by_replica.size()) counts_.by_replica.resize(number + 1);
  ++counts_.by_replica[number];
  ++open_;
  if (again) {
    ++counts_.retries;
    ++retrying_;
  }
  // After fail_timeout one request probes it; the next ones wait for as long again.
  if (now - s.checked > spec_.server(number).fail_timeout) s.checked = now;
  if (s.circuit == Circuit::half_open) ++s.probing;
}

void ReplicaHealth::ended(std::uint32_t number, TryEnd how, Instant now, bool again) {
  sweep(now);
  State& s = at(number);
  const ServerSpec& server = spec_.server(number);
  --open_;
  if (again) --retrying_;
  if (how == TryEnd::abandoned) {
    if (s.circuit == Circuit::half_open && s.probing > 0) --s.probing;
    return;
  }
  const bool failed = how != TryEnd::answered;
  if (failed) ++counts_.failures;

  // ngx_http_upstream_free_round_robin_peer(). Answers that refuse are answers.
  if (how == TryEnd::error || how == TryEnd::timeout) {
    ++s.fails;
    s.accessed = s.checked = now;
    if (server.max_fails > 0)
      s.penalty = std::min(server.weight, s.penalty + std::floor(server.weight / server.max_fails));
  } else if (s.accessed < s.checked) {
    s.fails = 0;
  }

  if (spec_.breaker) count_for_circuit(s, failed, now);
  if (!spec_.outlier) return;
  ++s.ended;
  s.answered += failed ? 0 : 1;
  s.row = failed ? s.row + 1 : 0;
  if (spec_.outlier->consecutive_errors > 0 && s.row >= spec_.outlier->consecutive_errors &&
      !s.ejected && may_eject())
    eject(s, now);
}

// ---- outlier detection ------------------------------------------------------------------------------

bool ReplicaHealth::may_eject() const {
  std::size_t listed = 0, ejected = 0;
  for (const State& s : states_) {
    listed += s.listed ? 1 : 0;
    ejected += s.listed && s.ejected ? 1 : 0;
  }
  return ejected == 0 || static_cast<double>(ejected + 1) <=
                             spec_.outlier->max_ejected * static_cast<double>(listed) * (1 + 1e-12);
}

void ReplicaHealth::eject(State& s, Instant now) {
  s.ejected = true;
  s.ejected_at = now;
  s.row = 0;
  ++s.ejections;
  ++counts_.ejections;
}

// Every interval replicas come back, old sins are forgotten, and success rates are compared. What
// happened between two calls is caught up with here.
void ReplicaHealth::sweep(Instant now) {
  if (!spec_.outlier) return;
  const OutlierSpec& o = *spec_.outlier;
  if (!sweeping_) {
    sweeping_ = true;
    next_sweep_ = now + o.interval;
  }
  while (next_sweep_ <= now) {
    const Instant tick = next_sweep_;
    bool idle = true;
    for (State& s : states_) {
      if (!s.listed) continue;
      if (s.ejected) {
        const double wanted = o.base_ejection.seconds() * s.ejections;
        const double longest = std::max(o.max_ejection.seconds(), o.base_ejection.seconds());
        if ((tick - s.ejected_at).seconds() >= std::min(wanted, longest)) {
          s.ejected = false;
          ++counts_.returns;
        }
        idle = false;
      } else if (s.ejections > 0) {
        --s.ejections;
        idle = false;
      }
    }
    judge_success_rates(tick);
    next_sweep_ = tick + o.interval;
    if (idle) {  // nothing will change before `now`
      const std::int64_t skip = (now - next_sweep_).ns() / std::max<std::int64_t>(1, o.interval.ns());
      if (skip > 0) next_sweep_ = next_sweep_ + o.interval * skip;
    }
  }
}

void ReplicaHealth::judge_success_rates(Instant now) {
  const OutlierSpec& o = *spec_.outlier;
  const auto rate = [](const State& s) {
    return static_cast<double>(s.answered) / static_cast<double>(s.ended);
  };
  const auto counts = [&](const State& s) {
    return s.listed && !s.ejected && s.ended > 0 && s.ended >= o.request_volume;
  };
  double sum = 0, squares = 0, n = 0;
  for (const State& s : states_)
    if (counts(s)) {
      sum += rate(s);
      ++n;
    }
  if (o.stdev_factor > 0 && n > 0 && n >= o.minimum_hosts) {
    const double mean = sum / n;
    for (const State& s : states_)
      if (counts(s)) squares += (rate(s) - mean) * (rate(s) - mean);
    const double least = mean - o.stdev_factor * std::sqrt(squares / n);
    for (State& s : states_)
      if (counts(s) && rate(s) < least && may_eject()) eject(s, now);
  }
  for (State& s : states_) s.answered = s.ended = 0;
}

// ---- circuit breaker --------------------------------------------------------------------------------

void ReplicaHealth::count_for_circuit(State& s, bool failed, Instant now) {
  const BreakerSpec& b = *spec_.breaker;
  const auto open = [&] {
    s.circuit = Circuit::open;
    s.opened = now;
    ++counts_.opened;
  };
  if (s.circuit == Circuit::open) return;  // sent before it opened
  if (s.circuit == Circuit::half_open) {
    if (failed) return open();
    if (++s.proved < b.probes) return;
    s.circuit = Circuit::closed;
    s.window = now;
    s.errors = s.requests = 0;
    return;
  }
  if (now - s.window > b.window) {
    s.window = now;
    s.errors = s.requests = 0;
  }
  ++s.requests;
  s.errors += failed ? 1 : 0;
  if (s.requests >= b.min_requests && s.errors >= b.error_rate * s.requests) open();
}

// ---- active checks ----------------------------------------------------------------------------------

void ReplicaHealth::probed(std::uint32_t number, bool alive) {
  State& s = at(number);
  if (alive == !s.out) {  // as thought
    s.streak = 0;
    return;
  }
  if (++s.streak < (s.out ? spec_.active->rise : spec_.active->fall)) return;
  s.out = !s.out;
  s.streak = 0;
  ++(s.out ? counts_.ejections : counts_.returns);
}

}  // namespace isthmus::schedulers
