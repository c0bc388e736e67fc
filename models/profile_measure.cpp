#include "models/profile_measure.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <fstream>

#include "models/measured_kernels.hpp"
#include "models/name_error.hpp"

namespace isthmus::models {

namespace {

// CPU time of this thread, ns: other programs on the core do not count.
double thread_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// Keeps the calling thread on one core while it lives.
class Pin {
 public:
  explicit Pin(int core) {
    CPU_ZERO(&before_);
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    if (core < 0 || core >= CPU_SETSIZE) throw InputError(fmt::format("there is no core {}", core));
    CPU_SET(static_cast<std::size_t>(core), &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
      throw InputError(fmt::format("cannot run on core {}", core));
  }
  ~Pin() { sched_setaffinity(0, sizeof before_, &before_); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

 private:
  cpu_set_t before_;
};

// "AMD EPYC (1 core)", from the kernel.
std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name"))
      if (const auto colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2) + " (1 core)";
  return "unknown CPU (1 core)";
}

double percentile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low));
}

// Times of single executions in ns. Kernels shorter than the clock resolves well are run in loops.
std::vector<double> repeat(MeasuredKernel& kernel, const MeasureOptions& o) {
  const auto run = [&](std::uint64_t times) {
    const double start = thread_ns();
    for (std::uint64_t i = 0; i < times; ++i) kernel.run();
    return thread_ns() - start;
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
  return times;
}

}  // namespace

std::vector<std::string> measurable_kinds() {
  std::vector<std::string> kinds;
  for (const auto& family : kernel_families()) kinds.emplace_back(family.kind);
  return kinds;
}

KernelProfile measure_profile(const MeasureOptions& o) {
  for (const auto& kind : o.kinds)
    if (const auto known = measurable_kinds();
        std::find(known.begin(), known.end(), kind) == known.end())
      throw name_error("measurable kernel", kind, known);
  const Pin pin(o.core);

  KernelProfile profile({.device = o.device.empty() ? cpu_name() : o.device,
                         .provenance = fmt::format(
                             "measured by isthmus profile: {}, {}, one pinned core, CPU time of "
                             "the thread, at least {} repetitions of every shape",
                             cpu_name(), kernel_library(), o.min_repeats),
                         .licence = o.licence,
                         .program_version = o.program_version});

  // The shapes of every wanted family that are small enough.
  struct Job {
    const KernelFamily* family;
    std::vector<std::vector<double>> shapes;
  };
  std::vector<Job> jobs;
  std::size_t total = 0, done = 0;
  for (const auto& family : kernel_families()) {
    if (!o.kinds.empty() && std::find(o.kinds.begin(), o.kinds.end(), family.kind) == o.kinds.end())
      continue;
    Job job{&family, family.shapes()};
    std::erase_if(job.shapes, [&](const auto& s) { return family.flops(s) > o.max_flops; });
    total += job.shapes.size();
    jobs.push_back(std::move(job));
  }

  for (const auto& job : jobs) {
    KernelTable table;
    table.kind = job.family->kind;
    table.parameters = job.family->parameters;
    table.description = job.family->description;
    for (const auto& shape : job.shapes) {
      const auto kernel = job.family->make(shape);
      const auto times = repeat(*kernel, o);
      table.shapes.insert(table.shapes.end(), shape.begin(), shape.end());
      table.median_ns.push_back(percentile(times, 0.5));
      table.p10_ns.push_back(percentile(times, 0.1));
      table.p90_ns.push_back(percentile(times, 0.9));
      table.n.push_back(times.size());
      if (o.progress) o.progress(static_cast<double>(++done) / static_cast<double>(total));
    }
    if (table.rows() > 0) profile.add(std::move(table));
  }
  return profile;
}

}  // namespace isthmus::models
