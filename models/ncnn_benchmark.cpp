#include "models/ncnn_benchmark.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "models/ncnn_graph.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Networks whose files do not state the size of their input; from the benchmark program.
const std::map<std::string, Shape>& input_sizes() {
  static const std::map<std::string, Shape> sizes{{"FastestDet", {3, 352, 352}},
                                                  {"vision_transformer", {3, 384, 384}}};
  return sizes;
}

// A CSV file row by row; `row` gets the cells by column and "file:line".
template <class Row>
void read_csv(const std::string& path, const std::vector<std::string>& columns, Row row) {
  std::ifstream file(path);
  if (!file) throw InputError(path + ": cannot be read");
  const auto split = [](const std::string& line) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (const char c : line) {
      if (c == '"')
        quoted = !quoted;
      else if (c == ',' && !quoted)
        cells.emplace_back();
      else if (c != '\r')
        cells.back() += c;
    }
    return cells;
  };
  std::string line;
  std::getline(file, line);
  const auto header = split(line);
  std::vector<std::size_t> at;
  for (const std::string& name : columns) {
    const auto it = std::find(header.begin(), header.end(), name);
    if (it == header.end()) throw InputError(fmt::format("{}: has no column '{}'", path, name));
    at.push_back(static_cast<std::size_t>(it - header.begin()));
  }
  for (std::size_t number = 2; std::getline(file, line); ++number) {
    if (line.empty() || line == "\r") continue;
    const auto cells = split(line);
    const std::string where = fmt::format("{}:{}", path, number);
    if (cells.size() != header.size())
      throw InputError(fmt::format("{}: has {} cells where the header has {}", where, cells.size(),
                                   header.size()));
    std::vector<std::string> chosen;
    for (const std::size_t i : at) chosen.push_back(cells[i]);
    row(chosen, where);
  }
}

int integer(const std::string& text, int other, const std::string& where) {
  if (text.empty()) return other;
  int v = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || stop != text.data() + text.size())
    throw InputError(fmt::format("{}: '{}' is no integer", where, text));
  return v;
}

}  // namespace

RunClass class_of(const NcnnRun& run) {
  if (run.gpu) return RunClass::gpu;
  return run.threads <= 1  ? RunClass::one_thread
         : run.threads < 8 ? RunClass::few_threads
                           : RunClass::many_threads;
}

NcnnBenchmark load_ncnn_benchmark(const std::string& data, const std::string& models) {
  NcnnBenchmark b;
  if (!std::filesystem::is_directory(models))
    throw InputError(models + ": is no folder of ncnn graphs (*.param)");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(models))
    if (entry.path().extension() == ".param") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    const std::string name = file.stem().string();
    if (name.ends_with(".ncnn")) continue;  // halves of language models
    NcnnOptions options;
    if (const auto it = input_sizes().find(name); it != input_sizes().end())
      options.input = it->second;
    b.networks[name] = work_of(import_ncnn_graph(file.string(), options));
  }
  if (b.networks.empty()) throw InputError(models + ": holds no ncnn graphs (*.param)");

  std::map<std::string, std::string> devices;
  read_csv(data + "/devices.csv", {"device_id", "device"},
           [&](const auto& c, const std::string&) { devices[c[0]] = c[1]; });
  std::map<std::string, std::size_t> places;
  read_csv(data + "/runs.csv", {"run_id", "device_id", "num_threads", "powersave", "gpu_device"},
           [&](const auto& c, const std::string& where) {
             const auto device = devices.find(c[1]);
             if (device == devices.end())
               throw InputError(fmt::format("{}: devices.csv has no device {}", where, c[1]));
             NcnnRun run{.id = c[0], .device = device->second, .ns = {}};
             run.threads = integer(c[2], 1, where);
             run.powersave = integer(c[3], 0, where);
             run.gpu = integer(c[4], -1, where) >= 0;
             if (!places.emplace(c[0], b.runs.size()).second)
               throw InputError(fmt::format("{}: run {} occurs twice", where, c[0]));
             b.runs.push_back(std::move(run));
           });
  read_csv(data + "/results.csv", {"run_id", "model", "min_ms"},
           [&](const auto& c, const std::string& where) {
             const auto place = places.find(c[0]);
             if (place == places.end())
               throw InputError(fmt::format("{}: runs.csv has no run {}", where, c[0]));
             double ms = 0;
             const auto [stop, error] = std::from_chars(c[2].data(), c[2].data() + c[2].size(), ms);
             if (error != std::errc() || stop != c[2].data() + c[2].size() || !(ms >= 0) ||
                 !std::isfinite(ms))
               throw InputError(fmt::format("{}: min_ms '{}' is no time", where, c[2]));
             if (!b.networks.contains(c[1])) {
               ++b.unknown[c[1]];
               return;
             }
             // The table ends at a hundredth of a millisecond; 0 says nothing.
             if (ms > 0) b.runs[place->second].ns[c[1]] = ms * 1e6;
           });
  const bool any = std::any_of(b.runs.begin(), b.runs.end(),
                               [](const NcnnRun& r) { return !r.ns.empty(); });
  if (!any) throw InputError(data + ": holds no times of networks whose graphs are known");
  return b;
}

}  // namespace isthmus::models
