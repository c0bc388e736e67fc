#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>

#include "sim/world/arrival_fields.hpp"
#include "sim/world/arrival_json_line.hpp"
#include "tests/sim/world/test_arrivals_support.hpp"

namespace isthmus::world {
namespace {

using namespace isthmus::world::arrival_testing;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr auto azure = TraceFormat::azure_llm;
constexpr auto mooncake = TraceFormat::mooncake;
constexpr auto burstgpt = TraceFormat::burstgpt;
constexpr auto csv = TraceFormat::csv;

const std::string azure_header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

std::vector<Arrival> read(std::string_view text, TraceFormat format) {
  const TemporaryFile file(text);
  return take(trace(file.path(), format));
}

// The error that a text ends in, without the path.
std::string problem(std::string_view text, TraceFormat format) {
  const TemporaryFile file(text);
  const std::string message = error_of(trace(file.path(), format));
  return message.starts_with(file.path()) ? message.substr(file.path().size()) : message;
}

// --- cells ------------------------------------------------------------------------------------

TEST(TraceCells, DecimalsAreExact) {
  EXPECT_EQ(parse_decimal_ns("5", 1'000'000'000), 5'000'000'000);
  EXPECT_EQ(parse_decimal_ns("1700000000.123456789", 1'000'000'000), 1'700'000'000'123'456'789);
  EXPECT_EQ(parse_decimal_ns("27482.0000004", 1'000'000), 27'482'000'000);
  EXPECT_EQ(parse_decimal_ns("-.5", 1000), -500);
  EXPECT_EQ(parse_decimal_ns("1.", 1), 1);
  EXPECT_EQ(parse_decimal_ns("1.5e3", 1'000'000), 1'500'000'000);
  EXPECT_EQ(parse_decimal_ns("0.0000000005", 1'000'000'000), 1);  // half rounds up
  EXPECT_EQ(parse_decimal_ns("0.1000000000000000000000000001", 1000), 100);
  for (const char* bad : {"", "-", ".", "1,5", "12x", "0x10", "nan", "inf", "1e", "1e400", " 1",
                          "--1", "99999999999999999999999", "9300000000"})
    EXPECT_FALSE(parse_decimal_ns(bad, 1'000'000'000)) << bad;
}

TEST(TraceCells, TimestampsOfAllYears) {
  const std::int64_t noon = 1'728'993'600'000'000'000;  // 2024-10-15T12:00:00Z
  EXPECT_EQ(parse_timestamp_ns("2024-10-15T12:00:00Z"), noon);
  EXPECT_EQ(parse_timestamp_ns("2024-10-15 12:00:00.269Z"), noon + 269'000'000);
  EXPECT_EQ(parse_timestamp_ns("2024-10-15 14:00:00.000001+02:00"), noon + 1000);
  EXPECT_EQ(parse_timestamp_ns("2024-10-15 08:30:00-0330"), noon);
  EXPECT_EQ(parse_timestamp_ns("2024-10-15 12:00:00.1234567899"), noon + 123'456'789);
  EXPECT_EQ(parse_timestamp_ns("1970-01-01 00:00:00"), 0);
  EXPECT_EQ(parse_timestamp_ns("2000-03-01 00:00:00"), 951'868'800'000'000'000);
  EXPECT_EQ(parse_timestamp_ns("2024-02-29 00:00:00"), 1'709'164'800'000'000'000);
  for (const char* bad :
       {"", "2024-10-15", "2023-02-29 00:00:00", "2024-13-01 00:00:00", "2024-00-01 00:00:00",
        "2024-10-15 24:00:00", "2024-10-15 12:60:00", "2024-10-15 12:00:00.", "2024/10/15 12:00:00",
        "2024-10-15 12:00:00 UTC", "2024-10-15 12:00:00+2", "2024-10-15T12:00:00ZZ",
        "9999-01-01 00:00:00", "24-10-15 12:00:00"})
    EXPECT_FALSE(parse_timestamp_ns(bad)) << bad;
}

TEST(TraceCells, Counts) {
  EXPECT_EQ(parse_count("0"), 0u);
  EXPECT_EQ(parse_count("4294967295"), 4294967295u);
  EXPECT_EQ(parse_count("12.0"), 12u);
  for (const char* bad : {"", "-1", "12.5", "12.", "4294967296", "1e3", "x", "+1", "1 "})
    EXPECT_FALSE(parse_count(bad)) << bad;
  EXPECT_EQ(parse_amount("1.5e6"), 1.5e6);
  for (const char* bad : {"", "-1", "inf", "nan", "1x"}) EXPECT_FALSE(parse_amount(bad)) << bad;
}

// --- formats ----------------------------------------------------------------------------------

TEST(Traces, AzureRowsKeepTheirDistances) {
  const auto all = read(
      "\xef\xbb\xbfTIMESTAMP,ContextTokens,GeneratedTokens\r\n"
      "2023-11-16 23:59:59.9799600,4808,10\r\n"
      "2023-11-17 00:00:00.0319601,3180,8",
      azure);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].at, Instant::zero());
  EXPECT_EQ(all[1].at.ns(), 52'000'100);
  EXPECT_EQ(all[0].prompt_tokens, 4808u);
  EXPECT_EQ(all[1].output_tokens, 8u);
  EXPECT_FALSE(all[0].image_tokens);
  EXPECT_FALSE(all[0].upload);
}

TEST(Traces, StartTimeScaleAndLimit) {
  const TemporaryFile file(azure_header +
                           "2024-05-10 00:00:00.5+00:00,1,1\n"
                           "2024-05-10 00:00:01.5+00:00,2,1\n"
                           "2024-05-10 00:00:04.5+00:00,3,1\n");
  Workload w = trace(file.path(), azure);
  w.arrivals.start = Duration::from_seconds(10);
  w.arrivals.time_scale = 0.5;
  EXPECT_EQ(seconds_of(take(w)), (std::vector<double>{10, 10.5, 12}));
  w.arrivals.limit = 2;
  EXPECT_EQ(take(w).size(), 2u);
  w.arrivals.limit = 0;
  EXPECT_TRUE(take(w).empty());
  w.arrivals.time_scale = 0;
  EXPECT_THAT(error_of(w), HasSubstr("time_scale must be positive"));
}

TEST(Traces, MooncakeHashesAreReadWhenTheirBlockIsKnown) {
  const std::string line =
      "{\"timestamp\": 0, \"input_length\": 1025, \"output_length\": 5, \"hash_ids\": [ 0, 46,7]}\n";
  EXPECT_EQ(read(line, mooncake).at(0).prompt_blocks, nullptr);
  const TemporaryFile file(line);
  Workload w = trace(file.path(), mooncake);
  w.arrivals.tokens_per_hash = 512;
  const auto blocks = take(w).at(0).prompt_blocks;
  ASSERT_NE(blocks, nullptr);
  EXPECT_EQ(blocks->tokens, 512u);
  EXPECT_EQ(blocks->contents, (std::vector<std::uint64_t>{0, 46, 7}));
  w.arrivals.tokens_per_hash = 1024;
  EXPECT_THAT(error_of(w), HasSubstr(":1: 3 \"hash_ids\" for 1025 tokens of input, 1024 each"));
  for (const char* wrong : {"[1, \"x\"]", "[1.5]", "[-1]", "[1, [2]]", "[281474976710656]", "{}", "7"}) {
    const TemporaryFile bad("{\"timestamp\": 0, \"input_length\": 9999, \"output_length\": 5, \"hash_ids\": " +
                        std::string(wrong) + "}\n");
    Workload v = trace(bad.path(), mooncake);
    v.arrivals.tokens_per_hash = 512;
    EXPECT_THAT(error_of(v), HasSubstr("\"hash_ids\" must be a list of whole numbers below 2^48"))
        << wrong;
  }
}

TEST(Traces, MooncakeSkipsWhatItDoesNotNeed) {
  const auto all = read(
      "{\"timestamp\": 27482, \"input_length\": 6955, \"output_length\": 52, "
      "\"hash_ids\": [46, 47, [], {\"a\": [1, \"x]\\\"}\"], \"b\": {}}, 2353]}\n"
      "\n"
      "{ \"hash_ids\":[],\"s\":\"},{\",\"n\":null,\"t\":true,\"f\":-1.5e-3,\"output_length\":3,"
      "\"input_length\":7.0,\"timestamp\":27482.5 } \r\n",
      mooncake);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].prompt_tokens, 6955u);
  EXPECT_EQ(all[1].at.ns(), 500'000);
  EXPECT_EQ(all[1].prompt_tokens, 7u);
  EXPECT_EQ(all[1].output_tokens, 3u);
}

TEST(Traces, BurstGptLeavesFailedRequestsOut) {
  const std::string header =
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n";
  const auto all = read(header +
                            "5,ChatGPT,472,0,472,Conversation log\n"
                            "45,ChatGPT,1087,230,1317,Conversation log\n"
                            "118.5,GPT-4,417,276,693,API log\n",
                        burstgpt);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].at, Instant::zero());
  EXPECT_EQ(all[0].prompt_tokens, 1087u);
  EXPECT_EQ(all[1].at, Instant::from_seconds(73.5));
  // The third release has more columns, in another order.
  const auto third = read(
      "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log "
      "Type\n0,a-1,1.5,GPT-4,10,20,30,API log\n",
      burstgpt);
  ASSERT_EQ(third.size(), 1u);
  EXPECT_EQ(third[0].output_tokens, 20u);
  EXPECT_THAT(problem(header + "5,ChatGPT,472,0,472,x\n", burstgpt),
              HasSubstr("all 1 rows have 0 response tokens"));
}

TEST(Traces, GenericCsvReadsWhatIsThere) {
  const auto all = read(
      "client , output_tokens,time_ms,upload_bytes,note,#prompt_token,download_bytes,prompt_tokens"
      "\n7,30,1000,1.5e6,\"a, \"\"b\"\"\",x,10,5\n,,1000.25,,,,,\n",
      csv);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].client, 7u);
  EXPECT_EQ(all[0].output_tokens, 30u);
  EXPECT_EQ(all[0].prompt_tokens, 5u);
  EXPECT_EQ(all[0].upload, 1.5e6);
  EXPECT_EQ(all[0].download, 10.0);
  EXPECT_FALSE(all[0].image_tokens);
  EXPECT_EQ(all[1].at.ns(), 250'000);
  EXPECT_FALSE(all[1].client || all[1].output_tokens || all[1].upload || all[1].prompt_tokens);
}

TEST(Traces, GenericCsvTimeUnits) {
  for (const auto& [column, expected] : {std::pair{"time", 2'000'000'000LL},
                                         {"time_s", 2'000'000'000LL},
                                         {"Time_ms", 2'000'000LL},
                                         {"time_us", 2'000LL},
                                         {"time_ns", 2LL}})
    EXPECT_EQ(read(std::string(column) + "\n1\n3\n", csv)[1].at.ns(), expected) << column;
  EXPECT_THAT(problem("time,time_ms\n1,1\n", csv), HasSubstr(":1: more than one time column"));
  EXPECT_THAT(problem("when,prompt_tokens\n1,1\n", csv), HasSubstr(":1: no column \"time\""));
}

TEST(Traces, AlmostKnownColumnsAreErrors) {
  EXPECT_THAT(problem("time,prompt_token\n1,1\n", csv),
              HasSubstr(":1: unknown column \"prompt_token\"; did you mean \"prompt_tokens\"?"));
  EXPECT_EQ(problem("time,#prompt_token,model,request_id\n1,1,x,y\n", csv), "");
  EXPECT_THAT(problem("TIMESTAMP,ContextToken,GeneratedTokens\n", azure),
              HasSubstr("no column \"ContextTokens\" (is it \"ContextToken\"?); the header has "
                        "TIMESTAMP, ContextToken, GeneratedTokens"));
}

// --- hostile files ----------------------------------------------------------------------------

TEST(Traces, BadRowsAreNamed) {
  const std::string good = "2024-05-10 00:00:00,1,1\n";
  const auto row = [&](const std::string& text) {
    return problem(azure_header + good + text, azure);
  };
  EXPECT_EQ(row("2024-05-10 00:00:01,1\n"), ":3: row has 2 cells, the header has 3");
  EXPECT_EQ(row("2024-05-10 00:00:01,-1,1\n"),
            ":3: ContextTokens must be a whole number of at least 0, found \"-1\"");
  EXPECT_THAT(row("2024-05-10 00:00:01,1,\n"), HasSubstr(":3: GeneratedTokens must be"));
  EXPECT_THAT(row("yesterday,1,1\n"), HasSubstr(":3: TIMESTAMP must be a date like"));
  EXPECT_THAT(row(good + "2024-05-09 23:59:59,1,1\n"),
              HasSubstr(":4: time goes back by 1 s; rows must be in order of time"));
  EXPECT_EQ(row("\n" + good + "  \n" + good), "");  // blank lines and equal dates are fine
  EXPECT_THAT(row("\n\nx,1,1\n"), HasSubstr(":5:"));
  EXPECT_THAT(row(std::string("\0\0\0\n", 4)), HasSubstr(":3: row has 1 cells"));
  EXPECT_THAT(row("\"2024-05-10 00:00:01,1,1\n"), HasSubstr(":3: a quoted cell does not end"));
  EXPECT_THAT(row("\"2024-05-10 00:00:01\"x,1,1\n"), HasSubstr(":3: text after a quoted cell"));
  EXPECT_THAT(problem("time,upload_bytes\n1,-5\n", csv), HasSubstr(":2: upload_bytes must be"));
  EXPECT_THAT(problem("time,client\n1,me\n", csv), HasSubstr(":2: client must be"));
  EXPECT_THAT(problem("time\n1\n9e18\n", csv), HasSubstr(":3: time must be a number"));
  EXPECT_THAT(problem("time\n-9000000000\n9000000000\n", csv), HasSubstr(":3: date lies more"));
  EXPECT_THAT(problem("time,time\n1,1\n", csv), HasSubstr(":1: column \"time\" occurs twice"));
}

TEST(Traces, BadJsonIsNamed) {
  const auto line = [](const std::string& text) { return problem(text + "\n", mooncake); };
  const std::string rest = ", \"input_length\": 1, \"output_length\": 1}";
  EXPECT_EQ(line("[1]"), ":1: expected a JSON object, one per line");
  EXPECT_EQ(line("{\"timestamp\": 1, \"input_length\": 1}"),
            ":1: no \"output_length\" in the object");
  EXPECT_THAT(line("{\"timestamp\": \"1\"" + rest), HasSubstr("\"timestamp\" must be a number of"));
  EXPECT_THAT(line("{\"timestamp\": 1, \"timestamp\": 1" + rest), HasSubstr("occurs twice"));
  EXPECT_THAT(line("{\"timestamp\": 1, \"output_length\": -1, \"input_length\": 1}"),
              HasSubstr("\"output_length\" must be a whole number of at least 0, found -1"));
  EXPECT_THAT(line("{\"timestamp\": 1" + rest + " x"), HasSubstr(":1: text after the object"));
  for (const char* bad :
       {"{",          "{\"a\"",      "{\"a\":",         "{\"a\":1",          "{\"a\":1,",
        "{\"a\":1,}", "{\"a\" 1}",   "{a:1}",           "{\"a\":[1,]}",      "{\"a\":[1 2]}",
        "{\"a\":[}",  "{\"a\":{]}",  "{\"a\":{\"b\"}}", "{\"a\":tru}",       "{\"a\":1.}",
        "{\"a\":-}",  "{\"a\":\"x}", "{\"a\":\"\\",     "{\"a\":[\"x\\\"]}", "{,}"})
    EXPECT_THAT(line(bad), HasSubstr(":1: ")) << bad;
  // Deep nesting must not reach the stack's end.
  EXPECT_THAT(line("{\"a\":" + std::string(1'000'000, '[')), HasSubstr("nest more than 64 deep"));
  EXPECT_EQ(
      line("{\"a\":" + std::string(64, '[') + std::string(64, ']') + ",\"timestamp\":1" + rest),
      "");
  EXPECT_EQ(problem("", mooncake), ": is empty; expected one JSON object per line");
}

TEST(Traces, FilesThatAreNoTraces) {
  EXPECT_EQ(problem("", csv), ": is empty; expected a header line and rows");
  EXPECT_EQ(problem("\n\r\n", csv), ": is empty; expected a header line and rows");
  EXPECT_EQ(problem(azure_header, azure), ": has a header but no rows");
  EXPECT_EQ(problem("time", csv), ": has a header but no rows");
  EXPECT_THAT(problem("\xff\xfet\0i\0", csv), HasSubstr("UTF-16"));
  EXPECT_THAT(problem("\x1f\x8b\x08", csv), HasSubstr("compressed"));
  EXPECT_THAT(error_of(trace("/no/such/file", csv)), EndsWith("No such file or directory"));
  EXPECT_THAT(error_of(trace("/", csv)), EndsWith("is a directory, not a trace file"));
  EXPECT_THAT(error_of(trace("/dev/zero", csv)), HasSubstr("is a pipe or a device"));

  const TemporaryFile place("");
  std::filesystem::remove(place.path());
  ASSERT_EQ(::mkfifo(place.path().c_str(), 0600), 0);
  EXPECT_THAT(error_of(trace(place.path(), csv)), HasSubstr("is a pipe or a device"));
}

TEST(Traces, LongLines) {
  // Longer than the first buffer, and in the middle of a file.
  const std::string note(3'000'000, 'x');
  const auto all = read("time,note\n1," + note + "\n2,y\n", csv);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].at, Instant::from_seconds(1));
  EXPECT_THAT(problem("time,note\n1," + std::string((16u << 20) + 1, 'x'), csv),
              HasSubstr(":2: line is longer than 16 MiB"));
}

TEST(Traces, LineEndsAcrossBufferBoundaries) {
  // Rows of every length around the buffer's size.
  for (std::size_t pad = (1u << 18) - 12; pad < (1u << 18) + 4; ++pad) {
    const auto all = read("time,note\r\n1," + std::string(pad - 13, 'x') + "\r\n5,\r\n7,", csv);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[2].at, Instant::from_seconds(6));
  }
}

// Any damage ends in arrivals or in an InputError that names the file, never in anything else.
TEST(Traces, DamagedFilesAreReadOrRefused) {
  const std::pair<TraceFormat, std::string> texts[] = {
      {azure, azure_header + "2024-05-10 00:00:00.1+00:00,1,1\n2024-05-10 00:00:01,22,333\n"},
      {mooncake,
       "{\"timestamp\": 1, \"input_length\": 2, \"output_length\": 3, \"hash_ids\": [0, 1]}\n"},
      {csv, "time_ms,prompt_tokens,upload_bytes,note\n1.5,2,3e4,\"a,\"\"b\"\n2,,5,x\n"}};
  constexpr std::string_view bytes = "0123456789.,-+eE\"\\{}[]:\n\r \t\0\xff";
  Rng g = StreamKey(1, "damage").sequence();
  for (int round = 0; round < 600; ++round)
    for (const auto& [format, text] : texts) {
      std::string damaged = text;
      for (std::uint64_t n = 1 + uniform_index(g, 4); n > 0; --n) {
        const auto at = static_cast<std::size_t>(uniform_index(g, damaged.size()));
        const char c = bytes[uniform_index(g, bytes.size())];
        if (const auto what = uniform_index(g, 3); what == 0) {
          damaged[at] = c;
        } else if (what == 1) {
          damaged.insert(at, 1, c);
        } else {
          damaged.erase(at, 1);
        }
      }
      const TemporaryFile file(damaged);
      const std::string message = error_of(trace(file.path(), format));
      EXPECT_TRUE(message.empty() || message.starts_with(file.path())) << message;
    }
}

// --- real files -------------------------------------------------------------------------------

class RealTraces : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(workload_data()))
      GTEST_SKIP() << "no traces at " << workload_data()
                   << "; set ISTHMUS_DATA (docs/workloads.md says where to fetch them)";
  }
  static std::string path(const char* name) { return (workload_data() / name).string(); }
};

TEST_F(RealTraces, AzureConversation2023) {
  const auto all = take(trace(path("azure_llm_2023/AzureLLMInferenceTrace_conv.csv"), azure));
  ASSERT_EQ(all.size(), 19'366u);
  EXPECT_EQ(all[0].prompt_tokens, 374u);
  EXPECT_EQ(all[1].at.ns(), 4'314'579'000);
  EXPECT_NEAR(all.back().at.seconds(), 3501.722, 0.001);
}

TEST_F(RealTraces, AzureCode2023) {
  const auto all = take(trace(path("azure_llm_2023/AzureLLMInferenceTrace_code.csv"), azure));
  ASSERT_EQ(all.size(), 8'819u);
  EXPECT_EQ(all[0].prompt_tokens, 4808u);
  EXPECT_NEAR(all.back().at.seconds(), 3435.948, 0.001);
}

TEST_F(RealTraces, Mooncake) {
  const auto all = take(trace(path("mooncake/conversation_trace.first6000.jsonl"), mooncake));
  ASSERT_EQ(all.size(), 6'000u);
  EXPECT_EQ(all[0].prompt_tokens, 6758u);
  EXPECT_EQ(all[0].output_tokens, 500u);
  EXPECT_EQ(all.back().at, Instant::from_seconds(1872));
  EXPECT_EQ(take(trace(path("mooncake/synthetic_trace.first2000.jsonl"), mooncake)).size(), 2'000u);
}

TEST_F(RealTraces, Azure2024) {
  const auto code = take(trace(path("format_fixtures/azure_llm_2024_code_head5.csv"), azure));
  ASSERT_EQ(code.size(), 5u);
  EXPECT_EQ(code[1].at.ns(), 7'405'000);
  EXPECT_EQ(code[4].prompt_tokens, 7670u);
  const auto conv = take(trace(path("format_fixtures/azure_llm_2024_conv_head5.csv"), azure));
  ASSERT_EQ(conv.size(), 5u);
  EXPECT_EQ(conv[4].output_tokens, 104u);
}

TEST_F(RealTraces, AzureMultimodal2025) {
  Workload w = trace(path("format_fixtures/azure_lmm_2025_head5.csv"), azure);
  const auto all = take(w);
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[1].at.ns(), 5'550'000'000);
  EXPECT_EQ(all[0].image_tokens, 0u);
  EXPECT_EQ(all[1].image_tokens, 576u);
  w.arrivals.tokens_per_image = 1000;
  EXPECT_EQ(take(w)[4].image_tokens, 1000u);
}

TEST_F(RealTraces, BurstGpt) {
  const auto all = take(trace(path("format_fixtures/burstgpt_1_head3.csv"), burstgpt));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[2].at, Instant::from_seconds(113));
  EXPECT_EQ(all[2].prompt_tokens, 417u);
  EXPECT_THAT(error_of(trace(path("format_fixtures/burstgpt_3_header.csv"), burstgpt)),
              EndsWith("has a header but no rows"));
}

TEST_F(RealTraces, TheWrongFormatSaysSo) {
  const auto conv = path("azure_llm_2023/AzureLLMInferenceTrace_conv.csv");
  EXPECT_THAT(error_of(trace(conv, mooncake)), EndsWith("expected a JSON object, one per line"));
  EXPECT_THAT(error_of(trace(conv, burstgpt)), HasSubstr("no column \"Request tokens\""));
  EXPECT_THAT(error_of(trace(conv, csv)), HasSubstr("no column \"time\""));
  EXPECT_THAT(error_of(trace(path("mooncake/synthetic_trace.first2000.jsonl"), azure)),
              HasSubstr(":1: is JSON;"));
}

}  // namespace
}  // namespace isthmus::world
