// vLLM: requests with the engine's own dates, and the results of `vllm bench serve`.
#include <numeric>

#include "scenarios/measured_log_reader.hpp"

namespace isthmus::scenarios {

namespace {

constexpr std::int64_t second = 1'000'000'000;

double seconds_between(std::int64_t from, std::int64_t to, const std::string& place,
                       const char* what) {
  if (to <= from) LogReading::fail_at(place, fmt::format("{} does not lie after the arrival", what));
  return static_cast<double>(to - from) * 1e-9;
}

}  // namespace

// arrival_time is of the wall clock, the others of a monotonic one. The first request finds an idle
// engine and is queued at once, which ties the two together.
void read_vllm_lines(LogReading& in) {
  std::int64_t first_arrival = 0, first_queued = 0;
  bool first = true, walls = true;
  for_each_line(in.content, [&](std::string_view line, std::size_t number) {
    const std::string place = in.line_place(number);
    try {
      const JsonFields f(line);
      if (!f.has("first_token_ts") && !f.has("last_token_ts")) {
        ++in.failed;
        return;
      }
      const std::int64_t queued = log_date(f.find("queued_ts"), "queued_ts", place, second);
      if (first) walls = f.has("arrival_time");
      MeasuredRequest q;
      q.place = place;
      q.arrival = queued;
      if (walls) {
        const std::int64_t wall = log_date(f.find("arrival_time"), "arrival_time", place, second);
        if (first) first_arrival = wall, first_queued = queued;
        q.arrival = first_queued + (wall - first_arrival);
      }
      first = false;
      q.prompt_tokens = log_count(f.find("input_toks"), "input_toks", place);
      q.output_tokens = log_count(f.find("output_toks"), "output_toks", place);
      const std::int64_t token = log_date(f.find("first_token_ts"), "first_token_ts", place, second);
      const std::int64_t last = log_date(f.find("last_token_ts"), "last_token_ts", place, second);
      if (last < token) LogReading::fail_at(place, "\"last_token_ts\" lies before \"first_token_ts\"");
      q.ttft = seconds_between(q.arrival, token, place, "\"first_token_ts\"");
      q.latency = seconds_between(q.arrival, last, place, "\"last_token_ts\"");
      if (f.has("scheduled_ts")) {
        const std::int64_t start = log_date(f.find("scheduled_ts"), "scheduled_ts", place, second);
        if (last > start) q.service = static_cast<double>(last - start) * 1e-9;
      }
      q.prompt_blocks = log_blocks(f.find("hash_ids"), in.options.tokens_per_hash, place);
      in.log.requests.push_back(std::move(q));
    } catch (const InputError&) {
      throw;
    } catch (const Error& e) {
      LogReading::fail_at(place, e.what());
    }
  });
}

void read_vllm_result(LogReading& in) {
  std::vector<std::string_view> inputs, outputs, ttfts, itls, starts, errors;
  try {
    const JsonFields f(in.content);
    const auto list = [&](std::string_view key, const std::string& missing) {
      if (!f.has(key)) in.fail(fmt::format("has no \"{}\"; {}", key, missing));
      return json_items(f.find(key));
    };
    const std::string detail =
        "save the results with `vllm bench serve --save-result --save-detailed`";
    inputs = list("input_lens", detail);
    outputs = list("output_lens", detail);
    ttfts = list("ttfts", detail);
    itls = list("itls", detail);
    starts = list("start_times",
                  "without the dates of the requests their load cannot be replayed. Newer versions "
                  "of vLLM write them with --save-detailed; else write arrivals and times as csv "
                  "or jsonl");
    if (f.has("errors")) errors = json_items(f.find("errors"));
  } catch (const InputError&) {
    throw;
  } catch (const Error& e) {
    in.fail(e.what());
  }
  const std::size_t n = inputs.size();
  for (const auto& [name, got] :
       {std::pair<const char*, std::size_t>{"output_lens", outputs.size()},
        {"ttfts", ttfts.size()}, {"itls", itls.size()}, {"start_times", starts.size()},
        {"errors", errors.empty() ? n : errors.size()}})
    if (got != n)
      in.fail(fmt::format("\"{}\" has {} entries, \"input_lens\" {}", name, got, n));

  for (std::size_t i = 0; i < n; ++i) {
    const std::string place = in.request_place(i);
    MeasuredRequest q;
    q.place = place;
    q.prompt_tokens = log_count(inputs[i], "input_lens", place);
    q.output_tokens = log_count(outputs[i], "output_lens", place);
    if (*q.output_tokens == 0 || (!errors.empty() && !json_plain(errors[i]).empty())) {
      ++in.failed;
      continue;
    }
    q.arrival = log_date(starts[i], "start_times", place, second);
    q.ttft = log_duration(ttfts[i], "ttfts", place);
    double rest = 0;
    try {
      for (const std::string_view gap : json_items(itls[i])) rest += log_amount(gap, "itls", place);
    } catch (const InputError&) {
      throw;
    } catch (const Error&) {
      LogReading::fail_at(place, "\"itls\" must be a list of times");
    }
    q.latency = *q.ttft + rest;
    in.log.requests.push_back(std::move(q));
  }
}

}  // namespace isthmus::scenarios
