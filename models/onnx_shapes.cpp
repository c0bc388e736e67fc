#include "models/onnx_shapes.hpp"

#include <fmt/format.h>
#include <onnx/defs/schema.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <set>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Tensors with more elements are data, not shape arithmetic.
constexpr std::int64_t largest_constant = 4096;

std::int64_t product(const Dims& dims) {
  std::int64_t n = 1;
  for (const std::int64_t v : dims) n *= v;
  return n;
}

// Integer contents of an initializer or attribute; nothing for other types and large tensors.
std::optional<std::vector<std::int64_t>> integers_of(const onnx::TensorProto& t) {
  Dims dims(t.dims().begin(), t.dims().end());
  const std::int64_t count = product(dims);
  if (count > largest_constant || t.data_location() == onnx::TensorProto::EXTERNAL)
    return std::nullopt;
  std::vector<std::int64_t> v;
  const auto raw = [&](auto example) {
    using T = decltype(example);
    if (t.raw_data().size() != static_cast<std::size_t>(count) * sizeof(T)) return false;
    for (std::int64_t i = 0; i < count; ++i) {
      T x;
      std::memcpy(&x, t.raw_data().data() + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
      v.push_back(static_cast<std::int64_t>(x));
    }
    return true;
  };
  if (t.data_type() == onnx::TensorProto::INT64) {
    if (t.int64_data_size() == count)
      return std::vector<std::int64_t>(t.int64_data().begin(), t.int64_data().end());
    if (raw(std::int64_t{})) return v;
  } else if (t.data_type() == onnx::TensorProto::INT32) {
    if (t.int32_data_size() == count)
      return std::vector<std::int64_t>(t.int32_data().begin(), t.int32_data().end());
    if (raw(std::int32_t{})) return v;
  } else if (t.data_type() == onnx::TensorProto::FLOAT) {
    // Scales of Resize and the like; whole numbers are enough there.
    if (t.float_data_size() == count) {
      for (const float f : t.float_data()) v.push_back(std::lround(f));
      return v;
    }
    if (raw(float{})) return v;
  }
  return std::nullopt;
}

const onnx::AttributeProto* find(const onnx::NodeProto& node, const char* name) {
  for (const auto& a : node.attribute())
    if (a.name() == name) return &a;
  return nullptr;
}

// Dimensions of two operands spread over each other.
std::optional<Dims> broadcast(const Dims& a, const Dims& b) {
  Dims out(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) return std::nullopt;
    out[out.size() - 1 - i] = std::max(x, y);
  }
  return out;
}

// Dimensions with ones inserted at, or removed from, the axes.
std::optional<Dims> unsqueezed(const Dims& d, std::vector<std::int64_t> axes) {
  const std::int64_t rank = std::ssize(d) + std::ssize(axes);
  for (std::int64_t& a : axes) a = a < 0 ? a + rank : a;
  std::sort(axes.begin(), axes.end());
  Dims out = d;
  for (const std::int64_t a : axes) {
    if (a < 0 || a > std::ssize(out)) return std::nullopt;
    out.insert(out.begin() + a, 1);
  }
  return out;
}
std::optional<Dims> squeezed(const Dims& d, std::vector<std::int64_t> axes) {
  Dims out;
  for (std::int64_t& a : axes) a = a < 0 ? a + std::ssize(d) : a;
  for (std::int64_t i = 0; i < std::ssize(d); ++i) {
    const bool listed = std::find(axes.begin(), axes.end(), i) != axes.end();
    const bool one = d[static_cast<std::size_t>(i)] == 1;
    if (listed && !one) return std::nullopt;
    if (listed || (axes.empty() && one)) continue;
    out.push_back(d[static_cast<std::size_t>(i)]);
  }
  return out;
}

}  // namespace

std::int64_t onnx_integer(const onnx::NodeProto& node, const char* name, std::int64_t other) {
  const auto* a = find(node, name);
  return a && a->type() == onnx::AttributeProto::INT ? a->i() : other;
}

std::vector<std::int64_t> onnx_integers(const onnx::NodeProto& node, const char* name) {
  const auto* a = find(node, name);
  return a ? std::vector<std::int64_t>(a->ints().begin(), a->ints().end())
           : std::vector<std::int64_t>{};
}

std::string onnx_text(const onnx::NodeProto& node, const char* name, const char* other) {
  const auto* a = find(node, name);
  return a && a->type() == onnx::AttributeProto::STRING ? a->s() : other;
}

void OnnxShapes::bind(onnx::ModelProto& model, const OnnxOptions& options,
                      const std::string& path) {
  std::map<std::string, std::string> open;  // axis -> where it appears
  std::set<std::string> used;
  std::int64_t fixed = 0;
  bool first = true, common = true;
  for (auto& input : *model.mutable_graph()->mutable_input()) {
    if (weights_.contains(input.name())) continue;
    if (!input.type().has_tensor_type())
      throw InputError(fmt::format("{}: input '{}' is no tensor", path, input.name()));
    auto* shape = input.mutable_type()->mutable_tensor_type()->mutable_shape();
    for (int i = 0; i < shape->dim_size(); ++i) {
      auto* dim = shape->mutable_dim(i);
      const bool sized = dim->has_dim_value() && dim->dim_value() > 0;
      if (i == 0 && sized) {
        common = common && (first || fixed == dim->dim_value());
        fixed = dim->dim_value();
        first = false;
      }
      if (sized) continue;
      const std::string axis = dim->has_dim_param() && !dim->dim_param().empty()
                                   ? dim->dim_param()
                                   : fmt::format("{}:{}", input.name(), i);
      const auto bound = options.axes.find(axis);
      if (bound != options.axes.end()) {
        if (bound->second < 1 || bound->second > 100'000'000)
          throw InputError(
              fmt::format("{}: axis '{}' cannot have the size {}", path, axis, bound->second));
        used.insert(axis);
        dim->set_dim_value(bound->second);
      } else if (options.batch_axis.empty() ? i == 0 : axis == options.batch_axis) {
        dim->set_dim_value(1);
        named_ = true;
      } else {
        auto& places = open[axis];
        places += (places.empty() ? "" : ", ") + fmt::format("{}[{}]", input.name(), i);
      }
    }
  }
  for (const auto& [axis, size] : options.axes)
    if (!used.contains(axis))
      throw InputError(fmt::format("{}: no input has an axis '{}' that is open", path, axis));
  if (!open.empty()) {
    std::string list;
    for (const auto& [axis, places] : open)
      list += fmt::format("{}'{}' of {}", list.empty() ? "" : "; ", axis, places);
    throw InputError(fmt::format("{}: the size of these axes is open: {}; bind them, e.g. {}=128",
                                 path, list, open.begin()->first));
  }
  // A batch that the file fixes on every input, of images or the like, is divided out.
  batch_ = !named_ && common && fixed > 1 ? fixed : 1;
}

OnnxShapes::OnnxShapes(onnx::ModelProto& model, const OnnxOptions& options,
                       const std::string& path) {
  for (const auto& t : model.graph().initializer()) {
    weights_[t.name()] = t.data_type();
    shapes_[t.name()] = Dims(t.dims().begin(), t.dims().end());
    if (const auto v = integers_of(t)) constants_[t.name()] = *v;
  }
  bind(model, options, path);
  // Outputs of the file may state the open axes as well; inference states them anew.
  for (auto& output : *model.mutable_graph()->mutable_output())
    if (output.type().has_tensor_type())
      output.mutable_type()->mutable_tensor_type()->clear_shape();
  model.mutable_graph()->clear_value_info();
  const auto take = [&](const onnx::ValueInfoProto& v) {
    if (!v.type().has_tensor_type()) return;
    types_[v.name()] = v.type().tensor_type().elem_type();
    if (!v.type().tensor_type().has_shape()) return;
    Dims dims;
    for (const auto& d : v.type().tensor_type().shape().dim()) {
      if (!d.has_dim_value() || d.dim_value() < 0) return;
      dims.push_back(d.dim_value());
    }
    shapes_.try_emplace(v.name(), std::move(dims));
  };
  // What shape arithmetic decides lets the library infer further, and the other way round.
  for (;;) {
    const std::size_t known = shapes_.size();
    try {
      onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), {}, nullptr);
    } catch (const std::exception& e) {
      throw InputError(fmt::format("{}: shapes do not fit: {}", path, e.what()));
    }
    for (const auto& v : model.graph().input()) take(v);
    for (const auto& v : model.graph().value_info()) take(v);
    for (const auto& v : model.graph().output()) take(v);
    for (const auto& node : model.graph().node()) evaluate(node);
    if (known == shapes_.size()) break;
    model.mutable_graph()->clear_value_info();
    for (const auto& node : model.graph().node())
      for (const auto& name : node.output()) {
        const auto shape = shapes_.find(name);
        if (shape == shapes_.end() || name.empty()) continue;
        auto* info = model.mutable_graph()->add_value_info();
        info->set_name(name);
        auto* tensor = info->mutable_type()->mutable_tensor_type();
        const int type = this->type(name);
        if (type > 0) tensor->set_elem_type(type);
        for (const std::int64_t size : shape->second)
          tensor->mutable_shape()->add_dim()->set_dim_value(size);
      }
  }
}

std::optional<Dims> OnnxShapes::shape(const std::string& tensor) const {
  const auto it = shapes_.find(tensor);
  return it == shapes_.end() ? std::nullopt : std::optional(it->second);
}

const std::vector<std::int64_t>* OnnxShapes::constant(const std::string& tensor) const {
  const auto it = constants_.find(tensor);
  return it == constants_.end() ? nullptr : &it->second;
}

int OnnxShapes::type(const std::string& tensor) const {
  if (const auto w = weights_.find(tensor); w != weights_.end()) return w->second;
  const auto it = types_.find(tensor);
  return it == types_.end() ? 0 : it->second;
}

// The shape of tensors joined along an axis.
void OnnxShapes::join(const onnx::NodeProto& node) {
  if (shapes_.contains(node.output(0))) return;
  std::optional<Dims> sum;
  for (const auto& name : node.input()) {
    const auto d = shape(name);
    if (!d || d->empty() || (sum && sum->size() != d->size())) return;
    std::int64_t axis = onnx_integer(node, "axis", 0);
    if (axis < 0) axis += std::ssize(*d);
    if (axis < 0 || axis >= std::ssize(*d)) return;
    if (!sum)
      sum = *d;
    else
      (*sum)[static_cast<std::size_t>(axis)] += (*d)[static_cast<std::size_t>(axis)];
  }
  if (sum) shapes_[node.output(0)] = *sum;
}

// Follows integer arithmetic on shapes, which decides the sizes behind Reshape, Expand and Slice.
void OnnxShapes::evaluate(const onnx::NodeProto& node) {
  const std::string& op = node.op_type();
  if (node.output_size() == 0) return;
  const std::string& out = node.output(0);
  const auto in = [&](int i) -> const std::vector<std::int64_t>* {
    return i < node.input_size() ? constant(node.input(i)) : nullptr;
  };
  const auto dims = [&](int i) -> std::optional<Dims> {
    return i < node.input_size() && !node.input(i).empty() ? shape(node.input(i)) : std::nullopt;
  };
  const auto give = [&](std::vector<std::int64_t> v, std::optional<Dims> d = std::nullopt) {
    shapes_.try_emplace(out, d ? *d : Dims{std::ssize(v)});
    constants_[out] = std::move(v);
  };
  if (op == "Constant") {
    weights_[out] = 0;
    if (const auto* a = find(node, "value"); a && a->has_t()) {
      weights_[out] = a->t().data_type();
      shapes_[out] = Dims(a->t().dims().begin(), a->t().dims().end());
      if (const auto v = integers_of(a->t())) constants_[out] = *v;
    } else if (const auto* list = find(node, "value_ints")) {
      give({list->ints().begin(), list->ints().end()});
    } else if (const auto* one = find(node, "value_int")) {
      give({one->i()}, Dims{});
    } else {
      shapes_.try_emplace(out, Dims{});
    }
    return;
  }
  if (op == "Shape") {
    if (const auto d = dims(0)) {
      const auto n = std::ssize(*d);
      std::int64_t from = onnx_integer(node, "start", 0), to = onnx_integer(node, "end", n);
      if (from < 0) from += n;
      if (to < 0) to += n;
      from = std::clamp<std::int64_t>(from, 0, n);
      to = std::clamp<std::int64_t>(to, from, n);
      give({d->begin() + from, d->begin() + to});
    }
    return;
  }
  if (op == "Reshape") {
    const auto d = dims(0);
    const auto* wanted = in(1);
    if (!d || !wanted) return;
    Dims result;
    std::int64_t known = 1, open = -1;
    for (std::size_t i = 0; i < wanted->size(); ++i) {
      std::int64_t v = (*wanted)[i];
      if (v == 0 && i < d->size()) v = (*d)[i];
      if (v < 0)
        open = static_cast<std::int64_t>(i);
      else
        known *= std::max<std::int64_t>(1, v);
      result.push_back(v);
    }
    if (open >= 0) result[static_cast<std::size_t>(open)] = product(*d) / known;
    shapes_[out] = result;
    if (const auto* v = in(0)) constants_[out] = *v;
    return;
  }
  if (op == "Expand") {
    const auto d = dims(0);
    if (const auto* wanted = in(1); d && wanted)
      if (const auto r = broadcast(*d, *wanted)) shapes_[out] = *r;
    return;
  }
  if (op == "ConstantOfShape") {
    if (const auto* wanted = in(0)) {
      shapes_[out] = *wanted;
      std::int64_t value = 0;
      if (const auto* a = find(node, "value"); a && a->has_t())
        if (const auto v = integers_of(a->t()); v && !v->empty()) value = (*v)[0];
      if (product(*wanted) <= largest_constant)
        constants_[out] =
            std::vector<std::int64_t>(static_cast<std::size_t>(product(*wanted)), value);
    }
    return;
  }
  if (op == "Range") {
    const auto *a = in(0), *b = in(1), *c = in(2);
    if (a && b && c && a->size() == 1 && b->size() == 1 && c->size() == 1 && (*c)[0] != 0) {
      std::vector<std::int64_t> v;
      for (std::int64_t x = (*a)[0]; (*c)[0] > 0 ? x < (*b)[0] : x > (*b)[0]; x += (*c)[0]) {
        if (std::ssize(v) >= 1'000'000) return;
        v.push_back(x);
      }
      give(std::move(v));
    }
    return;
  }
  if (op == "Slice" && node.input_size() >= 3) {
    const auto d = dims(0);
    const auto *starts = in(1), *ends = in(2), *axes = in(3), *steps = in(4);
    if (!d || !starts || !ends || starts->size() != ends->size()) return;
    Dims result = *d;
    std::int64_t first = 0, step = 1;
    for (std::size_t i = 0; i < starts->size(); ++i) {
      std::int64_t axis = axes && i < axes->size() ? (*axes)[i] : static_cast<std::int64_t>(i);
      if (axis < 0) axis += std::ssize(*d);
      if (axis < 0 || axis >= std::ssize(*d)) return;
      const std::int64_t n = (*d)[static_cast<std::size_t>(axis)];
      step = steps && i < steps->size() ? (*steps)[i] : 1;
      if (step == 0) return;
      std::int64_t from = (*starts)[i], to = (*ends)[i];
      if (from < 0) from += n;
      if (to < 0 && to > -n - 1) to += n;
      first = std::clamp<std::int64_t>(from, 0, step > 0 ? n : n - 1);
      const std::int64_t last =
          step > 0 ? std::clamp<std::int64_t>(to, 0, n) : std::clamp<std::int64_t>(to, -1, n - 1);
      const std::int64_t span = step > 0 ? last - first : first - last;
      const std::int64_t width = std::abs(step);
      result[static_cast<std::size_t>(axis)] = span <= 0 ? 0 : (span + width - 1) / width;
    }
    shapes_[out] = result;
    if (const auto* v = in(0); v && d->size() == 1) {
      std::vector<std::int64_t> part;
      for (std::int64_t i = 0; i < result[0]; ++i)
        part.push_back((*v)[static_cast<std::size_t>(first + i * step)]);
      constants_[out] = std::move(part);
    }
    return;
  }
  if (op == "Gather") {
    const auto *v = in(0), *at = in(1);
    const auto d = dims(0);
    if (v && at && d && d->size() == 1 && onnx_integer(node, "axis", 0) == 0) {
      std::vector<std::int64_t> chosen;
      for (std::int64_t i : *at) {
        if (i < 0) i += std::ssize(*v);
        if (i < 0 || i >= std::ssize(*v)) return;
        chosen.push_back((*v)[static_cast<std::size_t>(i)]);
      }
      give(std::move(chosen), dims(1));
    } else if (const auto e = dims(1); d && e && !shapes_.contains(out)) {
      std::int64_t axis = onnx_integer(node, "axis", 0);
      if (axis < 0) axis += std::ssize(*d);
      if (axis < 0 || axis >= std::ssize(*d)) return;
      Dims result(d->begin(), d->begin() + axis);
      result.insert(result.end(), e->begin(), e->end());
      result.insert(result.end(), d->begin() + axis + 1, d->end());
      shapes_[out] = result;
    }
    return;
  }
  if (op == "Concat") {
    std::vector<std::int64_t> all;
    for (int i = 0; i < node.input_size(); ++i) {
      const auto* v = in(i);
      const auto d = dims(i);
      if (!v || !d || d->size() != 1) {
        join(node);
        return;
      }
      all.insert(all.end(), v->begin(), v->end());
    }
    give(std::move(all));
    return;
  }
  if (op == "Unsqueeze" || op == "Squeeze" || op == "Cast" || op == "Identity") {
    std::optional<Dims> d = dims(0);
    if (d && (op == "Unsqueeze" || op == "Squeeze")) {
      std::vector<std::int64_t> axes = onnx_integers(node, "axes");
      if (const auto* listed = in(1)) axes = *listed;
      d = op == "Squeeze" ? squeezed(*d, axes) : unsqueezed(*d, axes);
    }
    if (d) shapes_.try_emplace(out, *d);
    if (const auto* v = in(0); v && d) constants_[out] = *v;
    if (is_weight(node.input(0))) weights_[out] = type(node.input(0));
    return;
  }
  if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div" || op == "Mod" || op == "Min" ||
      op == "Max" || op == "Equal" || op == "Where") {
    const bool where = op == "Where";
    const auto *a = in(where ? 1 : 0), *b = in(where ? 2 : 1);
    const auto* condition = where ? in(0) : nullptr;
    if (!a || !b || (where && !condition)) {
      // Data: only the shape follows.
      const auto x = dims(where ? 1 : 0), y = dims(where ? 2 : 1);
      if (x && y && !shapes_.contains(out)) {
        auto r = broadcast(*x, *y);
        if (r && where && dims(0)) r = broadcast(*r, *dims(0));
        if (r) shapes_[out] = *r;
      }
      return;
    }
    const std::size_t n = std::max({a->size(), b->size(), where ? condition->size() : 0});
    const auto at = [&](const std::vector<std::int64_t>& v, std::size_t i) {
      return v.size() == 1 ? v[0] : v[i];
    };
    if ((a->size() != n && a->size() != 1) || (b->size() != n && b->size() != 1)) return;
    std::vector<std::int64_t> v;
    for (std::size_t i = 0; i < n; ++i) {
      const std::int64_t x = at(*a, i), y = at(*b, i);
      if ((op == "Div" || op == "Mod") && y == 0) return;
      v.push_back(op == "Add"     ? x + y
                  : op == "Sub"   ? x - y
                  : op == "Mul"   ? x * y
                  : op == "Div"   ? x / y
                  : op == "Mod"   ? ((x % y) + y) % y
                  : op == "Min"   ? std::min(x, y)
                  : op == "Max"   ? std::max(x, y)
                  : op == "Equal" ? static_cast<std::int64_t>(x == y)
                                  : (at(*condition, i) != 0 ? x : y));
    }
    const auto d = dims(where ? 1 : 0);
    give(std::move(v), d && product(*d) == static_cast<std::int64_t>(n) ? d : std::nullopt);
    return;
  }
  // What libonnx left open behind such arithmetic: shapes that follow from the operands alone.
  if (shapes_.contains(out)) return;
  if (const auto d = dims(0)) {
    if (op == "Transpose") {
      auto order = onnx_integers(node, "perm");
      Dims result = *d;
      if (order.empty())
        std::reverse(result.begin(), result.end());
      else
        for (std::size_t i = 0; i < order.size() && i < result.size(); ++i)
          result[i] = (*d)[static_cast<std::size_t>(
              std::clamp<std::int64_t>(order[i], 0, std::ssize(*d) - 1))];
      shapes_[out] = result;
    } else if (op == "QLinearConv" || op == "ConvInteger") {
      // Windows as in Conv; the library wants types here that files do not always have.
      const auto w = dims(op == "QLinearConv" ? 3 : 1);
      if (!w || w->size() != d->size() || d->size() < 3) return;
      const auto pads = onnx_integers(node, "pads"), strides = onnx_integers(node, "strides");
      const auto dilations = onnx_integers(node, "dilations");
      Dims result{(*d)[0], (*w)[0]};
      for (std::size_t i = 0; i + 2 < d->size(); ++i) {
        const std::size_t axes = d->size() - 2;
        const std::int64_t pad = pads.size() == 2 * axes ? pads[i] + pads[i + axes] : 0;
        const std::int64_t stride = i < strides.size() ? strides[i] : 1;
        const std::int64_t dilation = i < dilations.size() ? dilations[i] : 1;
        if (stride < 1) return;
        result.push_back(((*d)[i + 2] + pad - dilation * ((*w)[i + 2] - 1) - 1) / stride + 1);
      }
      shapes_[out] = result;
    } else if (op == "MatMul") {
      if (const auto e = dims(1); e && d->size() >= 2 && e->size() >= 2) {
        Dims a(d->begin(), d->end() - 2), b(e->begin(), e->end() - 2);
        if (auto r = broadcast(a, b)) {
          r->push_back((*d)[d->size() - 2]);
          r->push_back(e->back());
          shapes_[out] = *r;
        }
      }
    } else if (node.input_size() >= 2 && dims(1) && (op == "Pow" || op == "Max" || op == "Min")) {
      if (const auto r = broadcast(*d, *dims(1))) shapes_[out] = *r;
    } else if (op == "Softmax" || op == "Erf" || op == "Tanh" || op == "Sqrt" || op == "Relu" ||
               op == "Sigmoid" || op == "LayerNormalization" || op == "Gelu" || op == "Neg" ||
               op == "Exp" || op == "Dropout" || op == "Clip") {
      shapes_[out] = *d;
    }
  }
}

}  // namespace isthmus::models
