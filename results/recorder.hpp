// Collects records during a run and turns them into a run directory and a summary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "results/ledger.hpp"
#include "results/records.hpp"
#include "results/rollout.hpp"
#include "results/service_level.hpp"

namespace isthmus::results {

//! A service-level objective of the scenario.
struct Objective {
  std::string metric = "latency";  //!< "latency", "ttft", "tpot", "task_duration"
  double percentile = 95;          //!< fraction of requests (in %) that must meet the target
  Duration target;
};

//! What a run is; written into its results.
struct RunInfo {
  std::string name;           //!< scenario name
  std::string scenario_json;  //!< fully resolved scenario, the run's input
  std::uint64_t seed = 0;
  std::uint32_t replication = 0;
  std::string label;    //!< value of the compared fields, "" when alone
  std::string network;  //!< Network::describe()
  std::string currency = "USD";  //!< of all costs
  Duration duration, warmup;
  std::vector<std::string> workloads, services, nodes;
  //! Tenants, their weights, and whose each workload is (~0: nobody's); empty: there are none.
  std::vector<std::string> tenants;
  std::vector<double> tenant_weights;
  std::vector<std::uint32_t> tenant_of;
  //! Names of lanes of units and of operators of graphs; empty when the run keeps no operators.
  std::vector<std::string> lanes, operators;
  bool hedging = false;       //!< requests may get further copies: their rows say how many
  bool streams = false;       //!< answers are streamed: rows of requests say when they were received
  std::vector<std::string> caches;  //!< "none" and the names of all caches of answers; empty: there are none
  bool versions = false;      //!< services are renewed: rows of requests say which version it was
  bool calls = false;  //!< services make lists of calls, or through pools: rows of requests say how long
  bool kv_transfers = false;  //!< KV caches travel between replicas: rows of requests say when
  std::vector<Objective> objectives;
  std::vector<std::string> notes;  //!< warnings that the summary repeats, e.g. extrapolation
};

//! How much is kept.
struct RecorderOptions {
  bool streaming = false;  //!< no per-request rows, percentiles sketched (HDR histogram, <= 0.1 %)
  std::filesystem::path directory;  //!< final run directory; empty: write nothing
  bool csv = false, html = false, trace = false;
  bool operators = false;  //!< a row per operator that ran on units of nodes
  std::function<void(const RequestRecord&)> on_request = nullptr;  //!< sees every record; may be empty
};

//! What became of transfers beside their bytes, after the warm-up.
struct TransferTotals {
  std::uint64_t retries = 0, resumes = 0;  //!< attempts after a failure
  std::uint64_t given_up = 0;              //!< failed with all attempts used
  std::uint64_t promotions = 0;            //!< of radios
  std::uint64_t handovers = 0;             //!< that met a transfer
  double resent = 0;                       //!< bytes that retries sent once more
  double waited = 0;                       //!< s in promotions, jitter and handovers
};

//! What protocols cost, after the warm-up.
struct ProtocolTotals {
  std::uint64_t opened = 0, resumed = 0;   //!< connections; of these with a ticket
  std::uint64_t reused = 0;                //!< requests on connections that were there
  std::uint64_t timeouts = 0;              //!< attempts given up
  double handshake = 0;                    //!< s from the wish for a new connection until it was there
  double payload = 0, wire = 0;            //!< bytes, both ways; with handshakes
  double client_work = 0, server_work = 0; //!< s of codecs, ciphers and handshakes
  double raw = 0, features = 0, noised = 0;  //!< bytes of payload sent to services, by what they show
  double in_clear = 0;                     //!< bytes of payload, both ways, without encryption
  double broker_memory = 0;                //!< bytes, most at any machine
  std::uint64_t broker_held = 0;           //!< requests, most at any machine
};

//! What further copies of requests did, after the warm-up.
struct HedgingTotals {
  std::uint64_t requests = 0, copies = 0;  //!< of workloads that hedge; further copies of them
  std::vector<std::uint64_t> wins;         //!< answers by copy, the first one at 0
  double wasted = 0;                       //!< s at servers of copies whose answer was not used
};

//! What offload decisions were worth, of counted requests.
struct OffloadTotals {
  std::uint64_t ended = 0;                 //!< requests with a decision that have ended
  double reward = 0;                       //!< summed up
  std::uint64_t compared = 0, agreed = 0;  //!< decisions held against the oracle's
  double gap = 0;                          //!< estimated reward below the oracle's choice, summed up
};

//! Totals that only the world knows.
struct WorldTotals {
  std::uint64_t created = 0;  //!< requests created, warm-up included
  std::uint64_t events = 0, fingerprint = 0;
  Instant end;             //!< date of the last event or the horizon
  double cpu_seconds = 0;  //!< of the simulation; kept out of everything that is compared
  std::vector<NodeTotals> nodes;
  std::vector<ServiceTotals> services;
  std::vector<LinkTotals> links;
  double network_cost = 0;  //!< for egress
  std::optional<Ledger> ledger;  //!< none: nobody asks for it
  std::optional<TransferTotals> transfers;  //!< none: nothing delays or repeats transfers
  std::optional<ProtocolTotals> protocols;  //!< none: no service speaks one
  std::optional<HedgingTotals> hedging;     //!< none: no workload hedges
  std::vector<UpdateTotals> updates;
  std::vector<LevelTotals> levels;
  std::vector<AlertEvent> alerts;           //!< by date
  std::vector<RolloutTotals> rollouts;
  std::vector<VersionTotals> versions;      //!< of services with rollouts
  std::vector<SkewTotals> skews;
  std::optional<OffloadTotals> offload;     //!< none: nobody asks for it
  std::optional<std::uint64_t> outages;     //!< failures and brown-outs that began; none: no faults
  std::vector<std::pair<std::string, double>> more;  //!< further metrics by name, of parts with names
  std::vector<std::string> notes;           //!< what the run itself has to say, beside RunInfo::notes
};

//! One named figure of a run. Names are those of docs/metrics.md.
struct Metric {
  std::string name;  //!< e.g. "latency.p95"
  double value = 0;  //!< NaN when there is no data
  std::string unit;  //!< "s", "J", "USD", "1", "1/s" ...
};

//! What a run says in the end.
struct Summary {
  RunInfo info;
  std::uint64_t created = 0, completed = 0, rejected = 0, failed = 0, in_flight = 0;
  std::map<std::string, std::uint64_t> by_cause;  //!< of rejected and failed
  std::vector<Metric> metrics;                    //!< whole run, measured part
  std::map<std::string, std::vector<Metric>> by_workload, by_service;
  std::vector<NodeTotals> nodes;
  std::vector<ServiceTotals> services;
  std::vector<LinkTotals> links;
  std::vector<UpdateTotals> updates;
  std::vector<LevelTotals> levels;
  std::vector<AlertEvent> alerts;
  std::vector<RolloutTotals> rollouts;
  std::vector<VersionTotals> versions;
  std::vector<SkewTotals> skews;
  std::optional<Ledger> ledger;
  std::uint64_t events = 0, fingerprint = 0;
  double cpu_seconds = 0;
  std::filesystem::path directory;  //!< where it was written; empty if nowhere

  //! Value of a metric by name; NaN when absent.
  double value(const std::string& name) const;
  //! "created 100 = completed 97 + rejected 2 (queue_full 2) + failed 0 + in flight 1".
  std::string conservation_line() const;
};

//! Takes records during one run. Not thread-safe; one per run.
class Recorder {
 public:
  Recorder(RunInfo info, RecorderOptions options);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void add(const RequestRecord& record);  //!< once per request; hot path
  void add(const TaskRecord& record);
  void add(const ServiceSample& sample);
  void add(const DecisionRecord& decision);
  void add(const NodeSample& sample);
  void add(const OperatorRecord& op);  //!< ignored unless RecorderOptions::operators
  //! Ends the run: computes the summary and writes the directory (atomically: a temporary name,
  //! then a rename). Throws Error when created != completed + rejected + failed + in flight.
  Summary finish(const WorldTotals& totals);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

//! Summary as JSON text and back; the worker process of a SimGrid run answers with it.
std::string to_json(const Summary& summary);
Summary summary_from_json(const std::string& text);

}  // namespace isthmus::results
