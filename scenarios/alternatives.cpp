#include "scenarios/alternatives.hpp"

#include <fmt/core.h>

#include <utility>

#include "scenarios/problems.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

constexpr std::size_t most_choices = 100'000;

// Values of "compare" stand above the file that holds them, though they are written in it.
void stamp(Value& v, std::uint32_t source) {
  v.at.source = source;
  for (Value& item : v.items) stamp(item, source);
  for (Member& m : v.members) {
    m.at.source = source;
    stamp(m.value, source);
  }
}

std::string last_token(const std::string& pointer) {
  const std::size_t slash = pointer.rfind('/');
  return slash == std::string::npos ? pointer : pointer.substr(slash + 1);
}

std::string plain(const Value& v) { return v.is(JsonKind::text) ? v.text : to_text(v); }

}  // namespace

std::vector<Choice> product(const std::vector<Choice>& a, const std::vector<Choice>& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  if (a.size() * b.size() > most_choices)
    throw InputError(fmt::format("more than {} combinations", most_choices));
  std::vector<Choice> all;
  for (const Choice& x : a)
    for (const Choice& y : b) {
      Choice c = x;
      c.label += ", " + y.label;
      c.edits.insert(c.edits.end(), y.edits.begin(), y.edits.end());
      c.settings.insert(c.settings.end(), y.settings.begin(), y.settings.end());
      all.push_back(std::move(c));
    }
  return all;
}

std::vector<Choice> choices_of(const Value& table, Sources& sources) {
  std::vector<Choice> all;
  std::vector<const Member*> pointers;
  for (const Member& m : table.members)
    if (m.key != "variants") pointers.push_back(&m);
  const bool several = pointers.size() + (table.find("variants") ? 1 : 0) > 1;
  const std::uint32_t above = sources.add(sources.name(table.at.source), override_layer);

  // Named variants first.
  if (const Value* variants = table.find("variants"))
    for (const Member& v : variants->members) {
      Choice c;
      c.label = v.key;
      c.settings = {{"variant", v.key}};
      for (const Member& p : v.value.members) {
        Edit e{p.key, p.value};
        stamp(e.value, above);
        c.edits.push_back(std::move(e));
      }
      all.push_back(std::move(c));
    }

  // Then one axis per pointer.
  for (const Member* m : pointers) {
    split_pointer(m->key);
    std::vector<Choice> axis;
    for (const Value& v : m->value.items) {
      Choice c;
      c.label = several ? fmt::format("{}={}", last_token(m->key), plain(v)) : plain(v);
      c.settings = {{m->key, plain(v)}};
      Edit e{m->key, v};
      stamp(e.value, above);
      c.edits.push_back(std::move(e));
      axis.push_back(std::move(c));
    }
    all = product(all, axis);
  }
  return all;
}

std::vector<Choice> choices_of(const std::string& pointer, const std::vector<std::string>& values,
                               Sources& sources) {
  std::vector<Choice> all;
  for (const std::string& v : values) {
    Choice c;
    c.label = v;
    c.settings = {{pointer, v}};
    c.edits.push_back(parse_override({pointer, v}, sources));
    all.push_back(std::move(c));
  }
  return all;
}

}  // namespace isthmus::scenarios
