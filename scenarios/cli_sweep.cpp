// sweep: the grid of a scenario, one result file per point, so that it can be cut and continued.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <optional>

#include "results/recorder.hpp"
#include "results/sha256.hpp"
#include "results/version.hpp"
#include "scenarios/cli.hpp"
#include "scenarios/experiments.hpp"
#include "scenarios/file_reading.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

namespace fs = std::filesystem;

struct Shard {
  std::size_t index = 0, count = 1;
};

Shard parse_shard(const std::string& text) {
  if (text.empty()) return {};
  Shard s;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, s.index);
  if (first.ec == std::errc() && first.ptr < end && *first.ptr == '/') {
    const auto second = std::from_chars(first.ptr + 1, end, s.count);
    if (second.ec == std::errc() && second.ptr == end && s.index >= 1 && s.index <= s.count) {
      --s.index;
      return s;
    }
  }
  throw InputError(fmt::format("--shard {}: write i/n with 1 <= i <= n, for example 2/8", text));
}

fs::path point_file(const fs::path& out, std::size_t point) {
  return out / "points" / fmt::format("{:06}.json", point);
}

// Equal keys: the very same runs by the very same program.
std::string key_of(const world::Scenario& s) {
  return results::sha256(
      fmt::format("{}\n{}\n{}", results::program_version, s.replications, s.resolved_json));
}

// The point's file, if it is there and holds the runs that would be made now.
std::optional<Value> finished(const fs::path& file, const std::string& key) {
  if (!fs::exists(file)) return std::nullopt;
  try {
    Sources sources;
    Value v = read_json_file(file, sources);
    const Value* held = v.find("key");
    if (held && held->text == key && v.find("replications")) return v;
  } catch (const InputError&) {
    // A damaged file is as good as none.
  }
  return std::nullopt;
}

std::string point_text(std::size_t point, const std::string& key, const Choice& choice,
                       const std::vector<results::Summary>& runs) {
  std::string out =
      fmt::format("{{\"point\": {}, \"key\": {},\n \"settings\": {{", point, json_string(key));
  for (std::size_t i = 0; i < choice.settings.size(); ++i)
    out += fmt::format("{}{}: {}", i > 0 ? ", " : "", json_string(choice.settings[i].first),
                       json_string(choice.settings[i].second));
  out += "},\n \"replications\": [\n";
  for (std::size_t i = 0; i < runs.size(); ++i)
    out += (i > 0 ? ",\n" : "") + results::to_json(runs[i]);
  return out + "\n]}\n";
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

// One row per point and replication.
std::string merged_csv(const std::vector<Choice>& grid, const std::vector<Value>& points) {
  std::vector<std::vector<results::Summary>> runs(points.size());
  std::vector<std::string> metrics, axes;
  for (std::size_t p = 0; p < points.size(); ++p)
    for (const Value& r : points[p].find("replications")->items) {
      runs[p].push_back(results::summary_from_json(to_text(r)));
      for (const results::Metric& m : runs[p].back().metrics)
        if (std::find(metrics.begin(), metrics.end(), m.name) == metrics.end())
          metrics.push_back(m.name);
    }
  for (const auto& [axis, value] : grid.front().settings) axes.push_back(axis);
  std::string out = "point";
  for (const std::string& a : axes) out += "," + csv_cell(a);
  out += ",replication,seed,created,completed,rejected,failed,in_flight";
  for (const std::string& m : metrics) out += "," + csv_cell(m);
  out += "\n";
  for (std::size_t p = 0; p < runs.size(); ++p)
    for (const results::Summary& s : runs[p]) {
      out += fmt::format("{}", p);
      for (const auto& [axis, value] : grid[p].settings) out += "," + csv_cell(value);
      out += fmt::format(",{},{},{},{},{},{},{}", s.info.replication, s.info.seed, s.created,
                         s.completed, s.rejected, s.failed, s.in_flight);
      for (const std::string& m : metrics) {
        const double v = s.value(m);
        out += std::isnan(v) ? "," : fmt::format(",{}", v);
      }
      out += "\n";
    }
  return out;
}

}  // namespace

int command_sweep(const RunFlags& flags, const std::string& shard_text, bool resume) {
  const Shard shard = parse_shard(shard_text);
  if ((resume || shard.count > 1) && flags.out.empty())
    throw InputError("--resume and --shard need --out, the directory that the parts share");
  const LoadedScenario loaded = load(flags.scenario, overrides_of(flags));
  if (loaded.grid.empty())
    throw InputError(fmt::format("{}: has no \"sweep\" section", flags.scenario));
  const fs::path out = flags.out.empty()
                           ? new_run_directory("runs", loaded.scenario->name + "-sweep")
                           : fs::path(flags.out);
  if (!resume && shard.count == 1 && fs::exists(out / "points"))
    throw InputError(
        fmt::format("{} holds a sweep already; continue it with --resume or choose "
                    "another --out",
                    out.string()));
  const std::vector<Candidate> candidates = candidates_of(loaded, loaded.grid);
  std::vector<std::string> keys;
  for (const Candidate& c : candidates) keys.push_back(key_of(*c.scenario));
  fs::create_directories(out / "points");

  std::vector<std::size_t> mine;
  std::size_t skipped = 0;
  for (std::size_t p = shard.index; p < candidates.size(); p += shard.count) {
    if (resume && finished(point_file(out, p), keys[p]))
      ++skipped;
    else
      mine.push_back(p);
  }
  std::mutex reporting;
  std::size_t done = 0;
  for_each_job(mine.size(), flags.threads, [&](std::size_t i) {
    const std::size_t p = mine[i];
    const results::Comparison c = run_alternatives({candidates[p]}, {});
    write_file_atomically(point_file(out, p),
                          point_text(p, keys[p], loaded.grid[p], c.alternatives[0].replications));
    const std::lock_guard lock(reporting);
    show_progress(++done, mine.size());
  });

  // Whoever finds the grid complete writes the table.
  std::vector<Value> points;
  for (std::size_t p = 0; p < candidates.size(); ++p)
    if (auto v = finished(point_file(out, p), keys[p])) points.push_back(std::move(*v));
  fmt::print("{} points run, {} skipped, {} of {} done: {}\n", mine.size(), skipped, points.size(),
             candidates.size(), out.string());
  if (points.size() == candidates.size()) {
    write_file_atomically(out / "sweep.csv", merged_csv(loaded.grid, points));
    fmt::print("table: {}\n", (out / "sweep.csv").string());
  }
  return exit_ok;
}

}  // namespace isthmus::scenarios
