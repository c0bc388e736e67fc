#include "models/passes.hpp"

#include <array>

#include "models/pass_distill.hpp"
#include "models/pass_exits.hpp"
#include "models/pass_fields.hpp"
#include "models/pass_fuse.hpp"
#include "models/pass_precision.hpp"
#include "models/pass_prune.hpp"
#include "models/pass_sparsify.hpp"

namespace isthmus::models {

using nlohmann::json;

namespace {

using Parameters = std::vector<PassParameter>;

const PassParameter match_parameter{"match", "text", "", "",
                                    "operator kind (\"softmax\"), or glob of module paths or "
                                    "operator names; * stays within a part"};

// The three keys of an accuracy, at the end of every list.
Parameters with_accuracy(Parameters parameters, const std::string& of) {
  parameters.push_back({"accuracy", "number", "fraction", "none", "accuracy " + of});
  parameters.push_back({"metric", "text", "", "none", "what the accuracy counts"});
  parameters.push_back(
      {"source", "text", "", "none", "where the accuracy stands; needed with one"});
  return parameters;
}

// A list of rules, whose keys a pass with a single rule may have itself.
PassParameter rules_parameter(Parameters fields) {
  fields.insert(fields.begin(), match_parameter);
  return {"rules",
          "list of objects",
          "",
          "none",
          "later rules win; a single rule may stand in the pass itself",
          std::move(fields)};
}

std::vector<std::string> names_of(const Parameters& parameters, bool with_rule_fields) {
  std::vector<std::string> names;
  for (const auto& p : parameters) {
    names.push_back(p.name);
    if (with_rule_fields && p.name == "rules")
      for (const auto& f : p.fields) names.push_back(f.name);
  }
  return names;
}

// Reads every rule of `fields` with `read(PassFields)`.
template <class Read>
void for_rules(const PassFields& fields, const json& object, const PassParameter& rules,
               Read read) {
  if (!fields.has("rules")) {
    read(fields);
    return;
  }
  for (const auto& f : rules.fields)
    if (fields.has(f.name.c_str()))
      throw InputError(fmt::format("{}: give \"rules\", or one rule in the pass itself, not both",
                                   fields.at(f.name.c_str())));
  fields.list("rules");
  const json& list = object.at("rules");
  for (std::size_t i = 0; i < list.size(); ++i)
    read(PassFields(list[i], fmt::format("{}/{}", fields.at("rules"), i),
                    names_of(rules.fields, false)));
}

// A pass: its description and how it is read and run.
struct Entry {
  PassInfo info;
  ModelVersion (*apply)(ModelVersion, const PassFields&, const json&, const PassInfo&);
};

const PassParameter& parameter(const PassInfo& info, std::string_view name) {
  for (const auto& p : info.parameters)
    if (p.name == name) return p;
  throw InternalError("a pass lacks its parameter " + std::string(name));
}

ModelVersion apply_fuse(ModelVersion version, const PassFields& f, const json& object,
                        const PassInfo&) {
  FuseOptions options;
  const std::array<std::pair<const char*, bool FuseOptions::*>, 7> patterns{
      {{"attention", &FuseOptions::attention},
       {"layer_norm", &FuseOptions::layer_norm},
       {"activation", &FuseOptions::activation},
       {"batch_norm", &FuseOptions::batch_norm},
       {"epilogue", &FuseOptions::epilogue},
       {"residual", &FuseOptions::residual},
       {"pointwise", &FuseOptions::pointwise}}};
  if (f.has("patterns")) {
    f.list("patterns");
    std::vector<std::string> known;
    for (const auto& [name, flag] : patterns) {
      options.*flag = false;
      known.emplace_back(name);
    }
    const json& list = object.at("patterns");
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string at = fmt::format("{}/{}", f.at("patterns"), i);
      if (!list[i].is_string()) throw InputError(at + ": expected the name of a pattern");
      bool found = false;
      for (const auto& [name, flag] : patterns)
        if (list[i].get_ref<const std::string&>() == name) options.*flag = found = true;
      if (!found)
        throw InputError(at + ": " +
                         name_error("pattern", list[i].get<std::string>(), known).what());
    }
  }
  options.causal = f.flag_or("causal", false);
  return fuse(std::move(version), options);
}

ModelVersion apply_precision(ModelVersion version, const PassFields& f, const json& object,
                             const PassInfo& info) {
  PrecisionOptions options;
  options.where = f.place();
  const auto& rules = parameter(info, "rules");
  const bool any = f.has("rules") || f.has("match") || f.has("weights") || f.has("activations");
  if (any || (!f.has("sensitive") && !f.flag_or("conversions", false)))
    for_rules(f, object, rules, [&](const PassFields& r) {
      PrecisionRule rule{r.text("match"), r.format("weights"), r.format("activations")};
      rule.group_size = r.whole_or("group_size", 0);
      rule.scale_bytes = r.number_or("scale_bytes", rule.scale_bytes);
      if (r.has("scale_bytes") && rule.group_size == 0)
        throw InputError(r.at("scale_bytes") + ": needs a \"group_size\"");
      rule.where = r.place();
      options.rules.push_back(std::move(rule));
    });
  options.sensitive = f.format("sensitive");
  options.conversions = f.flag_or("conversions", false);
  options.accuracy = f.accuracy();
  return set_precision(std::move(version), options);
}

ModelVersion apply_prune(ModelVersion version, const PassFields& f, const json& object,
                         const PassInfo& info) {
  PruneOptions options;
  options.where = f.place();
  for_rules(f, object, parameter(info, "rules"), [&](const PassFields& r) {
    options.rules.push_back({r.text("match"), r.number("ratio"),
                             static_cast<std::int64_t>(r.whole_or("multiple", 1)), r.place()});
  });
  options.accuracy = f.accuracy();
  return prune_channels(std::move(version), options);
}

ModelVersion apply_sparsify(ModelVersion version, const PassFields& f, const json& object,
                            const PassInfo& info) {
  SparsifyOptions options;
  options.where = f.place();
  for_rules(f, object, parameter(info, "rules"), [&](const PassFields& r) {
    SparsityRule rule{.match = r.text("match")};
    if (!r.has("zeros") && !r.has("of"))
      throw InputError(r.place() + ": give \"zeros\", or \"kept\" and \"of\"");
    rule.zeros = r.number_or("zeros", 0);
    rule.kept = r.whole_or("kept", 0);
    rule.of = r.whole_or("of", 0);
    if (r.has("index_bits")) rule.index_bits = r.number("index_bits");
    rule.sparse_speedup = r.number_or("sparse_speedup", 1);
    rule.where = r.place();
    options.rules.push_back(std::move(rule));
  });
  options.accuracy = f.accuracy();
  return sparsify(std::move(version), options);
}

ModelVersion apply_sparse_activation(ModelVersion version, const PassFields& f, const json& object,
                                     const PassInfo& info) {
  SparseActivationOptions options;
  options.where = f.place();
  for_rules(f, object, parameter(info, "rules"), [&](const PassFields& r) {
    options.rules.push_back({r.text("match"), r.number("active"), r.place()});
  });
  options.accuracy = f.accuracy();
  return sparse_activation(std::move(version), options);
}

ModelVersion apply_exits(ModelVersion version, const PassFields& f, const json& object,
                         const PassInfo& info) {
  ExitOptions options;
  options.where = f.place();
  f.list("exits");
  const json& list = object.at("exits");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const PassFields e(list[i], fmt::format("{}/{}", f.at("exits"), i),
                       names_of(parameter(info, "exits").fields, false));
    options.exits.push_back({e.text("after"), e.number("share"), e.accuracy(),
                             static_cast<std::int64_t>(e.whole_or("classes", 0)), e.place()});
  }
  options.accuracy = f.accuracy();
  return add_exits(std::move(version), options);
}

ModelVersion apply_distill(ModelVersion version, const PassFields& f, const json& object,
                           const PassInfo&) {
  DistillOptions options;
  options.where = f.place();
  options.layers = f.text_or("layers", "");
  options.keep_every = f.whole_or("keep_every", 2);
  if (f.has("keep")) {
    if (f.has("keep_every"))
      throw InputError(f.at("keep") + ": give \"keep\" or \"keep_every\", not both");
    f.list("keep");
    for (const json& k : object.at("keep")) {
      if (!k.is_number_unsigned())
        throw InputError(f.at("keep") + ": expected numbers of layers from 0 on");
      options.keep.push_back(k.get<std::size_t>());
    }
  }
  options.accuracy = f.accuracy();
  return distill(std::move(version), options);
}

// The one list of passes.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> list{
      {{"distill", "a student that has every k-th layer of its teacher", false,
        with_accuracy({{"layers", "text", "", "\"\"",
                        "module that numbers the layers (\"encoder.layer\"); \"\" = the outermost"},
                       {"keep_every", "integer", "layers", "2", "layers 0, k, 2k, ... stay"},
                       {"keep", "list of integers", "", "none", "the layers that stay, by number"}},
                      "of the student")},
       apply_distill},
      {{"early-exits", "heads at which easy samples leave", false,
        with_accuracy(
            {{"exits", "list of objects", "", "", "the exits",
              with_accuracy({{"after", "text", "", "", "operator whose output the head reads"},
                             {"share", "number", "fraction", "", "of all samples, that leave here"},
                             {"classes", "integer", "", "0",
                              "width of the answer; 0 = that of the model's own output"}},
                            "of the samples that leave here")}},
            "of the samples that go to the end")},
       apply_exits},
      {{"fuse",
        "operators whose intermediate results stay on the chip become one",
        true,
        {{"patterns", "list of texts", "",
          "[\"attention\", \"layer_norm\", \"activation\", \"batch_norm\", \"epilogue\"]",
          "what is fused; further: \"residual\", \"pointwise\""},
         {"causal", "flag", "", "false", "fused attention is causal"}}},
       apply_fuse},
      {{"precision", "number formats per module", false,
        with_accuracy(
            {rules_parameter(
                 {{"weights", "format", "", "none", "of the weights"},
                  {"activations", "format", "", "none", "of the tensors read and written"},
                  {"group_size", "integer", "weights", "0",
                   "weights that share a scale; 0 = scales do not count"},
                  {"scale_bytes", "number", "bytes", "2", "per group, a zero point included"}}),
             {"sensitive", "format", "", "none", "of softmax and norm whatever the rules say"},
             {"conversions", "flag", "", "false", "insert copies where formats meet"}},
            "of the result")},
       apply_precision},
      {{"prune", "whole channels disappear", false,
        with_accuracy({rules_parameter(
                          {{"ratio", "number", "fraction", "", "of the output channels, that go"},
                           {"multiple", "integer", "channels", "1",
                            "what remains is rounded up to a multiple of this"}})},
                      "of the result")},
       apply_prune},
      {{"sparse-activation", "samples touch a share of the parameters", false,
        with_accuracy({rules_parameter({{"active", "number", "fraction", "",
                                         "of the parameters, that a sample touches"}})},
                      "of the result")},
       apply_sparse_activation},
      {{"sparsify", "zero weights are not stored, and skipped where hardware can", false,
        with_accuracy(
            {rules_parameter(
                {{"zeros", "number", "fraction", "0", "of the weights, that are zero"},
                 {"kept", "integer", "weights", "0", "N of N:M sparsity"},
                 {"of", "integer", "weights", "0", "M of N:M sparsity"},
                 {"index_bits", "number", "bits", "none",
                  "that place one kept weight; none = log2(of), or a bit per dense weight"},
                 {"sparse_speedup", "number", "", "1", "of the hardware's sparse kernels"}})},
            "of the result")},
       apply_sparsify},
  };
  return list;
}

}  // namespace

std::vector<PassInfo> pass_catalogue() {
  std::vector<PassInfo> infos;
  for (const Entry& e : entries()) infos.push_back(e.info);
  return infos;
}

ModelVersion apply_passes(ModelVersion version, const json& passes, std::string_view at) {
  if (!passes.is_array())
    throw InputError(fmt::format("{}: expected a list of passes", at.empty() ? "/" : at));
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const std::string here = fmt::format("{}/{}", at, i);
    std::vector<std::string> known;
    for (const Entry& e : entries()) known.push_back(e.info.name);
    if (!passes[i].is_object() || !passes[i].contains("pass") || !passes[i]["pass"].is_string())
      throw InputError(fmt::format("{}: expected an object with a \"pass\": one of {}", here,
                                   fmt::join(known, ", ")));
    const std::string& name = passes[i]["pass"].get_ref<const std::string&>();
    const Entry* entry = nullptr;
    for (const Entry& e : entries())
      if (e.info.name == name) entry = &e;
    if (!entry) throw InputError(here + "/pass: " + name_error("pass", name, known).what());
    auto keys = names_of(entry->info.parameters, true);
    keys.insert(keys.begin(), "pass");
    version =
        entry->apply(std::move(version), PassFields(passes[i], here, keys), passes[i], entry->info);
  }
  return version;
}

}  // namespace isthmus::models
