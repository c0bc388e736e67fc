// Whole models: splitwise-sim's phases of language models and ncnn's convolutional networks.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "models/csv_reader.hpp"
#include "models/import_formats.hpp"
#include "models/import_tables.hpp"
#include "models/kernel_kinds.hpp"
#include "models/name_error.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// One of several values of a column; an error lists them when none was asked for.
void choose(const char* option, const std::string& wanted, const std::set<std::string>& known,
            const std::string& path) {
  if (known.contains(wanted)) return;
  const std::vector<std::string> all(known.begin(), known.end());
  if (wanted.empty())
    throw InputError(
        fmt::format("{}: give {}; the file has: {}", path, option, fmt::join(all, ", ")));
  throw name_error(fmt::format("{} in {}", option, path), wanted, all);
}

std::set<std::string> values_of(const std::string& path, const char* column) {
  CsvReader csv(path);
  csv.require({column});
  std::set<std::string> all;
  while (csv.next()) all.insert(csv.text(column));
  return all;
}

}  // namespace

KernelProfile import_splitwise(const std::vector<std::string>& files, const ImportOptions& options,
                               ImportReport& report) {
  ImportTables tables(options, report);
  const Precision precision = options.precision.value_or(Precision::fp16);
  for (const std::string& path : files) {
    choose("--model", options.model, values_of(path, "model"), path);
    choose("--hardware", options.hardware, values_of(path, "hardware"), path);
    CsvReader csv(path);
    csv.require({"model", "hardware", "prompt_size", "batch_size", "token_size", "average_power",
                 "prompt_time", "token_time", "tensor_parallel"});
    while (csv.next()) {
      ++report.read;
      if (csv.text("model") != options.model || csv.text("hardware") != options.hardware) {
        tables.skip("other models and hardware");
        continue;
      }
      const double p = csv.positive("tensor_parallel"), batch = csv.positive("batch_size");
      const double prompt = csv.positive("prompt_size"), output = csv.positive("token_size");
      // Powers are shares of the board's limit; 0.0 means not measured.
      const double watts = csv.number_or("average_power", 0) * options.tdp;
      const auto time = [&](const char* column) {
        const double ns = csv.positive(column) * 1e6;
        return ImportedTime{ns, ns, ns, watts, 1};
      };
      tables.add("llm_prefill", precision, {p, batch, prompt}, time("prompt_time"));
      tables.add("llm_decode", precision, {p, batch, prompt + output / 2}, time("token_time"));
    }
  }
  return tables.finish({.device = options.hardware + ", " + options.model,
                        .provenance = provenance("Mutinifni/splitwise-sim", files, report),
                        .licence = "MIT",
                        .program_version = ""},
                       "end-to-end phase of a served model, repetitions merged");
}

KernelProfile import_ncnn(const std::vector<std::string>& files, const ImportOptions& options,
                          ImportReport& report) {
  if (files.size() != 1)
    throw InputError("ncnn: name results.csv; devices.csv and runs.csv are read beside it");
  const std::filesystem::path folder = std::filesystem::path(files[0]).parent_path();
  const std::string runs = (folder / "runs.csv").string();
  choose("--run", options.run, values_of(runs, "run_id"), runs);
  std::string device_id, device, how;
  bool vulkan = false;
  CsvReader run(runs);
  run.require({"device_id", "num_threads", "powersave", "gpu_device"});
  while (run.next())
    if (run.text("run_id") == options.run) {
      device_id = run.text("device_id");
      vulkan = run.number_or("gpu_device", -1) >= 0;
      how = vulkan ? std::string("Vulkan") : run.text("num_threads") + " threads";
    }
  CsvReader devices((folder / "devices.csv").string());
  devices.require({"device_id", "device"});
  while (devices.next())
    if (devices.text("device_id") == device_id) device = devices.text("device");
  if (device.empty())
    throw InputError(fmt::format("{}: has no device {}", devices.path(), device_id));

  ImportTables tables(options, report);
  CsvReader csv(files[0]);
  csv.require({"run_id", "model", "min_ms", "max_ms", "avg_ms"});
  while (csv.next()) {
    ++report.read;
    if (csv.text("run_id") != options.run) {
      tables.skip("other runs");
      continue;
    }
    const double least = csv.number("min_ms") * 1e6, mean = csv.number("avg_ms") * 1e6;
    if (!(least > 0) || !(mean >= least)) {
      tables.skip("below the resolution of a hundredth of a millisecond");
      continue;
    }
    // The mean stands for the median; throttled runs have a long tail above it.
    std::string name = csv.text("model");
    const bool int8 = name.ends_with("_int8");
    if (int8) name.resize(name.size() - 5);
    if (int8 && vulkan) {
      tables.skip("int8 networks of Vulkan runs, which fall back to the CPU");
      continue;
    }
    tables.add_own("network_" + name, int8 ? Precision::int8 : Precision::fp32, {"batch"}, {1},
                   {mean, least, std::max(mean, csv.number("max_ms") * 1e6), 0, 1});
  }
  return tables.finish(
      {.device = fmt::format("{}, {}", device, how),
       .provenance = provenance("Tencent/ncnn", files, report) + ", run " + options.run,
       .licence = "BSD-3-Clause",
       .program_version = ""},
      "whole network; mean, smallest and largest time in place of percentiles");
}

KernelProfile import_csv(const std::vector<std::string>& files, const ImportOptions& options,
                         ImportReport& report) {
  if (options.kind.empty() || options.columns.empty() || options.time_column.empty())
    throw InputError(
        "csv: needs --kind, --map parameter=column for every parameter, and --time "
        "column:unit");
  const std::vector<std::pair<std::string, double>> units{
      {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
  const auto unit = std::find_if(units.begin(), units.end(),
                                 [&](const auto& u) { return u.first == options.time_unit; });
  if (unit == units.end())
    throw InputError(
        fmt::format("csv: the unit of time must be ns, us, ms or s, not '{}'", options.time_unit));
  // Known kinds fix the parameters and their order; other kinds take them as given.
  std::vector<std::string> parameters;
  if (const KernelKind* kind = find_kernel_kind(options.kind)) {
    std::string_view rest = kind->parameters;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      parameters.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    for (const auto& [parameter, column] : options.columns)
      if (std::find(parameters.begin(), parameters.end(), parameter) == parameters.end())
        throw name_error("parameter of kernel kind " + options.kind, parameter, parameters);
    for (const std::string& p : parameters)
      if (!options.columns.contains(p))
        throw InputError(
            fmt::format("csv: kind {} also needs --map {}=column (or a number in place "
                        "of the column)",
                        options.kind, p));
  } else {
    for (const auto& [parameter, column] : options.columns) parameters.push_back(parameter);
  }

  ImportTables tables(options, report);
  for (const std::string& path : files) {
    CsvReader csv(path);
    csv.require({options.time_column});
    // A column, or a number that holds for every row.
    std::vector<std::pair<std::string, double>> sources;
    for (const std::string& p : parameters) {
      const std::string& column = options.columns.at(p);
      char* end = nullptr;
      const double constant = std::strtod(column.c_str(), &end);
      const bool number = end != column.c_str() && *end == '\0' && !csv.has(column);
      if (!number) csv.require({column});
      sources.emplace_back(number ? "" : column, constant);
    }
    while (csv.next()) {
      ++report.read;
      std::vector<double> shape;
      for (const auto& [column, constant] : sources) {
        shape.push_back(column.empty() ? constant : csv.number(column));
        if (!(shape.back() >= 0))
          throw InputError(fmt::format("{}: {} must not be negative", csv.where(), column));
      }
      const double ns = csv.positive(options.time_column) * unit->second;
      tables.add_own(options.kind, options.precision.value_or(Precision::fp32), parameters, shape,
                     {ns, ns, ns, 0, 1});
    }
  }
  return tables.finish({.device = "unnamed (give --device)",
                        .provenance = provenance("CSV", files, report),
                        .licence = "LicenseRef-unknown",
                        .program_version = ""},
                       "imported figures, one per row");
}

}  // namespace isthmus::models
