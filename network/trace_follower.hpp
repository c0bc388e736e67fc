// Links that follow a trace shared with others, each from a place of its own.
#pragma once

#include <cstdint>
#include <vector>

#include "network/network.hpp"

namespace isthmus::network {

//! Keeps such links in the state of the present date, but only while somebody uses them: a trace of
//! any length costs an idle link nothing, and its steps exist once for all links.
class TraceFollower {
 public:
  TraceFollower(const Topology& topology, std::uint64_t seed);

  bool empty() const { return follows_.empty(); }
  //! One more user; its state is that of `now` until the last user leaves.
  void use(LinkId link, Instant now, Network& net);
  void leave(LinkId link);
  //! Its state at `now`, without using it.
  void refresh(LinkId link, Instant now, Network& net);
  //! A change from outside, which must not be undone by the trace (or undo it).
  LinkChange merged(LinkId link, LinkChange change);
  //! Date of the next change of a link in use; never() without one.
  Instant next();
  //! Puts it into force.
  void step(Network& net);

 private:
  struct Follow {
    const LinkTrace* trace;
    std::uint32_t link;
    Duration offset;
    std::int64_t applied = -1;   // index of the step in force
    std::int64_t turn = 0;       // of the loop
    bool scheduled = false;      // has an entry in due_
    bool up = true;
  };
  struct LinkState {
    std::uint32_t first = 0, count = 0;  // in follows_
    std::uint32_t users = 0;
    bool held = false;  // down from outside
    bool up = true;     // as the backend knows it
  };
  struct Due {
    Instant at;
    std::uint32_t follow;
    bool operator>(const Due& o) const { return at != o.at ? at > o.at : follow > o.follow; }
  };
  void bring(Follow& f, Instant now, Network& net);
  // States in the change whether the link is up, where that is news.
  void state_up(LinkState& link, LinkChange& change) const;
  void schedule(std::uint32_t follow);
  Instant after(const Follow& f) const;
  LinkState* state(LinkId link) {
    return link.value() < of_link_.size() && of_link_[link.value()].count > 0
               ? &of_link_[link.value()]
               : nullptr;
  }

  std::vector<std::shared_ptr<const LinkTrace>> kept_;
  std::vector<Follow> follows_;
  std::vector<LinkState> of_link_;
  std::vector<Due> due_;  // heap, earliest first
};

}  // namespace isthmus::network
