// Held-out predictions of ncnn's benchmark.
#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "models/microarchitecture.hpp"
#include "models/ncnn_benchmark.hpp"

namespace isthmus::models {

namespace {

bool is_int8(const std::string& network) { return network.ends_with("_int8"); }
// Networks that share a backbone or its kind of block are no news to each other.
std::string family_of(const std::string& network) {
  static const std::map<std::string, std::string, std::less<>> families{
      {"mobilenet_ssd", "mobilenet"},
      {"mobilenet_yolo", "mobilenet"},
      {"squeezenet_ssd", "squeezenet"},
      {"resnet50", "resnet18"},
      {"mobilenetv2_yolov3", "mobilenet_v2"},
      {"mobilenet_v3", "mobilenet_v2"},
      {"mnasnet", "mobilenet_v2"},
      {"proxylessnasnet", "mobilenet_v2"},
      {"efficientnet_b0", "mobilenet_v2"},
      {"efficientnetv2_b0", "mobilenet_v2"},
      {"yolo-fastest-1.1", "mobilenet_v2"},
      {"shufflenet_v2", "shufflenet"},
      {"nanodet_m", "shufflenet"},
      {"yolo-fastestv2", "shufflenet"},
      {"FastestDet", "shufflenet"}};
  const std::string name = is_int8(network) ? network.substr(0, network.size() - 5) : network;
  const auto it = families.find(name);
  return it == families.end() ? name : it->second;
}

std::string group_of(const std::string& network, LeaveOut leave) {
  return leave == LeaveOut::family ? family_of(network) : network;
}

// Measurements of a run in one format, without the networks of one group.
std::vector<MeasuredNetwork> measured(const NcnnBenchmark& b, const NcnnRun& run, bool int8,
                                      const std::string& without,
                                      LeaveOut leave = LeaveOut::network) {
  std::vector<MeasuredNetwork> all;
  // ncnn runs int8 networks on the processor whatever device it was told.
  if (int8 && run.gpu) return all;
  for (const auto& [name, ns] : run.ns)
    if (is_int8(name) == int8 && (without.empty() || group_of(name, leave) != without))
      all.push_back({b.networks.at(name), ns});
  return all;
}

std::vector<const NcnnRun*> runs_of(const NcnnBenchmark& b, RunClass c, bool int8,
                                    std::size_t least) {
  std::vector<const NcnnRun*> all;
  for (const NcnnRun& r : b.runs)
    if (class_of(r) == c && measured(b, r, int8, "").size() >= least) all.push_back(&r);
  return all;
}

double error(double predicted, double real) { return std::abs(predicted / real - 1); }

// Chips that several devices carry; a device is not unseen when its chip was measured elsewhere.
std::string chip_of(const std::string& device) {
  std::string text = device;
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* chip : {"rk3588", "rk3568", "rk3566", "rk3399", "rk3288", "kunpeng", "orin",
                           "raspberry pi 5", "raspberry pi 3", "jetson nano"})
    if (text.find(chip) != std::string::npos) return chip;
  return text;
}

// What the speed of a run may depend on, as far as its description tells.
struct Machine {
  const NcnnRun* run = nullptr;
  std::string core, device;
  std::size_t family = 0;
  std::vector<double> logs;  // continuous features
};

std::optional<Machine> machine_of(const NcnnRun& run) {
  Machine m{.run = &run, .core = "", .device = run.device, .family = 0, .logs = {}};
  if (run.gpu) {
    const GraphicsProcessor* g = parse_graphics(run.device);
    if (!g) return std::nullopt;
    m.family = g->embedded ? 1 : 0;
    m.logs = {std::log(g->gflops)};
    return m;
  }
  auto clusters = parse_cores(run.device);
  if (clusters.empty()) return std::nullopt;
  if (run.powersave == 1 && clusters.size() > 1)
    clusters.erase(clusters.begin(), clusters.end() - 1);
  // Threads take the fastest cores first.
  int left = run.threads;
  double rate = 0;
  for (const CoreCluster& c : clusters) {
    const int taken = std::min(left, c.count > 0 ? c.count : left);
    rate += taken * c.rate();
    left -= taken;
  }
  const CoreCluster& first = clusters.front();
  const double threads = std::log(std::max(1, run.threads - left));
  m.core = first.core->name;
  m.family = static_cast<std::size_t>(first.core->family);
  m.logs = {std::log(first.core->lanes), std::log(first.clock), threads,
            std::max(0.0, threads - 1.5)};
  return m;
}

// Speed of machines by ridge regression: continuous features pulled towards what physics says,
// offsets of families, cores and devices towards nothing.
class SpeedModel {
 public:
  SpeedModel(const std::vector<Machine>& machines, const std::vector<double>& log_speeds,
             bool gpu) {
    for (const Machine& m : machines) {
      cores_.insert(m.core);
      devices_.insert(m.device);
    }
    const auto n = static_cast<Eigen::Index>(machines.size());
    const std::vector<double> first = row(machines.front());
    const auto width = static_cast<Eigen::Index>(first.size());
    Eigen::MatrixXd a(n, width);
    Eigen::VectorXd y(n);
    for (Eigen::Index i = 0; i < n; ++i) {
      const auto values = row(machines[static_cast<std::size_t>(i)]);
      for (Eigen::Index j = 0; j < width; ++j) a(i, j) = values[static_cast<std::size_t>(j)];
      y(i) = log_speeds[static_cast<std::size_t>(i)];
    }
    // Prior means and strengths of the continuous features: wider vectors help less than they
    // promise, clocks fully, threads mostly, and ever less beyond four.
    prior_ = Eigen::VectorXd::Zero(width);
    Eigen::VectorXd pull(width);
    pull.setConstant(2);
    pull(0) = 1e-6;
    const std::array<double, 4> means{-0.6, -1, -0.8, 0.3}, strengths{3, 20, 1, 1};
    const std::size_t logs = machines.front().logs.size();
    for (std::size_t i = 0; i < logs; ++i) {
      prior_(static_cast<Eigen::Index>(1 + i)) = gpu ? -0.6 : means[i];
      pull(static_cast<Eigen::Index>(1 + i)) = gpu ? 1 : strengths[i];
    }
    for (std::size_t i = 0; i < families; ++i) pull(static_cast<Eigen::Index>(1 + logs + i)) = 0.2;
    for (std::size_t i = 0; i < devices_.size(); ++i)
      pull(width - 1 - static_cast<Eigen::Index>(i)) = 3;

    Eigen::VectorXd weights = Eigen::VectorXd::Ones(n);
    for (int round = 0; round < 10; ++round) {
      const Eigen::MatrixXd normal =
          a.transpose() * weights.asDiagonal() * a + Eigen::MatrixXd(pull.asDiagonal());
      const Eigen::VectorXd target = a.transpose() * (weights.asDiagonal() * (y - a * prior_));
      beta_ = prior_ + normal.ldlt().solve(target);
      const Eigen::VectorXd residual = y - a * beta_;
      for (Eigen::Index i = 0; i < n; ++i)
        weights(i) = 0.15 / std::max(std::abs(residual(i)), 0.15);
    }
  }

  double operator()(const Machine& m) const {
    const auto values = row(m);
    double sum = 0;
    for (std::size_t j = 0; j < values.size(); ++j)
      sum += values[j] * beta_(static_cast<Eigen::Index>(j));
    return sum;
  }

 private:
  static constexpr std::size_t families = static_cast<std::size_t>(CoreFamily::count_);
  std::vector<double> row(const Machine& m) const {
    std::vector<double> values{1};
    values.insert(values.end(), m.logs.begin(), m.logs.end());
    for (std::size_t f = 0; f < families; ++f) values.push_back(m.family == f ? 1 : 0);
    for (const auto& c : cores_) values.push_back(m.core == c ? 1 : 0);
    for (const auto& d : devices_) values.push_back(m.device == d ? 1 : 0);
    return values;
  }
  std::set<std::string> cores_, devices_;
  Eigen::VectorXd prior_, beta_;
};

// Rates of every class that the machines have, at the same scale: time of a common mix of work.
struct Classes {
  std::map<RunClass, EfficiencyModel> shapes;
  std::vector<double> log_speeds;  // by machine
};

Classes fit_classes(const NcnnBenchmark& b, const std::vector<Machine>& machines, bool int8) {
  Classes all;
  std::map<RunClass, std::vector<std::vector<MeasuredNetwork>>> devices;
  for (const Machine& m : machines)
    devices[class_of(*m.run)].push_back(measured(b, *m.run, int8, ""));
  WorkAmounts mix{};
  for (const auto& [name, work] : b.networks)
    if (is_int8(name) == int8)
      for (std::size_t i = 0; i < work_kinds; ++i) mix[i] += work[i];
  for (const auto& [c, measurements] : devices) {
    EfficiencyModel shape = fit_class(measurements);
    const double scale = shape.predict_ns(mix);
    for (double& v : shape.ns) v /= scale;
    all.shapes[c] = shape;
  }
  for (const Machine& m : machines)
    all.log_speeds.push_back(
        std::log(fit_speed(all.shapes.at(class_of(*m.run)), measured(b, *m.run, int8, ""))));
  return all;
}

}  // namespace

std::vector<HeldOut> predict_unseen_networks(const NcnnBenchmark& b, bool int8, LeaveOut leave,
                                             std::size_t least) {
  std::set<std::string> groups;
  for (const auto& [name, work] : b.networks)
    if (is_int8(name) == int8) groups.insert(group_of(name, leave));
  std::vector<HeldOut> all;
  for (std::size_t c = 0; c < static_cast<std::size_t>(RunClass::count_); ++c) {
    const auto runs = runs_of(b, static_cast<RunClass>(c), int8, least + 1);
    for (const std::string& group : groups) {
      std::vector<std::vector<MeasuredNetwork>> others;
      for (const NcnnRun* r : runs) others.push_back(measured(b, *r, int8, group, leave));
      std::erase_if(others, [&](const auto& o) { return o.size() < least; });
      if (others.empty()) continue;
      const EfficiencyModel shape = fit_class(others);
      for (const NcnnRun* r : runs) {
        const auto known = measured(b, *r, int8, group, leave);
        if (known.size() < least) continue;
        const EfficiencyModel rates = fit_device(shape, known);
        for (const auto& [name, ns] : r->ns)
          if (is_int8(name) == int8 && group_of(name, leave) == group)
            all.push_back({r, name, error(rates.predict_ns(b.networks.at(name)), ns)});
      }
    }
  }
  return all;
}

std::vector<HeldOut> predict_unseen_devices(const NcnnBenchmark& b, bool int8,
                                            std::vector<std::string>& unparsed) {
  std::vector<HeldOut> all;
  std::set<std::string> nameless;
  for (const bool gpu : {false, true}) {
    std::vector<Machine> machines;
    std::set<std::string> chips;
    for (const NcnnRun& r : b.runs) {
      if (r.gpu != gpu || measured(b, r, int8, "").size() < 4) continue;
      if (const auto m = machine_of(r)) {
        machines.push_back(*m);
        chips.insert(chip_of(r.device));
      } else {
        nameless.insert(r.device);
      }
    }
    for (const std::string& chip : chips) {
      std::vector<Machine> seen;
      for (const Machine& m : machines)
        if (chip_of(m.device) != chip) seen.push_back(m);
      if (seen.size() < 4) continue;
      const Classes classes = fit_classes(b, seen, int8);
      const SpeedModel speed(seen, classes.log_speeds, gpu);
      for (const Machine& m : machines) {
        const auto shape = classes.shapes.find(class_of(*m.run));
        if (chip_of(m.device) != chip || shape == classes.shapes.end()) continue;
        const double factor = std::exp(speed(m));
        for (const auto& [name, ns] : m.run->ns)
          if (is_int8(name) == int8)
            all.push_back(
                {m.run, name, error(factor * shape->second.predict_ns(b.networks.at(name)), ns)});
      }
    }
  }
  unparsed.insert(unparsed.end(), nameless.begin(), nameless.end());
  return all;
}

}  // namespace isthmus::models
