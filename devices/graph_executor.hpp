// Instances of operator graphs on the units of one node.
#pragma once

#include <cstdint>
#include <vector>

#include "devices/execution_plan.hpp"
#include "sim/core/time.hpp"

namespace isthmus::devices {

//! An instance ended.
struct FinishedInstance {
  std::uint64_t tag = 0;
  Instant at;
  double energy = 0;  //!< J above idle at the highest clocks, of this instance alone
};

//! An operator ran; for timelines.
struct OperatorRun {
  std::uint64_t tag = 0;
  std::uint32_t op = 0, lane = 0;
  Instant start, end;
};

//! Runs instances beside each other. Within an instance every lane follows the plan's order; among
//! instances a free lane takes the one of highest priority, then the one that came first; operators
//! are never cut short. Running operators share the memory bandwidth of their domain and the
//! arithmetic of their unit max-min fairly.
//!
//! It owns no clock: whoever does calls advance() at next(). An instance that has the node to
//! itself is one event at the end of its plan's idle run; if another one joins, it is run again up
//! to that date, operator by operator, with the same arithmetic, so that both ways give the same
//! nanoseconds.
class GraphExecutor {
 public:
  //! `leaps`: reuse idle runs; false always goes operator by operator (for nodes whose clocks or
  //! heat change). `spec` must outlive the executor.
  explicit GraphExecutor(const ExecutorSpec& spec, bool leaps = true);

  //! Adds an instance; larger `priority` first. `plan` must outlive it and be made for this spec.
  //! Events up to and including `now` are processed before it; what they finish is reported by the
  //! next advance().
  void start(Instant now, const ExecutionPlan& plan, std::uint64_t tag, std::int32_t priority = 0,
             Instant deadline = Instant::never());
  //! Date of the next event; never() when nothing runs.
  Instant next() const;
  //! Processes every event up to and including `now`, appends what ended.
  void advance(Instant now, std::vector<FinishedInstance>& done);
  //! Drops everything that runs or waits; appends its tags in order of arrival.
  void clear(Instant now, std::vector<std::uint64_t>& lost);
  //! Drops the instances with these tags, what they run included; others take over their lanes.
  void drop(Instant now, const std::vector<std::uint64_t>& tags);

  //! Clock of a unit relative to its highest, (0, 1], from `now` on.
  void set_speed(Instant now, std::uint32_t unit, double speed);

  std::uint32_t instances() const { return live_; }
  double energy(Instant now) const;  //!< J above idle at the highest clocks since construction
  double busy_seconds(Instant now) const;  //!< of units, since construction
  //! Of the last processed event on: share of the unit's lanes at work, W above idle at the highest
  //! clock, s of work that waits or runs, earliest deadline of all instances. Without leaps only.
  double busy(std::uint32_t unit) const { return units_[unit].busy; }
  double watts(std::uint32_t unit) const { return units_[unit].watts; }
  double pending(std::uint32_t unit) const { return units_[unit].pending; }
  Instant earliest_deadline() const;

  std::uint64_t operators_executed() const { return executed_; }
  std::uint64_t instances_leapt() const { return leapt_; }
  //! Every operator that ends from now on is appended there; null: none. Turns leaps off.
  void record(std::vector<OperatorRun>* runs);

 private:
  struct Instance {
    const ExecutionPlan* plan = nullptr;
    std::uint64_t tag = 0, sequence = 0;
    std::int64_t deadline = 0;
    std::int32_t priority = 0;
    std::uint32_t left = 0;              // operators that have not ended
    double energy = 0;                   // J so far
    std::vector<std::uint32_t> pending;  // per operator: predecessors that have not arrived
    std::vector<std::uint32_t> cursor;   // per lane: place in the plan's order
  };
  struct Ready {
    std::int32_t priority;
    std::uint32_t instance;
    std::uint64_t sequence;
    bool operator<(const Ready& o) const {  // heap: the best on top
      return priority != o.priority ? priority < o.priority : sequence > o.sequence;
    }
  };
  struct Lane {
    std::uint32_t unit = 0;
    bool busy = false;
    std::uint32_t instance = 0, op = 0;
    std::int64_t end = 0, since = 0, began = 0;
    double left = 0;   // ns alone at this clock, at `since`
    double alone = 0;  // ns alone at this clock, whole
    double rate = 1;
    double demand = 0;  // bytes per ns at rate 1
    double occupancy = 0, watts = 0;
    std::vector<Ready> ready;
  };
  struct Unit {
    std::uint32_t first_lane = 0, lanes = 1, domain = 0;
    double speed = 1, busy = 0, watts = 0, pending = 0;
  };
  struct Arrival {  // the output of an operator reaches another lane
    std::int64_t at;
    std::uint64_t order;
    std::uint32_t instance, op;
    bool operator<(const Arrival& o) const { return at != o.at ? at > o.at : order > o.order; }
  };

  void add_instance(std::int64_t now, const ExecutionPlan& plan, std::uint64_t tag,
                    std::int32_t priority, std::int64_t deadline, std::uint64_t sequence);
  void push_arrival(std::int64_t at, std::uint32_t instance, std::uint32_t op);
  void process(std::int64_t now);
  void settle(std::int64_t now);
  void account(std::int64_t now);
  void end_operator(std::uint32_t lane, std::int64_t now);
  void satisfied(std::uint32_t instance, std::uint32_t op);
  void offer(std::uint32_t instance, std::uint32_t lane);
  void start_operator(std::uint32_t lane, std::int64_t now);
  double demand(const Lane& lane, const PlannedOperator& op) const;
  static void progress(Lane& lane, std::int64_t now);
  static void set_rate(Lane& lane, double rate, std::int64_t now);
  void share(std::int64_t now);
  void divide();
  void find_next();
  void end_leap();
  void unfold(std::int64_t now);

  const ExecutorSpec& spec_;
  bool leaps_;
  std::vector<Unit> units_;
  std::vector<Lane> lanes_;
  std::vector<Instance> slab_;
  std::vector<std::uint32_t> free_;
  std::vector<Arrival> arrivals_;  // heap
  std::vector<FinishedInstance> done_;
  std::vector<OperatorRun>* runs_ = nullptr;
  std::uint32_t live_ = 0;
  std::uint64_t sequence_ = 0, arrival_order_ = 0, executed_ = 0, leapt_ = 0;
  std::int64_t next_ = 0, accounted_ = 0;
  bool may_contend_ = false, even_ = true;  // even: every running operator has rate 1
  double energy_ = 0, busy_ = 0;            // J and unit-seconds up to accounted_
  double watts_ = 0, busy_units_ = 0;       // from accounted_ on

  std::vector<double> rates_;  // scratch, per lane
  std::vector<unsigned char> open_;

  // The instance that is being leapt over.
  const ExecutionPlan* leap_ = nullptr;
  std::uint64_t leap_tag_ = 0, leap_sequence_ = 0;
  std::int64_t leap_start_ = 0, leap_deadline_ = 0;
  std::int32_t leap_priority_ = 0;
};

}  // namespace isthmus::devices
