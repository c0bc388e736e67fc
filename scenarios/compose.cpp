#include "scenarios/compose.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "scenarios/file_reading.hpp"
#include "scenarios/problems.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

constexpr std::size_t deepest_extends = 32;

std::string chain_text(const std::vector<std::filesystem::path>& chain) {
  std::string text;
  for (const auto& p : chain) text += (text.empty() ? "" : " -> ") + p.filename().string();
  return text;
}

// Relative paths of a base file must keep their meaning in the file that extends it.
void anchor_paths(Value& root, const std::filesystem::path& folder) {
  const auto anchor = [&](Value* v) {
    if (v && v->is(JsonKind::text) && !v->text.empty() && v->text[0] != '/' && v->text[0] != '$')
      v->text = (folder / v->text).lexically_normal().string();
  };
  const auto member = [](Value* v, std::string_view key) -> Value* {
    return v && v->is(JsonKind::object) ? v->find(key) : nullptr;
  };
  if (Value* w = member(&root, "workload"); w && w->is(JsonKind::list))
    for (Value& item : w->items) anchor(member(&item, "file"));
  Value* network = member(&root, "network");
  anchor(member(network, "platform"));
  if (Value* links = member(network, "links"); links && links->is(JsonKind::object))
    for (Member& m : links->members) anchor(member(&m.value, "trace"));
  if (Value* nodes = member(&root, "nodes"); nodes && nodes->is(JsonKind::object))
    for (Member& m : nodes->members) {
      anchor(member(&m.value, "profile"));
      if (Value* units = member(&m.value, "units"); units && units->is(JsonKind::object))
        for (Member& u : units->members) anchor(member(&u.value, "profile"));
    }
}

Value read_chain(const std::filesystem::path& path, Sources& sources,
                 std::vector<std::filesystem::path>& chain, const Position* from);

// Puts `root` on top of the files that it extends.
Value with_bases(Value root, const std::filesystem::path& folder, Sources& sources,
                 std::vector<std::filesystem::path>& chain) {
  if (!root.is(JsonKind::object))
    throw InputError(fmt::format("{}: a scenario is an object, not {}", sources.place(root.at),
                                 describe(root.kind)));
  const Value* extends = root.find("extends");
  if (!extends) return root;
  std::vector<const Value*> bases;
  if (extends->is(JsonKind::text)) bases.push_back(extends);
  for (const Value& item : extends->items)
    if (item.is(JsonKind::text)) bases.push_back(&item);
  Value merged = object_value(root.at);
  for (const Value* base : bases) {
    const Position at = base->at;
    merge(merged, read_chain(folder / base->text, sources, chain, &at));
  }
  merge(merged, root);
  return merged;
}

Value read_chain(const std::filesystem::path& path, Sources& sources,
                 std::vector<std::filesystem::path>& chain, const Position* from) {
  std::error_code ignored;
  const std::filesystem::path canonical = std::filesystem::weakly_canonical(path, ignored);
  const bool cycle = std::any_of(chain.begin(), chain.end(), [&](const std::filesystem::path& p) {
    return std::filesystem::weakly_canonical(p, ignored) == canonical;
  });
  chain.push_back(path);
  const auto place = [&] { return from ? sources.place(*from) + ": /extends: " : std::string(); };
  if (cycle)
    throw InputError(
        fmt::format("{}files extend each other in a circle: {}", place(), chain_text(chain)));
  if (chain.size() > deepest_extends)
    throw InputError(fmt::format("{}more than {} files extend each other: {}", place(),
                                 deepest_extends, chain_text(chain)));
  Value root;
  try {
    root = read_json_file(path, sources, -static_cast<int>(chain.size()) + 1);
  } catch (const InputError& e) {
    if (!from) throw;
    throw InputError(fmt::format("{}{} (chain: {})", place(), e.what(), chain_text(chain)));
  }
  if (from) anchor_paths(root, std::filesystem::absolute(path).parent_path());
  root = with_bases(std::move(root), path.parent_path(), sources, chain);
  chain.pop_back();
  return root;
}

}  // namespace

void merge(Value& lower, const Value& upper) {
  if (!lower.is(JsonKind::object) || !upper.is(JsonKind::object)) {
    lower = upper;
    return;
  }
  lower.at = upper.at;
  for (const Member& m : upper.members) {
    const auto there = std::find_if(lower.members.begin(), lower.members.end(),
                                    [&](const Member& l) { return l.key == m.key; });
    if (there == lower.members.end()) {
      lower.members.push_back(m);
    } else if (m.value.is(JsonKind::null)) {
      lower.members.erase(there);
    } else {
      there->at = m.at;
      merge(there->value, m.value);
    }
  }
}

Document read_document(const std::filesystem::path& path) {
  Document d;
  d.path = path;
  d.folder = path.parent_path();
  std::vector<std::filesystem::path> chain;
  d.root = read_chain(path, d.sources, chain, nullptr);
  return d;
}

Document read_document_text(const std::string& json, const std::string& name,
                            const std::filesystem::path& folder) {
  Document d;
  d.path = name;
  d.folder = folder;
  std::vector<std::filesystem::path> chain;
  Value root = parse_json(json, d.sources, d.sources.add(name));
  d.root = with_bases(std::move(root), folder, d.sources, chain);
  return d;
}

Override split_override(const std::string& text) {
  const std::size_t equal = text.find('=');
  if (!text.starts_with('/') || equal == std::string::npos)
    throw InputError(
        fmt::format("\"{}\" is no setting; write /pointer=value, for example "
                    "/offload/policy=always-cloud",
                    text));
  return {text.substr(0, equal), text.substr(equal + 1)};
}

Edit parse_override(const Override& setting, Sources& sources) {
  split_pointer(setting.pointer);
  Edit edit;
  edit.pointer = setting.pointer;
  const std::string_view whole = setting.value;
  const std::uint32_t source =
      sources.add(fmt::format("{}={}", setting.pointer, whole.substr(0, 60)), override_layer);
  const bool structured = !whole.empty() && (whole[0] == '{' || whole[0] == '[' || whole[0] == '"');
  const bool literal = whole == "true" || whole == "false" || whole == "null";
  double number = 0;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), number);
  const bool numeric = error != std::errc::invalid_argument && end == whole.data() + whole.size() &&
                       whole.find_first_not_of("0123456789+-.eE") == std::string_view::npos;
  if (structured || literal || numeric)
    edit.value = parse_json(whole, sources, source);
  else
    edit.value = text_value(setting.value, {source, 0, 0});
  edit.value.at = {source, 0, 0};  // the place of an option is the option itself
  return edit;
}

void apply_edits(const std::vector<Edit>& overrides, Document& document, const EntryBelow& below) {
  for (const Edit& o : overrides) {
    const std::vector<std::string> tokens = split_pointer(o.pointer);
    Value* at = &document.root;
    const Value* entry = nullptr;  // of the catalogue, below `at`
    std::string so_far;
    std::vector<std::string> path;
    const auto fail = [&](const std::string& why) {
      throw InputError(
          fmt::format("{}: {}: {}", document.sources.place(o.value.at), o.pointer, why));
    };
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const bool last = i + 1 == tokens.size();
      const std::string& token = tokens[i];
      if (at->is(JsonKind::list)) {
        std::size_t index = 0;
        const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
        if (error != std::errc() || end != token.data() + token.size() || index >= at->items.size())
          fail(fmt::format("{} is a list of {} entries, \"{}\" is none of them",
                           so_far.empty() ? "/" : so_far, at->items.size(), token));
        if (last && o.value.is(JsonKind::null)) {
          at->items.erase(at->items.begin() + static_cast<std::ptrdiff_t>(index));
          break;
        }
        at = &at->items[index];
      } else if (at->is(JsonKind::object)) {
        Value* next = at->find(token);
        if (last && o.value.is(JsonKind::null)) {
          std::erase_if(at->members, [&](const Member& m) { return m.key == token; });
          break;
        }
        if (const Value* found = below(path, *at)) entry = found;
        const Value* deeper = entry && entry->is(JsonKind::object) ? entry->find(token) : nullptr;
        if (!next && !last && deeper && deeper->is(JsonKind::object)) {
          at->members.push_back({token, o.value.at, object_value(o.value.at)});
          next = &at->members.back().value;
        }
        if (!next && !last) {
          std::vector<std::string> known;
          for (const Member& m : at->members) known.push_back(m.key);
          if (entry && entry->is(JsonKind::object))
            for (const Member& m : entry->members)
              if (m.value.is(JsonKind::object) && m.key != "sources" && !at->find(m.key))
                known.push_back(m.key);
          fail(fmt::format("there is no \"{}\" in {}{}", token, so_far.empty() ? "/" : so_far,
                           suggestion(token, known)));
        }
        if (!next) {
          at->members.push_back({token, o.value.at, Value{}});
          next = &at->members.back().value;
          next->at = o.value.at;
        }
        at = next;
        entry = deeper;
      } else {
        fail(fmt::format("{} is {}, it holds nothing", so_far, describe(at->kind)));
      }
      so_far = child(so_far, token);
      path.push_back(token);
      if (last) merge(*at, o.value);
    }
  }
}

const Value* find_pointer(const Value& root, std::string_view pointer) {
  const Value* at = &root;
  for (const std::string& token : split_pointer(pointer)) {
    if (at->is(JsonKind::list)) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
      if (error != std::errc() || end != token.data() + token.size() || index >= at->items.size())
        return nullptr;
      at = &at->items[index];
    } else {
      at = at->find(token);
      if (!at) return nullptr;
    }
  }
  return at;
}

}  // namespace isthmus::scenarios
