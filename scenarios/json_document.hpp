// JSON text as a tree in which every key and value knows its place, so that errors point at the
// line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace isthmus::scenarios {

//! Where something was written: a source (see Sources), a line and a column, both from 1. Columns
//! count characters, not bytes. line == 0: the source has no lines (a command-line option).
struct Position {
  std::uint32_t source = 0, line = 0, column = 0;
};

//! The texts that a scenario is made of: files, options, defaults.
class Sources {
 public:
  //! Registers a source. `layer` says who wins when layers are merged: a file has 0, what it
  //! extends has less, overrides from the command line or from "compare" have more.
  std::uint32_t add(std::string name, int layer = 0);
  const std::string& name(std::uint32_t source) const { return entries_.at(source).name; }
  int layer(std::uint32_t source) const { return entries_.at(source).layer; }
  //! "file:line:col", or the bare name when there are no lines.
  std::string place(const Position& at) const;

 private:
  struct Entry {
    std::string name;
    int layer = 0;
  };
  std::vector<Entry> entries_;
};

enum class JsonKind : std::uint8_t { null, boolean, number, text, list, object };

//! "a string", "an object", ... for messages.
std::string_view describe(JsonKind kind);

struct Member;

//! One JSON value. Objects keep the order of the file.
struct Value {
  JsonKind kind = JsonKind::null;
  bool boolean = false;
  Position at;
  double number = 0;            //!< numbers only, finite
  std::string text;             //!< the string; for numbers the digits as written
  std::vector<Value> items;     //!< lists
  std::vector<Member> members;  //!< objects; keys are unique

  bool is(JsonKind k) const { return kind == k; }
  //! The member called `key`, or null.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
};

struct Member {
  std::string key;
  Position at;  //!< of the key
  Value value;
};

//! Convenience for values that no file holds.
Value text_value(std::string text, Position at);
Value object_value(Position at);
Value flag_value(bool value, Position at);

//! Limits of what is accepted.
inline constexpr std::size_t max_file_bytes = 64U << 20U;
inline constexpr std::size_t max_depth = 64;
inline constexpr std::size_t max_values = 2'000'000;

//! Parses strict JSON (// and /* */ comments allowed) that was registered as `source`. Throws
//! InputError with the place for anything malformed: syntax, duplicate keys, nesting beyond
//! max_depth, numbers that are not finite doubles, trailing text, invalid UTF-8, UTF-16 or UTF-32.
Value parse_json(std::string_view text, const Sources& sources, std::uint32_t source);

//! Reads and parses a file, which it registers in `sources`. Throws InputError also for paths that
//! are missing, unreadable, no regular file or larger than max_file_bytes.
Value read_json_file(const std::filesystem::path& path, Sources& sources, int layer = 0);

//! JSON text of a tree; `indent` 0 writes one line. Numbers are written as they were read.
std::string to_text(const Value& value, int indent = 0);
//! A JSON string literal.
std::string json_string(std::string_view text);

}  // namespace isthmus::scenarios
