// Tables of casys-kaist/LLMServingSim (vLLM hooks): microseconds, one layer, shapes from the model.
#include <fmt/format.h>

#include <algorithm>
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

bool truth(const CsvReader& csv, const char* column) {
  const std::string& cell = csv.text(column);
  if (cell != "True" && cell != "False")
    throw InputError(
        fmt::format("{}: {} must be True or False, not '{}'", csv.where(), column, cell));
  return cell == "True";
}

void read_layers(CsvReader& csv, const LlmShape& s, Precision precision, const char* rows,
                 ImportTables& tables, ImportReport& report) {
  csv.require({"layer", rows, "time_us"});
  const double hidden = d(s.hidden), query = d(s.heads * s.head_dim),
               kv = d(s.kv_heads * s.head_dim);
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
      tables.add("gemm", precision, {it->second.first, it->second.second, m}, micro(csv));
    else if (layer == "act_fn")
      tables.add("activation", precision, {m * d(s.ffn)}, micro(csv));
    else if (layer == "layernorm" || layer == "final_layernorm")
      tables.add("norm", precision, {hidden, m}, micro(csv));
    else if (layer == "embedding")
      tables.add("embedding", precision, {hidden, m}, micro(csv));
    else if (layer == "rotary_emb")
      tables.add("rotary", precision, {query + kv, m}, micro(csv));
    else if (layer == "sampler")
      tables.add("sampler", precision, {d(s.vocab), m}, micro(csv));
    else
      tables.skip("layer " + layer + " (no kernel kind)");
  }
}

void read_attention(CsvReader& csv, const LlmShape& s, Precision precision, ImportTables& tables,
                    ImportReport& report) {
  csv.require({"prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us"});
  while (csv.next()) {
    ++report.read;
    tables.add("mixed_attention", precision,
               {d(s.heads), d(s.kv_heads), d(s.head_dim), csv.number("prefill_chunk"),
                csv.number("kv_prefill"), csv.number("n_decode"), csv.number("kv_decode")},
               micro(csv));
  }
}

// Rows give the number of experts that took part. Per number of tokens the one nearest to what even
// choices activate is kept.
void read_moe(CsvReader& csv, const LlmShape& s, Precision precision, ImportTables& tables,
              ImportReport& report) {
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
    tables.add("moe", precision,
               {d(s.hidden), d(s.ffn), d(s.experts), d(s.experts_active), 0, 1, 1, tokens}, b.time);
}

// Version 0: nanoseconds, each projection by itself, on one of tp_size workers.
void read_old_layers(CsvReader& csv, const LlmShape& s, Precision precision, ImportTables& tables,
                     ImportReport& report) {
  csv.require({"layer_name", "input", "tp_size", "latency(ns)"});
  const double hidden = d(s.hidden), query = d(s.heads * s.head_dim),
               kv = d(s.kv_heads * s.head_dim);
  while (csv.next()) {
    ++report.read;
    const double m = csv.positive("input"), p = csv.positive("tp_size");
    const std::map<std::string, std::pair<double, double>> products{
        {"q_proj", {query / p, hidden}},       {"k_proj", {kv / p, hidden}},
        {"v_proj", {kv / p, hidden}},          {"o_proj", {hidden, query / p}},
        {"gate_proj", {d(s.ffn) / p, hidden}}, {"up_proj", {d(s.ffn) / p, hidden}},
        {"down_proj", {hidden, d(s.ffn) / p}}, {"lm_head", {d(s.vocab) / p, hidden}}};
    const double ns = csv.positive("latency(ns)");
    const ImportedTime time{ns, ns, ns, 0, 1};
    const std::string& layer = csv.text("layer_name");
    if (const auto it = products.find(layer); it != products.end())
      tables.add("gemm", precision, {it->second.first, it->second.second, m}, time);
    else if (layer == "act_fn")
      tables.add("activation", precision, {m * d(s.ffn) / p}, time);
    else if (layer.ends_with("_layernorm"))
      tables.add("norm", precision, {hidden, m}, time);
    else if (layer == "embedding")
      tables.add("embedding", precision, {hidden, m}, time);
    else if (layer == "attn")
      tables.skip("attention among the layers (attention.csv has it by context)");
    else
      tables.skip("layer " + layer + " (no kernel kind)");
  }
}

// Version 0 on TPUs: nanoseconds with percentiles, one worker.
void read_old_attention(CsvReader& csv, const LlmShape& s, Precision precision,
                        ImportTables& tables, ImportReport& report) {
  csv.require(
      {"prefill_chunk_size", "kv_cache_size", "batch_size", "is_prefill", "p50_ns", "p90_ns"});
  while (csv.next()) {
    ++report.read;
    const double median = csv.positive("p50_ns"), most = csv.positive("p90_ns");
    // No lower percentile: as far below as the upper one is above would be a guess.
    const ImportedTime time{median, median, std::max(median, most), 0, 1};
    const double batch = csv.positive("batch_size"), context = csv.number("kv_cache_size");
    if (truth(csv, "is_prefill"))
      tables.add("prefill_attention", precision,
                 {d(s.heads), d(s.kv_heads), d(s.head_dim), 0, batch, context,
                  csv.positive("prefill_chunk_size")},
                 time);
    else
      tables.add("decode_attention", precision,
                 {d(s.heads), d(s.kv_heads), d(s.head_dim), 0, batch, context}, time);
  }
}

}  // namespace

KernelProfile import_llmservingsim(const std::vector<std::string>& files,
                                   const ImportOptions& options, ImportReport& report) {
  if (options.model.empty())
    throw InputError(
        "LLMServingSim's tables do not say which model they timed: give --model, e.g. "
        "llama-3.1-8b");
  const LlmShape shape = builtin_llm(options.model);
  const Precision precision = options.precision.value_or(Precision::bf16);
  ImportTables tables(options, report);
  for (const std::string& path : files) {
    CsvReader csv(path);
    if (csv.has("prefill_chunk"))
      read_attention(csv, shape, precision, tables, report);
    else if (csv.has("activated_experts"))
      read_moe(csv, shape, precision, tables, report);
    else if (csv.has("layer_name"))
      read_old_layers(csv, shape, precision, tables, report);
    else if (csv.has("p50_ns"))
      read_old_attention(csv, shape, precision, tables, report);
    else if (csv.has("sequences"))
      read_layers(csv, shape, precision, "sequences", tables, report);
    else if (csv.has("tokens"))
      read_layers(csv, shape, precision, "tokens", tables, report);
    else
      throw InputError(path +
                       ": is none of LLMServingSim's dense, per_sequence, attention and moe "
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
