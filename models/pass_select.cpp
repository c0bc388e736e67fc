#include "models/pass_select.hpp"

#include <fmt/format.h>

#include <set>
#include <string>

#include "sim/core/did_you_mean.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

bool glob_matches(std::string_view pattern, std::string_view text) {
  // Row by row over the pattern: reached[i] = the pattern so far fits the first i characters.
  std::vector<bool> reached(text.size() + 1, false);
  reached[0] = true;
  for (std::size_t p = 0; p < pattern.size(); ++p) {
    const bool star = pattern[p] == '*';
    const bool any = star && p + 1 < pattern.size() && pattern[p + 1] == '*';
    std::vector<bool> next(text.size() + 1, false);
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (star)
        next[i] = reached[i] || (i > 0 && next[i - 1] && (any || text[i - 1] != '.'));
      else if (i > 0)
        next[i] =
            reached[i - 1] && (pattern[p] == '?' ? text[i - 1] != '.' : text[i - 1] == pattern[p]);
    }
    reached = std::move(next);
    if (any) ++p;
  }
  return reached[text.size()];
}

namespace {

// Every module path above and at `module`: "a", "a.b", "a.b.c".
template <class F>
bool any_prefix(std::string_view module, F f) {
  for (std::size_t at = 0; at < module.size();) {
    at = std::min(module.find('.', at + 1), module.size());
    if (f(module.substr(0, at))) return true;
  }
  return false;
}

}  // namespace

std::vector<std::size_t> select_operators(const OperatorGraph& graph, std::string_view match,
                                          std::string_view where) {
  std::vector<std::size_t> chosen;
  const auto kind = operator_kind_from(match);
  for (std::size_t v = 0; v < graph.size(); ++v) {
    const Operator& op = graph.at(v);
    if (op.kind == OperatorKind::input) continue;
    const bool fits =
        kind ? op.kind == *kind
             : glob_matches(match, op.name) || any_prefix(op.module, [&](std::string_view prefix) {
                 return glob_matches(match, prefix);
               });
    if (fits) chosen.push_back(v);
  }
  if (!chosen.empty()) return chosen;

  if (kind)
    throw InputError(
        fmt::format("{}: '{}' has no operator of the kind {}", where, graph.name(), match));

  // Suggestions: short names first, so that a module wins over its operators.
  std::set<std::string> modules, names, kinds;
  for (std::size_t v = 0; v < graph.size(); ++v) {
    const Operator& op = graph.at(v);
    if (op.kind == OperatorKind::input) continue;
    names.insert(op.name);
    kinds.emplace(name_of(op.kind));
    any_prefix(op.module, [&](std::string_view prefix) {
      modules.emplace(prefix);
      return false;
    });
  }
  std::vector<std::string> known(modules.begin(), modules.end());
  known.insert(known.end(), kinds.begin(), kinds.end());
  known.insert(known.end(), names.begin(), names.end());
  const std::string near = match.empty() ? "" : did_you_mean(match, known);
  std::string help;
  if (!near.empty())
    help = "; did you mean \"" + near + "\"?";
  else if (!modules.empty() || !names.empty())
    help = fmt::format("; {} look like \"{}\"", modules.empty() ? "operators" : "modules",
                       modules.empty() ? *names.begin() : *modules.begin());
  throw InputError(fmt::format("{}: no operator, module or operator kind of '{}' is like \"{}\"{}",
                               where, graph.name(), match, help));
}

}  // namespace isthmus::models
