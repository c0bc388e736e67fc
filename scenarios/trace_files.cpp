#include "scenarios/trace_files.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>

#include "scenarios/file_reading.hpp"
#include "scenarios/unit_strings.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

constexpr std::size_t largest_trace = 64U << 20U;
constexpr double packet_bytes = 1500;

std::string_view trimmed(std::string_view s) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '"'; };
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

// Lines that say something, with their place.
class Lines {
 public:
  Lines(const std::filesystem::path& path, std::string_view content)
      : path_(path.string()), rest_(content) {}
  bool next() {
    while (!rest_.empty()) {
      const std::size_t end = rest_.find('\n');
      line = trimmed(rest_.substr(0, end));
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
      ++number_;
      if (!line.empty() && line[0] != '#') return true;
    }
    return false;
  }
  std::string place() const { return fmt::format("{}:{}", path_, number_); }
  std::string_view line;

 private:
  std::string path_;
  std::string_view rest_;
  std::size_t number_ = 0;
};

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

// A column: its unit from the header ("bandwidth_Mbps", "time (s)"), or none: cells carry units.
struct Column {
  Unit unit = Unit::none;
  std::string suffix;
};

bool is_called(std::string_view header, std::string_view base) {
  return same_letters(header.substr(0, base.size()), base);
}

Column column_of(std::string_view header, std::string_view base, Unit unit,
                 const std::string& place) {
  if (!is_called(header, base))
    throw InputError(
        fmt::format("{}: column \"{}\" should be called \"{}\"; the columns are time, "
                    "bandwidth and optionally latency or rtt",
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

// The last step lasts as long as the one before it; a single one a second.
Duration length_of(const std::vector<network::LinkChange>& steps) {
  const Duration last = steps.back().at;
  return steps.size() > 1 ? last + (last - steps[steps.size() - 2].at)
                          : last + Duration::from_seconds(1);
}

TraceSteps read_csv(Lines& lines, const std::filesystem::path& path) {
  TraceSteps trace;
  std::vector<Column> columns;
  bool halved = false, outages = false;
  while (lines.next()) {
    const std::string place = lines.place();
    const auto cells = cells_of(lines.line);
    if (columns.empty()) {
      if (cells.size() < 2 || cells.size() > 3)
        throw InputError(
            place + ": the header is time,bandwidth or time,bandwidth,latency (or rtt)");
      columns = {column_of(cells[0], "time", Unit::duration, place),
                 column_of(cells[1], "bandwidth", Unit::bandwidth, place)};
      if (cells.size() == 3) {
        halved = is_called(cells[2], "rtt");
        columns.push_back(column_of(cells[2], halved ? "rtt" : "latency", Unit::duration, place));
      }
      continue;
    }
    if (cells.size() != columns.size())
      throw InputError(
          fmt::format("{}: {} cells, the header has {}", place, cells.size(), columns.size()));
    network::LinkChange c;
    const double at = cell(cells[0], columns[0], place);
    const double bandwidth = cell(cells[1], columns[1], place);
    if (!(at >= 0 && at <= 9e9)) throw InputError(place + ": time must be >= 0");
    if (!(bandwidth >= 0)) throw InputError(place + ": bandwidth must be >= 0");
    c.at = Duration::from_seconds(at);
    if (bandwidth > 0) c.bandwidth = bandwidth;
    c.up = bandwidth > 0;
    outages = outages || bandwidth <= 0;
    if (columns.size() == 3) {
      const double latency = cell(cells[2], columns[2], place) / (halved ? 2 : 1);
      if (!(latency >= 0 && latency <= 9e9)) throw InputError(place + ": latency must be >= 0");
      c.latency = Duration::from_seconds(latency);
    }
    if (!trace.steps.empty() && c.at <= trace.steps.back().at)
      throw InputError(place + ": times must increase");
    trace.steps.push_back(c);
  }
  if (trace.steps.empty()) throw InputError(path.string() + ": has no rows");
  if (!outages)
    for (network::LinkChange& c : trace.steps) c.up.reset();
  trace.length = length_of(trace.steps);
  return trace;
}

TraceSteps read_mahimahi(Lines& lines, const std::filesystem::path& path, Duration bin) {
  std::vector<std::int64_t> packets;  // ms
  while (lines.next()) {
    std::int64_t ms = 0;
    const char* end = lines.line.data() + lines.line.size();
    const auto [stop, error] = std::from_chars(lines.line.data(), end, ms);
    if (error != std::errc() || stop != end || ms < 0 || ms > 1'000'000'000'000)
      throw InputError(fmt::format(
          "{}: a mahimahi trace has one whole number of milliseconds per line, not \"{}\"",
          lines.place(), lines.line.substr(0, 40)));
    if (!packets.empty() && ms < packets.back())
      throw InputError(fmt::format("{}: {} ms comes after {} ms; dates must not fall",
                                   lines.place(), ms, packets.back()));
    packets.push_back(ms);
  }
  if (packets.empty()) throw InputError(path.string() + ": has no lines");
  if (packets.back() == 0)
    throw InputError(path.string() + ": lasts 0 ms, so that its loop would take no time");

  // A packet at the end of a bin belongs to it, and one at 0 to the first.
  TraceSteps trace;
  trace.loops = true;
  const std::int64_t width = bin.ns(), all = packets.back() * 1'000'000;
  trace.length = Duration(all);
  std::int64_t from = 0;
  for (std::size_t i = 0; i < packets.size();) {
    const std::int64_t first = packets[i] * 1'000'000;
    const std::int64_t to =
        std::min(all, std::max<std::int64_t>(1, (first + width - 1) / width) * width);
    std::size_t n = 0;
    for (; i < packets.size() && packets[i] * 1'000'000 <= to; ++i) ++n;
    network::LinkChange c;
    c.at = Duration(from);
    c.bandwidth = static_cast<double>(n) * packet_bytes / Duration(to - from).seconds();
    trace.steps.push_back(c);
    from = to;
  }
  return trace;
}

// "2020.02.27_17.30.15" in seconds since 1970.
std::optional<double> date_of(std::string_view text) {
  std::array<int, 6> part{};
  for (std::size_t i = 0; i < part.size(); ++i) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, part[i]);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    if (i + 1 == part.size()) break;
    if (text.empty() || text[0] != (i == 2 ? '_' : '.')) return std::nullopt;
    text.remove_prefix(1);
  }
  const std::chrono::year_month_day day{std::chrono::year(part[0]),
                                        std::chrono::month(static_cast<unsigned>(part[1])),
                                        std::chrono::day(static_cast<unsigned>(part[2]))};
  if (!text.empty() || !day.ok() || part[3] < 0 || part[3] > 23 || part[4] < 0 || part[4] > 59 ||
      part[5] < 0 || part[5] > 60)
    return std::nullopt;
  return static_cast<double>(std::chrono::sys_days(day).time_since_epoch().count()) * 86400.0 +
         part[3] * 3600.0 + part[4] * 60.0 + part[5];
}

TraceSteps read_irish(Lines& lines, const std::filesystem::path& path) {
  TraceSteps trace;
  std::size_t width = 0, time = 0, rate = 0, ping = 0;
  double start = 0;
  std::optional<double> latency;
  bool pings = false;
  while (lines.next()) {
    const std::string place = lines.place();
    const auto cells = cells_of(lines.line);
    if (width == 0) {
      width = cells.size();
      const auto column = [&](const char* name) {
        return static_cast<std::size_t>(
            std::find(cells.begin(), cells.end(), name) - cells.begin());
      };
      time = column("Timestamp"), rate = column("DL_bitrate"), ping = column("PINGAVG");
      if (time == width || rate == width)
        throw InputError(place + ": an Irish 5G log has the columns Timestamp and DL_bitrate");
      continue;
    }
    if (cells.size() != width)
      throw InputError(fmt::format("{}: {} cells, the header has {}", place, cells.size(), width));
    const auto number = [&](std::size_t i, const char* what) {
      double x = 0;
      const char* end = cells[i].data() + cells[i].size();
      const auto [stop, error] = std::from_chars(cells[i].data(), end, x);
      if (error != std::errc() || stop != end || !(x >= 0 && x <= 1e9))
        throw InputError(fmt::format("{}: {} is \"{}\", not a number >= 0", place, what, cells[i]));
      return x;
    };
    const auto date = date_of(cells[time]);
    if (!date)
      throw InputError(fmt::format("{}: Timestamp is \"{}\", not like 2020.02.27_17.30.15", place,
                                   cells[time]));
    if (trace.steps.empty()) start = *date;
    network::LinkChange c;
    if (*date < start) throw InputError(place + ": times must not fall");
    c.at = Duration::from_seconds(*date - start);
    if (!trace.steps.empty() && c.at < trace.steps.back().at)
      throw InputError(place + ": times must not fall");
    c.bandwidth = std::max(1.0, number(rate, "DL_bitrate")) * 125.0;
    // A ping that was not measured is the last one that was.
    if (ping < width && cells[ping] != "-" && !cells[ping].empty()) {
      latency = number(ping, "PINGAVG") / 2000.0;
      pings = true;
    }
    if (latency) c.latency = Duration::from_seconds(*latency);
    if (!trace.steps.empty() && c.at == trace.steps.back().at)
      trace.steps.back() = c;  // two rows of one second: the newer one
    else
      trace.steps.push_back(c);
  }
  if (trace.steps.empty()) throw InputError(path.string() + ": has no rows");
  if (pings) {  // before the first one as well
    const auto first = std::find_if(trace.steps.begin(), trace.steps.end(),
                                    [](const auto& c) { return c.latency.has_value(); });
    for (auto it = trace.steps.begin(); it != first; ++it) it->latency = first->latency;
  }
  trace.length = length_of(trace.steps);
  return trace;
}

// By its first line.
std::string format_of(std::string_view first) {
  const bool digits = !first.empty() && std::all_of(first.begin(), first.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
  if (digits) return "mahimahi";
  if (first.find("DL_bitrate") != std::string_view::npos) return "irish-5g";
  return "csv";
}

}  // namespace

TraceSteps read_trace_file(const std::filesystem::path& path, const std::string& format,
                           Duration bin) {
  const std::string content = read_regular_file(path, largest_trace);
  std::string found = format;
  if (format == "auto") {
    Lines first(path, content);
    found = first.next() ? format_of(first.line) : "csv";
  }
  Lines lines(path, content);
  if (found == "mahimahi") return read_mahimahi(lines, path, bin);
  if (found == "irish-5g") return read_irish(lines, path);
  return read_csv(lines, path);
}

}  // namespace isthmus::scenarios
