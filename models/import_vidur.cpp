// Tables of microsoft/vidur: milliseconds for one layer, on one of the tensor-parallel workers.
#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "models/csv_reader.hpp"
#include "models/import_formats.hpp"
#include "models/import_tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Minimum, maximum, median and deviation of one operation; nothing when it was not timed.
std::optional<ImportedTime> time_of(const CsvReader& csv, const std::string& operation) {
  const std::string stem = "time_stats." + operation + ".";
  if (!csv.has(stem + "median") || csv.text(stem + "median").empty()) return std::nullopt;
  const double median = csv.number(stem + "median") * 1e6;
  if (!(median > 0)) return std::nullopt;
  return spread_time(median, csv.number_or(stem + "min", 0) * 1e6,
                     csv.number_or(stem + "max", 1e300) * 1e6,
                     csv.number_or(stem + "std", 0) * 1e6);
}

// Files do not name their device, but their folders do: .../compute/a100/...,
// .../network/a100_dgx/...
std::string device_of(const std::string& path) {
  std::string before;
  for (const auto& part : std::filesystem::path(path).parent_path()) {
    if (before == "compute" || before == "network") {
      const std::string name = part.string();
      return name.substr(0, name.find('_'));
    }
    before = part.string();
  }
  return "";
}

void read_mlp(CsvReader& csv, Precision precision, ImportTables& tables, ImportReport& report) {
  csv.require({"n_head", "n_kv_head", "n_embd", "n_expanded_embd", "vocab_size", "use_gated_mlp",
               "num_tokens", "num_tensor_parallel_workers"});
  while (csv.next()) {
    ++report.read;
    const double p = csv.positive("num_tensor_parallel_workers"), m = csv.positive("num_tokens");
    const double width = csv.positive("n_embd"), inner = csv.positive("n_expanded_embd");
    const double heads = csv.positive("n_head"), kv_heads = csv.positive("n_kv_head");
    const double head = width / heads;
    const std::string& gated = csv.text("use_gated_mlp");
    if (gated != "True" && gated != "False")
      throw InputError(
          fmt::format("{}: use_gated_mlp must be True or False, not '{}'", csv.where(), gated));
    const auto add = [&](const char* operation, std::string_view kind,
                         const std::vector<double>& shape) {
      if (const auto t = time_of(csv, operation))
        tables.add(kind, precision, shape, *t);
      else
        tables.skip(std::string(operation) + " was not timed, or is 0");
    };
    add("attn_pre_proj", "gemm", {(heads + 2 * kv_heads) * head / p, width, m});
    add("attn_post_proj", "gemm", {width, heads * head / p, m});
    add("mlp_up_proj", "gemm", {(gated == "True" ? 2 : 1) * inner / p, width, m});
    add("mlp_down_proj", "gemm", {width, inner / p, m});
    add("mlp_act", "activation", {m * inner / p});
    add("add", "elementwise", {m * width});
    add("input_layernorm", "norm", {width, m});
    if (csv.has("time_stats.post_attention_layernorm.median"))
      add("post_attention_layernorm", "norm", {width, m});
    add("emb", "embedding", {width, m});
    tables.skip("rotary embedding (no kernel kind)");
  }
}

void read_attention(CsvReader& csv, Precision precision, ImportTables& tables,
                    ImportReport& report) {
  csv.require({"n_embd", "n_q_head", "n_kv_head", "num_tensor_parallel_workers", "batch_size",
               "prefill_chunk_size", "kv_cache_size", "is_prefill"});
  while (csv.next()) {
    ++report.read;
    const double p = csv.positive("num_tensor_parallel_workers"), all = csv.positive("n_q_head");
    const double heads = all / p, kv_heads = csv.positive("n_kv_head") / p;
    const double head = csv.positive("n_embd") / all, batch = csv.positive("batch_size");
    const double context = csv.number("kv_cache_size");
    const std::string& phase = csv.text("is_prefill");
    if (phase != "True" && phase != "False")
      throw InputError(
          fmt::format("{}: is_prefill must be True or False, not '{}'", csv.where(), phase));
    const bool prefill = phase == "True";
    const auto t = time_of(csv, prefill ? "attn_prefill" : "attn_decode");
    if (!t)
      tables.skip(prefill ? "prefill without a time" : "decode without a time");
    else if (prefill)
      tables.add("prefill_attention", precision,
                 {heads, kv_heads, head, 0, batch, context, csv.positive("prefill_chunk_size")},
                 *t);
    else
      tables.add("decode_attention", precision, {heads, kv_heads, head, 0, batch, context}, *t);
  }
}

void read_network(CsvReader& csv, const std::string& kind, Precision precision,
                  ImportTables& tables, ImportReport& report) {
  csv.require({"num_workers", "size"});
  while (csv.next()) {
    ++report.read;
    if (csv.number_or("rank", 0) != 0) {
      tables.skip("other ranks than 0");
      continue;
    }
    // Between machines there is another link.
    const double workers = csv.positive("num_workers");
    if (csv.number_or("devices_per_node", workers) < workers) {
      tables.skip("workers on several machines");
      continue;
    }
    const auto t = time_of(csv, kind);
    if (!t)
      tables.skip(kind + " without a time");
    else
      tables.add(kind, precision, {workers, csv.positive("size")}, *t);
  }
}

}  // namespace

KernelProfile import_vidur(const std::vector<std::string>& files, const ImportOptions& options,
                           ImportReport& report) {
  ImportTables tables(options, report);
  const Precision precision = options.precision.value_or(Precision::fp16);
  std::string device;
  for (const std::string& path : files) {
    const std::string own = device_of(path);
    if (device.empty()) device = own;
    if (!own.empty() && own != device && options.device.empty())
      throw InputError(
          fmt::format("{}: is of {}, an earlier file of {}; a profile is of one device "
                      "(--device names it if they are the same)",
                      path, own, device));
    CsvReader csv(path);
    if (csv.has("time_stats.attn_pre_proj.median"))
      read_mlp(csv, precision, tables, report);
    else if (csv.has("is_prefill"))
      read_attention(csv, precision, tables, report);
    else if (csv.has("time_stats.all_reduce.median"))
      read_network(csv, "all_reduce", precision, tables, report);
    else if (csv.has("time_stats.send_recv.median"))
      read_network(csv, "send_recv", precision, tables, report);
    else
      throw InputError(path +
                       ": is none of vidur's mlp, attention, all_reduce and send_recv tables");
  }
  return tables.finish({.device = device.empty() ? "unnamed (give --device)" : device,
                        .provenance = provenance("microsoft/vidur", files, report),
                        .licence = "MIT",
                        .program_version = ""},
                       "one layer's operation, CUDA kernels, percentiles from deviation and range");
}

}  // namespace isthmus::models
