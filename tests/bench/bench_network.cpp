// Flows per CPU second of the network backends. Prints figures; never fails a build.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "network/fluid_network.hpp"
#include "sim/core/event_queue.hpp"
#include "sim/core/random.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::network;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void print(const char* what, double flows, double seconds) {
  std::printf("%-52s %12.0f flows/s %9.0f ns/flow\n", what, flows / seconds, 1e9 * seconds / flows);
  std::fflush(stdout);
}

// `phones` behind a link each, one server (the last host) behind `server` bytes/s.
Topology fleet(std::uint32_t phones, double access, double server) {
  Topology t;
  t.zones = {{"field"}, {"edge"}};
  for (std::uint32_t i = 0; i <= phones; ++i) {
    Link l;
    l.name = "l" + std::to_string(i);
    l.bandwidth = i == phones ? server : access;
    l.latency = Duration(i == phones ? 200'000 : 5'000'000);
    t.links.push_back(l);
    t.hosts.push_back({"h" + std::to_string(i), i == phones ? 1U : 0U, {LinkId(i)}});
  }
  t.zone_routes = {{0, 1, {}}};
  return t;
}

// Ten cells of 100 stations each, unevenly fast, a server at the edge and one (the last host) behind a
// WAN. With `own_links` every station has a link of its own as well.
Topology cells(bool own_links) {
  Topology t;
  const auto add_link = [&](const std::string& name, double bandwidth, std::int64_t latency) {
    Link l;
    l.name = name;
    l.bandwidth = bandwidth;
    l.latency = Duration(latency);
    t.links.push_back(l);
    return LinkId::of(t.links.size() - 1);
  };
  for (std::uint32_t z = 0; z < 10; ++z) {
    t.zones.push_back({"cell" + std::to_string(z)});
    const LinkId cell = add_link("cell" + std::to_string(z), 1e6 * (1 + z), 2'000'000);
    t.links.back().sharing = Sharing::wifi;
    for (std::uint32_t h = 0; h < 100; ++h) {
      std::vector<LinkId> access = {cell};
      if (own_links)
        access.insert(access.begin(), add_link("own" + std::to_string(t.hosts.size()), 1e6, 1'000));
      t.hosts.push_back({"h" + std::to_string(t.hosts.size()), z, access});
      t.hosts.back().station_rate = 1e6 * (1 + z) * (1 + h % 4) / 4;
    }
  }
  const LinkId lan = add_link("lan", 1e9, 100'000);
  const LinkId wan = add_link("wan", 10e6, 10'000'000);
  t.zones.push_back({"edge"});
  t.zones.push_back({"cloud"});
  t.hosts.push_back({"edge", 10, {lan}});
  t.hosts.push_back({"cloud", 11, {wan}});
  for (std::uint32_t z = 0; z < 10; ++z)
    for (const std::uint32_t server : {10U, 11U}) t.zone_routes.push_back({z, server, {}});
  return t;
}

// Requests arrive one by one: an upload, then a download when it has ended.
class Offloads {
 public:
  Offloads(std::uint32_t phones, std::uint32_t requests, Duration gap)
      : phones_(phones), left_(requests), gap_(gap) {
    queue_.push(Instant::zero(), EventKind::arrival, 0);
  }
  template <class Net>
  void handle(Net& net, const Event& e) {
    if (e.kind == EventKind::arrival) {
      const auto phone = static_cast<std::uint32_t>((arrived_++ * 7919) % phones_);
      net.start({phone, phones_, 50e3, 0, phone}, e.time);
      if (--left_ > 0) queue_.push(e.time + gap_, EventKind::arrival, 0);
    } else if (e.payload < phones_) {
      const auto phone = static_cast<std::uint32_t>(e.payload);
      net.start({phones_, phone, 2e3, 0, phones_ + e.payload}, e.time);
    }
  }
  EventQueue queue_;

 private:
  std::uint64_t arrived_ = 0;
  std::uint32_t phones_, left_;
  Duration gap_;
};

// The loop as the world writes it: no virtual call per event.
template <class Handler>
void hot_loop(FluidNetwork& net, Handler& work) {
  std::vector<FlowEnd> ends;
  while (!work.queue_.empty() || net.in_flight() > 0) {
    const Instant inside = net.next_completion();
    if (inside <= work.queue_.next_time()) {
      ends.clear();
      net.collect(inside, ends);
      for (const FlowEnd& e : ends) work.queue_.push(e.at, EventKind::flow_ended, 0, e.tag);
    } else {
      work.handle(net, work.queue_.pop());
    }
  }
}

// The loop behind the Network interface, for SimGrid.
template <class Work>
class Loop final : public EventLoop {
 public:
  Loop(Network& net, Work& work) : net_(net), work_(work) {}
  Instant next() override { return work_.queue_.next_time(); }
  void step() override { work_.handle(net_, work_.queue_.pop()); }
  void flow_ended(const FlowEnd& e) override {
    work_.queue_.push(e.at, EventKind::flow_ended, 0, e.tag);
  }

 private:
  Network& net_;
  Work& work_;
};

// A fixed number of flows, each followed by another one from a host drawn at random to one of the last
// `servers` hosts (0: to any other).
class Churn {
 public:
  Churn(std::uint32_t hosts, std::uint32_t servers, std::uint32_t in_flight, std::uint32_t total)
      : hosts_(hosts), servers_(servers), left_(total), rng_(1) {
    for (std::uint32_t i = 0; i < in_flight; ++i)
      queue_.push(Instant(i * 1000), EventKind::arrival, 0);
  }
  template <class Net>
  void handle(Net& net, const Event& e) {
    if (left_ == 0) return;
    --left_;
    const auto from = static_cast<std::uint32_t>(
        uniform_index(rng_, hosts_ - std::max<std::uint32_t>(servers_, 1)));
    std::uint32_t to = hosts_ - 1;
    if (servers_ == 0)
      to = (from + 1 + static_cast<std::uint32_t>(uniform_index(rng_, hosts_ - 1))) % hosts_;
    else if (servers_ > 1)
      to -= static_cast<std::uint32_t>(uniform_index(rng_, servers_));
    net.start({from, to, 1e4 + 1e5 * uniform01(rng_), 0, 0}, e.time);
  }
  EventQueue queue_;

 private:
  std::uint32_t hosts_, servers_;
  std::uint32_t left_;
  Rng rng_;
};

// Congestion collapse: `flows` start within a millisecond per thousand and share what there is until
// the last has ended. SimGrid solves again whatever is tied together at every end, so that it is asked
// for fewer.
struct Meeting {
  const char* name;
  Topology topology;
  std::uint32_t servers;
};

std::vector<Meeting> meetings() {
  std::vector<Meeting> all;
  all.push_back({"one link", fleet(1000, 1e9, 1e9), 1});
  all.push_back({"star with a backbone", fleet(1000, 10e6, 1e12), 1});
  all.back().topology.links.push_back({"backbone", 10e6, {}, Duration(), {}, Sharing::shared, {}, Duration()});
  all.back().topology.zone_routes[0].links.push_back({LinkId::of(1001)});
  all.push_back({"one Wi-Fi cell, 1000 stations", fleet(1000, 10e6, 1e12), 1});
  Topology& cell = all.back().topology;
  cell.links[0].sharing = Sharing::wifi;
  for (std::uint32_t h = 0; h < 1000; ++h) {
    cell.hosts[h].access = {LinkId(0)};
    cell.hosts[h].station_rate = 1e6 * (1 + h % 10);
  }
  all.push_back({"ten cells and a WAN", cells(false), 2});
  all.push_back({"the same, and links of phones", cells(true), 2});
  all.push_back({"mesh of 200 hosts", fleet(200, 10e6, 10e6), 0});
  return all;
}

// CPU seconds until every flow has ended.
double collapse(Network& net, const Meeting& m, std::uint32_t flows) {
  Churn work(static_cast<std::uint32_t>(m.topology.hosts.size()), m.servers, flows, flows);
  Loop loop(net, work);
  const double begin = cpu_seconds();
  net.run(loop, Instant::never());
  return cpu_seconds() - begin;
}

void print_collapse(const char* backend, const Meeting& m, std::uint32_t flows, double seconds) {
  std::printf("%-8s %-30s %8u flows %9.3f s %10.0f flows/s\n", backend, m.name, flows, seconds,
              flows / seconds);
  std::fflush(stdout);
}

void collapses() {
  FlowModel equal;
  equal.equal_shares = true;
  std::printf("\ncongestion collapse: all flows at once, CPU time until the last has ended\n");
  const std::vector<Meeting> all = meetings();
  for (const Meeting& m : all) {
    for (const std::uint32_t flows : {100U, 1000U, 10000U, 100000U}) {
      if (m.servers == 0 && flows > 10000) continue;
      FluidNetwork net(m.topology, equal);
      print_collapse("fluid", m, flows, collapse(net, m, flows));
    }
    for (const std::uint32_t flows : {100U, 1000U, 10000U}) {
      if (flows > 1000 && &m != &all.front()) continue;
      if (fork() == 0) {
        const auto net = make_simgrid_network(m.topology, equal, {});
        print_collapse("simgrid", m, flows, collapse(*net, m, flows));
        _exit(0);
      }
      wait(nullptr);
    }
  }
}

}  // namespace

int main() {
  FlowModel equal;
  equal.equal_shares = true;
  {
    FluidNetwork net(fleet(1000, 10e6, 1e12), {});
    Offloads work(1000, 1000000, Duration(100'000));
    const double begin = cpu_seconds();
    hot_loop(net, work);
    print("fluid, uncontended offloads (up and down)", 2e6, cpu_seconds() - begin);
  }
  {
    FluidNetwork net(fleet(1000, 10e6, 1e12), {});
    Offloads work(1000, 1000000, Duration(100'000));
    Loop loop(net, work);
    const double begin = cpu_seconds();
    net.run(loop, Instant::never());
    print("the same through the virtual interface", 2e6, cpu_seconds() - begin);
  }
  for (const bool weighted : {false, true}) {
    FluidNetwork net(fleet(2000, 10e6, 1e9), weighted ? FlowModel{} : equal);
    Churn work(2001, 1, 1000, 500000);
    const double begin = cpu_seconds();
    hot_loop(net, work);
    print(weighted ? "fluid, 1000 flows on one link, weighted" : "fluid, 1000 flows on one link",
          5e5, cpu_seconds() - begin);
  }
  {
    FluidNetwork net(fleet(200, 10e6, 10e6), equal);
    Churn work(201, 0, 100, 100000);
    const double begin = cpu_seconds();
    hot_loop(net, work);
    print("fluid, mesh of 100 flows among 200 hosts", 1e5, cpu_seconds() - begin);
  }
  // SimGrid starts once per process. It solves again whatever shares the server's link, so that the
  // number of transfers in flight counts.
  for (const std::int64_t gap : {1'000'000, 100'000}) {
    if (fork() == 0) {
      const auto net = make_simgrid_network(fleet(1000, 10e6, 1e12), {}, {});
      Offloads work(1000, 100000, Duration(gap));
      Loop loop(*net, work);
      const double begin = cpu_seconds();
      net->run(loop, Instant::never());
      print(
          gap == 1'000'000 ? "simgrid, offloads, 15 in flight" : "simgrid, offloads, 150 in flight",
          2e5, cpu_seconds() - begin);
      _exit(0);
    }
    wait(nullptr);
  }
  collapses();
  return 0;
}
