// The one table of event kinds and of their order within one instant. Lower rank runs first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace isthmus {

//! What an event means. The handler is the one switch in sim/world.
enum class EventKind : std::uint8_t {
  condition_change,  //!< a link's or node's capacity or state changes by schedule
  flow_ended,        //!< a transfer was delivered, failed or cancelled
  work_done,         //!< a server slot, a batch or an engine iteration finished
  replica_ready,     //!< a replica ended its cold start
  arrival,           //!< the next request or task of a workload source
  task_step,         //!< a task's think or action time ended: its next request starts
  local_step,        //!< a fixed delay inside a request ended (pre-processing, protocol, retry)
  dispatch,          //!< a replica looks at its queue, after every arrival of this instant
  queue_timeout,     //!< a request has waited as long as it may
  scrape,            //!< metrics are sampled for controllers
  control,           //!< an autoscaler or another controller decides
  sample,            //!< the recorder takes an interval sample
  phase_end,         //!< the warm-up or the run ends
  machine_work,      //!< operators ended on the units of a node
  machine_tick,      //!< governors, trip points and batteries of a node
  weights_ready,     //!< a model is in the shared memory of a node
  kv_transfer,       //!< a KV cache starts on its way, or ends its way within a machine
  token_due,         //!< the next token of a streamed answer is there
  hedge_due,         //!< a request without an answer gets a further copy
  update_step,       //!< an update is released, or a machine gets on with one
  outbox,            //!< a message is made, or an outbox has waited
  replication,       //!< a write, a read or a synchronization of replicated data
  placement,         //!< replicas wait for a machine, or may move to others
  batch_job,         //!< a batch job starts, gets on or looks for stragglers
  service_level,     //!< a slice of a service level is over: alerts are looked at
  disruption,        //!< a process crashes, maintenance goes on, a chaos experiment begins or ends
  failover,          //!< a primary is probed or replaced, writes or checkpoints are sent
  startup,           //!< a part of a replica's start is over, or it was kept long enough
  price_change,      //!< a price or carbon intensity of power changes
  cluster_machine,   //!< a machine arrives, is taken back or has been drained long enough
  cluster_scan,      //!< the cluster autoscaler looks at replicas that wait and at machines
  message_queue,     //!< a message is due again, or its consumer is late
  rollout,           //!< a new version of a service begins, gets on or is measured
  sharing,           //!< replicas on one accelerator have begun or ended to work
  count_
};

//! One row of the table.
struct EventKindRow {
  EventKind kind;
  std::uint8_t rank;  //!< order within one instant; equal ranks run in order of scheduling
  std::string_view name;
};

//! Conditions change before anything observes them; work ends before new work arrives; arrivals
//! join a queue before it is looked at; controllers see the state after all of it.
inline constexpr std::array<EventKindRow, static_cast<std::size_t>(EventKind::count_)> event_kinds{{
    {EventKind::condition_change, 0, "condition_change"},
    {EventKind::flow_ended, 1, "flow_ended"},
    {EventKind::work_done, 2, "work_done"},
    {EventKind::replica_ready, 3, "replica_ready"},
    {EventKind::arrival, 4, "arrival"},
    {EventKind::task_step, 4, "task_step"},
    {EventKind::local_step, 4, "local_step"},
    {EventKind::dispatch, 5, "dispatch"},
    {EventKind::queue_timeout, 6, "queue_timeout"},
    {EventKind::scrape, 7, "scrape"},
    {EventKind::control, 8, "control"},
    {EventKind::sample, 9, "sample"},
    {EventKind::phase_end, 10, "phase_end"},
    {EventKind::machine_work, 2, "machine_work"},
    {EventKind::machine_tick, 8, "machine_tick"},
    {EventKind::weights_ready, 2, "weights_ready"},
    {EventKind::kv_transfer, 1, "kv_transfer"},
    {EventKind::token_due, 6, "token_due"},
    {EventKind::hedge_due, 4, "hedge_due"},
    {EventKind::update_step, 4, "update_step"},
    {EventKind::outbox, 4, "outbox"},
    {EventKind::replication, 4, "replication"},
    {EventKind::placement, 8, "placement"},
    {EventKind::batch_job, 4, "batch_job"},
    {EventKind::service_level, 7, "service_level"},
    {EventKind::disruption, 0, "disruption"},
    {EventKind::failover, 4, "failover"},
    {EventKind::startup, 3, "startup"},
    {EventKind::price_change, 9, "price_change"},
    {EventKind::cluster_machine, 0, "cluster_machine"},
    {EventKind::cluster_scan, 8, "cluster_scan"},
    {EventKind::message_queue, 4, "message_queue"},
    {EventKind::rollout, 8, "rollout"},
    {EventKind::sharing, 8, "sharing"},
}};

//! The table is indexed by kind, and a rank fits the six bits that the event queue gives it.
static_assert([] {
  for (std::size_t i = 0; i < event_kinds.size(); ++i)
    if (event_kinds[i].kind != static_cast<EventKind>(i) || event_kinds[i].rank >= 64) return false;
  return true;
}());

//! The rank of `kind` within one instant.
constexpr std::uint8_t rank_of(EventKind kind) {
  return event_kinds[static_cast<std::size_t>(kind)].rank;
}

//! The name of `kind` in traces and messages.
constexpr std::string_view name_of(EventKind kind) {
  return event_kinds[static_cast<std::size_t>(kind)].name;
}

}  // namespace isthmus
