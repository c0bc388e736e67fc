#include "scenarios/object_view.hpp"

#include <fmt/core.h>

#include <charconv>
#include <utility>

#include "scenarios/check.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

double default_number(const Field& f) {
  if (f.default_text.empty())
    throw InternalError(fmt::format("field \"{}\" has no default", f.name));
  return f.type == FieldType::integer ? parse_quantity(f.default_text, Unit::none)
                                      : parse_quantity(f.default_text, f.unit);
}

world::DistributionKind kind_named(const std::string& name) {
  using world::DistributionKind;
  constexpr std::pair<const char*, DistributionKind> kinds[] = {
      {"constant", DistributionKind::constant},
      {"uniform", DistributionKind::uniform},
      {"exponential", DistributionKind::exponential},
      {"erlang", DistributionKind::erlang},
      {"gamma", DistributionKind::gamma},
      {"lognormal", DistributionKind::lognormal},
      {"weibull", DistributionKind::weibull},
      {"pareto", DistributionKind::pareto},
      {"hyperexponential", DistributionKind::hyperexponential},
      {"normal", DistributionKind::normal},
      {"quantiles", DistributionKind::quantiles},
      {"choice", DistributionKind::choice}};
  for (const auto& [text, kind] : kinds)
    if (name == text) return kind;
  throw InternalError("distribution \"" + name + "\" is in the table but not read");
}

}  // namespace

double number_of(const Value& value, Unit unit) {
  return value.is(JsonKind::number) ? value.number : parse_quantity(value.text, unit);
}

world::Distribution distribution_of(const Value& value, Unit unit, const std::string& pointer,
                                    Problems& problems) {
  if (!value.is(JsonKind::object)) return world::Distribution::constant(number_of(value, unit));
  const ObjectView v(&value, distribution_spec(unit), pointer, value.at);
  using world::DistributionKind;
  world::Distribution d;
  d.kind = kind_named(v.variant());
  switch (d.kind) {
    case DistributionKind::constant:
      d.a = v.number("value");
      break;
    case DistributionKind::uniform:
      d.a = v.number("low");
      d.b = v.number("high");
      break;
    case DistributionKind::exponential:
      d.a = v.number("mean");
      break;
    case DistributionKind::erlang:
      d.a = v.number("mean");
      d.k = static_cast<int>(v.count("phases"));
      break;
    case DistributionKind::gamma:
      d.a = v.number("mean");
      d.b = v.number("cv");
      break;
    case DistributionKind::lognormal:
      d.a = v.number("median");
      d.b = v.number("sigma");
      break;
    case DistributionKind::weibull:
      d.a = v.number("scale");
      d.b = v.number("shape");
      break;
    case DistributionKind::pareto:
      d.a = v.number("minimum");
      d.b = v.number_or("maximum", std::numeric_limits<double>::infinity());
      d.c = v.number("tail");
      break;
    case DistributionKind::hyperexponential:
      d.a = v.number("mean");
      d.b = v.number("scv");
      break;
    case DistributionKind::normal:
      d.a = v.number("mean");
      d.b = v.number("deviation");
      break;
    case DistributionKind::quantiles:
      d.probability = v.numbers("probabilities");
      d.value = v.numbers("values");
      break;
    case DistributionKind::choice:
      d.probability = v.numbers("weights");
      d.value = v.numbers("values");
      break;
  }
  d.min = v.number_or("min", d.min);
  d.max = v.number_or("max", d.max);
  try {
    d.validate();
  } catch (const InputError& e) {
    problems.add(value.at, pointer, e.what());
  }
  return d;
}

ObjectView::ObjectView(const Value* value, const ObjectSpec& spec, std::string pointer, Position at)
    : value_(value), spec_(&spec), pointer_(std::move(pointer)), at_(value ? value->at : at) {
  const Value none = object_value(at);
  variant_ = variant_of(value ? *value : none, spec);
}

const Field& ObjectView::row(std::string_view name) const {
  const Field* f = spec_->find(name, variant_);
  if (!f) throw InternalError(fmt::format("table \"{}\" has no field \"{}\"", spec_->name, name));
  return *f;
}

const Value* ObjectView::find(std::string_view name) const {
  row(name);
  return value_ ? value_->find(name) : nullptr;
}

Position ObjectView::at(std::string_view name) const {
  const Value* v = find(name);
  return v ? v->at : at_;
}

double ObjectView::number(std::string_view name) const {
  const Field& f = row(name);
  const Value* v = find(name);
  return v ? number_of(*v, f.unit) : default_number(f);
}

double ObjectView::number_or(std::string_view name, double other) const {
  return has(name) ? number(name) : other;
}

std::uint32_t ObjectView::count(std::string_view name) const {
  return static_cast<std::uint32_t>(number(name));
}

std::uint64_t ObjectView::big_count(std::string_view name) const {
  // Doubles lose the last digits of large seeds; the digits themselves do not.
  if (const Value* v = find(name)) {
    std::uint64_t exact = 0;
    const char* end = v->text.data() + v->text.size();
    const auto [stop, error] = std::from_chars(v->text.data(), end, exact);
    if (error == std::errc() && stop == end) return exact;
  }
  return static_cast<std::uint64_t>(number(name));
}

Duration ObjectView::duration(std::string_view name) const {
  return Duration::from_seconds(number(name));
}

Duration ObjectView::duration_or(std::string_view name, Duration other) const {
  return has(name) ? duration(name) : other;
}

bool ObjectView::flag(std::string_view name) const {
  const Field& f = row(name);
  const Value* v = find(name);
  return v ? v->boolean : f.default_text == "true";
}

std::string ObjectView::text(std::string_view name) const {
  const Field& f = row(name);
  const Value* v = find(name);
  return v ? v->text : f.default_text;
}

world::Distribution ObjectView::distribution(std::string_view name, Problems& problems) const {
  const Field& f = row(name);
  const Value* v = find(name);
  if (!v) return world::Distribution::constant(default_number(f));
  return distribution_of(*v, f.unit, pointer_to(name), problems);
}

ObjectView ObjectView::object(std::string_view name) const {
  const Field& f = row(name);
  return {find(name), f.spec(), pointer_to(name), at_};
}

std::vector<ObjectView> ObjectView::objects(std::string_view name) const {
  const Field& f = row(name);
  std::vector<ObjectView> views;
  if (const Value* v = find(name))
    for (std::size_t i = 0; i < v->items.size(); ++i)
      views.emplace_back(&v->items[i], f.elements[0].spec(), child(pointer_to(name), i),
                         v->items[i].at);
  return views;
}

std::vector<std::string> ObjectView::texts(std::string_view name) const {
  const Field& f = row(name);
  std::vector<std::string> all;
  const Value* v = find(name);
  if (!v) {
    if (!f.default_text.empty()) all.push_back(f.default_text);
  } else if (v->is(JsonKind::text)) {
    all.push_back(v->text);
  } else {
    for (const Value& item : v->items) all.push_back(item.text);
  }
  return all;
}

std::vector<double> ObjectView::numbers(std::string_view name) const {
  const Field& f = row(name);
  std::vector<double> all;
  if (const Value* v = find(name))
    for (const Value& item : v->items) all.push_back(number_of(item, f.elements[0].unit));
  return all;
}

}  // namespace isthmus::scenarios
