#include "scenarios/field_table.hpp"

#include <fmt/core.h>

#include <cmath>
#include <utility>

#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

// What counts hold; not worth mentioning in ranges.
constexpr double largest_integer = 4294967295.0;

Field row(std::string name, FieldType type, std::string help) {
  Field f;
  f.name = std::move(name);
  f.type = type;
  f.help = std::move(help);
  return f;
}

}  // namespace

std::string_view name_of(Reference reference) {
  switch (reference) {
    case Reference::none:
      return "name";
    case Reference::group:
      return "node group";
    case Reference::link:
      return "link";
    case Reference::service:
      return "service";
    case Reference::service_or_offload:
      return "service";
    case Reference::zone:
      return "zone";
    case Reference::device:
      return "device";
    case Reference::model:
      return "model";
    case Reference::link_preset:
      return "link preset";
    case Reference::protocol:
      return "protocol";
    case Reference::tenant:
      return "tenant";
    case Reference::site:
      return "site";
    case Reference::count_:
      break;
  }
  return "?";
}

Field Field::by_default(std::string value) const {
  Field f = *this;
  f.default_text = std::move(value);
  return f;
}

Field Field::default_is(std::string explanation) const {
  Field f = *this;
  f.default_help = std::move(explanation);
  return f;
}

Field Field::needed() const {
  Field f = *this;
  f.required = true;
  return f;
}

Field Field::at_least(double value) const {
  Field f = *this;
  f.min = value;
  f.above_min = false;
  return f;
}

Field Field::above(double value) const {
  Field f = *this;
  f.min = value;
  f.above_min = true;
  return f;
}

Field Field::at_most(double value) const {
  Field f = *this;
  f.max = value;
  return f;
}

const ObjectSpec& Field::spec() const {
  if (built) return *built;
  if (!object) throw InternalError("field \"" + name + "\" has no object table");
  return object();
}

const Variant* ObjectSpec::find_variant(std::string_view value) const {
  for (const Variant& v : variants)
    if (v.value == value) return &v;
  return nullptr;
}

const Field* ObjectSpec::find(std::string_view wanted, std::string_view variant) const {
  // A variant may refine a common field of the same name.
  if (const Variant* v = find_variant(variant))
    for (const Field& f : v->fields)
      if (f.name == wanted) return &f;
  for (const Field& f : fields)
    if (f.name == wanted) return &f;
  return nullptr;
}

Field flag(std::string name, std::string help) {
  return row(std::move(name), FieldType::boolean, std::move(help));
}

Field integer(std::string name, std::string help) {
  return row(std::move(name), FieldType::integer, std::move(help))
      .at_least(0)
      .at_most(largest_integer);
}

Field quantity(std::string name, Unit unit, std::string help) {
  Field f = row(std::move(name), FieldType::quantity, std::move(help)).at_least(0);
  f.unit = unit;
  return f;
}

Field text(std::string name, std::string help) {
  return row(std::move(name), FieldType::text, std::move(help));
}

std::vector<std::string> Field::words() const {
  if (!built) return choices;
  std::vector<std::string> names;
  for (const Variant& v : built->variants) names.push_back(v.value);
  return names;
}

Field word(std::string name, std::vector<std::string> choices, std::string help) {
  Field f = row(std::move(name), FieldType::word, std::move(help));
  f.choices = std::move(choices);
  return f;
}

Field refer(std::string name, Reference reference, std::string help) {
  Field f = row(std::move(name), FieldType::reference, std::move(help));
  f.reference = reference;
  return f;
}

Field object(std::string name, SpecFunction spec, std::string help) {
  Field f = row(std::move(name), FieldType::object, std::move(help));
  f.object = spec;
  return f;
}

Field object(std::string name, const ObjectSpec& spec, std::string help) {
  Field f = row(std::move(name), FieldType::object, std::move(help));
  f.built = &spec;
  return f;
}

Field list(std::string name, const Field& element, std::string help) {
  Field f = row(std::move(name), FieldType::list, std::move(help));
  f.elements = {element};
  return f;
}

Field tuple(std::string name, std::vector<Field> elements, std::string help) {
  Field f = row(std::move(name), FieldType::tuple, std::move(help));
  f.elements = std::move(elements);
  return f;
}

Field map(std::string name, const Field& element, std::string help) {
  Field f = row(std::move(name), FieldType::map, std::move(help));
  f.elements = {element};
  return f;
}

Field distribution(std::string name, Unit unit, std::string help) {
  Field f = row(std::move(name), FieldType::distribution, std::move(help)).at_least(0);
  f.unit = unit;
  return f;
}

Field either(std::string name, std::vector<Field> alternatives, std::string help) {
  Field f = row(std::move(name), FieldType::either, std::move(help));
  f.elements = std::move(alternatives);
  return f;
}

Field pointers(std::string name, std::string help) {
  return row(std::move(name), FieldType::pointers, std::move(help));
}

std::string describe_value(double value, Unit unit) { return format_quantity(value, unit); }

std::string describe_range(const Field& f) {
  const bool low = std::isfinite(f.min);
  const bool high = std::isfinite(f.max) && f.max < largest_integer;
  if (f.type == FieldType::list)
    return low && f.min >= 1 ? fmt::format("at least {:.0f}", f.min) : "";
  const std::string min = low ? describe_value(f.min, f.unit) : "";
  const std::string max = high ? describe_value(f.max, f.unit) : "";
  const char* above = f.above_min ? "> " : ">= ";
  if (low && high)
    return f.above_min ? fmt::format("> {}, <= {}", min, max) : fmt::format("{} to {}", min, max);
  if (low) return above + min;
  if (high) return "<= " + max;
  return "";
}

std::string describe_type(const Field& f) {
  switch (f.type) {
    case FieldType::boolean:
      return "true or false";
    case FieldType::integer:
      return "integer";
    case FieldType::quantity:
      return std::string(name_of(f.unit));
    case FieldType::text:
      return "text";
    case FieldType::word:
      return "word";
    case FieldType::reference:
      return std::string(name_of(f.reference)) + " name";
    case FieldType::object:
      return "object";
    case FieldType::list:
      return "list of " + describe_type(f.elements[0]);
    case FieldType::tuple: {
      std::string parts;
      for (const Field& e : f.elements) parts += (parts.empty() ? "" : ", ") + describe_type(e);
      return "[" + parts + "]";
    }
    case FieldType::map:
      return "object of " + describe_type(f.elements[0]) + " by name";
    case FieldType::distribution:
      return std::string(name_of(f.unit)) + " or distribution";
    case FieldType::either: {
      std::string parts;
      for (const Field& e : f.elements) parts += (parts.empty() ? "" : " or ") + describe_type(e);
      return parts;
    }
    case FieldType::pointers:
      return "object of lists by JSON pointer";
  }
  return "?";
}

}  // namespace isthmus::scenarios
