// The SimGrid backend. SimGrid owns the clock only while transfers are in flight: one SimGrid timer
// stands at the earliest thing that we have to do (the gate), and between gates SimGrid shares
// bandwidth and ends flows. While nothing is in flight the event loop runs freely. Ends of one
// date wait for each other, so that they are reported in order of start.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <queue>
#include <simgrid/kernel/Timer.hpp>
#include <simgrid/kernel/resource/Action.hpp>
#include <simgrid/kernel/resource/Model.hpp>
#include <simgrid/s4u/Comm.hpp>
#include <simgrid/s4u/Engine.hpp>
#include <simgrid/s4u/Host.hpp>
#include <unordered_map>
#include <vector>

// Needs the macros of the headers above.
#include <simgrid/version.h>

#include "network/flow_slots.hpp"
#include "network/link_power.hpp"
#include "network/simgrid_platform.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::network {

namespace {

namespace sg = simgrid::s4u;
using simgrid::kernel::resource::Action;
using simgrid::kernel::timer::Timer;

// Thrown out of SimGrid's main loop when the horizon is reached; SimGrid can run on afterwards.
struct HorizonReached {};

struct Flow {
  std::uint8_t generation = 0;
  bool used = false;
  enum class Phase : std::uint8_t { waiting, running, ended } phase = Phase::waiting;
  Transfer transfer;
  std::uint64_t order = 0;  // number of its start
  std::vector<LinkUse> path, back;  // back: ACK path, with cross traffic only
  Duration beside;                  // latency that no link of the path has
  FlowTerms terms;
  sg::CommPtr comm;
  Action* action = nullptr;  // valid while running
};

class SimGridNetwork final : public Network {
 public:
  SimGridNetwork(const Topology& topology, const FlowModel& model,
                 const std::vector<std::string>& options);
  ~SimGridNetwork() override;

  FlowId start(const Transfer& transfer, Instant now) override;
  void cancel(FlowId flow, Instant now) override;
  void change_link(LinkId link, const LinkChange& change, Instant now) override;
  void set_access(std::uint32_t host, std::size_t place, LinkId link) override {
    platform_.set_access(host, place, link);
  }
  void run(EventLoop& loop, Instant horizon) override;
  std::size_t in_flight() const override { return flows_.live(); }
  Duration path_latency(std::uint32_t from, std::uint32_t to) const override;
  double path_bandwidth(std::uint32_t from, std::uint32_t to) const override;
  double carried_bytes(LinkId link) const override;
  double busy_seconds(LinkId link) const override;
  std::string describe() const override;

 private:
  // A flow in its latency phase; earliest first, then in order of start.
  struct Waiting {
    double date;
    std::uint64_t order;
    FlowId flow;
    bool operator>(const Waiting& o) const {
      return date != o.date ? date > o.date : order > o.order;
    }
  };
  struct Buried {
    double date;
    sg::CommPtr comm;
  };
  struct Ended {
    std::uint32_t slot;
    double wait;  // SimGrid's clock when no other flow can end at the same date
    FlowEnd end;
  };

  void gate();
  void arm();
  void disarm();
  void launch(std::uint32_t slot, double clock);
  void harvest();
  void on_completion(const sg::Activity& activity);
  void end(std::uint32_t slot, Outcome outcome, Instant at, double left = 0);
  void fail(std::uint32_t slot);
  void report_ends(Instant until);
  void withdraw(Flow& f);
  void apply(LinkId link, const LinkChange& change, Instant now);
  void apply_due(double clock);
  void check_host(std::uint32_t host) const;
  double moved(const Flow& f) const;
  void book(const Flow& f, double bytes);
  std::array<double, 2> flying_bytes(LinkId link) const;
  Instant now_in_simgrid() const;

  SimGridPlatform platform_;
  FlowModel model_;
  FlowSlots<Flow> flows_;
  std::unordered_map<const void*, std::uint32_t> by_activity_;
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
  std::vector<Ended> ended_;  // not reported yet, in order of date
  std::vector<Buried> buried_;
  std::vector<double> carried_;
  BusyTime busy_;
  EventLoop* loop_ = nullptr;
  Instant horizon_ = Instant::never();
  Instant last_;  // date of the last event or end: reports never go back
  Timer* timer_ = nullptr;
  double timer_date_ = 0;
  bool in_gate_ = false;
  std::uint64_t order_ = 0;
  std::vector<LinkUse> scratch_;
};

SimGridNetwork::SimGridNetwork(const Topology& topology, const FlowModel& model,
                               const std::vector<std::string>& options)
    : platform_(topology, model, options), model_(model), busy_(topology) {
  carried_.assign(platform_.links().size(), 0.0);
#if SIMGRID_VERSION < 33400
  sg::Activity::on_completion_cb([this](const sg::Activity& a) { on_completion(a); });
#else
  sg::Comm::on_completion_cb([this](const sg::Comm& c) { on_completion(c); });
#endif
  apply_due(0.0);
}

SimGridNetwork::~SimGridNetwork() {
  // SimGrid complains about a communication that is freed before its end: let the process keep it.
  static std::vector<sg::CommPtr>& kept = *new std::vector<sg::CommPtr>;
  by_activity_.clear();
  disarm();
  for (std::uint32_t i = 0; i < flows_.extent(); ++i)
    if (flows_[i].used && flows_[i].comm) kept.push_back(std::move(flows_[i].comm));
  for (Buried& b : buried_) kept.push_back(std::move(b.comm));
}

void SimGridNetwork::check_host(std::uint32_t host) const {
  if (host >= platform_.host_count())
    throw InputError(
        fmt::format("transfer names host {}, there are {}", host, platform_.host_count()));
}

FlowId SimGridNetwork::start(const Transfer& transfer, Instant now) {
  check_host(transfer.from);
  check_host(transfer.to);
  const std::uint32_t slot = flows_.take();
  Flow& f = flows_[slot];
  const FlowId id = flows_.id(slot);
  f.transfer = transfer;
  f.order = order_++;
  f.phase = Flow::Phase::waiting;
  f.path.clear();
  f.back.clear();
  try {
    f.beside = platform_.append_path(transfer.from, transfer.to, f.path);
    if (model_.cross_traffic) platform_.append_path(transfer.to, transfer.from, f.back);
  } catch (...) {
    flows_.release(slot);
    throw;
  }

  // Inside one host nothing is transferred; over a dead link neither, and SimGrid would not say so.
  const LinkTable& links = platform_.links();
  if (transfer.from == transfer.to) {
    end(slot, Outcome::delivered, now);
  } else if (!links.path_up(f.path) || !links.path_up(f.back)) {
    end(slot, Outcome::failed, now, transfer.bytes);
  } else {
    const Duration latency = links.path_latency(f.path) + f.beside;
    const double delay = platform_.native() ? 0.0 : model_.latency_factor * latency.seconds();
    waiting_.push({now.seconds() + delay, f.order, id});
  }
  return id;
}

// The latency is paid: the flow joins SimGrid's solver.
void SimGridNetwork::launch(std::uint32_t slot, double clock) {
  Flow& f = flows_[slot];
  const bool native = platform_.native();
  f.terms = flow_terms(platform_.links(), model_, f.path, f.transfer.rate_cap, f.beside);
  const bool instant = f.transfer.bytes <= 0 || (f.path.empty() && std::isinf(f.terms.bound));
  if (!native && instant) return end(slot, Outcome::delivered, now_in_simgrid());

  f.comm = sg::Comm::sendto_init(platform_.host(f.transfer.from), platform_.host(f.transfer.to));
  f.comm->set_payload_size(static_cast<std::uint64_t>(std::ceil(f.transfer.bytes)));
  f.comm->start();
  by_activity_.emplace(f.comm->get_impl(), slot);
  f.phase = Flow::Phase::running;

  // A new action is the last of the started ones; it starts out bound by the bandwidth that its
  // path has now.
  auto& started = *platform_.model().get_started_action_set();
  if (started.empty() || started.back().get_activity() != f.comm->get_impl())
    throw InternalError(fmt::format("SimGrid lost a transfer at {} s", clock));
  f.action = &started.back();
  if (native) {
    // Comm::set_rate does not reach a communication between hosts (3.32): bound it here.
    const double bound = std::min(f.terms.bound, f.action->get_user_bound());
    if (f.transfer.rate_cap > 0) {
      f.action->set_user_bound(bound);
      f.action->set_bound(bound);
    }
    return;
  }

  // Our bound replaces the frozen one, our weight SimGrid's for a flow without latency, 1.
  f.action->set_remains(f.transfer.bytes / platform_.unit());
  f.action->set_user_bound(-1);
  f.action->set_bound(std::isinf(f.terms.bound) ? -1.0 : f.terms.bound / platform_.unit());
  const double penalty = platform_.penalty_unit() / f.terms.weight;
  if (penalty != 1.0 || f.beside > Duration::zero()) f.action->set_sharing_penalty(penalty);
}

Instant SimGridNetwork::now_in_simgrid() const {
  return std::max(last_, Instant::from_seconds(sg::Engine::get_clock()));
}

double SimGridNetwork::moved(const Flow& f) const {
  if (f.phase != Flow::Phase::running) return 0.0;
  const double left = f.action != nullptr ? f.action->get_remains() : f.comm->get_remaining();
  return std::clamp(f.transfer.bytes - left * platform_.unit(), 0.0, f.transfer.bytes);
}

// What a flow that ends has moved, on every link of its path.
void SimGridNetwork::book(const Flow& f, double bytes) {
  for (const LinkUse& u : f.path) carried_[u.link.value()] += bytes;
  if (!busy_.any()) return;
  const double taken = bytes / model_.bandwidth_factor;
  const LinkTable& links = platform_.links();
  for (const LinkUse& u : f.path)
    if (busy_.tracks(u.link)) busy_.add(links.resource(u), taken * u.air);
  for (const LinkUse& u : f.back)
    if (busy_.tracks(u.link)) busy_.add(links.resource(u), 0.05 * taken * u.air);
}

// Books an end. The loop is told when those that only rounding sets apart have ended too, a tenth of
// a nanosecond later, and outside EventLoop::step, where the caller has no FlowId yet.
void SimGridNetwork::end(std::uint32_t slot, Outcome outcome, Instant at, double left) {
  Flow& f = flows_[slot];
  book(f, f.transfer.bytes - left);
  if (f.comm) {
    by_activity_.erase(f.comm->get_impl());
    buried_.push_back({sg::Engine::get_clock(), std::move(f.comm)});
    f.comm = nullptr;
  }
  f.phase = Flow::Phase::ended;
  f.action = nullptr;
  last_ = std::max(last_, at);
  const auto later = std::partition_point(ended_.begin(), ended_.end(),
                                          [&](const Ended& e) { return e.end.at <= at; });
  const double clock = sg::Engine::get_clock();
  const double wait = clock + std::max(1e-10, 4e-16 * clock);
  ended_.insert(later, {slot, wait, {f.transfer.tag, outcome, at, left, f.order}});
}

// Reports the ends up to a date, those of one date in order of start.
void SimGridNetwork::report_ends(Instant until) {
  const auto last = std::partition_point(ended_.begin(), ended_.end(),
                                         [&](const Ended& e) { return e.end.at <= until; });
  std::sort(ended_.begin(), last, [](const Ended& a, const Ended& b) {
    return a.end.at != b.end.at ? a.end.at < b.end.at : a.end.order < b.end.order;
  });
  for (auto e = ended_.begin(); e != last; ++e) {
    flows_.release(e->slot);
    loop_->flow_ended(e->end);
  }
  ended_.erase(ended_.begin(), last);
}

void SimGridNetwork::cancel(FlowId flow, Instant now) {
  const std::uint32_t slot = flows_.find(flow);
  if (slot == FlowSlots<Flow>::slot_mask || flows_[slot].phase == Flow::Phase::ended) return;
  Flow& f = flows_[slot];
  const double left = f.transfer.bytes - moved(f);
  withdraw(f);
  end(slot, Outcome::cancelled, now, left);
}

// Stops a flow in SimGrid, which calls back twice for that; we have forgotten the flow by then. A
// failing link does not do it for us: fatpipes are on no route of SimGrid's.
void SimGridNetwork::withdraw(Flow& f) {
  if (!f.comm) return;
  by_activity_.erase(f.comm->get_impl());
  f.action = nullptr;
  f.comm->cancel();
}

void SimGridNetwork::change_link(LinkId link, const LinkChange& change, Instant now) {
  apply(link, change, now);
}

void SimGridNetwork::apply(LinkId link, const LinkChange& change, Instant now) {
  const auto crosses = [&](const Flow& f) {
    const auto on = [&](const LinkUse& u) { return u.link == link; };
    return std::any_of(f.path.begin(), f.path.end(), on) ||
           std::any_of(f.back.begin(), f.back.end(), on);
  };

  // Transfers on a failing link fail, those in their latency phase too; noted before SimGrid acts.
  if (change.up && !*change.up) {
    for (std::uint32_t i = 0; i < flows_.extent(); ++i) {
      Flow& f = flows_[i];
      if (!f.used || f.phase == Flow::Phase::ended || !crosses(f)) continue;
      const double left = f.transfer.bytes - moved(f);
      withdraw(f);
      end(i, Outcome::failed, now, left);
    }
  }
  if ((change.bandwidth || change.scale) && link.value() < platform_.links().size() &&
      busy_.tracks(link))
    busy_.settle(link, flying_bytes(link), platform_.links());
  platform_.apply(link, change);

  // Weights, windows and fatpipe bounds follow the new state.
  if (platform_.native() || !(change.bandwidth || change.latency || change.scale)) return;
  for (std::uint32_t i = 0; i < flows_.extent(); ++i) {
    Flow& f = flows_[i];
    if (!f.used || f.phase != Flow::Phase::running || !crosses(f)) continue;
    const FlowTerms terms =
        flow_terms(platform_.links(), model_, f.path, f.transfer.rate_cap, f.beside);
    if (terms.bound != f.terms.bound)
      f.action->set_bound(std::isinf(terms.bound) ? -1.0 : terms.bound / platform_.unit());
    if (terms.weight != f.terms.weight)
      f.action->set_sharing_penalty(platform_.penalty_unit() / terms.weight);
    f.terms = terms;
  }
}

void SimGridNetwork::apply_due(double clock) {
  ChangeStream& changes = platform_.changes();
  while (!changes.next().is_never() && changes.next().seconds() <= clock) {
    const Instant date = changes.next();
    const ChangeStream::Item item = changes.pop();
    apply(item.link, item.change, std::max(date, last_));
  }
}

// Flows that SimGrid ended at this very date, before it tells us: timers run ahead of that.
void SimGridNetwork::harvest() {
  for (Action& a : *platform_.model().get_finished_action_set()) {
    const auto it = by_activity_.find(a.get_activity());
    if (it != by_activity_.end()) end(it->second, Outcome::delivered, now_in_simgrid());
  }
  for (Action& a : *platform_.model().get_failed_action_set()) {
    const auto it = by_activity_.find(a.get_activity());
    if (it != by_activity_.end()) fail(it->second);
  }
}

void SimGridNetwork::fail(std::uint32_t slot) {
  const Flow& f = flows_[slot];
  end(slot, Outcome::failed, now_in_simgrid(), f.transfer.bytes - moved(f));
}

void SimGridNetwork::on_completion(const sg::Activity& activity) {
  const auto it = by_activity_.find(activity.get_impl());
  if (it == by_activity_.end()) return;
  if (activity.get_state() == sg::Activity::State::FINISHED)
    end(it->second, Outcome::delivered, now_in_simgrid());
  else
    fail(it->second);
  if (!in_gate_) arm();
}

// Everything of ours that is due at SimGrid's present date, in the order of the event table.
void SimGridNetwork::gate() {
  in_gate_ = true;
  timer_ = nullptr;
  const double clock = sg::Engine::get_clock();
  // A communication may be freed once SimGrid's round at its end is over.
  std::erase_if(buried_, [&](const Buried& b) { return b.date < clock; });
  harvest();
  for (;;) {
    if (platform_.changes().next().seconds() <= clock) {
      apply_due(clock);
      continue;
    }
    if (!waiting_.empty() && waiting_.top().date <= clock) {
      const std::uint32_t slot = flows_.find(waiting_.top().flow);
      waiting_.pop();
      if (slot != FlowSlots<Flow>::slot_mask && flows_[slot].phase == Flow::Phase::waiting)
        launch(slot, clock);
      continue;
    }
    const Instant next = loop_->next();
    if (!ended_.empty() && ended_.front().end.at <= next) {
      const Instant at = ended_.front().end.at;
      if (at > horizon_ || ended_.front().wait > clock) break;
      report_ends(at);
      continue;
    }
    if (next > horizon_ || next.is_never() || next.seconds() > clock) break;
    last_ = std::max(last_, next);
    loop_->step();
  }
  in_gate_ = false;
  const bool more = !ended_.empty() && ended_.front().end.at <= horizon_;
  if (!horizon_.is_never() && horizon_.seconds() <= clock && !more) throw HorizonReached{};
  arm();
}

// Sets the timer to the earliest thing to do; to nothing when no transfer is in flight, and
// SimGrid's main loop ends then.
void SimGridNetwork::arm() {
  if (flows_.live() == 0) return disarm();
  const Instant next = std::min(horizon_, loop_->next());
  double date = next.is_never() ? std::numeric_limits<double>::infinity() : next.seconds();
  if (!ended_.empty() && ended_.front().end.at <= next) date = ended_.front().wait;
  if (const Instant change = platform_.changes().next(); !change.is_never())
    date = std::min(date, change.seconds());
  if (!waiting_.empty()) date = std::min(date, waiting_.top().date);
  if (std::isinf(date)) return disarm();
  date = std::max(date, sg::Engine::get_clock());
  if (timer_ != nullptr && timer_date_ == date) return;
  disarm();
  timer_date_ = date;
  timer_ = Timer::set(date, [this] { gate(); });
}

void SimGridNetwork::disarm() {
  if (timer_ != nullptr) timer_->remove();
  timer_ = nullptr;
}

void SimGridNetwork::run(EventLoop& loop, Instant horizon) {
  loop_ = &loop;
  horizon_ = horizon;
  for (;;) {
    // Nothing in flight: no need of SimGrid.
    if (flows_.live() == ended_.size()) report_ends(horizon);
    const Instant next = loop.next();
    if (flows_.live() == 0) {
      const Instant limit = std::min(next, horizon);
      if (!limit.is_never()) apply_due(limit.seconds());
      if (next > horizon || next.is_never()) break;
      last_ = std::max(last_, next);
      loop.step();
      continue;
    }

    // SimGrid runs until nothing is in flight or the horizon is reached.
    arm();
    try {
      platform_.engine().run();
    } catch (const HorizonReached&) {
      break;
    }
    if (flows_.live() != 0)
      throw InternalError(fmt::format("SimGrid stopped at {} s with {} transfers in flight",
                                      sg::Engine::get_clock(), flows_.live()));
  }
  in_gate_ = false;
}

Duration SimGridNetwork::path_latency(std::uint32_t from, std::uint32_t to) const {
  std::vector<LinkUse> path;
  const Duration beside = platform_.append_path(from, to, path);
  return platform_.links().path_latency(path) + beside;
}

double SimGridNetwork::path_bandwidth(std::uint32_t from, std::uint32_t to) const {
  std::vector<LinkUse> path;
  platform_.append_path(from, to, path);
  return platform_.links().path_bandwidth(path);
}

double SimGridNetwork::carried_bytes(LinkId link) const {
  double sum = carried_.at(link.value());
  for (std::uint32_t i = 0; i < flows_.extent(); ++i) {
    const Flow& f = flows_[i];
    if (!f.used || f.phase != Flow::Phase::running) continue;
    const auto n = std::count_if(f.path.begin(), f.path.end(),
                                 [&](const LinkUse& u) { return u.link == link; });
    if (n > 0) sum += static_cast<double>(n) * moved(f);
  }
  return sum;
}

std::array<double, 2> SimGridNetwork::flying_bytes(LinkId link) const {
  std::array<double, 2> sum{};
  for (std::uint32_t i = 0; i < flows_.extent(); ++i) {
    const Flow& f = flows_[i];
    if (!f.used || f.phase != Flow::Phase::running) continue;
    const double taken = moved(f) / model_.bandwidth_factor;
    for (const LinkUse& u : f.path)
      if (u.link == link) sum[platform_.links().resource(u) % 2] += taken * u.air;
    for (const LinkUse& u : f.back)
      if (u.link == link) sum[platform_.links().resource(u) % 2] += 0.05 * taken * u.air;
  }
  return sum;
}

double SimGridNetwork::busy_seconds(LinkId link) const {
  if (link.value() >= platform_.links().size() || !busy_.tracks(link)) return 0;
  return busy_.seconds(link, flying_bytes(link), platform_.links());
}

std::string SimGridNetwork::describe() const {
  return fmt::format("simgrid {}.{} {}{}", SIMGRID_VERSION_MAJOR, SIMGRID_VERSION_MINOR,
                     model_.name, platform_.native() ? " native" : "");
}

}  // namespace

std::unique_ptr<Network> make_simgrid_network(const Topology& topology, const FlowModel& model,
                                              const std::vector<std::string>& options) {
  return std::make_unique<SimGridNetwork>(topology, model, options);
}

}  // namespace isthmus::network
