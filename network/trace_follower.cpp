#include "network/trace_follower.hpp"

#include <algorithm>
#include <functional>

namespace isthmus::network {

TraceFollower::TraceFollower(const Topology& topology, std::uint64_t seed) {
  for (const LinkRule& rule : topology.access.links)
    for (const auto& trace : {rule.trace, rule.trace_down})
      if (trace) kept_.push_back(trace);
  if (kept_.empty()) return;
  of_link_.resize(topology.links.size());
  for (std::uint32_t l = 0; l < topology.links.size(); ++l) {
    const Link& link = topology.links[l];
    if (link.rule >= topology.access.links.size()) continue;
    const LinkRule& rule = topology.access.links[link.rule];
    of_link_[l].first = static_cast<std::uint32_t>(follows_.size());
    for (const auto& trace : {rule.trace, rule.trace_down}) {
      if (!trace || trace->steps.empty()) continue;
      Follow f{trace.get(), l, link.trace_offset};
      if (rule.random_start) {  // both ways from the same share of their traces
        Rng g = StreamKey(seed, "network/trace").at(hash_name(link.name));
        f.offset += Duration::from_seconds(uniform01(g) * trace->length().seconds());
      }
      follows_.push_back(f);
      ++of_link_[l].count;
    }
  }
}

// The step in force at `now`. Before the first step of the first turn the link is as it was built.
void TraceFollower::bring(Follow& f, Instant now, Network& net) {
  const LinkTrace& t = *f.trace;
  Duration at = now - Instant::zero() + f.offset;
  f.turn = 0;
  if (t.period > Duration::zero()) {
    f.turn = at.ns() / t.period.ns();
    at = Duration(at.ns() % t.period.ns());
  }
  const auto later = std::upper_bound(
      t.steps.begin(), t.steps.end(), at,
      [](Duration date, const LinkChange& step) { return date < step.at; });
  std::int64_t index = later - t.steps.begin() - 1;
  if (index < 0 && f.turn > 0) {  // still the last one of the turn before
    index = static_cast<std::int64_t>(t.steps.size()) - 1;
    --f.turn;
  }
  if (index == f.applied) return;
  f.applied = index;
  if (index < 0) return;

  LinkState& s = of_link_[f.link];
  LinkChange change = t.steps[static_cast<std::size_t>(index)];
  f.up = change.up.value_or(true);
  state_up(s, change);
  net.change_link(LinkId(f.link), change, now);
}

void TraceFollower::state_up(LinkState& s, LinkChange& change) const {
  bool up = !s.held;
  for (std::uint32_t i = s.first; i < s.first + s.count; ++i) up = up && follows_[i].up;
  change.up.reset();
  if (up != s.up) change.up = s.up = up;
}

Instant TraceFollower::after(const Follow& f) const {
  const LinkTrace& t = *f.trace;
  std::int64_t next = f.applied + 1, turn = f.turn;
  if (next == static_cast<std::int64_t>(t.steps.size())) {
    if (t.period <= Duration::zero()) return Instant::never();
    next = 0;
    ++turn;
  }
  return Instant::zero() +
         Duration(turn * t.period.ns() + t.steps[static_cast<std::size_t>(next)].at.ns() -
                  f.offset.ns());
}

void TraceFollower::schedule(std::uint32_t follow) {
  Follow& f = follows_[follow];
  if (f.scheduled) return;  // for a date that is still ahead
  const Instant at = after(f);
  if (at.is_never()) return;
  f.scheduled = true;
  due_.push_back({at, follow});
  std::push_heap(due_.begin(), due_.end(), std::greater<>());
}

void TraceFollower::use(LinkId link, Instant now, Network& net) {
  LinkState* s = state(link);
  if (s == nullptr || s->users++ > 0) return;
  for (std::uint32_t i = s->first; i < s->first + s->count; ++i) {
    bring(follows_[i], now, net);
    schedule(i);
  }
}

void TraceFollower::leave(LinkId link) {
  if (LinkState* s = state(link)) --s->users;
}

void TraceFollower::refresh(LinkId link, Instant now, Network& net) {
  LinkState* s = state(link);
  if (s == nullptr || s->users > 0) return;
  for (std::uint32_t i = s->first; i < s->first + s->count; ++i) bring(follows_[i], now, net);
}

LinkChange TraceFollower::merged(LinkId link, LinkChange change) {
  LinkState* s = state(link);
  if (s == nullptr || !change.up) return change;
  s->held = !*change.up;
  state_up(*s, change);
  return change;
}

Instant TraceFollower::next() {
  // Links that nobody uses any more drop out here.
  while (!due_.empty() && of_link_[follows_[due_.front().follow].link].users == 0) {
    follows_[due_.front().follow].scheduled = false;
    std::pop_heap(due_.begin(), due_.end(), std::greater<>());
    due_.pop_back();
  }
  return due_.empty() ? Instant::never() : due_.front().at;
}

void TraceFollower::step(Network& net) {
  std::pop_heap(due_.begin(), due_.end(), std::greater<>());
  const Due due = due_.back();
  due_.pop_back();
  Follow& f = follows_[due.follow];
  f.scheduled = false;
  bring(f, due.at, net);
  schedule(due.follow);
}

}  // namespace isthmus::network
