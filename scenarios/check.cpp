#include "scenarios/check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

// What Duration can hold, with a margin: 2^63 ns are 292 years.
constexpr double longest_duration = 9e9;

bool fits(const Field& f, const Value& v) {
  switch (f.type) {
    case FieldType::boolean:
      return v.is(JsonKind::boolean);
    case FieldType::integer:
      return v.is(JsonKind::number);
    case FieldType::quantity:
      return v.is(JsonKind::number) || v.is(JsonKind::text);
    case FieldType::text:
    case FieldType::word:
    case FieldType::reference:
      return v.is(JsonKind::text);
    case FieldType::object:
    case FieldType::map:
    case FieldType::pointers:
      return v.is(JsonKind::object);
    case FieldType::list:
    case FieldType::tuple:
      return v.is(JsonKind::list);
    case FieldType::distribution:
      return !v.is(JsonKind::list) && !v.is(JsonKind::boolean);
    case FieldType::either:
      return alternative_for(f, v) != nullptr;
  }
  return false;
}

std::string shown(const Value& v) {
  std::string text =
      v.is(JsonKind::list) || v.is(JsonKind::object) ? std::string(describe(v.kind)) : to_text(v);
  constexpr std::size_t longest = 80;
  if (text.size() > longest) text = text.substr(0, longest) + "...";
  return text;
}

}  // namespace

bool Names::knows(Reference r, std::string_view name) const {
  const auto& list = of(r);
  return std::find(list.begin(), list.end(), name) != list.end();
}

const Field* alternative_for(const Field& either, const Value& value) {
  for (const Field& f : either.elements)
    if (fits(f, value)) return &f;
  return nullptr;
}

std::string variant_of(const Value& object, const ObjectSpec& spec) {
  if (spec.tag.empty()) return "";
  if (const Value* written = object.find(spec.tag); written && written->is(JsonKind::text))
    return written->text;
  const Field* tag = spec.find(spec.tag, "");
  return tag ? tag->default_text : "";
}

bool Checker::kind(const Value& value, JsonKind wanted, const std::string& pointer) {
  if (value.is(wanted)) return true;
  problems_.add(value.at, pointer,
                fmt::format("must be {}, not {}", describe(wanted), shown(value)));
  return false;
}

void Checker::unknown_key(const Member& member, const Value& object, const ObjectSpec& spec,
                          const std::string& variant, const std::string& pointer) {
  // A parameter of another variant: left over when an override or an extending file changed the
  // tag, a mistake when both stand in the same file.
  std::string owners;
  for (const Variant& v : spec.variants)
    for (const Field& f : v.fields)
      if (f.name == member.key) owners += (owners.empty() ? "\"" : ", \"") + v.value + "\"";
  if (!owners.empty()) {
    const Value* tag = object.find(spec.tag);
    if (tag && sources_.layer(member.at.source) < sources_.layer(tag->at.source)) return;
    if (spec.find_variant(variant))
      problems_.add(member.at, child(pointer, member.key),
                    fmt::format("belongs to {} {}, not to \"{}\"", spec.tag, owners, variant));
    return;  // an unknown variant is reported with the tag
  }
  if (!spec.tag.empty() && !spec.find_variant(variant) && !variant.empty()) return;
  std::vector<std::string> known;
  for (const Field& f : spec.fields) known.push_back(f.name);
  if (const Variant* v = spec.find_variant(variant))
    for (const Field& f : v->fields) known.push_back(f.name);
  problems_.add(member.at, child(pointer, member.key),
                fmt::format("unknown field{}", suggestion(member.key, known)));
}

void Checker::object(const Value& value, const ObjectSpec& spec, const std::string& pointer) {
  if (!kind(value, JsonKind::object, pointer)) return;
  const std::string variant = variant_of(value, spec);
  for (const Member& m : value.members) {
    if (const Field* f = spec.find(m.key, variant))
      field(m.value, *f, child(pointer, m.key));
    else
      unknown_key(m, value, spec, variant, pointer);
  }
  const auto require = [&](const std::vector<Field>& fields) {
    for (const Field& f : fields) {
      if (!f.required || value.find(f.name)) continue;
      std::string advice = fmt::format("needs the field \"{}\"", f.name);
      if (f.type == FieldType::quantity && f.unit != Unit::none)
        advice += fmt::format(", a {} such as {}", name_of(f.unit), example_of(f.unit));
      else if (f.type == FieldType::word)
        advice += suggestion("", f.words());
      problems_.add(value.at, pointer.empty() ? "/" : pointer, advice);
    }
  };
  require(spec.fields);
  if (const Variant* v = spec.find_variant(variant)) require(v->fields);
}

bool Checker::range(double number, const Value& value, const Field& f, const std::string& pointer) {
  if (f.unit == Unit::duration && std::abs(number) > longest_duration) {
    problems_.add(value.at, pointer,
                  fmt::format("{} is too long; at most 285 years", shown(value)));
    return false;
  }
  const bool low = f.above_min ? number <= f.min : number < f.min;
  if (!low && number <= f.max) return true;
  std::string bounds;
  if (std::isfinite(f.min))
    bounds = fmt::format("{} {}", f.above_min ? ">" : ">=", describe_value(f.min, f.unit));
  if (std::isfinite(f.max)) {
    const std::string most =
        f.type == FieldType::integer ? fmt::format("{:.0f}", f.max) : describe_value(f.max, f.unit);
    bounds += (bounds.empty() ? "<= " : " and <= ") + most;
  }
  problems_.add(value.at, pointer, fmt::format("must be {}, not {}", bounds, shown(value)));
  return false;
}

void Checker::quantity(const Value& value, const Field& f, const std::string& pointer) {
  double number = 0;
  if (value.is(JsonKind::number)) {
    if (!accepts_bare(f.unit)) {
      problems_.add(value.at, pointer,
                    fmt::format("{} has no unit; write a {} such as {}", shown(value),
                                name_of(f.unit), example_of(f.unit)));
      return;
    }
    number = value.number;
  } else if (value.is(JsonKind::text) && f.unit != Unit::none) {
    try {
      number = parse_quantity(value.text, f.unit);
    } catch (const InputError& e) {
      problems_.add(value.at, pointer, e.what());
      return;
    }
  } else if (f.unit == Unit::none) {
    problems_.add(value.at, pointer,
                  fmt::format("must be a bare number such as 3, not {}", shown(value)));
    return;
  } else {
    problems_.add(value.at, pointer,
                  fmt::format("must be a {} such as {}, not {}", name_of(f.unit),
                              example_of(f.unit), shown(value)));
    return;
  }
  range(number, value, f, pointer);
}

void Checker::integer(const Value& value, const Field& f, const std::string& pointer) {
  if (!value.is(JsonKind::number)) {
    problems_.add(value.at, pointer,
                  fmt::format("must be a whole number such as 3, not {}", shown(value)));
    return;
  }
  if (value.number != std::floor(value.number)) {
    problems_.add(value.at, pointer, fmt::format("must be a whole number, not {}", shown(value)));
    return;
  }
  // Doubles cannot tell large integers apart; their digits can.
  constexpr double exact = 9007199254740992.0;
  std::uint64_t digits = 0;
  const char* end = value.text.data() + value.text.size();
  if (value.number > exact && value.number <= f.max) {
    const auto [stop, error] = std::from_chars(value.text.data(), end, digits);
    if (error != std::errc() || stop != end) {
      problems_.add(value.at, pointer, fmt::format("{} is too large", shown(value)));
      return;
    }
  }
  range(value.number, value, f, pointer);
}

void Checker::map(const Value& value, const Field& f, const std::string& pointer) {
  if (!kind(value, JsonKind::object, pointer)) return;
  if (std::isfinite(f.min) && static_cast<double>(value.members.size()) < f.min)
    problems_.add(value.at, pointer, "must not be empty");
  for (const Member& m : value.members) {
    const std::string place = child(pointer, m.key);
    if (f.reference != Reference::none) {
      if (!names_.knows(f.reference, m.key))
        problems_.add(m.at, place,
                      fmt::format("there is no {} \"{}\"{}", name_of(f.reference), m.key,
                                  suggestion(m.key, names_.of(f.reference))));
    } else if (m.key.empty() || m.key.size() > 100 ||
               std::any_of(m.key.begin(), m.key.end(), [](char c) {
                 return static_cast<unsigned char>(c) < 0x20 || c == '[' || c == ']' || c == '/';
               })) {
      problems_.add(m.at, place, "names have 1 to 100 characters and no brackets or slashes");
    }
    field(m.value, f.elements[0], place);
  }
}

void Checker::pointers(const Value& value, const std::string& pointer) {
  if (!kind(value, JsonKind::object, pointer)) return;
  if (value.members.empty()) problems_.add(value.at, pointer, "must not be empty");
  for (const Member& m : value.members) {
    const std::string place = child(pointer, m.key);
    if (m.key == "variants") {
      if (!kind(m.value, JsonKind::object, place)) continue;
      if (m.value.members.empty()) problems_.add(m.value.at, place, "must not be empty");
      for (const Member& v : m.value.members) {
        if (!kind(v.value, JsonKind::object, child(place, v.key))) continue;
        for (const Member& p : v.value.members)
          if (!p.key.starts_with('/'))
            problems_.add(p.at, child(child(place, v.key), p.key),
                          "must be a JSON pointer such as \"/offload/policy\"");
      }
      continue;
    }
    if (!m.key.starts_with('/')) {
      problems_.add(m.at, place,
                    "must be a JSON pointer such as \"/offload/policy\", or \"variants\"");
      continue;
    }
    if (kind(m.value, JsonKind::list, place) && m.value.items.empty())
      problems_.add(m.value.at, place, "must list at least one value");
  }
}

void Checker::field(const Value& value, const Field& f, const std::string& pointer) {
  if (problems_.full()) return;
  if (value.is(JsonKind::null)) {
    problems_.add(value.at, pointer,
                  "null removes a field that \"extends\" brought in; there is nothing to remove");
    return;
  }
  switch (f.type) {
    case FieldType::boolean:
      kind(value, JsonKind::boolean, pointer);
      break;
    case FieldType::integer:
      integer(value, f, pointer);
      break;
    case FieldType::quantity:
      quantity(value, f, pointer);
      break;
    case FieldType::text:
      if (kind(value, JsonKind::text, pointer) && value.text.find('\0') != std::string::npos)
        problems_.add(value.at, pointer, "contains a zero byte");
      break;
    case FieldType::word:
      if (kind(value, JsonKind::text, pointer)) {
        const std::vector<std::string> words = f.words();
        if (std::find(words.begin(), words.end(), value.text) == words.end())
          problems_.add(value.at, pointer,
                        fmt::format("unknown value {}{}", shown(value), suggestion(value.text, words)));
      }
      break;
    case FieldType::reference:
      if (kind(value, JsonKind::text, pointer) && !names_.knows(f.reference, value.text))
        problems_.add(value.at, pointer,
                      fmt::format("there is no {} {}{}", name_of(f.reference), shown(value),
                                  suggestion(value.text, names_.of(f.reference))));
      break;
    case FieldType::object:
      object(value, f.spec(), pointer);
      break;
    case FieldType::list:
      if (!kind(value, JsonKind::list, pointer)) break;
      if (static_cast<double>(value.items.size()) < f.min)
        problems_.add(
            value.at, pointer,
            fmt::format("must have at least {:.0f} entr{}", f.min, f.min > 1 ? "ies" : "y"));
      for (std::size_t i = 0; i < value.items.size(); ++i)
        field(value.items[i], f.elements[0], child(pointer, i));
      break;
    case FieldType::tuple:
      if (!kind(value, JsonKind::list, pointer)) break;
      if (value.items.size() != f.elements.size()) {
        problems_.add(value.at, pointer, fmt::format("must be {}", describe_type(f)));
        break;
      }
      for (std::size_t i = 0; i < value.items.size(); ++i)
        field(value.items[i], f.elements[i], child(pointer, i));
      break;
    case FieldType::map:
      map(value, f, pointer);
      break;
    case FieldType::distribution:
      if (value.is(JsonKind::object))
        object(value, distribution_spec(f.unit), pointer);
      else
        quantity(value, f, pointer);
      break;
    case FieldType::either:
      if (const Field* chosen = alternative_for(f, value))
        field(value, *chosen, pointer);
      else
        problems_.add(value.at, pointer,
                      fmt::format("must be {}, not {}", describe_type(f), shown(value)));
      break;
    case FieldType::pointers:
      pointers(value, pointer);
      break;
  }
}

}  // namespace isthmus::scenarios
