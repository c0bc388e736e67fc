// Text for people: figures, tables, charts and the report of one run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "fixtures.hpp"
#include "results/comparison.hpp"
#include "results/format.hpp"
#include "results/html_report.hpp"
#include "results/svg_chart.hpp"
#include "results/text_table.hpp"

namespace isthmus::results {
namespace {

using namespace test;
using testing::HasSubstr;

TEST(Format, ThreeSignificantDigits) {
  EXPECT_EQ(format_figure(0), "0");
  EXPECT_EQ(format_figure(0.04123), "0.0412");
  EXPECT_EQ(format_figure(41.23), "41.2");
  EXPECT_EQ(format_figure(41234), "41234");
  EXPECT_EQ(format_figure(-1.5), "-1.50");
  EXPECT_EQ(format_figure(NAN), "-");
  EXPECT_EQ(format_figure(INFINITY), "inf");
}

TEST(Format, UnitsThatSuitTheValue) {
  EXPECT_EQ(format_quantity(0.412, "s"), "412 ms");
  EXPECT_EQ(format_quantity(4.12e-5, "s"), "41.2 us");
  EXPECT_EQ(format_quantity(3e-9, "s"), "3.00 ns");
  EXPECT_EQ(format_quantity(0.99999, "s"), "1.00 s");
  EXPECT_EQ(format_quantity(0, "s"), "0 s");
  EXPECT_EQ(format_quantity(125, "s"), "125 s");
  EXPECT_EQ(format_quantity(12500, "J"), "12.5 kJ");
  EXPECT_EQ(format_quantity(2.5e9, "B"), "2.50 GB");
  EXPECT_EQ(format_quantity(0.12, "USD"), "0.120 USD");
  EXPECT_EQ(format_quantity(0.5, "1"), "0.500");
  EXPECT_EQ(format_quantity(NAN, "s"), "-");
  EXPECT_EQ(format_interval(0.412, 0.012, "s"), "412 ms +- 12");
  EXPECT_EQ(format_interval(0.412, 0, "s"), "412 ms");
  EXPECT_EQ(format_difference(0.0053, 0.0048, 0.0059, "s"), "+5.30 [4.80, 5.90] ms");
  EXPECT_EQ(format_difference(-0.5, -INFINITY, INFINITY, "J"), "-500 mJ");
  EXPECT_EQ(format_difference(0, 0, 0, "USD"), "0 USD");
  EXPECT_EQ(format_difference(NAN, 0, 0, "s"), "-");
  EXPECT_EQ(format_interval(0.412, INFINITY, "s"), "412 ms");
  EXPECT_EQ(format_percent(0.971), "97.1 %");
  EXPECT_EQ(format_percent(0.9995), "99.95 %");
  EXPECT_EQ(format_percent(NAN), "-");
}

TEST(TextTable, AlignsCharactersNotBytes) {
  TextTable t({"x", "v"});
  t.add_row({"\u00fc\u00fc", "1"});
  t.add_row({"abc", "22"});
  EXPECT_EQ(t.text(), "x     v\n\u00fc\u00fc    1\nabc  22\n");
  EXPECT_THROW(t.add_row({"too", "many", "cells"}), InternalError);
}

TEST(TextTable, ContinuesWideTables) {
  TextTable t({"name", "first", "second", "third"});
  t.add_row({"row", "1", "2", "3"});
  EXPECT_EQ(t.text(20), "name  first  second\nrow       1       2\n\nname  third\nrow       3\n");
}

TEST(Svg, DrawsLinesInsideTheFrame) {
  const std::string s =
      svg({"<title>", "x", "y", true, 1, {{"a & b", {{0.001, 0}, {0.01, 0.5}, {1, 1}}}}});
  EXPECT_THAT(s, HasSubstr("&lt;title&gt;"));
  EXPECT_THAT(s, HasSubstr("a &amp; b"));
  EXPECT_THAT(s, HasSubstr("class=\"line\""));
  EXPECT_THAT(s, HasSubstr("M64.0 254.0"));  // left bottom corner of the frame
  EXPECT_THAT(s, HasSubstr("L708.0 30.0"));  // right top corner
  EXPECT_THAT(s, testing::Not(HasSubstr("nan")));
  EXPECT_THAT(s, testing::Not(HasSubstr(">-0<")));  // the axis starts at 0
  EXPECT_THAT(svg({"t", "x", "y", false, 0, {}}), HasSubstr("no data"));
  EXPECT_THAT(svg({"t", "x", "y", false, 0, {{"one point", {{2, 0}}}}}),
              testing::Not(HasSubstr("nan")));
}

TEST(TimeSeries, StaysBoundedAndKeepsTheMean) {
  TimeSeries series(1);
  const int n = 10000;
  for (int i = 0; i < n; ++i) {
    ServiceSample s;
    s.at = Instant::from_seconds(i);
    s.queued = static_cast<std::uint32_t>(i);
    series.add(s);
  }
  const auto lines = series.lines("queued", two_services());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_LE(lines[0].points.size(), TimeSeries::most_points);
  EXPECT_GT(lines[0].points.size(), TimeSeries::most_points / 4);
  for (const auto& [x, y] : lines[0].points) EXPECT_NEAR(x, y, 1e-9);
}

TEST(LatencyCdf, RisesToOne) {
  Distribution d(true);
  Rng g(1);
  for (int i = 0; i < 5000; ++i) d.add(sample_exponential(g, 1e8));
  d.seal();
  const ChartLine line = latency_cdf("x", MergedDistribution({&d}));
  ASSERT_GT(line.points.size(), 100U);
  EXPECT_LT(line.points.size(), 600U);
  for (std::size_t i = 1; i < line.points.size(); ++i) {
    EXPECT_GT(line.points[i].first, line.points[i - 1].first);
    EXPECT_GT(line.points[i].second, line.points[i - 1].second);
  }
  EXPECT_DOUBLE_EQ(line.points.back().second, 1);
}

TEST(RunReport, TellsTheRun) {
  RunInfo info = two_services();
  info.label = "score";
  info.notes = {"prefill of 9000 tokens is outside the profile"};
  info.objectives = {{"latency", 95, ms(50)}, {"latency", 50, ms(50)}};
  Recorder recorder(info, {});
  recorder.add(answered(0, 3));
  recorder.add(answered_llm(1, 4));
  recorder.add(ended(2, 5, Status::rejected, Cause::queue_full));
  const std::string text = run_report(recorder.finish(totals(3)));
  for (const char* needed :
       {"test run: score", "seed 7", "network: fluid", "12.0 s simulated (2.00 s warm-up)",
        "created 3 = completed 2 + rejected 1 (queue_full 1) + failed 0 + in flight 0",
        "from cameras", "at edge", "at cloud", "TTFT mean", "36.0 ms", "utilization",
        "timing of edge: roofline +-10 %", "yolo int8", "gateway", "uplink",
        "SLO latency <= 50.0 ms for 95.0 % of requests: 33.3 %, MISSED",
        "note: prefill of 9000 tokens", "fingerprint 0123456789abcdef", "results were not written"})
    EXPECT_THAT(text, HasSubstr(needed)) << text;
}

}  // namespace
}  // namespace isthmus::results
