#include "scenarios/catalogue.hpp"

#include <fmt/core.h>

#include <cstdlib>

#include "scenarios/check.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

constexpr int catalogue_layer = -1000;

Value read_table(const std::filesystem::path& path, const ObjectSpec& spec, Sources& sources,
                 Problems& problems) {
  Value root = read_json_file(path, sources, catalogue_layer);
  const Names none;
  Checker checker(sources, none, problems);
  checker.field(root, map("", object("", spec, ""), ""), "");
  return root;
}

bool covered(const Value& sources, const std::string& path) {
  for (const Member& m : sources.members)
    if (path == m.key || path.starts_with(m.key + ".")) return true;
  return false;
}

// Every leaf that states a figure: numbers, and strings that start with one.
void figures(const Value& v, const std::string& path, const Value& sources,
             const std::string& where, std::vector<std::string>& missing) {
  if (v.is(JsonKind::object)) {
    for (const Member& m : v.members)
      if (m.key != "sources")
        figures(m.value, path.empty() ? m.key : path + "." + m.key, sources, where, missing);
    return;
  }
  const bool figure = v.is(JsonKind::number) || (v.is(JsonKind::text) && !v.text.empty() &&
                                                 v.text[0] >= '0' && v.text[0] <= '9');
  if (figure && !covered(sources, path)) missing.push_back(fmt::format("{}: {}", where, path));
}

}  // namespace

std::filesystem::path catalogue_folder() {
  const char* set = std::getenv("ISTHMUS_CATALOGUE");
  if (set != nullptr && *set != '\0') return set;
  return std::filesystem::path(ISTHMUS_SOURCE_DIR) / "scenarios" / "catalogue";
}

Catalogue::Catalogue(const std::filesystem::path& folder, Sources& sources) {
  Problems problems(sources);
  devices_ = read_table(folder / "devices.json", device_spec(), sources, problems);
  links_ = read_table(folder / "links.json", link_preset_spec(), sources, problems);
  models_ = read_table(folder / "models.json", model_spec(), sources, problems);
  problems.throw_if_any();
}

std::vector<std::string> Catalogue::names(const Value& table) {
  std::vector<std::string> all;
  for (const Member& m : table.members) all.push_back(m.key);
  return all;
}

std::vector<std::string> Catalogue::models() const {
  std::vector<std::string> all = names(models_);
  for (const Member& m : models_.members)
    if (const Value* aliases = m.value.find("aliases"))
      for (const Value& a : aliases->items) all.push_back(a.text);
  return all;
}

const Value* Catalogue::model(std::string_view name) const {
  if (const Value* entry = models_.find(name)) return entry;
  for (const Member& m : models_.members)
    if (const Value* aliases = m.value.find("aliases"))
      for (const Value& a : aliases->items)
        if (a.text == name) return &m.value;
  return nullptr;
}

std::vector<std::string> figures_without_source(const Catalogue& catalogue) {
  std::vector<std::string> missing;
  const auto scan = [&](const char* file, const std::string& name, const Value& entry) {
    const Value none = object_value({});
    const Value* sources = entry.find("sources");
    figures(entry, "", sources ? *sources : none, fmt::format("{}: {}", file, name), missing);
  };
  for (const std::string& n : catalogue.devices()) scan("devices.json", n, *catalogue.device(n));
  for (const std::string& n : catalogue.links()) scan("links.json", n, *catalogue.link(n));
  for (const std::string& n : catalogue.models()) scan("models.json", n, *catalogue.model(n));
  return missing;
}

}  // namespace isthmus::scenarios
