// The running system: one World per run, all state in it, one switch over events.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "network/fluid_network.hpp"
#include "network/network.hpp"
#include "results/recorder.hpp"
#include "sim/core/fingerprint.hpp"
#include "sim/world/cost_state.hpp"
#include "sim/world/offload_state.hpp"
#include "sim/world/operator_codes.hpp"
#include "sim/world/scenario.hpp"
#include "sim/world/startup_state.hpp"
#include "sim/world/state.hpp"
#include "sim/world/update_state.hpp"

namespace isthmus::world {

struct AdmissionState;
struct ServiceMeter;
class StoreAndForward;
class Replication;
class Placer;
class BatchJobs;
class ServiceLevels;
class Disruptions;
class Failover;
class ClusterAutoscaler;
class Calls;
class MessageQueues;
class Rollouts;
class Sharing;
struct DecisionEyes;

//! One run of a scenario. The scenario and the recorder must outlive it.
class World final : public network::EventLoop {
 public:
  //! `seed`: master seed of this run. Throws InputError when the scenario cannot run (no unit for a
  //! replica, closed loop without an end, ...).
  World(const Scenario& scenario, std::uint64_t seed, std::unique_ptr<network::Network> network,
        results::Recorder& recorder);
  ~World() override;

  //! What the offload policy has learned; "" without one. Before run(): lets it begin with that.
  std::string learned() const { return offload_ ? offload_->save() : std::string(); }
  void begin_with(const std::string& learned);
  //! Before run(): shows every offload decision.
  void watch_decisions(DecisionWatch watch);
  void watch_decisions(DecisionEyes eyes);

  //! Runs to the end and reports everything; call once.
  results::WorldTotals run();

  // network::EventLoop
  Instant next() override;
  void step() override;
  void flow_ended(const network::FlowEnd& end) override;

 private:
  friend class StoreAndForward;
  friend class Replication;
  friend class Placer;
  friend class BatchJobs;
  friend class ServiceLevels;
  friend class Disruptions;
  friend class Failover;
  friend class ClusterAutoscaler;
  friend class Calls;
  friend class MessageQueues;
  friend class Rollouts;
  friend class Sharing;

  // world.cpp: the clock and the switch
  void handle(const Event& event);
  void on_phase_end(std::uint64_t phase);
  void on_flow_ended(std::uint64_t tag, network::Outcome outcome);
  bool finished() const;
  void run_beside(network::FluidNetwork& fluid);
  void every(Duration period, EventKind kind, std::uint32_t target);
  bool counted() const { return warm_; }

  // arriving.cpp: arrivals, closed loops, tasks
  void open_workloads();
  void on_arrival(std::uint32_t workload, std::uint64_t payload);
  std::uint32_t client_of(std::uint32_t workload, std::uint64_t index) const;
  void schedule_next_arrival(std::uint32_t workload);
  void start_closed_client(std::uint32_t workload, std::uint32_t client, Duration after);
  void on_population_step(std::uint32_t workload, std::size_t step);
  void begin_work(std::uint32_t workload, std::uint32_t client, const Arrival& arrival);
  void on_task_step(Handle task);
  void end_of_request(std::uint32_t workload, std::uint32_t client, std::uint32_t task, bool answered);
  void end_task(std::uint32_t slot, bool succeeded);

  // requests.cpp: the life of a request
  std::uint32_t open_request();
  void close_request(std::uint32_t slot);
  std::uint32_t create_request(std::uint32_t workload, std::uint32_t client, const Arrival& arrival,
                               std::uint32_t task_slot, double context);
  Request* find(Handle handle);
  Handle handle_of(std::uint32_t slot) const { return {slot, requests_[slot].generation}; }
  Handle handle_of(const Request& r) const {
    return {static_cast<std::uint32_t>(&r - requests_.data()), r.generation};
  }
  void on_local_step(Handle handle);
  void place(std::uint32_t slot);
  void assign_service(std::uint32_t slot, std::uint32_t service);
  void approach(std::uint32_t slot, std::uint32_t service);
  void go_to(std::uint32_t slot, std::uint32_t replica);
  void end_transfer(Request& request);
  void send(std::uint32_t slot);
  void start_upload(std::uint32_t slot);
  void on_request_flow_ended(Handle handle, network::Outcome outcome);
  void arrive(std::uint32_t slot);
  void served(std::uint32_t slot, Instant at);
  void complete(std::uint32_t slot);
  void drop(std::uint32_t slot, results::Status status, results::Cause cause);
  void finish_record(std::uint32_t slot);
  void forget_attempt(Request& request);
  void retry_or_fail(std::uint32_t slot, results::Cause cause);
  bool may_retry(std::uint32_t workload);
  void on_request_timer(std::uint32_t which, Handle handle);
  void withdraw(std::uint32_t slot);
  void set_radio(std::uint32_t host, int uploads, int downloads);
  void rest_radio(Request& request, std::uint32_t node, bool sends, Instant since);
  FlowId transfer(std::uint32_t replica, std::uint32_t from, std::uint32_t to, double bytes,
                  std::uint64_t tag);

  // exchanges.cpp: connections, handshakes, codecs and brokers of requests that speak a protocol
  bool begin_exchange(std::uint32_t slot, double wait);
  void go_on_connecting(std::uint32_t slot);
  void ask_for_connection(std::uint32_t slot);
  void shake(std::uint32_t slot);
  void start_shake_flow(std::uint32_t slot);
  void on_shake_ended(std::uint32_t slot, network::Outcome outcome);
  void connected(std::uint32_t slot);
  bool pass_broker(std::uint32_t slot);
  void begin_pass(std::uint32_t slot);
  void on_passed(std::uint32_t slot);
  void free_worker(Exchange& exchange);
  void leave_broker(Request& request);
  void answer(std::uint32_t slot);
  void start_download(std::uint32_t slot);
  double wire_of_answer(Request& request, double payload);
  void end_shake(Request& request);
  void end_exchange(std::uint32_t slot, bool answered, bool broken);
  double core_speed(std::uint32_t node) const { return scenario_.nodes[nodes_[node].group].core_speed; }
  std::optional<results::ProtocolTotals> protocol_totals() const;

  // hedging.cpp: further copies of requests without an answer
  void begin_hedge(std::uint32_t slot);
  void on_hedge_due(Handle hedge);
  void send_copy(std::uint32_t hedge);
  std::uint32_t replica_for_copy(const Hedge& hedge, std::uint32_t service);
  bool wins(std::uint32_t slot);
  bool lost_to_others(std::uint32_t slot);
  void lead(Hedge& hedge, std::uint32_t slot);
  bool leads(std::uint32_t slot) const;
  void part_from_others(std::uint32_t slot);
  void stop_copy(std::uint32_t slot);
  void end_copy(std::uint32_t slot);
  double served_for(const Request& copy) const;
  double waste(const Request& copy);
  void close_hedge(std::uint32_t slot);

  // serving.cpp: queues, batches, engines
  schedulers::WaitingRequest describe(std::uint32_t slot) const;
  void turn_away(std::uint32_t slot, results::Cause cause);
  void turn_away(const std::vector<std::uint64_t>& tags);
  void enqueue(std::uint32_t slot);
  std::function<Duration(std::uint32_t)> batch_time(std::uint32_t service);
  void request_dispatch(std::uint32_t replica);
  void dispatch(std::uint32_t replica);
  void start_batch(std::uint32_t replica);
  void stop_serving(std::uint32_t slot);
  void occupy_unit(std::uint32_t replica, std::uint32_t batch);
  void dispatch_engine(std::uint32_t replica);
  void on_work_done(std::uint32_t replica, std::uint64_t payload);
  void on_batch_done(std::uint32_t replica, std::uint32_t batch);
  void on_span_done(std::uint32_t replica);
  void interrupt_span(std::uint32_t replica);
  void cut_span(std::uint32_t replica);
  void end_span_at(std::uint32_t replica, Instant end);
  void clock_engine(std::uint32_t replica);
  void show_load(std::uint32_t replica);
  std::int64_t service_ns(std::uint32_t replica, Batch& batch, double& compute_share);
  std::int64_t graph_ns(std::uint32_t replica, Batch& batch, double& compute_share);

  double work_of(const Request& request) const;
  devices::LineRequest line_request(std::uint32_t slot) const;
  bool can_start(Replica& replica);
  void displace(std::uint32_t replica);
  void push_out(std::uint32_t replica);

  // admission.cpp: who may enter services
  void open_admission();
  bool admit(std::uint32_t slot);
  schedulers::AdmissionView admission_view(std::uint32_t slot) const;
  Instant due(const Request& request) const;
  void refuse_entry(std::uint32_t slot, Instant again);
  void end_admission(std::uint32_t slot, bool answered);
  void tell_gates(std::uint32_t service, const Request& request);
  void add_admission_totals(std::vector<std::pair<std::string, double>>& more) const;
  Duration estimate_alone(std::uint32_t slot) const;

  // variants.cpp: which variant answers a request, and where it leaves
  void open_variants(std::uint32_t service);
  void choose_variants(std::uint32_t replica, Batch& batch);

  // splitting.cpp: requests that begin on the client's machine and end at a service
  void open_split(std::uint32_t service);
  void split_conditions(const Request& request, const Replica& own, ServiceState& service);
  bool begin_split(std::uint32_t slot);
  void next_part(std::uint32_t slot);
  void group_by_cut(const GraphModel& graph, Batch& batch) const;

  // machines.cpp: operators on the units of nodes
  const devices::ExecutionPlan& plan_of(std::uint32_t service, std::size_t batch);
  void start_on_units(std::uint32_t replica, std::uint32_t batch);
  void begin_on_units(std::uint32_t replica, std::uint32_t batch);
  void leave_units(std::uint32_t node, const std::vector<std::uint64_t>& batches);
  void on_machine_work(std::uint32_t node);
  void watch_machine(std::uint32_t node);
  void record_operators(std::uint32_t node);

  // weights.cpp: models that share the memory of a node
  void open_model_cache(std::uint32_t node);
  void give_back_weights(std::uint32_t node, std::uint32_t service);
  void on_weights_ready(std::uint32_t node);
  void begin_with_weights(std::uint32_t node, const std::vector<std::uint64_t>& batches);

  // clocks.cpp: clocks, heat and batteries of nodes, and what they do to running work
  void open_physics(std::uint32_t node);
  void on_machine_tick(std::uint32_t node);
  void watch_physics(std::uint32_t node);
  void show_activity(std::uint32_t node);
  void look_at_pending(std::uint32_t node);
  void take_over_clocks(std::uint32_t node, double before = 1);
  double slow(std::uint32_t node) const { return slow_.empty() ? 1.0 : slow_[node]; }
  double pace(std::uint32_t replica) const;
  void change_pace(std::uint32_t replica, double factor);
  void retime(std::uint32_t replica, std::uint32_t batch, double seconds);
  void take_samples(std::uint32_t node);
  double batch_seconds(const Replica& replica, const Batch& batch, double speed);
  void occupy(std::uint32_t node, std::uint32_t unit, double units, double watts);
  void draw(std::uint32_t node, double watts);
  double joules_of(const NodeState& node, const Batch& batch) const;
  double node_energy(const NodeState& node) const;
  double node_busy_seconds(const NodeState& node) const;

  // offloading.cpp: what clients see, and their choice
  std::uint32_t choose_service(std::uint32_t slot);
  bool candidate_view(std::uint32_t slot, std::uint32_t service, std::size_t candidate,
                      schedulers::OffloadCandidate& c);
  LoadSignal load_of(const ServiceState& service) const;
  void publish_signals();
  std::uint32_t route(std::uint32_t slot, std::uint32_t service);
  bool watched(const Request& request) const;
  void show_routing(std::uint32_t slot, const Router& router, const schedulers::RoutingView* view,
                    std::span<const std::uint32_t> among, std::size_t chosen) const;
  std::uint32_t choose_replica(std::uint32_t slot, Router& router,
                               const std::vector<std::uint32_t>& among, std::uint64_t hop);
  void scrape_for_router(Router& router);
  std::uint32_t local_replica(std::uint32_t service, std::uint32_t host) const;

  // balancing.cpp: balancers that find out by themselves who is alive
  void open_health(std::uint32_t service);
  void begin_try(std::uint32_t slot, ServiceState& service, std::uint32_t replica);
  void end_try(std::uint32_t slot, schedulers::TryEnd how);
  void close_try(const Try& t, const Request& request, schedulers::TryEnd how);
  void find_usable(ServiceState& service, std::span<const std::uint32_t> failed);
  void find_usable_for(std::uint32_t slot, ServiceState& service, std::span<const std::uint32_t> failed);
  std::uint32_t choose_usable(std::uint32_t slot, ServiceState& service, std::uint64_t hop);
  void show_places(const Router& router, std::span<const std::uint32_t> among);
  bool meets_nobody(std::uint32_t slot);
  bool try_elsewhere(std::uint32_t slot);
  void probe(std::uint32_t service);

  // offload_knowledge.cpp: what they know of paths, what only the oracle knows, and rewards
  void open_offload();
  void know_candidate(const Request& request, std::size_t candidate, double expected_output,
                      double& up, double& down, schedulers::OffloadCandidate& c);
  void measure_path(const Request& request, bool upload);
  void reveal(std::uint32_t slot, std::uint32_t service, std::size_t candidate,
              schedulers::OffloadCandidate& c);
  void compare_with_oracle(std::uint32_t slot, const schedulers::OffloadView& view,
                           std::size_t chosen);
  void report_outcome(const Request& request);

  // pools.cpp: services whose replicas stand in several pools
  std::uint32_t front_of(std::uint32_t service) const;
  Router* router_to(std::uint32_t service);
  void open_pools(std::uint32_t service);
  void join_router(std::uint32_t replica);
  void leave_router(std::uint32_t replica);
  void delist(std::uint32_t replica);
  bool expects_replica(std::uint32_t service) const;
  void ask_for(std::uint32_t service, std::uint32_t replicas);
  void count_ready(std::uint32_t front);

  // kv_transfer.cpp: from prefill to decode replicas
  void prefill_began(std::uint32_t slot, Instant end);
  void prefilled(std::uint32_t slot);
  std::uint32_t decode_replica_for(std::uint32_t slot);
  void find_decode_replica(std::uint32_t slot);
  std::int64_t blocks_at(std::uint32_t replica, const Request& request) const;
  bool has_room(std::uint32_t replica, std::int64_t blocks);
  void send_when_room(std::uint32_t slot);
  void send_kv(std::uint32_t slot, double bytes);
  void on_kv_event(std::uint32_t what, Handle handle);
  void on_kv_sent(std::uint32_t slot);
  void land(std::uint32_t slot);
  void started_to_decode(Request& request);
  void fill_room(std::uint32_t replica);
  void give_up_handover(std::uint32_t slot);
  void lose_handovers(std::uint32_t node);
  void look_again(std::uint32_t replica);

  // streaming.cpp: answers that travel while they are computed
  void begin_stream(std::uint32_t slot);
  std::uint32_t tokens_computed(std::uint32_t slot) const;
  void send_tokens(std::uint32_t slot);
  void await_token(std::uint32_t slot);
  void wake_streams(Replica& replica);
  void on_token_due(Handle handle);
  void end_message(Request& request);
  void on_message_ended(Handle handle, network::Outcome outcome);
  void received(std::uint32_t slot);
  void end_of_stream(std::uint32_t slot);
  void drop_stream(Request& request);

  // control_loops.cpp: replicas come and go
  void start_services();
  void open_routing(Router& router, const schedulers::PolicyEntry<schedulers::RoutingPolicy>& entry,
                    const schedulers::Parameters& parameters, std::uint32_t service,
                    std::uint64_t scrapes);
  bool start_replica(std::uint32_t service, bool at_once);
  devices::EngineLimits engine_limits(std::uint32_t service, const Service& spec) const;
  //! What a replica runs: its service, or a version of it.
  const Service& spec_of(const Replica& p) const { return p.as ? *p.as : scenario_.services[p.service]; }
  void label(devices::EngineRequest& job, const Request& r) const;
  void make_replica(std::uint32_t service, std::uint32_t node, bool at_once);
  void on_replica_ready(std::uint32_t replica);
  void wake_pending(std::uint32_t service);
  void retire(std::uint32_t replica);
  void release(std::uint32_t replica);
  bool busy(std::uint32_t replica) const;
  void remove_replica(std::uint32_t replica);
  void set_replicas(std::uint32_t service, std::uint32_t desired);
  std::uint32_t placed_by(std::uint32_t service) const;
  std::vector<std::uint32_t> replicas_of(std::uint32_t service) const;
  void sample_services();
  void update_ready(std::uint32_t service);

  // autoscaling.cpp: what autoscalers are shown, and their wishes
  void open_autoscaling(std::uint32_t service);
  void note_arrival(std::uint32_t slot, std::uint32_t replica);
  void note_answer(std::uint32_t slot, Instant at);
  void note_failure(std::uint32_t slot);
  void note_pending(std::uint32_t service, std::uint32_t slot);
  void carry_meters();
  std::uint32_t scaled_with(std::uint32_t service) const;
  template <class Figure>
  double sum_over(std::uint32_t service, const Figure& figure);
  void wake_autoscaler(std::uint32_t service);
  void scrape(std::uint32_t service);
  void control(std::uint32_t service, bool woken);

  // visits.cpp: requests at services with caches or calls
  bool begin_visit(std::uint32_t slot);
  void look(std::uint32_t slot);
  void look_up(std::uint32_t slot);
  void call(std::uint32_t slot, std::uint32_t service, double bytes, std::uint64_t path);
  bool holds_replica(const Request& request) const;
  void send_call(std::uint32_t slot);
  void on_call_flow(std::uint32_t slot, network::Outcome outcome);
  void end_call_transfer(Request& request);
  bool leaves(std::uint32_t slot);
  void go_back(std::uint32_t slot, double bytes);
  void back(std::uint32_t slot);
  void found(std::uint32_t slot);
  void make_answer(std::uint32_t slot);
  bool conclude(std::uint32_t slot);
  void leave(std::uint32_t slot);
  void resume_later(std::uint32_t slot, Visit::Next next);
  void resume(std::uint32_t slot);
  void return_to(Request& request);
  bool miss_instead(std::uint32_t slot);
  void abandon_visit(std::uint32_t slot);
  void lose_visits(std::uint32_t node);
  void add_egress(std::uint32_t from, std::uint32_t to, double bytes);

  // caches.cpp: what caches hold
  void open_caches();
  CacheHolder& holder_of(const CacheTier& tier, std::uint32_t holder);
  bool find_answer(const CacheTier& tier, std::uint32_t holder, Request& request);
  void write_answer(const CacheTier& tier, std::uint32_t holder, std::uint32_t from, const Request& r);
  void on_cache_write_ended(Handle handle, network::Outcome outcome);
  void stop_waiting(const CacheTier& tier, std::uint32_t holder, std::uint64_t key, std::uint64_t tag);
  void hand_over_lead(const CacheTier& tier, std::uint32_t holder, std::uint64_t key);
  void lose_caches(std::uint32_t node);
  void forget_caches(std::uint32_t replica);
  devices::AnswerCache::Counts writes_of(const CacheState& state) const;
  void add_cache_totals(std::uint32_t service, results::ServiceTotals& out) const;

  // faults.cpp
  void schedule_faults();
  void on_condition_change(std::uint32_t fault, bool begins);
  void schedule_failure(std::uint32_t fault);
  void change_capacity(std::uint32_t link, double share, bool begins);
  void change_speed(std::uint32_t node, double share, bool begins);
  void hold_node(std::uint32_t node, bool begins);
  void take_accelerator(std::uint32_t node, bool fails);
  void end_process(std::uint32_t replica);
  void fail_node(std::uint32_t node);
  void lose_work(std::uint32_t replica, std::vector<std::uint64_t>& lost);
  void lose_requests(const std::vector<std::uint64_t>& lost);
  void recover_node(std::uint32_t node);

  // updates.cpp: new versions of models for fleets
  void open_updates();
  void open_update(std::uint32_t update);
  void on_update_event(std::uint32_t what, std::uint64_t payload);
  void set_stage(UpdateDevice& device, UpdateStage stage);
  void end_stage_at(UpdateDevice& device, Instant at);
  void step_device(std::uint32_t device);
  void begin_wave(std::uint32_t update, std::uint32_t wave);
  void offer_update(std::uint32_t update, UpdateDevice& device);
  std::uint16_t version_on(std::uint32_t update, std::uint32_t line) const;
  void abandon(UpdateDevice& device);
  void await_poll(UpdateDevice& device, bool later);
  void ask(UpdateDevice& device);
  void not_heard(UpdateDevice& device);
  void hear(UpdateDevice& device);
  void go_on(UpdateDevice& device);
  void back_off(UpdateDevice& device);
  Duration retry_wait(const ModelUpdate& spec, std::uint32_t failures) const;
  void loaded(UpdateDevice& device);
  void installed(UpdateDevice& device);
  void in_place(UpdateDevice& device);
  void set_version(UpdateDevice& device, std::uint16_t version);
  void recall(std::uint32_t update);
  void look_at_rollback(UpdateState& state);
  void take_back(UpdateDevice& device);
  void stop_service(UpdateDevice& device);
  void start_service(UpdateDevice& device);
  void count_version(const Request& request);
  void add_update_totals(results::WorldTotals& totals);

  // update_senders.cpp: who sends updates to whom
  void open_senders(std::uint32_t update);
  std::uint32_t number_of(const UpdateDevice& device) const;
  std::uint32_t origin_of(const UpdateDevice& device) const;
  std::uint32_t relay_of(const UpdateDevice& device) const;
  std::uint32_t zone_of(std::uint32_t node) const;
  void seek(UpdateDevice& device);
  void seek_origin(UpdateDevice& device, double bytes);
  void wait_for(UpdateDevice& device, std::deque<UpdateTicket>& line);
  UpdateTransfer& new_transfer(std::uint32_t update, UpdateCargo cargo, UpdateSource source,
                               std::uint32_t from, double bytes);
  void send_update(UpdateDevice& device, UpdateCargo cargo, UpdateSource source, std::uint32_t from,
                   double bytes);
  std::uint32_t& sender_list(const UpdateTransfer& transfer);
  std::uint32_t sender_node(const UpdateTransfer& transfer) const;
  std::uint32_t receiver_node(const UpdateTransfer& transfer) const;
  void begin_update_flow(UpdateTransfer& transfer);
  void end_update_flow(UpdateTransfer& transfer);
  void on_update_flow_ended(Handle handle, network::Outcome outcome);
  void take_in(UpdateDevice& device, double moved, bool delivered);
  void serve_waiting(std::uint32_t update, UpdateSender& sender);
  void fill(std::uint32_t update, std::uint32_t relay, std::uint32_t parcel);
  void retry_fill(std::uint32_t update, std::uint32_t relay_and_parcel);
  void filled(const UpdateTransfer& transfer, double moved, bool delivered);
  double chunk_bytes(const UpdateDevice& device, std::uint32_t chunk) const;
  UpdateSwarm& swarm_of(const UpdateDevice& device);
  std::uint64_t* chunks_of(const UpdateDevice& device);
  std::uint32_t rarest(const UpdateDevice& device, const std::uint64_t* held, std::uint64_t salt);
  void seek_peer(UpdateDevice& device);
  bool fetch_from(UpdateDevice& peer, UpdateDevice& device, std::uint64_t salt);
  void offer_chunks(UpdateDevice& peer);
  void open_to_peers(UpdateDevice& device);
  void close_to_peers(UpdateDevice& device);
  void leave_swarm(UpdateDevice& device);
  void break_transfers(std::uint32_t first);
  void lose_updates(std::uint32_t node);
  void resume_updates(std::uint32_t node);

  // startups.cpp: cold starts part by part, and replicas kept alive
  void open_startups();
  void reset_startups();
  void start_complete(std::uint32_t replica);
  void begin_start(std::uint32_t replica, bool on_new_machine);
  void provisioned(std::uint32_t replica);
  void begin_pull(std::uint32_t pull);
  void on_image_flow_ended(Handle handle, network::Outcome outcome);
  std::vector<std::uint32_t> waiting_for(const StartupState::Pull& pull) const;
  void end_part(StartupState::Start& start, StartPart which) const;
  void restart(std::uint32_t replica, Duration wait);
  void unpacked(std::uint32_t pull);
  void image_there(std::uint32_t replica);
  void end_start(std::uint32_t replica);
  void forget_start(std::uint32_t replica);
  bool keep_alive(std::uint32_t replica);
  bool revive(std::uint32_t service);
  void lose_pulls(std::uint32_t node);
  void on_startup_event(std::uint32_t step, std::uint64_t payload);
  void add_startup_totals(std::vector<std::pair<std::string, double>>& more) const;

  // costs.cpp: what is paid, and what is emitted
  void open_costs();
  void reset_costs();
  void watch_prices(std::uint32_t site);
  void read_meters(std::uint32_t site);
  void on_price_change(std::uint32_t site);
  void rent(std::uint32_t node, bool begins);
  CostState::Month& month_of(CostState::Use& use, Instant at) const;
  void count_use(std::uint32_t service, const results::RequestRecord& record);
  void note_machine(std::uint32_t node, bool up);
  void count_down_time(CostState::Use& use);
  void bill_group(std::uint32_t group, results::NodeTotals& totals, results::Ledger& ledger);
  void bill_use(std::uint32_t service, results::Ledger& ledger);
  double availability_of(std::uint32_t service) const;
  void add_ledger(results::WorldTotals& totals);

  // totals.cpp
  void reset_totals();
  results::ServiceTotals::WeightCache cache_totals(const Service& service) const;
  results::WorldTotals totals();
  results::NodeTotals::Physics physics_totals(const NodeGroup& group) const;

  const Scenario& scenario_;
  std::uint64_t seed_;
  std::unique_ptr<network::Network> network_;
  results::Recorder& recorder_;
  EventQueue queue_;
  Fingerprint fingerprint_;
  Instant now_, horizon_;
  bool warm_ = false, ended_ = false;
  std::uint64_t events_ = 0, events_at_once_ = 0, created_ = 0;
  std::uint64_t open_sources_ = 0, live_requests_ = 0, live_tasks_ = 0, next_task_ = 0;
  double egress_cost_ = 0, egress_bytes_ = 0;
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, ConnectionPool> connections_;
  std::map<std::pair<const Protocol*, std::uint32_t>, BrokerState> brokers_;  // by machine
  results::ProtocolTotals talk_;
  std::vector<double> retry_credit_;     // of each workload with a retry budget
  network::TransferCounters counters_before_;  // when the warm-up ended
  std::vector<double> carried_before_;   // bytes per link when the warm-up ended
  std::vector<double> busy_before_;      // seconds of full use likewise, where they are counted

  std::vector<NodeState> nodes_;
  std::vector<ServiceState> services_;
  std::vector<Replica> replicas_;
  std::vector<std::uint32_t> replica_of_node_;  // [service * nodes + node] for local services
  std::vector<std::size_t> local_offset_;       // per service; npos: not local
  std::vector<WorkloadState> workloads_;
  std::vector<Request> requests_;
  std::vector<std::uint32_t> free_requests_;
  std::vector<Hedge> hedges_;
  std::vector<std::uint32_t> free_hedges_;
  results::HedgingTotals hedging_;
  std::vector<Task> tasks_;
  std::vector<std::uint32_t> free_tasks_;
  std::shared_ptr<schedulers::OffloadPolicy> offload_;
  std::unique_ptr<OffloadState> offload_state_;  // null: no policy decides
  std::uint64_t guess_seed_;  // of speculation
  StreamKey adapter_draws_, service_draws_, offload_draws_, routing_draws_, difficulty_draws_,
      retry_draws_;
  StreamKey content_draws_, similarity_draws_, work_draws_;

  // Caches and calls; empty where no service has any.
  std::vector<CacheState> caches_;       // by number - 1
  std::vector<const CacheTier*> tiers_;
  std::vector<CacheWrite> writes_;
  std::vector<std::uint32_t> free_writes_;
  bool visits_ = false;

  std::vector<OpenTry> tries_;           // by request slot; empty where no balancer wants to know

  // Faults: how many hold a link or node down, shares that brown-outs leave to links, and how often
  // each fault has come. Empty without faults.
  std::vector<std::uint32_t> link_holds_, node_holds_;
  std::map<std::uint32_t, std::multiset<double>> brown_outs_;
  std::vector<std::uint64_t> fault_counts_;
  std::uint64_t outages_ = 0;
  bool disaggregated_ = false;           // KV caches travel
  StreamKey fault_draws_;
  std::unique_ptr<Updates> updates_;     // null without
  StreamKey update_draws_;

  std::vector<std::unique_ptr<ServiceMeter>> meters_;  // of services; empty: no autoscaler wants metrics
  std::unique_ptr<StartupState> startups_;  // null: no service says how its replicas start
  std::unique_ptr<CostState> costs_;     // null: no ledger is kept
  std::unique_ptr<AdmissionState> admission_;  // null: everybody may enter everywhere
  std::unique_ptr<StoreAndForward> outboxes_;  // null: no machine has one
  std::unique_ptr<Replication> replication_;   // null: no data are replicated
  std::unique_ptr<Placer> placer_;       // null: no service has a placement
  std::unique_ptr<BatchJobs> jobs_;      // null: no jobs
  std::unique_ptr<ServiceLevels> levels_;      // null: nobody asks for any

  // scratch, to spare allocations
  std::vector<schedulers::OffloadCandidate> candidates_;
  std::vector<schedulers::ReplicaSignal> signals_;
  std::vector<std::uint32_t> usable_, shown_;
  std::vector<std::uint64_t> batch_, wakeful_, spare_tags_;
  std::vector<devices::Admission> admitted_;
  std::vector<devices::Progress> progress_;
  std::vector<network::FlowEnd> ends_;
  std::vector<devices::FinishedInstance> finished_;
  // When operators are recorded: by node, what ended since the last record_operators().
  std::map<std::uint32_t, std::vector<devices::OperatorRun>> operator_runs_;
  OperatorCodes codes_;

  // Slow machines: brown-outs and the share of its speed that they leave to each; empty before the first one.
  // Speeds that engines go by, and costs at these.
  std::map<std::uint32_t, std::multiset<double>> slow_nodes_;
  std::vector<double> slow_;
  std::map<std::uint32_t, double> engine_speeds_;
  std::map<std::pair<const models::LlmCost*, double>, std::shared_ptr<const models::LlmCost>> slowed_costs_;
  std::unique_ptr<Disruptions> disruptions_;  // null: nobody asks what failures do
  std::unique_ptr<Failover> failover_;        // null: no service has a primary
  std::unique_ptr<ClusterAutoscaler> cluster_;  // null: all machines are there all the time
  std::unique_ptr<Calls> calls_;              // null: no service calls others
  std::unique_ptr<MessageQueues> queues_;     // null: no service keeps messages
  std::unique_ptr<Rollouts> rollouts_;        // null: no service gets new versions
  std::unique_ptr<Sharing> sharing_;          // null: every replica has its units alone
  std::unique_ptr<DecisionEyes> eyes_;        // null: nobody watches
};

}  // namespace isthmus::world
