#include "models/profile_measure.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include "models/kernel_kinds.hpp"
#include "models/kernel_query.hpp"
#include "models/measured_kernels.hpp"
#include "models/name_error.hpp"
#include "sim/core/quantile.hpp"

namespace isthmus::models {

namespace {

double now_ns(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// Keeps the calling thread, and those it starts, on some cores while it lives.
class Pin {
 public:
  Pin(int core, int cores) {
    CPU_ZERO(&before_);
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t wanted;
    CPU_ZERO(&wanted);
    for (int c = core; c < core + cores; ++c) {
      if (c < 0 || c >= CPU_SETSIZE) throw InputError(fmt::format("there is no core {}", c));
      CPU_SET(static_cast<std::size_t>(c), &wanted);
    }
    // The kernel drops cores that do not exist or are not ours from a set, so look at what is left.
    cpu_set_t got;
    CPU_ZERO(&got);
    if (sched_setaffinity(0, sizeof wanted, &wanted) == 0 &&
        sched_getaffinity(0, sizeof got, &got) == 0 && CPU_EQUAL(&got, &wanted))
      return;
    sched_setaffinity(0, sizeof before_, &before_);
    throw InputError(cores == 1
                         ? fmt::format("cannot run on core {}", core)
                         : fmt::format("cannot run on cores {} to {}", core, core + cores - 1));
  }
  ~Pin() { sched_setaffinity(0, sizeof before_, &before_); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

 private:
  cpu_set_t before_;
};

// The value of the first line of /proc/cpuinfo that begins with `key`, or "".
std::string cpuinfo(std::string_view key) {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key))
      if (const auto colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return {};
}

// "AMD EPYC (1 core)".
std::string cpu_name(int cores) {
  const std::string name = cpuinfo("model name");
  return fmt::format("{} ({} core{})", name.empty() ? "unknown CPU" : name, cores,
                     cores == 1 ? "" : "s");
}

// What is known of the machine's state.
std::string machine_state(int core) {
  std::string governor;
  std::ifstream(fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", core)) >>
      governor;
  const std::string mhz = cpuinfo("cpu MHz");
  return fmt::format(
      "family {} model {}{}, clock {}, governor {}, warm weights and caches", cpuinfo("cpu family"),
      cpuinfo("model\t"),
      cpuinfo("flags").find(" hypervisor") == std::string::npos ? "" : " (a virtual machine)",
      mhz.empty() ? "unknown" : mhz + " MHz by /proc/cpuinfo",
      governor.empty() ? "unknown" : governor);
}

struct Timing {
  double median, p10, p90;
  std::uint64_t repeats;
  double spread() const { return (p90 - p10) / median; }
};

// Times of single executions in ns. Kernels shorter than the clock resolves well are run in loops.
Timing repeat(MeasuredKernel& kernel, const MeasureOptions& o) {
  const clockid_t clock = o.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  const auto run = [&](std::uint64_t times) {
    const double start = now_ns(clock);
    for (std::uint64_t i = 0; i < times; ++i) kernel.run();
    return now_ns(clock) - start;
  };
  run(1);  // warms caches and allocators
  std::uint64_t loop = 1;
  while (loop < (1U << 20) && run(loop) < 2e4) loop *= 2;
  std::vector<double> times;
  double spent = 0;
  while (times.size() < o.min_repeats ||
         (spent < o.seconds_per_shape * 1e9 && times.size() < o.max_repeats)) {
    const double ns = run(loop);
    spent += ns;
    times.push_back(std::max(ns / static_cast<double>(loop), 1e-3));
  }
  std::sort(times.begin(), times.end());
  return {interpolated_quantile(times, 0.5), interpolated_quantile(times, 0.1),
          interpolated_quantile(times, 0.9), times.size()};
}

// The least disturbed of up to three runs.
Timing steady(MeasuredKernel& kernel, const MeasureOptions& o) {
  constexpr double enough = 0.2;  // spread that asks for no other run
  Timing best = repeat(kernel, o);
  for (int again = 0; again < 2 && best.spread() > enough; ++again)
    if (const Timing t = repeat(kernel, o); t.spread() < best.spread()) best = t;
  return best;
}

void check(const MeasureOptions& o) {
  const auto known = measurable_kinds(o.library);
  for (const auto& kind : o.kinds)
    if (std::find(known.begin(), known.end(), kind) == known.end())
      throw name_error("measurable kernel", kind, known);
  if (!(o.seconds_per_shape >= 0 && o.seconds_per_shape <= 3600))
    throw InputError(
        fmt::format("seconds per shape must be 0 to 3600, not {}", o.seconds_per_shape));
  if (o.min_repeats < 1) throw InputError("at least one repetition is needed");
  if (o.threads < 1) throw InputError(fmt::format("cannot use {} threads", o.threads));
  if (o.threads > 1 && o.library != "onednn")
    throw InputError(fmt::format("kernels of {} use one thread; leave out --threads", o.library));
}

// One table to be: its family and the shapes that are small enough.
struct Job {
  KernelFamily family;
  std::vector<std::vector<double>> shapes;
};

std::vector<Job> jobs_of(const MeasureOptions& o) {
  std::vector<Job> jobs;
  for (KernelFamily& family : kernel_families(o.library)) {
    const auto wanted = [](const auto& list, const auto& value) {
      return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
    };
    if (!wanted(o.kinds, family.kind) || !wanted(o.precisions, family.precision)) continue;
    const auto work = WorkModel::of(family.kind, kind_parameters(family.kind));
    auto shapes = measured_shapes(family.kind, o.quick);
    std::erase_if(shapes, [&](const auto& s) {
      const KernelWork w = (*work)(s);
      return w.flops > o.max_flops || w.traffic(family.precision) > o.max_bytes;
    });
    jobs.push_back({std::move(family), std::move(shapes)});
  }
  if (jobs.empty())
    throw InputError(fmt::format("{} has no such kernels in these formats", o.library));
  return jobs;
}

// "brg:avx512_core (812 shapes), jit:avx512_core (3 shapes)"
std::string counted(const std::map<std::string, std::size_t>& counts) {
  std::string text;
  for (const auto& [name, n] : counts)
    text += fmt::format("{}{} ({} shape{})", text.empty() ? "" : ", ", name, n, n == 1 ? "" : "s");
  return text;
}

}  // namespace

std::vector<std::string> measurable_kinds(const std::string& library) {
  std::vector<std::string> kinds;
  for (const auto& family : kernel_families(library))
    if (std::find(kinds.begin(), kinds.end(), family.kind) == kinds.end())
      kinds.push_back(family.kind);
  return kinds;
}

KernelProfile measure_profile(const MeasureOptions& o) {
  check(o);
  const std::vector<Job> jobs = jobs_of(o);
  const Pin pin(o.core, o.threads);
  const KernelThreads threads(o.threads);
  const std::string state = machine_state(o.core);

  std::size_t total = 0, done = 0;
  for (const Job& job : jobs) total += job.shapes.size();
  std::vector<KernelTable> tables;
  std::string left_out;
  for (const Job& job : jobs) {
    KernelTable table;
    table.kind = job.family.kind;
    table.precision = job.family.precision;
    table.parameters = kind_parameters(table.kind);
    std::map<std::string, std::size_t> implementations, refused;
    for (const auto& shape : job.shapes) {
      try {
        const auto kernel = job.family.make(shape);
        const Timing t = steady(*kernel, o);
        table.shapes.insert(table.shapes.end(), shape.begin(), shape.end());
        table.median_ns.push_back(t.median);
        table.p10_ns.push_back(t.p10);
        table.p90_ns.push_back(t.p90);
        table.n.push_back(t.repeats);
        table.flags.push_back(t.spread() > 0.5 ? unsigned{kernel_flag_noisy} : 0U);
        if (const auto name = kernel->implementation(); !name.empty()) ++implementations[name];
      } catch (const NoTunedKernel& e) {
        ++refused[e.what()];
      }
      if (o.progress) o.progress(static_cast<double>(++done) / static_cast<double>(total));
    }
    if (!refused.empty())
      left_out += fmt::format("{}{} {}: {}", left_out.empty() ? "" : "; ", table.kind,
                              name_of(table.precision), counted(refused));
    table.description = job.family.description;
    if (!implementations.empty()) table.description += "; run by " + counted(implementations);
    if (table.rows() > 0) tables.push_back(std::move(table));
  }
  if (tables.empty())
    throw InputError("nothing could be measured: " +
                     (left_out.empty() ? "every shape is larger than allowed" : left_out));

  KernelProfile profile(
      {.device = o.device.empty() ? cpu_name(o.threads) : o.device,
       .provenance = fmt::format(
           "measured by isthmus profile measure: {}, {}, {}, {} of pinned core{}, at least {} "
           "repetitions of every shape{}",
           cpu_name(o.threads), state, kernel_library(o.library),
           o.threads == 1 ? "CPU time of the thread" : "wall time", o.threads == 1 ? "" : "s",
           o.min_repeats, left_out.empty() ? "" : "; left out, no tuned kernel: " + left_out),
       .licence = o.licence,
       .program_version = o.program_version});
  for (KernelTable& table : tables) profile.add(std::move(table));
  return profile;
}

}  // namespace isthmus::models
