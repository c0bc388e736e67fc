#include "scenarios/reference_page.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <vector>

#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

std::string cell(std::string text) {
  for (std::size_t i = 0; (i = text.find('|', i)) != std::string::npos; i += 2)
    text.insert(i, "\\");
  return text;
}

std::string anchor(const std::string& name) {
  std::string a = name;
  std::replace(a.begin(), a.end(), ' ', '-');
  return a;
}

// Tables in the order in which they are first mentioned.
class Page {
 public:
  std::string write() {
    mention(scenario_spec());
    for (std::size_t i = 0; i < order_.size(); ++i) table(*order_[i]);
    return out_;
  }

 private:
  void mention(const ObjectSpec& spec) {
    if (known_.insert(&spec).second) order_.push_back(&spec);
  }

  std::string type(const Field& f) {
    switch (f.type) {
      case FieldType::object:
        mention(f.spec());
        return fmt::format("[{}](#{})", f.spec().name, anchor(f.spec().name));
      case FieldType::list:
        return "list of " + type(f.elements[0]);
      case FieldType::map:
        return fmt::format("{} by {}", type(f.elements[0]),
                           f.reference == Reference::none ? "name" : name_of(f.reference));
      case FieldType::either: {
        std::string parts;
        for (const Field& e : f.elements) parts += (parts.empty() ? "" : " or ") + type(e);
        return parts;
      }
      case FieldType::distribution:
        mention(distribution_spec(f.unit));
        return fmt::format("{} or [distribution](#{})", name_of(f.unit),
                           anchor(distribution_spec(f.unit).name));
      case FieldType::word: {
        std::string words;
        const std::vector<std::string> all = f.words();
        for (const std::string& w : all) words += (words.empty() ? "`" : ", `") + w + "`";
        return all.size() > 12 || words.empty() ? "word" : words;
      }
      default:
        return describe_type(f);
    }
  }

  void rows(const std::vector<Field>& fields) {
    out_ += "| field | type | default | meaning |\n|---|---|---|---|\n";
    for (const Field& f : fields) {
      std::string standard = f.required                ? "**required**"
                             : !f.default_help.empty() ? f.default_help
                             : !f.default_text.empty() ? "`" + f.default_text + "`"
                                                       : "";
      std::string meaning = f.help;
      if (const std::string range = describe_range(f); !range.empty())
        meaning += " (" + range + ")";
      out_ += fmt::format("| `{}` | {} | {} | {} |\n", f.name, cell(type(f)), cell(standard),
                          cell(meaning));
    }
    out_ += "\n";
  }

  void table(const ObjectSpec& spec) {
    out_ += fmt::format("## {}\n\n{}\n\n", spec.name, spec.help);
    rows(spec.fields);
    for (const Variant& v : spec.variants) {
      out_ += fmt::format("### {} `{}`\n\n{}\n\n", spec.tag, v.value, v.help);
      if (!v.fields.empty()) rows(v.fields);
    }
  }

  std::set<const ObjectSpec*> known_;
  std::vector<const ObjectSpec*> order_;
  std::string out_;
};

std::string units_table() {
  std::string out = "## Units\n\n| dimension | units | kept as |\n|---|---|---|\n";
  for (std::uint8_t u = 1; u <= static_cast<std::uint8_t>(Unit::price_per_byte); ++u) {
    const Unit unit = static_cast<Unit>(u);
    std::string names;
    for (const UnitName& n : units_of(unit)) {
      if (n.name == "\u03bcs") continue;
      names += (names.empty() ? "`" : ", `") + std::string(n.name) + "`";
    }
    const std::string_view base = base_unit_of(unit);
    out += fmt::format("| {} | {} | {} |\n", name_of(unit), names, base.empty() ? "1" : base);
  }
  return out + "\n";
}

// A leaf of a catalogue entry per line, with its source.
void leaves(const Value& v, const std::string& path, const Value& sources, std::string& out) {
  if (v.is(JsonKind::object)) {
    for (const Member& m : v.members) {
      if (m.key == "sources" || m.key == "summary" || m.key == "accuracy_source") continue;
      leaves(m.value, path.empty() ? m.key : path + "." + m.key, sources, out);
    }
    return;
  }
  std::string source;
  std::size_t best = 0;
  for (const Member& m : sources.members)
    if ((path == m.key || path.starts_with(m.key + ".")) && m.key.size() >= best) {
      best = m.key.size();
      source = m.value.text;
    }
  const std::string shown = v.is(JsonKind::text) ? v.text : to_text(v);
  out += fmt::format("| `{}` | {} | {} |\n", path, cell(shown), cell(source));
}

void entry(const std::string& name, const Value& v, std::string& out) {
  out += fmt::format("### {}\n\n{}.\n\n| figure | value | source |\n|---|---|---|\n", name,
                     v.find("summary")->text);
  leaves(v, "", *v.find("sources"), out);
  out += "\n";
}

}  // namespace

std::string scenario_reference_markdown() {
  std::string out =
      "# Scenario reference\n\n"
      "This page is written by the program from the tables that it reads scenarios with "
      "(`scenarios/tables_*.cpp`); change those, then run the tests with `ISTHMUS_UPDATE=1`.\n\n"
      "A scenario is one JSON file; `//` and `/* */` comments are allowed. Dimensional values are "
      "strings with a unit, dimensionless numbers stand bare, fractions may be written as `\"70 "
      "%\"`. "
      "Unknown fields, wrong units, dangling references and impossible values are errors, each "
      "with "
      "its line, column and JSON pointer. Relative paths start at the file that holds them; "
      "`$ISTHMUS_DATA/...` names the data folder.\n\n"
      "`isthmus schema > isthmus.schema.json` gives the same tables as a JSON Schema for "
      "editors.\n\n";
  return out + units_table() + Page().write();
}

std::string catalogue_markdown(const Catalogue& catalogue) {
  std::string out =
      "# Catalogue\n\n"
      "The devices, links and models that scenarios can name, written by the program from "
      "`scenarios/catalogue/*.json`. Every figure carries its source; \"estimate\" marks what "
      "nobody "
      "has measured. Peaks are dense. A scenario overrides any field: "
      "`{\"device\": \"jetson-orin-nano\", \"memory_bandwidth\": \"102 GB/s\"}`.\n\n## Devices\n\n";
  for (const std::string& n : catalogue.devices()) entry(n, *catalogue.device(n), out);
  out += "## Links\n\n";
  for (const std::string& n : catalogue.links()) entry(n, *catalogue.link(n), out);
  out +=
      "## Models\n\nVariants without an accuracy have no published one; it then counts as 0 and "
      "the "
      "report says so.\n\n";
  for (const std::string& n : catalogue.models()) {
    const Value* v = catalogue.model(n);
    const Value* aliases = v->find("aliases");
    const bool alias = aliases && std::any_of(aliases->items.begin(), aliases->items.end(),
                                              [&](const Value& a) { return a.text == n; });
    if (!alias) entry(n, *v, out);
  }
  return out;
}

}  // namespace isthmus::scenarios
