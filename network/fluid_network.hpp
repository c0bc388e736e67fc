// The fluid backend: exact weighted max-min sharing with SimGrid's CM02 semantics, for large
// fleets.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "network/flow_slots.hpp"
#include "network/indexed_heap.hpp"
#include "network/link_power.hpp"
#include "network/links.hpp"
#include "network/network.hpp"
#include "network/routes.hpp"

namespace isthmus::network {

//! Our exact max-min solver. A link matters only where the flows on it could ask for more than it
//! has ("contended"); flows that cross no contended link run at their own cap at O(path) cost,
//! flows that share one bottleneck live in virtual time at O(log n); many that share several live
//! there class by class (one for every set of bottlenecks), at O(classes) per event; a few are solved
//! again, component by component.
//!
//! Besides Network it has a concrete interface for a hot loop without virtual calls:
//!   while (work) { t = net.next_completion();
//!                  if (t <= queue.next_time()) net.collect(t, ends); else handle(queue.pop()); }
//! Not thread-safe; any number may live in one process, in any threads.
class FluidNetwork final : public Network {
 public:
  //! Throws InputError for an invalid topology or model, and for models other than CM02 and LV08.
  FluidNetwork(const Topology& topology, const FlowModel& model);

  FlowId start(const Transfer& transfer, Instant now) override;
  void cancel(FlowId flow, Instant now) override;
  void change_link(LinkId link, const LinkChange& change, Instant now) override;
  void set_access(std::uint32_t host, std::size_t place, LinkId link) override {
    router_.set_access(host, place, link);
  }
  void run(EventLoop& loop, Instant horizon) override;
  std::size_t in_flight() const override { return flows_.live(); }
  Duration path_latency(std::uint32_t from, std::uint32_t to) const override;
  double path_bandwidth(std::uint32_t from, std::uint32_t to) const override;
  void bring_to(Instant now) override { advance_to(now); }
  double carried_bytes(LinkId link) const override;
  double busy_seconds(LinkId link) const override;
  std::string describe() const override { return "fluid " + model_.name; }

  //! Who solves components with several bottlenecks, for tests: both give the same dates.
  enum class MeshSolver : std::uint8_t { automatic, flows, classes };
  void set_mesh_solver(MeshSolver solver) { mesh_solver_ = solver; }
  //! How often such components were solved flow by flow and class by class.
  struct Solves {
    std::uint64_t by_flow = 0, by_class = 0;
  };
  const Solves& solves() const { return solves_; }

  //! Date of the next thing that happens inside the network (an end, a paid latency or a scheduled
  //! link change), never() when there is none. Collect it before events at the same or a later
  //! date.
  Instant next_completion() {
    if (!soon_.empty()) return soon_.front().at;
    if (!dirty_.empty()) flush();
    const Instant change = changes_.next();
    return heap_.empty() ? change : std::min(change, instant_of(heap_.top().date()));
  }
  //! Lets everything up to `until` happen and appends the ends, in order of date and start, to `out`.
  void collect(Instant until, std::vector<FlowEnd>& out);

 private:
  static constexpr std::uint32_t none = 0xffffffffU;

  // One shared direction of a link on the path of a flow.
  struct Element {
    ResourceIndex resource;
    std::uint32_t place;      // in Resource::flows
    std::uint32_t crossings;  // forward; ACK crossings do not count as carried bytes
    std::uint32_t share;      // in Group::shares of its flow's group; none when it does not count
    // Capacity taken per unit of rate: 1 per crossing, 0.05 per ACK crossing; on a Wi-Fi cell times
    // its bandwidth over the station's rate.
    double use;
  };
  enum class Phase : std::uint8_t {
    latent,    // pays its latency
    own,       // has a rate of its own (alone, capped in a group, or solved flow by flow)
    virtual_,  // uncapped member of a group: served in virtual time
    ended,     // its end waits to be collected
  };
  struct Flow {
    std::uint8_t generation = 0;
    bool used = false;
    Phase phase = Phase::latent;
    std::uint32_t order = 0;       // start number, breaks ties
    std::uint32_t stamp = 0;       // invalidates entries of group heaps
    std::uint32_t epoch = 0;       // last walk that met this flow
    std::uint32_t group = none;    // index into groups_
    double left = 0;               // bytes at `since`; or, in virtual time, the level where it ends
    double since = 0;              // seconds
    double rate = 0;               // payload bytes/s (phase own)
    double weight = 1, bound = 0;  // FlowTerms
    double cap = 0;                // most it may consume: bound and capacities of its path
    double value = 0;              // scratch of the mesh solver: consumption
    bool fixed = false;            // scratch of the mesh solver
    std::uint64_t tag = 0;
    double bytes = 0, rate_cap = 0;
    std::vector<LinkUse> path;
    std::vector<Element> elements;
  };
  struct Member {
    std::uint32_t flow, element;
  };
  // An entry of a group's heaps; stale when the flow's stamp has moved on.
  struct Entry {
    double key;
    std::uint32_t flow, stamp, order;
    bool operator>(const Entry& o) const { return key != o.key ? key > o.key : order > o.order; }
    bool operator<(const Entry& o) const { return key != o.key ? key < o.key : order > o.order; }
  };
  // A link that holds a group back, and the group's place among its sharers.
  struct Share {
    ResourceIndex link;
    std::uint32_t place;
  };
  // What the members of a group take of a link that holds them back; the group's `share` of it.
  struct Sharer {
    std::uint32_t group, share;
    double weight = 0;  // sum of use * weight over uncapped members
    double taken = 0;   // sum of use * cap over capped members
  };
  // Flows held back by the same links, in virtual time: `level` is the integral of the service per
  // unit of weight; every uncapped flow ends at a level fixed at its arrival. With one link, which
  // then is its own ("alone"), a group balances itself; with several or beside others on a link it is
  // a class of a mesh.
  struct Group {
    bool active = false, touched = false;
    std::uint32_t heap_place = none;
    std::uint32_t mesh = none;  // none: alone
    std::uint32_t place = 0;    // in Mesh::groups
    std::uint32_t updates = 0;  // since the sums were last computed afresh
    std::uint32_t members = 0, uncapped = 0;
    double level = 0, since = 0;  // level at date `since`, bytes of consumption per weight
    double speed = 0;             // level per second
    std::vector<Share> shares;
    std::vector<Entry> ends;     // uncapped, by end level, earliest first
    std::vector<Entry> rising;   // uncapped, by cap / weight, smallest first
    std::vector<Entry> falling;  // capped, by cap / weight, largest first
    // Contended links that only flows of this group cross, by the water level that would fill them:
    // below it they do not matter. Stale when the link's stamp has moved on.
    std::vector<Entry> limits;
  };
  // What solving a mesh asks of every group, kept together: most groups stay as they are.
  struct Water {
    double target = 0;  // level per second that the solution gives; negative while it is open
    double speed = 0;   // the present one, 0 without uncapped members
    double low = 0;     // smallest cap / weight of the uncapped members; infinite without
    double high = 0;    // largest of the capped members; 0 without
    double limit = 0;   // lowest level that would fill a hosted link, or less; infinite without
  };
  // Groups tied together by links: solved as one, class by class.
  struct Mesh {
    bool active = false, dirty = false;
    std::size_t flows = 0;
    std::size_t most = 0;  // groups, before it is built anew; 0 until it is first solved
    std::vector<ResourceIndex> links;
    std::vector<std::uint32_t> groups;
    std::vector<std::uint32_t> touched;  // those that have changed since it was last solved
    std::map<std::vector<ResourceIndex>, std::uint32_t> by_links;  // ascending
    std::vector<Entry> limits;  // as Group::limits, of links that several of its groups cross
  };
  struct Resource {
    double demand = 0;          // sum of use * cap of its flows
    double weight = 0;          // sum of use * weight of its flows
    // The group that makes this link harmless, or (with the top bit) the mesh whose groups all do.
    std::uint32_t host = none;
    std::uint32_t mesh = none;  // the mesh that it is a link of
    std::uint32_t stamp = 0;    // invalidates entries of Group::limits
    std::uint32_t updates = 0;
    std::uint32_t epoch = 0;
    std::uint32_t crossed_by = 0;  // flows that cross it forward; kept with any contention only
    bool contended = false, dirty = false;
    std::uint32_t group = none;             // its own group, kept once made
    double left = 0, usage = 0, level = 0;  // scratch of the mesh solvers
    std::uint32_t unfixed = 0;
    bool exact = false, full = false;
    std::vector<Member> flows;
    std::vector<Sharer> sharers;  // its own group, or groups of its mesh
  };
  // Owners in the date heap: flow slots as they are, groups with the top bit set; and so on.
  static constexpr std::uint32_t group_bit = 0x80000000U;
  struct Place {
    FluidNetwork* net;
    std::uint32_t& operator()(std::uint32_t owner) const {
      return (owner & group_bit) != 0 ? net->groups_[owner & ~group_bit].heap_place
                                      : net->flow_places_[owner];
    }
  };

  static Instant instant_of(double seconds) {
    // As std::llround, which costs several times as much, would round what is not negative.
    const double ns = seconds * 1e9;
    if (!(ns < 9.2e18)) return Instant::never();
    const auto whole = static_cast<std::int64_t>(ns);
    return Instant(whole + (ns - static_cast<double>(whole) >= 0.5 ? 1 : 0));
  }

  // Life of a flow (fluid_network.cpp).
  void advance_to(Instant now);
  void collect_unsorted(Instant until);
  void happen(const HeapKey& top);
  void activate(std::uint32_t slot);
  void deactivate(std::uint32_t slot);
  void finish(std::uint32_t slot, Outcome outcome, Instant at);
  void apply(LinkId link, const LinkChange& change);
  void fail_flows_on(LinkId link);
  void retune_flows_on(LinkId link);
  void build_elements(Flow& f, const std::vector<LinkUse>& back) const;
  double cap_of(const Flow& f) const;
  double capacity(ResourceIndex r) const {
    if (contention_.empty()) return links_.capacity(r);
    return links_.capacity(r) * left_by_contention(r, resources_[r].crossed_by);
  }
  double left_by_contention(ResourceIndex r, std::uint32_t flows) const {
    const std::vector<double>& c = contention_[r / 2];
    return c.empty() || flows == 0 ? 1.0 : c[std::min<std::size_t>(flows, c.size()) - 1];
  }
  void count_crossings(const Flow& f, std::uint32_t change);
  std::array<double, 2> flying_bytes(LinkId link) const;
  double left_of(const Flow& f) const;
  void report(const FlowEnd& end) { ends_->push_back(end); }

  // Sharing (fluid_sharing.cpp).
  void add_demand(ResourceIndex r, double amount, double weight);
  void review(ResourceIndex r);
  void mark(ResourceIndex r);
  void settle(std::uint32_t slot);
  void hold(std::uint32_t slot);
  void set_rate(std::uint32_t slot, double consumption);
  void flush();
  void solve_from(std::uint32_t slot);
  bool solve_as_group();
  void solve_mesh();
  void set_rates();

  // Virtual time (fluid_group.cpp).
  Group& group_at(ResourceIndex r) { return groups_[resources_[r].group]; }
  bool alone(ResourceIndex r) const {
    return resources_[r].group != none && groups_[resources_[r].group].active;
  }
  Sharer& sums(const Share& s) { return resources_[s.link].sharers[s.place]; }
  std::uint32_t take_group();
  void add_share(std::uint32_t group, ResourceIndex r);
  void clear_group(std::uint32_t group);
  bool build_group(ResourceIndex r);
  std::uint32_t mesh_of_host(std::uint32_t host) const {
    return (host & group_bit) != 0 ? host & ~group_bit : groups_[host].mesh;
  }
  void limit_host(ResourceIndex q);
  double limit_of(std::vector<Entry>& limits, std::uint32_t host) const;
  void dissolve_group(ResourceIndex r);
  void join_group(std::uint32_t group, std::uint32_t slot);
  void leave_group(std::uint32_t slot);
  void release(std::uint32_t slot);
  void advance_group(Group& g);
  double balance_group(std::uint32_t group);
  void renew_group(Group& g);
  void to_virtual(Group& g, std::uint32_t slot);
  void to_own(Group& g, std::uint32_t slot);
  void count_uncapped(Group& g, const Flow& f);
  void discount_uncapped(Group& g, const Flow& f);
  void count_capped(Group& g, const Flow& f);
  void discount_capped(Group& g, const Flow& f);
  void date_group(std::uint32_t group);
  std::uint32_t next_of_group(Group& g);
  bool fresh(const Entry& e, Phase phase) const {
    return flows_[e.flow].stamp == e.stamp && flows_[e.flow].phase == phase;
  }
  //! Brings an entry that still holds to the top of a heap of members in `phase` (`falling` has those
  //! in phase `own`); false when there is none.
  bool refresh(std::vector<Entry>& heap, Phase phase) const {
    while (!heap.empty() && !fresh(heap.front(), phase)) {
      if (phase == Phase::own)
        drop_top(heap, std::less<>());
      else
        drop_top(heap, std::greater<>());
    }
    return !heap.empty();
  }
  template <class Compare>
  static void drop_top(std::vector<Entry>& heap, Compare compare) {
    std::pop_heap(heap.begin(), heap.end(), compare);
    heap.pop_back();
  }

  // Meshes solved class by class: their membership (fluid_mesh.cpp) ...
  bool build_mesh();
  bool settle_in_mesh(std::uint32_t slot, std::uint32_t mesh);
  std::uint32_t class_of(const Flow& f, std::uint32_t mesh);
  void enter_mesh(std::uint32_t slot, std::uint32_t mesh);
  void change_class(std::uint32_t slot, std::uint32_t mesh);
  void place_link(ResourceIndex q, std::uint32_t mesh);
  void place_links_of(const Flow& f, std::uint32_t mesh);
  void promote(ResourceIndex q, std::uint32_t mesh);
  void demote(ResourceIndex q, std::uint32_t mesh);
  void drop_empty_groups(std::uint32_t mesh);
  void drop_group(std::uint32_t group);
  void review_mesh(std::uint32_t mesh);
  void dissolve_mesh(std::uint32_t mesh);
  void touch_mesh(std::uint32_t mesh);
  // ... and their rates (fluid_classes.cpp).
  void touch_group(std::uint32_t group);
  void look_at(std::uint32_t group);
  void solve_classes(std::uint32_t mesh);
  void fill_classes(const Mesh& mesh);
  bool cap_below(ResourceIndex r, double level);
  bool uncap_above(ResourceIndex r, double level);
  double fill_level(ResourceIndex r) const;
  void push_level(ResourceIndex r, double level);
  bool promote_limits(std::uint32_t mesh);

  FlowModel model_;
  Router router_;
  LinkTable links_;
  ChangeStream changes_;
  FlowSlots<Flow> flows_;
  std::vector<std::uint32_t> flow_places_;  // in the date heap, by slot: apart, for it reads many
  std::vector<Resource> resources_;
  std::vector<Group> groups_;
  std::vector<Water> waters_;  // by group
  std::vector<std::uint32_t> free_groups_;
  std::vector<Mesh> meshes_;
  std::vector<std::uint32_t> free_meshes_;
  MeshSolver mesh_solver_ = MeshSolver::automatic;
  Solves solves_;
  IndexedHeap<Place> heap_;
  std::vector<std::uint32_t> dirty_;  // resources, and meshes with the top bit set
  std::vector<ResourceIndex> fresh_;  // became contended by the arrival that is being settled
  bool arriving_ = false, building_ = false;
  std::vector<double> carried_;
  BusyTime busy_;
  std::vector<std::vector<double>> contention_;  // by link; empty when no link has any
  struct Soon {
    FlowId flow;
    Outcome outcome;
    Instant at;
  };
  std::vector<Soon> soon_;  // ends found by start, cancel and change_link
  std::vector<FlowEnd>* ends_ = nullptr;
  double clock_ = 0;  // seconds; at most half a nanosecond ahead of events
  Instant last_;      // date of the last report
  std::uint32_t order_ = 0, epoch_ = 0;
  std::vector<std::uint32_t> walk_flows_;
  std::vector<ResourceIndex> walk_resources_;
  std::vector<Entry> by_cap_, by_level_;
  std::vector<ResourceIndex> key_;
  std::vector<LinkUse> scratch_;
  std::vector<FlowEnd> run_ends_;
};

}  // namespace isthmus::network
