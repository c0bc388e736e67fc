#include "sim/world/batch_jobs.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "sim/core/errors.hpp"
#include "sim/core/hash.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// Payload of an event: an attempt gets on or has taken too long, a job starts or looks for stragglers.
enum What : std::uint64_t { attempt_step, attempt_timeout, job_start, job_check };

}  // namespace

BatchJobs::BatchJobs(World& world)
    : world_(world), item_draws_(world.seed_, "job items"), speed_draws_(world.seed_, "job attempts") {
  const std::vector<BatchJob>& jobs = world.scenario_.jobs;
  jobs_.resize(jobs.size());
  open_ = static_cast<std::uint32_t>(jobs.size());
  for (std::uint32_t i = 0; i < jobs.size(); ++i)
    world.queue_.push(Instant::zero() + jobs[i].start, EventKind::batch_job, i, job_start);
}

const BatchJob& BatchJobs::spec(std::uint32_t job) const { return world_.scenario_.jobs[job]; }

void BatchJobs::begin(std::uint32_t number) {
  const BatchJob& b = spec(number);
  Job& job = jobs_[number];
  job.open = true;
  for (const std::uint32_t g : b.workers) {
    const NodeGroup& group = world_.scenario_.nodes[g];
    for (std::uint32_t n = group.first; n < group.first + group.count; ++n) {
      Worker w;
      w.node = n;
      w.up = world_.nodes_[n].up;
      job.workers.push_back(std::move(w));
    }
  }
  if (b.assignment != ShardAssignment::queue) {
    for (std::uint32_t w = 0; w < job.workers.size(); ++w)
      for (std::uint64_t k = 0; k < static_cast<std::uint64_t>(b.ring_points); ++k)
        job.ring.emplace_back(hash_combine(w, k), w);
    std::sort(job.ring.begin(), job.ring.end());
  }
  job.shards.resize(b.shards);
  job.left = b.shards;
  std::uint64_t first = 0;
  for (std::uint32_t s = 0; s < b.shards; ++s) {
    job.shards[s].items = b.items / b.shards + (s < b.items % b.shards ? 1 : 0);
    job.shards[s].first = first;
    first += job.shards[s].items;
  }
  for (std::uint32_t s = 0; s < b.shards; ++s) enqueue(number, s);
  feed(number);
  if (b.speculate) world_.queue_.push(world_.now_ + b.check, EventKind::batch_job, number, job_check);
}

// The next worker on the ring that is up, after as many others as the shard was too slow at; ~0: none.
std::uint32_t BatchJobs::owner(std::uint32_t number, std::uint32_t shard) const {
  const Job& job = jobs_[number];
  const std::uint64_t key = hash_combine(hash_name(spec(number).name), shard);
  const std::pair<std::uint64_t, std::uint32_t> point(key, 0);
  std::size_t at = static_cast<std::size_t>(std::lower_bound(job.ring.begin(), job.ring.end(), point) -
                                            job.ring.begin());
  std::uint32_t found = ~0U;
  std::vector<std::uint32_t> met;
  for (std::size_t i = 0; i < job.ring.size(); ++i, ++at) {
    const std::uint32_t w = job.ring[at % job.ring.size()].second;
    if (!job.workers[w].up || std::find(met.begin(), met.end(), w) != met.end()) continue;
    found = w;
    if (met.size() == job.shards[shard].skips) break;
    met.push_back(w);
  }
  return found;
}

void BatchJobs::enqueue(std::uint32_t number, std::uint32_t shard) {
  Job& job = jobs_[number];
  const std::uint32_t w = spec(number).assignment == ShardAssignment::queue ? ~0U : owner(number, shard);
  (w == ~0U ? job.queue : job.workers[w].queue).push_back(shard);
}

void BatchJobs::feed(std::uint32_t job) {
  for (std::uint32_t w = 0; w < jobs_[job].workers.size(); ++w) feed(job, w);
}

void BatchJobs::feed(std::uint32_t job, std::uint32_t worker) {
  while (jobs_[job].workers[worker].up && jobs_[job].workers[worker].busy < spec(job).slots) {
    const std::uint32_t shard = next_shard(job, worker);
    if (shard == ~0U) return;
    start(job, shard, worker, false);
  }
}

std::uint32_t BatchJobs::next_shard(std::uint32_t number, std::uint32_t worker) {
  Job& job = jobs_[number];
  std::deque<std::uint32_t>* from = &job.workers[worker].queue;
  bool steal = false;
  if (from->empty()) from = &job.queue;
  if (from->empty() && spec(number).assignment == ShardAssignment::stealing) {
    const auto longest = std::max_element(
        job.workers.begin(), job.workers.end(),
        [](const Worker& a, const Worker& b) { return a.queue.size() < b.queue.size(); });
    from = &longest->queue;
    steal = true;
  }
  if (from->empty()) return ~0U;
  const std::uint32_t shard = steal ? from->back() : from->front();
  if (steal) from->pop_back();
  else from->pop_front();
  job.stolen += steal ? 1 : 0;
  return shard;
}

void BatchJobs::start(std::uint32_t number, std::uint32_t shard, std::uint32_t worker, bool copy) {
  const BatchJob& b = spec(number);
  Job& job = jobs_[number];
  Shard& s = job.shards[shard];
  const auto id = static_cast<std::uint32_t>(attempts_.size());
  Attempt& a = attempts_.emplace_back();
  a.job = number;
  a.shard = shard;
  a.worker = worker;
  a.number = s.attempts++;
  a.live = true;
  a.copy = copy;
  a.at = a.began_at = s.saved;
  a.began = a.kept = a.stretch_began = world_.now_;
  if (s.started.is_never()) s.started = world_.now_;
  Rng g = speed_draws_.at(hash_combine(hash_name(b.name), shard), a.number);
  a.slowdown = b.slowdown.sample(g);
  s.running.push_back(id);
  ++job.workers[worker].busy;
  if (copy) {
    ++job.copies;
    ++job.copies_now;
  }
  if (b.timeout != Duration::max())
    a.timeout = world_.queue_.push(world_.now_ + b.timeout, EventKind::batch_job, id, attempt_timeout);
  set_timer(id, b.setup);
}

void BatchJobs::set_timer(std::uint32_t attempt, Duration wait) {
  const Instant at = world_.now_ + wait;
  attempts_[attempt].stretch_ends = at;
  if (!at.is_never())
    attempts_[attempt].timer = world_.queue_.push(at, EventKind::batch_job, attempt, attempt_step);
}

// The items up to the next checkpoint, or to the end of the shard.
void BatchJobs::work(std::uint32_t attempt) {
  Attempt& a = attempts_[attempt];
  const BatchJob& b = spec(a.job);
  const Shard& s = jobs_[a.job].shards[a.shard];
  a.phase = Phase::working;
  a.stretch_began = world_.now_;
  a.next = a.at;
  const std::uint64_t most = b.checkpoint_items > 0 ? std::min(s.items, a.at + b.checkpoint_items) : s.items;
  const double enough = b.checkpoint_every == Duration::max() ? 1e300 : b.checkpoint_every.seconds();
  double seconds = 0;
  while (a.next < most && seconds < enough) {
    Rng g = item_draws_.at(hash_name(b.name), s.first + a.next);
    seconds += b.item_time.sample(g) * a.slowdown;
    ++a.next;
  }
  set_timer(attempt, saturated(seconds));
}

void BatchJobs::save(std::uint32_t attempt) {
  Attempt& a = attempts_[attempt];
  a.phase = Phase::writing;
  a.stretch_began = world_.now_;
  set_timer(attempt, spec(a.job).checkpoint_time);
}

// The checkpoint goes to storage over the network.
void BatchJobs::send(std::uint32_t attempt) {
  Attempt& a = attempts_[attempt];
  const BatchJob& b = spec(a.job);
  const std::uint32_t from = jobs_[a.job].workers[a.worker].node;
  const std::uint32_t to = b.storage == ~0U ? from : world_.scenario_.nodes[b.storage].first;
  if (from == to || b.checkpoint_bytes <= 0) return saved(attempt);
  if (attempt >> 28 != 0) throw Error("more than 2^28 attempts of batch jobs");
  a.phase = Phase::sending;
  jobs_[a.job].bytes += b.checkpoint_bytes;
  world_.add_egress(from, to, b.checkpoint_bytes);
  world_.set_radio(from, 1, 0);
  const std::uint64_t tag = flow_tag(FlowOwner::batch_job, {attempt, ++a.flow_number});
  a.flow = world_.network_->start({from, to, b.checkpoint_bytes, 0, tag}, world_.now_);
}

void BatchJobs::on_flow_ended(Handle flow, network::Outcome outcome) {
  const std::uint32_t attempt = flow.slot;
  Attempt& a = attempts_[attempt];
  if (flow.generation != a.flow_number || !a.flow.valid()) return;
  a.flow = FlowId::none();
  world_.set_radio(jobs_[a.job].workers[a.worker].node, -1, 0);
  const std::uint32_t storage = world_.scenario_.nodes[spec(a.job).storage].first;
  if (outcome == network::Outcome::delivered && world_.nodes_[storage].up) return saved(attempt);
  jobs_[a.job].writing += (world_.now_ - a.stretch_began).seconds();
  work(attempt);  // without it; the next one covers its items too
}

void BatchJobs::saved(std::uint32_t attempt) {
  Attempt& a = attempts_[attempt];
  Job& job = jobs_[a.job];
  Shard& s = job.shards[a.shard];
  s.saved = std::max(s.saved, a.at);
  a.kept = world_.now_;
  ++job.checkpoints;
  job.writing += (world_.now_ - a.stretch_began).seconds();
  work(attempt);
}

// The attempt is over, whatever it came to: its worker is free.
void BatchJobs::stop(std::uint32_t attempt) {
  Attempt& a = attempts_[attempt];
  Job& job = jobs_[a.job];
  world_.queue_.cancel(a.timer);
  world_.queue_.cancel(a.timeout);
  if (a.flow.valid()) {
    world_.set_radio(job.workers[a.worker].node, -1, 0);
    const FlowId flow = a.flow;
    a.flow = FlowId::none();
    world_.network_->cancel(flow, world_.now_);
  }
  a.live = false;
  if (a.copy) --job.copies_now;
  std::erase(job.shards[a.shard].running, attempt);
  Worker& w = job.workers[a.worker];
  --w.busy;
  const double seconds = (world_.now_ - a.began).seconds();
  job.busy += seconds;
  const NodeGroup& group = world_.scenario_.nodes[world_.nodes_[w.node].group];
  job.cost += seconds / 3600 * group.price_per_hour / spec(a.job).slots;
}

// The first attempt to end is the one that counts.
void BatchJobs::finish(std::uint32_t attempt) {
  const std::uint32_t number = attempts_[attempt].job, shard = attempts_[attempt].shard;
  Job& job = jobs_[number];
  Shard& s = job.shards[shard];
  s.done = true;
  s.saved = s.items;
  job.copies_won += attempts_[attempt].copy ? 1 : 0;
  job.times.add(static_cast<double>((world_.now_ - s.started).ns()));
  job.rates.push_back(progress(attempts_[attempt]));
  const std::vector<std::uint32_t> all = s.running;
  for (const std::uint32_t other : all) {
    if (other != attempt) job.duplicate += (world_.now_ - attempts_[other].began).seconds();
    stop(other);
  }
  --job.left;
  for (const std::uint32_t other : all) feed(number, attempts_[other].worker);
  settle(number);
}

void BatchJobs::fail(std::uint32_t attempt, bool timed_out) {
  const Attempt& a = attempts_[attempt];
  const std::uint32_t number = a.job, shard = a.shard, worker = a.worker;
  Job& job = jobs_[number];
  Shard& s = job.shards[shard];
  job.lost += (world_.now_ - a.kept).seconds();
  stop(attempt);
  if (timed_out) {
    ++job.timeouts;
    ++s.skips;
  }
  if (s.running.empty()) {
    if (++s.failures > spec(number).retries) {
      s.failed = true;
      --job.left;
    } else {
      ++job.retried;
      enqueue(number, shard);
    }
  }
  if (timed_out) feed(number, worker);
}

// The job ends with its last shard.
void BatchJobs::settle(std::uint32_t number) {
  Job& job = jobs_[number];
  if (!job.open || job.left > 0) return;
  job.open = false;
  job.ended = world_.now_;
  --open_;
}

void BatchJobs::on_event(std::uint32_t target, std::uint64_t what) {
  if (what == job_start) return begin(target);
  if (what == job_check) return look_for_stragglers(target);
  if (what == attempt_timeout) {
    const std::uint32_t job = attempts_[target].job;
    fail(target, true);
    feed(job);
    return settle(job);
  }
  Attempt& a = attempts_[target];
  switch (a.phase) {
    case Phase::setup: return work(target);
    case Phase::working:
      a.at = a.next;
      if (a.at == jobs_[a.job].shards[a.shard].items) return finish(target);
      return save(target);
    case Phase::writing: return send(target);
    case Phase::sending: break;
  }
  throw InternalError("an attempt of a batch job has no step to take");
}

void BatchJobs::node_failed(std::uint32_t node) {
  for (std::uint32_t number = 0; number < jobs_.size(); ++number) {
    Job& job = jobs_[number];
    if (!job.open) continue;
    bool hit = false;
    for (std::uint32_t w = 0; w < job.workers.size(); ++w) {
      if (job.workers[w].node != node) continue;
      hit = true;
      job.workers[w].up = false;
      std::deque<std::uint32_t> waiting;
      waiting.swap(job.workers[w].queue);
      for (std::uint32_t id = 0; id < attempts_.size(); ++id)
        if (attempts_[id].live && attempts_[id].job == number && attempts_[id].worker == w) fail(id, false);
      for (const std::uint32_t shard : waiting) enqueue(number, shard);
    }
    if (hit) feed(number);
    settle(number);
  }
}

void BatchJobs::node_recovered(std::uint32_t node) {
  for (std::uint32_t number = 0; number < jobs_.size(); ++number) {
    Job& job = jobs_[number];
    if (!job.open) continue;
    for (Worker& w : job.workers)
      if (w.node == node) w.up = true;
    std::deque<std::uint32_t> waiting;
    waiting.swap(job.queue);
    for (const std::uint32_t shard : waiting) enqueue(number, shard);
    feed(number);
  }
}

// Items per second of the attempt so far; those of the present stretch by its share that has passed.
double BatchJobs::progress(const Attempt& a) const {
  const double seconds = (world_.now_ - a.began).seconds();
  double items = static_cast<double>(a.at - a.began_at);
  const double span = (a.stretch_ends - a.stretch_began).seconds();
  if (a.phase == Phase::working && a.next > a.at && span > 0)
    items += static_cast<double>(a.next - a.at) * (world_.now_ - a.stretch_began).seconds() / span;
  return seconds > 0 ? items / seconds : 0;
}

// Attempts that are slower than the median by the factor get a copy on an idle worker, the one that would
// end last first.
void BatchJobs::look_for_stragglers(std::uint32_t number) {
  Job& job = jobs_[number];
  if (!job.open) return;
  const BatchJob& b = spec(number);
  world_.queue_.push(world_.now_ + b.check, EventKind::batch_job, number, job_check);
  std::vector<double> rates = job.rates;
  std::vector<std::pair<double, std::uint32_t>> slow;  // s until its end, attempt
  std::vector<std::uint32_t> running;
  for (const Shard& s : job.shards)
    for (const std::uint32_t id : s.running) {
      rates.push_back(progress(attempts_[id]));
      running.push_back(id);
    }
  if (rates.size() < 2) return;
  const auto middle = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2);
  std::nth_element(rates.begin(), middle, rates.end());
  const double median = *middle;
  for (const std::uint32_t id : running) {
    const Attempt& a = attempts_[id];
    const double rate = progress(a);
    if (job.shards[a.shard].running.size() > 1 || a.began + b.check > world_.now_ ||
        rate * b.slow_factor >= median)
      continue;
    slow.emplace_back(rate > 0 ? static_cast<double>(job.shards[a.shard].items - a.at) / rate : 1e300, id);
  }
  std::sort(slow.begin(), slow.end(), [](const auto& x, const auto& y) {
    return x.first != y.first ? x.first > y.first : x.second < y.second;
  });
  const auto most = static_cast<std::uint32_t>(
      std::max(1.0, std::ceil(b.speculative_share * static_cast<double>(b.shards))));
  for (const auto& [left, id] : slow) {
    if (job.copies_now >= most) return;
    const std::uint32_t slow_worker = attempts_[id].worker, shard = attempts_[id].shard;
    std::uint32_t idle = ~0U;
    for (std::uint32_t w = 0; w < job.workers.size(); ++w)
      if (w != slow_worker && job.workers[w].up && job.workers[w].busy < b.slots && job.workers[w].queue.empty() &&
          (idle == ~0U || job.workers[w].busy < job.workers[idle].busy))
        idle = w;
    if (idle == ~0U) return;
    start(number, shard, idle, true);
  }
}

void BatchJobs::add_totals(std::vector<std::pair<std::string, double>>& out) {
  for (std::uint32_t i = 0; i < jobs_.size(); ++i) {
    Job& job = jobs_[i];
    const BatchJob& b = spec(i);
    std::uint64_t done = 0, failed = 0, items = 0, started = 0;
    for (const Shard& s : job.shards) {
      done += s.done ? 1 : 0;
      failed += s.failed ? 1 : 0;
      items += s.done ? s.items : 0;
      started += s.items;
    }
    if (!job.shards.empty() && (started != b.items || done + failed + job.left != b.shards))
      throw InternalError(fmt::format("job \"{}\": {} items and {} shards do not add up", b.name, b.items, b.shards));
    for (std::uint32_t id = 0; id < attempts_.size(); ++id)
      if (attempts_[id].live && attempts_[id].job == i) {  // cut off by the end of the run
        const double seconds = (world_.now_ - attempts_[id].began).seconds();
        job.busy += seconds;
        const NodeState& n = world_.nodes_[job.workers[attempts_[id].worker].node];
        job.cost += seconds / 3600 * world_.scenario_.nodes[n.group].price_per_hour / b.slots;
      }
    const Instant begin = Instant::zero() + b.start;
    const Instant end = job.ended.is_never() ? std::max(begin, world_.now_) : job.ended;
    const double span = (end - begin).seconds();
    const auto put = [&](const char* name, double value) {
      out.emplace_back(fmt::format("job_{}.{}", name, b.name), value);
    };
    const auto count = [&](const char* name, std::uint64_t n) { put(name, static_cast<double>(n)); };
    put("makespan", span);
    put("throughput", span > 0 ? static_cast<double>(items) / span : 0);
    count("items", items);
    count("unfinished", b.shards - done);
    count("failed", failed);
    count("attempts", [&] {
      std::uint64_t n = 0;
      for (const Shard& s : job.shards) n += s.attempts;
      return n;
    }());
    count("retries", job.retried);
    count("timeouts", job.timeouts);
    count("stolen", job.stolen);
    put("lost", job.lost);
    count("copies", job.copies);
    count("copies_won", job.copies_won);
    put("duplicate", job.duplicate);
    count("checkpoints", job.checkpoints);
    put("checkpoint_time", job.writing);
    put("checkpoint_bytes", job.bytes);
    put("busy", job.busy);
    put("cost", job.cost);
    job.times.seal();
    const results::MergedDistribution times({&job.times});
    const std::vector<double> p = times.percentiles(std::array{50.0, 99.0});
    put("task_mean", times.mean() * 1e-9);
    put("task_p50", p[0] * 1e-9);
    put("task_p99", p[1] * 1e-9);
    put("task_max", times.count() > 0 ? times.max() * 1e-9 : p[0]);
  }
}

}  // namespace isthmus::world
