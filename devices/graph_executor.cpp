#include "devices/graph_executor.hpp"

#include <algorithm>
#include <cmath>

#include "devices/max_min.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::devices {

namespace {

constexpr std::uint32_t release_sources = 0xffffffffU;
constexpr std::int64_t forever = Instant::never().ns();

// ns until `left` is done; rounded up, but not for the last bit of a quotient.
std::int64_t until(double left, double rate) {
  return static_cast<std::int64_t>(std::ceil(left / rate - 1e-6));
}

}  // namespace

GraphExecutor::GraphExecutor(const ExecutorSpec& spec, bool leaps) : spec_(spec), leaps_(leaps) {
  std::vector<std::uint32_t> lanes_in_domain(spec.memory_bandwidth.size(), 0);
  for (const ExecutorUnit& u : spec.units) {
    Unit unit;
    unit.first_lane = static_cast<std::uint32_t>(lanes_.size());
    unit.lanes = u.lanes;
    unit.domain = u.memory_domain;
    for (std::uint32_t l = 0; l < u.lanes; ++l) {
      lanes_.emplace_back();
      lanes_.back().unit = static_cast<std::uint32_t>(units_.size());
    }
    lanes_in_domain[u.memory_domain] += u.lanes;
    if (u.lanes > 1) may_contend_ = true;
    units_.push_back(unit);
  }
  for (std::size_t d = 0; d < lanes_in_domain.size(); ++d)
    if (lanes_in_domain[d] > 1 && std::isfinite(spec.memory_bandwidth[d])) may_contend_ = true;
  rates_.resize(lanes_.size());
  open_.resize(lanes_.size());
  next_ = forever;
}

void GraphExecutor::record(std::vector<OperatorRun>* runs) {
  runs_ = runs;
  if (runs) leaps_ = false;
}

// ---- from outside ------------------------------------------------------------------------------

void GraphExecutor::start(Instant at, const ExecutionPlan& plan, std::uint64_t tag,
                          std::int32_t priority, Instant deadline) {
  const std::int64_t now = at.ns();
  if (leap_) unfold(now);
  process(now);
  if (leaps_ && live_ == 0) {
    leap_ = &plan;
    leap_tag_ = tag;
    leap_sequence_ = sequence_++;
    leap_start_ = now;
    leap_priority_ = priority;
    leap_deadline_ = deadline.ns();
    live_ = 1;
    accounted_ = now;
    return;
  }
  add_instance(now, plan, tag, priority, deadline.ns(), sequence_++);
  settle(now);
}

Instant GraphExecutor::next() const {
  if (!done_.empty()) return done_.front().at;
  if (leap_) return Instant(leap_start_) + leap_->makespan();
  return Instant(next_);
}

void GraphExecutor::advance(Instant at, std::vector<FinishedInstance>& done) {
  if (leap_ && Instant(leap_start_) + leap_->makespan() <= at) end_leap();
  process(at.ns());
  done.insert(done.end(), done_.begin(), done_.end());
  done_.clear();
}

void GraphExecutor::clear(Instant at, std::vector<std::uint64_t>& lost) {
  const std::int64_t now = at.ns();
  if (leap_) unfold(now);
  process(now);
  account(now);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> live;
  for (Instance& i : slab_)
    if (i.plan) {
      live.emplace_back(i.sequence, i.tag);
      i.plan = nullptr;
      free_.push_back(static_cast<std::uint32_t>(&i - slab_.data()));
    }
  std::sort(live.begin(), live.end());
  for (const auto& [sequence, tag] : live) lost.push_back(tag);
  for (Lane& l : lanes_) {
    l.busy = false;
    l.ready.clear();
  }
  arrivals_.clear();
  for (Unit& u : units_) u.pending = 0;
  live_ = 0;
  share(now);
  find_next();
}

void GraphExecutor::drop(Instant at, const std::vector<std::uint64_t>& tags) {
  const std::int64_t now = at.ns();
  if (leap_) unfold(now);
  process(now);
  account(now);
  const auto goes = [&](std::uint64_t tag) { return std::find(tags.begin(), tags.end(), tag) != tags.end(); };
  std::erase_if(done_, [&](const FinishedInstance& f) { return goes(f.tag); });
  for (std::uint32_t slot = 0; slot < slab_.size(); ++slot) {
    Instance& i = slab_[slot];
    if (!i.plan || !goes(i.tag)) continue;
    for (std::uint32_t number = 0; number < lanes_.size(); ++number) {
      Lane& l = lanes_[number];
      const auto forget = [&](std::uint32_t op) {
        units_[l.unit].pending -= static_cast<double>(i.plan->at(op).fixed + i.plan->at(op).body) * 1e-9;
      };
      const auto& order = i.plan->order(number);
      for (std::size_t next = i.cursor[number]; next < order.size(); ++next) forget(order[next]);
      if (l.busy && l.instance == slot) {
        forget(l.op);
        l.busy = false;
      }
      std::erase_if(l.ready, [&](const Ready& r) { return r.instance == slot; });
      std::make_heap(l.ready.begin(), l.ready.end());
    }
    std::erase_if(arrivals_, [&](const Arrival& a) { return a.instance == slot; });
    i.plan = nullptr;
    free_.push_back(slot);
    --live_;
  }
  std::make_heap(arrivals_.begin(), arrivals_.end());
  if (live_ == 0)
    for (Unit& u : units_) u.pending = 0;  // no rounding is left behind
  settle(now);
}

void GraphExecutor::set_speed(Instant at, std::uint32_t unit, double speed) {
  if (!(speed > 0 && speed <= 1)) throw InternalError("executor: relative clock outside (0, 1]");
  const std::int64_t now = at.ns();
  if (leap_) unfold(now);
  process(now);
  Unit& u = units_[unit];
  if (u.speed == speed) return;
  u.speed = speed;
  if (speed != 1) leaps_ = false;  // idle runs are those of the highest clocks
  account(now);
  for (std::uint32_t i = u.first_lane; i < u.first_lane + u.lanes; ++i) {
    Lane& l = lanes_[i];
    if (!l.busy) continue;
    const PlannedOperator& op = slab_[l.instance].plan->at(l.op);
    progress(l, now);
    const auto alone = static_cast<double>(op.alone(speed));
    l.left = l.alone > 0 ? l.left / l.alone * alone : 0;
    l.alone = alone;
    l.demand = demand(l, op);
    l.end = now + until(l.left, l.rate);
  }
  share(now);
  find_next();
}

double GraphExecutor::energy(Instant now) const {
  if (leap_) return energy_ + leap_->idle_at(now.ns() - leap_start_).energy;
  return energy_ + watts_ * static_cast<double>(now.ns() - accounted_) * 1e-9;
}

double GraphExecutor::busy_seconds(Instant now) const {
  if (leap_) return busy_ + leap_->idle_at(now.ns() - leap_start_).busy_seconds;
  return busy_ + busy_units_ * static_cast<double>(now.ns() - accounted_) * 1e-9;
}

Instant GraphExecutor::earliest_deadline() const {
  std::int64_t first = leap_ ? leap_deadline_ : forever;
  for (const Instance& i : slab_)
    if (i.plan) first = std::min(first, i.deadline);
  return Instant(first);
}

// ---- leaps -------------------------------------------------------------------------------------

void GraphExecutor::end_leap() {
  const Instant end = Instant(leap_start_) + leap_->makespan();
  const IdleMark all = leap_->idle_at(leap_->makespan().ns());
  energy_ += all.energy;
  busy_ += all.busy_seconds;
  accounted_ = end.ns();
  executed_ += leap_->size();
  ++leapt_;
  done_.push_back({leap_tag_, end, all.energy});
  leap_ = nullptr;
  live_ = 0;
}

// Somebody disturbs the leap: its operators are run up to now.
void GraphExecutor::unfold(std::int64_t now) {
  if (leap_start_ + leap_->makespan().ns() <= now) return end_leap();
  const ExecutionPlan& plan = *leap_;
  leap_ = nullptr;
  live_ = 0;
  add_instance(leap_start_, plan, leap_tag_, leap_priority_, leap_deadline_, leap_sequence_);
  settle(leap_start_);
  process(now);
}

// ---- event by event ----------------------------------------------------------------------------

void GraphExecutor::add_instance(std::int64_t now, const ExecutionPlan& plan, std::uint64_t tag,
                                 std::int32_t priority, std::int64_t deadline,
                                 std::uint64_t sequence) {
  account(now);
  std::uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slab_.size());
    slab_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Instance& i = slab_[slot];
  i.plan = &plan;
  i.tag = tag;
  i.sequence = sequence;
  i.deadline = deadline;
  i.priority = priority;
  i.left = static_cast<std::uint32_t>(plan.size());
  i.energy = 0;
  i.pending.assign(plan.pending().begin(), plan.pending().end());
  i.cursor.assign(lanes_.size(), 0);
  ++live_;
  for (std::uint32_t u = 0; u < units_.size(); ++u) units_[u].pending += plan.unit_seconds(u);
  if (plan.overhead() > 0) {
    push_arrival(now + plan.overhead(), slot, release_sources);
  } else {
    for (const std::uint32_t op : plan.sources()) satisfied(slot, op);
  }
}

void GraphExecutor::push_arrival(std::int64_t at, std::uint32_t instance, std::uint32_t op) {
  arrivals_.push_back({at, arrival_order_++, instance, op});
  std::push_heap(arrivals_.begin(), arrivals_.end());
}

void GraphExecutor::process(std::int64_t now) {
  while (next_ <= now) {
    const std::int64_t t = next_;
    account(t);
    settle(t);
  }
}

// Everything that happens at `t`: ends, arrivals, starts, until nothing more does.
void GraphExecutor::settle(std::int64_t t) {
  bool again = true;
  while (again) {
    for (std::uint32_t l = 0; l < lanes_.size(); ++l)
      if (lanes_[l].busy && lanes_[l].end <= t) end_operator(l, t);
    while (!arrivals_.empty() && arrivals_.front().at <= t) {
      const Arrival a = arrivals_.front();
      std::pop_heap(arrivals_.begin(), arrivals_.end());
      arrivals_.pop_back();
      if (a.op == release_sources) {
        for (const std::uint32_t op : slab_[a.instance].plan->sources()) satisfied(a.instance, op);
      } else {
        satisfied(a.instance, a.op);
      }
    }
    again = false;
    for (std::uint32_t l = 0; l < lanes_.size(); ++l)
      if (!lanes_[l].busy && !lanes_[l].ready.empty()) {
        start_operator(l, t);
        again = again || lanes_[l].end <= t;  // takes no time
      }
  }
  share(t);
  find_next();
}

void GraphExecutor::account(std::int64_t now) {
  const double seconds = static_cast<double>(now - accounted_) * 1e-9;
  energy_ += watts_ * seconds;
  busy_ += busy_units_ * seconds;
  accounted_ = now;
}

void GraphExecutor::end_operator(std::uint32_t lane, std::int64_t now) {
  Lane& l = lanes_[lane];
  Instance& i = slab_[l.instance];
  l.busy = false;
  ++executed_;
  const ExecutionPlan& plan = *i.plan;
  const PlannedOperator& op = plan.at(l.op);
  units_[l.unit].pending -= static_cast<double>(op.fixed + op.body) * 1e-9;
  if (runs_) runs_->push_back({i.tag, l.op, lane, Instant(l.began), Instant(now)});
  const std::uint32_t instance = l.instance;
  i.energy += l.watts * l.alone * 1e-9;
  for (const PlannedEdge* e = plan.successors_begin(l.op); e != plan.successors_end(l.op); ++e) {
    if (e->delay > 0)
      push_arrival(now + e->delay, instance, e->to);
    else
      satisfied(instance, e->to);
  }
  if (--i.left > 0) return;
  done_.push_back({i.tag, Instant(now), i.energy});
  i.plan = nullptr;
  free_.push_back(instance);
  if (--live_ == 0)
    for (Unit& u : units_) u.pending = 0;  // no rounding is left behind
}

// One predecessor's output is there.
void GraphExecutor::satisfied(std::uint32_t instance, std::uint32_t op) {
  Instance& i = slab_[instance];
  if (--i.pending[op] > 0) return;
  const std::uint32_t lane = i.plan->at(op).lane;
  const auto& order = i.plan->order(lane);
  if (order[i.cursor[lane]] == op) offer(instance, lane);
}

void GraphExecutor::offer(std::uint32_t instance, std::uint32_t lane) {
  auto& ready = lanes_[lane].ready;
  ready.push_back({slab_[instance].priority, instance, slab_[instance].sequence});
  if (ready.size() > 1) std::push_heap(ready.begin(), ready.end());
}

void GraphExecutor::start_operator(std::uint32_t lane, std::int64_t now) {
  Lane& l = lanes_[lane];
  if (l.ready.size() > 1) std::pop_heap(l.ready.begin(), l.ready.end());
  const std::uint32_t instance = l.ready.back().instance;
  l.ready.pop_back();
  Instance& i = slab_[instance];
  const auto& order = i.plan->order(lane);
  const std::uint32_t op = order[i.cursor[lane]++];
  const PlannedOperator& p = i.plan->at(op);
  const std::int64_t alone = p.alone(units_[l.unit].speed);
  l.busy = true;
  l.instance = instance;
  l.op = op;
  l.began = l.since = now;
  l.end = now + alone;
  l.alone = l.left = static_cast<double>(alone);
  l.rate = 1;
  l.demand = demand(l, p);
  l.occupancy = p.occupancy;
  l.watts = p.watts;
  // The instance's next operator on this lane may be ready already.
  if (i.cursor[lane] < order.size() && i.pending[order[i.cursor[lane]]] == 0) offer(instance, lane);
}

double GraphExecutor::demand(const Lane& l, const PlannedOperator& op) const {
  if (!(op.bytes > 0) || !(l.alone > 0)) return 0;
  const double bandwidth = spec_.memory_bandwidth[units_[l.unit].domain] * 1e-9;
  return std::min(op.bytes / l.alone, bandwidth);
}

void GraphExecutor::progress(Lane& l, std::int64_t now) {
  l.left = std::max(0.0, l.left - static_cast<double>(now - l.since) * l.rate);
  l.since = now;
}

void GraphExecutor::set_rate(Lane& l, double rate, std::int64_t now) {
  if (rate == l.rate) return;
  progress(l, now);
  l.rate = rate;
  l.end = now + until(l.left, rate);
}

// Divides arithmetic and memory bandwidth among the operators that run.
void GraphExecutor::share(std::int64_t now) {
  if (may_contend_) {
    bool fits = true;
    for (const Unit& u : units_) {
      if (u.lanes == 1) continue;
      double occupied = 0;
      for (std::uint32_t l = u.first_lane; l < u.first_lane + u.lanes; ++l)
        if (lanes_[l].busy) occupied += lanes_[l].occupancy;
      fits = fits && occupied <= 1;
    }
    for (std::size_t d = 0; d < spec_.memory_bandwidth.size() && fits; ++d) {
      double wanted = 0;
      for (const Lane& l : lanes_)
        if (l.busy && units_[l.unit].domain == d) wanted += l.demand;
      fits = wanted <= spec_.memory_bandwidth[d] * 1e-9;
    }
    if (!fits) {
      divide();
      for (std::size_t l = 0; l < lanes_.size(); ++l)
        if (lanes_[l].busy) set_rate(lanes_[l], rates_[l], now);
    } else if (!even_) {
      for (Lane& l : lanes_)
        if (l.busy) set_rate(l, 1, now);
    }
    even_ = fits;
  }
  watts_ = busy_units_ = 0;
  for (Unit& u : units_) {
    double watts = 0;
    std::uint32_t busy = 0;
    for (std::uint32_t l = u.first_lane; l < u.first_lane + u.lanes; ++l)
      if (lanes_[l].busy) {
        watts += lanes_[l].watts * lanes_[l].rate;
        ++busy;
      }
    u.watts = watts;
    u.busy = static_cast<double>(busy) / u.lanes;
    watts_ += watts;
    busy_units_ += u.busy;
  }
}

// Rates of busy lanes: arithmetic first, then what that leaves of the demand for bandwidth.
void GraphExecutor::divide() {
  const std::size_t n = lanes_.size();
  for (std::size_t l = 0; l < n; ++l) rates_[l] = 1;
  for (const Unit& u : units_) {
    if (u.lanes == 1) continue;
    for (std::size_t l = 0; l < n; ++l)
      open_[l] = lanes_[l].busy && l >= u.first_lane && l < u.first_lane + u.lanes;
    const auto want = [&](std::size_t l) { return lanes_[l].occupancy; };
    share_max_min(n, 1.0, open_, want, [&](std::size_t l, double s) { rates_[l] = s / want(l); });
  }
  for (std::size_t d = 0; d < spec_.memory_bandwidth.size(); ++d) {
    for (std::size_t l = 0; l < n; ++l)
      open_[l] = lanes_[l].busy && units_[lanes_[l].unit].domain == d;
    const auto want = [&](std::size_t l) { return lanes_[l].demand * rates_[l]; };
    share_max_min(n, spec_.memory_bandwidth[d] * 1e-9, open_, want,
                  [&](std::size_t l, double s) { rates_[l] *= s / want(l); });
  }
}

void GraphExecutor::find_next() {
  next_ = arrivals_.empty() ? forever : arrivals_.front().at;
  for (const Lane& l : lanes_)
    if (l.busy) next_ = std::min(next_, l.end);
}

}  // namespace isthmus::devices
