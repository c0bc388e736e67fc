// One run from scenario to summary: in this thread with the fluid network, in a worker process with
// SimGrid, whose engine is a process-wide singleton.
#include "sim/world/run.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "network/network.hpp"
#include "sim/core/hash.hpp"
#include "sim/world/operator_codes.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

std::uint64_t seed_of(const Scenario& s, std::uint32_t replication) {
  return replication == 0 ? s.seed : hash_combine(s.seed, replication);
}

results::RunInfo info_of(const Scenario& s, const RunOptions& o, std::string network) {
  results::RunInfo info;
  info.name = s.name;
  info.scenario_json = s.resolved_json;
  info.seed = seed_of(s, o.replication);
  info.replication = o.replication;
  info.label = o.label;
  info.network = std::move(network);
  info.duration = s.duration;
  info.warmup = s.warmup;
  info.currency = s.costs.currency;
  for (const auto& w : s.workloads) {
    info.workloads.push_back(w.name);
    info.tenant_of.push_back(w.tenant);
    info.streams = info.streams || w.request.streaming;
    info.hedging = info.hedging || w.request.hedging;
  }
  for (const Tenant& t : s.tenants) {
    info.tenants.push_back(t.name);
    info.tenant_weights.push_back(t.weight);
  }
  for (const auto& v : s.services) {
    info.services.push_back(v.name);
    if (v.fetching) info.calls = info.calls || v.fetching->listed || !v.fetching->pools.empty();
    if (v.fetching)
      for (const CacheTier& c : v.fetching->caches) {
        if (info.caches.empty()) info.caches.emplace_back("none");
        info.caches.push_back(v.name + "/" + c.name);
      }
    info.kv_transfers = info.kv_transfers || (v.pools && !v.pools->decode.empty());
  }
  for (const UpdateLine& line : s.update_lines) info.versions = info.versions || line.service != ~0U;
  info.versions = info.versions || !s.rollouts.empty();
  for (const auto& n : s.nodes) info.nodes.push_back(n.name);
  if (s.record_operators) {
    OperatorCodes codes = operator_codes(s);
    info.lanes = std::move(codes.lanes);
    info.operators = std::move(codes.operators);
  }
  info.objectives = s.objectives;
  info.notes = s.notices;
  return info;
}

results::Summary run_here(const Scenario& s, const RunOptions& o) {
  auto network = s.simgrid ? network::make_simgrid_network(s.topology, s.flow_model, s.simgrid_options)
                           : network::make_fluid_network(s.topology, s.flow_model);
  network = network::with_access_rules(std::move(network), s.topology, seed_of(s, o.replication));
  results::RecorderOptions record;
  record.streaming = s.streaming;
  record.directory = o.directory;
  record.csv = o.csv;
  record.html = o.html;
  record.trace = o.trace;
  record.operators = s.record_operators;
  record.on_request = o.on_request;
  results::Recorder recorder(info_of(s, o, network->describe()), record);
  World world(s, seed_of(s, o.replication), std::move(network), recorder);
  if (!o.learned.empty()) world.begin_with(o.learned);
  if (o.on_decision) world.watch_decisions(o.on_decision);
  if (o.eyes.routing || o.eyes.admission || o.eyes.variant) world.watch_decisions(o.eyes);
  results::Summary summary = recorder.finish(world.run());
  if (o.keep_learned) *o.keep_learned = world.learned();
  return summary;
}

void write_all(int fd, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the parent sees a short answer
    done += static_cast<std::size_t>(n);
  }
}

ForkGuard fork_guard;

pid_t guarded_fork() {
  if (fork_guard.before) fork_guard.before();
  const pid_t pid = ::fork();
  const auto after = pid == 0 ? fork_guard.in_child : fork_guard.in_parent;
  if (after) after();
  return pid;
}

// First byte of a worker's answer.
constexpr char answer_summary = 'S', answer_input_error = 'I', answer_error = 'E', answer_bug = 'B';

results::Summary run_in_worker(const Scenario& s, const RunOptions& o) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0)
    throw Error(fmt::format("cannot make a pipe for the worker: {}", std::strerror(errno)));
  const pid_t pid = guarded_fork();
  if (pid < 0) {
    ::close(fds[0]);
    ::close(fds[1]);
    throw Error(fmt::format("cannot start a worker process: {}", std::strerror(errno)));
  }
  if (pid == 0) {
    ::close(fds[0]);
    std::string answer;
    try {
      std::string learned;
      RunOptions here = o;
      if (o.keep_learned) here.keep_learned = &learned;
      const results::Summary summary = run_here(s, here);
      answer = fmt::format("{}{} {}{}", answer_summary, learned.size(), learned,
                           results::to_json(summary));
    } catch (const InputError& e) {
      answer = answer_input_error + std::string(e.what());
    } catch (const InternalError& e) {
      answer = answer_bug + std::string(e.what());
    } catch (const std::exception& e) {
      answer = answer_error + std::string(e.what());
    }
    write_all(fds[1], answer);
    ::_exit(0);
  }
  ::close(fds[1]);
  std::string answer;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(fds[0], buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    answer.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(fds[0]);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (answer.empty() || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(fmt::format("the SimGrid worker died ({} {}); its results are lost",
                            WIFSIGNALED(status) ? "signal" : "exit status",
                            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
  const std::string body = answer.substr(1);
  switch (answer.front()) {
    case answer_summary: {  // length of what was learned, a space, that, and the summary
      std::size_t digits = 0;
      const std::size_t length = std::stoull(body, &digits);
      if (o.keep_learned) *o.keep_learned = body.substr(digits + 1, length);
      return results::summary_from_json(body.substr(digits + 1 + length));
    }
    case answer_input_error: throw InputError(body);
    case answer_bug: throw InternalError(body);
    default: throw Error(body);
  }
}

}  // namespace

void guard_forks(const ForkGuard& guard) { fork_guard = guard; }

results::Summary run(const Scenario& scenario, const RunOptions& options) {
  if (scenario.simgrid && !options.in_process && (options.on_request || options.on_decision || options.eyes.routing || options.eyes.admission || options.eyes.variant))
    throw InternalError("requests of a worker process cannot be seen here");
  if (scenario.simgrid && !options.in_process) return run_in_worker(scenario, options);
  return run_here(scenario, options);
}

}  // namespace isthmus::world
