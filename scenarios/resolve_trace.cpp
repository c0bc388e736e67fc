// Bandwidth over time: inline steps or a CSV file.
#include <fmt/core.h>

#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "scenarios/file_reading.hpp"
#include "scenarios/resolution.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

constexpr std::size_t largest_trace = 64U << 20U;

// A column: its unit from the header ("bandwidth_Mbps", "time (s)"), or none: cells carry units.
struct Column {
  Unit unit = Unit::none;
  std::string suffix;
};

std::string_view trimmed(std::string_view s) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '"'; };
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (;;) {
    const std::size_t comma = line.find(',');
    cells.push_back(trimmed(line.substr(0, comma)));
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

bool same_letters(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

Column column_of(std::string_view header, std::string_view base, Unit unit,
                 const std::string& place) {
  if (!same_letters(header.substr(0, base.size()), base))
    throw InputError(
        fmt::format("{}: column \"{}\" should be called \"{}\"; the columns are time, "
                    "bandwidth and optionally latency",
                    place, header, base));
  std::string_view suffix = header.substr(base.size());
  while (!suffix.empty() &&
         (suffix[0] == '_' || suffix[0] == ' ' || suffix[0] == '(' || suffix[0] == '['))
    suffix.remove_prefix(1);
  while (!suffix.empty() && (suffix.back() == ')' || suffix.back() == ']')) suffix.remove_suffix(1);
  if (suffix.empty()) return {unit, ""};
  for (const UnitName& u : units_of(unit))
    if (u.name == suffix) return {unit, std::string(u.name)};
  for (const UnitName& u : units_of(unit))
    if (same_letters(u.name, suffix)) return {unit, std::string(u.name)};
  throw InputError(fmt::format("{}: column \"{}\" has an unknown unit; write {}_{}", place, header,
                               base, units_of(unit)[0].name));
}

double cell(std::string_view text, const Column& column, const std::string& place) {
  const std::string full =
      column.suffix.empty() ? std::string(text) : fmt::format("{} {}", text, column.suffix);
  try {
    return parse_quantity(full, column.unit);
  } catch (const InputError& e) {
    throw InputError(fmt::format("{}: {}", place, e.what()));
  }
}

std::vector<network::LinkChange> read_csv(const std::filesystem::path& path) {
  const std::string content = read_regular_file(path, largest_trace);
  std::vector<network::LinkChange> changes;
  std::vector<Column> columns;
  bool down = false;
  std::string_view rest = content;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty() || line[0] == '#') continue;
    const std::string place = fmt::format("{}:{}", path.string(), number);
    const auto cells = cells_of(line);
    if (columns.empty()) {
      if (cells.size() < 2 || cells.size() > 3)
        throw InputError(place + ": the header is time,bandwidth or time,bandwidth,latency");
      columns = {column_of(cells[0], "time", Unit::duration, place),
                 column_of(cells[1], "bandwidth", Unit::bandwidth, place)};
      if (cells.size() == 3)
        columns.push_back(column_of(cells[2], "latency", Unit::duration, place));
      continue;
    }
    if (cells.size() != columns.size())
      throw InputError(
          fmt::format("{}: {} cells, the header has {}", place, cells.size(), columns.size()));
    network::LinkChange c;
    const double at = cell(cells[0], columns[0], place);
    const double bandwidth = cell(cells[1], columns[1], place);
    if (at < 0 || at > 9e9) throw InputError(place + ": time must be >= 0");
    if (bandwidth < 0) throw InputError(place + ": bandwidth must be >= 0");
    c.at = Duration::from_seconds(at);
    // A capacity of zero is an outage. `up` is stated at its edges only: a scheduled fault of the
    // same link must not end with the next row.
    if (bandwidth > 0) c.bandwidth = bandwidth;
    if (down != (bandwidth <= 0)) {
      down = !down;
      c.up = !down;
    }
    if (columns.size() == 3) {
      const double latency = cell(cells[2], columns[2], place);
      if (latency < 0 || latency > 9e9) throw InputError(place + ": latency must be >= 0");
      c.latency = Duration::from_seconds(latency);
    }
    if (!changes.empty() && c.at <= changes.back().at)
      throw InputError(place + ": times must increase");
    changes.push_back(c);
  }
  if (changes.empty()) throw InputError(path.string() + ": has no rows");
  return changes;
}

}  // namespace

std::vector<network::LinkChange> read_trace(Resolution& r, const ObjectView& row) {
  const Value* trace = row.find("trace");
  if (!trace) return {};
  if (trace->is(JsonKind::text)) {
    try {
      return read_csv(expand_path(trace->text, r.document.folder));
    } catch (const InputError& e) {
      r.problems.add(trace->at, row.pointer_to("trace"), e.what());
      return {};
    }
  }
  std::vector<network::LinkChange> changes;
  for (std::size_t i = 0; i < trace->items.size(); ++i) {
    const Value& step = trace->items[i];
    network::LinkChange c;
    c.at = Duration::from_seconds(number_of(step.items[0], Unit::duration));
    c.bandwidth = number_of(step.items[1], Unit::bandwidth);
    if (!changes.empty() && c.at <= changes.back().at)
      r.problems.add(step.at, child(row.pointer_to("trace"), i), "times must increase");
    changes.push_back(c);
  }
  return changes;
}

}  // namespace isthmus::scenarios
