// The small records that the world hands to the recorder. Plain data, one per thing that happened.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/core/ids.hpp"
#include "sim/core/time.hpp"

namespace isthmus::results {

//! How a request ended. The conservation line counts them all.
enum class Status : std::uint8_t { completed, rejected, failed, in_flight };

//! Why a request was rejected or failed; `none` for the others.
enum class Cause : std::uint8_t {
  none,
  queue_full,      //!< the queue's capacity was reached
  queue_timeout,   //!< waited longer than the queue's limit
  too_large,       //!< needs more KV cache or memory than a replica has
  no_replica,      //!< nothing ready and no fallback
  network_failed,  //!< a transfer failed and retries were used up
  node_failed,     //!< the node that served it failed
  cancelled,       //!< the client gave up
  not_admitted,    //!< a rule at the front of the service turned it away
  pool_timeout,    //!< waited too long for a connection to a service that its service calls
  refused,         //!< that service takes no more connections
  service_error,   //!< its replica ended the work on it with an error
  count_
};
std::string_view name_of(Status status);
std::string_view name_of(Cause cause);

//! One finished (or, at the end of the run, unfinished) request. Dates on the simulated clock;
//! Instant::never() where a stage was not reached.
struct RequestRecord {
  std::uint64_t request = 0;         //!< number in order of creation
  std::uint64_t identity = 0;        //!< hash of (workload, client, index): equal in paired runs
  std::uint32_t workload = 0;        //!< index into RunInfo::workloads
  std::uint32_t client = 0;          //!< client number within the workload
  std::uint64_t task = ~0ULL;        //!< task number; ~0 = none
  std::uint32_t step = 0;            //!< position in the task
  std::uint32_t service = ~0U;       //!< index into RunInfo::services; ~0 = never placed
  std::uint32_t replica = ~0U;       //!< replica number within the service
  std::uint32_t first_choice = ~0U;  //!< service that the policy chose (differs after fallback)
  Status status = Status::completed;
  Cause cause = Cause::none;
  std::uint8_t copies = 1;                 //!< sent, the first included (hedging)
  bool degraded = false;                   //!< answered by a variant below its service's most accurate one
  std::uint8_t winner = 0;                 //!< copy that answered; 0: the first
  float wasted = 0;                        //!< s at servers of the others, until the answer
  Instant created;                         //!< the client wants an answer from here on
  Instant sent = Instant::never();         //!< upload starts (after pre-processing and protocol)
  Instant arrived = Instant::never();      //!< request is at the service
  Instant started = Instant::never();      //!< first scheduled on a unit
  Instant first_token = Instant::never();  //!< first output token computed (LLM services)
  Instant served = Instant::never();       //!< service done
  Instant completed = Instant::never();    //!< answer is at the client
  std::uint32_t prompt_tokens = 0, output_tokens = 0;
  //! KV cache sent from a prefill to a decode replica: bytes, first and last byte; else 0, never.
  double kv_bytes = 0;
  Instant kv_sent = Instant::never(), kv_received = Instant::never();
  //! Of a streamed answer: its first and its last message are at the client; else never.
  Instant first_received = Instant::never(), last_received = Instant::never();
  std::uint32_t batch = 0;  //!< size of the batch that served it (batch servers)
  std::uint16_t attempts = 1;
  std::uint16_t version = 0;        //!< of the service that answered: number of its update or rollout; 0 before
  double upload = 0, download = 0;  //!< bytes
  double client_energy = 0;         //!< J spent by the client's node for this request
  double accuracy = 0;              //!< of the variant that answered
  std::uint16_t variant = 0;        //!< among those that its service chooses from
  std::uint16_t exit = 0;           //!< at which it left a graph with early exits
  bool streamed = false;            //!< its tokens travel as they are computed
  std::uint8_t cache = 0;           //!< that answered it, in RunInfo::caches; 0: none
  float call_time = 0;              //!< s that its service waited for others that it calls
  float pool_wait = 0;              //!< s that it and its calls waited for connections, summed up
  bool wrong = false;               //!< the cache's answer was to a similar request and does not suit
  bool counted = true;              //!< created after the warm-up
};

//! One finished agent task (a sequence of requests).
struct TaskRecord {
  std::uint64_t task = 0;
  std::uint64_t identity = 0;  //!< equal in paired runs
  std::uint32_t workload = 0, client = 0, steps = 0, steps_done = 0;
  Instant created, ended = Instant::never();
  bool succeeded = false;  //!< every step was answered
  bool counted = true;
};

//! One interval sample of one service (all its replicas together).
struct ServiceSample {
  Instant at;
  std::uint32_t service = 0;
  std::uint32_t queued = 0, running = 0, ready_replicas = 0, asked_replicas = 0;
  double utilization = 0;  //!< busy fraction of slots since the last sample
};

//! One line of the power trace of a node.
struct NodeSample {
  Instant at;
  std::uint32_t group = 0;   //!< index into RunInfo::nodes
  std::uint32_t node = 0;    //!< within the group
  double power = 0;          //!< W, mean since the last sample
  double temperature = 0;    //!< degrees Celsius of the hottest part; 0 without heat
  double speed = 1;          //!< clock of the first unit relative to its highest
  double busy = 0;           //!< busy share of the first unit since the last sample
};

//! An operator of a graph that ran on a unit of a node.
struct OperatorRecord {
  Instant start, end;
  std::uint32_t group = 0, node = 0;  //!< index into RunInfo::nodes, and node within the group
  std::uint32_t lane = 0;             //!< index into RunInfo::lanes
  std::uint32_t service = 0, replica = 0;
  std::uint32_t op = 0;    //!< index into RunInfo::operators
  std::uint32_t kind = 0;  //!< models::OperatorKind
};

//! One offload decision.
struct DecisionRecord {
  Instant at;
  std::uint64_t request = 0;
  std::uint32_t chosen = 0, used = 0;  //!< candidate service indices (RunInfo::services)
  double score = 0;
  std::string_view reason;  //!< static text
};

//! Totals of one node group over the measured part of the run.
struct NodeTotals {
  std::string name;
  std::uint32_t count = 0;
  double energy = 0;        //!< J, all nodes of the group, idle included
  double busy_seconds = 0;  //!< unit-seconds in use
  double hours = 0;         //!< node-hours powered
  double cost = 0;          //!< USD
  //! With clocks, heat or a battery (else absent): see docs/metrics.md.
  struct Physics {
    double throttled = 0;        //!< share of the time with a clock held down by heat
    double hottest = 0;          //!< degrees Celsius, of any node; NaN without heat
    double battery = 1;          //!< least charge at the end, [0, 1]
    std::uint32_t shut_down = 0; //!< nodes that went down by heat or an empty battery
    //! Over the samples of power traces of all nodes; NaN without.
    double power_mean = 0, power_stddev = 0;  //!< W
    double speed_mean = 0, speed_stddev = 0;  //!< clock relative to the highest
  };
  std::optional<Physics> physics;
};

//! Totals of one service over the measured part of the run.
struct ServiceTotals {
  std::string name, model, variant, timing;  //!< timing: e.g. "roofline +-12 %"
  bool pool = false;                         //!< a part of the service before it
  double utilization = 0;                    //!< time-average busy fraction of slots
  double mean_queue = 0;                     //!< time-average number waiting
  double mean_in_system = 0;                 //!< time-average number waiting or in service
  double mean_replicas = 0;                  //!< time-average ready replicas
  std::uint32_t max_replicas = 0;
  double mean_batch = 0;
  std::uint64_t iterations = 0;  //!< batches or engine iterations
  double timing_error = 0;       //!< one standard error of service times, relative
  std::uint64_t cold_starts = 0;
  std::uint64_t preemptions = 0;
  double cold_start = 0;         //!< s from asking for a replica until it takes requests
  double load_peak = 0;          //!< bytes of host memory while it loads; 0: not known
  double weight_bytes = 0;       //!< of the model, of its largest variant; 0 for laws
  //! Batches that asked for weights in a shared memory, and found them; comings and goings.
  struct WeightCache {
    std::uint64_t batches = 0, hits = 0, loads = 0, evictions = 0;
  };
  std::optional<WeightCache> weight_cache;
  //! A cache of answers, all its copies together; entries and bytes at the end of the run.
  struct Cache {
    std::string name;
    std::uint64_t lookups = 0, hits = 0;
    std::uint64_t similar = 0, wrong = 0;    //!< hits by answers to similar requests; that do not suit
    std::uint64_t coalesced = 0;             //!< misses that waited for another one's answer
    std::uint64_t unanswered = 0;            //!< look-ups at servers that were not there
    std::uint64_t writes = 0, evictions = 0, expired = 0, refused = 0, entries = 0;
    double bytes = 0;
    bool similar_counted = false;            //!< it takes answers to similar requests
  };
  std::vector<Cache> caches;
  //! Of a balancer that watches its replicas (schedulers/health.hpp).
  struct Balancing {
    std::uint64_t tries = 0, failures = 0;   //!< at replicas
    std::uint64_t retries = 0;               //!< tries after a failure at another replica
    std::uint64_t ejections = 0, returns = 0;
    std::uint64_t opened = 0;                //!< circuits
    std::uint64_t turned_away = 0;           //!< by limits on all requests
    std::vector<std::uint64_t> by_replica;   //!< tries, by number
  };
  std::optional<Balancing> balancing;
  //! Of a balancer that goes by places: choices in the zone of the request, and all.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> near;
  std::optional<std::uint64_t> calls;        //!< from other services; none: no service calls it
  //! Tokens of language models: of prompts; of these from the prefix cache, from slower KV tiers and
  //! from swap space; guessed ahead, and guessed right.
  struct Engine {
    std::uint64_t prompt_tokens = 0, cached_tokens = 0, fetched_tokens = 0, swapped_tokens = 0;
    std::uint64_t guessed_tokens = 0, accepted_tokens = 0;
    std::uint64_t adapter_loads = 0;         //!< LoRA adapters that came to the unit
  };
  std::optional<Engine> engine;
  //! Pipelines: share of the stages' time in which no micro-batch is in them, while a replica has work.
  std::optional<double> bubbles;
  //! Data-parallel ranks: share of their iterations for which they had no work but padding.
  std::optional<double> dummy_iterations;
  //! Counted requests by variant and by exit, of services that choose; else empty.
  std::vector<std::pair<std::string, std::uint64_t>> variants;
  std::vector<std::uint64_t> exits;
  //! Counted answers by version, of services that updates renew; of these, by another version than
  //! the cloud had then.
  std::vector<std::pair<std::string, std::uint64_t>> versions;
  std::uint64_t skewed = 0;
};

//! What became of a model update, from its release to the end of the run.
struct UpdateTotals {
  std::string name;
  std::uint64_t fleet = 0, applied = 0;      //!< machines; those that have had it
  std::uint64_t serving = 0;                 //!< that have it at the end
  std::uint64_t affected = 0, back = 0;      //!< had it when it was taken back; are back
  std::uint64_t full_instead = 0;            //!< got the image for want of the version before
  std::uint64_t broken = 0;                  //!< downloads and messages that failed on their way
  //! Bytes sent to machines of the fleet by origin, relays and each other; to relays; news.
  double from_origin = 0, from_relays = 0, from_peers = 0, to_relays = 0, news = 0;
  double received = 0, wasted = 0;           //!< of these, kept and thrown away
  double released = 0;                       //!< s, its date
  bool taken_back = false;
  static constexpr double never = std::numeric_limits<double>::quiet_NaN();
  //! s since its release until the first, 50 %, 95 % and all have it; since it was taken back until
  //! 95 % and all of those who had it are back. NaN: not in this run.
  double first = never, half = never, most = never, all = never, back_most = never, back_all = never;
  std::vector<std::pair<double, double>> progress;  //!< date in s, share that has it
};

//! Totals of one link over the measured part of the run.
struct LinkTotals {
  std::string name;
  double bytes = 0;        //!< both directions
  double utilization = 0;  //!< bytes over capacity; Wi-Fi cells: share of air time
  std::optional<double> energy{};  //!< J, of links with a power
};

}  // namespace isthmus::results
