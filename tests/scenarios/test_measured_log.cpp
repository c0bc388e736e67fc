// Every log format: what is read, and what is refused with place, field and fix.
#include "scenarios/measured_log.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "sim/core/errors.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

class MeasuredLogs : public ::testing::Test {
 protected:
  MeasuredLog read(const std::string& content, const LogOptions& options = {}) const {
    return read_measured_log(folder_.write("log", content), options);
  }
  std::string refusal(const std::string& content, const LogOptions& options = {}) const {
    try {
      read(content, options);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  }
  TemporaryFolder folder_;
};

// Twelve lines of one pattern.
std::string lines(const std::function<std::string(int)>& line, const std::string& head = "") {
  std::string out = head;
  for (int i = 0; i < 12; ++i) out += line(i) + "\n";
  return out;
}

std::string csv_row(int i) { return fmt::format("{},100,{},0.2,0.05,{}", i, 11 + i, 0.7 + 0.05 * i); }
const std::string csv_head = "arrival,prompt_tokens,output_tokens,ttft,tpot,latency\n";

TEST_F(MeasuredLogs, CsvByNameWithUnits) {
  const MeasuredLog log = read(lines(csv_row, csv_head));
  EXPECT_EQ(log.format, "csv");
  ASSERT_EQ(log.requests.size(), 12U);
  const MeasuredRequest& r = log.requests[3];
  EXPECT_EQ(r.arrival, 3'000'000'000);
  EXPECT_EQ(r.prompt_tokens, 100U);
  EXPECT_EQ(r.output_tokens, 14U);
  EXPECT_DOUBLE_EQ(*r.ttft, 0.2);
  EXPECT_DOUBLE_EQ(*r.tpot, 0.05);
  EXPECT_DOUBLE_EQ(*r.latency, 0.85);
  EXPECT_THAT(r.place, HasSubstr("log:5"));

  const MeasuredLog ms = read(lines([](int i) { return fmt::format("7,{},x,{}", i * 5, 30 + i); },
                                    "batch,Arrival_us,#note,latency_ms\n"));
  EXPECT_EQ(ms.requests[2].arrival, 10'000);
  EXPECT_DOUBLE_EQ(*ms.requests[2].latency, 0.032);
  EXPECT_EQ(*ms.requests[2].batch, 7);
  EXPECT_FALSE(ms.requests[2].prompt_tokens);

  LogOptions in_ms;
  in_ms.unit = "ms";
  const MeasuredLog unit = read(
      lines([](int i) { return fmt::format("{},{}", i * 5, 30 + i); }, "arrival,latency\n"), in_ms);
  EXPECT_EQ(unit.requests[1].arrival, 5'000'000);
  EXPECT_DOUBLE_EQ(*unit.requests[1].latency, 0.031);
}

TEST_F(MeasuredLogs, DatesGiveDurations) {
  const MeasuredLog log = read(lines(
      [](int i) {
        return fmt::format("2026-01-01T00:00:{:02}Z,2026-01-01T00:01:{:02}Z,2026-01-01T00:00:{:02}.5Z",
                           i, i + 2, i);
      },
      "arrival,end,start\n"));
  EXPECT_DOUBLE_EQ(*log.requests[0].latency, 62);
  EXPECT_DOUBLE_EQ(*log.requests[0].service, 61.5);
  EXPECT_EQ(log.requests[4].arrival, 4'000'000'000);
}

TEST_F(MeasuredLogs, JsonLinesWithTheSameNames) {
  LogOptions o;
  o.tokens_per_hash = 16;
  const MeasuredLog log = read(lines([](int i) {
                                 return fmt::format(
                                     R"({{"arrival_ms": {}, "latency": 0.5, "ttft": 0.1, "client": 3,)"
                                     R"( "output_tokens": 5, "hash_ids": [1, {}], "tpot": null}})",
                                     1000 + i, i);
                               }),
                               o);
  EXPECT_EQ(log.format, "jsonl");
  EXPECT_EQ(log.requests[7].arrival, 7'000'000);
  EXPECT_EQ(log.requests[7].client, 3U);
  EXPECT_DOUBLE_EQ(*log.requests[7].tpot, 0.1) << "what lies between the first token and the end";
  EXPECT_EQ(log.requests[7].prompt_blocks->contents, (std::vector<std::uint64_t>{1, 7}));
  EXPECT_EQ(log.requests[7].prompt_blocks->tokens, 16U);
}

TEST_F(MeasuredLogs, SortsAndSaysSo) {
  const MeasuredLog log =
      read(lines([](int i) { return fmt::format(R"({{"arrival_ms": {}, "latency": 0.5}})", 100 - i); }));
  EXPECT_EQ(log.format, "jsonl");
  EXPECT_EQ(log.requests.front().arrival, 0);
  EXPECT_EQ(log.requests.back().arrival, 11'000'000);
  EXPECT_THAT(log.requests.front().place, HasSubstr("log:12"));
  EXPECT_THAT(log.notices, ::testing::Contains(HasSubstr("sorted")));
}

std::string vllm_line(int i) {
  return fmt::format(R"({{"request_id": "bench-{}", "input_toks": 50, "output_toks": {},)"
                     R"( "arrival_time": {:.3f}, "queued_ts": {:.3f}, "scheduled_ts": {:.3f},)"
                     R"( "first_token_ts": {:.3f}, "last_token_ts": {:.3f}, "hash_ids": [4, 5]}})",
                     i, 1 + i, 1787267980.0 + i, 100.0 + i + 0.25 * (i > 0), 100.5 + i, 101.0 + i,
                     101.0 + i + 0.02 * i);
}

TEST_F(MeasuredLogs, VllmRequestsTieTwoClocksTogether) {
  LogOptions o;
  o.tokens_per_hash = 16;
  const MeasuredLog log = read(lines(vllm_line), o);
  EXPECT_EQ(log.format, "vllm");
  const MeasuredRequest& r = log.requests[5];
  EXPECT_NEAR(static_cast<double>(r.arrival), 5e9, 1e3);
  EXPECT_NEAR(*r.ttft, 1.0, 1e-6);
  EXPECT_NEAR(*r.latency, 1.1, 1e-6);
  EXPECT_NEAR(*r.tpot, 0.02, 1e-6);
  EXPECT_NEAR(*r.service, 0.6, 1e-6);
  EXPECT_EQ(r.prompt_blocks->contents, (std::vector<std::uint64_t>{4, 5}));
  EXPECT_FALSE(log.requests[0].tpot) << "a single token";
}

std::string vllm_result(bool starts, const std::string& more = "") {
  std::string in, out, ttft, itl, start;
  for (int i = 0; i < 12; ++i) {
    const char* comma = i > 0 ? ", " : "";
    in += fmt::format("{}{}", comma, 10 * i + 1);
    out += fmt::format("{}{}", comma, i == 4 ? 0 : 3);
    ttft += fmt::format("{}{}", comma, i == 4 ? 0.0 : 0.25);
    itl += fmt::format("{}{}", comma, i == 4 ? "[]" : "[0.03, 0.05]");
    start += fmt::format("{}{}", comma, 77.5 + i);
  }
  return fmt::format(R"({{"date": "20260101", "request_throughput": 1.5, "input_lens": [{}], )"
                     R"("output_lens": [{}], "ttfts": [{}], "itls": [{}]{}{}}})",
                     in, out, ttft, itl, starts ? fmt::format(R"(, "start_times": [{}])", start) : "",
                     more);
}

TEST_F(MeasuredLogs, VllmBenchResults) {
  const MeasuredLog log = read(vllm_result(true, R"(, "generated_texts": ["{[\"", "b"])"));
  EXPECT_EQ(log.format, "vllm");
  ASSERT_EQ(log.requests.size(), 11U) << "one failed";
  EXPECT_THAT(log.notices, ::testing::Contains(HasSubstr("1 requests without an answer")));
  EXPECT_EQ(log.requests[5].prompt_tokens, 61U);
  EXPECT_EQ(log.requests[5].arrival, 6'000'000'000);
  EXPECT_NEAR(*log.requests[5].latency, 0.33, 1e-12);
  EXPECT_NEAR(*log.requests[5].tpot, 0.04, 1e-12);

  EXPECT_THAT(refusal(vllm_result(false)), HasSubstr("has no \"start_times\""));
  EXPECT_THAT(refusal(R"({"request_throughput": 1.5, "mean_ttft_ms": 3})"),
              HasSubstr("--save-detailed"));
  std::string shorter = vllm_result(true);
  shorter.replace(shorter.find("\"ttfts\": [0.25, "), 16, "\"ttfts\": [");
  EXPECT_THAT(refusal(shorter), HasSubstr("\"ttfts\" has 11 entries, \"input_lens\" 12"));
  std::string nan = vllm_result(true);
  nan.replace(nan.find("0.25"), 4, "NaN");
  EXPECT_THAT(refusal(nan), HasSubstr("expected a value"));
}

std::string tgi_json(int i) {
  return fmt::format(
      R"({{"timestamp":"2026-01-01T00:00:{:02}.500000Z","level":"INFO","message":"Success",)"
      R"("target":"text_generation_router::server","span":{{"inference_time":"{}ms","name":"generate",)"
      R"("queue_time":"49.3µs","time_per_token":"20ms","total_time":"1.25s",)"
      R"("validation_time":"1.9ms"}},"spans":[]}})",
      i + 2, 1000 + 20 * i);
}

TEST_F(MeasuredLogs, TgiAsJson) {
  LogOptions o;
  o.prompt_tokens = 70;
  const MeasuredLog log = read(lines(tgi_json, "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"target\":"
                                               "\"x\",\"message\":\"Connected\"}\n"),
                               o);
  EXPECT_EQ(log.format, "tgi");
  ASSERT_EQ(log.requests.size(), 12U);
  const MeasuredRequest& r = log.requests[2];
  EXPECT_EQ(r.arrival, 2'000'000'000);
  EXPECT_DOUBLE_EQ(*r.latency, 1.25);
  EXPECT_DOUBLE_EQ(*r.service, 1.04);
  EXPECT_EQ(r.output_tokens, 52U);
  EXPECT_EQ(r.prompt_tokens, 70U);
  EXPECT_FALSE(r.ttft || r.tpot);
}

TEST_F(MeasuredLogs, TgiAsText) {
  const MeasuredLog log = read(lines([](int i) {
    return fmt::format("\x1b[2m2026-01-01T00:00:{:02}.5Z\x1b[0m INFO generate{{parameters=Generate"
                       "Parameters {{ stop: [\"total_time=\\\"9s\\\"\"] }} total_time=\"357.5ms\" "
                       "validation_time=\"1.9ms\" queue_time=\"49µs\" inference_time=\"350ms\" "
                       "time_per_token=\"14ms\" seed=\"None\"}}: text_generation_router::server: "
                       "router/src/server.rs:309: Success",
                       i + 1);
  }));
  EXPECT_EQ(log.format, "tgi");
  EXPECT_DOUBLE_EQ(*log.requests[0].latency, 0.3575);
  EXPECT_EQ(log.requests[0].output_tokens, 25U);
  std::string wrong = lines(tgi_json);
  wrong.replace(wrong.find("1.25s"), 5, "1.25h");
  EXPECT_THAT(refusal(wrong), HasSubstr("log:1: \"total_time\" must be a duration such as"));
  LogOptions tgi;
  tgi.format = "tgi";
  EXPECT_THAT(refusal("nothing of interest\n", tgi), HasSubstr("no line has \"total_time\""));
}

std::string exported(int experiments) {
  std::string requests, all;
  for (int i = 0; i < 12; ++i)
    requests += fmt::format(
        R"({}{{"timestamp": {}, "request_inputs": {{"text": "a, [b"}}, "response_timestamps": [{}]}})",
        i > 0 ? ",\n" : "", 1'000'000'000LL * i,
        i == 3 ? ""
               : i == 5 ? fmt::format("{}, {}, {}", 1'000'000'000LL * i + 10'000'000,
                                      1'000'000'000LL * i + 30'000'000,
                                      1'000'000'000LL * i + 60'000'000)
                        : fmt::format("{}", 1'000'000'000LL * i + 4'000'000));
  for (int e = 0; e < experiments; ++e)
    all += fmt::format(R"({}{{"experiment": {{"mode": "concurrency", "value": {}}}, "requests": [{}],)"
                       R"( "window_boundaries": [1, 2]}})",
                       e > 0 ? "," : "", e + 1, requests);
  return fmt::format(R"({{"service_kind": "triton", "experiments": [{}], "version": "2.40"}})", all);
}

TEST_F(MeasuredLogs, PerfAnalyzerExports) {
  const MeasuredLog log = read(exported(1));
  EXPECT_EQ(log.format, "triton");
  ASSERT_EQ(log.requests.size(), 11U) << "one was never answered";
  EXPECT_DOUBLE_EQ(*log.requests[0].latency, 0.004);
  EXPECT_FALSE(log.requests[0].ttft);
  EXPECT_DOUBLE_EQ(*log.requests[4].ttft, 0.01);
  EXPECT_DOUBLE_EQ(*log.requests[4].tpot, 0.025);
  EXPECT_EQ(log.requests[4].output_tokens, 3U);

  EXPECT_THAT(refusal(exported(3)), HasSubstr("choose one with --experiment 0 to 2"));
  LogOptions o;
  o.experiment = 2;
  EXPECT_EQ(read(exported(3), o).requests.size(), 11U);
  o.experiment = 3;
  EXPECT_THAT(refusal(exported(3), o), HasSubstr("there are 3"));
  EXPECT_THAT(refusal(R"({"experiments": []})"), HasSubstr("is empty"));
}

TEST_F(MeasuredLogs, TritonTraces) {
  std::string all = "[";
  for (int i = 1; i <= 12; ++i) {
    const long long t = 1'000'000LL * i;
    all += fmt::format(
        R"({}{{"id": {}, "model_name": "resnet", "model_version": 1}},)"
        R"({{"id": {}, "timestamps": [{{"name": "REQUEST_START", "ns": {}}}, {{"name": "QUEUE_START", "ns": {}}}]}},)"
        R"({{"id": {}, "timestamps": [{{"name": "COMPUTE_START", "ns": {}}}, {{"name": "COMPUTE_END", "ns": {}}}, {{"name": "REQUEST_END", "ns": {}}}]}})",
        i > 1 ? ",\n" : "", i, i, t, t + 10, i, t + 50, t + 4050, t + 5000);
  }
  // A step of an ensemble, and another model.
  const std::string step = R"(,{"id": 90, "model_name": "step", "parent_id": 1})";
  const MeasuredLog log = read(all + step + "]");
  EXPECT_EQ(log.format, "triton");
  ASSERT_EQ(log.requests.size(), 12U);
  EXPECT_DOUBLE_EQ(*log.requests[0].latency, 5e-6);
  EXPECT_DOUBLE_EQ(*log.requests[0].service, 4e-6);
  const std::string other =
      R"(,{"id": 91, "model_name": "bert", "timestamps": [{"name": "request handler start", "ns": 5},
          {"name": "request handler end", "ns": 9}]}])";
  EXPECT_THAT(refusal(all + other), HasSubstr("choose one with --model bert, or resnet"));
  LogOptions o;
  o.model = "resnet";
  EXPECT_EQ(read(all + other, o).requests.size(), 12U);
  o.model = "vit";
  EXPECT_THAT(refusal(all + other, o), HasSubstr("no model \"vit\" but bert, resnet"));
}

TEST_F(MeasuredLogs, RefusesWithPlaceFieldAndFix) {
  EXPECT_THAT(refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(refusal(csv_head), HasSubstr("holds 0 requests with times; a fit needs 10"));
  EXPECT_THAT(refusal(csv_head + csv_row(1) + "\n"), HasSubstr("holds 1 requests"));
  EXPECT_THAT(refusal("when,latency\n1,2\n"), HasSubstr("log:1: no column \"arrival\""));
  EXPECT_THAT(refusal("arrival,latncy\n1,2\n"), HasSubstr("did you mean \"latency\"?"));
  EXPECT_THAT(refusal("arrival,latency,latency_ms\n1,2,3\n"), HasSubstr("two columns say"));
  for (const char* bad : {"nan", "-1", "inf", "soon"})
    EXPECT_THAT(refusal(fmt::format("arrival,latency\n0,1\n1,{}\n", bad)),
                HasSubstr("log:3: \"latency\" must be a number of at least 0"));
  EXPECT_THAT(refusal("arrival,latency\n0,0\n"), HasSubstr("log:2: \"latency\" must be above 0"));
  EXPECT_THAT(refusal("arrival,latency\n-4,1\n"), HasSubstr("log:2: \"arrival\" must be"));
  EXPECT_THAT(refusal("arrival,latency\n,1\n"), HasSubstr("log:2: has no \"arrival\""));
  EXPECT_THAT(refusal("arrival,end\n5,4\n"), HasSubstr("must be of one clock"));
  EXPECT_THAT(refusal("arrival,latency,output_tokens\n0,1,2.5\n"), HasSubstr("a whole number"));
  EXPECT_THAT(refusal("{\"arrival\": 1, \"latency\": }\n"), HasSubstr("log:1: expected a value"));
  EXPECT_THAT(refusal("{\"arrival\": 1, \"latency\": NaN}\n"), HasSubstr("log:1: expected a value"));
  EXPECT_THAT(refusal(std::string("a\0b", 3)), HasSubstr("is no text"));
  LogOptions o;
  o.format = "vlm";
  EXPECT_THAT(refusal("x", o), HasSubstr("did you mean \"vllm\"?"));
  o = {};
  o.unit = "min";
  EXPECT_THAT(refusal("arrival,latency\n0,1\n", o), HasSubstr("the units are s, ms, us and ns"));
  std::string vllm = lines(vllm_line);
  vllm.replace(vllm.find("last_token_ts"), 13, "last_token_tz");
  EXPECT_THAT(refusal(vllm), HasSubstr("log:1: has no \"last_token_ts\""));
}

// Seconds that are milliseconds, and the other way round.
TEST_F(MeasuredLogs, RefusesUnitsThatCannotBeMeant) {
  EXPECT_THAT(refusal(lines([](int i) { return fmt::format("{},86610", i); }, "arrival,latency\n")),
              HasSubstr("the median latency is 24.1 h, longer than any service takes; check the unit"));
  EXPECT_THAT(refusal(lines([](int i) { return fmt::format("{},32.5,5", i); },
                            "arrival,tpot,output_tokens\n")),
              HasSubstr("time per output token is 32.5 s"));
  EXPECT_THAT(refusal(lines([](int i) { return fmt::format("{},0.0325,5", i); },
                            "arrival_s,tpot_us,output_tokens\n")),
              HasSubstr("time per output token is 32.5 ns"));
  EXPECT_THAT(refusal(lines([](int i) { return fmt::format("{},200,0.7", i); }, "arrival,ttft,latency\n")),
              HasSubstr("its first token comes after 200 s, its end after 700 ms"));
  EXPECT_THAT(refusal(lines([](int i) { return fmt::format("{},0.2,0.05,700,11", i); },
                            "arrival,ttft,tpot,latency,output_tokens\n")),
              HasSubstr("the median latency is 1e+03 times"));
}

// A request that failed stays a part of the load when its lengths are known.
TEST_F(MeasuredLogs, RequestsWithoutTimesStay) {
  const MeasuredLog log = read(lines(
      [](int i) { return i == 2 ? "2,100,5," : fmt::format("{},100,5,0.5", i); },
      "arrival,prompt_tokens,output_tokens,latency\n"));
  ASSERT_EQ(log.requests.size(), 12U);
  EXPECT_FALSE(log.requests[2].timed());
  EXPECT_TRUE(log.requests[3].timed());
}

}  // namespace
}  // namespace isthmus::scenarios
