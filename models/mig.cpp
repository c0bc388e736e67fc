#include "models/mig.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

bool has_mig(std::string_view device) {
  constexpr std::array<std::string_view, 8> families{"nvidia-a100", "nvidia-a30",  "nvidia-h100", "nvidia-h200",
                                                     "nvidia-gh200", "nvidia-b200", "nvidia-gb200", "nvidia-h20"};
  for (const std::string_view f : families)
    if (device.starts_with(f) && (device.size() == f.size() || device[f.size()] == '-')) return true;
  return false;
}

// "3g.40gb": 3 and 40.
bool read_name(std::string_view name, int& compute, double& gigabytes) {
  const char* end = name.data() + name.size();
  const auto [dot, bad] = std::from_chars(name.data(), end, compute);
  if (bad != std::errc() || !std::string_view(dot, static_cast<std::size_t>(end - dot)).starts_with("g.")) return false;
  const auto [unit, wrong] = std::from_chars(dot + 2, end, gigabytes);
  return wrong == std::errc() && std::string_view(unit, static_cast<std::size_t>(end - unit)) == "gb" && gigabytes > 0;
}

}  // namespace

std::vector<MigProfile> mig_profiles(const std::vector<std::string>& names, const std::string& device,
                                     double memory) {
  if (!device.empty() && !has_mig(device))
    throw InputError(fmt::format("{} cannot be partitioned; A30, A100, H100, H200 and B200 can", device));
  if (!(memory > 0)) throw InputError("a GPU needs its \"memory\" to be partitioned");
  const bool quarters = device.starts_with("nvidia-a30");
  const int slices = quarters ? 4 : 7;
  std::vector<MigProfile> all;
  int compute = 0, eighths = 0;
  for (const std::string& name : names) {
    MigProfile p{name, 0, slices, 0};
    double gigabytes = 0;
    if (!read_name(name, p.compute, gigabytes))
      throw InputError(fmt::format("\"{}\" is no MIG profile; these are called 1g.10gb, 3g.40gb ...", name));
    p.memory = static_cast<int>(std::lround(gigabytes * 1e9 / (memory / 8)));
    // Compute slices and the memory slices that go with them.
    constexpr std::array<std::array<int, 2>, 6> sevenths{{{1, 1}, {1, 2}, {2, 2}, {3, 4}, {4, 4}, {7, 8}}};
    constexpr std::array<std::array<int, 2>, 3> fourths{{{1, 2}, {2, 4}, {4, 8}}};
    bool known = false;
    const auto look = [&](const auto& table) {
      for (const auto& row : table) known = known || (row[0] == p.compute && row[1] == p.memory);
    };
    if (quarters) look(fourths);
    else look(sevenths);
    if (!known) {
      std::string possible;
      const auto list = [&](const auto& table) {
        for (const auto& row : table)
          possible += fmt::format("{}{}g.{:.0f}gb", possible.empty() ? "" : ", ", row[0],
                                  std::floor(memory / 1e9 * row[1] / 8));
      };
      if (quarters) list(fourths);
      else list(sevenths);
      throw InputError(fmt::format("there is no MIG profile \"{}\" with {:.0f} GB of memory; about {}", name,
                                   memory / 1e9, possible));
    }
    compute += p.compute;
    eighths += p.memory;
    all.push_back(std::move(p));
  }
  if (compute > slices || eighths > 8)
    throw InputError(fmt::format("these instances need {} of {} compute slices and {} of 8 memory slices", compute,
                                 slices, eighths));
  return all;
}

ComputeUnit mig_instance(const ComputeUnit& gpu, const MigProfile& profile) {
  const double compute = profile.compute_share(), memory = profile.memory_share();
  ComputeUnit u = gpu;
  u.name = profile.name;
  for (double& peak : u.peak) peak *= compute;
  u.memory_bandwidth *= memory;
  u.memory *= memory;
  u.idle_power = gpu.idle_power * memory;
  const auto above_idle = [&](double watts, double share) {
    return watts > gpu.idle_power ? u.idle_power + (watts - gpu.idle_power) * share : watts * share;
  };
  u.bandwidth_power = above_idle(gpu.bandwidth_power, memory);
  u.compute_power = above_idle(gpu.compute_power, compute);
  u.profile.clear();
  return u;
}

}  // namespace isthmus::models
