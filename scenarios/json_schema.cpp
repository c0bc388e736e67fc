#include "scenarios/json_schema.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/json_document.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

Value str(std::string s) { return text_value(std::move(s), {}); }

Value num(double d) {
  Value v;
  v.kind = JsonKind::number;
  v.number = d;
  v.text = fmt::format("{}", d);
  return v;
}

Value boolean(bool b) {
  Value v;
  v.kind = JsonKind::boolean;
  v.boolean = b;
  return v;
}

Value array(std::vector<Value> items) {
  Value v;
  v.kind = JsonKind::list;
  v.items = std::move(items);
  return v;
}

// An object from pairs.
Value obj(std::vector<std::pair<std::string, Value>> pairs) {
  Value v = object_value({});
  for (auto& [key, value] : pairs) v.members.push_back({key, {}, std::move(value)});
  return v;
}

void put(Value& object, std::string key, Value value) {
  object.members.push_back({std::move(key), {}, std::move(value)});
}

std::string slug(const std::string& name) {
  std::string s = name;
  std::replace(s.begin(), s.end(), ' ', '-');
  return s;
}

// Collects the definitions that are reached from the top.
class SchemaWriter {
 public:
  std::string write() {
    Value root = obj({{"$schema", str("https://json-schema.org/draft/2020-12/schema")},
                      {"title", str("isthmus scenario, version 1")}});
    put(root, "$ref", reference(scenario_spec()));
    while (!open_.empty()) {
      const ObjectSpec* spec = open_.back();
      open_.pop_back();
      Value d = definition(*spec);
      // A file that extends another need not be complete.
      if (spec == &scenario_spec())
        std::erase_if(d.members, [](const Member& m) { return m.key == "required"; });
      put(definitions_, slug(spec->name), std::move(d));
    }
    std::sort(definitions_.members.begin(), definitions_.members.end(),
              [](const Member& a, const Member& b) { return a.key < b.key; });
    put(root, "$defs", std::move(definitions_));
    return to_text(root, 2) + "\n";
  }

 private:
  Value reference(const ObjectSpec& spec) {
    if (known_.insert(&spec).second) open_.push_back(&spec);
    return str("#/$defs/" + slug(spec.name));
  }

  Value definition(const ObjectSpec& spec) {
    Value properties = object_value({});
    std::vector<Value> required;
    for (const Field& f : spec.fields) {
      put(properties, f.name, described(f));
      if (f.required) required.push_back(str(f.name));
    }
    Value d = obj({{"type", str("object")}, {"description", str(spec.help)}});
    if (spec.variants.empty()) {
      put(d, "properties", std::move(properties));
      if (!required.empty()) put(d, "required", array(required));
      put(d, "additionalProperties", boolean(false));
      return d;
    }
    // One branch per value of the tag; completion offers the tag and the common fields first.
    const Field* tag = spec.find(spec.tag, "");
    put(d, "properties", std::move(properties));
    if (!required.empty()) put(d, "required", array(required));
    std::vector<Value> branches;
    for (const Variant& v : spec.variants) {
      Value only = obj({{spec.tag, obj({{"const", str(v.value)}})}});
      Value when = obj({{"properties", only}});
      if (tag->default_text != v.value) put(when, "required", array({str(spec.tag)}));
      Value fields = object_value({});
      std::vector<Value> names, needed;
      for (const Field& f : spec.fields) names.push_back(str(f.name));
      for (const Field& f : v.fields) {
        put(fields, f.name, described(f));
        names.push_back(str(f.name));
        if (f.required) needed.push_back(str(f.name));
      }
      Value then = obj({{"description", str(v.help)}});
      put(then, "properties", std::move(fields));
      if (!needed.empty()) put(then, "required", array(needed));
      put(then, "propertyNames", obj({{"enum", array(names)}}));
      branches.push_back(obj({{"if", std::move(when)}, {"then", std::move(then)}}));
    }
    put(d, "allOf", array(std::move(branches)));
    return d;
  }

  Value described(const Field& f) {
    Value v = schema(f);
    std::string text = f.help;
    const std::string range = describe_range(f);
    if (!range.empty()) text += "; " + range;
    if (!f.default_help.empty())
      text += "; default: " + f.default_help;
    else if (!f.default_text.empty())
      text += "; default: " + f.default_text;
    if (!text.empty()) put(v, "description", str(text));
    return v;
  }

  void bounds(Value& v, const Field& f) {
    if (std::isfinite(f.min)) put(v, f.above_min ? "exclusiveMinimum" : "minimum", num(f.min));
    if (std::isfinite(f.max)) put(v, "maximum", num(f.max));
  }

  Value measured(const Field& f) {
    Value bare = obj({{"type", str("number")}});
    bounds(bare, f);
    if (f.unit == Unit::none) return bare;
    Value with_unit = obj({{"type", str("string")},
                           {"pattern", str(pattern_of(f.unit))},
                           {"examples", array({str(format_quantity(1, f.unit))})}});
    if (!accepts_bare(f.unit)) return with_unit;
    return obj({{"anyOf", array({std::move(bare), std::move(with_unit)})}});
  }

  Value schema(const Field& f) {
    switch (f.type) {
      case FieldType::boolean:
        return obj({{"type", str("boolean")}});
      case FieldType::integer: {
        Value v = obj({{"type", str("integer")}});
        bounds(v, f);
        return v;
      }
      case FieldType::quantity:
        return measured(f);
      case FieldType::text:
      case FieldType::reference:
        return obj({{"type", str("string")}});
      case FieldType::word: {
        std::vector<Value> words;
        for (const std::string& w : f.words()) words.push_back(str(w));
        return obj({{"enum", array(std::move(words))}});
      }
      case FieldType::object:
        return obj({{"$ref", reference(f.spec())}});
      case FieldType::list: {
        Value v = obj({{"type", str("array")}, {"items", described(f.elements[0])}});
        if (std::isfinite(f.min) && f.min >= 1) put(v, "minItems", num(f.min));
        return v;
      }
      case FieldType::tuple: {
        std::vector<Value> parts;
        for (const Field& e : f.elements) parts.push_back(described(e));
        const double n = static_cast<double>(parts.size());
        return obj({{"type", str("array")},
                    {"prefixItems", array(std::move(parts))},
                    {"minItems", num(n)},
                    {"maxItems", num(n)}});
      }
      case FieldType::map:
        return obj({{"type", str("object")}, {"additionalProperties", described(f.elements[0])}});
      case FieldType::distribution: {
        Value law = obj({{"$ref", reference(distribution_spec(f.unit))}});
        return obj({{"anyOf", array({measured(f), std::move(law)})}});
      }
      case FieldType::either: {
        std::vector<Value> parts;
        for (const Field& e : f.elements) parts.push_back(schema(e));
        return obj({{"anyOf", array(std::move(parts))}});
      }
      case FieldType::pointers: {
        const Value lists = obj({{"type", str("array")}, {"minItems", num(1)}});
        const Value variants = obj(
            {{"type", str("object")}, {"additionalProperties", obj({{"type", str("object")}})}});
        return obj({{"type", str("object")},
                    {"properties", obj({{"variants", variants}})},
                    {"patternProperties", obj({{"^/", lists}})},
                    {"additionalProperties", boolean(false)}});
      }
    }
    return object_value({});
  }

  std::set<const ObjectSpec*> known_;
  std::vector<const ObjectSpec*> open_;
  Value definitions_ = object_value({});
};

}  // namespace

std::string json_schema() { return SchemaWriter().write(); }

}  // namespace isthmus::scenarios
