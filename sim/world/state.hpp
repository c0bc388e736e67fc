// The mutable state of a run: what the scenario's things are doing right now. Plain structs; the
// rules are in the World's parts.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "devices/batch_server.hpp"
#include "devices/graph_executor.hpp"
#include "devices/model_cache.hpp"
#include "devices/node_physics.hpp"
#include "devices/ordered_line.hpp"
#include "devices/power_meter.hpp"
#include "devices/serving_engine.hpp"
#include "results/records.hpp"
#include "schedulers/health.hpp"
#include "schedulers/partition.hpp"
#include "sim/core/event_queue.hpp"
#include "sim/core/ids.hpp"
#include "sim/world/arrivals.hpp"
#include "sim/world/exchange.hpp"
#include "sim/world/flow_tag.hpp"
#include "sim/world/hedge.hpp"
#include "sim/world/sessions.hpp"
#include "sim/world/time_average.hpp"
#include "sim/world/visits.hpp"

namespace isthmus::world {

//! Where a request is in its life.
enum class Stage : std::uint8_t {
  preparing,    //!< on the client: pre-processing, then the decision
  connecting,   //!< protocol delay, or all that a protocol does, before the upload
  pending,      //!< no replica is ready yet
  uploading,
  admitting,    //!< in the front end of a service, before its queue
  queued,       //!< at a replica, or running in its engine or batch
  handing_over, //!< prefilled: its KV cache waits for a decode replica or travels to it
  answering,    //!< at the server and its broker, before the download
  downloading,
  finishing,    //!< on the client: post-processing
  backing_off,  //!< after a failed transfer
  looking_up,   //!< in a cache
  coalesced,    //!< waits until another request has fetched the same
  calling,      //!< on its way from one service to another
  returning,    //!< the called service's answer is on its way
  resuming,     //!< goes on at this instant
  throttled,    //!< at a service, which lets it in later
  refused,      //!< at a replica that is dead, which its balancer does not know yet
  joining,      //!< at a service whose parallel calls are under way
  pooling,      //!< waits for a connection to the service that is called, or opens one
};

//! A way to split a graph between a client and services.
struct SplitPlan {
  //! What runs on each tier, from the client outwards; null: nothing, data pass through.
  std::vector<std::shared_ptr<const models::GraphCost>> parts;
  std::uint32_t last = 0;              //!< the last tier that runs anything
  std::uint32_t head_operators = 0;
};

//! The way of a KV cache from a prefill to a decode replica (sim/world/kv_transfer.cpp).
struct KvHandover {
  std::uint32_t to = 0xffffffffU;      // decode replica; ~0: none yet
  double bytes = 0;
  std::int64_t blocks = 0;             // promised to it at the decode replica
  FlowId flow;                         // under way over the network
  EventHandle timer;                   // under way within a machine, or about to start
  bool sent = false;                   // all of it, or its last part, is under way
  bool early = false;                  // layers follow while the prompt is computed
  bool early_done = false;             // all but the last layer are there
  bool landed = false;                 // all of it is there
};

//! An answer that travels while it is computed (sim/world/streaming.cpp).
struct AnswerStream {
  std::uint32_t tokens = 0, sent = 0;  // computed, as far as was looked; sent or on their way
  std::uint32_t place = 0;             // hint to the engine
  FlowId flow;                         // the message on its way
  EventHandle timer;                   // for the next token
  Instant since;                       // start of the message
  Instant earliest;                    // date of the next message
};

//! In the target of a request's timer: an attempt, or its time in a broker, of the number in the rest.
inline constexpr std::uint32_t attempt_timer = 1U << 31, broker_timer = 1U << 30;

struct Request {
  results::RequestRecord record;
  std::uint32_t generation = 0;
  bool live = false;
  Stage stage = Stage::preparing;
  std::uint8_t copy = 0;               // of several of the same request; 0: the first
  std::uint32_t host = 0xffffffffU;    // client's node; ~0: outside every network
  std::uint32_t replica = 0xffffffffU;
  std::uint32_t image_tokens = 0;
  std::uint32_t image_end = 0;         // of the newest image, in tokens from the prompt's start; 0: first
  std::shared_ptr<const PromptBlocks> prompt_blocks;
  std::uint32_t candidate = 0xffffffffU;  // index into the offload candidates
  std::uint32_t task = 0xffffffffU;    // slot in the task slab
  double protocol = 0;                 // s
  double preprocess = 0;               // s
  double postprocess = 0;              // s, 0 once it is done
  double energy_mark = 0;              // engine's energy per sequence when it started
  double upload_seconds = 0;           // with the radio on
  Instant transfer_start;
  FlowId flow;
  EventHandle timer, queue_timer, deadline_timer;
  std::unique_ptr<AnswerStream> stream;  // from its first token to its end
  std::unique_ptr<Exchange> exchange;    // of this attempt, where the service speaks a protocol
  std::unique_ptr<KvHandover> handover;  // from the choice of a decode replica to its start there
  std::shared_ptr<const SplitPlan> split;  // of this attempt; null: not (yet) split
  std::uint32_t part = 0;              // tier of the plan that it is at or on its way to
  std::uint32_t serving = 0xffffffffU; // service it is at or on its way to
  std::uint32_t from = 0xffffffffU;    // node where its data are
  std::uint32_t hedge = Hedge::none;   // that it is a copy of, of this attempt
  std::array<double, 3> hop_bytes{}, hop_encode{};  // bytes over each hop, s to change formats at both ends
  std::uint64_t key = 0;               // equal requests have equal ones; 0: unlike all others
  std::unique_ptr<Visit> visit;        // at services with caches or calls
  double input_bytes = -1;             // drawn upload of a split request; below 0: not split yet
  bool over_quota = false;             // a rule of admission let it in for a smaller variant only
};

//! Nothing has become of the request at services yet.
inline void begin_anew(results::RequestRecord& r) {
  r.arrived = r.started = r.first_token = r.served = Instant::never();
  r.kv_bytes = 0;
  r.kv_sent = r.kv_received = Instant::never();
  r.first_received = Instant::never();
  r.streamed = false;
}

struct Task {
  results::TaskRecord record;
  std::uint32_t generation = 0;
  bool live = false;
  std::uint64_t index = 0;             // of the arrival, for draws
  double context = 0;                  // prompt tokens added so far
  std::vector<Turn> turns;             // of a session
  Arrival arrival;                     // what a trace said
};

//! A batch in service.
struct Batch {
  //! The time of a batch is a sum: whole graphs, or graphs up to one exit minus those up to the
  //! exit before.
  struct Part {
    const models::GraphCost* cost = nullptr;
    std::int64_t size = 0;
    double sign = 1;
  };
  std::vector<Part> parts;             // empty: a law
  std::vector<std::uint64_t> tags;
  Instant start;
  double watts = 0, compute_share = 0;
  double nominal = 0;                  // J above idle at the highest clocks, once known
  double left = 0;                     // share that is left at `since` (nodes with clocks)
  Instant since;
  double seconds = 0;                  // of the whole batch at the present clock
  double extra = 0;                    // s for weights that are on their way
  double law_seconds = 0;              // drawn time at the highest clock, of services with a law
  double factor = 1;                   // drawn, on the time of the graphs
  double work_before = 0, nominal_before = 0;  // node's meters when it started
  bool live = false;
  EventHandle done;
};

enum class ReplicaPhase : std::uint8_t { starting, ready, draining, gone };

struct Replica {
  std::uint32_t service = 0, number = 0, node = 0;
  ReplicaPhase phase = ReplicaPhase::starting;
  std::uint32_t outstanding = 0;       // routed here and not yet served
  std::unique_ptr<devices::BatchServer> server;
  std::unique_ptr<devices::OrderedLine> line;  // before the server, in another order; null: none
  std::unique_ptr<devices::ServingEngine> engine;
  std::shared_ptr<schedulers::VariantPolicy> variants;
  std::vector<Batch> batches;          // one per slot
  EventHandle work, look_again, ready;
  bool dispatch_pending = false;
  std::vector<std::uint64_t> streams;  // requests that ask for the date of their next token
  Instant loaded_at = Instant::never();  // all weights are there; never: nobody has asked for them
  double span_watts = 0;               // power above idle of the running span
  double span_units = 0;               // that it keeps busy
  Batch span;                          // its meters, on nodes with clocks
  Instant span_start, span_end;
  std::uint16_t version = 0;           // of updates of its machine, or of rollouts of its service
  const struct Service* as = nullptr;  // of that version; null: the scenario's
  double accuracy = -1, speed = 1;     // of that version; below 0: as ever
  double energy_per_sequence = 0;      // J, running sum over spans of energy / sequences
  TimeAverage busy;                    // busy share of slots since the last scrape
  Instant started_at, ready_since;
  struct Load {
    std::uint32_t queued = 0, running = 0, busy = 0;
    bool operator==(const Load&) const = default;
  } shown;                             // what the service totals already count
  std::uint32_t scraped_waiting = 0;   // what the router of its service knows
  double scraped_kv_usage = 0;
  std::int64_t kv_blocks = 0;          // of the engine
  std::int64_t promised_blocks = 0;    // to KV caches on their way or waiting here (decode pools)
  std::deque<std::uint64_t> incoming;  // requests whose KV cache waits for room here
};

//! Payload of a scrape for the router of a service, or for that of its decode pools; those for its
//! autoscaler have none.
inline constexpr std::uint64_t for_router = 1, for_decode_router = 2;
//! Of a scrape: the balancer probes its replicas; the counters of versions are looked at.
inline constexpr std::uint64_t for_probes = 3, for_rollouts = 4;

//! Payload of a control event out of turn.
inline constexpr std::uint64_t for_waking = 1;

//! A sample that a controller will see once it is old enough.
struct Scrape {
  Instant observed_at;
  std::uint32_t waiting = 0;           // requests that no ready replica could take
  std::vector<schedulers::ReplicaSample> replicas;
  // Where the controller wants metrics; their spans are set when they are shown.
  schedulers::ServiceMetrics metrics;
  std::vector<double> latencies;
  std::vector<schedulers::ExternalMetric> external;
  bool shown = false;
};

//! What clients are told about a service.
struct LoadSignal {
  Instant observed_at;
  double load = 0;
  std::uint32_t queued = 0, running = 0, slots = 1;
};

//! Who chooses a replica, and from which.
struct Router {
  std::vector<std::uint32_t> ready;      // global indices, by number
  std::deque<std::uint64_t> pending;     // requests that wait for a first replica
  std::shared_ptr<schedulers::RoutingPolicy> routing;
  // What it wants.
  bool routes_by_outstanding = true, routes_by_load = false, routes_by_prefix = false,
       routes_single = false, routes_by_place = false, routes_unhealthy = false,
       routes_by_outcome = false;
  Instant scraped_at;
  std::uint64_t chosen = 0, near = 0;    // choices; of these in the request's zone, where it goes by places
  // Of a balancer that finds out by itself who is alive; null: it always knows.
  std::unique_ptr<schedulers::ReplicaHealth> health;
  std::vector<std::uint32_t> listed;     // replicas that it was told of, by number; some may be dead
};

//! Of a service with pools, `ready` and `pending` are about its pools of roles both and prefill.
struct ServiceState : Router {
  std::vector<std::uint32_t> replicas;   // global indices, every replica that is not gone
  std::unique_ptr<Router> decode;        // to the decode pools; null: none
  std::unique_ptr<devices::ServingEngine> sample;  // of a decode pool: tells what fits into its replicas
  std::uint32_t asked = 0;
  std::uint32_t next_number = 0;
  std::shared_ptr<schedulers::AutoscalingPolicy> autoscaler;
  std::deque<Scrape> scrapes;
  bool waking = false;                   // its autoscaler has been told that a request waits
  LoadSignal signal;
  double parallel_speedup = 1;
  //! s of a graph by batch size and relative clock.
  std::map<std::tuple<const models::GraphCost*, std::int64_t, double>, double> clocked_seconds;
  // Split services: the problem as far as it is the same for all clients, tensors as they are, plans
  // by placement, and what each client (workload, node) goes by.
  std::vector<std::uint32_t> tiers;      // services of a split one, from the client's own outwards
  schedulers::PartitionProblem split;
  std::vector<double> tensor_bytes;
  std::map<std::vector<std::uint32_t>, std::shared_ptr<const SplitPlan>> split_plans;
  std::map<std::pair<std::uint32_t, std::uint32_t>, schedulers::SplitPlanner> planners;
  std::vector<schedulers::VariantOption> options;
  std::vector<std::uint64_t> variant_counts, exit_counts;  // of counted requests
  std::uint32_t slots_per_replica = 1;
  TimeAverage queued, running, ready_count, busy_slots, total_slots;
  double sampled_busy = 0, sampled_slots = 0;  // integrals at the last interval sample
  std::uint32_t max_ready = 0;
  std::uint64_t batches = 0, batched = 0, cold_starts = 0, calls = 0,
                displaced = 0;           // requests stopped for others in front of them
  devices::EngineCounters engines;       // that are gone, less what all did during the warm-up
  double busy_stages = 0, all_stages = 0;  // stage-seconds of these, in the same way
  std::vector<std::shared_ptr<const devices::ExecutionPlan>> plans;  // by batch size - 1; made when needed
};

//! Mean and standard deviation of samples (Welford).
struct Moments {
  std::uint64_t n = 0;
  double mean = 0, m2 = 0;
  void add(double x) {
    const double d = x - mean;
    mean += d / static_cast<double>(++n);
    m2 += d * (x - mean);
  }
  void add(const Moments& o) {  // Chan, Golub, LeVeque
    if (o.n == 0) return;
    const double d = o.mean - mean, all = static_cast<double>(n + o.n);
    m2 += o.m2 + d * d * static_cast<double>(n) * static_cast<double>(o.n) / all;
    mean += d * static_cast<double>(o.n) / all;
    n += o.n;
  }
  double stddev() const { return n > 1 ? std::sqrt(m2 / static_cast<double>(n - 1)) : 0.0; }
};

struct NodeState {
  std::uint32_t group = 0;
  bool up = true;
  devices::PowerMeter power;
  std::uint32_t uploads = 0, downloads = 0;
  std::vector<std::uint32_t> free_units; // per unit kind of the group
  std::uint32_t hosted = 0;              // replicas that are starting, ready or draining
  std::vector<std::uint32_t> replicas;   // these
  TimeAverage billed;                    // 1 while it is paid for
  TimeAverage busy_units;                // units that one service has alone
  std::unique_ptr<devices::GraphExecutor> executor;  // operators on units; null: none runs here
  EventHandle machine_work;
  Instant machine_date = Instant::never();  // of that event
  double energy_before = 0, busy_before = 0;  // of executor or physics, when the warm-up ended

  std::unique_ptr<devices::ModelCache> cache;  // null: every model stays in memory
  EventHandle weights_ready;
  Instant weights_date = Instant::never();  // of that event

  // Clocks, heat and battery; null: none of them matters here.
  std::unique_ptr<devices::NodePhysics> physics;
  EventHandle physics_tick;
  Instant physics_date = Instant::never();
  struct UnitLoad {
    double busy = 0, watts = 0;          // of services that have units alone; shares, W at the highest clock
    double pending = 0;                  // s at the highest clock, of all services
    Instant deadline = Instant::never();
  };
  std::vector<UnitLoad> loads;
  devices::PowerMeter nominal;           // of all work here, as if at the highest clocks
  double other_power = 0;                // W: base and radio
  double throttled_before = 0;
  Moments power_samples, speed_samples;  // since the warm-up
};

//! A client in a closed loop.
struct ClosedClient {
  std::uint64_t cycle = 0;
  bool active = false;
};

struct WorkloadState {
  std::unique_ptr<ArrivalSource> source;
  Arrival next;                          // read ahead by one
  bool open = false;                     // more arrivals will come
  std::uint64_t closed_arrivals = 0;     // of a closed loop, so far
  StreamKey draws, thinks, keys;
  std::vector<ClosedClient> clients;     // closed loops only
  std::uint32_t population = 0;
  double hedge_credit = 0;               // further copies that the budget leaves
  LatencyWindow answers;                 // times until an answer, where hedging goes by them
};

}  // namespace isthmus::world
