#include "results/metrics.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>

namespace isthmus::results {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

constexpr std::array<std::string_view, 6> suffixes{"mean", "p50", "p90", "p95", "p99", "max"};
constexpr std::array<double, 4> percents{50, 90, 95, 99};  // of the four in the middle

double ratio(double part, double whole) { return whole > 0 ? part / whole : nan; }
double ratio(std::uint64_t part, std::uint64_t whole) {
  return ratio(static_cast<double>(part), static_cast<double>(whole));
}

// Appends metrics with the unit of their definition.
class Sheet {
 public:
  void put(const std::string& name, double value) {
    const auto definition = find_metric(name);
    if (!definition) throw InternalError("metric without a definition: " + name);
    metrics_.push_back({name, value, std::string(definition->unit)});
  }
  // One timed metric: mean, percentiles and maximum, from ns to s.
  void put_timed(const std::string& name, std::vector<const Distribution*> parts) {
    const MergedDistribution all(std::move(parts));
    std::vector<double> ns = all.percentiles(percents);
    ns.insert(ns.begin(), all.mean());
    ns.push_back(all.max());
    for (std::size_t i = 0; i < suffixes.size(); ++i)
      put(fmt::format("{}.{}", name, suffixes[i]), ns[i] * 1e-9);
  }
  std::vector<Metric> take() { return std::move(metrics_); }

 private:
  std::vector<Metric> metrics_;
};

}  // namespace

const std::vector<MetricDefinition>& metric_definitions() {
  static const std::vector<MetricDefinition> table{
      {"requests", "1", "requests created after the warm-up", false, true},
      {"completed", "1", "of these, answered by the end of the run", false, true},
      {"throughput", "1/s", "answered requests per second", false, true},
      {"goodput", "1/s", "answered requests per second that met every objective", false, true},
      {"latency", "s", "from creation to the answer at the client", true},
      {"latency.stddev", "s", "standard deviation of latency"},
      {"queue_wait", "s", "from arrival at the service to the first work on it", true},
      {"network_time", "s", "upload and download", true},
      {"service_time", "s", "from the first work to the end of service", true},
      {"ttft", "s", "time to first token, from creation", true},
      {"tpot", "s", "time per output token after the first", true},
      {"itl.mean", "s", "inter-token latency, mean over all gaps"},
      {"e2e", "s", "from creation to the last token at the service", true},
      {"kv_transfer", "s", "from the first token or the first byte of its KV cache to the last", true},
      {"kv_bytes_per_transfer", "B", "bytes of a KV cache that went to a decode replica"},
      {"output_token_throughput", "1/s", "output tokens per second", false, true},
      {"rejected_rate", "1", "fraction of requests rejected"},
      {"failed_rate", "1", "fraction of requests failed"},
      {"fallback_rate", "1", "fraction of answers from another service than chosen"},
      {"retry_rate", "1", "fraction of requests that needed more than one attempt"},
      {"bytes_per_request", "B", "bytes up and down per answered request"},
      {"client_energy_per_request", "J", "energy of the clients' nodes per answered request"},
      {"accuracy", "1", "mean accuracy of the variants that answered", false, true},
      {"variant.<service/variant>", "1", "fraction of the service's requests that the variant served"},
      {"exit.<service/exit>", "1", "fraction of the requests to graphs with exits that left there"},
      {"cold_start.<service>", "s", "from asking for a replica until it takes requests"},
      {"replicas.<service>", "1", "mean number of ready replicas"},
      {"cold_starts.<service>", "1", "replicas that went through the parts of a start"},
      {"warm_starts.<service>", "1", "kept replicas that took requests again"},
      {"cold_start_mean.<service>", "s", "from asking for a replica until it takes requests, measured"},
      {"cold_start_part.<service/part>", "s", "a part of that, mean over all cold starts"},
      {"image_bytes", "B", "bytes of images that machines pulled"},
      {"load_peak.<service>", "B", "host memory that a replica needs while it loads"},
      {"weights.<service>", "B", "bytes of the weights of the service's model"},
      {"bubbles.<service>", "1", "fraction of the time of pipeline stages without a micro-batch"},
      {"dummy_iterations.<service>", "1", "fraction of the iterations of data-parallel ranks without work"},
      {"weight_hits.<service>", "1", "fraction of batches that found their weights in memory", false, true},
      {"weight_loads.<service>", "1", "times that the model was loaded into shared memory"},
      {"weight_evictions.<service>", "1", "times that the model left it for another"},
      {"cache_hits.<service/cache>", "1", "fraction of look-ups that found an answer", false, true},
      {"cache_coalesced.<service/cache>", "1", "fraction that waited for another one's answer"},
      {"cache_wrong.<service/cache>", "1", "fraction of hits whose answer does not suit the request"},
      {"tries_failed.<service>", "1", "fraction of tries at replicas that failed, of balancers that watch"},
      {"routed.<service/replica>", "1", "fraction of tries that went to the replica"},
      {"routed_near.<service>", "1", "fraction of requests that went to a replica in their own zone, of balancers that go by places", false, true},
      {"ejections.<service>", "1", "times that a replica was taken out, or its circuit opened"},
      {"admitted.<owner/rule>", "1", "requests that a rule of admission let in"},
      {"held_back.<owner/rule>", "1", "the part of them that it let in later"},
      {"turned_away.<owner/rule>", "1", "requests that it turned away"},
      {"displaced.<service>", "1", "times that a request in service was stopped for another"},
      {"over_quota.<owner/rule>", "1", "requests that it let in for a smaller variant only"},
      {"accelerator_busy.<nodes>", "1", "fraction of the time of shared accelerators that somebody works on them"},
      {"accelerator_switching.<nodes>", "1", "fraction of their time that goes to context switches"},
      {"sharing_slowdown.<service>", "1", "how many times longer its work took than on an accelerator of its own"},
      {"tenant_requests.<tenant>", "1", "requests of the tenant's workloads", false, true},
      {"tenant_answered.<tenant>", "1", "fraction of them that were answered", false, true},
      {"tenant_lost.<tenant/cause>", "1", "fraction of them that were rejected or failed for that cause"},
      {"tenant_latency.<tenant>.mean", "s", "latency of the tenant's answers, mean"},
      {"tenant_latency.<tenant>.p95", "s", "the same, 95th percentile"},
      {"tenant_latency.<tenant>.p99", "s", "the same, 99th percentile"},
      {"tenant_attainment.<tenant>", "1", "fraction of its requests answered within every objective", false, true},
      {"tenant_accuracy.<tenant>", "1", "mean accuracy of its answers", false, true},
      {"tenant_degraded.<tenant>", "1", "fraction of its answers by a smaller variant than the most accurate one"},
      {"tenant_share.<tenant>", "1", "its part of the time that tenants' answered requests were in service"},
      {"tenant_cost.<tenant>", "USD", "that part of the cost of the run"},
      {"fairness", "1", "Jain's index of the tenants' times in service per weight; 1: all alike", false, true},
      {"node_failures.<nodes>", "1", "times that one of the machines went down"},
      {"node_downtime.<nodes>", "s", "time that machines were down, summed up"},
      {"node_availability.<nodes>", "1", "share of their time that machines were up", false, true},
      {"node_mtbf.<nodes>", "s", "time between failures: time up over failures", false, true},
      {"node_mttr.<nodes>", "s", "time to repair, mean of those that have ended"},
      {"node_count.<nodes>", "1", "machines that exist, mean", false, true},
      {"node_count_max.<nodes>", "1", "machines that exist, most", false, true},
      {"node_orders.<nodes>", "1", "machines that the cluster autoscaler ordered", false, true},
      {"node_orders_failed.<nodes>", "1", "orders that it gave up"},
      {"node_provisioning.<nodes>", "s", "from an order until the machine ran, mean"},
      {"node_removals.<nodes>", "1", "machines that it gave up", false, true},
      {"node_interruptions.<nodes>", "1", "machines that their provider took back"},
      {"node_requests_lost.<nodes>", "1", "times that a request was lost with a machine that was taken away"},
      {"node_work_lost.<nodes>", "s", "that these had been served for, summed up"},
      {"pending_replica_seconds", "s", "replicas that waited for a machine, times their time"},
      {"service_availability.<service>", "1", "share of the time with a replica that takes requests", false, true},
      {"crashes.<service>", "1", "processes of the service that crashed"},
      {"requests_lost.<service>", "1", "times that a failure took a request that was at the service"},
      {"failovers.<failover>", "1", "times that a standby became the primary"},
      {"rto.<failover>", "s", "longest time from the loss of a primary until one takes requests again"},
      {"primary_downtime.<failover>", "s", "time without a primary, summed up"},
      {"rpo.<failover>", "s", "oldest answered write that a failover lost: its age at the loss of the primary"},
      {"writes.<failover>", "1", "writes", false, true},
      {"writes_lost.<failover>", "1", "answered writes that failovers lost"},
      {"writes_alone.<failover>", "1", "answered without a standby that has them (synchronous)"},
      {"reads_apart.<failover>", "1", "fraction of reads that standbys answered"},
      {"reads_stale.<failover>", "1", "fraction of reads that missed a write answered before they came"},
      {"reads_sent_back.<failover>", "1", "reads that went to the primary for the client's own writes"},
      {"replication_bytes.<failover>", "B", "sent to standbys and stored in checkpoints"},
      {"replication_lag.<failover>.mean", "s", "from the answer to a write until a standby has it, mean"},
      {"replication_lag.<failover>.max", "s", "the same, longest"},
      {"sli.<level>", "1", "service level indicator: fraction of good events", false, true},
      {"sli_met.<level>", "1", "1 when it reached the objective, else 0", false, true},
      {"sli_events.<level>", "1", "events of the indicator", false, true},
      {"sli_bad.<level>", "1", "the bad ones among them"},
      {"apdex.<level>", "1", "Apdex of a latency indicator, tolerated up to four times its target", false, true},
      {"error_budget.<level>", "s", "time of complete failure that the objective leaves in its period", false, true},
      {"budget_left.<level>", "1", "share of the error budget that is left at the end", false, true},
      {"budget_used_up.<level>", "s", "date at which an error budget first was used up", false, true},
      {"burn_rate.<level>", "1", "how many times faster than just allowed the budget was spent"},
      {"alert_count.<level/alert>", "1", "times that the alert fired"},
      {"alert_first.<level/alert>", "s", "date at which it first fired", false, true},
      {"alert_time.<level/alert>", "s", "time that it was active"},
      {"alert_true.<level/alert>", "1", "times that it fired during a failure or within the grace after it", false, true},
      {"alert_false.<level/alert>", "1", "times that it fired otherwise"},
      {"alert_false_share.<level/alert>", "1", "share of these in all times that it fired"},
      {"alert_caught.<level/alert>", "1", "failures in which it fired", false, true},
      {"alert_missed.<level/alert>", "1", "failures in which it did not"},
      {"alert_delay.<level/alert>", "s", "from the begin of a failure until it fired, mean"},
      {"pool_open.<service/pool>", "1", "connections of the pool, all its copies together, mean over time"},
      {"pool_idle.<service/pool>", "1", "the idle ones among them"},
      {"pool_waiting.<service/pool>", "1", "requests that wait in its line, mean over time"},
      {"pool_wait.<service/pool>.mean", "s", "from the wish for a connection until it is there, mean of those that got one"},
      {"pool_wait.<service/pool>.p95", "s", "the same, 95th percentile"},
      {"pool_waited.<service/pool>", "1", "fraction of them that waited in the line"},
      {"pool_opened.<service/pool>", "1", "connections opened"},
      {"pool_closed.<service/pool/reason>", "1", "connections closed, by reason"},
      {"pool_timeouts.<service/pool>", "1", "requests that waited too long for a connection"},
      {"pool_refused.<service/pool>", "1", "openings that the server refused"},
      {"messages_published.<service>", "1", "messages that the service took in"},
      {"messages_consumed.<service>", "1", "the part of them whose calls were answered"},
      {"messages_redelivered.<service>", "1", "times that a failed delivery sent a message back to the line"},
      {"messages_dead.<service>", "1", "messages given up after their last try"},
      {"messages_lost.<service>", "1", "messages lost with their machine"},
      {"messages_open.<service>", "1", "messages that are there at the end"},
      {"message_depth.<service>.mean", "1", "messages that wait in lines, mean over time"},
      {"message_depth.<service>.max", "1", "the most that waited at once"},
      {"message_age.<service>", "s", "greatest age of a message in a line"},
      {"message_delay.<service>.mean", "s", "from the publication of a message until its calls are answered, mean"},
      {"message_delay.<service>.p95", "s", "the same, 95th percentile"},
      {"load.<service>", "1/s", "calls from other services per second"},
      {"service_share", "1", "fraction of latency spent in service"},
      {"share.<service>", "1", "fraction of answers that came from the service"},
      {"timing_error", "1", "relative standard error of service times"},
      {"utilization", "1", "busy fraction of slots"},
      {"slo.<i>.attainment", "1", "fraction that met objective i", false, true},
      {"slo.<i>.met", "1", "1 when enough met objective i, else 0", false, true},
      {"tasks", "1", "tasks ended", false, true},
      {"task_duration", "s", "from creation to the end of tasks that succeeded", true},
      {"task_success", "1", "fraction of ended tasks that succeeded", false, true},
      {"energy", "J", "energy of all nodes, idle included"},
      {"energy_per_request", "J", "the same per answered request"},
      {"link_energy", "J", "energy of all links with a power, idle included"},
      {"power.<nodes>.mean", "W", "mean of the power trace of the nodes"},
      {"power.<nodes>.stddev", "W", "standard deviation of the power trace"},
      {"clock.<nodes>.mean", "1", "mean clock of the first unit, relative to its highest"},
      {"clock.<nodes>.stddev", "1", "standard deviation of that clock over the trace"},
      {"temperature.<nodes>.max", "C", "highest temperature of any part of any of the nodes"},
      {"throttled.<nodes>", "1", "share of the time with a clock held down by heat"},
      {"battery.<nodes>", "1", "least battery charge at the end", false, true},
      {"transfer_retries", "1", "transfers begun again from the start after a failure"},
      {"transfer_resumes", "1", "transfers gone on with after a failure"},
      {"transfers_given_up", "1", "transfers that failed with all attempts used"},
      {"resent_bytes", "B", "bytes that transfers begun again had already moved"},
      {"promotions", "1", "radios that were woken up by a transfer"},
      {"handovers", "1", "transfers that a change of cell stopped or held back"},
      {"transfer_wait", "s", "time that transfers waited for radios, jitter and cells, summed up"},
      {"connections_opened", "1", "connections that clients set up to services"},
      {"connections_resumed", "1", "the part of them with a ticket of an earlier one"},
      {"connections_reused", "1", "requests on connections that were there"},
      {"handshake_time", "s", "from the wish for a new connection until it was there, mean"},
      {"payload_bytes", "B", "payloads under protocols, both ways"},
      {"wire_bytes", "B", "what these were on the wire, with handshakes"},
      {"client_codec_time", "s", "work of clients on codecs, ciphers and handshakes, summed up"},
      {"server_codec_time", "s", "the same of servers"},
      {"attempt_timeouts", "1", "attempts given up by a timeout"},
      {"hedge_copies", "1", "further copies per request, of workloads that hedge"},
      {"hedge_wins", "1", "fraction of their answers that came from a further copy"},
      {"hedge_wins.<copy>", "1", "fraction of their answers that came from that copy; 0: the first"},
      {"hedge_wasted", "s", "time at servers of copies that were not the answer, summed up"},
      {"sent_raw", "B", "payload that services got as it was"},
      {"sent_features", "B", "payload that services got as features"},
      {"sent_noised", "B", "payload that services got with noise on it"},
      {"bytes_in_clear", "B", "payload both ways without encryption"},
      {"broker_memory", "B", "most memory of a broker on any machine"},
      {"broker_held", "1", "most requests that a broker held on any machine"},
      {"version.<service/version>", "1", "fraction of the service's answers that the version gave"},
      {"version_skew.<service>", "1", "fraction of them by another version than the cloud had"},
      {"version_answered.<service/version>", "1", "requests that the version answered", false, true},
      {"version_failed.<service/version>", "1", "requests that ended without an answer at an error of the version"},
      {"version_errors.<service/version>", "1", "tries at its replicas that ended with an error"},
      {"version_latency.<service/version>.mean", "s", "latency of the version's answers, mean"},
      {"version_latency.<service/version>.p50", "s", "the same, median"},
      {"version_latency.<service/version>.p95", "s", "the same, 95th percentile"},
      {"version_latency.<service/version>.p99", "s", "the same, 99th percentile"},
      {"version_accuracy.<service/version>", "1", "mean accuracy of the version's answers", false, true},
      {"rollout_completed.<rollout>", "1", "1 when the rollout was completed, else 0", false, true},
      {"rollout_rolled_back.<rollout>", "1", "1 when it was taken back, else 0"},
      {"rollout_time.<rollout>", "s", "from its begin until it was completed or taken back"},
      {"rollout_detect.<rollout>", "s", "from the first request at the new version until it was taken back"},
      {"rollout_exposed.<rollout>", "1", "requests sent to the new version until then"},
      {"rollout_exposed_share.<rollout>", "1", "their fraction of all that the service's replicas got meanwhile"},
      {"rollout_errors.<rollout>", "1", "the part of them that ended with an error"},
      {"rollout_deadlines.<rollout>", "1", "times that its progress deadline passed"},
      {"ab_accuracy_old.<rollout>", "1", "A/B test: share of right answers of the old version", false, true},
      {"ab_accuracy_new.<rollout>", "1", "the same of the new version", false, true},
      {"ab_difference.<rollout>", "1", "the latter less the former", false, true},
      {"ab_difference_low.<rollout>", "1", "lower end of its confidence interval", false, true},
      {"ab_difference_high.<rollout>", "1", "upper end of its confidence interval", false, true},
      {"ab_p_value.<rollout>", "1", "probability of such a difference between equally accurate versions"},
      {"part_skew.<service>", "1", "fraction of split answers whose device and service parts are of different versions"},
      {"part_incompatible.<service>", "1", "split requests whose parts were too many versions apart"},
      {"update_share.<update>", "1", "fraction of the fleet that has the update at the end", false, true},
      {"update_time_first.<update>", "s", "from its release until the first machine has it"},
      {"update_time_50.<update>", "s", "until 50 % of the fleet have it"},
      {"update_time_95.<update>", "s", "until 95 % of the fleet have it"},
      {"update_time_all.<update>", "s", "until all of the fleet have it"},
      {"rollback_time_95.<update>", "s", "from taking it back until 95 % of those who had it are back"},
      {"rollback_time_all.<update>", "s", "until all of them are back"},
      {"update_bytes.<update>", "B", "that machines of the fleet got of the update"},
      {"update_bytes_origin.<update>", "B", "sent to them by the origin"},
      {"update_bytes_relays.<update>", "B", "sent to them by relays"},
      {"update_bytes_peers.<update>", "B", "sent to them by each other"},
      {"update_bytes_fill.<update>", "B", "sent to relays by the origin"},
      {"update_bytes_news.<update>", "B", "of messages and manifests"},
      {"update_bytes_wasted.<update>", "B", "that machines threw away"},
      {"update_broken.<update>", "1", "transfers that failed on their way", false, false},
      {"update_full_instead.<update>", "1", "machines without the version that the delta is against"},
      {"outbox_made.<outbox>", "1", "messages made"},
      {"outbox_delivered.<outbox>", "1", "messages that reached their sink", false, true},
      {"outbox_dropped.<outbox>", "1", "messages dropped by full outboxes"},
      {"outbox_lost_network.<outbox>", "1", "messages lost with a transfer (at-most-once)"},
      {"outbox_lost_node.<outbox>", "1", "messages lost with a machine (not durable)"},
      {"outbox_queued.<outbox>", "1", "messages that had not reached their sink at the end"},
      {"outbox_duplicates.<outbox>", "1", "arrivals at the sink of messages that had been there before"},
      {"outbox_repeated.<outbox>", "1", "the part of them that the sink passed on"},
      {"outbox_age.<outbox>.mean", "s", "from the making of a message to its first arrival, mean"},
      {"outbox_age.<outbox>.p99", "s", "the same, 99th percentile"},
      {"outbox_age.<outbox>.max", "s", "the same, largest"},
      {"outbox_backlog.<outbox>", "1", "most messages in any one outbox"},
      {"outbox_backlog_bytes.<outbox>", "B", "most bytes in any one outbox"},
      {"outbox_partitions.<outbox>", "1", "times that an outbox lost its sink"},
      {"outbox_catch_up.<outbox>.mean", "s", "from the return of a path until nothing waits behind a transfer"},
      {"outbox_catch_up.<outbox>.max", "s", "the same, longest"},
      {"outbox_failures.<outbox>", "1", "attempts to connect or to send that failed"},
      {"outbox_bytes.<outbox>", "B", "bytes of all transfers begun, both ways"},
      {"outbox_blocked.<outbox>", "s", "time that sources waited for room, summed up"},
      {"data_writes.<data>", "1", "writes to replicated data"},
      {"data_reads.<data>", "1", "reads of replicated data at its replicas"},
      {"data_stale.<data>", "1", "fraction of reads that missed a write made before"},
      {"data_staleness.<data>.mean", "s", "age of the oldest missed write at a read, 0 without one; mean"},
      {"data_staleness.<data>.p95", "s", "the same, 95th percentile"},
      {"data_staleness.<data>.max", "s", "the same, largest"},
      {"data_propagation.<data>.mean", "s", "from a write until another replica knows of it, mean"},
      {"data_propagation.<data>.p95", "s", "the same, 95th percentile"},
      {"data_propagation.<data>.max", "s", "the same, largest"},
      {"data_conflicts.<data>", "1", "concurrent versions of a key that met"},
      {"data_lost.<data>", "1", "writes that a resolution dropped"},
      {"data_siblings.<data>", "1", "most versions kept of one key"},
      {"data_bytes_up.<data>", "B", "bytes of messages begun from replicas to the hub"},
      {"data_bytes_down.<data>", "B", "bytes of messages begun from the hub to replicas"},
      {"data_vector_bytes.<data>", "B", "the part of both for version vectors"},
      {"data_messages.<data>", "1", "messages of synchronization begun"},
      {"data_failures.<data>", "1", "messages of synchronization that did not arrive"},
      {"data_converge.<data>.mean", "s", "from the return of a path until both sides know all of each other"},
      {"data_converge.<data>.max", "s", "the same, longest"},
      {"data_diverged.<data>", "1", "pairs of replica and key that differ from the hub at the end"},
      {"offload_reward", "1", "mean reward of requests with an offload decision", false, true},
      {"oracle_agreement", "1", "fraction of offload decisions that the oracle shares", false, true},
      {"oracle_gap", "1", "estimated reward that decisions are below the oracle's, mean"},
      {"placement_placed.<service>", "1", "replicas that found a machine, after the start and the warm-up"},
      {"placement_refused.<service>", "1", "times that a replica found none"},
      {"placement_pending.<service>", "1", "replicas that wait for a machine, mean over time"},
      {"placement_waited.<service>", "s", "longest time at a stretch that one waited"},
      {"placement_moves.<service>", "1", "replicas that the descheduler began to move"},
      {"placement_machines.<service>", "1", "machines with a replica, mean over time"},
      {"placement_shared.<service>", "1", "fraction of these with replicas of other services, mean"},
      {"placement_fragmentation.<service>", "1", "fraction of what is free on its machines that no further replica could use, mean"},
      {"placement_room.<service>", "1", "further replicas that would fit, mean", false, true},
      {"placement_violations", "1", "rules of placements that were not kept, at all changes"},
      {"job_makespan.<job>", "s", "from the start of a batch job to the end of its last shard, or of the run"},
      {"job_throughput.<job>", "1/s", "items of shards that were done, over this time", false, true},
      {"job_items.<job>", "1", "items of shards that were done", false, true},
      {"job_unfinished.<job>", "1", "shards that were not done"},
      {"job_failed.<job>", "1", "the part of them that had used all retries"},
      {"job_attempts.<job>", "1", "attempts at shards"},
      {"job_retries.<job>", "1", "attempts after a failure"},
      {"job_timeouts.<job>", "1", "attempts that took too long"},
      {"job_stolen.<job>", "1", "shards that a worker took from another one's line"},
      {"job_lost.<job>", "s", "time of failed attempts after their last checkpoint, summed up"},
      {"job_copies.<job>", "1", "speculative copies"},
      {"job_copies_won.<job>", "1", "the part of them that ended first"},
      {"job_duplicate.<job>", "s", "time of attempts whose shard another one ended, summed up"},
      {"job_checkpoints.<job>", "1", "checkpoints written"},
      {"job_checkpoint_time.<job>", "s", "of attempts, summed up"},
      {"job_checkpoint_bytes.<job>", "B", "of transfers begun"},
      {"job_busy.<job>", "s", "time of attempts, summed up"},
      {"job_cost.<job>", "USD", "of this time at the price of the machines, divided by their slots"},
      {"job_task_mean.<job>", "s", "from the first attempt at a shard to its end, mean"},
      {"job_task_p50.<job>", "s", "the same, median"},
      {"job_task_p99.<job>", "s", "the same, 99th percentile"},
      {"job_task_max.<job>", "s", "the same, largest"},
      {"outages", "1", "failures and brown-outs that began"},
      {"cost", "USD", "cost of nodes and network"},
      {"network_cost", "USD", "the part of it for egress"},
      {"cost_per_1000", "USD", "cost of 1000 answered requests"},
      {"cost_per_month", "USD", "cost of 730 h at the rate of the run (extrapolated)"},
      {"cost_per_year", "USD", "cost of 8760 h at the rate of the run (extrapolated)"},
      {"cost_at_once", "USD", "purchases and reservations as they are paid at the start"},
      {"running_cost_per_month", "USD", "cost_per_month without what writes these off"},
      {"ledger.<item/of>", "USD", "sum of the rows of the ledger with that item and owner"},
      {"availability.<service>", "1", "fraction of the time in which a provider was up", false, true},
      {"carbon", "g", "CO2 equivalents of the run, of operation and embodied"},
      {"carbon_embodied", "g", "the part of it for making the machines"},
      {"sci", "g", "the same per answered request (Software Carbon Intensity)"},
  };
  return table;
}

std::optional<MetricDefinition> find_metric(std::string_view full_name) {
  for (const MetricDefinition& d : metric_definitions()) {
    if (d.timed) {
      if (!full_name.starts_with(d.name)) continue;
      for (const std::string_view suffix : suffixes)
        if (full_name.size() == d.name.size() + 1 + suffix.size() &&
            full_name[d.name.size()] == '.' && full_name.ends_with(suffix))
          return d;
    } else if (const std::size_t open = d.name.find('<'); open != std::string_view::npos) {
      const std::string_view before = d.name.substr(0, open);
      const std::string_view after = d.name.substr(d.name.find('>') + 1);
      if (full_name.size() > before.size() + after.size() && full_name.starts_with(before) &&
          full_name.ends_with(after))
        return d;
    } else if (full_name == d.name) {
      return d;
    }
  }
  return std::nullopt;
}

std::vector<Metric> compute_metrics(const MetricSource& source) {
  // Sum the plain counts of the group.
  std::uint64_t created = 0, completed = 0, rejected = 0, failed = 0, fallbacks = 0, retried = 0,
                good = 0, tokens = 0, gaps = 0, with_accuracy = 0, tasks = 0, succeeded = 0;
  double gap_time = 0, bytes = 0, kv_bytes = 0, client_energy = 0, accuracy = 0, latency = 0, service = 0;
  std::vector<Attainment> attainment(source.rules->size());
  for (const RequestTally* t : source.requests) {
    created += t->created, completed += t->completed, rejected += t->rejected, failed += t->failed;
    fallbacks += t->fallbacks, retried += t->retried, good += t->good, gaps += t->gaps;
    tokens += t->output_tokens, with_accuracy += t->with_accuracy;
    kv_bytes += t->kv_bytes;
    gap_time += t->gap_time, bytes += t->bytes, client_energy += t->client_energy;
    accuracy += t->accuracy;
    latency += t->timed(Timed::latency).sum(), service += t->timed(Timed::service_time).sum();
    for (std::size_t i = 0; i < attainment.size(); ++i) {
      attainment[i].met += t->attainment[i].met;
      attainment[i].decided += t->attainment[i].decided;
    }
  }
  std::vector<const Distribution*> durations;
  for (const TaskTally* t : source.tasks) {
    tasks += t->ended, succeeded += t->succeeded;
    durations.push_back(&t->duration);
    for (std::size_t i = 0; i < attainment.size(); ++i) {
      attainment[i].met += t->attainment[i].met;
      attainment[i].decided += t->attainment[i].decided;
    }
  }
  const auto timed = [&](Timed what) {
    std::vector<const Distribution*> parts;
    for (const RequestTally* t : source.requests) parts.push_back(&t->timed(what));
    return parts;
  };
  const auto n = static_cast<double>(completed);

  Sheet sheet;
  sheet.put("requests", static_cast<double>(created));
  sheet.put("completed", n);
  sheet.put("throughput", ratio(n, source.seconds));
  sheet.put("goodput", ratio(static_cast<double>(good), source.seconds));
  sheet.put_timed("latency", timed(Timed::latency));
  sheet.put("latency.stddev", MergedDistribution(timed(Timed::latency)).stddev() * 1e-9);
  sheet.put_timed("queue_wait", timed(Timed::queue_wait));
  sheet.put_timed("network_time", timed(Timed::network_time));
  sheet.put_timed("service_time", timed(Timed::service_time));
  sheet.put_timed("ttft", timed(Timed::ttft));
  sheet.put_timed("tpot", timed(Timed::tpot));
  sheet.put("itl.mean", ratio(gap_time, static_cast<double>(gaps)) * 1e-9);
  sheet.put_timed("e2e", timed(Timed::e2e));
  std::uint64_t transfers = 0;
  for (const RequestTally* t : source.requests) transfers += t->timed(Timed::kv_transfer).count();
  if (transfers > 0) {
    sheet.put_timed("kv_transfer", timed(Timed::kv_transfer));
    sheet.put("kv_bytes_per_transfer", ratio(kv_bytes, static_cast<double>(transfers)));
  }
  sheet.put("output_token_throughput", ratio(static_cast<double>(tokens), source.seconds));
  sheet.put("rejected_rate", ratio(rejected, created));
  sheet.put("failed_rate", ratio(failed, created));
  sheet.put("fallback_rate", ratio(fallbacks, completed));
  sheet.put("retry_rate", ratio(retried, created));
  sheet.put("bytes_per_request", ratio(bytes, n));
  sheet.put("client_energy_per_request", ratio(client_energy, n));
  sheet.put("accuracy", ratio(accuracy, static_cast<double>(with_accuracy)));
  sheet.put("service_share", ratio(service, latency));
  for (const auto& [name, answers] : source.shares)
    sheet.put("share." + name, ratio(answers, completed));
  if (source.timing_error) sheet.put("timing_error", *source.timing_error);
  if (source.utilization) sheet.put("utilization", *source.utilization);
  for (std::size_t i = 0; i < attainment.size(); ++i) {
    const ObjectiveRule& rule = (*source.rules)[i];
    if (rule.kind == ObjectiveRule::Kind::task_duration && source.tasks.empty()) continue;
    const double reached = ratio(attainment[i].met, attainment[i].decided);
    const double met = attainment[i].decided == 0 ? nan : reached >= rule.percentile / 100 ? 1 : 0;
    sheet.put(fmt::format("slo.{}.attainment", i), reached);
    sheet.put(fmt::format("slo.{}.met", i), met);
  }
  if (!source.tasks.empty()) {
    sheet.put("tasks", static_cast<double>(tasks));
    sheet.put_timed("task_duration", durations);
    sheet.put("task_success", ratio(succeeded, tasks));
  }
  if (source.spent) {
    sheet.put("energy", source.spent->energy);
    sheet.put("energy_per_request", ratio(source.spent->energy, n));
    sheet.put("cost", source.spent->cost);
    sheet.put("network_cost", source.spent->network_cost);
    sheet.put("cost_per_1000", ratio(source.spent->cost * 1000, n));
  }
  return sheet.take();
}

}  // namespace isthmus::results
