#include "models/ncnn_graph.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <unordered_map>

#include "models/ncnn_file.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

// What a blob is while the graph grows.
struct Blob {
  std::size_t producer = 0;
  Shape shape;
};

class Importer {
 public:
  Importer(const std::string& path, const NcnnOptions& options)
      : options_(options), graph_(std::filesystem::path(path).stem().string()) {}

  OperatorGraph run(const std::vector<NcnnLayer>& layers, const std::string& path) {
    for (const NcnnLayer& l : layers) {
      const auto it = rules().find(l.type);
      if (it == rules().end()) {
        ++unsupported_[l.type];
        continue;
      }
      if (unsupported_.empty()) (this->*it->second)(l);
    }
    if (!unsupported_.empty()) {
      std::string list;
      for (const auto& [type, count] : unsupported_)
        list += fmt::format("{}{} x{}", list.empty() ? "" : ", ", type, count);
      throw InputError(fmt::format("{}: layer types that are not supported: {}", path, list));
    }
    graph_.validate();
    return std::move(graph_);
  }

 private:
  using Rule = void (Importer::*)(const NcnnLayer&);
  static const std::unordered_map<std::string, Rule>& rules();

  const Blob& in(const NcnnLayer& l, std::size_t i = 0) const {
    if (i >= l.inputs.size())
      throw InputError(fmt::format("{}: {} '{}' needs {} inputs", l.where, l.type, l.name, i + 1));
    const auto it = blobs_.find(l.inputs[i]);
    if (it == blobs_.end())
      throw InputError(fmt::format("{}: nothing gives blob '{}'", l.where, l.inputs[i]));
    return it->second;
  }

  // The shape that the file states for output `i`, or nothing.
  static std::optional<Shape> hint(const NcnnLayer& l, std::size_t i = 0) {
    const auto h = l.list(30);
    if (h.size() < 4 * (i + 1)) return std::nullopt;
    const std::int64_t dims = h[4 * i], w = h[4 * i + 1], height = h[4 * i + 2], c = h[4 * i + 3];
    if (dims == 1) return Shape{w};
    if (dims == 2) return Shape{height, w};
    if (dims == 3) return tidy({c, height, w});
    return std::nullopt;
  }
  // A plane of one value per channel is a vector.
  static Shape tidy(Shape s) {
    if (s.size() == 3 && s[1] == 1 && s[2] == 1) return {s[0]};
    return s;
  }
  Shape shape_or(const NcnnLayer& l, Shape inferred) const {
    Shape s = hint(l).value_or(tidy(std::move(inferred)));
    for (const std::int64_t n : s)
      if (n < 1 || n > 1'000'000'000)
        throw InputError(fmt::format("{}: {} '{}' would give a {} tensor", l.where, l.type, l.name,
                                     to_string(s)));
    return s;
  }

  Blob emit(const NcnnLayer& l, Operator op, const std::vector<Blob>& inputs,
            std::string suffix = "") {
    op.name = l.name + suffix;
    for (const Blob& b : inputs) op.inputs.push_back(graph_.at(b.producer).output);
    Blob result{0, op.output};
    result.producer = graph_.add(std::move(op));
    for (const Blob& b : inputs) graph_.connect(b.producer, result.producer);
    return result;
  }
  void give(const NcnnLayer& l, const Blob& blob) {
    for (const std::string& name : l.outputs) blobs_[name] = blob;
  }
  std::vector<Blob> all_inputs(const NcnnLayer& l) const {
    std::vector<Blob> all;
    for (std::size_t i = 0; i < l.inputs.size(); ++i) all.push_back(in(l, i));
    return all;
  }

  // A tensor of one dimension, through a copy when it is not one yet.
  Blob flat(const NcnnLayer& l, const Blob& x) {
    if (x.shape.size() == 1) return x;
    Operator op;
    op.kind = OperatorKind::copy;
    op.output = {std::llround(elements(x.shape))};
    return emit(l, std::move(op), {x}, "_flat");
  }
  static void mark_int8(const NcnnLayer& l, Operator& op) {
    if (l.integer(8, 0) != 0) op.weights = op.activations = Precision::int8;
  }

  void input(const NcnnLayer& l) {
    Operator op;
    op.kind = OperatorKind::input;
    const std::int64_t w = l.integer(0, 0), h = l.integer(1, 0), c = l.integer(2, 0);
    if (const auto stated = hint(l))
      op.output = *stated;
    else if (options_.input)
      op.output = *options_.input;
    else if (w > 0 && h > 0 && c > 0)
      op.output = {c, h, w};
    else if (w > 0 && h > 0)
      op.output = {h, w};
    else if (w > 0)
      op.output = {w};
    else
      throw InputError(fmt::format("{}: the file does not state the shape of input '{}'; give it",
                                   l.where, l.name));
    give(l, emit(l, std::move(op), {}));
  }
  void constant(const NcnnLayer& l) {
    Operator op;
    op.kind = OperatorKind::input;
    const std::int64_t w = l.integer(0, 1), h = l.integer(1, 0), c = l.integer(2, 0);
    op.output = shape_or(l, c > 0 ? Shape{c, h, w} : h > 0 ? Shape{h, w} : Shape{w});
    op.params = elements(op.output);
    give(l, emit(l, std::move(op), {}));
  }
  void alias(const NcnnLayer& l) { give(l, in(l)); }

  static std::int64_t windows(std::int64_t side, std::int64_t kernel, std::int64_t stride,
                              std::int64_t before, std::int64_t after, std::int64_t dilation) {
    if (before == -233 || before == -234) return (side + stride - 1) / stride;
    return (side + before + after - dilation * (kernel - 1) - 1) / stride + 1;
  }
  void convolve(const NcnnLayer& l, std::int64_t groups, bool transposed) {
    const Blob& x = in(l);
    Shape s = x.shape;
    if (s.size() == 1) s = {s[0], 1, 1};
    if (s.size() != 3)
      throw InputError(fmt::format("{}: {} '{}' cannot take a {} tensor", l.where, l.type, l.name,
                                   to_string(s)));
    const std::int64_t out = l.integer(0, 0), kw = l.integer(1, 0), kh = l.integer(11, kw);
    const std::int64_t sw = l.integer(3, 1), sh = l.integer(13, sw);
    const std::int64_t dw = l.integer(2, 1), dh = l.integer(12, dw);
    const std::int64_t left = l.integer(4, 0), top = l.integer(14, left);
    const std::int64_t right = l.integer(15, left), bottom = l.integer(16, top);
    const std::int64_t weights = l.integer(6, 0);
    if (out < 1 || kw < 1 || kh < 1 || sw < 1 || sh < 1 || groups < 1 || weights < 1 ||
        s[0] % groups != 0 || out % groups != 0 || weights != out * (s[0] / groups) * kw * kh)
      throw InputError(
          fmt::format("{}: {} '{}': {} outputs, kernel {}x{}, {} groups and {} weights "
                      "do not fit an input of {} channels",
                      l.where, l.type, l.name, out, kw, kh, groups, weights, s[0]));
    Operator op;
    op.kind = groups == s[0] && groups == out && groups > 1 ? OperatorKind::depthwise_conv
                                                            : OperatorKind::conv;
    op.kernel = std::llround(std::sqrt(d(kw * kh)));
    op.stride = sw;
    op.groups = groups;
    Shape shape = transposed ? Shape{out, (s[1] - 1) * sh + dh * (kh - 1) + 1 - top - bottom,
                                     (s[2] - 1) * sw + dw * (kw - 1) + 1 - left - right}
                             : Shape{out, windows(s[1], kh, sh, top, bottom, dh),
                                     windows(s[2], kw, sw, left, right, dw)};
    if (const auto stated = hint(l)) {
      shape = *stated;
      if (shape.size() == 1) shape = {shape[0], 1, 1};
    }
    if (shape.size() != 3 || shape[0] != out || shape[1] < 1 || shape[2] < 1)
      throw InputError(fmt::format("{}: {} '{}' would give a {} tensor", l.where, l.type, l.name,
                                   to_string(shape)));
    op.output = shape;
    op.params = d(weights) + (l.integer(5, 0) != 0 ? d(out) : 0);
    op.macs =
        (transposed ? d(s[1] * s[2]) * d(s[0]) / d(out) : d(shape[1] * shape[2])) * d(weights);
    op.flops = 2 * op.macs;
    if (l.integer(9, 0) != 0) op.fused.push_back(l.name + "/activation");
    mark_int8(l, op);
    Blob source = x;
    // Convolutions want planes; a vector of the graph is a 1x1 plane.
    if (x.shape.size() != 3) {
      Operator plane;
      plane.kind = OperatorKind::copy;
      plane.output = s;
      source = emit(l, std::move(plane), {x}, "_plane");
    }
    give(l, emit(l, std::move(op), {source}));
  }
  void conv(const NcnnLayer& l) { convolve(l, 1, false); }
  void grouped(const NcnnLayer& l) { convolve(l, l.integer(7, 1), false); }
  void deconv(const NcnnLayer& l) { convolve(l, 1, true); }
  void grouped_deconv(const NcnnLayer& l) { convolve(l, l.integer(7, 1), true); }

  Operator product(std::int64_t rows, std::int64_t n, std::int64_t k, bool bias, bool vector) {
    Operator op;
    op.kind = OperatorKind::gemm;
    op.output = vector ? Shape{n} : Shape{rows, n};
    op.macs = d(rows) * d(n) * d(k);
    op.flops = 2 * op.macs;
    op.params = d(n) * d(k) + (bias ? d(n) : 0);
    return op;
  }
  void inner_product(const NcnnLayer& l) {
    const Blob& x = in(l);
    const std::int64_t n = l.integer(0, 0), weights = l.integer(2, 0);
    if (n < 1 || weights < n || weights % n != 0)
      throw InputError(
          fmt::format("{}: InnerProduct '{}': {} weights are no multiple of {} outputs", l.where,
                      l.name, weights, n));
    const std::int64_t k = weights / n;
    // Two dimensions are rows of features; everything else is one row.
    const bool rows = x.shape.size() == 2 && x.shape[1] == k;
    const Blob source = rows ? x : flat(l, x);
    if (!rows && source.shape[0] != k)
      throw InputError(fmt::format("{}: InnerProduct '{}' wants {} values but gets {}", l.where,
                                   l.name, k, source.shape[0]));
    Operator op = product(rows ? x.shape[0] : 1, n, k, l.integer(1, 0) != 0, !rows);
    mark_int8(l, op);
    give(l, emit(l, std::move(op), {source}));
  }
  void gemm(const NcnnLayer& l) {
    const Blob& x = in(l);
    const std::int64_t n = l.integer(8, 0), k = l.integer(9, 0);
    if (l.integer(5, 0) == 0 || n < 1 || k < 1 || x.shape.empty() || x.shape.back() != k)
      throw InputError(
          fmt::format("{}: Gemm '{}': only products with constant weights of {} rows "
                      "are supported",
                      l.where, l.name, x.shape.empty() ? 0 : x.shape.back()));
    const auto rows = std::llround(elements(x.shape) / d(k));
    give(l, emit(l, product(rows, n, k, l.integer(6, 0) != 0, x.shape.size() == 1), {x}));
  }
  void attention(const NcnnLayer& l) {
    const Blob& q = in(l);
    const std::int64_t width = l.integer(0, 0), heads = l.integer(1, 1);
    if (q.shape.size() != 2 || q.shape[1] != width || heads < 1 || width % heads != 0)
      throw InputError(
          fmt::format("{}: MultiHeadAttention '{}' of width {} and {} heads cannot "
                      "take a {} tensor",
                      l.where, l.name, width, heads, to_string(q.shape)));
    const std::int64_t tokens = q.shape[0];
    const auto projection = [&](const Blob& x, const char* name) {
      return emit(l, product(tokens, width, width, true, false), {x}, name);
    };
    const Blob query = projection(q, "_q");
    const Blob key = projection(l.inputs.size() > 1 ? in(l, 1) : q, "_k");
    const Blob value = projection(l.inputs.size() > 2 ? in(l, 2) : q, "_v");
    Operator op;
    op.kind = OperatorKind::attention;
    op.heads = heads;
    op.output = q.shape;
    op.macs = 2 * d(tokens) * d(tokens) * d(width);
    op.flops = 2 * op.macs + 5 * d(tokens) * d(tokens) * d(heads);
    give(l, projection(emit(l, std::move(op), {query, key, value}, "_attention"), ""));
  }

  void pool(const NcnnLayer& l) {
    const Blob& x = in(l);
    Shape s = x.shape;
    if (s.size() == 1) s = {s[0], 1, 1};
    if (s.size() != 3)
      throw InputError(
          fmt::format("{}: Pooling '{}' cannot take a {} tensor", l.where, l.name, to_string(s)));
    Operator op;
    op.kind = OperatorKind::pool;
    if (l.integer(4, 0) != 0) {
      op.kernel = s[1];
      op.output = {s[0]};
    } else {
      const std::int64_t kw = l.integer(1, 0), kh = l.integer(11, kw);
      const std::int64_t sw = l.integer(2, 1), sh = l.integer(12, sw);
      const std::int64_t left = l.integer(3, 0), top = l.integer(13, left);
      const std::int64_t mode = l.integer(5, 0);
      if (kw < 1 || kh < 1 || sw < 1 || sh < 1)
        throw InputError(fmt::format("{}: Pooling '{}' has no window", l.where, l.name));
      const auto side = [&](std::int64_t n, std::int64_t k, std::int64_t stride, std::int64_t pad) {
        if (mode >= 2) return (n + stride - 1) / stride;
        const std::int64_t room = n + 2 * pad - k;
        return (mode == 0 ? (room + stride - 1) / stride : room / stride) + 1;
      };
      op.kernel = kw;
      op.stride = sw;
      op.output = shape_or(l, {s[0], side(s[1], kh, sh, top), side(s[2], kw, sw, left)});
    }
    op.flops = elements(op.output) * d(op.kernel * op.kernel);
    give(l, emit(l, std::move(op), {x}));
  }
  void reduce(const NcnnLayer& l) {
    const Blob& x = in(l);
    Operator op;
    op.kind = OperatorKind::pool;
    op.kernel = x.shape.size() == 3 ? x.shape[1] : 1;
    op.output = shape_or(l, {x.shape[0]});
    op.flops = elements(x.shape);
    give(l, emit(l, std::move(op), {x}));
  }

  void unary(const NcnnLayer& l, double flops) {
    Operator op;
    op.kind = OperatorKind::elementwise;
    op.function = l.type == "Swish" ? "silu" : l.type == "HardSwish" ? "hard_swish" : lower(l.type);
    op.output = in(l).shape;
    op.flops = flops * elements(op.output);
    give(l, emit(l, std::move(op), {in(l)}));
  }
  static std::string lower(std::string s) {
    for (char& c : s) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return s;
  }
  void relu(const NcnnLayer& l) { unary(l, 1); }
  void smooth(const NcnnLayer& l) { unary(l, 4); }
  void binary(const NcnnLayer& l) {
    // The larger operand gives the shape, the other one is spread over it.
    const auto inputs = all_inputs(l);
    Operator op;
    op.kind = OperatorKind::elementwise;
    op.function = l.type == "Eltwise" ? (l.integer(0, 0) == 0 ? "multiply" : "add")
                                      : (l.integer(0, 0) == 2 ? "multiply" : "add");
    op.output = in(l).shape;
    for (const Blob& b : inputs)
      if (elements(b.shape) > elements(op.output)) op.output = b.shape;
    op.flops = elements(op.output) * d(std::max<std::int64_t>(1, std::ssize(inputs) - 1));
    give(l, emit(l, std::move(op), inputs));
  }
  void softmax(const NcnnLayer& l) {
    Operator op;
    op.kind = OperatorKind::softmax;
    op.output = in(l).shape;
    op.flops = 5 * elements(op.output);
    give(l, emit(l, std::move(op), {in(l)}));
  }
  void norm(const NcnnLayer& l) {
    Operator op;
    op.kind = OperatorKind::norm;
    op.function = l.type == "LayerNorm"   ? "layer_norm"
                  : l.type == "RMSNorm"   ? "rms_norm"
                  : l.type == "BatchNorm" ? "batch_norm"
                                          : "lrn";
    op.output = in(l).shape;
    op.flops = 7 * elements(op.output);
    const double channels = d(l.integer(0, 0));
    op.params = l.type == "LayerNorm"   ? 2 * channels
                : l.type == "RMSNorm"   ? channels
                : l.type == "BatchNorm" ? 4 * channels
                                        : 0;
    give(l, emit(l, std::move(op), {in(l)}));
  }

  void copy_to(const NcnnLayer& l, const std::vector<Blob>& inputs, Shape shape) {
    Operator op;
    op.kind = OperatorKind::copy;
    op.output = std::move(shape);
    give(l, emit(l, std::move(op), inputs));
  }
  void same(const NcnnLayer& l) { copy_to(l, {in(l)}, in(l).shape); }
  void flatten(const NcnnLayer& l) {
    if (in(l).shape.size() == 1) return alias(l);
    copy_to(l, {in(l)}, {std::llround(elements(in(l).shape))});
  }
  void reshape(const NcnnLayer& l) {
    const Shape& s = in(l).shape;
    const std::int64_t w = l.integer(0, -233), h = l.integer(1, -233), c = l.integer(2, -233);
    Shape shape = c != -233 ? Shape{c, h, w} : h != -233 ? Shape{h, w} : Shape{w};
    double known = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 0) shape[i] = i < s.size() ? s[i] : 1;
      if (shape[i] > 0) known *= d(shape[i]);
    }
    for (std::int64_t& n : shape)
      if (n < 0) n = std::llround(elements(s) / known);
    copy_to(l, {in(l)}, shape_or(l, std::move(shape)));
  }
  void permute(const NcnnLayer& l) {
    Shape s = in(l).shape;
    const std::int64_t order = l.integer(0, 0);
    if (s.size() == 2 && order == 1) std::swap(s[0], s[1]);
    // Orders of {w, h, c}, written here as {c, h, w}.
    if (s.size() == 3) {
      static constexpr int places[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                           {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
      if (order < 0 || order > 5)
        throw InputError(fmt::format("{}: Permute '{}' has no order {}", l.where, l.name, order));
      const Shape old = s;
      for (std::size_t i = 0; i < 3; ++i) s[i] = old[static_cast<std::size_t>(places[order][i])];
    }
    copy_to(l, {in(l)}, shape_or(l, std::move(s)));
  }
  void concat(const NcnnLayer& l) {
    const auto inputs = all_inputs(l);
    const std::int64_t axis = l.integer(0, 0);
    Shape s = in(l).shape;
    for (const Blob& b : inputs)
      if (b.shape.size() > s.size()) s = b.shape;
    const std::size_t along = static_cast<std::size_t>(
        std::clamp<std::int64_t>(axis < 0 ? axis + std::ssize(s) : axis, 0, std::ssize(s) - 1));
    const double rest = elements(s) / d(s[along]);
    double sum = 0;
    for (const Blob& b : inputs) sum += elements(b.shape);
    s[along] = std::llround(sum / rest);
    copy_to(l, inputs, shape_or(l, std::move(s)));
  }
  // Every output is a copy of a part of the first dimension.
  void slice(const NcnnLayer& l) {
    const Blob x = in(l);
    const auto sizes = l.list(0);
    std::int64_t left = x.shape[0];
    for (std::size_t i = 0; i < l.outputs.size(); ++i) {
      const auto parts = static_cast<std::int64_t>(l.outputs.size() - i);
      std::int64_t size = i < sizes.size() ? sizes[i] : -233;
      if (size == -233) size = left / parts;
      Operator op;
      op.kind = OperatorKind::copy;
      op.output = x.shape;
      op.output[0] = size;
      if (const auto stated = hint(l, i)) op.output = *stated;
      if (op.output[0] < 1 || size > left)
        throw InputError(fmt::format("{}: Slice '{}' takes more than there is", l.where, l.name));
      left -= op.output[0];
      op.input_elements = elements(op.output);
      blobs_[l.outputs[i]] = emit(l, std::move(op), {x}, fmt::format("_{}", i));
    }
  }
  void crop(const NcnnLayer& l) {
    Shape s = in(l).shape;
    const auto starts = l.list(9), ends = l.list(10), axes = l.list(11);
    for (std::size_t i = 0; i < starts.size() && i < ends.size(); ++i) {
      const std::size_t axis = i < axes.size() ? static_cast<std::size_t>(axes[i]) : i;
      if (axis >= s.size()) continue;
      const std::int64_t end = std::min(ends[i], s[axis]);
      s[axis] = end - starts[i];
    }
    Operator op;
    op.kind = OperatorKind::copy;
    op.output = shape_or(l, std::move(s));
    op.input_elements = elements(op.output);
    give(l, emit(l, std::move(op), {in(l)}));
  }
  void pad(const NcnnLayer& l) {
    Shape s = in(l).shape;
    if (s.size() == 3) {
      s[0] += l.integer(7, 0) + l.integer(8, 0);
      s[1] += l.integer(0, 0) + l.integer(1, 0);
      s[2] += l.integer(2, 0) + l.integer(3, 0);
    }
    copy_to(l, {in(l)}, shape_or(l, std::move(s)));
  }
  void interpolate(const NcnnLayer& l) {
    Shape s = in(l).shape;
    if (s.size() != 3 && s.size() != 1)
      throw InputError(
          fmt::format("{}: Interp '{}' cannot take a {} tensor", l.where, l.name, to_string(s)));
    if (s.size() == 1) s = {s[0], 1, 1};
    const auto factor = [&](int key) {
      const auto it = l.values.find(key);
      return it == l.values.end() ? 1.0 : std::strtod(it->second.c_str(), nullptr);
    };
    const std::int64_t height = l.integer(3, 0), width = l.integer(4, 0);
    s[1] = height > 0 ? height : std::llround(d(s[1]) * factor(1));
    s[2] = width > 0 ? width : std::llround(d(s[2]) * factor(2));
    copy_to(l, {in(l)}, shape_or(l, std::move(s)));
  }
  // Boxes of a plane; made from shapes alone, so next to nothing.
  void boxes(const NcnnLayer& l) { copy_to(l, {in(l)}, shape_or(l, {2, 4})); }
  // Picks and sorts boxes: reads everything once.
  void detect(const NcnnLayer& l) {
    Operator op;
    op.kind = OperatorKind::elementwise;
    op.function = "detection";
    op.output = hint(l).value_or(Shape{1});
    const auto inputs = all_inputs(l);
    for (const Blob& b : inputs) op.flops += elements(b.shape);
    give(l, emit(l, std::move(op), inputs));
  }

  const NcnnOptions& options_;
  OperatorGraph graph_;
  std::unordered_map<std::string, Blob> blobs_;
  std::map<std::string, std::size_t> unsupported_;
};

const std::unordered_map<std::string, Importer::Rule>& Importer::rules() {
  using I = Importer;
  static const std::unordered_map<std::string, Rule> table{
      {"Input", &I::input},
      {"MemoryData", &I::constant},
      {"Split", &I::alias},
      {"Noop", &I::alias},
      {"Dropout", &I::alias},
      {"Convolution", &I::conv},
      {"ConvolutionDepthWise", &I::grouped},
      {"Deconvolution", &I::deconv},
      {"DeconvolutionDepthWise", &I::grouped_deconv},
      {"InnerProduct", &I::inner_product},
      {"Gemm", &I::gemm},
      {"MultiHeadAttention", &I::attention},
      {"Pooling", &I::pool},
      {"Reduction", &I::reduce},
      {"ReLU", &I::relu},
      {"Sigmoid", &I::smooth},
      {"HardSigmoid", &I::smooth},
      {"HardSwish", &I::smooth},
      {"Swish", &I::smooth},
      {"GELU", &I::smooth},
      {"TanH", &I::smooth},
      {"BinaryOp", &I::binary},
      {"Eltwise", &I::binary},
      {"Softmax", &I::softmax},
      {"LRN", &I::norm},
      {"BatchNorm", &I::norm},
      {"LayerNorm", &I::norm},
      {"RMSNorm", &I::norm},
      {"ShuffleChannel", &I::same},
      {"Flatten", &I::flatten},
      {"Reshape", &I::reshape},
      {"Permute", &I::permute},
      {"Concat", &I::concat},
      {"Slice", &I::slice},
      {"Crop", &I::crop},
      {"Padding", &I::pad},
      {"Interp", &I::interpolate},
      {"PriorBox", &I::boxes},
      {"DetectionOutput", &I::detect},
      {"YoloDetectionOutput", &I::detect},
      {"Yolov3DetectionOutput", &I::detect},
  };
  return table;
}

}  // namespace

OperatorGraph import_ncnn_graph(const std::string& path, const NcnnOptions& options) {
  return Importer(path, options).run(read_ncnn_layers(path), path);
}

}  // namespace isthmus::models
