// Changes to the text of a YAML file that keep everything else of it, and what differs.
#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "scenarios/hpa_yaml.hpp"
#include "scenarios/yaml_reading.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end == std::string_view::npos ? end : end + 1));
    text.remove_prefix(lines.back().size());
  }
  return lines;
}

// "spec.metrics[0].type" as its steps; an index is a step of digits with '[' before it.
std::vector<std::string> steps_of(const std::string& path) {
  std::vector<std::string> steps;
  std::string step;
  const auto end = [&] {
    if (step.empty()) throw InputError(fmt::format("\"{}\" is no path; write it as spec.metrics[0].type", path));
    steps.push_back(std::move(step));
    step.clear();
  };
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '.') {
      end();
    } else if (path[i] == '[') {
      end();
      const std::size_t close = path.find(']', i);
      const std::string index = path.substr(i + 1, close == std::string::npos ? 0 : close - i - 1);
      if (index.empty() || index.size() > 6 || !std::all_of(index.begin(), index.end(), [](char c) { return c >= '0' && c <= '9'; }))
        throw InputError(fmt::format("\"{}\": an index is a number in brackets", path));
      step = "[" + index;
      i = close;
      if (i + 1 < path.size() && path[i + 1] != '.' && path[i + 1] != '[')
        throw InputError(fmt::format("\"{}\": expected . or [ after ]", path));
      if (i + 1 < path.size() && path[i + 1] == '.') end(), ++i;
    } else {
      step += path[i];
    }
  }
  end();
  return steps;
}

YAML::Node child_of(const YAML::Node& node, const std::string& step) {
  if (step[0] == '[') {
    const std::size_t i = std::stoul(step.substr(1));
    return node.IsSequence() && i < node.size() ? node[i] : YAML::Node(YAML::NodeType::Undefined);
  }
  for (const auto& [key, value] : fields_of(node))
    if (key.IsScalar() && key.Scalar() == step) return value;
  return YAML::Node(YAML::NodeType::Undefined);
}

// Every scalar of a document with its path, for comparisons.
void list_scalars(const YAML::Node& node, const std::string& path, std::vector<std::pair<std::string, std::string>>& out) {
  if (node.IsMap()) {
    for (const auto& [key, value] : fields_of(node))
      list_scalars(value, path + "." + (key.IsScalar() ? key.Scalar() : "?"), out);
  } else if (node.IsSequence()) {
    for (std::size_t i = 0; i < node.size(); ++i) list_scalars(node[i], path + "[" + std::to_string(i) + "]", out);
  } else {
    out.emplace_back(path, node.IsScalar() ? node.Scalar() : "null");
  }
}

YAML::Node autoscaler_in(const std::string& text) {
  const std::vector<YAML::Node> all = YAML::LoadAll(text);
  for (const YAML::Node& d : all)
    if (all.size() == 1 || (d.IsMap() && d["kind"] && d["kind"].IsScalar() &&
                            d["kind"].Scalar() == "HorizontalPodAutoscaler"))
      return d;
  throw InputError("no HorizontalPodAutoscaler in this file");
}

// Length of the scalar that begins at `at` of a line; empty when it does not end there.
std::optional<std::size_t> scalar_length(const std::string& line, std::size_t at) {
  if (at >= line.size()) return std::nullopt;
  if (const char quote = line[at]; quote == '"' || quote == '\'') {
    for (std::size_t i = at + 1; i < line.size(); ++i) {
      if (quote == '"' && line[i] == '\\') ++i;
      else if (line[i] == quote && quote == '\'' && i + 1 < line.size() && line[i + 1] == quote) ++i;
      else if (line[i] == quote) return i + 1 - at;
    }
    return std::nullopt;
  }
  std::size_t end = at;
  while (end < line.size() && line[end] != '\n' && line[end] != '\r' && line[end] != ',' && line[end] != '}' &&
         line[end] != ']' && !(line[end] == '#' && end > at && (line[end - 1] == ' ' || line[end - 1] == '\t')))
    ++end;
  while (end > at && (line[end - 1] == ' ' || line[end - 1] == '\t')) --end;
  return end - at;
}

std::string edited(const std::string& text, const std::string& path, const std::string& value) {
  const std::vector<std::string> steps = steps_of(path);
  std::vector<std::string> lines = lines_of(text);
  YAML::Node node = autoscaler_in(text), parent;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    parent.reset(node);
    const YAML::Node next = child_of(node, steps[i]);
    if (!next.IsDefined() && (i + 1 < steps.size() || steps[i][0] == '['))
      throw InputError(fmt::format("\"{}\": there is no \"{}\" to change something of", path, steps[i].substr(steps[i][0] == '[')));
    if (!next.IsDefined()) {
      // A new field: after the first one of the object whose value is on its line.
      for (const auto& [key, v] : fields_of(parent)) {
        const auto row = static_cast<std::size_t>(key.Mark().line), column = static_cast<std::size_t>(key.Mark().column);
        if (parent.Style() == YAML::EmitterStyle::Flow || !v.IsScalar() || v.Mark().line != key.Mark().line ||
            v.Scalar().find('\n') != std::string::npos)
          continue;
        if (!lines[row].ends_with('\n')) lines[row] += '\n';
        lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(row) + 1,
                     std::string(column, ' ') + steps[i] + ": " + value + "\n");
        std::string out;
        for (const std::string& l : lines) out += l;
        return out;
      }
      throw InputError(fmt::format("\"{}\" is not there, and the object around it has no line to put it behind; add it by hand", path));
    }
    node.reset(next);
  }
  if (!node.IsScalar()) throw InputError(fmt::format("\"{}\" is no single value", path));
  const auto row = static_cast<std::size_t>(node.Mark().line), column = static_cast<std::size_t>(node.Mark().column);
  const std::optional<std::size_t> length = row < lines.size() ? scalar_length(lines[row], column) : std::nullopt;
  if (!length) throw InputError(fmt::format("\"{}\" goes over several lines; change it by hand", path));
  const char quote = lines[row][column];
  lines[row].replace(column, *length, quote == '"' || quote == '\'' ? quote + value + quote : value);
  std::string out;
  for (const std::string& l : lines) out += l;
  return out;
}

}  // namespace

std::string edit_yaml(std::string_view content, const std::string& file,
                      const std::vector<std::pair<std::string, std::string>>& changes) {
  std::string text(content);
  try {
    for (const auto& [path, value] : changes) {
      if (value.empty() || value.find_first_of("\n\r#\"'") != std::string::npos)
        throw InputError(fmt::format("\"{}\": a value is a number or a word", path));
      std::vector<std::pair<std::string, std::string>> before, after;
      list_scalars(autoscaler_in(text), "", before);
      text = edited(text, path, value);
      list_scalars(autoscaler_in(text), "", after);
      // Nothing but this value may have changed.
      std::string name = ".";
      name += path;
      std::erase_if(before, [&](const auto& s) { return s.first == name; });
      const auto it = std::find(after.begin(), after.end(), std::pair(name, value));
      const bool there = it != after.end();
      if (there) after.erase(it);
      if (!there || before != after)
        throw InputError(fmt::format("\"{}\" cannot be set to \"{}\" without changing more; do it by hand", path, value));
    }
  } catch (const YAML::Exception& e) {
    throw InputError(fmt::format("{}:{}:{}: {}", file, e.mark.line + 1, e.mark.column + 1, e.msg));
  } catch (const InputError& e) {
    throw InputError(fmt::format("{}: {}", file, e.what()));
  }
  return text;
}

std::string unified_diff(std::string_view before, std::string_view after, const std::string& from,
                         const std::string& to) {
  const std::vector<std::string> a = lines_of(before), b = lines_of(after);
  if (a == b) return "";
  // Longest common subsequence of what is left between equal ends.
  std::size_t head = 0, tail = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  while (tail < a.size() - head && tail < b.size() - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  const std::size_t n = a.size() - head - tail, m = b.size() - head - tail;
  std::vector<std::vector<std::size_t>> common(n + 1, std::vector<std::size_t>(m + 1));
  for (std::size_t i = n; i-- > 0;)
    for (std::size_t j = m; j-- > 0;)
      common[i][j] = a[head + i] == b[head + j] ? common[i + 1][j + 1] + 1
                                                : std::max(common[i + 1][j], common[i][j + 1]);
  struct Line {
    char sign;
    const std::string* text;
    std::size_t in_a, in_b;
  };
  std::vector<Line> all;
  for (std::size_t i = 0; i < head; ++i) all.push_back({' ', &a[i], i, i});
  for (std::size_t i = 0, j = 0; i < n || j < m;) {
    if (i < n && j < m && a[head + i] == b[head + j]) all.push_back({' ', &a[head + i], head + i, head + j}), ++i, ++j;
    else if (i < n && (j == m || common[i + 1][j] >= common[i][j + 1])) all.push_back({'-', &a[head + i], head + i, head + j}), ++i;
    else all.push_back({'+', &b[head + j], head + i, head + j}), ++j;
  }
  for (std::size_t k = tail; k > 0; --k) all.push_back({' ', &a[a.size() - k], a.size() - k, b.size() - k});

  constexpr std::size_t context = 3;
  std::string out = fmt::format("--- {}\n+++ {}\n", from, to);
  for (std::size_t i = 0; i < all.size();) {
    if (all[i].sign == ' ') {
      ++i;
      continue;
    }
    const std::size_t first = i < context ? 0 : i - context;
    std::size_t last = i, quiet = 0;  // past the last line of the hunk
    for (std::size_t k = i; k < all.size() && quiet <= 2 * context; ++k) {
      quiet = all[k].sign == ' ' ? quiet + 1 : 0;
      if (quiet == 0) last = k + 1;
    }
    last = std::min(all.size(), last + context);
    std::size_t olds = 0, news = 0;
    std::string body;
    for (std::size_t k = first; k < last; ++k) {
      olds += all[k].sign != '+';
      news += all[k].sign != '-';
      body += all[k].sign + *all[k].text;
      if (!body.ends_with('\n')) body += "\n\\ No newline at end of file\n";
    }
    const auto range = [](std::size_t start, std::size_t count) {
      const std::size_t shown = count == 0 ? start : start + 1;
      return count == 1 ? fmt::format("{}", shown) : fmt::format("{},{}", shown, count);
    };
    out += fmt::format("@@ -{} +{} @@\n{}", range(all[first].in_a, olds), range(all[first].in_b, news), body);
    i = last;
  }
  return out;
}

}  // namespace isthmus::scenarios
