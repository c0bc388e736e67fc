// graph.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "models/graph_export.hpp"
#include "scenarios/cli.hpp"
#include "scenarios/file_reading.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

void write(const std::string& file, const std::string& text) {
  if (file == "-")
    fmt::print("{}", text);
  else if (!file.empty())
    write_file_atomically(file, text);
}

void summary(const models::OperatorGraph& g) {
  const models::GraphTotals t = g.totals();
  fmt::print(
      "{}: {} operators, {:.4g} M parameters, {:.4g} M multiply-adds, {:.4g} M flops per "
      "sample\n\n",
      g.name(), t.operators, t.params / 1e6, t.macs / 1e6, t.flops / 1e6);
  struct Sum {
    std::size_t count = 0;
    double params = 0, macs = 0, elements = 0;
  };
  std::array<Sum, models::operator_kind_names.size()> kinds{};
  std::size_t fused = 0;
  for (std::size_t v = 0; v < g.size(); ++v) {
    Sum& s = kinds[static_cast<std::size_t>(g.at(v).kind)];
    ++s.count;
    s.params += g.at(v).params;
    s.macs += g.at(v).macs;
    s.elements += g.at(v).output_elements;
    fused += g.at(v).fused.size();
  }
  fmt::print("{:16} {:>7} {:>14} {:>14} {:>16}\n", "kind", "count", "parameters", "multiply-adds",
             "output elements");
  for (std::size_t k = 0; k < kinds.size(); ++k)
    if (kinds[k].count > 0)
      fmt::print("{:16} {:>7} {:>14.0f} {:>14.4g} {:>16.0f}\n", models::operator_kind_names[k],
                 kinds[k].count, kinds[k].params, kinds[k].macs, kinds[k].elements);
  std::vector<double> flops;
  for (std::size_t v = 0; v < g.size(); ++v) flops.push_back(g.at(v).flops);
  const auto path = g.critical_path(flops);
  fmt::print("\ncritical path: {} operators with {:.1f} % of the flops\n", path.operators.size(),
             t.flops > 0 ? 100 * path.cost / t.flops : 0);
  fmt::print("places to split where one tensor crosses: {}\n", g.narrow_cuts().size());
  fmt::print("live activations at their peak: {:.4g} M elements\n", g.peak_live_elements() / 1e6);
  if (fused > 0) fmt::print("operators folded into others: {}\n", fused);
}

}  // namespace

std::map<std::string, std::int64_t> bound_axes(const std::vector<std::string>& bind) {
  std::map<std::string, std::int64_t> axes;
  for (const std::string& pair : bind) {
    // Names may hold equals signs, sizes do not.
    const std::size_t equals = pair.rfind('=');
    std::int64_t size = 0;
    const char* begin = pair.data() + (equals == std::string::npos ? pair.size() : equals + 1);
    const auto [stop, error] = std::from_chars(begin, pair.data() + pair.size(), size);
    if (equals == std::string::npos || equals == 0 || error != std::errc() ||
        stop != pair.data() + pair.size())
      throw InputError("--bind: must be axis=size, e.g. sequence=128, not '" + pair + "'");
    axes[pair.substr(0, equals)] = size;
  }
  return axes;
}

int command_graph(const GraphFlags& f) {
  models::GraphSource source = f.source;
  source.axes = bound_axes(f.bind);
  const models::LoadedGraph loaded = models::load_graph(source);
  write(f.dot, models::to_dot(loaded.graph));
  write(f.json, models::to_json(loaded.graph));
  if (f.dot.empty() && f.json.empty()) {
    summary(loaded.graph);
    for (const std::string& note : loaded.notes) fmt::print("{}\n", note);
  }
  return exit_ok;
}

}  // namespace isthmus::scenarios
