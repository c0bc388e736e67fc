// Text Generation Inference: the router's line about every request that it answered.
#include <array>
#include <charconv>
#include <cmath>

#include "scenarios/measured_log_reader.hpp"
#include "sim/world/arrival_fields.hpp"

namespace isthmus::scenarios {

namespace {

// A duration as Rust prints it for debugging: "357.867572ms", "49.382µs", "1.2s".
std::optional<double> rust_seconds(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit == "s") return value;
  if (unit == "ms") return value * 1e-3;
  if (unit == "\xc2\xb5s" || unit == "\xce\xbcs" || unit == "us") return value * 1e-6;
  if (unit == "ns") return value * 1e-9;
  return std::nullopt;
}

double seconds(const std::string& text, std::string_view field, const std::string& place) {
  const auto s = rust_seconds(text);
  if (!s)
    LogReading::fail_at(place, fmt::format("\"{}\" must be a duration such as 355.8ms, found {}",
                                           field, text.substr(0, 40)));
  return *s;
}

std::string without_colours(std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\x1b') {
      out += line[i];
      continue;
    }
    while (i < line.size() && line[i] != 'm') ++i;
  }
  return out;
}

// key="value" somewhere in the line; the last one, since prompts may come before.
std::string quoted(std::string_view line, std::string_view key) {
  const std::size_t at = line.rfind(fmt::format("{}=\"", key));
  if (at == std::string_view::npos) return {};
  const std::size_t begin = at + key.size() + 2, end = line.find('"', begin);
  return end == std::string_view::npos ? std::string() : std::string(line.substr(begin, end - begin));
}

// The fields of a line that matter, by name; "" when absent.
struct Line {
  std::string date;
  std::array<std::string, 4> times;   // total, inference, per token, validation
  std::string prompt, output;
};
constexpr std::array<std::string_view, 4> time_names{"total_time", "inference_time",
                                                     "time_per_token", "validation_time"};
constexpr std::array<std::string_view, 3> prompt_names{"prompt_tokens", "input_tokens",
                                                       "input_length"};
constexpr std::array<std::string_view, 2> output_names{"generated_tokens", "output_tokens"};

template <class Get>
Line line_from(std::string date, const Get& get) {
  Line l;
  l.date = std::move(date);
  for (std::size_t i = 0; i < time_names.size(); ++i) l.times[i] = get(time_names[i]);
  for (const std::string_view name : prompt_names)
    if (l.prompt.empty()) l.prompt = get(name);
  for (const std::string_view name : output_names)
    if (l.output.empty()) l.output = get(name);
  return l;
}

// Fields stand in the span of the request, in the last of the spans, or at the top.
Line json_line(std::string_view text) {
  const JsonFields top(text);
  std::vector<JsonFields> layers;
  if (top.has("span")) layers.emplace_back(top.find("span"));
  if (top.has("spans"))
    for (const std::string_view span : json_items(top.find("spans"))) layers.emplace_back(span);
  if (top.has("fields")) layers.emplace_back(top.find("fields"));
  layers.push_back(top);
  return line_from(json_plain(top.find("timestamp")), [&](std::string_view name) {
    for (const JsonFields& f : layers)
      if (f.has(name)) return json_plain(f.find(name));
    return std::string();
  });
}

Line text_line(std::string_view raw) {
  const std::string line = without_colours(raw);
  const std::string_view trimmed = world::trim(line);
  return line_from(std::string(trimmed.substr(0, trimmed.find(' '))),
                   [&](std::string_view name) { return quoted(line, name); });
}

}  // namespace

void read_tgi(LogReading& in) {
  for_each_line(in.content, [&](std::string_view text, std::size_t number) {
    const std::string place = in.line_place(number);
    Line l;
    try {
      const bool json = world::trim(text).front() == '{';
      l = json ? json_line(text) : text_line(text);
    } catch (const InputError&) {
      throw;
    } catch (const Error& e) {
      LogReading::fail_at(place, e.what());
    }
    if (l.times[0].empty() || l.times[1].empty()) return;  // a line about something else
    MeasuredRequest q;
    q.place = place;
    const double total = seconds(l.times[0], time_names[0], place);
    const double inference = seconds(l.times[1], time_names[1], place);
    if (total <= 0 || inference <= 0) LogReading::fail_at(place, "its times must be above 0");
    const auto date = world::parse_timestamp_ns(l.date);
    if (!date)
      LogReading::fail_at(place, fmt::format("\"timestamp\" must be a date, found {}",
                                             l.date.empty() ? "none" : l.date.substr(0, 40)));
    // Lines are written at the end of a request.
    q.arrival = *date - std::llround(total * 1e9);
    q.latency = total;
    q.service = inference;
    const auto whole = [&](const std::string& text_value, std::string_view name) {
      std::string_view digits = text_value;
      if (digits.starts_with("Some(") && digits.ends_with(')'))
        digits = digits.substr(5, digits.size() - 6);
      return log_count(digits, name, place);
    };
    if (!l.prompt.empty()) q.prompt_tokens = whole(l.prompt, prompt_names[0]);
    if (!l.output.empty()) {
      q.output_tokens = whole(l.output, output_names[0]);
    } else if (!l.times[2].empty()) {
      // TGI divides the one by the number of tokens to get the other.
      const double each = seconds(l.times[2], time_names[2], place);
      if (each > 0 && inference / each < 1e9)
        q.output_tokens = static_cast<std::uint32_t>(std::max(1LL, std::llround(inference / each)));
    }
    in.log.requests.push_back(std::move(q));
  });
  if (in.log.requests.empty())
    in.fail(
        "no line has \"total_time\" and \"inference_time\"; TGI writes them with its router's "
        "log level info, as JSON with --json-output");
}

}  // namespace isthmus::scenarios
