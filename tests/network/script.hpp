// A small event loop for tests: starts, cancellations and link changes at given dates.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "network/network.hpp"
#include "tests/network/fork_helper.hpp"

namespace isthmus::network::test {

//! One thing to do. Tags of transfers are their index in the script.
struct Op {
  enum class Kind { start, cancel, change, call } kind = Kind::start;
  Instant at;
  Transfer transfer;      // start
  std::size_t which = 0;  // cancel: index of the starting op
  LinkId link;            // change
  LinkChange change;
  std::function<void(Network&)> call;
};

inline Op start_at(double seconds, std::uint32_t from, std::uint32_t to, double bytes,
                   double cap = 0) {
  Op op;
  op.at = Instant::from_seconds(seconds);
  op.transfer = {from, to, bytes, cap, 0};
  return op;
}
inline Op cancel_at(double seconds, std::size_t which) {
  Op op;
  op.kind = Op::Kind::cancel;
  op.at = Instant::from_seconds(seconds);
  op.which = which;
  return op;
}
inline Op change_at(double seconds, std::uint32_t link, LinkChange change) {
  Op op;
  op.kind = Op::Kind::change;
  op.at = Instant::from_seconds(seconds);
  op.link = LinkId(link);
  op.change = change;
  return op;
}
inline Op call_at(double seconds, std::function<void(Network&)> f) {
  Op op;
  op.kind = Op::Kind::call;
  op.at = Instant::from_seconds(seconds);
  op.call = std::move(f);
  return op;
}

//! Executes a script and notes the ends, in the order in which they are reported.
class ScriptLoop final : public EventLoop {
 public:
  ScriptLoop(Network& net, std::vector<Op> ops) : net_(net), ops_(std::move(ops)) {
    for (std::size_t i = 0; i < ops_.size(); ++i) order_.push_back(i);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return ops_[a].at < ops_[b].at; });
    ids_.resize(ops_.size());
  }
  Instant next() override { return at_ < order_.size() ? ops_[order_[at_]].at : Instant::never(); }
  void step() override {
    const std::size_t i = order_[at_++];
    Op& op = ops_[i];
    last_ = op.at;
    switch (op.kind) {
      case Op::Kind::start:
        op.transfer.tag = i;
        ids_[i] = net_.start(op.transfer, op.at);
        break;
      case Op::Kind::cancel:
        net_.cancel(ids_[op.which], op.at);
        break;
      case Op::Kind::change:
        net_.change_link(op.link, op.change, op.at);
        break;
      case Op::Kind::call:
        op.call(net_);
        break;
    }
  }
  void flow_ended(const FlowEnd& end) override {
    if (end.at < last_ || end.at > next()) out_of_order = true;
    last_ = end.at;
    ends.push_back(end);
  }
  std::vector<FlowEnd> ends;
  bool out_of_order = false;

 private:
  Network& net_;
  std::vector<Op> ops_;
  std::vector<std::size_t> order_;
  std::vector<FlowId> ids_;
  std::size_t at_ = 0;
  Instant last_;
};

inline std::vector<FlowEnd> run_script(Network& net, const std::vector<Op>& ops,
                                       Instant horizon = Instant::never()) {
  ScriptLoop loop(net, ops);
  net.run(loop, horizon);
  if (loop.out_of_order) throw std::runtime_error("ends reported out of order");
  return loop.ends;
}
inline std::vector<FlowEnd> run_fluid(const Topology& t, const FlowModel& m,
                                      const std::vector<Op>& ops,
                                      Instant horizon = Instant::never()) {
  const auto net = make_fluid_network(t, m);
  return run_script(*net, ops, horizon);
}
//! In a process of its own.
inline std::vector<FlowEnd> run_simgrid(const Topology& t, const FlowModel& m,
                                        const std::vector<Op>& ops,
                                        Instant horizon = Instant::never(),
                                        const std::vector<std::string>& options = {}) {
  return in_child<FlowEnd>([&] {
    auto net = make_simgrid_network(t, m, options);
    return run_script(*net, ops, horizon);
  });
}
//! Ends by tag.
inline std::vector<FlowEnd> by_tag(std::vector<FlowEnd> ends) {
  std::stable_sort(ends.begin(), ends.end(),
                   [](const FlowEnd& a, const FlowEnd& b) { return a.tag < b.tag; });
  return ends;
}

//! `n` hosts in one zone, each behind an own link; host i behind link i.
inline Topology star(std::uint32_t n, double bandwidth, double latency_s,
                     Sharing sharing = Sharing::split_duplex) {
  Topology t;
  t.zones.push_back({"zone"});
  for (std::uint32_t i = 0; i < n; ++i) {
    Link l;
    l.name = "l" + std::to_string(i);
    l.bandwidth = bandwidth;
    l.latency = Duration::from_seconds(latency_s);
    l.sharing = sharing;
    t.links.push_back(l);
    t.hosts.push_back({"h" + std::to_string(i), 0, {LinkId(i)}});
  }
  return t;
}
//! Two hosts joined by one shared link.
inline Topology wire(double bandwidth, double latency_s) {
  Topology t;
  t.zones.push_back({"zone"});
  t.hosts = {{"a", 0, {}}, {"b", 0, {}}};
  Link l;
  l.name = "wire";
  l.bandwidth = bandwidth;
  l.latency = Duration::from_seconds(latency_s);
  l.sharing = Sharing::shared;
  t.links.push_back(l);
  t.host_routes.push_back({0, 1, {{LinkId(0), Direction::up}}});
  return t;
}

}  // namespace isthmus::network::test
