// How a replica comes to life, part by part (docs/cold_starts.md).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::world {

//! In the order in which they happen. With a snapshot, `restore` stands for the three before it.
enum class StartPart : std::uint8_t { provision, pull, unpack, runtime, weights, warmup, restore, count_ };
inline constexpr auto start_parts = static_cast<std::size_t>(StartPart::count_);
inline constexpr std::array<std::string_view, start_parts> start_part_names{
    "provision", "pull", "unpack", "runtime", "weights", "warmup", "restore"};

struct ImageLayer {
  std::uint64_t id = 0;                //!< of its name: equal names are equal layers
  double bytes = 0;
};

struct Startup {
  Duration provision;                  //!< of a machine that hosts nothing
  std::vector<ImageLayer> layers;      //!< empty: no image
  std::uint32_t registry = 0;          //!< machine that has it
  bool on_machines = false;            //!< all machines have the image from the start
  double unpack = 0;                   //!< bytes/s; 0: takes no time
  Duration runtime, weights, warmup;
  std::uint32_t warmup_requests = 0;   //!< each one the time of a request alone
  std::optional<Duration> snapshot;    //!< restored instead of runtime, weights and warm-up
  Duration keep_alive;                 //!< of replicas that nobody asks for any more
};

}  // namespace isthmus::world
