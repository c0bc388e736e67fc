#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/builtin_graphs.hpp"
#include "models/builtin_llms.hpp"
#include "models/graph_loading.hpp"
#include "models/llm_config.hpp"
#include "models/passes.hpp"
#include "scenarios/file_reading.hpp"
#include "scenarios/model_choice.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

models::Precision precision_named(const std::string& name) {
  return models::precision_from(name).value_or(models::Precision::bf16);
}

bool quantized(models::Precision p) { return models::bytes_of(p) < 2.0; }

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The parts of a variant that language models and graphs share, and those of language models.
models::LlmVariant variant_of_view(const std::string& name, const ObjectView& v) {
  models::LlmVariant out;
  out.name = name;
  out.weights = precision_named(v.text("weights"));
  out.activations = v.has("activations")     ? precision_named(v.text("activations"))
                    : quantized(out.weights) ? models::Precision::bf16
                                             : out.weights;
  out.kv = precision_named(v.text("kv"));
  if (v.has("head")) out.head = precision_named(v.text("head"));
  if (v.has("vision")) out.vision = precision_named(v.text("vision"));
  if (v.has("attention")) out.attention = precision_named(v.text("attention"));
  out.ffn_active = v.number("ffn_active");
  out.layer_kernels = v.number("layer_kernels");
  out.host_weights = v.number("host_weights");
  out.prefetch = v.flag("prefetch");
  out.weight_overhead = v.number("weight_overhead");
  out.accuracy = v.number_or("accuracy", 0);
  out.accuracy_metric = v.text("accuracy_metric");
  out.accuracy_source = v.text("accuracy_source");
  return out;
}

// The entry of a model with its place, or a null view for built-in names.
struct Entry {
  const Value* value = nullptr;
  std::string pointer;
  bool own = false;  // of the scenario, not of the catalogue
};

Entry entry_of(const Resolution& r, const std::string& name) {
  if (const Value* own = r.document.root.find("models"))
    if (const Value* v = own->find(name)) return {v, child("/models", name), true};
  return {r.catalogue.model(name), "", false};
}

std::int64_t integer_of(const ObjectView& v, const char* name, std::int64_t other) {
  return v.has(name) ? static_cast<std::int64_t>(v.number(name)) : other;
}

models::LlmShape shape_of_view(const std::string& name, const ObjectView& v,
                               const std::filesystem::path& folder, Problems& problems) {
  if (v.has("config")) {
    for (const Member& m : v.value()->members)
      if (m.key != "config")
        problems.add(m.at, v.pointer_to(m.key), "stands in the config already");
    return models::llm_from_config(expand_path(v.text("config"), folder).string(), name);
  }
  for (const char* field : {"layers", "hidden", "heads", "ffn", "vocab"})
    if (!v.has(field)) {
      problems.add(v.at(), v.pointer(), fmt::format("needs \"{}\", or a \"config\"", field));
      return {};
    }
  models::LlmShape s;
  s.name = name;
  s.layers = integer_of(v, "layers", 0);
  s.hidden = integer_of(v, "hidden", 0);
  s.heads = integer_of(v, "heads", 0);
  s.kv_heads = integer_of(v, "kv_heads", s.heads);
  if (!v.has("head_dim") && s.hidden % s.heads != 0)
    problems.add(
        v.at("heads"), v.pointer_to("heads"),
        fmt::format("hidden {} is not a multiple of {} heads; give head_dim", s.hidden, s.heads));
  s.head_dim = integer_of(v, "head_dim", s.hidden / s.heads);
  s.ffn = integer_of(v, "ffn", 0);
  s.vocab = integer_of(v, "vocab", 0);
  s.gated_ffn = v.flag("gated_ffn");
  s.tied_embeddings = v.flag("tied_embeddings");
  s.experts = static_cast<std::int64_t>(v.number("experts"));
  s.experts_active = static_cast<std::int64_t>(v.number("experts_active"));
  s.max_positions = static_cast<std::int64_t>(v.number("max_positions"));
  if (v.has("vision")) {
    const ObjectView t = v.object("vision");
    s.vision = {.layers = integer_of(t, "layers", 0),
                .hidden = integer_of(t, "hidden", 0),
                .heads = integer_of(t, "heads", 0),
                .ffn = integer_of(t, "ffn", 0),
                .patch = integer_of(t, "patch", 0),
                .merge = static_cast<std::int64_t>(t.number("merge")),
                .merger_params = t.number("merger_params"),
                .gated_ffn = t.flag("gated_ffn")};
  }
  return s;
}

// The graph of an entry: a file or a built-in one with arguments.
models::OperatorGraph graph_of_entry(const Resolution& r, const ObjectView& v) {
  models::GraphSource source;
  source.name =
      v.has("file") ? expand_path(v.text("file"), r.document.folder).string() : v.text("shape");
  if (v.has("file")) require_regular_file(source.name);
  source.arguments.image = integer_of(v, "image", 0);
  source.arguments.sequence = integer_of(v, "sequence", 0);
  if (const Value* bind = v.find("bind"))
    for (const Member& m : bind->members)
      source.axes[m.key] = static_cast<std::int64_t>(number_of(m.value, Unit::none));
  return models::load_graph(source).graph;
}

// The passes of an entry on its graph, in the formats of the variant.
void apply_passes(Resolution& r, const ObjectView& v, ChosenModel& m) {
  const Value* passes = v.find("passes");
  if (!passes || m.llm) {
    if (passes)
      r.problems.add(passes->at, v.pointer_to("passes"), "only operator graphs have passes");
    return;
  }
  models::ModelVersion version{
      .graph = *m.graph, .weights = m.variant.weights, .activations = m.variant.activations};
  if (m.accuracy_known)
    version.accuracy =
        models::Accuracy{m.variant.accuracy, m.variant.accuracy_metric, m.variant.accuracy_source};
  try {
    version = models::apply_passes(std::move(version), nlohmann::json::parse(to_text(*passes, 0)),
                                   v.pointer_to("passes"));
  } catch (const InputError& error) {
    for (const std::string& line : error.problems())
      r.problems.add(passes->at, v.pointer_to("passes"), line);
    return;
  }
  if (!version.exits.empty()) m.exits = std::make_shared<const models::ModelVersion>(version);
  m.graph = std::make_shared<const models::OperatorGraph>(version.graph);
  m.variant.weights = version.weights;
  m.variant.activations = version.activations;
  // A pass that may change answers leaves no accuracy unless it was given one.
  m.accuracy_known = version.accuracy.has_value();
  m.variant.accuracy = version.accuracy ? version.accuracy->value : 0;
  if (version.accuracy) {
    m.variant.accuracy_metric = version.accuracy->metric;
    m.variant.accuracy_source = version.accuracy->source;
  }
}

bool entry_is_llm(const Entry& e) {
  if (const Value* kind = e.value->find("kind")) return kind->text == "llm";
  if (e.value->find("llm")) return true;
  const Value* shape = e.value->find("shape");
  return shape && contains(models::builtin_llm_names(), shape->text);
}

// Fills the shape or the graph of an entry; false when there was a problem.
bool fill_work(Resolution& r, const std::string& name, const Entry& e, const ObjectView& v,
               ChosenModel& m) {
  const std::size_t given = v.has("shape") + v.has("file") + v.has("llm");
  if (given != 1) {
    r.problems.add(v.at(), v.pointer(), "give one of \"shape\", \"file\" and \"llm\"");
    return false;
  }
  m.llm = entry_is_llm(e);
  for (const char* only : {"bind", "image", "sequence"})
    if (m.llm && v.has(only))
      r.problems.add(v.at(only), v.pointer_to(only), "only operator graphs have this");
  try {
    if (v.has("llm"))
      m.shape = shape_of_view(name, v.object("llm"), r.document.folder, r.problems);
    else if (m.llm)
      m.shape = models::builtin_llm(v.text("shape"));
    else
      m.graph = std::make_shared<const models::OperatorGraph>(graph_of_entry(r, v));
    return true;
  } catch (const InputError& error) {
    const char* place = v.has("file") ? "file" : v.has("llm") ? "llm" : "shape";
    for (const std::string& line : error.problems())
      r.problems.add(v.at(place), v.pointer_to(place), line);
    return false;
  }
}

// Graphs choose formats per operator by passes.
void only_language_models(Resolution& r, const ObjectView& v, const ChosenModel& m) {
  if (m.llm) return;
  for (const char* field : {"attention", "ffn_active", "layer_kernels", "host_weights", "prefetch"})
    if (v.has(field))
      r.problems.add(v.at(field), v.pointer_to(field), "only language models have this");
}

// A variant by name or a number format; problems are placed at `at`.
void choose_variant(Resolution& r, const std::string& model, const ObjectView* entry,
                    const std::string& wanted, Position at, const std::string& pointer,
                    ChosenModel& m) {
  const Value* variants = entry ? entry->find("variants") : nullptr;
  if (const Value* known = variants ? variants->find(wanted) : nullptr) {
    const ObjectView v(known, variant_spec(), child(entry->pointer_to("variants"), wanted),
                       known->at);
    m.variant = variant_of_view(wanted, v);
    only_language_models(r, v, m);
    m.accuracy_known = v.has("accuracy");
    return;
  }
  if (const auto format = models::precision_from(wanted)) {
    m.variant.name = wanted;
    m.variant.weights = *format;
    m.variant.activations = quantized(*format) && m.llm ? models::Precision::bf16 : *format;
    return;
  }
  std::vector<std::string> known;
  if (variants)
    for (const Member& v : variants->members) known.push_back(v.key);
  for (const auto& row : models::precisions) known.emplace_back(row.name);
  r.problems.add(
      at, pointer,
      fmt::format("\"{}\" has no variant \"{}\"{}", model, wanted, suggestion(wanted, known)));
  m.variant.name = wanted;
}

std::string default_variant(const ObjectView* entry, bool llm) {
  if (entry && entry->has("default_variant")) return entry->text("default_variant");
  if (entry)
    if (const Value* variants = entry->find("variants"); variants && !variants->members.empty())
      return variants->members.front().key;
  return llm ? "bf16" : "fp32";
}

void need_source(Resolution& r, const ObjectView& v) {
  if (v.has("accuracy") && !v.has("accuracy_source"))
    r.problems.add(v.at("accuracy"), v.pointer_to("accuracy"),
                   "an accuracy needs its \"accuracy_source\"");
}

}  // namespace

models::GraphVariant ChosenModel::graph_variant() const {
  models::GraphVariant v;
  v.name = variant.name;
  v.weights = variant.weights;
  v.activations = variant.activations;
  v.accuracy = variant.accuracy;
  v.accuracy_metric = variant.accuracy_metric;
  v.accuracy_source = variant.accuracy_source;
  return v;
}

bool is_language_model(const Resolution& r, const std::string& name) {
  const Entry e = entry_of(r, name);
  return e.value ? entry_is_llm(e) : contains(models::builtin_llm_names(), name);
}

ChosenModel choose_model(Resolution& r, const ObjectView& s) {
  ChosenModel m;
  const std::string name = s.text("model");
  const Entry e = entry_of(r, name);
  std::optional<ObjectView> entry;
  if (e.value) {
    entry.emplace(e.value, model_spec(), e.own ? e.pointer : s.pointer_to("model"), e.value->at);
    if (!fill_work(r, name, e, *entry, m)) return m;
  } else if (contains(models::builtin_llm_names(), name)) {
    m.llm = true;
    m.shape = models::builtin_llm(name);
  } else {
    m.graph = std::make_shared<const models::OperatorGraph>(models::builtin_graph(name));
  }

  const auto with_passes = [&] {
    if (entry) apply_passes(r, *entry, m);
    return m;
  };
  const Value* written = s.find("variant");
  if (written && written->is(JsonKind::object)) {
    const ObjectView v(written, variant_spec(), s.pointer_to("variant"), written->at);
    m.variant = variant_of_view("inline", v);
    only_language_models(r, v, m);
    m.accuracy_known = v.has("accuracy");
    // A service may state an accuracy of its own; a draft model has none.
    if (!s.value() || !s.value()->find("accuracy")) need_source(r, v);
    return with_passes();
  }
  const std::string wanted =
      written ? written->text : default_variant(entry ? &*entry : nullptr, m.llm);
  choose_variant(r, name, entry ? &*entry : nullptr, wanted, s.at(written ? "variant" : "model"),
                 s.pointer_to(written ? "variant" : "model"), m);
  return with_passes();
}

void check_own_models(Resolution& r, const ObjectView& root) {
  const Value* models = root.find("models");
  if (!models) return;
  for (const Member& member : models->members) {
    const ObjectView v(&member.value, model_spec(), child("/models", member.key), member.at);
    if (r.catalogue.model(member.key) || contains(models::builtin_llm_names(), member.key) ||
        contains(models::builtin_graph_names(), member.key)) {
      r.problems.add(member.at, v.pointer(), "there is such a model already; choose another name");
      continue;
    }
    ChosenModel m;
    if (!fill_work(r, member.key, {&member.value, v.pointer(), true}, v, m)) continue;
    choose_variant(r, member.key, &v, default_variant(&v, m.llm), v.at("default_variant"),
                   v.pointer_to("default_variant"), m);
    apply_passes(r, v, m);
    if (const Value* variants = v.find("variants"))
      for (const Member& one : variants->members)
        need_source(r,
                    {&one.value, variant_spec(), child(v.pointer_to("variants"), one.key), one.at});
  }
}

}  // namespace isthmus::scenarios
