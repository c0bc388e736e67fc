#include "models/import_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "models/kernel_kinds.hpp"
#include "models/kernel_query.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> all;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    all.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.size() % 2 == 1 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

// Several timings of one shape: the median of each figure.
ImportedTime merge(const std::vector<ImportedTime>& all) {
  ImportedTime m;
  std::vector<double> mid, low, high;
  for (const ImportedTime& t : all) {
    mid.push_back(t.median);
    low.push_back(t.p10);
    high.push_back(t.p90);
    m.power = std::max(m.power, t.power);
  }
  m.repeats = 0;
  for (const ImportedTime& t : all) m.repeats += t.repeats;
  m.median = median(mid);
  m.p10 = std::min(median(low), m.median);
  m.p90 = std::max(median(high), m.median);
  // Measurements of one figure each: their own range is the spread.
  if (all.size() > 1 && m.p10 == m.median && m.p90 == m.median) {
    m.p10 = *std::min_element(mid.begin(), mid.end());
    m.p90 = *std::max_element(mid.begin(), mid.end());
  }
  return m;
}

}  // namespace

void ImportTables::add(std::string_view kind, Precision precision, const std::vector<double>& shape,
                       const ImportedTime& time) {
  const KernelKind* known = find_kernel_kind(kind);
  if (!known) throw InternalError("import of an unknown kernel kind " + std::string(kind));
  add_own(std::string(kind), precision, words(known->parameters), shape, time);
}

void ImportTables::add_own(const std::string& kind, Precision precision,
                           const std::vector<std::string>& parameters,
                           const std::vector<double>& shape, const ImportedTime& time) {
  if (parameters.size() != shape.size())
    throw InternalError("imported row of " + kind + " has the wrong number of parameters");
  Table& t = tables_[{kind, precision}];
  t.parameters = parameters;
  t.rows[shape].push_back(time);
  ++t.sources[time.source];
}

void ImportTables::drop_disturbed(std::string_view kind, double factor) {
  for (auto& [key, table] : tables_) {
    if (key.first != kind) continue;
    struct Row {
      double ns;
      const std::vector<double>* shape;
    };
    std::vector<Row> rows;  // fastest first
    for (const auto& [shape, times] : table.rows) {
      double least = times.front().median;
      for (const ImportedTime& t : times) least = std::min(least, t.median);
      rows.push_back({least, &shape});
    }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.ns < b.ns; });
    std::vector<std::vector<double>> disturbed;
    for (const Row& row : rows)
      for (const Row& larger : rows) {
        if (larger.ns * factor > row.ns) break;
        if (std::equal(row.shape->begin(), row.shape->end(), larger.shape->begin(), std::less_equal<>())) {
          disturbed.push_back(*row.shape);
          break;
        }
      }
    for (const auto& shape : disturbed) {
      for (const ImportedTime& t : table.rows.at(shape)) {
        --table.sources.at(t.source);
        skip(fmt::format("{} that takes {} times as long as a larger one", kind, factor));
      }
      table.rows.erase(shape);
    }
  }
}

std::vector<ImportedTime> ImportTables::of_one_source(const Table& table,
                                                      const std::vector<ImportedTime>& times) {
  const std::string* kept = nullptr;
  for (const ImportedTime& t : times) {
    if (kept && t.source == *kept) continue;
    const std::size_t rows = table.sources.at(t.source);
    const std::size_t best = kept ? table.sources.at(*kept) : 0;
    if (rows > best || (rows == best && t.source < *kept)) kept = &t.source;
  }
  std::vector<ImportedTime> out;
  for (const ImportedTime& t : times)
    if (t.source == *kept)
      out.push_back(t);
    else
      skip(fmt::format("same shape by {}; that of {} is kept", t.source, *kept));
  return out;
}

void ImportTables::fill(KernelTable& out, const Table& table) {
  const std::string name = fmt::format("{}/{}", out.kind, name_of(out.precision));
  // Least traffic of kinds that read each operand at least once, whatever the machine.
  static const std::set<std::string_view> streaming{
      "gemm",    "batched_gemm", "elementwise",       "activation",        "copy",
      "softmax", "norm",         "encoder_attention", "prefill_attention", "decode_attention"};
  std::optional<WorkModel> work;
  if (options_.memory_bandwidth > 0 && streaming.contains(out.kind))
    work = WorkModel::of(out.kind, out.parameters);
  bool powered = false;
  for (const auto& [shape, all] : table.rows) {
    const std::vector<ImportedTime> times = of_one_source(table, all);
    const ImportedTime t = merge(times);
    if (times.size() > 1) report_.merged += times.size();
    out.shapes.insert(out.shapes.end(), shape.begin(), shape.end());
    out.median_ns.push_back(t.median);
    out.p10_ns.push_back(t.p10);
    out.p90_ns.push_back(t.p90);
    out.n.push_back(t.repeats);
    out.power_w.push_back(t.power);
    powered = powered || t.power > 0;
    std::uint64_t flags =
        t.p10 == t.median && t.p90 == t.median ? unsigned{kernel_flag_clipped} : 0U;
    if (t.p90 - t.p10 > 0.5 * t.median) {
      flags |= kernel_flag_noisy;
      ++report_.noisy[name];
    }
    if (work && (*work)(shape).elements * bytes_of(out.precision) / (t.median * 1e-9) >
                    options_.memory_bandwidth) {
      flags |= kernel_flag_cached;
      ++report_.cached[name];
    }
    out.flags.push_back(flags);
    ++report_.kept;
  }
  if (!powered) out.power_w.clear();
}

KernelProfile ImportTables::finish(ProfileInfo info, const std::string& description) {
  if (!options_.device.empty()) info.device = options_.device;
  if (!options_.licence.empty()) info.licence = options_.licence;
  info.program_version = options_.program_version;
  if (tables_.empty()) {
    std::string reasons;
    for (const auto& [reason, count] : report_.skipped)
      reasons += fmt::format("; {} rows: {}", count, reason);
    throw InputError("nothing could be imported" + reasons);
  }
  std::vector<KernelTable> filled;
  for (const auto& [key, table] : tables_) {
    KernelTable out;
    out.kind = key.first;
    out.precision = key.second;
    out.parameters = table.parameters;
    out.description = description;
    fill(out, table);
    filled.push_back(std::move(out));
  }
  std::size_t left_out = 0, cached = 0, noisy = 0;
  for (const auto& [what, count] : report_.skipped) left_out += count;
  for (const auto& [what, count] : report_.cached) cached += count;
  for (const auto& [what, count] : report_.noisy) noisy += count;
  info.provenance += fmt::format(", {} kept, {} times left out, {} flagged as cached, {} as noisy",
                                 report_.kept, left_out, cached, noisy);
  KernelProfile profile(std::move(info));
  for (KernelTable& t : filled) profile.add(std::move(t));
  return profile;
}

ImportedTime spread_time(double median, double least, double most, double deviation) {
  ImportedTime t;
  t.median = median;
  t.p10 = std::min(median, std::max(least, median - 1.2816 * deviation));
  t.p90 = std::max(median, std::min(most, median + 1.2816 * deviation));
  if (!(t.p10 > 0)) t.p10 = median;
  return t;
}

}  // namespace isthmus::models
