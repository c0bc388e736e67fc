// The present state of every link, the stream of its scheduled changes, and what a path's state
// means for a flow. Shared by both backends.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "network/network.hpp"

namespace isthmus::network {

//! Scheduled link changes in order of date (then of link), produced lazily: memory is one entry per
//! changing link, however long the run and however short the loop period.
class ChangeStream {
 public:
  explicit ChangeStream(const Topology& topology);

  struct Item {
    LinkId link;
    LinkChange change;
  };
  //! Date of the next change, or Instant::never().
  Instant next() const { return heap_.empty() ? Instant::never() : heap_.front().date; }
  //! Removes and returns the next change; the stream must not be at its end.
  Item pop();

 private:
  struct Cursor {
    Instant date;
    std::uint32_t link;
    std::uint32_t source;  // index into sources_
    bool operator>(const Cursor& o) const { return date != o.date ? date > o.date : link > o.link; }
  };
  struct Source {
    std::vector<LinkChange> changes;
    std::size_t index = 0;
    Duration offset, period;
  };
  std::vector<Cursor> heap_;  // earliest first
  std::vector<Source> sources_;
};

//! One direction of a link as something to be shared: resource 2 * link, and 2 * link + 1 for the
//! way down of a split-duplex link.
using ResourceIndex = std::uint32_t;

//! Bandwidths, latencies and states of all links at the present date.
class LinkTable {
 public:
  explicit LinkTable(const Topology& topology);

  std::size_t size() const { return links_.size(); }
  Sharing sharing(LinkId l) const { return links_[l.value()].sharing; }
  bool up(LinkId l) const { return links_[l.value()].up; }
  Duration latency(LinkUse u) const {
    return links_[u.link.value()].latency[u.direction == Direction::down ? 1 : 0];
  }
  //! bytes/s of one direction.
  double capacity(ResourceIndex r) const { return links_[r / 2].bandwidth[r % 2]; }
  //! bytes/s that one flow may take of a link on its path.
  double capacity(const LinkUse& u) const { return capacity(resource(u)) / u.air; }
  ResourceIndex resource(const LinkUse& u) const {
    const bool second =
        u.direction == Direction::down && links_[u.link.value()].sharing == Sharing::split_duplex;
    return 2 * u.link.value() + (second ? 1U : 0U);
  }
  //! Puts a change into force. Throws InputError for an unknown link or an impossible value.
  void apply(LinkId link, const LinkChange& change);

  //! Sum of one-way latencies.
  Duration path_latency(const std::vector<LinkUse>& path) const;
  //! Smallest capacity, 0 when a link is down, infinity for an empty path; bytes/s.
  double path_bandwidth(const std::vector<LinkUse>& path) const;
  bool path_up(const std::vector<LinkUse>& path) const;

 private:
  struct State {
    double bandwidth[2];  // as scaled
    Duration latency[2];
    Sharing sharing;
    bool up = true;
    double scale = 1;
    double nominal[2] = {bandwidth[0], bandwidth[1]};
  };
  std::vector<State> links_;
};

//! What the present state of a path means for a flow on it.
struct FlowTerms {
  double weight = 1;  //!< its share relative to others
  //! Most that it may consume, bytes/s of capacity (payload rate = bandwidth factor * consumption):
  //! rate cap, TCP window and fatpipes. Infinity when nothing but shared links limits it.
  double bound = std::numeric_limits<double>::infinity();
};

//! SimGrid's formulas (NetworkCm02Model, 3.32); `path` holds the forward links only, `beside` is
//! latency of the path that none of its links has.
FlowTerms flow_terms(const LinkTable& links, const FlowModel& model,
                     const std::vector<LinkUse>& path, double rate_cap, Duration beside = {});

//! Throws InputError when a parameter makes no sense (negative or non-finite numbers, factors of
//! 0).
void validate(const FlowModel& model);

}  // namespace isthmus::network
