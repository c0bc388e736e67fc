#include "sim/world/arrival_traces.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "sim/core/did_you_mean.hpp"
#include "sim/core/hash.hpp"
#include "sim/world/arrival_fields.hpp"
#include "sim/world/arrival_json_line.hpp"
#include "sim/world/arrival_lines.hpp"

namespace isthmus::world {

namespace {

constexpr std::int64_t second = 1'000'000'000, millisecond = 1'000'000, microsecond = 1'000;

// Turns the trace's dates into dates of the run and refuses rows out of order.
class TraceDates {
 public:
  explicit TraceDates(const Arrivals& a) : start_(a.start), scale_(a.time_scale) {}

  Instant place(std::int64_t ns, const LineReader& at) {
    if (empty_) first_ = last_ = ns;
    empty_ = false;
    if (ns < last_)
      at.fail(fmt::format("time goes back by {} s; rows must be in order of time",
                          (static_cast<double>(last_) - static_cast<double>(ns)) * 1e-9));
    last_ = ns;
    std::int64_t offset = 0, date = 0;
    bool fits = !__builtin_sub_overflow(ns, first_, &offset);
    if (scale_ != 1) {
      const long double scaled = static_cast<long double>(offset) * scale_;
      fits = fits && scaled < 9e18L;
      offset = fits ? std::llround(scaled) : 0;
    }
    fits = fits && !__builtin_add_overflow(start_.ns(), offset, &date);
    if (!fits) at.fail("date lies more than 292 years after the first row");
    return Instant(date);
  }

 private:
  Duration start_;
  double scale_;
  std::int64_t first_ = 0, last_ = 0;
  bool empty_ = true;
};

// `Rows` has: bool next(std::int64_t& ns, Arrival&), const LineReader& lines() and a message for a
// file without any row.
template <class Rows>
class TraceSource final : public ArrivalSource {
 public:
  explicit TraceSource(const Arrivals& a) : rows_(a), dates_(a), limit_(a.limit) {
    // The first row is read at once, so that a wrong file is noticed before the run begins.
    if (!read(first_)) rows_.lines().fail_file(rows_.no_rows());
    have_first_ = true;
  }

  std::optional<Arrival> next() override {
    std::optional<Arrival> arrival;
    if (index_ >= limit_) return arrival;
    arrival.emplace();
    if (have_first_) {
      *arrival = first_;
      have_first_ = false;
    } else if (!read(*arrival)) {
      limit_ = 0;
      arrival.reset();
      return arrival;
    }
    arrival->index = index_++;
    return arrival;
  }

 private:
  bool read(Arrival& arrival) {
    std::int64_t ns = 0;
    if (!rows_.next(ns, arrival)) return false;
    arrival.at = dates_.place(ns, rows_.lines());
    return true;
  }

  Rows rows_;
  TraceDates dates_;
  std::uint64_t limit_, index_ = 0;
  Arrival first_;
  bool have_first_ = false;
};

class AzureRows {
 public:
  explicit AzureRows(const Arrivals& a)
      : csv_(a.file),
        time_(csv_.need("TIMESTAMP")),
        prompt_(csv_.need("ContextTokens")),
        output_(csv_.need("GeneratedTokens")),
        images_(csv_.find("NumImages")),
        tokens_per_image_(a.tokens_per_image) {}

  bool next(std::int64_t& ns, Arrival& arrival) {
    if (!csv_.next()) return false;
    const auto date = parse_timestamp_ns(csv_.cell(time_));
    if (!date) csv_.fail_cell(time_, "a date like 2023-11-16 18:17:03.9799600");
    ns = *date;
    arrival.prompt_tokens = csv_.count(prompt_);
    arrival.output_tokens = csv_.count(output_);
    if (images_ >= 0) {
      const std::uint64_t tokens = std::uint64_t{csv_.count(images_)} * tokens_per_image_;
      if (tokens > std::numeric_limits<std::uint32_t>::max())
        csv_.fail_cell(images_, "a plausible number of images");
      arrival.image_tokens = static_cast<std::uint32_t>(tokens);
    }
    return true;
  }
  const LineReader& lines() const { return csv_.lines(); }
  std::string no_rows() const { return "has a header but no rows"; }

 private:
  CsvReader csv_;
  int time_, prompt_, output_, images_;
  std::uint32_t tokens_per_image_;
};

class BurstGptRows {
 public:
  explicit BurstGptRows(const Arrivals& a)
      : csv_(a.file),
        time_(csv_.need("Timestamp")),
        prompt_(csv_.need("Request tokens")),
        output_(csv_.need("Response tokens")) {}

  bool next(std::int64_t& ns, Arrival& arrival) {
    std::uint32_t output = 0;
    do {
      if (!csv_.next()) return false;
      output = csv_.count(output_);
      failed_ += output == 0;
    } while (output == 0);
    const auto date = parse_decimal_ns(csv_.cell(time_), second);
    if (!date) csv_.fail_cell(time_, "a number of seconds");
    ns = *date;
    arrival.prompt_tokens = csv_.count(prompt_);
    arrival.output_tokens = output;
    return true;
  }
  const LineReader& lines() const { return csv_.lines(); }
  std::string no_rows() const {
    if (failed_ == 0) return "has a header but no rows";
    return fmt::format("brings no request: all {} rows have 0 response tokens, i.e. failed",
                       failed_);
  }

 private:
  CsvReader csv_;
  int time_, prompt_, output_;
  std::uint64_t failed_ = 0;
};

class MooncakeRows {
 public:
  explicit MooncakeRows(const Arrivals& a)
      : lines_(a.file), tokens_per_hash_(a.tokens_per_hash) {}

  bool next(std::int64_t& ns, Arrival& arrival) {
    std::string_view line;
    do {
      if (!lines_.next(line)) return false;
    } while (trim(line).empty());
    std::string_view time, input, output, hashes;
    try {
      JsonLine object(line);
      for (std::string_view key; object.next_member(key);) {
        const std::string_view value = object.take_value();
        if (key == "timestamp") keep(time, key, value);
        if (key == "input_length") keep(input, key, value);
        if (key == "output_length") keep(output, key, value);
        if (key == "hash_ids" && tokens_per_hash_ > 0) keep(hashes, key, value);
      }
    } catch (const Error& e) {
      lines_.fail(e.what());
    }
    const auto date = parse_decimal_ns(time, millisecond);
    if (!date) fail_value("timestamp", time, "a number of milliseconds");
    ns = *date;
    arrival.prompt_tokens = count("input_length", input);
    arrival.output_tokens = count("output_length", output);
    if (tokens_per_hash_ > 0) arrival.prompt_blocks = blocks(hashes, *arrival.prompt_tokens);
    return true;
  }
  const LineReader& lines() const { return lines_; }
  std::string no_rows() const { return "is empty; expected one JSON object per line"; }

 private:
  static void keep(std::string_view& slot, std::string_view key, std::string_view value) {
    if (!slot.empty()) throw Error(fmt::format("\"{}\" occurs twice", key));
    slot = value;
  }
  [[noreturn]] void fail_value(std::string_view key, std::string_view value,
                               std::string_view expected) const {
    if (value.empty()) lines_.fail(fmt::format("no \"{}\" in the object", key));
    lines_.fail(fmt::format("\"{}\" must be {}, found {}", key, expected, value.substr(0, 40)));
  }
  std::uint32_t count(std::string_view key, std::string_view value) const {
    const auto v = parse_count(value);
    if (!v) fail_value(key, value, "a whole number of at least 0");
    return *v;
  }
  // hash_ids: one whole number per started block of the prompt, or fewer.
  std::shared_ptr<const PromptBlocks> blocks(std::string_view value, std::uint32_t prompt) const {
    const auto fail = [&] { fail_value("hash_ids", value, "a list of whole numbers below 2^48"); };
    if (value.size() < 2 || value.front() != '[' || value.back() != ']') fail();
    auto result = std::make_shared<PromptBlocks>();
    result->tokens = tokens_per_hash_;
    std::string_view rest = trim(value.substr(1, value.size() - 2));
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const std::string_view item = trim(rest.substr(0, comma));
      std::uint64_t id = 0;
      const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), id);
      if (error != std::errc{} || end != item.data() + item.size() || id >> 48U != 0) fail();
      result->contents.push_back(id);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    const std::uint64_t started = (prompt + std::uint64_t{tokens_per_hash_} - 1) / tokens_per_hash_;
    if (result->contents.size() > started)
      lines_.fail(fmt::format("{} \"hash_ids\" for {} tokens of input, {} each", result->contents.size(),
                              prompt, tokens_per_hash_));
    return result;
  }

  LineReader lines_;
  std::uint32_t tokens_per_hash_;
};

class CsvRows {
 public:
  explicit CsvRows(const Arrivals& a) : csv_(a.file) {
    for (const TimeColumn& c : time_columns) {
      const int found = csv_.find(c.name);
      if (found < 0) continue;
      if (time_ >= 0)
        csv_.lines().fail(
            fmt::format("more than one time column; keep one of time, time_s, "
                        "time_ms, time_us, time_ns"));
      time_ = found;
      unit_ = c.unit;
    }
    if (time_ < 0) time_ = csv_.need("time");
    prompt_ = csv_.find("prompt_tokens");
    output_ = csv_.find("output_tokens");
    image_ = csv_.find("image_tokens");
    upload_ = csv_.find("upload_bytes");
    download_ = csv_.find("download_bytes");
    client_ = csv_.find("client");
    key_ = csv_.find("key");
    refuse_misspellings();
  }

  bool next(std::int64_t& ns, Arrival& arrival) {
    if (!csv_.next()) return false;
    const auto date = parse_decimal_ns(csv_.cell(time_), unit_);
    if (!date) csv_.fail_cell(time_, "a number");
    ns = *date;
    arrival.prompt_tokens = count(prompt_);
    arrival.output_tokens = count(output_);
    arrival.image_tokens = count(image_);
    arrival.client = count(client_);
    arrival.upload = amount(upload_);
    arrival.download = amount(download_);
    arrival.key = key_ < 0 || csv_.cell(key_).empty() ? 0 : hash_name(csv_.cell(key_));
    return true;
  }
  const LineReader& lines() const { return csv_.lines(); }
  std::string no_rows() const { return "has a header but no rows"; }

 private:
  struct TimeColumn {
    std::string_view name;
    std::int64_t unit;
  };
  static constexpr std::array<TimeColumn, 5> time_columns{{{"time", second},
                                                           {"time_s", second},
                                                           {"time_ms", millisecond},
                                                           {"time_us", microsecond},
                                                           {"time_ns", 1}}};

  void refuse_misspellings() const {
    static const std::array<std::string, 8> known{"time",         "prompt_tokens", "output_tokens",
                                                  "image_tokens", "upload_bytes",  "download_bytes",
                                                  "client",       "key"};
    for (const std::string& name : csv_.header()) {
      if (name.starts_with('#')) continue;
      const int column = csv_.find(name);
      if (column == time_ || column == prompt_ || column == output_ || column == image_ ||
          column == upload_ || column == download_ || column == client_ || column == key_)
        continue;
      const std::string meant = did_you_mean(name, known);
      // A column that is there under its own name leaves no doubt about a similar one.
      if (meant.empty() || meant == "time" || csv_.find(meant) >= 0) continue;
      csv_.lines().fail(
          fmt::format("unknown column \"{}\"; did you mean \"{}\"? A '#' before the "
                      "name makes it a column to ignore",
                      name, meant));
    }
  }
  std::optional<std::uint32_t> count(int column) const {
    if (column < 0 || csv_.cell(column).empty()) return std::nullopt;
    return csv_.count(column);
  }
  std::optional<double> amount(int column) const {
    if (column < 0 || csv_.cell(column).empty()) return std::nullopt;
    const auto v = parse_amount(csv_.cell(column));
    if (!v) csv_.fail_cell(column, "a non-negative number");
    return v;
  }

  CsvReader csv_;
  int time_ = -1, prompt_ = -1, output_ = -1, image_ = -1, upload_ = -1, download_ = -1;
  int client_ = -1, key_ = -1;
  std::int64_t unit_ = second;
};

}  // namespace

std::unique_ptr<ArrivalSource> open_trace(const Arrivals& arrivals) {
  if (!(arrivals.time_scale > 0) || !std::isfinite(arrivals.time_scale))
    throw InputError(fmt::format("{}: time_scale must be positive and finite, found {}",
                                 arrivals.file, arrivals.time_scale));
  if (arrivals.start < Duration::zero())
    throw InputError(fmt::format("{}: start must not be negative", arrivals.file));
  switch (arrivals.format) {
    case TraceFormat::azure_llm:
      return std::make_unique<TraceSource<AzureRows>>(arrivals);
    case TraceFormat::mooncake:
      return std::make_unique<TraceSource<MooncakeRows>>(arrivals);
    case TraceFormat::burstgpt:
      return std::make_unique<TraceSource<BurstGptRows>>(arrivals);
    case TraceFormat::csv:
      return std::make_unique<TraceSource<CsvRows>>(arrivals);
  }
  throw InternalError("unknown trace format");
}

}  // namespace isthmus::world
