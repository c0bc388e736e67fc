// Whole-network times of ncnn's benchmark, and how well they are predicted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/efficiency_model.hpp"

namespace isthmus::models {

//! One execution of the benchmark program.
struct NcnnRun {
  std::string id, device;  //!< description of the device
  int threads = 1;
  int powersave = 0;                 //!< 0 all cores, 1 little ones, 2 big ones
  bool gpu = false;                  //!< Vulkan
  std::map<std::string, double> ns;  //!< smallest time by network, ns
};

//! What runs of like kind have in common: how many cores compute, or a graphics processor.
enum class RunClass : std::uint8_t { one_thread, few_threads, many_threads, gpu, count_ };
inline constexpr std::string_view run_class_names[]{"CPU, 1 thread", "CPU, 2-7 threads",
                                                    "CPU, 8+ threads", "GPU (Vulkan)"};
RunClass class_of(const NcnnRun& run);

struct NcnnBenchmark {
  std::vector<NcnnRun> runs;
  std::map<std::string, WorkAmounts> networks;  //!< work by network
  std::map<std::string, std::size_t> unknown;   //!< results of networks without a graph, by name
};

//! Reads devices.csv, runs.csv and results.csv of `data`, and the graphs (*.param) of `models`.
//! Throws InputError naming file and line for anything malformed.
NcnnBenchmark load_ncnn_benchmark(const std::string& data, const std::string& models);

//! One prediction of a time that its fit did not see.
struct HeldOut {
  const NcnnRun* run = nullptr;
  std::string network;
  double relative_error = 0;  //!< |predicted / measured - 1|
};

//! What is left out with a network: itself, or every network with its backbone or kind of block
//! (resnet18 with resnet50, mobilenet with mobilenet_ssd, all inverted residuals together).
enum class LeaveOut : std::uint8_t { network, family };

//! Networks are left out in turn: rates of the class come from the other networks on all devices,
//! those of the device from its other networks. fp and int8 are fitted apart, so that a network
//! never sees its own other format. Runs with fewer than `least` other networks are not judged.
std::vector<HeldOut> predict_unseen_networks(const NcnnBenchmark& b, bool int8,
                                             LeaveOut leave = LeaveOut::network,
                                             std::size_t least = 6);

//! All runs of one device (and of others with the same chip) are left out: the class gives the
//! rates, the description the speed, by a ridge regression on clock, vector width, threads, family
//! and core over the other devices. Devices whose description names no known core or graphics
//! processor go to `unparsed`.
std::vector<HeldOut> predict_unseen_devices(const NcnnBenchmark& b, bool int8,
                                            std::vector<std::string>& unparsed);

}  // namespace isthmus::models
