#include "sim/world/call_pool.hpp"

#include <algorithm>

namespace isthmus::world {

std::string_view name_of(CallPool::Reason reason) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(CallPool::Reason::count_)> names{
      "idle_limit", "idle_time", "lifetime", "broken", "gone"};
  return names[static_cast<std::size_t>(reason)];
}

CallPool::Place CallPool::acquire(Instant now, std::uint64_t tag) {
  expire(now);
  if (!stack_.empty()) {
    const std::uint32_t connection = stack_.back();
    stack_.pop_back();
    connections_[connection].idle = false;
    idle_.change(now, -1);
    return {Answer::ready, connection};
  }
  if (live_ < spec_.max_open) return {Answer::open, add(now)};
  line_.push_back(tag);
  waiting_.change(now, 1);
  return {};
}

std::uint32_t CallPool::add(Instant now) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(connections_.size()));
    connections_.emplace_back();
  }
  const std::uint32_t connection = free_.back();
  free_.pop_back();
  connections_[connection] = Connection();
  connections_[connection].live = connections_[connection].opening = true;
  ++live_;
  open_.change(now, 1);
  return connection;
}

void CallPool::opened(std::uint32_t connection, Instant now) {
  Connection& c = connections_[connection];
  c.opening = false;
  c.born = now;
  ++counts_.opened;
}

void CallPool::reopen(std::uint32_t connection, Reason why) {
  ++counts_.closed[static_cast<std::size_t>(why)];
  connections_[connection] = Connection();
  connections_[connection].live = connections_[connection].opening = true;
}

std::optional<CallPool::Turn> CallPool::release(std::uint32_t connection, Instant now, std::optional<Reason> why) {
  expire(now);
  Connection& c = connections_[connection];
  if (!why && c.opening) why = Reason::broken;
  if (!why && spec_.max_lifetime != Duration::max() && now - c.born >= spec_.max_lifetime) why = Reason::lifetime;
  if (!why && line_.empty() && stack_.size() >= spec_.max_idle) why = Reason::idle_limit;
  if (why) close(connection, now, *why);
  if (!line_.empty() && (!why || live_ < spec_.max_open)) {
    const std::uint64_t tag = line_.front();
    line_.pop_front();
    waiting_.change(now, -1);
    if (why) return Turn{tag, {Answer::open, add(now)}};
    return Turn{tag, {Answer::ready, connection}};
  }
  if (!why) {
    c.idle = true;
    c.idle_since = now;
    stack_.push_back(connection);
    idle_.change(now, 1);
  }
  return {};
}

bool CallPool::forget(std::uint64_t tag, Instant now) {
  if (std::erase(line_, tag) == 0) return false;
  waiting_.change(now, -1);
  return true;
}

void CallPool::clear(Instant now) {
  expire(now);
  while (!stack_.empty()) close(stack_.back(), now, Reason::gone);
  waiting_.change(now, -static_cast<double>(line_.size()));
  line_.clear();
}

Instant CallPool::expiry(const Connection& c) const {
  Instant at = Instant::never();
  if (spec_.max_lifetime != Duration::max()) at = std::min(at, c.born + spec_.max_lifetime);
  if (spec_.max_idle_time != Duration::max()) at = std::min(at, c.idle_since + spec_.max_idle_time);
  return at;
}

void CallPool::expire(Instant now) {
  if (spec_.max_lifetime == Duration::max() && spec_.max_idle_time == Duration::max()) return;
  while (!stack_.empty()) {
    const auto first = std::min_element(stack_.begin(), stack_.end(), [&](std::uint32_t a, std::uint32_t b) {
      return expiry(connections_[a]) < expiry(connections_[b]);
    });
    const Connection& c = connections_[*first];
    const Instant at = expiry(c);
    if (at > now) return;
    const bool old = spec_.max_lifetime != Duration::max() && at == c.born + spec_.max_lifetime;
    close(*first, at, old ? Reason::lifetime : Reason::idle_time);
  }
}

void CallPool::close(std::uint32_t connection, Instant at, Reason why) {
  Connection& c = connections_[connection];
  if (c.idle) {
    std::erase(stack_, connection);
    idle_.change(at, -1);
  }
  c = Connection();
  free_.push_back(connection);
  --live_;
  open_.change(at, -1);
  ++counts_.closed[static_cast<std::size_t>(why)];
}

void CallPool::reset(Instant now) {
  expire(now);
  counts_ = {};
  for (TimeAverage* a : {&open_, &idle_, &waiting_}) a->reset(now);
}

std::uint32_t CallPool::accepted(std::uint32_t replica, std::int64_t incarnation) const {
  return static_cast<std::uint32_t>(std::count_if(connections_.begin(), connections_.end(), [&](const Connection& c) {
    return c.live && c.accepted && c.replica == replica && c.incarnation == incarnation;
  }));
}

}  // namespace isthmus::world
