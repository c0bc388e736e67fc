#include "network/links.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "sim/core/errors.hpp"

namespace isthmus::network {

ChangeStream::ChangeStream(const Topology& topology) {
  for (std::size_t l = 0; l < topology.links.size(); ++l) {
    const Link& link = topology.links[l];
    if (link.changes.empty()) continue;
    Source s;
    s.changes = link.changes;
    s.period = link.loop_period;
    heap_.push_back({Instant::zero() + s.changes.front().at, static_cast<std::uint32_t>(l),
                     static_cast<std::uint32_t>(sources_.size())});
    sources_.push_back(std::move(s));
  }
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
}

ChangeStream::Item ChangeStream::pop() {
  std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
  Cursor c = heap_.back();
  heap_.pop_back();
  Source& s = sources_[c.source];
  Item item{LinkId(c.link), s.changes[s.index]};

  // Step to the next change of this link, or to the next turn of its loop.
  if (++s.index == s.changes.size() && s.period > Duration::zero()) {
    s.index = 0;
    s.offset += s.period;
  }
  if (s.index < s.changes.size()) {
    c.date = Instant::zero() + s.offset + s.changes[s.index].at;
    heap_.push_back(c);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }
  return item;
}

LinkTable::LinkTable(const Topology& topology) {
  links_.reserve(topology.links.size());
  for (const Link& l : topology.links)
    links_.push_back(
        {{l.bandwidth, l.bandwidth_down.value_or(l.bandwidth)},
         {l.latency, l.latency_down.value_or(l.latency)},
         l.sharing});
}

void LinkTable::apply(LinkId link, const LinkChange& change) {
  if (!link.valid() || link.value() >= links_.size())
    throw InputError(
        fmt::format("change of link {}: there are {} links", link.value(), links_.size()));
  State& s = links_[link.value()];
  if ((change.bandwidth || change.scale) && s.sharing == Sharing::wifi)
    throw InputError("the bandwidth of a Wi-Fi cell is that of its stations and does not change");
  if (change.bandwidth) {
    if (!(*change.bandwidth > 0) || !std::isfinite(*change.bandwidth))
      throw InputError("a link's bandwidth must stay above 0; use `up: false` for an outage");
    if (change.ways != Ways::both && s.sharing != Sharing::split_duplex)
      throw InputError("only split-duplex links have a bandwidth per direction");
    if (change.ways != Ways::down) s.nominal[0] = *change.bandwidth;
    if (change.ways != Ways::up) s.nominal[1] = *change.bandwidth;
  }
  if (change.scale) {
    if (!(*change.scale > 0) || !std::isfinite(*change.scale))
      throw InputError("a brown-out must leave some bandwidth; use `up: false` for an outage");
    s.scale = *change.scale;
  }
  if (change.bandwidth || change.scale)
    for (int way : {0, 1}) s.bandwidth[way] = s.nominal[way] * s.scale;
  if (change.latency) {
    if (*change.latency < Duration::zero())
      throw InputError("a link's latency must not be negative");
    s.latency[0] = s.latency[1] = *change.latency;
  }
  if (change.up) s.up = *change.up;
}

Duration LinkTable::path_latency(const std::vector<LinkUse>& path) const {
  Duration sum;
  for (const LinkUse& u : path) sum += latency(u);
  return sum;
}

double LinkTable::path_bandwidth(const std::vector<LinkUse>& path) const {
  double least = std::numeric_limits<double>::infinity();
  for (const LinkUse& u : path) least = std::min(least, up(u.link) ? capacity(u) : 0.0);
  return least;
}

bool LinkTable::path_up(const std::vector<LinkUse>& path) const {
  return std::all_of(path.begin(), path.end(), [&](const LinkUse& u) { return up(u.link); });
}

FlowTerms flow_terms(const LinkTable& links, const FlowModel& model,
                     const std::vector<LinkUse>& path, double rate_cap, Duration beside) {
  FlowTerms t;
  if (rate_cap > 0) t.bound = rate_cap / model.bandwidth_factor;

  // Sharing penalty: latency plus S / bandwidth of every link. A path without latency keeps
  // SimGrid's initial weight of 1, even where S > 0.
  const double latency = (links.path_latency(path) + beside).seconds();
  if (latency > 0) {
    double penalty = latency;
    if (model.weight_s > 0)
      for (const LinkUse& u : path) penalty += model.weight_s / links.capacity(u);
    if (!model.equal_shares) t.weight = 1.0 / penalty;
    if (model.tcp_gamma > 0) t.bound = std::min(t.bound, model.tcp_gamma / (2.0 * latency));
  }

  // Fatpipes limit each flow on its own.
  for (const LinkUse& u : path)
    if (links.sharing(u.link) == Sharing::fatpipe)
      t.bound = std::min(t.bound, links.capacity(links.resource(u)));
  return t;
}

}  // namespace isthmus::network
