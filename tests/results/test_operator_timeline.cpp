// Operators of a run as a picture: what is shown, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "fixtures.hpp"
#include "models/hdf5.hpp"
#include "results/operator_timeline.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::results {
namespace {

using namespace test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr double infinity = std::numeric_limits<double>::infinity();

Instant at_ms(double v) { return Instant::zero() + ms(v); }

// Two lanes of a gateway; "edge" has it alone until 30 ms, then "cloud" joins.
void write_run(const std::filesystem::path& directory, bool operators = true) {
  RunInfo info = two_services();
  info.lanes = {"cpu", "gpu 1", "gpu 2"};
  info.operators = {"first", "second", "other"};
  Recorder recorder(info, {.streaming = false, .directory = directory, .operators = operators});
  const auto add = [&](double from, double to, std::uint32_t lane, std::uint32_t service,
                       std::uint32_t op, std::uint32_t kind) {
    recorder.add(OperatorRecord{.start = at_ms(from),
                                .end = at_ms(to),
                                .group = 0,
                                .node = 1,
                                .lane = lane,
                                .service = service,
                                .replica = 2,
                                .op = op,
                                .kind = kind});
  };
  add(10, 20, 0, 0, 0, 1);
  add(20, 30, 1, 0, 1, 3);
  add(30, 40, 0, 1, 2, 1);
  add(30, 45, 1, 0, 0, 1);
  recorder.finish(WorldTotals{});
}

TimelineWindow window(double from, double to) {
  return {.group = "", .node = 1, .from = from, .to = to, .most = 500};
}

TEST(OperatorTimeline, ShowsOneServiceByKindAndSeveralByName) {
  const Scratch scratch;
  write_run(scratch / "run");
  const Gantt one = operator_timeline(scratch / "run", window(0, 0.030));
  EXPECT_THAT(one.rows, ElementsAre("cpu", "gpu 1"));
  ASSERT_EQ(one.bars.size(), 2u);
  EXPECT_EQ(one.groups[one.bars[0].group], "conv");
  EXPECT_EQ(one.groups[one.bars[1].group], "gemm");
  EXPECT_EQ(one.bars[1].label, "second");
  EXPECT_EQ(one.bars[1].row, 1u);
  EXPECT_DOUBLE_EQ(one.begin, 0.010);
  EXPECT_THAT(one.row_notes, ElementsAre("50 % busy", "50 % busy"));

  const Gantt all = operator_timeline(scratch / "run", window(0, infinity));
  EXPECT_THAT(all.groups, ElementsAre("edge", "cloud"));
  EXPECT_EQ(all.bars.size(), 4u);
  EXPECT_THAT(all.bars[2].detail, HasSubstr("conv of cloud, replica 2"));
  EXPECT_THAT(gantt_svg(all), HasSubstr("10 ms on cpu: 30 ms to 40 ms"));
}

TEST(OperatorTimeline, CutsAtTheWindow) {
  const Scratch scratch;
  write_run(scratch / "run");
  const Gantt g = operator_timeline(scratch / "run", window(0.015, 0.035));
  EXPECT_EQ(g.begin, 0.015);
  for (const GanttBar& b : g.bars) {
    EXPECT_GE(b.start, 0.015);
    EXPECT_LE(b.end, 0.035);
  }
  EXPECT_THAT(g.row_notes, ElementsAre("50 % busy", "75 % busy"));
  TimelineWindow few = window(0, infinity);
  few.most = 1;
  EXPECT_EQ(operator_timeline(scratch / "run", few).bars.size(), 1u);
}

void expect_refused(const std::filesystem::path& run, const TimelineWindow& w, const char* text) {
  EXPECT_THAT([&] { operator_timeline(run, w); }, ThrowsMessage<InputError>(HasSubstr(text)));
}

TEST(OperatorTimeline, SaysWhatIsMissing) {
  const Scratch scratch;
  write_run(scratch / "run");
  TimelineWindow w = window(0, infinity);
  w.group = "gatewy";
  expect_refused(scratch / "run", w, "no node group \"gatewy\"; there are: gateway, server");
  w = window(0, infinity);
  w.node = 0;
  expect_refused(scratch / "run", w, "nothing ran on node 0 of \"gateway\"");
  expect_refused(scratch / "run", window(1, 2), "nothing ran");
  expect_refused(scratch / "run", window(2, 1), "is empty");
  expect_refused(scratch / "run", window(std::numeric_limits<double>::quiet_NaN(), 1), "is empty");
  write_run(scratch / "bare", false);
  expect_refused(scratch / "bare", window(0, 1), "the run kept no operators");
  expect_refused(scratch / "nowhere", window(0, 1), "run.h5");
}

TEST(OperatorTimeline, RefusesDamagedTables) {
  const Scratch scratch;
  std::filesystem::create_directories(scratch / "run");
  {
    h5::File file = h5::File::create((scratch / "run" / "run.h5").string());
    {
      h5::Group g = file.create_group("operators");
      const std::vector<std::string> names{"only"};
      const auto codes = [&](const char* name, std::uint32_t code) {
        auto d = g.write<std::uint32_t>(name, std::vector<std::uint32_t>{code});
        d.set_attribute("values", std::span<const std::string>(names));
      };
      g.write<std::int64_t>("start", std::vector<std::int64_t>{1});
      g.write<std::int64_t>("end", std::vector<std::int64_t>{2});
      for (const char* name : {"group", "node", "service", "replica", "operator", "kind"})
        codes(name, 0);
      codes("lane", 7);  // there is one name
    }
    file.close();
  }
  expect_refused(scratch / "run", {.group = "", .node = 0, .from = 0, .to = 1, .most = 9},
                 "\"operators\" is damaged");
}

}  // namespace
}  // namespace isthmus::results
