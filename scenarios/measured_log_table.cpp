// Logs of any service: CSV with a header, or JSON lines with the same names.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "scenarios/measured_log_reader.hpp"
#include "scenarios/problems.hpp"
#include "sim/core/did_you_mean.hpp"
#include "sim/world/arrival_fields.hpp"

namespace isthmus::scenarios {

namespace {

enum class Kind : std::uint8_t { date, duration, count, amount };

struct Name {
  std::string_view name;
  Kind kind;
};

// The order is that of Row::cells.
enum Role : std::size_t {
  arrival, start, first_token, end, ttft, tpot, latency, service,
  prompt, output, image, client, batch, roles,
};

constexpr std::array<Name, roles> names{{
    {"arrival", Kind::date},         {"start", Kind::date},
    {"first_token", Kind::date},     {"end", Kind::date},
    {"ttft", Kind::duration},        {"tpot", Kind::duration},
    {"latency", Kind::duration},     {"service_time", Kind::duration},
    {"prompt_tokens", Kind::count},  {"output_tokens", Kind::count},
    {"image_tokens", Kind::count},   {"client", Kind::count},
    {"batch", Kind::amount},
}};

struct TimeUnit {
  std::string_view name;
  double seconds;
  std::int64_t ns;
};
constexpr std::array<TimeUnit, 4> time_units{
    {{"s", 1, 1'000'000'000}, {"ms", 1e-3, 1'000'000}, {"us", 1e-6, 1'000}, {"ns", 1e-9, 1}}};

const TimeUnit& unit_named(const std::string& name) {
  for (const TimeUnit& u : time_units)
    if (u.name == name) return u;
  throw InputError(fmt::format("--unit {}: the units are s, ms, us and ns", name));
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// Which field a name stands for, and its unit.
struct Meaning {
  Role role = roles;
  const TimeUnit* unit = nullptr;
};

Meaning meaning_of(std::string_view written, const TimeUnit& usual) {
  std::string name = lower(world::trim(written));
  if (name == "time") name = "arrival";
  for (std::size_t r = 0; r < roles; ++r) {
    if (names[r].name == name) return {static_cast<Role>(r), &usual};
    if (names[r].kind != Kind::date && names[r].kind != Kind::duration) continue;
    for (const TimeUnit& u : time_units)
      if (name == fmt::format("{}_{}", names[r].name, u.name)) return {static_cast<Role>(r), &u};
  }
  return {};
}

// A name that is almost one of ours would silently lose what it says.
void refuse_misspelling(std::string_view written, const std::string& place) {
  if (written.starts_with('#') || written.starts_with('_')) return;
  static const std::vector<std::string> known = [] {
    std::vector<std::string> all;
    for (const Name& n : names) all.emplace_back(n.name);
    return all;
  }();
  const std::string name = lower(world::trim(written));
  for (const std::string& k : known)
    if (edit_distance(name, k) <= 1 && name.size() > 3)
      LogReading::fail_at(place, fmt::format("unknown name \"{}\"; did you mean \"{}\"? A '#' "
                                             "before it makes it one to ignore",
                                             written, k));
}

struct Row {
  std::array<std::string_view, roles> cells;
  std::array<const TimeUnit*, roles> units{};
};

std::optional<double> optional_duration(const Row& row, Role r, const std::string& place) {
  if (row.cells[r].empty()) return std::nullopt;
  return log_duration(row.cells[r], names[r].name, place, row.units[r]->seconds);
}
std::optional<std::uint32_t> optional_count(const Row& row, Role r, const std::string& place) {
  if (row.cells[r].empty()) return std::nullopt;
  return log_count(row.cells[r], names[r].name, place);
}

MeasuredRequest request_of(const Row& row, const std::string& place) {
  MeasuredRequest q;
  q.place = place;
  if (row.cells[arrival].empty())
    LogReading::fail_at(place,
                        "has no \"arrival\", the date at which the request came (arrival_s, "
                        "arrival_ms, ...)");
  const auto date = [&](Role r) {
    return log_date(row.cells[r], names[r].name, place, row.units[r]->ns);
  };
  q.arrival = date(arrival);
  q.ttft = optional_duration(row, ttft, place);
  q.tpot = optional_duration(row, tpot, place);
  q.latency = optional_duration(row, latency, place);
  q.service = optional_duration(row, service, place);
  q.prompt_tokens = optional_count(row, prompt, place);
  q.output_tokens = optional_count(row, output, place);
  q.image_tokens = optional_count(row, image, place);
  q.client = optional_count(row, client, place);
  if (!row.cells[batch].empty()) q.batch = log_amount(row.cells[batch], "batch", place);

  // Dates are durations as well.
  const auto since = [&](Role later, std::int64_t from, const char* what) {
    const std::int64_t ns = date(later) - from;
    if (ns <= 0)
      LogReading::fail_at(place, fmt::format("\"{}\" lies {}; dates must be of one clock",
                                             names[later].name, what));
    return static_cast<double>(ns) * 1e-9;
  };
  if (!q.ttft && !row.cells[first_token].empty())
    q.ttft = since(first_token, q.arrival, "not after the arrival");
  if (!q.latency && !row.cells[end].empty()) q.latency = since(end, q.arrival, "not after the arrival");
  if (!q.service && !row.cells[start].empty() && !row.cells[end].empty())
    q.service = since(end, date(start), "not after the start");
  return q;
}

}  // namespace

void read_log_csv(LogReading& in) {
  const TimeUnit& usual = unit_named(in.options.unit);
  world::CsvReader csv(in.log.path);
  std::array<int, roles> columns;
  columns.fill(-1);
  Row row;
  const std::string head = in.line_place(csv.lines().line_number());
  for (const std::string& name : csv.header()) {
    const Meaning m = meaning_of(name, usual);
    if (m.role == roles) {
      refuse_misspelling(name, head);
      continue;
    }
    if (columns[m.role] >= 0)
      LogReading::fail_at(head, fmt::format("two columns say \"{}\"", names[m.role].name));
    columns[m.role] = csv.find(name);
    row.units[m.role] = m.unit;
  }
  if (columns[arrival] < 0)
    LogReading::fail_at(head, fmt::format("no column \"arrival\"; the columns are {}. {} has none "
                                          "of its own to offer: see docs/calibration.md",
                                          fmt::join(csv.header(), ", "), "A log without dates"));
  while (csv.next()) {
    for (std::size_t r = 0; r < roles; ++r)
      row.cells[r] = columns[r] < 0 ? std::string_view{} : csv.cell(columns[r]);
    in.log.requests.push_back(request_of(row, in.line_place(csv.lines().line_number())));
  }
}

void read_log_lines(LogReading& in) {
  const TimeUnit& usual = unit_named(in.options.unit);
  for_each_line(in.content, [&](std::string_view line, std::size_t number) {
    const std::string place = in.line_place(number);
    try {
      const JsonFields fields(line);
      Row row;
      for (const auto& [key, value] : fields.all()) {
        const Meaning m = meaning_of(key, usual);
        if (m.role == roles) {
          if (key != "hash_ids") refuse_misspelling(key, place);
          continue;
        }
        if (!row.cells[m.role].empty())
          LogReading::fail_at(place, fmt::format("two fields say \"{}\"", names[m.role].name));
        row.cells[m.role] = value == "null" ? std::string_view{} : value;
        row.units[m.role] = m.unit;
      }
      MeasuredRequest q = request_of(row, place);
      q.prompt_blocks = log_blocks(fields.find("hash_ids"), in.options.tokens_per_hash, place);
      in.log.requests.push_back(std::move(q));
    } catch (const InputError&) {
      throw;
    } catch (const Error& e) {
      LogReading::fail_at(place, e.what());
    }
  });
}

}  // namespace isthmus::scenarios
