#include "scenarios/field_values.hpp"

#include "scenarios/problems.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

// The row called `name`, of whichever variant has one.
const Field* row_of(const ObjectSpec& spec, const std::string& name) {
  if (const Field* f = spec.find(name, "")) return f;
  for (const Variant& v : spec.variants)
    if (const Field* f = spec.find(name, v.value)) return f;
  return nullptr;
}

// The first of several forms that leads further: objects before everything else.
const Field* inside(const Field* f, FieldType type) {
  if (!f || f->type == type) return f;
  if (f->type != FieldType::either) return nullptr;
  for (const Field& e : f->elements)
    if (e.type == type) return &e;
  return nullptr;
}

}  // namespace

std::vector<std::string> words_at(const std::string& pointer) {
  const ObjectSpec* spec = &scenario_spec();
  const Field* f = nullptr;
  for (const std::string& token : split_pointer(pointer)) {
    if (f) {
      if (const Field* o = inside(f, FieldType::object)) spec = &o->spec();
      const Field* m = inside(f, FieldType::map);
      const Field* l = inside(f, FieldType::list);
      if (m || l) {  // any name, any index
        f = &(m ? m : l)->elements[0];
        continue;
      }
      if (!inside(f, FieldType::object)) return {};
    }
    f = row_of(*spec, token);
    if (!f) return {};
  }
  if (const Field* w = inside(f, FieldType::word)) return w->words();
  if (f && f->type == FieldType::boolean) return {"false", "true"};
  return {};
}

}  // namespace isthmus::scenarios
