// Holds a JSON tree against the field tables and collects everything that does not fit.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/field_table.hpp"
#include "scenarios/json_document.hpp"
#include "scenarios/problems.hpp"

namespace isthmus::scenarios {

//! The names that references may point to, per kind.
struct Names {
  std::array<std::vector<std::string>, static_cast<std::size_t>(Reference::count_)> lists;
  std::vector<std::string>& of(Reference r) { return lists[static_cast<std::size_t>(r)]; }
  const std::vector<std::string>& of(Reference r) const {
    return lists[static_cast<std::size_t>(r)];
  }
  bool knows(Reference r, std::string_view name) const;
};

//! Checks objects and fields. Borrowed references must outlive it.
class Checker {
 public:
  Checker(const Sources& sources, const Names& names, Problems& problems)
      : sources_(sources), names_(names), problems_(problems) {}

  //! Checks an object against its table: unknown keys, missing ones, and every value. `pointer` is
  //! the JSON pointer of `value`, "" for the whole document.
  void object(const Value& value, const ObjectSpec& spec, const std::string& pointer);
  //! Checks one value against a row.
  void field(const Value& value, const Field& field, const std::string& pointer);

 private:
  void unknown_key(const Member& member, const Value& object, const ObjectSpec& spec,
                   const std::string& variant, const std::string& pointer);
  void quantity(const Value& value, const Field& field, const std::string& pointer);
  void integer(const Value& value, const Field& field, const std::string& pointer);
  void map(const Value& value, const Field& field, const std::string& pointer);
  void pointers(const Value& value, const std::string& pointer);
  bool range(double number, const Value& value, const Field& field, const std::string& pointer);
  bool kind(const Value& value, JsonKind wanted, const std::string& pointer);

  const Sources& sources_;
  const Names& names_;
  Problems& problems_;
};

//! Value of the tag of an object with variants: what is written, else the default; "" if neither.
std::string variant_of(const Value& object, const ObjectSpec& spec);
//! The alternative of an `either` row that fits the kind of `value`, or null.
const Field* alternative_for(const Field& either, const Value& value);

}  // namespace isthmus::scenarios
