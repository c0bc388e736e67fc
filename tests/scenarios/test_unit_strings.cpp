#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

#include "scenarios/unit_strings.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::HasSubstr;

constexpr int unit_count = static_cast<int>(Unit::price_per_byte) + 1;

std::string error_of(const std::string& text, Unit unit) {
  try {
    parse_quantity(text, unit);
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

TEST(UnitStrings, ExamplesOfEveryDimension) {
  EXPECT_DOUBLE_EQ(parse_quantity("5 ms", Unit::duration), 0.005);
  EXPECT_DOUBLE_EQ(parse_quantity("5ms", Unit::duration), 0.005);
  EXPECT_DOUBLE_EQ(parse_quantity("1.5 h", Unit::duration), 5400);
  EXPECT_DOUBLE_EQ(parse_quantity("3 µs", Unit::duration), 3e-6);
  EXPECT_DOUBLE_EQ(parse_quantity("3 \u03bcs", Unit::duration), 3e-6);
  EXPECT_DOUBLE_EQ(parse_quantity("2 day", Unit::duration), 172800);
  EXPECT_DOUBLE_EQ(parse_quantity("80 Mbps", Unit::bandwidth), 1e7);
  EXPECT_DOUBLE_EQ(parse_quantity("38 GB/s", Unit::bandwidth), 38e9);
  EXPECT_DOUBLE_EQ(parse_quantity("16 GiB", Unit::bytes), 16.0 * 1073741824);
  EXPECT_DOUBLE_EQ(parse_quantity("1.2 MB", Unit::bytes), 1.2e6);
  EXPECT_DOUBLE_EQ(parse_quantity("30 /min", Unit::rate), 0.5);
  EXPECT_DOUBLE_EQ(parse_quantity("4 TOPS", Unit::compute), 4e12);
  EXPECT_DOUBLE_EQ(parse_quantity("3 W", Unit::power), 3);
  EXPECT_DOUBLE_EQ(parse_quantity("2 Wh", Unit::energy), 7200);
  EXPECT_DOUBLE_EQ(parse_quantity("0.09 USD/GB", Unit::price_per_byte), 9e-11);
  EXPECT_DOUBLE_EQ(parse_quantity("365 USD/month", Unit::price_per_hour), 0.5);
  EXPECT_DOUBLE_EQ(parse_quantity("70 %", Unit::fraction), 0.7);
  EXPECT_DOUBLE_EQ(parse_quantity("0.7", Unit::fraction), 0.7);
  EXPECT_DOUBLE_EQ(parse_quantity("1e3 ms", Unit::duration), 1);
  EXPECT_DOUBLE_EQ(parse_quantity(".5 s", Unit::duration), 0.5);
}

TEST(UnitStrings, MessagesNameUnitsAndGiveAnExample) {
  EXPECT_THAT(error_of("5", Unit::duration),
              HasSubstr("has no unit; write a duration such as \"5 ms\""));
  EXPECT_THAT(error_of("5 MB", Unit::duration), HasSubstr("is a data size, not a duration"));
  EXPECT_THAT(error_of("5 sec", Unit::duration), HasSubstr("unknown unit \"sec\""));
  EXPECT_THAT(error_of("5 mbps", Unit::bandwidth), HasSubstr("did you mean \"Mbps\"?"));
  EXPECT_THAT(error_of("fast", Unit::bandwidth), HasSubstr("does not start with a number"));
  EXPECT_THAT(error_of("inf s", Unit::duration), HasSubstr("does not start with a number"));
  EXPECT_THAT(error_of("nan s", Unit::duration), HasSubstr("does not start with a number"));
  EXPECT_THAT(error_of("1e999 s", Unit::duration), HasSubstr("out of range"));
  EXPECT_THAT(error_of("1e308 TiB", Unit::bytes), HasSubstr("out of range"));
  EXPECT_THAT(error_of("", Unit::power), HasSubstr("units: W, mW, kW"));
  EXPECT_NE(error_of("5 s s", Unit::duration), "no error");
  EXPECT_NE(error_of("0x10 s", Unit::duration), "no error");
  EXPECT_NE(error_of("--5 s", Unit::duration), "no error");
}

// Whatever is formatted can be read again, and the editor's pattern agrees with the parser.
TEST(UnitStrings, FormattedValuesReadBack) {
  Rng g(3);
  for (int u = 1; u < unit_count; ++u) {
    const Unit unit = static_cast<Unit>(u);
    const std::regex pattern(pattern_of(unit));
    for (int i = 0; i < 500; ++i) {
      const double value = std::exp(40 * uniform01(g) - 20);
      const std::string text = format_quantity(value, unit);
      EXPECT_NEAR(parse_quantity(text, unit) / value, 1, 1e-5) << text;
      EXPECT_TRUE(std::regex_match(text, pattern)) << text << " " << pattern_of(unit);
    }
  }
}

TEST(UnitStrings, EveryUnitIsReadByItsOwnDimension) {
  for (int u = 1; u < unit_count; ++u) {
    const Unit unit = static_cast<Unit>(u);
    const std::regex pattern(pattern_of(unit));
    for (const UnitName& name : units_of(unit)) {
      const std::string text = "2.5 " + std::string(name.name);
      EXPECT_DOUBLE_EQ(parse_quantity(text, unit), 2.5 * name.factor);
      EXPECT_TRUE(std::regex_match(text, pattern)) << text;
      for (int other = 1; other < unit_count; ++other)
        if (other != u && name.name != "Hz") {  // of rates and of clocks
          EXPECT_NE(error_of(text, static_cast<Unit>(other)), "no error") << text;
        }
    }
  }
}

}  // namespace
}  // namespace isthmus::scenarios
