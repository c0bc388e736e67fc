#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "schedulers/entry.hpp"
#include "schedulers/registry.hpp"

namespace isthmus::schedulers {
namespace {

using ::testing::HasSubstr;

std::vector<ParameterSpec> specs() {
  return {number_parameter("alpha", Dimension::fraction, 0.6, 0, 1, "weight"),
          number_parameter("max_batch", Dimension::count, 8, 1, 64, "size"),
          number_parameter("delay", Dimension::duration, 0.01, 0, 10, "wait"),
          text_parameter("mode", "fast", {"fast", "slow"}, "speed"),
          text_parameter("target", "cloud", {}, "any"),
          list_parameter("sizes", Dimension::count, 1, 64, "sizes")};
}

template <class Call>
std::string message(Call call) {
  try {
    call();
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Parameters, HaveTheirDefaults) {
  const Parameters p(specs());
  EXPECT_EQ(p.number("alpha"), 0.6);
  EXPECT_EQ(p.number("max_batch"), 8);
  EXPECT_EQ(p.text("mode"), "fast");
  EXPECT_TRUE(p.list("sizes").empty());
}

TEST(Parameters, KeepWhatIsSet) {
  Parameters p(specs());
  p.set("alpha", 0.0);
  p.set("mode", "slow");
  p.set("target", "anything");
  p.set("sizes", std::vector<double>{4, 6});
  EXPECT_EQ(p.number("alpha"), 0.0);
  EXPECT_EQ(p.text("mode"), "slow");
  EXPECT_EQ(p.text("target"), "anything");
  EXPECT_EQ(p.list("sizes"), (std::vector<double>{4, 6}));
}

TEST(Parameters, ErrorsNameTheFix) {
  Parameters p(specs());
  EXPECT_EQ(message([&] { p.set("alhpa", 0.5); }),
            "unknown parameter \"alhpa\"; did you mean \"alpha\"?");
  EXPECT_THAT(message([&] { p.set("zzzzzz", 0.5); }), HasSubstr("choose one of: alpha, max_batch"));
  EXPECT_EQ(message([&] { p.set("alpha", 1.5); }),
            "parameter \"alpha\" is 1.5; it must be between 0 and 1");
  EXPECT_EQ(message([&] { p.set("delay", -1.0); }),
            "parameter \"delay\" is -1 s; it must be between 0 s and 10 s");
  EXPECT_THAT(message([&] { p.set("alpha", std::nan("")); }), HasSubstr("must be between"));
  EXPECT_EQ(message([&] { p.set("max_batch", 2.5); }),
            "parameter \"max_batch\" is 2.5; it must be a whole number");
  EXPECT_EQ(message([&] { p.set("mode", "slwo"); }),
            "parameter \"mode\" is \"slwo\"; did you mean \"slow\"?");
  EXPECT_EQ(message([&] { p.set("alpha", "much"); }),
            "parameter \"alpha\" is a text; it must be a number");
  EXPECT_EQ(message([&] { p.set("mode", 1.0); }),
            "parameter \"mode\" is a number; it must be a text");
  EXPECT_EQ(message([&] { p.set("sizes", 1.0); }),
            "parameter \"sizes\" is a number; it must be a list of numbers");
  EXPECT_THAT(message([&] { p.set("sizes", std::vector<double>{4, 65}); }), HasSubstr("65"));
  Parameters none{std::vector<ParameterSpec>{}};
  EXPECT_THAT(message([&] { none.set("alpha", 1.0); }), HasSubstr("takes no parameters"));
}

TEST(Parameters, ARejectedValueChangesNothing) {
  Parameters p(specs());
  p.set("max_batch", 16);
  EXPECT_THROW(p.set("max_batch", 1000), InputError);
  EXPECT_EQ(p.number("max_batch"), 16);
}

TEST(Parameters, BugsOfAPolicyAreInternalErrors) {
  EXPECT_THROW((void)Parameters(specs()).number("nothing"), InternalError);
  auto twice = specs();
  twice.push_back(twice.front());
  EXPECT_THROW(Parameters{twice}, InternalError);
  EXPECT_THROW(Parameters{{number_parameter("x", Dimension::none, 5, 0, 1, "")}}, InternalError);
}

TEST(Registry, FindsByName) {
  EXPECT_EQ(find_entry(offload_policies(), "score").name, "score");
  EXPECT_EQ(find_entry(routing_policies(), "least-connections").name, "least-connections");
}

TEST(Registry, SuggestsANearName) {
  EXPECT_EQ(message([] { find_entry(offload_policies(), "min-latnecy"); }),
            "unknown offload policy \"min-latnecy\"; did you mean \"min-latency\"?");
  EXPECT_EQ(
      message([] { find_entry(batching_policies(), "qqqqq"); }),
      "unknown batching policy \"qqqqq\"; choose one of: none, fixed, timeout, dynamic, greedy, "
      "adaptive, earliest-deadline");
}

}  // namespace
}  // namespace isthmus::schedulers
