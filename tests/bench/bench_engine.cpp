// How many events per CPU second the engine core executes: the event queue alone under a fixed
// number of pending events (hold model), and a streamed single-server queue with everything a run
// does per event (draw, schedule, switch, fingerprint). Prints figures, checks nothing.
//   bench_engine [millions of events per line, default 10]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "sim/core/event_queue.hpp"
#include "sim/core/fingerprint.hpp"
#include "sim/core/random.hpp"

namespace isthmus {
namespace {

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void report(const char* name, std::uint64_t events, double seconds, std::uint64_t fingerprint) {
  std::printf("%-34s %7.2f M events/CPU s  %6.1f ns/event  fingerprint %016llx\n", name,
              static_cast<double>(events) / seconds / 1e6,
              seconds * 1e9 / static_cast<double>(events),
              static_cast<unsigned long long>(fingerprint));
}

// Exponential gaps drawn beforehand, so that the hold model times the queue and not log().
std::vector<Duration> gaps() {
  Rng g(1);
  std::vector<Duration> v(1U << 16);
  for (auto& d : v) d = Duration::from_seconds(sample_exponential(g, 1e-3));
  return v;
}

// Pop one, push one, with `pending` events in the queue; `cancel_every` > 0 also schedules and
// cancels a timeout each so many events.
void hold(const char* name, std::size_t pending, std::uint64_t events, std::uint64_t cancel_every) {
  const std::vector<Duration> gap = gaps();
  std::size_t next_gap = 0;
  const auto draw = [&] { return gap[next_gap++ & (gap.size() - 1)]; };
  EventQueue queue;
  Fingerprint fingerprint;
  for (std::size_t i = 0; i < pending; ++i)
    queue.push(Instant::zero() + draw(), EventKind::arrival, static_cast<std::uint32_t>(i));
  EventHandle timeout;
  const double start = cpu_seconds();
  for (std::uint64_t i = 0; i < events; ++i) {
    const Event e = queue.pop();
    fingerprint.add(e.time.ns(), static_cast<std::uint32_t>(e.kind), e.target, e.payload);
    queue.push(e.time + draw(), EventKind::arrival, e.target);
    if (cancel_every != 0 && i % cancel_every == 0) {
      queue.cancel(timeout);
      timeout = queue.push(e.time + Duration(50'000'000), EventKind::queue_timeout, e.target);
    }
  }
  report(name, events, cpu_seconds() - start, fingerprint.value());
}

// A single server fed by a Poisson stream; the next arrival is drawn when the last one happens.
void streamed(const char* name, std::uint64_t events, double load) {
  Rng arrivals = StreamKey(1, "arrivals/bench").sequence();
  Rng service = StreamKey(1, "service/bench").sequence();
  EventQueue queue;
  Fingerprint fingerprint;
  std::uint64_t executed = 0, waiting = 0, served = 0;
  const double start = cpu_seconds();
  const Instant end = Instant::from_seconds(1e6);
  queue.push(Instant::zero(), EventKind::arrival, 0);
  while (executed < events && queue.next_time() < end) {
    const Event e = queue.pop();
    fingerprint.add(e.time.ns(), static_cast<std::uint32_t>(e.kind), e.target, e.payload);
    ++executed;
    switch (e.kind) {
      case EventKind::arrival:
        queue.push(e.time + Duration::from_seconds(sample_exponential(arrivals, 1e-3)),
                   EventKind::arrival, 0, e.payload + 1);
        if (waiting++ == 0)
          queue.push(e.time + Duration::from_seconds(sample_exponential(service, load * 1e-3)),
                     EventKind::work_done, 1, served);
        break;
      case EventKind::work_done:
        ++served;
        if (--waiting != 0)
          queue.push(e.time + Duration::from_seconds(sample_exponential(service, load * 1e-3)),
                     EventKind::work_done, 1, served);
        break;
      default:
        std::abort();
    }
  }
  report(name, executed, cpu_seconds() - start, fingerprint.value());
}

}  // namespace
}  // namespace isthmus

int main(int argc, char** argv) {
  const double millions = argc > 1 ? std::atof(argv[1]) : 10.0;
  const auto n = static_cast<std::uint64_t>(millions * 1e6);
  isthmus::streamed("streamed M/M/1, load 0.8", n, 0.8);
  isthmus::hold("hold, 1 k pending", 1'000, n, 0);
  isthmus::hold("hold, 1 k pending, cancel each 4th", 1'000, n, 4);
  isthmus::hold("hold, 100 k pending", 100'000, n, 0);
  isthmus::hold("hold, 1 M pending", 1'000'000, n, 0);
}
