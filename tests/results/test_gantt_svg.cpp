// Pictures of schedules: what is in them, that they are sound XML, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>

#include "results/gantt_svg.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::results {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Gantt small() {
  Gantt g;
  g.title = "a <graph> & its \"units\"";
  g.subtitle = "3 ms";
  g.rows = {"gpu", "cpu"};
  g.row_notes = {"90 % busy\n3 mJ"};
  g.groups = {"conv", "gemm", "unused"};
  g.bars = {{.row = 0,
             .start = 0.001,
             .end = 0.002,
             .label = "first",
             .module = "a.b",
             .detail = "",
             .critical = true},
            {.row = 1,
             .start = 0.002,
             .end = 0.003,
             .label = "second",
             .group = 1,
             .module = "a.c",
             .detail = "7 kB"}};
  g.links = {{0, 1, 0.002, 0.002, "first to second", true}};
  g.marks = {{0.0025, "bound"}, {1.0, "far away"}};
  g.prelude = 0.001;
  g.prelude_label = "framework";
  return g;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// Every opened element is closed, in order; no bare ampersand is left.
void expect_sound_xml(const std::string& svg) {
  std::vector<std::string> open;
  static const std::regex tag("<(/?)([a-zA-Z]+)[^<>]*?(/?)>");
  for (std::sregex_iterator it(svg.begin(), svg.end(), tag), end; it != end; ++it) {
    if ((*it)[3].length() > 0) continue;
    if ((*it)[1].length() == 0) {
      open.push_back((*it)[2]);
    } else {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(open.back(), (*it)[2].str());
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty());
  static const std::regex bare("&(?!amp;|lt;|gt;|quot;|#39;)");
  EXPECT_FALSE(std::regex_search(svg, bare));
}

TEST(GanttSvg, ShowsBarsLinksMarksAndLegend) {
  const std::string svg = gantt_svg(small());
  expect_sound_xml(svg);
  EXPECT_EQ(svg, gantt_svg(small()));
  EXPECT_THAT(svg, HasSubstr("a &lt;graph&gt; &amp; its &quot;units&quot;"));
  EXPECT_THAT(svg, HasSubstr("<title>first (conv)\n1 ms on gpu: 1 ms to 2 ms\nmodule a.b\non the "
                             "critical path</title>"));
  EXPECT_THAT(svg, HasSubstr("<title>second (gemm)\n1 ms on cpu: 2 ms to 3 ms\nmodule a.c\n7 kB"));
  EXPECT_THAT(svg, HasSubstr("<title>first to second</title>"));
  EXPECT_THAT(svg, HasSubstr("time / ms"));
  EXPECT_THAT(svg, HasSubstr(">bound</text>"));
  EXPECT_THAT(svg, HasSubstr(">3 mJ</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("far away")));
  EXPECT_THAT(svg, Not(HasSubstr("unused")));
  EXPECT_EQ(count(svg, "class=\"hotlink\""), 1u);
  EXPECT_EQ(count(svg, "class=\"hot\""), 2u);  // the bar and the legend
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme:dark"));
}

TEST(GanttSvg, HasNoControlCharacters) {
  Gantt g = small();
  g.bars[0].label = std::string(
      "a\x01"
      "b\x1f"
      "c");
  const std::string svg = gantt_svg(g);
  EXPECT_THAT(svg, HasSubstr("a?b?c"));
  for (const char c : svg) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n');
}

TEST(GanttSvg, LongGraphsStayBounded) {
  Gantt g;
  g.title = "long";
  g.rows = {"npu"};
  g.groups = {"conv"};
  for (int i = 0; i < 2000; ++i)
    g.bars.push_back({.row = 0,
                      .start = i * 1e-6,
                      .end = (i + 1) * 1e-6,
                      .label = "operator with a long name " + std::to_string(i),
                      .module = "layers." + std::to_string(i / 100),
                      .detail = ""});
  const std::string svg = gantt_svg(g);
  EXPECT_THAT(svg, HasSubstr("width=\"3600\""));
  EXPECT_EQ(count(svg, "</title></rect>"), 2000u);
  EXPECT_EQ(count(svg, "class=\"bracket\""), 20u);  // one per layer
  EXPECT_THAT(svg, HasSubstr(">layers.7</text>"));
  EXPECT_EQ(count(svg, "class=\"on\""), 0u);  // no label fits
}

TEST(GanttSvg, CutsLabelsBetweenLetters) {
  Gantt g;
  g.rows = {"cpu"};
  g.groups = {"conv"};
  for (int i = 0; i < 9; ++i)
    g.bars.push_back(
        {.row = 0,
         .start = i * 0.1,
         .end = i * 0.1 + 0.1,
         .label = std::string("\u00fcber\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc"
                              "\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc") +
                  std::string(static_cast<std::size_t>(i), 'x'),
         .module = "",
         .detail = ""});
  const std::string svg = gantt_svg(g);
  // Every byte 110xxxxx is followed by 10xxxxxx.
  for (std::size_t i = 0; i + 1 < svg.size(); ++i)
    if ((static_cast<unsigned char>(svg[i]) & 0xE0) == 0xC0) {
      EXPECT_EQ(static_cast<unsigned char>(svg[i + 1]) & 0xC0, 0x80);
    }
}

TEST(GanttSvg, DrawsNothingWhereThereIsNothing) {
  Gantt g;
  g.title = "empty";
  expect_sound_xml(gantt_svg(g));
  g.rows = {"cpu"};
  g.groups = {"conv"};
  g.bars = {{.row = 0, .start = 0, .end = 0, .label = "no time", .module = "", .detail = ""}};
  expect_sound_xml(gantt_svg(g));
  EXPECT_THAT(gantt_svg(g), Not(HasSubstr("nan")));
}

TEST(GanttSvg, RefusesWhatHasNoPlace) {
  Gantt g = small();
  g.bars[0].row = 2;
  EXPECT_THROW(gantt_svg(g), InternalError);
  g = small();
  g.bars[0].group = 3;
  EXPECT_THROW(gantt_svg(g), InternalError);
  g = small();
  g.links[0].to_row = 9;
  EXPECT_THROW(gantt_svg(g), InternalError);
  g = small();
  g.bars[1].end = std::numeric_limits<double>::infinity();
  EXPECT_THROW(gantt_svg(g), InternalError);
}

}  // namespace
}  // namespace isthmus::results
