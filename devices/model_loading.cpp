#include "devices/model_loading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::devices {

namespace {

constexpr std::array<std::string_view, 6> names{"eager",   "lazy",     "mmap",
                                                "sharded", "balanced", "offload"};

// Reading shard i + 1 while shard i is copied.
double pipelined(double read, double copy, double shards) {
  return read + std::max(read, copy) * (shards - 1) + copy;
}

}  // namespace

LoadStrategy load_strategy_from(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<LoadStrategy>(i);
  throw InputError(
      fmt::format("there is no load strategy \"{}\"; {}", name,
                  schedulers::hint(name, std::vector<std::string>(names.begin(), names.end()))));
}

LoadPlan plan_loading(const LoadRequest& r, const LoadPath& p) {
  const auto above = [](const char* what, double v) {
    if (!(v > 0)) throw InputError(fmt::format("loading: {} is {}, it must be above 0", what, v));
  };
  above("the storage bandwidth", p.storage_bandwidth);
  above("the deserialization rate", p.deserialize);
  above("the bandwidth from host to device", p.copy_bandwidth);
  above("the page size", p.page);
  above("the shard size", r.shard);
  if (!(r.weights >= 0) || std::isinf(r.weights))
    throw InputError("loading: no size of the weights");
  if (!(p.storage_latency >= 0) || !(p.page_fault >= 0) || r.accelerators == 0)
    throw InputError("loading: a figure is out of range");

  const double w = r.weights;
  const double shard = std::min(r.shard, std::max(w, 1.0));
  const double shards = std::max(1.0, std::ceil(w / shard));
  const double read = w / p.storage_bandwidth, build = w / p.deserialize;
  const auto k = static_cast<double>(r.accelerators);
  LoadPlan plan;
  plan.resident = w;
  plan.device_peak = w / k;
  switch (r.strategy) {
    case LoadStrategy::eager:
      // Every accelerator copies its part at the same time.
      plan.ready = p.storage_latency + read + build + w / (p.copy_bandwidth * k);
      plan.host_peak = 2 * w;  // the file and the tensors
      break;
    case LoadStrategy::lazy:
      plan.ready = p.storage_latency;
      plan.first_use = shards * p.storage_latency + read + build + w / (p.copy_bandwidth * k);
      plan.host_peak = 2 * shard;
      break;
    case LoadStrategy::mmap:
      plan.ready = p.storage_latency;
      plan.first_use = w / p.page * p.page_fault + read + w / (p.copy_bandwidth * k);
      plan.page_cache = w;
      break;
    case LoadStrategy::sharded:
    case LoadStrategy::balanced: {
      const double one = (read + build) / shards;
      plan.ready =
          shards * p.storage_latency + pipelined(one, w / shards / (p.copy_bandwidth * k), shards);
      plan.host_peak = 3 * shard;  // one is copied while the next is read and built
      if (r.strategy == LoadStrategy::balanced) {
        // Whole shards go to one accelerator: the fullest has one more than its share at most.
        plan.device_peak = std::min(w, std::ceil(shards / k) * shard);
      }
      break;
    }
    case LoadStrategy::offload: {
      plan.resident = std::min(w, r.room);
      const double rest = w - plan.resident;
      plan.ready = p.storage_latency +
                   (read + build) * (r.from_disk && w > 0 ? plan.resident / w : 1.0) +
                   plan.resident / (p.copy_bandwidth * k);
      plan.host_peak = r.from_disk ? 2 * shard : rest + 2 * shard;
      plan.device_peak = plan.resident / k;  // the buffer of the layer that streams is not counted
      plan.every_use = rest / (p.copy_bandwidth * k);
      if (r.from_disk) plan.every_use += rest / p.storage_bandwidth;
      break;
    }
  }
  return plan;
}

}  // namespace isthmus::devices
