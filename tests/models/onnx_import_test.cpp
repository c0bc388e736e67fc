// ONNX import on models made here: convolutions, dynamic axes, shape arithmetic, and broken files.
#include "models/onnx_import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "models/graph_loading.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

using ::testing::HasSubstr;

// Writes ONNX models node by node.
class Maker {
 public:
  Maker() {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(13);
    model_.mutable_graph()->set_name("test");
  }
  // A size < 0 is open without a name; a name is an axis.
  void input(const std::string& name, const std::vector<std::string>& dims,
             int type = onnx::TensorProto::FLOAT) {
    auto* v = model_.mutable_graph()->add_input();
    v->set_name(name);
    auto* t = v->mutable_type()->mutable_tensor_type();
    t->set_elem_type(type);
    for (const std::string& d : dims) {
      auto* dim = t->mutable_shape()->add_dim();
      if (d[0] >= '0' && d[0] <= '9')
        dim->set_dim_value(std::stoll(d));
      else if (d != "?")
        dim->set_dim_param(d);
    }
  }
  void weight(const std::string& name, const std::vector<std::int64_t>& dims,
              int type = onnx::TensorProto::FLOAT) {
    auto* t = model_.mutable_graph()->add_initializer();
    t->set_name(name);
    t->set_data_type(type);
    t->set_data_location(onnx::TensorProto::EXTERNAL);  // only its shape is needed
    for (const auto d : dims) t->add_dims(d);
  }
  void integers(const std::string& name, const std::vector<std::int64_t>& values,
                bool scalar = false) {
    auto* t = model_.mutable_graph()->add_initializer();
    t->set_name(name);
    t->set_data_type(onnx::TensorProto::INT64);
    if (!scalar) t->add_dims(static_cast<std::int64_t>(values.size()));
    for (const auto v : values) t->add_int64_data(v);
  }
  onnx::NodeProto& node(const std::string& type, const std::vector<std::string>& in,
                        const std::vector<std::string>& out) {
    auto* n = model_.mutable_graph()->add_node();
    n->set_op_type(type);
    n->set_name("/body/" + type + std::to_string(model_.graph().node_size()));
    for (const auto& i : in) n->add_input(i);
    for (const auto& o : out) n->add_output(o);
    last_ = out.at(0);
    return *n;
  }
  static void set(onnx::NodeProto& n, const char* name, const std::vector<std::int64_t>& values) {
    auto* a = n.add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::INTS);
    for (const auto v : values) a->add_ints(v);
  }
  static void set(onnx::NodeProto& n, const char* name, std::int64_t value) {
    auto* a = n.add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::INT);
    a->set_i(value);
  }
  std::string bytes() {
    if (model_.graph().output_size() == 0) {
      auto* v = model_.mutable_graph()->add_output();
      v->set_name(last_);
      v->mutable_type()->mutable_tensor_type()->set_elem_type(output_type);
    }
    return model_.SerializeAsString();
  }

  void domain(const std::string& name) {
    auto* o = model_.add_opset_import();
    o->set_domain(name);
    o->set_version(1);
  }
  int output_type = onnx::TensorProto::FLOAT;

 private:
  onnx::ModelProto model_;
  std::string last_;
};

class Onnx : public ::testing::Test {
 protected:
  Onnx()
      : path_(std::filesystem::temp_directory_path() /
              ("m" + std::to_string(std::random_device{}()) + ".onnx")) {}
  ~Onnx() override { std::filesystem::remove(path_); }
  void write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }
  OnnxModel import(Maker& m, const OnnxOptions& o = {}) {
    write(m.bytes());
    return import_onnx(path_.string(), o);
  }
  std::string error(const OnnxOptions& o = {}) {
    try {
      import_onnx(path_.string(), o);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
  std::filesystem::path path_;
};

// Image -> convolution, batch norm, relu -> depthwise -> pool -> classifier.
Maker cnn(const std::string& batch) {
  Maker m;
  m.input("image", {batch, "3", "32", "32"});
  m.weight("w1", {16, 3, 3, 3});
  auto& c = m.node("Conv", {"image", "w1"}, {"c1"});
  Maker::set(c, "strides", {2, 2});
  Maker::set(c, "pads", {1, 1, 1, 1});
  for (const char* name : {"s", "b", "mean", "var"}) m.weight(name, {16});
  m.node("BatchNormalization", {"c1", "s", "b", "mean", "var"}, {"bn"});
  m.node("Relu", {"bn"}, {"r"});
  m.weight("w2", {16, 1, 5, 5}, onnx::TensorProto::FLOAT16);
  m.weight("b2", {16});
  auto& d = m.node("Conv", {"r", "w2", "b2"}, {"d"});
  Maker::set(d, "group", 16);
  Maker::set(d, "pads", {2, 2, 2, 2});
  m.node("GlobalAveragePool", {"d"}, {"p"});
  m.node("Flatten", {"p"}, {"f"});
  m.weight("w3", {10, 16});
  m.weight("b3", {10});
  auto& g = m.node("Gemm", {"f", "w3", "b3"}, {"logits"});
  Maker::set(g, "transB", 1);
  return m;
}

TEST_F(Onnx, ConvolutionsByHand) {
  Maker m = cnn("batch");
  const OnnxModel model = import(m);
  const OperatorGraph& g = model.graph;
  const GraphTotals t = g.totals();
  EXPECT_EQ(t.macs, 16 * 16 * 16 * 27 + 16 * 16 * 16 * 25 + 160);
  EXPECT_EQ(t.params, 432 + 64 + 400 + 16 + 160 + 10);
  EXPECT_EQ(t.operators, 6u);
  EXPECT_EQ(model.report.folded, 1u);  // the flattening
  EXPECT_EQ(g.at(1).output, (Shape{16, 16, 16}));
  EXPECT_EQ(g.at(1).stride, 2);
  EXPECT_EQ(g.at(1).module, "body");
  EXPECT_EQ(g.at(2).function, "batch_norm");
  EXPECT_EQ(g.at(4).kind, OperatorKind::depthwise_conv);
  EXPECT_EQ(g.at(4).kernel, 5);
  EXPECT_EQ(g.at(4).weights, Precision::fp16);
}

TEST_F(Onnx, CountsArePerSample) {
  Maker one = cnn("batch"), eight = cnn("8");
  const OnnxModel a = import(one), b = import(eight);
  EXPECT_EQ(b.report.fixed_batch, 8);
  EXPECT_EQ(a.graph.totals().macs, b.graph.totals().macs);
  EXPECT_EQ(a.graph.totals().params, b.graph.totals().params);
  for (std::size_t v = 0; v < a.graph.size(); ++v)
    EXPECT_EQ(a.graph.at(v).output, b.graph.at(v).output) << a.graph.at(v).name;
}

// Tokens -> embedding -> q k^T by reshapes whose sizes are computed from Shape.
Maker transformer() {
  Maker m;
  m.input("ids", {"batch", "sequence"}, onnx::TensorProto::INT64);
  m.weight("table", {1000, 64});
  m.node("Gather", {"table", "ids"}, {"x"});
  m.weight("wq", {64, 64});
  m.weight("wk", {64, 64});
  m.node("MatMul", {"x", "wq"}, {"q"});
  m.node("MatMul", {"x", "wk"}, {"k"});
  m.node("Shape", {"ids"}, {"size"});
  m.integers("heads", {4, 16});
  m.node("Concat", {"size", "heads"}, {"split"});
  m.node("Reshape", {"q", "split"}, {"qs"});
  m.node("Reshape", {"k", "split"}, {"ks"});
  Maker::set(m.node("Transpose", {"qs"}, {"qt"}), "perm", {0, 2, 1, 3});
  Maker::set(m.node("Transpose", {"ks"}, {"kt"}), "perm", {0, 2, 3, 1});
  m.node("MatMul", {"qt", "kt"}, {"scores"});
  m.node("Softmax", {"scores"}, {"p"});
  return m;
}

TEST_F(Onnx, BindsAxesAndFollowsShapeArithmetic) {
  Maker m = transformer();
  for (const std::int64_t t : {1, 7, 128}) {
    const OnnxModel model = import(m, {.axes = {{"sequence", t}}, .batch_axis = ""});
    const double n = static_cast<double>(t);
    EXPECT_EQ(model.graph.totals().macs, 2 * n * 64 * 64 + n * n * 64);
    EXPECT_EQ(model.graph.totals().params, 64000 + 2 * 4096);
    const Operator& scores = model.graph.at(model.graph.size() - 2);
    EXPECT_EQ(scores.kind, OperatorKind::batched_gemm);
    EXPECT_EQ(scores.output, (Shape{4, t, t}));
    const Operator& table = model.graph.at(1);
    EXPECT_EQ(table.kind, OperatorKind::embedding);
    EXPECT_DOUBLE_EQ(table.active, n / 1000);
  }
}

TEST_F(Onnx, OpenAxesAreListed) {
  Maker m = transformer();
  write(m.bytes());
  EXPECT_THAT(error(), HasSubstr("'sequence' of ids[1]"));
  EXPECT_THAT(error(), HasSubstr("bind them, e.g. sequence=128"));
  EXPECT_THAT(error({.axes = {{"sequnce", 5}}, .batch_axis = ""}),
              HasSubstr("no input has an axis 'sequnce'"));
  EXPECT_THAT(error({.axes = {{"sequence", -5}}, .batch_axis = ""}),
              HasSubstr("cannot have the size -5"));
  Maker unnamed;
  unnamed.input("x", {"1", "?"});
  unnamed.node("Relu", {"x"}, {"y"});
  write(unnamed.bytes());
  EXPECT_THAT(error(), HasSubstr("'x:1' of x[1]"));
  EXPECT_EQ(import(unnamed, {.axes = {{"x:1", 9}}, .batch_axis = ""}).graph.at(1).output,
            (Shape{9}));
}

TEST_F(Onnx, UnsupportedOperatorsAreNamedAndCounted) {
  Maker m;
  m.input("x", {"1", "8"});
  m.domain("acme");
  m.node("Relu", {"x"}, {"a"});
  m.node("Frobnicate", {"a"}, {"b"}).set_domain("acme");
  m.node("NonZero", {"a"}, {"c"});
  m.node("Frobnicate", {"b"}, {"e"}).set_domain("acme");
  m.node("Sigmoid", {"e"}, {"f"});
  write(m.bytes());
  EXPECT_THAT(error(), HasSubstr("not supported: NonZero x1, acme.Frobnicate x2"));
  // Kept, they pass their input's shape on; what follows from them has none.
  OnnxOptions allow{.axes = {}, .batch_axis = "", .allow_unsupported = true};
  EXPECT_THAT(error(allow), HasSubstr("the shape of tensor 'f'"));
}

TEST_F(Onnx, QuantizedConvolutionsAreInt8) {
  Maker m;
  m.input("x", {"1", "3", "8", "8"}, onnx::TensorProto::UINT8);
  m.output_type = onnx::TensorProto::UINT8;
  for (const char* s : {"xs", "ws", "ys"}) m.weight(s, {});
  for (const char* z : {"xz", "wz", "yz"}) m.weight(z, {}, onnx::TensorProto::UINT8);
  m.weight("w", {4, 3, 1, 1}, onnx::TensorProto::INT8);
  m.weight("b", {4}, onnx::TensorProto::INT32);
  m.node("QLinearConv", {"x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"}, {"y"});
  const OnnxModel model = import(m);
  EXPECT_EQ(model.graph.at(1).weights, Precision::int8);
  EXPECT_EQ(model.graph.at(1).activations, Precision::int8);
  EXPECT_EQ(model.graph.totals().macs, 64 * 12);
  EXPECT_EQ(model.graph.totals().params, 12 + 4);
}

TEST_F(Onnx, BrokenFilesAreRefused) {
  EXPECT_THAT(error(), HasSubstr("is no file"));
  write("");
  EXPECT_THAT(error(), HasSubstr("without a graph"));
  write(std::string(1000, '\xff'));
  EXPECT_THAT(error(), HasSubstr("is no ONNX model"));
  Maker m = cnn("batch");
  const std::string whole = m.bytes();
  // Cut anywhere, and with bytes flipped: an error or a model, never a crash.
  for (std::size_t i = 0; i < whole.size(); i += 17) {
    write(whole.substr(0, i));
    EXPECT_NE(error(), "") << i;
  }
  std::mt19937 random(1);
  for (int trial = 0; trial < 500; ++trial) {
    std::string bytes = whole;
    for (int k = 0; k < 3; ++k)
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    write(bytes);
    error();
  }
}

TEST_F(Onnx, LoadingGoesByTheEndingOfTheName) {
  Maker m = cnn("batch");
  write(m.bytes());
  EXPECT_EQ(
      load_graph({.name = path_.string(), .arguments = {}, .axes = {}}).graph.totals().operators,
      6u);
  EXPECT_THROW(load_graph({.name = path_.string(), .arguments = {.image = 5}, .axes = {}}),
               InputError);
  EXPECT_THROW(load_graph({.name = "resnet-50", .arguments = {}, .axes = {{"n", 1}}}), InputError);
  EXPECT_THROW(load_graph({.name = "/no/such.json", .arguments = {}, .axes = {}}), InputError);
}

}  // namespace
}  // namespace isthmus::models
