// profile validate-ncnn.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "models/ncnn_benchmark.hpp"
#include "scenarios/cli.hpp"
#include "sim/core/quantile.hpp"

namespace isthmus::scenarios {

namespace {

using models::HeldOut;

void row(const char* name, const std::vector<HeldOut>& all, auto keep) {
  std::vector<double> errors;
  std::set<std::string> devices, runs, networks;
  for (const HeldOut& h : all) {
    if (!keep(*h.run)) continue;
    errors.push_back(h.relative_error);
    devices.insert(h.run->device);
    runs.insert(h.run->id);
    networks.insert(h.network);
  }
  if (errors.empty()) return;
  std::sort(errors.begin(), errors.end());
  fmt::print("  {:18} {:>7} {:>5} {:>8} {:>7} {:>9.1f} % {:>7.1f} %\n", name, devices.size(),
             runs.size(), networks.size(), errors.size(), 100 * interpolated_quantile(errors, 0.5),
             100 * interpolated_quantile(errors, 0.9));
}

void table(const std::string& title, const std::vector<HeldOut>& all) {
  fmt::print("\n{}\n  {:18} {:>7} {:>5} {:>8} {:>7} {:>11} {:>9}\n", title, "class", "devices",
             "runs", "networks", "times", "median |e|", "p90 |e|");
  for (std::size_t c = 0; c < std::size(models::run_class_names); ++c)
    row(models::run_class_names[c].data(), all,
        [&](const models::NcnnRun& r) { return class_of(r) == static_cast<models::RunClass>(c); });
  row("all CPU", all, [](const models::NcnnRun& r) { return !r.gpu; });
  row("all", all, [](const models::NcnnRun&) { return true; });
}

}  // namespace

int command_validate_ncnn(const std::string& data, const std::string& models) {
  const models::NcnnBenchmark b = models::load_ncnn_benchmark(data, models);
  fmt::print("{} runs, {} networks; results without a graph:", b.runs.size(), b.networks.size());
  for (const auto& [name, count] : b.unknown) fmt::print(" {} ({})", name, count);
  fmt::print("{}\n", b.unknown.empty() ? " none" : "");
  for (const bool int8 : {false, true}) {
    const char* format = int8 ? "int8" : "fp32 and fp16";
    table(fmt::format("Unseen networks on known devices, {}: the network left out", format),
          models::predict_unseen_networks(b, int8));
    table(fmt::format("Unseen networks on known devices, {}: its whole family left out", format),
          models::predict_unseen_networks(b, int8, models::LeaveOut::family));
    std::vector<std::string> unparsed;
    table(fmt::format("Unseen devices, {}: the device and its chip left out", format),
          models::predict_unseen_devices(b, int8, unparsed));
    if (!unparsed.empty()) {
      fmt::print("  not predicted, no known core or graphics processor is named:\n");
      for (const std::string& d : unparsed) fmt::print("    {}\n", d);
    }
  }
  return exit_ok;
}

}  // namespace isthmus::scenarios
