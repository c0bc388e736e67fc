#include "sim/world/arrival_fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "sim/core/did_you_mean.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::world {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes `count` digits from the front of `text`; -1 when they are not there.
int take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return -1;
  int v = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_digit(text[i])) return -1;
    v = v * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return v;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant's days_from_civil).
std::int64_t days_from_civil(int year, int month, int day) {
  const int y = year - (month <= 2 ? 1 : 0);
  const int era = y / 400;  // years are 0..9999
  const int year_of_era = y - era * 400;
  const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return std::int64_t{era} * 146097 + day_of_era - 719468;
}

int days_in_month(int year, int month) {
  constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

// "", "Z", "+hh:mm" or "+hhmm": seconds east of Greenwich.
std::optional<int> parse_zone(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return 0;
  const char sign = text.front();
  if (sign != '+' && sign != '-') return std::nullopt;
  text.remove_prefix(1);
  const int hours = take_digits(text, 2);
  take(text, ':');
  const int minutes = take_digits(text, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || !text.empty()) return std::nullopt;
  const int seconds = hours * 3600 + minutes * 60;
  return sign == '-' ? -seconds : seconds;
}

std::optional<double> parse_double(std::string_view text) {
  double v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(v))
    return std::nullopt;
  return v;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// Control bytes in a message would garble the terminal; long cells would flood it.
std::string printable(std::string_view text, std::size_t longest = 40) {
  std::string s(text.substr(0, longest));
  for (char& c : s)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text.size() > longest ? s + "..." : s;
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::int64_t> parse_decimal_ns(std::string_view text, std::int64_t unit) {
  // Digits on both sides of the point, kept as integers; an exponent goes the way of doubles.
  std::string_view rest = text;
  const bool negative = take(rest, '-');
  __int128 whole = 0;
  std::size_t digits = 0;
  for (; !rest.empty() && is_digit(rest.front()); rest.remove_prefix(1), ++digits) {
    if (digits > 19) return std::nullopt;
    whole = whole * 10 + (rest.front() - '0');
  }
  __int128 fraction = 0, scale = 1;
  if (take(rest, '.'))
    for (; !rest.empty() && is_digit(rest.front()); rest.remove_prefix(1), ++digits) {
      // Digits beyond the 18th are below a nanosecond for every unit up to years.
      if (scale >= 1'000'000'000'000'000'000) continue;
      fraction = fraction * 10 + (rest.front() - '0');
      scale *= 10;
    }
  if (digits == 0) return std::nullopt;
  if (!rest.empty()) {
    const auto v = parse_double(text);
    if (!v) return std::nullopt;
    const double ns = *v * static_cast<double>(unit);
    if (!(std::abs(ns) < 9.2e18)) return std::nullopt;
    return std::llround(ns);
  }
  const __int128 ns = whole * unit + (fraction * unit + scale / 2) / scale;
  if (ns > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return static_cast<std::int64_t>(negative ? -ns : ns);
}

std::optional<std::int64_t> parse_timestamp_ns(std::string_view text) {
  const int year = take_digits(text, 4);
  const bool dash1 = take(text, '-');
  const int month = take_digits(text, 2);
  const bool dash2 = take(text, '-');
  const int day = take_digits(text, 2);
  const bool separated = take(text, 'T') || take(text, ' ');
  const int hour = take_digits(text, 2);
  const bool colon1 = take(text, ':');
  const int minute = take_digits(text, 2);
  const bool colon2 = take(text, ':');
  const int second = take_digits(text, 2);
  if (!(dash1 && dash2 && separated && colon1 && colon2)) return std::nullopt;
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
    return std::nullopt;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return std::nullopt;

  std::int64_t nanoseconds = 0;
  if (take(text, '.')) {
    std::int64_t weight = 100'000'000;
    std::size_t digits = 0;
    for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1), ++digits) {
      nanoseconds += weight * (text.front() - '0');
      weight /= 10;
    }
    if (digits == 0) return std::nullopt;
  }
  const auto zone = parse_zone(text);
  if (!zone) return std::nullopt;

  const std::int64_t seconds =
      days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - *zone;
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(seconds, std::int64_t{1'000'000'000}, &ns)) return std::nullopt;
  if (__builtin_add_overflow(ns, nanoseconds, &ns)) return std::nullopt;
  return ns;
}

std::optional<std::uint32_t> parse_count(std::string_view text) {
  std::uint32_t v = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, v);
  if (error != std::errc{}) return std::nullopt;
  if (end == last) return v;
  // Tables with gaps are often written with whole numbers as floats: "12.0".
  if (*end != '.' || end + 1 == last) return std::nullopt;
  if (!std::all_of(end + 1, last, [](char c) { return c == '0'; })) return std::nullopt;
  return v;
}

std::optional<double> parse_amount(std::string_view text) {
  const auto v = parse_double(text);
  if (!v || *v < 0) return std::nullopt;
  return v;
}

CsvReader::CsvReader(const std::string& path) : lines_(path) {
  std::string_view line;
  do {
    if (!lines_.next(line)) lines_.fail_file("is empty; expected a header line and rows");
  } while (trim(line).empty());
  if (trim(line).front() == '{')
    lines_.fail("is JSON; this format begins with a line of column names");
  split(line);
  header_.assign(cells_.begin(), cells_.end());
  for (std::size_t i = 0; i < header_.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (!header_[i].empty() && equal_ignoring_case(header_[i], header_[j]))
        lines_.fail(fmt::format("column \"{}\" occurs twice", printable(header_[i])));
}

int CsvReader::find(std::string_view column) const {
  for (std::size_t i = 0; i < header_.size(); ++i)
    if (equal_ignoring_case(header_[i], column)) return static_cast<int>(i);
  return -1;
}

int CsvReader::need(std::string_view column) const {
  const int i = find(column);
  if (i >= 0) return i;
  std::vector<std::string> names;
  for (const auto& name : header_) names.push_back(printable(name));
  const std::string nearest = did_you_mean(column, names);
  throw InputError(fmt::format("{}:{}: no column \"{}\"{}; the header has {}", lines_.path(),
                               lines_.line_number(), column,
                               nearest.empty() ? "" : fmt::format(" (is it \"{}\"?)", nearest),
                               printable(fmt::format("{}", fmt::join(names, ", ")), 400)));
}

bool CsvReader::next() {
  std::string_view line;
  do {
    if (!lines_.next(line)) return false;
  } while (trim(line).empty());
  split(line);
  if (cells_.size() != header_.size())
    lines_.fail(fmt::format("row has {} cells, the header has {}", cells_.size(), header_.size()));
  return true;
}

void CsvReader::split(std::string_view line) {
  cells_.clear();
  if (std::memchr(line.data(), '"', line.size()) != nullptr) return split_quoted(line);
  for (;;) {
    const std::size_t comma = line.find(',');
    cells_.push_back(trim(line.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    line.remove_prefix(comma + 1);
  }
}

void CsvReader::split_quoted(std::string_view line) {
  // Texts first, views afterwards: a growing vector moves its strings.
  unquoted_.clear();
  std::size_t i = 0;
  for (bool more = true; more;) {
    std::string text;
    while (i < line.size() && (line[i] == ' ' || line[i] == '\t')) ++i;
    if (i < line.size() && line[i] == '"') {
      for (++i;; ++i) {
        if (i >= line.size()) lines_.fail("a quoted cell does not end on its line");
        if (line[i] != '"') {
          text += line[i];
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          text += line[i++];
        } else {
          break;
        }
      }
      const std::size_t comma = std::min(line.find(',', ++i), line.size());
      if (!trim(line.substr(i, comma - i)).empty()) lines_.fail("text after a quoted cell");
      i = comma;
    } else {
      const std::size_t comma = std::min(line.find(',', i), line.size());
      text = trim(line.substr(i, comma - i));
      i = comma;
    }
    unquoted_.push_back(std::move(text));
    more = i++ < line.size();
  }
  cells_.assign(unquoted_.begin(), unquoted_.end());
}

void CsvReader::fail_cell(int column, std::string_view expected) const {
  lines_.fail(fmt::format("{} must be {}, found \"{}\"",
                          printable(header_[static_cast<std::size_t>(column)]), expected,
                          printable(cell(column))));
}

std::uint32_t CsvReader::count(int column) const {
  const auto v = parse_count(cell(column));
  if (!v) fail_cell(column, "a whole number of at least 0");
  return *v;
}

}  // namespace isthmus::world
