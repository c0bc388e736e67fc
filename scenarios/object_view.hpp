// Typed access to an object that the Checker has passed: values in SI units, defaults from the
// table.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/field_table.hpp"
#include "scenarios/json_document.hpp"
#include "scenarios/problems.hpp"
#include "sim/core/time.hpp"
#include "sim/world/distribution.hpp"

namespace isthmus::scenarios {

//! A checked object beside its table. Names that the table does not have are InternalErrors, so a
//! resolver and a table cannot drift apart unnoticed. Borrows everything.
class ObjectView {
 public:
  //! `value` may be null: then every field has its default.
  ObjectView(const Value* value, const ObjectSpec& spec, std::string pointer, Position at);

  bool has(std::string_view name) const { return find(name) != nullptr; }
  //! The written value, or null.
  const Value* find(std::string_view name) const;
  double number(std::string_view name) const;  //!< written or default; SI
  double number_or(std::string_view name, double other) const;
  std::uint32_t count(std::string_view name) const;
  std::uint64_t big_count(std::string_view name) const;
  Duration duration(std::string_view name) const;
  Duration duration_or(std::string_view name, Duration other) const;
  bool flag(std::string_view name) const;
  std::string text(std::string_view name) const;  //!< "" when neither written nor default
  world::Distribution distribution(std::string_view name, Problems& problems) const;
  ObjectView object(std::string_view name) const;  //!< of an object row, written or not
  //! Objects of a list row, in order.
  std::vector<ObjectView> objects(std::string_view name) const;
  //! Strings of a list row, or of a row that is either a string or a list of strings.
  std::vector<std::string> texts(std::string_view name) const;
  //! Numbers of a list row.
  std::vector<double> numbers(std::string_view name) const;

  const std::string& pointer() const { return pointer_; }
  std::string pointer_to(std::string_view name) const { return child(pointer_, name); }
  //! Where `name` is written, or the object itself.
  Position at(std::string_view name) const;
  Position at() const { return at_; }
  const ObjectSpec& spec() const { return *spec_; }
  const std::string& variant() const { return variant_; }
  const Value* value() const { return value_; }
  const Field& row(std::string_view name) const;

 private:
  const Value* value_;
  const ObjectSpec* spec_;
  std::string pointer_, variant_;
  Position at_;
};

//! Number of a checked quantity or integer in SI units.
double number_of(const Value& value, Unit unit);
//! A checked distribution, or a constant. Reports impossible combinations of parameters.
world::Distribution distribution_of(const Value& value, Unit unit, const std::string& pointer,
                                    Problems& problems);

}  // namespace isthmus::scenarios
