// Batch jobs at work: shards of items go to machines, checkpoints are written, failed and slow ones done again.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "network/network.hpp"
#include "results/distribution.hpp"
#include "sim/core/event_queue.hpp"
#include "sim/core/random.hpp"
#include "sim/world/flow_tag.hpp"
#include "sim/world/job_spec.hpp"

namespace isthmus::world {

class World;

//! All jobs of a run.
class BatchJobs {
 public:
  explicit BatchJobs(World& world);

  void on_event(std::uint32_t target, std::uint64_t what);
  void on_flow_ended(Handle flow, network::Outcome outcome);
  void node_failed(std::uint32_t node);
  void node_recovered(std::uint32_t node);
  bool done() const { return open_ == 0; }
  //! Metrics of every job. Throws InternalError when items do not add up.
  void add_totals(std::vector<std::pair<std::string, double>>& out);

 private:
  enum class Phase : std::uint8_t { setup, working, writing, sending };
  struct Shard {
    std::uint64_t items = 0, saved = 0;  // saved: done items that a checkpoint holds
    std::uint64_t first = 0;             // number of its first item
    std::uint32_t failures = 0, attempts = 0;
    std::uint32_t skips = 0;             // workers on the ring that it was too slow at
    std::vector<std::uint32_t> running;  // attempts
    Instant started = Instant::never();  // of its first attempt
    bool done = false, failed = false;
  };
  struct Attempt {
    std::uint32_t job = 0, shard = 0, worker = 0, number = 0;
    bool live = false, copy = false;
    Phase phase = Phase::setup;
    std::uint64_t at = 0, next = 0;      // items done; items done at the end of this stretch
    Instant began, stretch_began, stretch_ends;
    Instant kept;                        // date up to which its work is saved
    std::uint64_t began_at = 0;          // items that were done when it began
    double slowdown = 1;
    EventHandle timer, timeout;
    FlowId flow;
    std::uint32_t flow_number = 0;       // of the flow that counts
  };
  struct Worker {
    std::uint32_t node = 0;
    bool up = true;
    std::uint32_t busy = 0;
    std::deque<std::uint32_t> queue;     // shards, with an assignment by hash
  };
  struct Job {
    std::vector<Worker> workers;
    std::vector<Shard> shards;
    std::deque<std::uint32_t> queue;     // shards that no worker has yet
    std::vector<std::pair<std::uint64_t, std::uint32_t>> ring;  // point, worker
    std::uint32_t left = 0;              // shards neither done nor failed
    std::uint32_t copies_now = 0;
    std::vector<double> rates;           // items/s of shards that are done
    Instant ended = Instant::never();
    std::uint64_t copies = 0, copies_won = 0, checkpoints = 0, retried = 0, timeouts = 0, stolen = 0;
    double lost = 0, duplicate = 0, busy = 0, writing = 0, cost = 0, bytes = 0;  // s, s, s, s, USD, bytes
    results::Distribution times{true};   // s from the first attempt of a shard to its end
    bool open = false;
  };

  const BatchJob& spec(std::uint32_t job) const;
  void begin(std::uint32_t job);
  std::uint32_t owner(std::uint32_t job, std::uint32_t shard) const;
  void enqueue(std::uint32_t job, std::uint32_t shard);
  void feed(std::uint32_t job);
  void feed(std::uint32_t job, std::uint32_t worker);
  std::uint32_t next_shard(std::uint32_t job, std::uint32_t worker);
  void start(std::uint32_t job, std::uint32_t shard, std::uint32_t worker, bool copy);
  void work(std::uint32_t attempt);
  void save(std::uint32_t attempt);
  void send(std::uint32_t attempt);
  void set_timer(std::uint32_t attempt, Duration wait);
  void saved(std::uint32_t attempt);
  void finish(std::uint32_t attempt);
  void stop(std::uint32_t attempt);
  void fail(std::uint32_t attempt, bool timed_out);
  void settle(std::uint32_t job);
  void look_for_stragglers(std::uint32_t job);
  double progress(const Attempt& a) const;

  World& world_;
  StreamKey item_draws_, speed_draws_;
  std::vector<Job> jobs_;
  std::vector<Attempt> attempts_;
  std::uint32_t open_ = 0;
};

}  // namespace isthmus::world
