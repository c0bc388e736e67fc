// One table per object of the scenario language. The tables alone decide what is read, what is
// refused, what `isthmus schema` says and what docs/scenario_reference.md shows.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/unit_strings.hpp"

namespace isthmus::scenarios {

enum class FieldType : std::uint8_t {
  boolean,
  integer,   //!< bare, no fraction
  quantity,  //!< a number of dimension `unit`; a string with a unit unless accepts_bare
  text,
  word,          //!< one of `choices`
  reference,     //!< a name that must exist: see Reference
  object,        //!< `object`
  list,          //!< of `elements[0]`, at least `min` long
  tuple,         //!< a list with exactly the `elements`
  map,           //!< object with free keys (names, or references) and values `elements[0]`
  distribution,  //!< a value of `unit`, or an object that names a distribution
  either,        //!< the first of `elements` that fits the kind of JSON value
  pointers,      //!< object of lists by JSON pointer, and named "variants": compare and sweep
};

//! Tables of names that a reference can point into.
enum class Reference : std::uint8_t {
  none,
  group,
  link,
  service,
  service_or_offload,
  zone,
  device,
  model,
  link_preset,
  protocol,
  tenant,
  site,
  count_
};
std::string_view name_of(Reference reference);

struct ObjectSpec;
using SpecFunction = const ObjectSpec& (*)();

//! One row of a table.
struct Field {
  std::string name;
  FieldType type = FieldType::text;
  Unit unit = Unit::none;
  std::string help;          //!< meaning, and when to change it
  std::string default_text;  //!< as in JSON, strings without quotes; "" = none
  std::string default_help;  //!< shown instead, when the default depends on other fields
  bool required = false;
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;  //!< min itself is excluded
  std::vector<std::string> choices;
  Reference reference = Reference::none;  //!< of the value; of the keys for maps
  SpecFunction object = nullptr;
  const ObjectSpec* built = nullptr;  //!< like `object`, for tables that are made at run time
  std::vector<Field> elements;

  // Setters that return the row, so that a table reads as one list.
  Field by_default(std::string text) const;
  Field default_is(std::string explanation) const;
  Field needed() const;
  Field at_least(double value) const;
  Field above(double value) const;
  Field at_most(double value) const;
  //! The object table of this row; only for FieldType::object.
  const ObjectSpec& spec() const;
  //! `choices`, or with `built` the names of its variants; only for FieldType::word.
  std::vector<std::string> words() const;
};

//! Further fields that one value of the tag brings.
struct Variant {
  std::string value, help;
  std::vector<Field> fields;
};

//! A table.
struct ObjectSpec {
  std::string name;  //!< heading in the reference, definition in the schema
  std::string help;
  std::vector<Field> fields;
  std::string tag;  //!< name of the field that selects a variant; "" = no variants
  std::vector<Variant> variants;

  //! The row called `name` for tag value `variant` ("" = common fields only), or null.
  const Field* find(std::string_view name, std::string_view variant) const;
  const Variant* find_variant(std::string_view value) const;
};

// Makers of rows.
Field flag(std::string name, std::string help);
Field integer(std::string name, std::string help);              //!< >= 0 unless said otherwise
Field quantity(std::string name, Unit unit, std::string help);  //!< >= 0 unless said otherwise
Field text(std::string name, std::string help);
Field word(std::string name, std::vector<std::string> choices, std::string help);
Field refer(std::string name, Reference reference, std::string help);
Field object(std::string name, SpecFunction spec, std::string help);
Field object(std::string name, const ObjectSpec& spec, std::string help);
Field list(std::string name, const Field& element, std::string help);
Field tuple(std::string name, std::vector<Field> elements, std::string help);
Field map(std::string name, const Field& element, std::string help);
Field distribution(std::string name, Unit unit, std::string help);
Field either(std::string name, std::vector<Field> alternatives, std::string help);
Field pointers(std::string name, std::string help);

//! The table of an object that stands for a distribution of values of `unit`.
const ObjectSpec& distribution_spec(Unit unit);

//! Type of a row in words, e.g. "duration", "list of link names".
std::string describe_type(const Field& field);
//! Accepted range in words, "" when there is none.
std::string describe_range(const Field& field);
//! A bound in the unit of the row, e.g. "0 s".
std::string describe_value(double value, Unit unit);

}  // namespace isthmus::scenarios
