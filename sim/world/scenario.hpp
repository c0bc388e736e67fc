// A scenario after reading: resolved, validated, immutable, shared by all runs. SI units throughout
// (seconds as Duration, bytes, bytes/s, W, J, USD).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "devices/engine_limits.hpp"
#include "devices/execution_plan.hpp"
#include "devices/model_cache.hpp"
#include "devices/physics_spec.hpp"
#include "models/graph_cost.hpp"
#include "models/llm_cost.hpp"
#include "models/llm_shape.hpp"
#include "models/machine.hpp"
#include "network/network.hpp"
#include "results/recorder.hpp"
#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/batching_policy.hpp"
#include "schedulers/eviction_policy.hpp"
#include "schedulers/list_scheduler.hpp"
#include "schedulers/offload_policy.hpp"
#include "schedulers/partition.hpp"
#include "schedulers/health.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/variant_policy.hpp"
#include "sim/world/autoscaling_spec.hpp"
#include "sim/world/cache_spec.hpp"
#include "sim/world/cost_spec.hpp"
#include "sim/world/distribution.hpp"
#include "sim/world/job_spec.hpp"
#include "sim/world/failover_spec.hpp"
#include "sim/world/fault_spec.hpp"
#include "sim/world/outbox_spec.hpp"
#include "sim/world/placement_spec.hpp"
#include "sim/world/protocol.hpp"
#include "sim/world/tenant_spec.hpp"
#include "sim/world/update_spec.hpp"
#include "sim/world/replication_spec.hpp"
#include "sim/world/rollout_spec.hpp"
#include "sim/world/service_level_spec.hpp"
#include "sim/world/sharing_spec.hpp"
#include "sim/world/startup_spec.hpp"

namespace isthmus::world {

struct ClusterSpec;

//! Memory that the models of a node's services share: they come and go (devices/model_cache.hpp).
struct ModelMemory {
  double capacity = 0;                 //!< bytes
  bool preload = true;                 //!< models are there from the start as far as they fit
  bool keep_in_host = false;           //!< after the first load only the copy to the unit takes time
  const schedulers::PolicyEntry<schedulers::EvictionPolicy>* policy = nullptr;
  std::optional<schedulers::Parameters> parameters;
  std::vector<devices::CachedModel> models;  //!< in the order of the services
};

//! Equal machines, e.g. 2000 phones. Node i of group g has the run-wide index first + i, which is
//! also its host index in the topology.
struct NodeGroup {
  std::string name;
  std::string device;                  //!< catalogue entry it came from
  std::uint32_t first = 0, count = 1;
  schedulers::Tier tier = schedulers::Tier::cloud;
  std::vector<models::ComputeUnit> units;  //!< kinds of units of one node
  //! Between units (devices/graph_plan.hpp): bytes/s, infinite over one memory; s per tensor.
  double unit_bandwidth = std::numeric_limits<double>::infinity(), unit_latency = 0;
  //! Operating points, governors, heat and battery; null: highest clocks and no heat. Its units are
  //! those of `units`, powers of all accelerators of a kind together.
  std::shared_ptr<const devices::PhysicsSpec> physics;
  std::optional<ModelMemory> model_cache;  //!< none: all models stay in memory
  devices::ExecutorSpec executor;      //!< the same units, as graph executors see them
  std::uint32_t accelerators = 1;      //!< how many of the GPU/NPU unit a node has
  //! Of partitioned accelerators: how many of each unit a node has, and the part of the machine's price that one
  //! of it stands for. Empty: nothing is partitioned.
  std::vector<std::uint32_t> unit_counts;
  std::vector<double> unit_parts;
  std::uint32_t count_of(std::size_t unit) const {
    if (!unit_counts.empty()) return unit_counts[unit];
    return units[unit].kind == models::UnitKind::cpu ? 1 : accelerators;
  }
  //! Of its accelerators; none: one replica each.
  std::optional<AcceleratorSharing> sharing;
  bool shared(std::size_t unit) const {
    return sharing && !units.empty() && units[unit].kind != models::UnitKind::cpu;
  }
  //! Replicas of one unit each that a node has room for.
  std::uint32_t places_of(std::size_t unit) const {
    return count_of(unit) * (shared(unit) ? sharing->replicas : 1);
  }
  double part_of(std::size_t unit) const {
    const double whole = unit_parts.empty() ? 1.0 / std::max(1U, accelerators) : unit_parts[unit];
    return shared(unit) ? whole / sharing->replicas : whole;
  }
  double base_power = 0;               //!< W, whole node without its units (screen, board)
  double upload_power = 0, download_power = 0;  //!< W on top while a transfer is in flight
  //! Between accelerators of one node, for KV caches: bytes/s, infinite where it is not stated; s.
  double interconnect_bandwidth = std::numeric_limits<double>::infinity(), interconnect_latency = 0;
  double core_speed = 1;               //!< of one core on codecs and ciphers, against published figures
  double price_per_hour = 0;           //!< per node-hour, in the scenario's currency
  bool billed_when_idle = true;        //!< false: only while it hosts a replica
  std::vector<schedulers::Taint> taints;  //!< that keep replicas off, of services with a placement
  std::vector<std::string> labels;     //!< "key=value", that a placement may require
};

//! Service times given as a law instead of a model: time of a batch of b = draw + per_item * b.
struct ServiceLaw {
  Distribution time;                   //!< seconds
  double per_item = 0;                 //!< seconds per request in the batch
};

//! Instances of a graph run operator by operator over several units of a node, beside all others
//! there (devices/graph_executor.hpp).
struct GraphExecution {
  std::vector<std::uint32_t> units;    //!< indices into the group's units
  //! One per entry of `units`; null: that unit cannot run the graph.
  std::vector<std::shared_ptr<const models::GraphCost>> costs;
  const schedulers::PolicyEntry<schedulers::ListScheduler>* scheduler = nullptr;
  std::optional<schedulers::Parameters> parameters;
  std::int32_t priority = 0;           //!< larger first, at operator boundaries
  double pack = 0;                     //!< s: lighter operators are packed (devices/graph_packing.hpp)
};

//! A place where requests leave a graph; the last one is its end.
struct GraphExit {
  double share = 1;                    //!< of all inputs, by rising difficulty
  double accuracy = 0;                 //!< of those that leave here
  std::shared_ptr<const models::GraphCost> cost;  //!< of everything up to here
};

//! One of the variants among which a service chooses per request.
struct GraphChoice {
  std::string name;
  double accuracy = 0;                 //!< expected over the exits
  std::vector<GraphExit> exits;        //!< at least the end
  double weight_bytes = 0;
};

//! An operator graph with everything needed to time it.
struct GraphModel {
  //! Variants with their exits; empty: `cost` alone, without exits.
  std::vector<GraphChoice> choices;
  const schedulers::PolicyEntry<schedulers::VariantPolicy>* policy = nullptr;
  std::optional<schedulers::Parameters> parameters;
  std::shared_ptr<const models::GraphCost> cost;
  std::optional<GraphExecution> execution;  //!< none: the whole batch on one unit that it has alone
};

//! Requests run their graph up to a cut on the client's machine, in a local service, and the rest
//! here.
struct GraphSplit {
  //! Services of the same graph, from the client's own one outwards, without this one.
  std::vector<std::uint32_t> before;
  const schedulers::PolicyEntry<schedulers::Partitioner>* policy = nullptr;
  std::optional<schedulers::Parameters> parameters;
  double hysteresis = 0.2;             //!< relative change from which a client plans again
  double latency_weight = 1, energy_weight = 0, price_weight = 0;  //!< per s, J, USD
  std::vector<schedulers::TensorEncoding> encodings{{}};
};

//! A language model with everything needed to time it.
struct LlmModel {
  models::LlmShape shape;
  models::LlmVariant variant;
  std::shared_ptr<const models::LlmCost> cost;
  //! By operating point of its unit, on nodes with clocks; empty: `cost` always holds.
  std::vector<std::shared_ptr<const models::LlmCost>> by_point;
};

//! A slower memory for the KV blocks of a replica.
struct KvTier {
  double bytes = 0, bandwidth = 0;     //!< bytes/s of reading
};

//! How an engine forms its iterations ("batching": {"policy": "continuous", ...}).
struct ContinuousBatching {
  devices::Scheduling scheduling = devices::Scheduling::decode_first;
  std::uint32_t max_sequences = 64;    //!< running at once
  std::uint32_t max_batched_tokens = 8192;  //!< tokens per iteration, prompts and decodes together
  std::uint32_t block_size = 16;       //!< KV tokens per block
  std::int64_t kv_tokens = 0;          //!< KV capacity in tokens; 0 = from memory
  double memory_utilization = 0.9;     //!< share of unit memory for weights, workspace and KV
  bool chunked_prefill = true;         //!< split prompts that exceed the token budget
  bool reserve_prompt = false;         //!< start a prompt only when all of it fits into free blocks
  bool prefix_caching = false;         //!< freed blocks keep their contents until they are taken
  bool leap = true;                    //!< runs of decode iterations at once
  bool async_scheduling = false;       //!< plan an iteration while the one before it runs
  double watermark = 0;                //!< share of the KV blocks that starting prompts leave free
  bool swap = false;                   //!< preempted sequences move to host memory
  double swap_bandwidth = 25e9;        //!< bytes/s between a replica and its host
  double swap_space = 4e9;             //!< bytes of host memory per replica
  devices::QueueOrder order = devices::QueueOrder::arrival;  //!< priority and client: of the workload
  devices::Speculation speculation;    //!< its seed is the run's
  std::vector<KvTier> tiers;           //!< fastest first
  devices::Adapters adapters;
};

//! A batching policy by name, or continuous batching inside an engine.
struct Batching {
  const schedulers::PolicyEntry<schedulers::BatchingPolicy>* policy = nullptr;
  std::optional<schedulers::Parameters> parameters;
  ContinuousBatching continuous;       //!< LLM models always use it
};

//! What the replicas of a pool do with requests.
enum class PoolRole : std::uint8_t {
  both,     //!< all of it
  prefill,  //!< the prompt and the first token
  decode,   //!< all tokens after the first
};

//! How the keys and values of a prompt get from a prefill to a decode replica.
enum class KvTransfer : std::uint8_t {
  after_prefill,  //!< all at once
  layerwise,      //!< layers follow while the prompt is computed; the last one after it
};

//! A service whose replicas stand in several pools (sim/world/pools.cpp). Each pool is a Service
//! of its own, with machines, batching and scaling; requests name the service that has the pools.
struct Pools {
  std::vector<std::uint32_t> first;    //!< services of roles both and prefill: requests go there
  std::vector<std::uint32_t> decode;   //!< services of role decode
  KvTransfer transfer = KvTransfer::after_prefill;
  const schedulers::PolicyEntry<schedulers::RoutingPolicy>* decode_routing = nullptr;
  std::optional<schedulers::Parameters> decode_routing_parameters;
};

struct Service {
  std::string name, model, variant;
  std::uint32_t group = 0;             //!< index of the node group it runs on
  std::uint32_t unit = 0;              //!< index into the group's units
  std::uint32_t parallel = 1;          //!< units per replica
  std::uint32_t reserves = 0;          //!< likewise, of services that do not take whole units by themselves
  double reserves_memory = 0;          //!< bytes of the machine, for placement
  SharedUse shared_use;                //!< of accelerators with `sharing`
  std::shared_ptr<const Placement> placement;  //!< null: the first machine with room
  bool local = false;                  //!< one replica on every node; serves that node's clients only
  std::variant<ServiceLaw, GraphModel, LlmModel> work;
  std::optional<Pools> pools;          //!< then it has no replicas of its own
  std::uint32_t front = 0xffffffffU;   //!< of a pool: the service that it belongs to
  PoolRole role = PoolRole::both;      //!< of a pool
  std::optional<GraphSplit> split;
  std::shared_ptr<const Fetching> fetching;  //!< null: neither caches nor calls
  std::uint32_t max_connections = 0xffffffffU;  //!< that a replica takes from pools of callers
  bool parts = false;                  //!< head or tail of a split: requests may be parts of its graph
  double accuracy = 0;
  bool accuracy_given = false;         //!< by the scenario, for every variant and exit
  std::uint32_t slots = 1;             //!< batches in service at once per replica (not for engines)
  std::uint32_t replicas = 1, min_replicas = 1, max_replicas = 1;
  double first_use = 0, every_use = 0;  //!< s that the first batch of a replica, and every batch, waits
                                        //!< for weights (devices/model_loading.hpp)
  double workspace = 0;                //!< bytes that kernels of a batch in service need (graphs)
  std::uint32_t cached = 0xffffffffU;  //!< index of its model in the group's model_cache; ~0: none
  double load_host_peak = 0;           //!< bytes of host memory while a replica loads
  Duration cold_start;                 //!< from asking for a replica until it is ready
  std::shared_ptr<const Startup> startup;  //!< says it part by part instead; null: cold_start
  std::uint32_t queue_capacity = 0xffffffffU;  //!< waiting requests per replica
  Duration request_overhead;           //!< of the front end, before a request queues; takes no unit
  LineOrder queue_order = LineOrder::arrival;  //!< other than arrival: requests are served one by one
  bool preemption = false;             //!< whoever comes first in that order stops others in service
  std::vector<AdmissionRule> admission;
  Duration queue_timeout = Duration::max();    //!< waiting longer: rejected with cause queue_timeout
  Batching batching;
  const schedulers::PolicyEntry<schedulers::RoutingPolicy>* routing = nullptr;
  std::optional<schedulers::Parameters> routing_parameters;
  std::shared_ptr<const schedulers::HealthSpec> health;  //!< null: its balancer knows who is alive
  Autoscaling autoscaling;
  std::uint32_t transfers = 0;         //!< policy of transfers to and from it (network::Transfer::policy)
  std::uint32_t protocol = 0xffffffffU;  //!< that remote clients speak with it; ~0: none
  double timing_error = 0;             //!< relative standard error of its service times
  double time_cv = 0;                  //!< of batches of graphs around the model's time (Gamma); 0: none
  std::string timing;                  //!< evidence in words, for the report

  //! The graph execution of the service; null when it has none.
  const GraphExecution* execution() const {
    const auto* graph = std::get_if<GraphModel>(&work);
    return graph && graph->execution ? &*graph->execution : nullptr;
  }
  //! A replica has its unit for itself; laws and graphs spread over units do not.
  bool takes_units() const {
    return reserves > 0 || (!std::holds_alternative<ServiceLaw>(work) && execution() == nullptr);
  }
  //! Units of kind `unit` that a replica holds.
  std::uint32_t units_held() const { return reserves > 0 ? reserves : parallel; }
};

enum class ArrivalKind : std::uint8_t {
  poisson,        //!< rate
  gamma,          //!< rate, cv of gaps
  weibull,        //!< rate, cv of gaps (shape solved from it)
  erlang,         //!< rate, phases
  deterministic,  //!< rate
  mmpp,           //!< states with rates and mean sojourns
  diurnal,        //!< rate * (1 + amplitude * sin(2 pi (t/period + phase))), thinned Poisson
  steps,          //!< piecewise constant rates from `at`, Poisson
  times,          //!< explicit dates
  closed,         //!< every client: request, wait for the answer, think, again
  trace,          //!< file
  recorded,       //!< given one by one
};

//! File formats that stream request by request.
enum class TraceFormat : std::uint8_t { azure_llm, mooncake, burstgpt, csv };

struct RateStep {
  Duration at;
  double rate = 0;                     //!< arrivals/s from `at` on (or clients in a closed loop)
};

struct Arrival;

struct Arrivals {
  ArrivalKind kind = ArrivalKind::poisson;
  double rate = 0;                     //!< arrivals/s over all clients of the workload
  double cv = 1;
  int phases = 1;
  std::vector<double> rates;           //!< mmpp: arrivals/s per state
  std::vector<Duration> sojourns;      //!< mmpp: mean time per state
  double amplitude = 0, phase = 0;     //!< diurnal
  Duration period = Duration::from_seconds(86400);
  std::vector<RateStep> steps;         //!< steps; closed: number of active clients over time
  std::vector<Duration> times;
  Distribution think;                  //!< closed: seconds between answer and next request
  std::string file;                    //!< trace
  TraceFormat format = TraceFormat::csv;
  double time_scale = 1;               //!< trace: gaps are multiplied by this
  std::uint32_t tokens_per_image = 576;  //!< trace: image tokens of one image (azure_llm NumImages)
  std::uint32_t tokens_per_hash = 0;   //!< trace: tokens of one of mooncake's hash_ids; 0 = not read
  std::shared_ptr<const std::vector<Arrival>> recorded;  //!< recorded: in order of date, index i at i
  std::uint64_t limit = ~0ULL;         //!< largest number of arrivals
  Duration start;                      //!< first arrival is drawn from here on
};

//! Further copies of a request that has no answer yet (sim/world/hedging.cpp).
struct Hedging {
  std::uint32_t copies = 2;            //!< in all, the first included
  Duration delay;                      //!< from one copy to the next
  double percentile = 0;               //!< above 0: of the times until an answer so far, instead of delay
  std::uint32_t window = 1000;         //!< newest answers that it is taken over
  double budget = std::numeric_limits<double>::infinity();  //!< further copies per request, over all
  int service = -1;                    //!< where further copies go; -1: to other replicas of the same
  bool cancel = true;                  //!< once there is an answer, the other copies are stopped
};

//! What one request carries. Token counts matter to LLM services, bytes to the network.
struct RequestShape {
  Distribution prompt_tokens = Distribution::constant(0);   //!< text tokens of the prompt
  Distribution image_tokens = Distribution::constant(0);    //!< prompt tokens that come from images
  Distribution output_tokens = Distribution::constant(1);
  std::uint32_t samples = 1;                                //!< answers from one prompt
  std::vector<double> adapters;                             //!< weights, summed up; empty: none
  Distribution work = Distribution::constant(1);            //!< factor on the times of services with a law
  bool embedding = false;                                   //!< no tokens are generated
  bool streaming = false;                                   //!< tokens travel as they are computed
  Duration stream_interval = Duration::zero();              //!< at least, between two messages of a stream
  std::optional<KeyLaw> key;                                //!< none: no two requests are equal
  Distribution upload = Distribution::constant(0), download = Distribution::constant(0);  //!< bytes
  double upload_per_token = 0, download_per_token = 0;      //!< bytes per prompt/output token, added
  Distribution preprocess = Distribution::constant(0);      //!< s on the client before sending
  Distribution postprocess = Distribution::constant(0);     //!< s on the client after the answer
  Distribution protocol = Distribution::constant(0);        //!< s per remote request (connection, RPC)
  //! How hard the input is, [0, 1): early exits take those below their cumulated shares.
  Distribution difficulty = Distribution::uniform(0, 1);
  Duration deadline = Duration::max();                      //!< the client gives up after this
  Duration attempt_timeout = Duration::max();               //!< an attempt is given up after this
  Duration queue_timeout = Duration::zero();                //!< that it asks batchers for; zero: none
  double retry_jitter = 0;                                  //!< share of a backoff that is drawn
  double retry_budget = std::numeric_limits<double>::infinity();  //!< retries per request, over all
  std::uint32_t retries = 0;                                //!< after a failed transfer
  Duration retry_backoff = Duration::from_seconds(1);       //!< doubles with every retry
  std::optional<Hedging> hedging;
};

//! The steps of a task are the turns of one conversation (sim/world/sessions.hpp).
struct SessionShape {
  std::uint32_t system_tokens = 0;     //!< of the same text at the start of every prompt
  std::uint32_t keep_images = 0xffffffffU;  //!< newest screenshots that stay in the prompt, >= 1
  std::uint32_t block_tokens = 16;     //!< per number that names the contents of a prompt, <= 8192
};

//! An arrival starts a task of `steps` requests, one after another.
struct TaskShape {
  std::optional<SessionShape> session;
  bool enabled = false;
  Distribution steps = Distribution::constant(1);
  Distribution action = Distribution::constant(0);          //!< s between an answer and the next request
  Distribution context_growth = Distribution::constant(0);  //!< prompt tokens added by every step
};

struct Workload {
  std::string name;
  std::int32_t priority = 0;           //!< in queues by priority; larger first
  std::uint32_t tenant = 0xffffffffU;  //!< index; ~0: none
  Arrivals arrivals;
  RequestShape request;
  TaskShape task;
  std::uint32_t clients_group = 0;     //!< node group where clients live; client i on node i % count
  std::uint32_t clients = 1;           //!< number of clients (closed loop: population)
  int service = -1;                    //!< fixed target service, or -1: the offload policy decides
};

//! The offload decision of every request whose workload targets "offload".
struct Offload {
  const schedulers::PolicyEntry<schedulers::OffloadPolicy>* policy = nullptr;
  std::optional<schedulers::Parameters> parameters;
  std::vector<std::uint32_t> candidates;  //!< service indices, order of the scenario
  std::uint32_t fallback = 0;             //!< service index used when the choice is not healthy
  std::uint32_t overload_queue = 0;       //!< local queue length from which a request falls back; 0 = never
  Duration signal_age = Duration::from_seconds(1);  //!< period of load reports to clients
  //! What clients know of their paths: the present rate, the rate when they first looked, or what
  //! their own transfers got.
  enum class Bandwidth : std::uint8_t { current, nominal, measured } bandwidth = Bandwidth::current;
  double measurement_weight = 0.5;        //!< of the newest transfer
  schedulers::OffloadReward reward;
  bool rewarded = false;                  //!< the scenario states it: it is reported
  bool decision_quality = false;          //!< every decision is held against the oracle's
};

struct Scenario {
  std::string name, notes;
  std::uint64_t seed = 1;
  Duration duration, warmup;
  std::uint32_t replications = 1;
  std::vector<NodeGroup> nodes;
  network::Topology topology;
  network::FlowModel flow_model;
  bool simgrid = true;
  std::vector<std::string> simgrid_options;
  double egress_price = 0;             //!< per byte sent from cloud nodes
  Costs costs;
  std::vector<Protocol> protocols;
  std::vector<Service> services;
  std::vector<Tenant> tenants;
  std::vector<Workload> workloads;
  Offload offload;
  std::vector<results::Objective> objectives;
  std::vector<ServiceLevel> levels;
  std::vector<Fault> faults;
  std::vector<ModelUpdate> updates;
  std::vector<UpdateLine> update_lines;
  std::vector<Outbox> outboxes;
  std::vector<ReplicatedData> replicated;
  std::optional<Descheduler> descheduler;
  std::shared_ptr<const ClusterSpec> cluster;  //!< null: all machines are there all the time
  std::vector<BatchJob> jobs;
  Duration sample_period = Duration::from_seconds(1);  //!< interval samples of services
  bool streaming = false;              //!< results without per-request rows
  bool record_decisions = true;
  bool record_operators = false;       //!< every operator that runs on units of nodes
  std::string compare_metric = "latency.p95";
  std::string resolved_json;           //!< the input, everything resolved, for the results
  std::vector<std::string> notices;    //!< warnings found while reading, shown in the report
  std::vector<CrashSpec> crashes;
  std::vector<Maintenance> maintenance;
  std::vector<ChaosSpec> chaos;
  std::vector<FailoverSpec> failovers;
  std::vector<ServiceVersions> versions;  //!< of services with rollouts, by rising service
  std::vector<RolloutSpec> rollouts;
  std::vector<CompatibilitySpec> compatibilities;
  bool count_failures = false;         //!< what they did to machines and services is in the results

  std::uint32_t node_count() const {
    return nodes.empty() ? 0 : nodes.back().first + nodes.back().count;
  }
};

//! The plan of a batch of `batch` >= 1 on a node of the group. Throws InputError when the graph
//! cannot run there, such as an operator that no unit supports.
devices::ExecutionPlan execution_plan(const GraphExecution& execution, const NodeGroup& group,
                                      std::int64_t batch);

//! Places for replicas that one accelerator of a machine stands for, by unit of the group.
std::vector<std::uint32_t> places_of_accelerator(const NodeGroup& group);

//! What one unit holds of a graph, bytes.
struct UnitMemory {
  double weights = 0;      //!< of the operators that it runs
  double activations = 0;  //!< the most alive at once of what they read and write
};
//! For each unit of the execution, under the plan of execution_plan().
std::vector<UnitMemory> memory_by_unit(const GraphExecution& execution, const NodeGroup& group,
                                       std::int64_t batch);

}  // namespace isthmus::world
