// Parsing with positions, and every kind of hostile file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "scenarios/json_document.hpp"
#include "sim/core/errors.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

Value parse(const std::string& text) {
  Sources sources;
  return parse_json(text, sources, sources.add("f.json"));
}

std::string error_of(const std::string& text) {
  try {
    parse(text);
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

std::string file_error(const std::filesystem::path& path) {
  Sources sources;
  try {
    read_json_file(path, sources);
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

void expect_at(const Position& at, unsigned line, unsigned column) {
  EXPECT_EQ(at.line, line);
  EXPECT_EQ(at.column, column);
}

TEST(JsonDocument, EveryKeyAndValueKnowsItsPlace) {
  const Value v = parse(
      "{ // comment \"x\"\n  \"a\\\"\\\\\": [1, -2.5e3,\n true, null , \"\\\\\"],\n"
      "  \"\u00b5\u00b5\": {\"deep\": 7}}");
  expect_at(v.at, 1, 1);
  ASSERT_EQ(v.members.size(), 2U);
  EXPECT_EQ(v.members[0].key, "a\"\\");
  expect_at(v.members[0].at, 2, 3);
  const Value& list = v.members[0].value;
  expect_at(list.at, 2, 12);
  ASSERT_EQ(list.items.size(), 5U);
  expect_at(list.items[0].at, 2, 13);
  expect_at(list.items[1].at, 2, 16);
  EXPECT_EQ(list.items[1].number, -2500.0);
  EXPECT_EQ(list.items[1].text, "-2.5e3");
  expect_at(list.items[2].at, 3, 2);
  expect_at(list.items[3].at, 3, 8);
  expect_at(list.items[4].at, 3, 15);
  EXPECT_EQ(list.items[4].text, "\\");
  expect_at(v.members[1].at, 4, 3);  // columns count characters: the key has two of two bytes
  expect_at(v.members[1].value.at, 4, 9);
  expect_at(v.members[1].value.members[0].value.at, 4, 18);
}

TEST(JsonDocument, WritesWhatItRead) {
  const std::string text = R"({"a": [1, 2.50, "x\n\"y\""], "b": {"c": true, "d": null}, "e": []})";
  EXPECT_EQ(to_text(parse(text)), text);
  EXPECT_EQ(to_text(parse(to_text(parse(text), 2))), text);
}

TEST(JsonDocument, LargeIntegersKeepTheirDigits) {
  EXPECT_EQ(parse("18446744073709551615").text, "18446744073709551615");
}

TEST(JsonDocument, SyntaxErrorsPointAtThePlace) {
  EXPECT_THAT(error_of("{\"a\" 1}"), HasSubstr("f.json:1:6: "));
  EXPECT_THAT(error_of("{\"a\":\n [1,]}"), HasSubstr("f.json:2:5: "));
  EXPECT_THAT(error_of("{\"a\": nan}"), HasSubstr("f.json:1:"));
  EXPECT_THAT(error_of("{"), HasSubstr("unexpected end of input"));
  EXPECT_THAT(error_of("/* open"), HasSubstr("missing closing '*/'"));
  EXPECT_THAT(error_of("{} x"), HasSubstr("expected end of input"));
  EXPECT_THAT(error_of("{} {}"), HasSubstr("f.json:1:4: "));
  EXPECT_THAT(error_of("{\"a\": \"x\ny\"}"), HasSubstr("control character"));
  EXPECT_THAT(error_of(R"({"a": "\ud800"})"), HasSubstr("surrogate"));
  EXPECT_THAT(error_of("{'a': 1}"), HasSubstr("f.json:1:2: "));
}

TEST(JsonDocument, RefusesDuplicateKeys) {
  EXPECT_EQ(error_of("{\"a\": 1,\n \"b\": 2, \"a\": 3}"),
            "f.json:2:10: the key \"a\" was already given in line 1");
  EXPECT_THAT(error_of("{\"x\": {\"k\": 1, \"\\u006b\": 2}}"),
              HasSubstr("\"k\" was already given"));
}

TEST(JsonDocument, RefusesNumbersThatAreNotFinite) {
  EXPECT_EQ(error_of("{\"a\": 1e999}"), "f.json:1:7: the number 1e999 is too large");
  EXPECT_EQ(error_of("[-1e400 ]"), "f.json:1:2: the number -1e400 is too large");
  EXPECT_EQ(parse("1e-999").number, 0.0);
}

TEST(JsonDocument, DeepNestingEndsInAnError) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 10000; ++i) text += open;
    EXPECT_THAT(error_of(text), HasSubstr("nested more than 64 levels deep"));
  }
  std::string fine(64, '[');
  EXPECT_EQ(error_of(fine + std::string(64, ']')), "no error");
}

TEST(JsonDocument, RefusesOtherEncodings) {
  using namespace std::string_literals;
  EXPECT_THAT(error_of("\xFF\xFE{\0}\0"s), HasSubstr("encoded in UTF-16"));
  EXPECT_THAT(error_of("\xFE\xFF\0{\0}"s), HasSubstr("encoded in UTF-16"));
  EXPECT_THAT(error_of("{\0}\0"s), HasSubstr("encoded in UTF-16"));
  EXPECT_THAT(error_of("\xFF\xFE\0\0{\0\0\0"s), HasSubstr("encoded in UTF-32"));
  EXPECT_THAT(error_of("\0\0\xFE\xFF\0\0\0{"s), HasSubstr("encoded in UTF-32"));
  EXPECT_EQ(error_of("\xEF\xBB\xBF{}"), "no error");
  EXPECT_THAT(error_of("{\n\"a\": \"\xC3\x28\"}"),
              HasSubstr("f.json:2:7: is no valid UTF-8 here (byte 0xC3)"));
  EXPECT_THAT(error_of("{\"a\": \"\xED\xA0\x80\"}"), HasSubstr("no valid UTF-8"));
  EXPECT_THAT(error_of("// \xFF\n{}"), HasSubstr("no valid UTF-8"));
}

TEST(JsonDocument, RefusesEmptyFiles) {
  EXPECT_THAT(error_of(""), HasSubstr("is empty"));
  EXPECT_THAT(error_of(" \n\t"), HasSubstr("is empty"));
  EXPECT_NE(error_of("// only a comment\n"), "no error");
}

TEST(JsonDocument, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(file_error(folder.path()), HasSubstr("is a directory"));
  EXPECT_THAT(file_error(folder.path() / "missing.json"), HasSubstr("No such file"));
  EXPECT_THAT(file_error("/dev/zero"), HasSubstr("is a device"));
  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(file_error(pipe), HasSubstr("is a pipe"));  // and returns at once
  const auto loop = folder.path() / "loop";
  std::filesystem::create_symlink(loop, loop);
  EXPECT_THAT(file_error(loop), HasSubstr("cannot be read"));
  if (::geteuid() != 0) {
    const auto secret = folder.write("secret.json", "{}");
    std::filesystem::permissions(secret, std::filesystem::perms::none);
    EXPECT_THAT(file_error(secret), HasSubstr("Permission denied"));
  }
}

TEST(JsonDocument, RefusesHugeFilesAtOnce) {
  const TemporaryFolder folder;
  const auto path = folder.write("huge.json", "{}");
  std::filesystem::resize_file(path, 100'000'000);  // sparse: costs no disk
  const auto before = std::chrono::steady_clock::now();
  EXPECT_THAT(file_error(path), HasSubstr("is 100.0 MB large; at most 67 MB are accepted"));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
}

TEST(JsonDocument, RefusesTooManyValues) {
  std::string text = "[";
  for (std::size_t i = 0; i <= max_values; ++i) text += "0,";
  EXPECT_THAT(error_of(text + "0]"), HasSubstr("more than 2000000 values"));
}

}  // namespace
}  // namespace isthmus::scenarios
