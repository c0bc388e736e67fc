#include <deque>

#include "models/passes.hpp"
#include "models/precision.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

std::vector<std::string> precision_names() {
  std::vector<std::string> names;
  for (const auto& row : models::precisions) names.emplace_back(row.name);
  return names;
}

// How a model is stored and computed, and how good it then is.
std::vector<Field> variant_fields() {
  return {
      word("weights", precision_names(), "number format of the weights, the feed-forward among them").needed(),
      word("activations", precision_names(), "number format of the arithmetic")
          .default_is("bf16 for quantized weights, else as weights"),
      word("kv", precision_names(), "number format of the KV cache").by_default("bf16"),
      word("head", precision_names(), "number format of embedding and output head")
          .default_is("as weights"),
      word("vision", precision_names(), "number format of the vision tower")
          .default_is("as weights"),
      word("attention", precision_names(), "number format of the projections of attention")
          .default_is("as weights"),
      quantity("ffn_active", Unit::fraction,
               "feed-forward neurons that a token needs; the others are not read (contextual "
               "sparsity)")
          .above(0)
          .at_most(1)
          .by_default("1"),
      quantity("layer_kernels", Unit::none,
               "kernels that a layer launches: 5 count products and attention, fewer are fused")
          .at_least(1)
          .at_most(1000)
          .by_default("5"),
      quantity("host_weights", Unit::fraction,
               "of the layers' weights, kept in host memory and copied in every iteration over "
               "the node's unit_transfer")
          .at_most(1)
          .by_default("0"),
      flag("prefetch", "copies of host_weights run ahead, beside the computation")
          .by_default("false"),
      quantity("weight_overhead", Unit::fraction,
               "extra bytes for scales and zero points, of the parts narrower than 16 bits")
          .at_most(10)
          .by_default("0"),
      quantity("accuracy", Unit::fraction, "task accuracy of answers")
          .at_most(1)
          .default_is("unknown, counted as 0"),
      text("accuracy_metric", "what the accuracy counts").default_is("none"),
      text("accuracy_source", "where it was published; needed with accuracy").default_is("none"),
  };
}

Field size(const char* name, const char* help) {
  return integer(name, help).at_least(1).at_most(1e9);
}

// A row for a parameter of a pass; objects in lists get tables of their own, which live for ever.
Field row_of(const std::string& pass, const models::PassParameter& p,
             std::deque<ObjectSpec>& tables) {
  const auto row = [&]() -> Field {
    if (p.type == "number")
      return quantity(p.name, p.unit == "fraction" ? Unit::fraction : Unit::none, p.help);
    if (p.type == "integer") return integer(p.name, p.help);
    if (p.type == "flag") return flag(p.name, p.help);
    if (p.type == "format") return word(p.name, precision_names(), p.help);
    if (p.type == "list of integers") return list(p.name, integer("", ""), p.help);
    if (p.type == "list of texts") return list(p.name, text("", ""), p.help);
    if (p.type == "list of objects") {
      ObjectSpec spec{"entry of " + pass + " " + p.name, p.help, {}, "", {}};
      for (const auto& f : p.fields) spec.fields.push_back(row_of(pass, f, tables));
      tables.push_back(std::move(spec));
      return list(p.name, object("", tables.back(), p.help), p.help);
    }
    return text(p.name, p.help);
  };
  return p.default_value.empty() ? row().needed() : row().default_is(p.default_value);
}

}  // namespace

const ObjectSpec& pass_spec() {
  static std::deque<ObjectSpec> tables;
  static const ObjectSpec spec = [] {
    ObjectSpec s{"pass", "A change to an operator graph (docs/passes.md).", {}, "pass", {}};
    std::vector<std::string> names;
    for (const models::PassInfo& info : models::pass_catalogue()) {
      Variant v{info.name, info.summary, {}};
      for (const auto& p : info.parameters) v.fields.push_back(row_of(info.name, p, tables));
      names.push_back(info.name);
      s.variants.push_back(std::move(v));
    }
    s.fields = {word("pass", names, "which one").needed()};
    return s;
  }();
  return spec;
}

const ObjectSpec& variant_spec() {
  static const ObjectSpec spec{
      "variant", "How a model is stored and computed.", variant_fields(), "", {}};
  return spec;
}

const ObjectSpec& vision_tower_spec() {
  static const ObjectSpec spec{
      "vision tower",
      "The ViT of a vision-language model.",
      {size("layers", "blocks").needed(), size("hidden", "width").needed(),
       size("heads", "attention heads").needed(),
       size("ffn", "width inside the feed-forward").needed(),
       size("patch", "pixels per patch side").needed(),
       size("merge", "merge x merge patches become one token").by_default("1"),
       quantity("merger_params", Unit::none, "parameters of patch embedding and merger together")
           .by_default("0"),
       flag("gated_ffn", "three feed-forward matrices instead of two").by_default("true")},
      "",
      {}};
  return spec;
}

const ObjectSpec& llm_shape_spec() {
  static const ObjectSpec spec{
      "llm shape",
      "A decoder-only language model, as its config.json describes it.",
      {text("config", "config.json of the checkpoint, instead of all fields below")
           .default_is("none"),
       size("layers", "decoder layers (num_hidden_layers)").default_is("needed without config"),
       size("hidden", "width (hidden_size)").default_is("needed without config"),
       size("heads", "query heads (num_attention_heads)").default_is("needed without config"),
       size("kv_heads", "key and value heads (num_key_value_heads)").default_is("heads"),
       size("head_dim", "width of a head").default_is("hidden / heads"),
       size("ffn", "width inside the feed-forward, of one expert in mixtures (intermediate_size)")
           .default_is("needed without config"),
       size("vocab", "tokens in the vocabulary (vocab_size)").default_is("needed without config"),
       flag("gated_ffn", "three feed-forward matrices (SwiGLU) instead of two").by_default("true"),
       flag("tied_embeddings", "input embedding and output head are one matrix")
           .by_default("false"),
       integer("experts", "experts per layer; 0 = dense").at_most(1e6).by_default("0"),
       integer("experts_active", "experts per token").at_most(1e6).by_default("0"),
       size("max_positions", "longest sequence, tokens").by_default("131072"),
       object("vision", vision_tower_spec, "what turns images into tokens")
           .default_is("text only")},
      "",
      {}};
  return spec;
}

const ObjectSpec& model_spec() {
  static const ObjectSpec spec{
      "model",
      "A model: an entry of the catalogue, or of the scenario's own \"models\". Give one of "
      "`shape`, "
      "`file` and `llm`.",
      {text("summary", "what it is").default_is("none"),
       text("shape", "built-in language model or operator graph").default_is("none"),
       text("file",
            "operator graph in a file: ONNX (.onnx), ncnn (.param) or JSON (docs/graph_format.md); "
            "relative to the scenario")
           .default_is("none"),
       object("llm", llm_shape_spec, "a language model of one's own").default_is("none"),
       word("kind", {"llm", "graph"}, "language model or operator graph")
           .default_is("as shape, file or llm say"),
       map("bind", size("", "size"),
           "sizes of the named axes of an ONNX file; the batch stays free")
           .default_is("none"),
       size("image", "side of a built-in graph's input image, pixels").default_is("as published"),
       size("sequence", "input tokens of a built-in graph").default_is("the graph's"),
       list("passes", object("", pass_spec, "a pass"), "changes to the graph, in this order")
           .default_is("none"),
       list("aliases", text("", "name"), "other names").default_is("none"),
       text("default_variant", "taken when a service names none")
           .default_is("the first of the variants, else bf16 (language models) or fp32"),
       map("variants", object("", variant_spec, "a variant"), "by name").default_is("none"),
       map("sources", text("", "source"), "of shape and variants").default_is("none")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
