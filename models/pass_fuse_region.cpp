// Activation functions and norms that an export has spelt out in elementwise operators: a region of
// such operators that reads one tensor and writes one.
#include <algorithm>
#include <set>
#include <vector>

#include "models/pass_fuse_internal.hpp"

namespace isthmus::models {

namespace {

using K = OperatorKind;

// The longest expansion, gelu by tanh, has nine operators.
constexpr std::size_t longest_region = 16;

struct Region {
  std::vector<std::size_t> members;  // sink first
  std::string function;
};

// How often each function occurs.
class Census {
 public:
  Census(const GraphEdit& edit, const std::vector<std::size_t>& members) {
    for (const std::size_t m : members) {
      functions_.insert(plain_function(edit.at(m).function));
      if (edit.at(m).kind == K::pool) functions_.insert("mean");
    }
  }
  std::size_t count(const char* f) const { return functions_.count(f); }
  bool has(const char* f) const { return count(f) > 0; }

 private:
  std::multiset<std::string> functions_;
};

// The norm that the region computes, or "".
std::string norm_of(const Census& c) {
  const bool mean = c.has("mean") || c.has("reducemean");
  const bool square = c.has("pow") || c.has("square") || c.has("multiply");
  if (!mean || !square || (!c.has("sqrt") && !c.has("rsqrt"))) return "";
  return c.has("subtract") ? "layer_norm" : "rms_norm";
}

// The activation function that the region computes, or "".
std::string activation_of(const Census& c, std::size_t size) {
  if (!c.has("multiply") && !c.has("divide")) return "";
  if (c.has("erf")) return "gelu";
  if (c.has("softplus") && c.has("tanh")) return "mish";
  if (c.has("tanh") && (c.has("pow") || c.count("multiply") >= 4)) return "gelu";
  if (c.has("sigmoid")) return size == 2 ? "silu" : size == 3 ? "quick_gelu" : "";
  const bool clamp = c.has("clip") || c.has("relu6") || c.has("hardtanh");
  if ((c.has("hardsigmoid") && size == 2) || (clamp && c.has("add") && size <= 4))
    return "hard_swish";
  return "";
}

// Grows backwards from `sink`, always through the latest producer, until what is read from outside
// is one tensor and the functions inside mean something.
Region region_before(const GraphEdit& edit, const std::vector<std::size_t>& position,
                     std::size_t sink, bool norms) {
  Region best;
  std::vector<std::size_t> members{sink};
  const auto inside = [&](std::size_t v) {
    return std::find(members.begin(), members.end(), v) != members.end();
  };
  while (members.size() < longest_region) {
    std::set<std::size_t> outside;
    for (const std::size_t m : members)
      for (const std::size_t p : edit.inputs(m))
        if (!inside(p)) outside.insert(p);
    if (outside.empty()) break;
    if (outside.size() == 1 && members.size() >= 2 &&
        edit.at(*outside.begin()).output == edit.at(sink).output) {
      const Census census(edit, members);
      const auto function = norms ? norm_of(census) : activation_of(census, members.size());
      if (!function.empty()) {
        best = {members, function};
        if (function != "rms_norm") break;  // that may be the second half of a layer norm
      }
    }
    const std::size_t latest =
        *std::max_element(outside.begin(), outside.end(),
                          [&](std::size_t a, std::size_t b) { return position[a] < position[b]; });
    const Operator& op = edit.at(latest);
    const bool fits = op.kind == K::elementwise
                          ? norms || op.output == edit.at(sink).output
                          : norms && op.kind == K::pool && op.inputs.size() == 1;
    if (!fits || edit.inputs(latest).empty() ||
        !std::all_of(edit.readers(latest).begin(), edit.readers(latest).end(), inside))
      break;
    members.push_back(latest);
  }
  return best;
}

// Scale and shift behind a norm, a constant factor behind an activation function.
void add_tail(const GraphEdit& edit, std::size_t sink, bool norms, Region& region) {
  for (int i = 0; i < 2; ++i) {
    const std::size_t next = edit.only_reader(sink);
    if (next == GraphEdit::none() || !is_unary(edit.at(next))) return;
    const Operator& op = edit.at(next);
    const std::string f = plain_function(op.function);
    const bool factor = f == "multiply" || (!norms && f == "divide");
    const bool fits = norms ? factor || f == "add"
                            : factor && op.params <= 1 && i == 0 && region.function != "silu";
    if (!fits) return;
    region.members.insert(region.members.begin(), next);
    sink = next;
  }
}

}  // namespace

FuseCount fuse_regions(GraphEdit& edit, const ModelVersion& version, bool norms) {
  FuseCount count;
  const auto order = edit.order();
  std::vector<std::size_t> position(edit.size());
  for (std::size_t i = 0; i < order.size(); ++i) position[order[i]] = i;
  for (const std::size_t sink : order) {
    if (!edit.alive(sink) || edit.at(sink).kind != K::elementwise || edit.inputs(sink).size() < 2)
      continue;
    Region region = region_before(edit, position, sink, norms);
    if (region.members.empty()) continue;
    add_tail(edit, sink, norms, region);
    if (!same_formats(edit, version, region.members)) {
      ++count.apart;
      continue;
    }
    const std::size_t last = region.members.front();
    std::sort(region.members.begin(), region.members.end(),
              [&](std::size_t a, std::size_t b) { return position[a] < position[b]; });
    const std::size_t root = region.members.front();
    edit.fuse(region.members, root, last);
    edit.read_once(root);
    Operator& op = edit.at(root);
    op.kind = norms ? K::norm : K::elementwise;
    op.function = region.function;
    op.kernel = op.stride = 1;
    ++count.found;
  }
  return count;
}

}  // namespace isthmus::models
