// Calls one after the other, and in parallel.
#include "sim/world/calls.hpp"

#include <algorithm>
#include <limits>

#include "sim/world/message_queues.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

Calls::Calls(World& world) : world_(world), draws_(world.seed_, "calls") {
  for (const Service& s : world.scenario_.services) {
    if (!s.fetching) continue;
    for (const ConnectionPoolSpec& pool : s.fetching->pools) specs_.push_back(&pool);
  }
  totals_.resize(specs_.size());
  for (auto& t : totals_) t = std::make_unique<Totals>(!world.scenario_.streaming);
}

bool Calls::drawn(std::uint32_t slot, std::uint32_t call) {
  const Request& r = world_.requests_[slot];
  const double chance = world_.scenario_.services[r.serving].fetching->calls[call].chance;
  if (chance >= 1) return true;
  const std::uint64_t which = hash_combine(hash_combine(r.visit->here().path, r.serving), call);
  Rng g = draws_.at(hash_combine(r.record.identity, which), r.record.attempts);
  return uniform01(g) < chance;
}

bool Calls::next(std::uint32_t slot) {
  const Request& r = world_.requests_[slot];
  const auto& calls = world_.scenario_.services[r.serving].fetching->calls;
  Level& l = r.visit->here();
  while (l.call < calls.size()) {
    if (calls[l.call].parallel) {
      if (fan_out(slot)) return true;
      continue;
    }
    if (l.made < calls[l.call].count && (l.made > 0 || drawn(slot, l.call))) {
      ++l.made;
      make(slot);
      return true;
    }
    l.made = 0;
    ++l.call;
  }
  return false;
}

void Calls::make(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  const Fetching& f = *world_.scenario_.services[r.serving].fetching;
  Level& l = r.visit->here();
  const Call& c = f.calls[l.call];
  if (const double a = world_.scenario_.services[c.service].accuracy; a > 0) r.record.accuracy = a;
  l.called_at = world_.now_;
  if (c.pool) {
    const ConnectionPoolSpec& spec = f.pools[*c.pool];
    const std::uint32_t replica = spec.shared ? ~0U : l.replica;
    const auto [it, fresh] = pools_.try_emplace({spec.id, replica}, spec);
    if (fresh) it->second.reset(world_.now_);
    l.lease = Lease();
    l.lease.pool = &it->second;
  }
  // Visits of a request, and of its calls, are different work.
  const std::uint64_t path = f.listed ? hash_combine(hash_combine(l.path + 1, l.call), l.made) : l.path;
  world_.call(slot, c.service, c.request.value_or(r.record.upload), path);
}

void Calls::returned(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  Visit& v = *r.visit;
  Level& l = v.here();
  give_back(slot, l, true);
  if (!v.branch && !v.nested()) r.record.call_time += static_cast<float>((world_.now_ - l.called_at).seconds());
  if (!v.branch || v.nested() || v.message != 0) return go_on(slot);

  // A branch is back where it began.
  const Handle parent = Handle::unpack(v.parent);
  const std::uint64_t tag = world_.handle_of(slot).pack();
  Request& p = world_.requests_[parent.slot];
  p.record.client_energy += r.record.client_energy;
  p.record.pool_wait += r.record.pool_wait;
  if (r.record.accuracy > 0) p.record.accuracy = r.record.accuracy;
  if (!r.record.first_token.is_never() &&
      (p.record.first_token.is_never() || p.record.first_token < r.record.first_token))
    p.record.first_token = r.record.first_token;
  r.visit.reset();
  world_.close_request(slot);
  if (!forget_branch(parent.slot, tag)) return;
  Visit& of = *p.visit;
  if (!of.branch && !of.nested())
    p.record.call_time += static_cast<float>((world_.now_ - of.here().called_at).seconds());
  go_on(parent.slot);
}

// The next call, or what comes after the last one.
void Calls::go_on(std::uint32_t slot) {
  if (next(slot)) return;
  Visit& v = *world_.requests_[slot].visit;
  if (v.message == 0 || v.nested()) {
    v.here().called = true;
    return world_.leave(slot);
  }
  const std::uint64_t message = v.message;
  world_.requests_[slot].visit.reset();
  world_.close_request(slot);
  world_.queues_->consumed(message);
}

// ---- parallel calls -------------------------------------------------------------------------------

// All parallel calls from the next one on. False: chance has left none of them.
bool Calls::fan_out(std::uint32_t slot) {
  const auto& calls = world_.scenario_.services[world_.requests_[slot].serving].fetching->calls;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> all;  // call, number
  std::uint32_t c = world_.requests_[slot].visit->here().call;
  for (; c < calls.size() && calls[c].parallel; ++c)
    if (drawn(slot, c))
      for (std::uint32_t n = 1; n <= calls[c].count; ++n) all.emplace_back(c, n);
  Level& l = world_.requests_[slot].visit->here();
  l.call = static_cast<std::uint16_t>(c);
  if (all.empty()) return false;
  l.called_at = world_.now_;
  world_.requests_[slot].stage = Stage::joining;
  for (const auto& [call, number] : all) {
    const std::uint32_t branch = open_branch(slot, call, number);
    world_.requests_[slot].visit->branches.push_back(world_.handle_of(branch).pack());
    world_.resume_later(branch, Visit::Next::begin);
  }
  return true;
}

// At the service that calls, as the request that it is a part of.
std::uint32_t Calls::open_branch(std::uint32_t parent, std::uint32_t call, std::uint32_t number) {
  const std::uint32_t slot = world_.open_request();
  Request &r = world_.requests_[slot], &p = world_.requests_[parent];
  r.record = p.record;
  r.record.client_energy = 0;
  r.record.call_time = r.record.pool_wait = 0;
  r.record.first_token = Instant::never();
  r.host = p.host;
  r.image_tokens = p.image_tokens;
  r.image_end = p.image_end;
  r.prompt_blocks = p.prompt_blocks;
  r.task = p.task;
  r.key = p.key;
  r.replica = p.replica;
  r.serving = p.serving;
  r.from = p.from;
  r.visit = std::make_unique<Visit>();
  Visit& v = *r.visit;
  v.branch = true;
  v.parent = world_.handle_of(parent).pack();
  v.made_bytes = p.visit->made_bytes;
  v.made_tokens = p.visit->made_tokens;
  v.hops = hash_combine(hash_combine(p.visit->hops, call), number);
  const Level& from = p.visit->here();
  Level l;
  l.serving = r.serving;
  l.replica = r.replica;
  l.borrowed = true;
  l.call = static_cast<std::uint16_t>(call);
  l.made = number;
  l.path = from.path;
  v.levels.push_back(l);
  return slot;
}

void Calls::begin(std::uint32_t slot) {
  if (world_.requests_[slot].visit->message != 0) go_on(slot);
  else make(slot);
}

// True: it was the last one, and the request can go on.
bool Calls::forget_branch(std::uint32_t parent, std::uint64_t branch) {
  std::vector<std::uint64_t>& all = world_.requests_[parent].visit->branches;
  std::erase(all, branch);
  return all.empty();
}

// Without a record.
void Calls::close_branch(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  if (r.visit) world_.abandon_visit(slot);
  world_.queue_.cancel(r.queue_timer);
  world_.close_request(slot);
}

bool Calls::branch_failed(std::uint32_t slot, results::Status status, results::Cause cause, bool retries) {
  Request& r = world_.requests_[slot];
  if (!r.visit || !r.visit->branch) return false;
  if (const std::uint64_t message = r.visit->message; message != 0) {
    close_branch(slot);
    world_.queues_->failed(message);
    return true;
  }
  const Handle parent = Handle::unpack(r.visit->parent);
  const std::uint64_t tag = world_.handle_of(slot).pack();
  world_.requests_[parent.slot].record.client_energy += r.record.client_energy;
  world_.requests_[parent.slot].record.pool_wait += r.record.pool_wait;
  close_branch(slot);
  forget_branch(parent.slot, tag);
  // One is enough for the request to fail. What the others do is of no use to anybody.
  world_.withdraw(parent.slot);
  world_.end_try(parent.slot, schedulers::TryEnd::abandoned);
  if (branch_failed(parent.slot, status, cause, retries)) return true;
  world_.abandon_visit(parent.slot);
  if (retries) world_.retry_or_fail(parent.slot, cause);
  else world_.drop(parent.slot, status, cause);
  return true;
}

void Calls::stop_branches(std::uint32_t slot) {
  const std::vector<std::uint64_t> all = std::exchange(world_.requests_[slot].visit->branches, {});
  for (const std::uint64_t tag : all) {
    const Handle h = Handle::unpack(tag);
    if (!world_.find(h)) continue;
    world_.requests_[slot].record.client_energy += world_.requests_[h.slot].record.client_energy;
    world_.withdraw(h.slot);
    close_branch(h.slot);
  }
}

// ---- figures --------------------------------------------------------------------------------------

void Calls::reset_totals() {
  since_ = world_.now_;
  for (auto& [key, pool] : pools_) pool.reset(world_.now_);
  for (auto& t : totals_) t = std::make_unique<Totals>(!world_.scenario_.streaming);
}

void Calls::add_totals(std::vector<std::pair<std::string, double>>& out) {
  const double seconds = (world_.now_ - since_).seconds();
  for (const ConnectionPoolSpec* spec : specs_) {
    double open = 0, idle = 0, waiting = 0;
    CallPool::Counts counts;
    for (auto& [key, pool] : pools_) {
      if (key.first != spec->id) continue;
      pool.expire(world_.now_);
      open += pool.open().integral(world_.now_);
      idle += pool.idle().integral(world_.now_);
      waiting += pool.waiting().integral(world_.now_);
      counts.opened += pool.counts().opened;
      for (std::size_t i = 0; i < counts.closed.size(); ++i) counts.closed[i] += pool.counts().closed[i];
    }
    Totals& t = *totals_[spec->id];
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto put = [&](const char* what, double value, const char* suffix = "") {
      out.emplace_back(std::string(what) + "." + spec->name + suffix, value);
    };
    const auto mean = [&](double integral) { return seconds > 0 ? integral / seconds : nan; };
    t.waits.seal();
    const results::MergedDistribution waits({&t.waits});
    const auto got = static_cast<double>(t.waits.count());
    const double percentile = 95;
    put("pool_open", mean(open));
    put("pool_idle", mean(idle));
    put("pool_waiting", mean(waiting));
    put("pool_wait", waits.mean() * 1e-9, ".mean");
    put("pool_wait", waits.percentiles(std::span(&percentile, 1)).front() * 1e-9, ".p95");
    put("pool_waited", got > 0 ? static_cast<double>(t.waited) / got : nan);
    put("pool_opened", static_cast<double>(counts.opened));
    for (std::size_t i = 0; i < counts.closed.size(); ++i)
      out.emplace_back("pool_closed." + spec->name + "/" +
                           std::string(name_of(static_cast<CallPool::Reason>(i))),
                       static_cast<double>(counts.closed[i]));
    put("pool_timeouts", static_cast<double>(t.timeouts));
    put("pool_refused", static_cast<double>(t.refused));
  }
}

}  // namespace isthmus::world
