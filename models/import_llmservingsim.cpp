// Tables of casys-kaist/LLMServingSim (vLLM hooks): microseconds, one layer, shapes from the model.
#include <fmt/format.h>

#include <cmath>
#include <map>

#include "models/builtin_llms.hpp"
#include "models/csv_reader.hpp"
#include "models/import_formats.hpp"
#include "models/import_tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

ImportedTime micro(const CsvReader& csv) {
  const double ns = csv.positive("time_us") * 1e3;
  return {ns, ns, ns, 0, 3};  // three iterations, by the profiler's own description
}

void read_layers(CsvReader& csv, const LlmShape& s, const char* rows, ImportTables& tables,
                 ImportReport& report) {
  csv.require({"layer", rows, "time_us"});
  const double hidden = d(s.hidden), query = d(s.heads * s.head_dim), kv = d(s.kv_heads * s.head_dim);
  const std::map<std::string, std::pair<double, double>> products{
      {"qkv_proj", {query + 2 * kv, hidden}},
      {"o_proj", {hidden, query}},
      {"gate_up_proj", {(s.gated_ffn ? 2 : 1) * d(s.ffn), hidden}},
      {"down_proj", {hidden, d(s.ffn)}},
      {"lm_head", {d(s.vocab), hidden}}};
  while (csv.next()) {
    ++report.read;
    const std::string& layer = csv.text("layer");
    const double m = csv.positive(rows);
    if (const auto it = products.find(layer); it != products.end())
      tables.add("gemm", Precision::bf16, {it->second.first, it->second.second, m}, micro(csv));
    else if (layer == "act_fn")
      tables.add("activation", Precision::bf16, {m * d(s.ffn)}, micro(csv));
    else if (layer == "layernorm" || layer == "final_layernorm")
      tables.add("norm", Precision::bf16, {hidden, m}, micro(csv));
    else if (layer == "embedding")
      tables.add("embedding", Precision::bf16, {hidden, m}, micro(csv));
    else if (layer == "sampler")
      tables.add("sampler", Precision::bf16, {d(s.vocab), m}, micro(csv));
    else
      tables.skip("layer " + layer + " (no kernel kind)");
  }
}

void read_attention(CsvReader& csv, const LlmShape& s, ImportTables& tables, ImportReport& report) {
  csv.require({"prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us"});
  while (csv.next()) {
    ++report.read;
    tables.add("mixed_attention", Precision::bf16,
               {d(s.heads), d(s.kv_heads), d(s.head_dim), csv.number("prefill_chunk"),
                csv.number("kv_prefill"), csv.number("n_decode"), csv.number("kv_decode")},
               micro(csv));
  }
}

// Rows give the number of experts that took part. Per number of tokens the one nearest to what even
// choices activate is kept.
void read_moe(CsvReader& csv, const LlmShape& s, ImportTables& tables, ImportReport& report) {
  csv.require({"tokens", "activated_experts", "time_us"});
  if (s.experts < 1)
    throw InputError(fmt::format("{}: model '{}' is no mixture of experts", csv.path(), s.name));
  struct Best {
    double distance = 0;
    ImportedTime time;
  };
  std::map<double, Best> best;
  while (csv.next()) {
    ++report.read;
    const double tokens = csv.positive("tokens");
    const double even =
        d(s.experts) * (1 - std::pow(1 - d(s.experts_active) / d(s.experts), tokens));
    const double distance = std::abs(csv.positive("activated_experts") - even);
    const auto [it, fresh] = best.try_emplace(tokens, Best{distance, micro(csv)});
    if (fresh) continue;
    tables.skip("another number of activated experts than even choices give");
    if (distance < it->second.distance) it->second = {distance, micro(csv)};
  }
  for (const auto& [tokens, b] : best)
    tables.add("moe", Precision::bf16,
               {d(s.hidden), d(s.ffn), d(s.experts), d(s.experts_active), 0, 1, 1, tokens}, b.time);
}

}  // namespace

KernelProfile import_llmservingsim(const std::vector<std::string>& files,
                                   const ImportOptions& options, ImportReport& report) {
  if (options.model.empty())
    throw InputError("LLMServingSim's tables do not say which model they timed: give --model, e.g. "
                     "llama-3.1-8b");
  const LlmShape shape = builtin_llm(options.model);
  ImportTables tables(options, report);
  for (const std::string& path : files) {
    CsvReader csv(path);
    if (csv.has("prefill_chunk")) read_attention(csv, shape, tables, report);
    else if (csv.has("activated_experts")) read_moe(csv, shape, tables, report);
    else if (csv.has("sequences")) read_layers(csv, shape, "sequences", tables, report);
    else if (csv.has("tokens")) read_layers(csv, shape, "tokens", tables, report);
    else
      throw InputError(path + ": is none of LLMServingSim's dense, per_sequence, attention and moe "
                              "tables");
  }
  return tables.finish({.device = "unnamed (give --device)",
                        .provenance = provenance("casys-kaist/LLMServingSim", files, report) +
                                      "; model " + options.model,
                        .licence = "MIT",
                        .program_version = ""},
                       "one layer's operation inside vLLM, single figures");
}

}  // namespace isthmus::models
