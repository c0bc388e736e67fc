#include "models/graph_export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "models/name_error.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int format_version = 1;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string count(double v) {
  for (const auto& [factor, prefix] : {std::pair{1e9, " G"}, {1e6, " M"}, {1e3, " k"}})
    if (v >= factor) return fmt::format("{:.3g}{}", v / factor, prefix);
  return fmt::format("{:g}", v);
}

// A numeric or textual member with a default; anything else is an error with its place.
class Reader {
 public:
  Reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) refuse("must be an object");
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw InputError(fmt::format("{}: {}", where_, what));
  }
  void only(const std::vector<std::string>& known) const {
    for (const auto& [key, value] : object_.items())
      if (std::find(known.begin(), known.end(), key) == known.end())
        throw InputError(where_ + ": " + name_error("key", key, known).what());
  }
  double number(const char* key, double other) const {
    const auto it = object_.find(key);
    if (it == object_.end()) return other;
    if (!it->is_number() || !(it->get<double>() >= 0) || it->get<double>() > 1e30)
      refuse(fmt::format("{} must be a number from 0 on, not {}", key, it->dump()));
    return it->get<double>();
  }
  std::int64_t integer(const char* key, std::int64_t other) const {
    const auto it = object_.find(key);
    if (it == object_.end()) return other;
    if (!it->is_number_integer() || it->get<double>() < 1 || it->get<double>() > 1e15)
      refuse(fmt::format("{} must be a positive integer, not {}", key, it->dump()));
    return it->get<std::int64_t>();
  }
  std::string text(const char* key, const char* other) const {
    const auto it = object_.find(key);
    if (it == object_.end()) return other;
    if (!it->is_string()) refuse(fmt::format("{} must be a text, not {}", key, it->dump()));
    return it->get<std::string>();
  }
  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> all;
    const auto it = object_.find(key);
    if (it == object_.end()) return all;
    if (!it->is_array()) refuse(fmt::format("{} must be a list", key));
    for (const json& v : *it) {
      if (!v.is_string()) refuse(fmt::format("{} must be a list of texts", key));
      all.push_back(v.get<std::string>());
    }
    return all;
  }
  Shape shape(const char* key) const {
    const auto it = object_.find(key);
    if (it == object_.end() || !it->is_array())
      refuse(fmt::format("needs {}, a list of sizes", key));
    Shape s;
    for (const json& v : *it) {
      if (!v.is_number_integer() || v.get<double>() < 1 || v.get<double>() > 1e12)
        refuse(fmt::format("{} must be positive sizes, not {}", key, it->dump()));
      s.push_back(v.get<std::int64_t>());
    }
    return s;
  }
  std::optional<Precision> format(const char* key) const {
    const std::string name = text(key, "");
    if (name.empty()) return std::nullopt;
    const auto p = precision_from(name);
    if (!p) refuse(fmt::format("{}: there is no number format \"{}\"", key, name));
    return p;
  }

 private:
  const json& object_;
  std::string where_;
};

std::string text_or_empty(const json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

// Why an input is not there yet: a cycle, the order of the file, or its name.
std::string missing_input(const json& operators, const std::string& name) {
  OperatorGraph g("order");
  std::map<std::string, std::size_t> index;
  std::vector<std::string> names;
  for (const json& o : operators) {
    Operator op;
    op.name = text_or_empty(o, "name");
    names.push_back(op.name);
    const std::size_t v = g.add(std::move(op));
    index.emplace(names.back(), v);
  }
  for (std::size_t v = 0; v < operators.size(); ++v)
    if (const json& o = operators[v]; o.is_object() && o.contains("inputs"))
      for (const json& from : o["inputs"])
        if (const auto it = index.find(from.is_string() ? from.get<std::string>() : "");
            it != index.end())
          g.connect(it->second, v);
  if (const auto cycle = g.find_cycle(); !cycle.empty()) {
    std::string path;
    for (const std::size_t v : cycle) path += g.at(v).name + " -> ";
    return fmt::format("the graph has a cycle: {}{}; remove one of its inputs", path,
                       g.at(cycle.front()).name);
  }
  if (index.contains(name))
    return fmt::format("input \"{}\" stands later in the file; put it before this operator", name);
  return std::string(name_error("operator", name, names).what());
}

}  // namespace

std::string to_dot(const OperatorGraph& g) {
  // Clusters by the first two parts of the module.
  std::map<std::string, std::vector<std::size_t>> clusters;
  for (std::size_t v = 0; v < g.size(); ++v) {
    const std::string& module = g.at(v).module;
    const std::size_t first = module.find('.');
    const std::size_t second = first == std::string::npos ? first : module.find('.', first + 1);
    clusters[module.substr(0, second)].push_back(v);
  }
  std::string out = fmt::format("digraph {} {{\n  rankdir=TB;\n  node [shape=box, fontsize=10];\n",
                                quoted(g.name()));
  std::size_t number = 0;
  for (const auto& [module, members] : clusters) {
    const std::string indent = module.empty() ? "  " : "    ";
    if (!module.empty())
      out += fmt::format("  subgraph cluster_{} {{\n    label={};\n", number++, quoted(module));
    for (const std::size_t v : members) {
      const Operator& op = g.at(v);
      std::string label = op.name + "\\n" + std::string(name_of(op.kind)) +
                          (op.function.empty() ? "" : " " + op.function) + " " +
                          to_string(op.output);
      if (op.params > 0) label += "\\n" + count(op.params) + " parameters";
      if (op.macs > 0) label += "\\n" + count(op.macs) + " MAC";
      if (!op.fused.empty()) label += fmt::format("\\n+ {} fused", op.fused.size());
      // The label's line breaks are dot's own.
      std::string escaped;
      for (const char c : label) escaped += c == '"' ? std::string("\\\"") : std::string(1, c);
      out += fmt::format("{}n{} [label=\"{}\"{}];\n", indent, v, escaped,
                         op.kind == OperatorKind::input ? ", style=rounded" : "");
    }
    if (!module.empty()) out += "  }\n";
  }
  for (std::size_t v = 0; v < g.size(); ++v)
    for (const std::size_t u : g.predecessors(v)) out += fmt::format("  n{} -> n{};\n", u, v);
  return out + "}\n";
}

std::string to_json(const OperatorGraph& g) {
  ordered_json operators = ordered_json::array();
  const Operator plain;
  for (std::size_t v = 0; v < g.size(); ++v) {
    const Operator& op = g.at(v);
    ordered_json o{{"name", op.name}, {"kind", name_of(op.kind)}};
    if (!op.function.empty()) o["function"] = op.function;
    if (!op.module.empty()) o["module"] = op.module;
    ordered_json from = ordered_json::array();
    for (const std::size_t u : g.predecessors(v)) from.push_back(g.at(u).name);
    if (!from.empty()) o["inputs"] = std::move(from);
    o["output"] = op.output;
    const auto put = [&](const char* key, const auto& value, const auto& standard) {
      if (value != standard) o[key] = value;
    };
    put("flops", op.flops, 0.0);
    put("macs", op.macs, 0.0);
    put("params", op.params, 0.0);
    put("input_elements", op.input_elements, 0.0);
    put("output_elements", op.output_elements, 0.0);
    put("kernel", op.kernel, plain.kernel);
    put("stride", op.stride, plain.stride);
    put("groups", op.groups, plain.groups);
    put("heads", op.heads, plain.heads);
    put("active", op.active, 1.0);
    if (op.weights) o["weights"] = name_of(*op.weights);
    if (op.activations) o["activations"] = name_of(*op.activations);
    if (!op.fused.empty()) o["fused"] = op.fused;
    operators.push_back(std::move(o));
  }
  const ordered_json all{
      {"isthmus_graph", format_version}, {"name", g.name()}, {"operators", std::move(operators)}};
  return all.dump(1) + "\n";
}

OperatorGraph graph_from_json(const std::string& text, const std::string& where) {
  json all;
  try {
    all = json::parse(text);
  } catch (const json::exception& e) {
    throw InputError(fmt::format("{}: is not JSON: {}", where, e.what()));
  }
  const Reader top(all, where);
  top.only({"isthmus_graph", "name", "operators"});
  if (top.integer("isthmus_graph", 0) != format_version)
    top.refuse(fmt::format("needs \"isthmus_graph\": {}", format_version));
  if (!all.contains("operators") || !all["operators"].is_array())
    top.refuse("needs operators, a list");
  OperatorGraph g(top.text("name", "graph"));
  std::map<std::string, std::size_t> known;
  std::size_t number = 0;
  for (const json& o : all["operators"]) {
    const std::string called = text_or_empty(o, "name");
    const Reader r(o, fmt::format("{}: operator {}{}", where, number++,
                                  called.empty() ? "" : " (\"" + called + "\")"));
    r.only({"name", "kind", "function", "module", "inputs", "output", "flops", "macs", "params",
            "input_elements", "output_elements", "kernel", "stride", "groups", "heads", "active",
            "weights", "activations", "fused"});
    Operator op;
    op.name = r.text("name", "");
    const std::string kind = r.text("kind", "");
    const auto k = operator_kind_from(kind);
    if (!k) {
      std::vector<std::string> kinds(operator_kind_names.begin(), operator_kind_names.end());
      r.refuse(name_error("operator kind", kind, kinds).what());
    }
    op.kind = *k;
    op.function = r.text("function", "");
    op.module = r.text("module", "");
    op.output = r.shape("output");
    op.flops = r.number("flops", 0);
    op.macs = r.number("macs", 0);
    op.params = r.number("params", 0);
    op.input_elements = r.number("input_elements", 0);
    op.output_elements = r.number("output_elements", 0);
    op.kernel = r.integer("kernel", 1);
    op.stride = r.integer("stride", 1);
    op.groups = r.integer("groups", 1);
    op.heads = r.integer("heads", 1);
    op.active = r.number("active", 1);
    op.weights = r.format("weights");
    op.activations = r.format("activations");
    op.fused = r.texts("fused");
    if (op.kind == OperatorKind::input && !r.texts("inputs").empty())
      r.refuse("an operator of kind input reads nothing; leave inputs out");
    // Operators name earlier ones only, so that a file has no cycles.
    std::vector<std::size_t> from;
    for (const std::string& name : r.texts("inputs")) {
      const auto it = known.find(name);
      if (it == known.end()) r.refuse(missing_input(all["operators"], name));
      from.push_back(it->second);
      op.inputs.push_back(g.at(it->second).output);
    }
    const std::string name = op.name;
    const std::size_t index = g.add(std::move(op));
    if (!known.emplace(name, index).second)
      r.refuse("there is an operator \"" + name + "\" already");
    for (const std::size_t p : from) g.connect(p, index);
  }
  try {
    g.validate();
  } catch (const InputError& e) {
    std::vector<std::string> placed;
    for (const std::string& line : e.problems()) placed.push_back(where + ": " + line);
    throw InputError(std::move(placed));
  }
  return g;
}

}  // namespace isthmus::models
