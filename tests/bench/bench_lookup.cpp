// What a kernel time costs: look-ups in tables of the size of public data sets, in random order and
// as an event loop asks, on lines prepared beforehand, and whole iterations and batches. Prints
// figures, checks nothing.
//   bench_lookup [millions of calls per line, default 4]
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

#include "models/builtin_graphs.hpp"
#include "models/builtin_llms.hpp"
#include "models/graph_cost.hpp"
#include "models/kernel_profile.hpp"
#include "models/llm_cost.hpp"
#include "sim/core/random.hpp"

namespace isthmus::models {
namespace {

constexpr std::size_t asked = 1U << 14;  // different shapes per line

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Calls f(i) `calls` times and prints the time per call; the sum keeps the calls alive.
template <class F>
void report(const char* name, std::uint64_t calls, const F& f) {
  double sum = 0;
  const double start = cpu_seconds();
  for (std::uint64_t i = 0; i < calls; ++i) sum += f(i & (asked - 1));
  const double seconds = cpu_seconds() - start;
  std::printf("%-56s %8.1f ns/call  (mean %.6g)\n", name,
              seconds * 1e9 / static_cast<double>(calls), sum / static_cast<double>(calls));
}

// A table on a full grid whose times follow the work of its kind.
KernelTable table(const char* kind, std::vector<std::string> parameters,
                  const std::vector<std::vector<double>>& axes) {
  KernelTable t;
  t.kind = kind;
  t.precision = Precision::bf16;
  t.parameters = std::move(parameters);
  const WorkModel work = *WorkModel::of(t.kind, t.parameters);
  std::vector<std::size_t> at(axes.size(), 0);
  for (;;) {
    std::vector<double> shape;
    for (std::size_t i = 0; i < axes.size(); ++i) shape.push_back(axes[i][at[i]]);
    const KernelWork w = work(shape);
    t.shapes.insert(t.shapes.end(), shape.begin(), shape.end());
    t.median_ns.push_back(4000 + w.flops / 250e3 + w.traffic(t.precision) / 1.5e3);
    t.n.push_back(5);
    std::size_t i = axes.size();
    while (i > 0 && ++at[i - 1] == axes[i - 1].size()) at[--i] = 0;
    if (i == 0) break;
  }
  t.p10_ns = t.p90_ns = t.median_ns;
  return t;
}

using Axes = std::vector<std::vector<double>>;

std::vector<double> doublings(double from, double to) {
  std::vector<double> v;
  for (double x = from; x <= to; x *= 2) v.push_back(x);
  return v;
}

const Axes gemm_axes{{32,   64,   128,  256,  512,  768,  1024,  1536,  2048,  2560, 3072,
                      3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 16384, 65536},
                     {32,   64,   128,  256,  512,  768,  1024,  1536,  2048,  2560, 3072,
                      3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 16384, 65536},
                     {1,   2,   4,   8,   16,  32,  48,   64,   80,   96,  128,
                      160, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192}};
const Axes decode_axes{{8, 12, 16, 24, 32, 40, 48, 64},
                       {1, 2, 4, 8},
                       {128},
                       {0},
                       doublings(1, 1024),
                       doublings(1, 1 << 17)};
const Axes prefill_axes{{8, 12, 16, 24, 32, 40, 48, 64},
                        {1, 2, 4, 8},
                        {64, 128},
                        {0},
                        doublings(1, 64),
                        {0, 1024, 8192},
                        doublings(16, 16384)};

enum class Order { rows, random, near };

// Shapes within the grid: rows, anything, or a walk in small steps of the last two parameters.
std::vector<std::vector<double>> shapes(const Axes& axes, Order order) {
  Rng rng(7);
  std::vector<std::vector<double>> result;
  std::vector<double> walk;
  for (const auto& a : axes) walk.push_back(std::sqrt(a.front() * a.back()));
  for (std::size_t n = 0; n < asked; ++n) {
    std::vector<double> s;
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const auto& a = axes[i];
      const double u = uniform01(rng);
      if (order == Order::rows)
        s.push_back(a[static_cast<std::size_t>(u * static_cast<double>(a.size()))]);
      else if (order == Order::random)
        s.push_back(a.front() + (a.back() - a.front()) * u * u * u);
      else
        s.push_back(i + 2 < axes.size() ? a[a.size() / 2] : walk[i] + static_cast<double>(n % 512));
    }
    result.push_back(std::move(s));
  }
  return result;
}

void lookups(const char* name, const KernelGrid& grid, const Axes& axes, std::uint64_t calls) {
  std::printf("%s: %zu cells\n", name, grid.cells());
  const std::pair<const char*, Order> orders[] = {
      {"  rows, random order", Order::rows},
      {"  between rows on all axes, random order", Order::random},
      {"  between rows on two axes, small steps", Order::near}};
  for (const auto& [text, order] : orders) {
    const auto asked_shapes = shapes(axes, order);
    report(text, calls, [&](std::size_t i) { return grid.ns(asked_shapes[i]); });
  }
  const auto random = shapes(axes, Order::random);
  report("  the same with kind and error, random order", calls,
         [&](std::size_t i) { return grid.at(random[i])->ns; });
  const auto& last = axes.back();
  const auto line = grid.line(random[0], axes.size() - 1, last.front(), last.back());
  report("  on a prepared line, random order", calls,
         [&](std::size_t i) { return line->at(random[i].back()); });
}

void run(std::uint64_t calls) {
  KernelProfile profile({"synthetic", "bench_lookup", "CC0-1.0", "0"});
  profile.add(table("gemm", {"n", "k", "m"}, gemm_axes));
  profile.add(table("decode_attention",
                    {"heads", "kv_heads", "head_dim", "window", "batch", "context"}, decode_axes));
  profile.add(table("prefill_attention",
                    {"heads", "kv_heads", "head_dim", "window", "batch", "context", "tokens"},
                    prefill_axes));
  const Precision p = Precision::bf16;
  lookups("gemm, 3 parameters", *profile.grid("gemm", p), gemm_axes, calls);
  lookups("decode attention, 6 parameters", *profile.grid("decode_attention", p), decode_axes,
          calls);
  lookups("prefill attention, 7 parameters", *profile.grid("prefill_attention", p), prefill_axes,
          calls);

  ComputeUnit unit;
  unit.peak[static_cast<std::size_t>(p)] = 312e12;
  unit.memory_bandwidth = 2e12;
  unit.memory = 80e9;
  const LlmShape llm = builtin_llm("llama-3.1-8b");
  const auto iterations = [&](const char* name, const LlmCost& cost) {
    report(name, calls, [&](std::size_t i) {
      const auto n = static_cast<std::int64_t>(1 + i % 64);
      return static_cast<double>(
          cost.iteration_ns({.decode_sequences = n,
                             .decode_context = n * 700 + static_cast<std::int64_t>(i),
                             .logits = n}));
    });
  };
  std::printf("whole models\n");
  iterations("  LlmCost::iteration_ns, decode, roofline", LlmCost(llm, {}, unit));
  iterations("  LlmCost::iteration_ns, decode, profile",
             LlmCost(llm, {}, unit, 1, 0, Duration::zero(), &profile));
  const auto cpu = std::make_shared<const KernelProfile>(
      KernelProfile::load(ISTHMUS_SOURCE_DIR "/models/profiles/amd-epyc-zen4-1core.h5"));
  unit.peak[static_cast<std::size_t>(Precision::fp32)] = 60e9;
  const GraphCost resnet(builtin_graph("resnet-50"), {}, unit, cpu);
  report("  GraphCost::batch_ns, ResNet-50, batches to 64", calls, [&](std::size_t i) {
    return static_cast<double>(resnet.batch_ns(static_cast<std::int64_t>(1 + i % 64)));
  });
}

}  // namespace
}  // namespace isthmus::models

int main(int argc, char** argv) {
  const double millions = argc > 1 ? std::atof(argv[1]) : 4;
  if (!(millions > 0 && millions < 1e6)) {
    std::fprintf(stderr, "usage: bench_lookup [millions of calls per line]\n");
    return 2;
  }
  isthmus::models::run(static_cast<std::uint64_t>(millions * 1e6));
  return 0;
}
