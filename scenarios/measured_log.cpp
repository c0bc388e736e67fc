// Which format a log has, and whether what it says can be meant.
#include "scenarios/measured_log.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "scenarios/file_reading.hpp"
#include "scenarios/measured_log_reader.hpp"
#include "scenarios/problems.hpp"
#include "sim/world/arrival_fields.hpp"

namespace isthmus::scenarios {

namespace {

constexpr std::size_t largest_log = std::size_t{1} << 30;
constexpr std::size_t fewest_requests = 10;

std::string_view first_line(std::string_view content) {
  std::string_view line;
  for_each_line(content.substr(0, std::min<std::size_t>(content.size(), 1U << 20U)),
                [&](std::string_view l, std::size_t) {
                  if (line.empty()) line = l;
                });
  return line;
}

// The format by its first characters.
std::string recognize(std::string_view content) {
  const std::size_t begin = content.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "csv";
  if (content[begin] == '[') return "triton";
  const std::string_view line = first_line(content);
  const std::string_view head = content.substr(begin, 1U << 16U);
  const auto line_has = [&](std::string_view key) { return line.find(key) != std::string_view::npos; };
  if (content[begin] == '{') {
    if (line_has("\"queued_ts\"") || line_has("\"first_token_ts\"")) return "vllm";
    if (line_has("total_time") || line_has("\"target\"")) return "tgi";
    if (content.find("\"input_lens\"") != std::string_view::npos ||
        head.find("\"request_throughput\"") != std::string_view::npos)
      return "vllm";
    if (head.find("\"experiments\"") != std::string_view::npos) return "triton";
    return "jsonl";
  }
  return head.find("inference_time=\"") != std::string_view::npos ||
                 head.find("text_generation") != std::string_view::npos
             ? "tgi"
             : "csv";
}

double median(std::vector<double> v) {
  const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

template <class Get>
std::vector<double> collected(const MeasuredLog& log, const Get& get) {
  std::vector<double> v;
  for (const MeasuredRequest& r : log.requests)
    if (const std::optional<double> x = get(r)) v.push_back(*x);
  return v;
}

std::string in_words(double s) {
  return s >= 3600    ? fmt::format("{:.3g} h", s / 3600)
         : s >= 1     ? fmt::format("{:.3g} s", s)
         : s >= 1e-3  ? fmt::format("{:.3g} ms", s * 1e3)
         : s >= 1e-6  ? fmt::format("{:.3g} us", s * 1e6)
                      : fmt::format("{:.3g} ns", s * 1e9);
}

// Units that were taken for others show as times that no service has.
void check_units(const MeasuredLog& log) {
  const auto refuse = [&](const char* what, double value, const char* why) {
    throw InputError(
        fmt::format("{}: the median {} is {}, {}; check the unit: end the name with _s, _ms, _us "
                    "or _ns, or give --unit",
                    log.path, what, in_words(value), why));
  };
  const auto within = [&](const char* what, std::vector<double> v, double least, double most) {
    if (v.empty()) return;
    const double m = median(std::move(v));
    if (m > most) refuse(what, m, "longer than any service takes");
    if (m < least) refuse(what, m, "shorter than any service takes");
  };
  within("latency", collected(log, [](auto& r) { return r.latency; }), 1e-6, 6 * 3600);
  within("time to the first token", collected(log, [](auto& r) { return r.ttft; }), 1e-5, 6 * 3600);
  within("time per output token", collected(log, [](auto& r) { return r.tpot; }), 2e-5, 20);
  within("service time", collected(log, [](auto& r) { return r.service; }), 1e-7, 6 * 3600);
  // The three say the same thing twice.
  const auto ratios = collected(log, [](const MeasuredRequest& r) -> std::optional<double> {
    if (!r.ttft || !r.tpot || !r.latency || !r.output_tokens) return std::nullopt;
    return *r.latency / (*r.ttft + *r.tpot * (*r.output_tokens - 1.0));
  });
  if (!ratios.empty()) {
    const double m = median(ratios);
    if (m > 1.5 || m < 1 / 1.5)
      throw InputError(
          fmt::format("{}: the median latency is {:.3g} times the time to the first token plus the "
                      "time per output token of the others; one of them has another unit or "
                      "another meaning",
                      log.path, m));
  }
}

void finish(MeasuredLog& log, std::size_t failed) {
  auto& all = log.requests;
  const auto timed = static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [](const auto& r) { return r.timed(); }));
  if (failed > 0)
    log.notices.push_back(fmt::format(
        "{} requests without an answer are left out, and what they cost the server with them",
        failed));
  if (timed < fewest_requests)
    throw InputError(fmt::format("{}: holds {} requests with times; a fit needs {} at least",
                                 log.path, timed, fewest_requests));
  const auto earlier = [](const MeasuredRequest& a, const MeasuredRequest& b) {
    return a.arrival < b.arrival;
  };
  if (!std::is_sorted(all.begin(), all.end(), earlier)) {
    std::stable_sort(all.begin(), all.end(), earlier);
    log.notices.emplace_back("the requests were not in order of arrival and have been sorted");
  }
  const std::int64_t first = all.front().arrival;
  for (MeasuredRequest& r : all) {
    if (__builtin_sub_overflow(r.arrival, first, &r.arrival) ||
        r.arrival > std::numeric_limits<std::int64_t>::max() / 4)
      throw InputError(fmt::format("{}: arrives more than 70 years after the first", r.place));
    if (r.ttft && r.latency && *r.ttft > *r.latency * (1 + 1e-6))
      throw InputError(fmt::format("{}: its first token comes after {}, its end after {}", r.place,
                                   in_words(*r.ttft), in_words(*r.latency)));
    // A single token has no time after the first.
    if (r.output_tokens && *r.output_tokens <= 1) r.tpot.reset();
    if (!r.tpot && r.ttft && r.latency && r.output_tokens && *r.output_tokens > 1 &&
        *r.latency > *r.ttft)
      r.tpot = (*r.latency - *r.ttft) / (*r.output_tokens - 1.0);
  }
  check_units(log);
}

}  // namespace

const std::vector<std::string>& log_formats() {
  static const std::vector<std::string> names{"vllm", "tgi", "triton", "csv", "jsonl"};
  return names;
}

double log_amount(std::string_view value, std::string_view field, const std::string& place,
                  double unit) {
  if (value.empty()) LogReading::fail_at(place, fmt::format("has no \"{}\"", field));
  const auto v = json_number(world::trim(value));
  if (!v || *v < 0)
    LogReading::fail_at(place, fmt::format("\"{}\" must be a number of at least 0, found {}", field,
                                           value.substr(0, 40)));
  return *v * unit;
}

double log_duration(std::string_view value, std::string_view field, const std::string& place,
                    double unit) {
  const double v = log_amount(value, field, place, unit);
  if (v <= 0) LogReading::fail_at(place, fmt::format("\"{}\" must be above 0", field));
  return v;
}

std::uint32_t log_count(std::string_view value, std::string_view field, const std::string& place) {
  if (value.empty()) LogReading::fail_at(place, fmt::format("has no \"{}\"", field));
  const auto v = world::parse_count(world::trim(value));
  if (!v)
    LogReading::fail_at(place, fmt::format("\"{}\" must be a whole number of at least 0, found {}",
                                           field, value.substr(0, 40)));
  return *v;
}

std::int64_t log_date(std::string_view value, std::string_view field, const std::string& place,
                      std::int64_t unit) {
  if (value.empty()) LogReading::fail_at(place, fmt::format("has no \"{}\"", field));
  std::string_view text = world::trim(value);
  if (text.size() >= 2 && text.front() == '"') text = text.substr(1, text.size() - 2);
  auto ns = world::parse_decimal_ns(text, unit);
  if (!ns) ns = world::parse_timestamp_ns(text);
  if (!ns || *ns < 0)
    LogReading::fail_at(
        place, fmt::format("\"{}\" must be a number of at least 0 or a date such as "
                           "2024-05-10T00:00:00.009Z, found {}",
                           field, value.substr(0, 40)));
  return *ns;
}

std::shared_ptr<const world::PromptBlocks> log_blocks(std::string_view value, std::uint32_t tokens,
                                                      const std::string& place) {
  if (tokens == 0 || value.empty()) return nullptr;
  auto blocks = std::make_shared<world::PromptBlocks>();
  blocks->tokens = tokens;
  try {
    for (const std::string_view item : json_items(value)) {
      std::uint64_t id = 0;
      const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), id);
      if (error != std::errc() || end != item.data() + item.size() || id >> 48U != 0)
        throw Error("no number");
      blocks->contents.push_back(id);
    }
  } catch (const Error&) {
    LogReading::fail_at(place, "\"hash_ids\" must be a list of whole numbers below 2^48");
  }
  return blocks;
}

MeasuredLog read_measured_log(const std::filesystem::path& path, const LogOptions& options) {
  const std::string content = read_regular_file(path, largest_log);
  std::string_view text = content;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  MeasuredLog log;
  log.path = path.string();
  log.format = options.format == "auto" ? recognize(text) : options.format;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw InputError(log.path + ": is empty");
  if (text.find('\0') != std::string_view::npos)
    throw InputError(log.path + ": is no text; save it as UTF-8, unpacked");

  LogReading in{options, text, log};
  if (log.format == "vllm") {
    const std::string_view line = first_line(text);
    const bool result = text.find("\"input_lens\"") != std::string_view::npos ||
                        line.find("_ts\"") == std::string_view::npos;
    result ? read_vllm_result(in) : read_vllm_lines(in);
  } else if (log.format == "tgi") {
    read_tgi(in);
  } else if (log.format == "triton") {
    read_triton(in);
  } else if (log.format == "csv") {
    read_log_csv(in);
  } else if (log.format == "jsonl") {
    read_log_lines(in);
  } else {
    throw InputError(fmt::format("--format {}: the formats are auto, {}{}", log.format,
                                 fmt::join(log_formats(), ", "),
                                 suggestion(log.format, log_formats())));
  }
  for (MeasuredRequest& r : log.requests) {
    if (!r.prompt_tokens) r.prompt_tokens = options.prompt_tokens;
    if (!r.output_tokens) r.output_tokens = options.output_tokens;
  }
  finish(log, in.failed);
  return log;
}

}  // namespace isthmus::scenarios
