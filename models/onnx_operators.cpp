#include "models/onnx_operators.hpp"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

#include "models/onnx_shapes.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

double product(const Dims& dims, std::size_t from = 0) {
  double n = 1;
  for (std::size_t i = from; i < dims.size(); ++i) n *= d(dims[i]);
  return n;
}

std::optional<Precision> format_of(int type) {
  switch (type) {
    case onnx::TensorProto::FLOAT16:
      return Precision::fp16;
    case onnx::TensorProto::BFLOAT16:
      return Precision::bf16;
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::UINT8:
      return Precision::int8;
    default:
      return std::nullopt;
  }
}

// Functions of one or two tensors, element by element, with flops per element.
const std::map<std::string, std::pair<const char*, double>>& functions() {
  static const std::map<std::string, std::pair<const char*, double>> table{
      {"Relu", {"relu", 1}},
      {"LeakyRelu", {"leaky_relu", 2}},
      {"PRelu", {"prelu", 2}},
      {"Clip", {"clip", 2}},
      {"Sigmoid", {"sigmoid", 4}},
      {"Tanh", {"tanh", 8}},
      {"HardSigmoid", {"hard_sigmoid", 3}},
      {"HardSwish", {"hard_swish", 4}},
      {"Gelu", {"gelu", 8}},
      {"Erf", {"erf", 8}},
      {"Elu", {"elu", 4}},
      {"Selu", {"selu", 4}},
      {"Softplus", {"softplus", 8}},
      {"Mish", {"mish", 12}},
      {"Exp", {"exp", 4}},
      {"Log", {"log", 4}},
      {"Sqrt", {"sqrt", 1}},
      {"Pow", {"pow", 4}},
      {"Neg", {"negative", 1}},
      {"Abs", {"abs", 1}},
      {"Reciprocal", {"reciprocal", 1}},
      {"Floor", {"floor", 1}},
      {"Ceil", {"ceil", 1}},
      {"Round", {"round", 1}},
      {"Sin", {"sin", 8}},
      {"Cos", {"cos", 8}},
      {"Sign", {"sign", 1}},
      {"Not", {"not", 1}},
      {"Add", {"add", 1}},
      {"Sub", {"subtract", 1}},
      {"Mul", {"multiply", 1}},
      {"Div", {"divide", 1}},
      {"Min", {"minimum", 1}},
      {"Max", {"maximum", 1}},
      {"Sum", {"add", 1}},
      {"Mean", {"mean", 1}},
      {"Where", {"where", 1}},
      {"Equal", {"equal", 1}},
      {"Greater", {"greater", 1}},
      {"Less", {"less", 1}},
      {"And", {"and", 1}},
      {"Or", {"or", 1}},
      {"GreaterOrEqual", {"greater", 1}},
      {"LessOrEqual", {"less", 1}},
      {"Mod", {"mod", 1}},
      {"CumSum", {"cumsum", 1}}};
  return table;
}

// Nodes that move data.
const std::set<std::string>& moves() {
  static const std::set<std::string> table{"Concat",
                                           "Slice",
                                           "Transpose",
                                           "Pad",
                                           "Resize",
                                           "Upsample",
                                           "Expand",
                                           "Tile",
                                           "DepthToSpace",
                                           "SpaceToDepth",
                                           "QuantizeLinear",
                                           "DequantizeLinear",
                                           "DynamicQuantizeLinear",
                                           "GatherElements",
                                           "GatherND",
                                           "ScatterND",
                                           "ScatterElements",
                                           "OneHot",
                                           "Trilu"};
  return table;
}

// Nodes that only rename a tensor.
const std::set<std::string>& renames() {
  static const std::set<std::string> table{"Reshape",  "Flatten", "Squeeze", "Unsqueeze",
                                           "Identity", "Dropout", "Cast",    "CastLike"};
  return table;
}

bool is_supported(const onnx::NodeProto& n) {
  static const std::set<std::string> others{"Conv",
                                            "ConvInteger",
                                            "QLinearConv",
                                            "ConvTranspose",
                                            "Gemm",
                                            "MatMul",
                                            "MatMulInteger",
                                            "QLinearMatMul",
                                            "BatchNormalization",
                                            "LayerNormalization",
                                            "SkipLayerNormalization",
                                            "InstanceNormalization",
                                            "GroupNormalization",
                                            "SimplifiedLayerNormalization",
                                            "LRN",
                                            "LpNormalization",
                                            "MeanVarianceNormalization",
                                            "Softmax",
                                            "LogSoftmax",
                                            "MaxPool",
                                            "AveragePool",
                                            "LpPool",
                                            "GlobalAveragePool",
                                            "GlobalMaxPool",
                                            "ArgMax",
                                            "ArgMin",
                                            "LSTM",
                                            "GRU",
                                            "RNN",
                                            "Split",
                                            "Gather",
                                            "Constant",
                                            "Shape",
                                            "ConstantOfShape",
                                            "Range"};
  const std::string& type = n.op_type();
  if (!n.domain().empty() && n.domain() != "ai.onnx" && n.domain() != "com.microsoft") return false;
  return others.contains(type) || functions().contains(type) || moves().contains(type) ||
         renames().contains(type) || type.starts_with("Reduce");
}

class Converter {
 public:
  Converter(const OnnxShapes& shapes, const std::string& path, OnnxModel& model)
      : shapes_(shapes), path_(path), model_(model) {}

  void inputs(const onnx::GraphProto& graph) {
    for (const auto& input : graph.input()) {
      if (shapes_.is_weight(input.name())) continue;
      Operator op;
      op.kind = OperatorKind::input;
      op.output = sample(needed(input.name(), "input"));
      op.name = unique(input.name());
      producers_[input.name()] = model_.graph.add(std::move(op));
    }
  }

  void node(const onnx::NodeProto& n) {
    const std::string& type = n.op_type();
    std::vector<std::string> data;  // activations that it reads
    for (const auto& name : n.input())
      if (producers_.contains(name)) data.push_back(name);
    const bool constant = n.output_size() > 0 && shapes_.constant(n.output(0));
    if (type == "Constant" || type == "Shape" || type == "ConstantOfShape" || type == "Range" ||
        constant || data.empty()) {
      // Decided by shapes and weights alone.
      ++model_.report.folded;
      for (const auto& out : n.output())
        if (!constant && data.empty()) derived_.insert(out);
      return;
    }
    if (renames().contains(type)) {
      ++model_.report.folded;
      out(n);  // whose shape must be known all the same
      producers_[n.output(0)] = producers_.at(data[0]);
      return;
    }
    if (!is_supported(n)) return elementwise(n, "unsupported", 0);
    if (type == "Conv" || type == "ConvInteger" || type == "QLinearConv") return conv(n);
    if (type == "ConvTranspose") return deconv(n);
    if (type == "Gemm" || type == "MatMul" || type == "MatMulInteger" || type == "QLinearMatMul")
      return product_of(n);
    if (type == "BatchNormalization") return norm(n, "batch_norm", 4);
    if (type == "LayerNormalization" || type == "SkipLayerNormalization")
      return norm(n, "layer_norm", 2);
    if (type == "InstanceNormalization" || type == "GroupNormalization")
      return norm(n, "group_norm", 2);
    if (type == "SimplifiedLayerNormalization") return norm(n, "rms_norm", 1);
    if (type == "LRN" || type == "LpNormalization" || type == "MeanVarianceNormalization")
      return norm(n, "lrn", 0);
    if (type == "Softmax" || type == "LogSoftmax") return softmax(n);
    if (type == "MaxPool" || type == "AveragePool" || type == "LpPool") return pool(n, false);
    if (type == "GlobalAveragePool" || type == "GlobalMaxPool" || type.starts_with("Reduce") ||
        type == "ArgMax" || type == "ArgMin")
      return pool(n, true);
    if (type == "LSTM" || type == "GRU" || type == "RNN") return recurrent(n);
    if (type == "Split") return split(n);
    if (type == "Gather") return gather(n);
    if (const auto f = functions().find(type); f != functions().end())
      return elementwise(n, f->second.first, f->second.second);
    return move(n);
  }

 private:
  std::string label(const onnx::NodeProto& n) const {
    return n.name().empty() ? n.op_type() + " -> " + (n.output_size() ? n.output(0) : "")
                            : n.name();
  }
  Dims needed(const std::string& tensor, const std::string& of) const {
    const auto shape = shapes_.shape(tensor);
    if (!shape)
      throw InputError(
          fmt::format("{}: the shape of tensor '{}' ({}) does not follow from the "
                      "inputs",
                      path_, tensor, of));
    return *shape;
  }
  Dims out(const onnx::NodeProto& n, int i = 0) const { return needed(n.output(i), label(n)); }

  // Dimensions of one sample: a leading batch goes, a batch merged into another axis is divided.
  Shape sample(Dims dims) const {
    const std::int64_t batch = shapes_.batch();
    if (dims.size() > 1 && dims[0] == batch)
      dims.erase(dims.begin());
    else if (!dims.empty() && batch > 1 && dims[0] % batch == 0)
      dims[0] /= batch;
    return dims.empty() ? Shape{1} : Shape(dims.begin(), dims.end());
  }
  double per_sample(double total) const { return total / d(shapes_.batch()); }
  bool weight(const std::string& tensor) const {
    return shapes_.is_weight(tensor) || derived_.contains(tensor);
  }
  // {channels, height, width} whatever the number of spatial axes.
  static Shape plane(Shape s) {
    while (s.size() < 3)
      s.insert(s.begin() + (s.size() > 1 ? 1 : static_cast<std::ptrdiff_t>(s.size())), 1);
    while (s.size() > 3) {
      s[1] *= s[2];
      s.erase(s.begin() + 2);
    }
    return s;
  }

  std::string unique(std::string name) {
    std::string candidate = name;
    for (int i = 2; !names_.insert(candidate).second; ++i)
      candidate = fmt::format("{}_{}", name, i);
    return candidate;
  }

  void emit(const onnx::NodeProto& n, Operator op, int output = 0) {
    op.name = unique(label(n) + (output > 0 ? fmt::format("_{}", output) : ""));
    // "/encoder/layer.0/attention/MatMul" lies in module encoder.layer.0.attention.
    if (const std::size_t slash = op.name.rfind('/'); slash != std::string::npos && slash > 0) {
      op.module = op.name.substr(op.name[0] == '/' ? 1 : 0, slash - (op.name[0] == '/' ? 1 : 0));
      std::replace(op.module.begin(), op.module.end(), '/', '.');
    }
    std::vector<std::size_t> from;
    for (const auto& name : n.input())
      if (const auto it = producers_.find(name); it != producers_.end()) {
        from.push_back(it->second);
        op.inputs.push_back(model_.graph.at(it->second).output);
      }
    if (!op.activations) op.activations = format_of(shapes_.type(n.output(output)));
    const std::size_t index = model_.graph.add(std::move(op));
    for (const std::size_t p : from) model_.graph.connect(p, index);
    if (output == 0) {
      // Further outputs (masks, indices) count as the same tensor.
      for (const auto& name : n.output())
        if (!name.empty()) producers_[name] = index;
    } else {
      producers_[n.output(output)] = index;
    }
  }

  // Parameters in the weight operands of a node, and their format.
  void take_weights(const onnx::NodeProto& n, Operator& op) const {
    for (const auto& name : n.input()) {
      if (name.empty() || !weight(name) || producers_.contains(name)) continue;
      const auto shape = shapes_.shape(name);
      if (!shape || (shapes_.constant(name) && product(*shape) <= 1)) continue;
      op.params += product(*shape);
      if (const auto f = format_of(shapes_.type(name))) op.weights = f;
    }
  }

  void conv(const onnx::NodeProto& n) {
    const bool quantized = n.op_type() != "Conv";
    const int at = n.op_type() == "QLinearConv" ? 3 : 1;
    if (n.input_size() <= at) throw InputError(path_ + ": " + label(n) + " has no weights");
    const Dims w = needed(n.input(at), label(n)), y = out(n);
    if (w.size() < 3 || y.size() < 3) throw InputError(path_ + ": " + label(n) + " has no planes");
    const std::int64_t groups = std::max<std::int64_t>(1, onnx_integer(n, "group", 1));
    const auto strides = onnx_integers(n, "strides");
    Operator op;
    op.kind = groups > 1 && groups == w[0] && w[1] == 1 ? OperatorKind::depthwise_conv
                                                        : OperatorKind::conv;
    op.groups = groups;
    op.kernel = std::llround(std::pow(product(w, 2), 1.0 / d(std::ssize(w) - 2)));
    op.stride = strides.empty() ? 1 : strides[0];
    op.output = plane(sample(y));
    op.macs = per_sample(product(y)) * product(w, 1);
    op.flops = 2 * op.macs;
    op.params = product(w);
    const int bias = n.op_type() == "QLinearConv" ? 8 : 2;
    if (!quantized || bias == 8)
      if (n.input_size() > bias && !n.input(bias).empty()) {
        op.params += d(w[0]);
        op.flops += per_sample(product(y));
      }
    op.weights = quantized ? std::optional(Precision::int8) : format_of(shapes_.type(n.input(at)));
    if (quantized) op.activations = Precision::int8;
    emit(n, std::move(op));
  }

  void deconv(const onnx::NodeProto& n) {
    const Dims w = needed(n.input(1), label(n)), x = needed(n.input(0), label(n));
    Operator op;
    op.kind = OperatorKind::conv;
    op.groups = std::max<std::int64_t>(1, onnx_integer(n, "group", 1));
    op.kernel = std::llround(std::pow(product(w, 2), 1.0 / std::max(1.0, d(std::ssize(w) - 2))));
    op.output = plane(sample(out(n)));
    op.macs = per_sample(product(x)) * product(w, 1);
    op.flops = 2 * op.macs;
    take_weights(n, op);
    emit(n, std::move(op));
  }

  void product_of(const onnx::NodeProto& n) {
    const std::string& type = n.op_type();
    const int second = type == "QLinearMatMul" ? 3 : 1;
    if (n.input_size() <= second) throw InputError(path_ + ": " + label(n) + " has one operand");
    const Dims a = needed(n.input(0), label(n)), b = needed(n.input(second), label(n)), y = out(n);
    if (a.empty()) throw InputError(path_ + ": " + label(n) + " multiplies a scalar");
    const double depth = d(type == "Gemm" && onnx_integer(n, "transA", 0) != 0 ? a[0] : a.back());
    Operator op;
    op.macs = per_sample(product(y)) * depth;
    op.flops = 2 * op.macs;
    op.output = sample(y);
    const bool stored = weight(n.input(second)) || weight(n.input(0));
    op.kind = stored ? OperatorKind::gemm : OperatorKind::batched_gemm;
    take_weights(n, op);
    if (type != "Gemm" && type != "MatMul") op.weights = op.activations = Precision::int8;
    if (op.kind == OperatorKind::batched_gemm) {
      if (op.output.size() == 1) op.output.insert(op.output.begin(), 1);
      while (op.output.size() > 3) {
        op.output[0] *= op.output[1];
        op.output.erase(op.output.begin() + 1);
      }
    }
    emit(n, std::move(op));
  }

  void norm(const onnx::NodeProto& n, const char* function, double per_channel) {
    Operator op;
    op.kind = OperatorKind::norm;
    op.function = function;
    const Dims y = out(n);
    op.output = sample(y);
    op.flops = (per_channel == 1 ? 4 : 7) * per_sample(product(y));
    take_weights(n, op);
    emit(n, std::move(op));
  }
  void softmax(const onnx::NodeProto& n) {
    Operator op;
    op.kind = OperatorKind::softmax;
    const Dims y = out(n);
    op.output = sample(y);
    op.flops = 5 * per_sample(product(y));
    emit(n, std::move(op));
  }
  void pool(const onnx::NodeProto& n, bool whole) {
    Operator op;
    op.kind = OperatorKind::pool;
    const Dims x = needed(n.input(0), label(n)), y = out(n);
    const auto kernel = onnx_integers(n, "kernel_shape");
    const auto strides = onnx_integers(n, "strides");
    op.output = sample(y);
    op.kernel = whole || kernel.empty() ? std::max<std::int64_t>(1, x.size() > 2 ? x.back() : 1)
                                        : kernel[0];
    op.stride = strides.empty() ? 1 : strides[0];
    op.flops = whole ? per_sample(product(x))
                     : per_sample(product(y)) * std::max(1.0, product(Dims(kernel)));
    emit(n, std::move(op));
  }
  // All gates of all steps as one product.
  void recurrent(const onnx::NodeProto& n) {
    if (n.input_size() < 3) throw InputError(path_ + ": " + label(n) + " has no weights");
    const Dims x = needed(n.input(0), label(n));
    const Dims w = needed(n.input(1), label(n)), r = needed(n.input(2), label(n));
    Operator op;
    op.kind = OperatorKind::gemm;
    op.function = n.op_type();
    const double steps = x.empty() ? 1 : d(x[0]);
    op.macs = steps * (product(w) + product(r));
    op.flops = 2 * op.macs;
    op.output = {std::max<std::int64_t>(1, x.empty() ? 1 : x[0]),
                 std::max<std::int64_t>(1, r.empty() ? 1 : r.front() * r.back())};
    take_weights(n, op);
    emit(n, std::move(op));
  }
  void split(const onnx::NodeProto& n) {
    for (int i = 0; i < n.output_size(); ++i) {
      if (n.output(i).empty()) continue;
      Operator op;
      op.kind = OperatorKind::copy;
      op.function = "split";
      op.output = sample(out(n, i));
      op.input_elements = elements(op.output);
      emit_part(n, std::move(op), i);
    }
  }
  void emit_part(const onnx::NodeProto& n, Operator op, int i) {
    op.name = unique(fmt::format("{}_{}", label(n), i));
    const std::size_t producer = producers_.at(n.input(0));
    op.inputs = {model_.graph.at(producer).output};
    op.activations = format_of(shapes_.type(n.output(i)));
    const std::size_t index = model_.graph.add(std::move(op));
    model_.graph.connect(producer, index);
    producers_[n.output(i)] = index;
  }
  void gather(const onnx::NodeProto& n) {
    Operator op;
    const Dims y = out(n);
    op.output = sample(y);
    const bool table = weight(n.input(0)) && !producers_.contains(n.input(0));
    op.kind = table ? OperatorKind::embedding : OperatorKind::copy;
    if (table) {
      const Dims w = needed(n.input(0), label(n));
      op.params = product(w);
      op.active = std::clamp(product(y) / std::max(1.0, op.params), 1e-12, 1.0);
      op.weights = format_of(shapes_.type(n.input(0)));
    } else {
      op.input_elements = elements(op.output);
    }
    emit(n, std::move(op));
  }
  void elementwise(const onnx::NodeProto& n, const char* function, double flops) {
    Operator op;
    op.kind = OperatorKind::elementwise;
    op.function = function;
    const auto shape = shapes_.shape(n.output(0));
    if (!shape && std::string(function) != "unsupported") out(n);
    // What is not supported may have an unknown result; then it is as large as its input.
    op.output = shape ? sample(*shape) : model_.graph.at(producers_.at(first_data(n))).output;
    op.flops = flops * elements(op.output);
    take_weights(n, op);
    emit(n, std::move(op));
  }
  const std::string& first_data(const onnx::NodeProto& n) const {
    for (const auto& name : n.input())
      if (producers_.contains(name)) return name;
    throw InternalError("an ONNX node without data");
  }
  void move(const onnx::NodeProto& n) {
    Operator op;
    op.kind = OperatorKind::copy;
    op.function = n.op_type();
    op.output = sample(out(n));
    if (n.op_type() == "Slice") op.input_elements = elements(op.output);
    emit(n, std::move(op));
  }

  const OnnxShapes& shapes_;
  const std::string& path_;
  OnnxModel& model_;
  std::unordered_map<std::string, std::size_t> producers_;
  std::set<std::string> derived_, names_;
};

}  // namespace

void convert_onnx_nodes(const onnx::GraphProto& graph, const OnnxShapes& shapes,
                        const OnnxOptions& options, const std::string& path, OnnxModel& model) {
  for (const auto& n : graph.node())
    if (!is_supported(n))
      ++model.report.unsupported[n.domain().empty() ? n.op_type() : n.domain() + "." + n.op_type()];
  if (!model.report.unsupported.empty() && !options.allow_unsupported) {
    std::string list;
    for (const auto& [type, count] : model.report.unsupported)
      list += fmt::format("{}{} x{}", list.empty() ? "" : ", ", type, count);
    throw InputError(
        fmt::format("{}: operators that are not supported: {}; allow them to count "
                    "as copies of their tensors",
                    path, list));
  }
  Converter converter(shapes, path, model);
  converter.inputs(graph);
  for (const auto& n : graph.node()) converter.node(n);
}

}  // namespace isthmus::models
