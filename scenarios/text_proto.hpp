// Protocol-buffer text format, without a schema: what a file says, field by field, with its places.
// A small reader of our own: the one of libprotobuf needs the generated classes of every message, so a
// field that a newer server knows would make the file unreadable, and all of the rest of it with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isthmus::scenarios {

enum class ProtoKind : std::uint8_t { integer, decimal, text, word, message };
std::string_view name_of(ProtoKind kind);

//! One value of a field; a list gives one field per value.
struct ProtoField {
  std::string name;
  std::uint32_t line = 1, column = 1;        //!< of the name
  std::uint32_t value_line = 1, value_column = 1;
  ProtoKind kind = ProtoKind::message;
  std::string text;                          //!< as written; text without quotes and escapes
  std::uint64_t magnitude = 0;               //!< of an integer
  bool negative = false;
  std::vector<ProtoField> fields;            //!< of a message, in order
};

//! "name:line:column: message", with which both readers start their complaints.
std::string proto_place(std::string_view file, std::uint32_t line, std::uint32_t column);

//! The fields of a whole file. Throws InputError ("file:line:column: what is wrong") at the first
//! place that is not text format.
std::vector<ProtoField> parse_text_proto(std::string_view content, std::string_view file);

}  // namespace isthmus::scenarios
