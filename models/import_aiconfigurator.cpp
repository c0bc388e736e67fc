// Tables of ai-dynamo/aiconfigurator: milliseconds; messages of collectives in elements.
#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>

#include "models/csv_reader.hpp"
#include "models/import_formats.hpp"
#include "models/import_tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// Number formats by their names there; nothing for mixtures of formats, which no table of ours has.
std::optional<Precision> format_named(const std::string& name) {
  static const std::map<std::string, Precision> names{
      {"bfloat16", Precision::bf16},  {"bf16", Precision::bf16},     {"float16", Precision::fp16},
      {"half", Precision::fp16},      {"float32", Precision::fp32},  {"fp8", Precision::fp8},
      {"fp8_static", Precision::fp8}, {"fp8_block", Precision::fp8}, {"int8", Precision::int8},
      {"nvfp4", Precision::fp4},      {"mxfp4", Precision::fp4}};
  const auto it = names.find(name);
  return it == names.end() ? std::nullopt : std::optional(it->second);
}

// Kinds of collectives by their names there.
const char* collective_named(const std::string& name) {
  if (name == "all_reduce") return "all_reduce";
  if (name == "all_gather") return "all_gather";
  if (name == "reduce_scatter") return "reduce_scatter";
  if (name == "alltoall") return "all_to_all";
  return nullptr;
}

// One file of any of the tables.
class File {
 public:
  File(CsvReader& csv, const ImportOptions& options, ImportTables& tables, std::string& device)
      : csv_(csv), options_(options), tables_(tables), device_(device) {}

  void read(ImportReport& report) {
    csv_.require({"op_name"});
    if (csv_.has("dispatch_avg_t_us")) {
      while (csv_.next()) {
        ++report.read;
        tables_.skip("DeepEP dispatch and combine (no kernel kind)");
      }
      return;
    }
    const auto rule = table();
    csv_.require({"latency"});
    while (csv_.next()) {
      ++report.read;
      if (!options_.kernel_source.empty() && csv_.has("kernel_source") &&
          csv_.text("kernel_source") != options_.kernel_source) {
        tables_.skip("another kernel source than " + options_.kernel_source);
        continue;
      }
      if (csv_.has("device") && device_.empty()) device_ = csv_.text("device");
      (this->*rule)();
    }
  }

 private:
  using Rule = void (File::*)();
  Rule table() {
    if (csv_.has("gemm_dtype")) {
      csv_.require({"m", "n", "k"});
      return &File::gemm;
    }
    if (csv_.has("attn_dtype")) {
      csv_.require({"batch_size", "isl", "num_heads", "head_dim"});
      if (!csv_.has("kv_cache_dtype")) return &File::encoder;
      csv_.require({"num_key_value_heads", "step"});
      return &File::attention;
    }
    if (csv_.has("moe_dtype")) {
      csv_.require({"num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size",
                    "moe_ep_size", "distribution"});
      return &File::moe;
    }
    if (csv_.has("nccl_dtype") || csv_.has("allreduce_dtype")) {
      csv_.require({"num_gpus", "message_size"});
      return &File::collective;
    }
    throw InputError(csv_.path() +
                     ": is none of the tables gemm, attention, moe, nccl and "
                     "custom_allreduce; it has " +
                     fmt::format("{}", fmt::join(csv_.columns(), ", ")));
  }

  ImportedTime time() const {
    const double ns = csv_.positive("latency") * 1e6;
    const double watts = csv_.number_or("power", 0);
    if (watts < 0) throw InputError(fmt::format("{}: power must not be negative", csv_.where()));
    std::string source;
    for (const char* column : {"framework", "version", "kernel_source", "gemm_dtype", "moe_dtype"})
      if (csv_.has(column)) source += (source.empty() ? "" : " ") + csv_.text(column);
    return {ns, ns, ns, watts, 1, source};
  }
  std::optional<Precision> format(const char* column) {
    const auto p = format_named(csv_.text(column));
    if (!p) tables_.skip("number format " + csv_.text(column));
    return p;
  }
  double at(const char* column) const { return csv_.number(column); }

  void gemm() {
    if (const auto p = format("gemm_dtype"))
      tables_.add("gemm", *p, {at("n"), at("k"), at("m")}, time());
  }
  void encoder() {
    if (const auto p = format("attn_dtype"))
      tables_.add("encoder_attention", *p,
                  {at("num_heads"), at("head_dim"), at("batch_size"), at("isl")}, time());
  }
  void attention() {
    const auto p = format("attn_dtype");
    if (!p) return;
    if (csv_.text("kv_cache_dtype") != csv_.text("attn_dtype"))
      return tables_.skip("KV cache in another format than the arithmetic");
    if (csv_.number_or("beam_width", 1) != 1) return tables_.skip("beam search");
    const double heads = at("num_heads"), kv = at("num_key_value_heads");
    const double window = csv_.number_or("window_size", 0), batch = at("batch_size");
    // Zero key-value heads there means as many as query heads.
    const double kv_heads = kv > 0 ? kv : heads;
    if (csv_.text("op_name").starts_with("generation"))
      tables_.add("decode_attention", *p,
                  {heads, kv_heads, at("head_dim"), window, batch, at("step")}, time());
    else
      tables_.add("prefill_attention", *p,
                  {heads, kv_heads, at("head_dim"), window, batch, at("step"), at("isl")}, time());
  }
  void moe() {
    const auto p = format("moe_dtype");
    if (!p) return;
    const std::string& how = csv_.text("distribution");
    double skew = 0;
    if (how.starts_with("power_law_")) {
      skew = std::strtod(how.c_str() + 10, nullptr);
    } else if (how != "balanced") {
      return tables_.skip("distribution " + how);
    }
    tables_.add("moe", *p,
                {at("hidden_size"), at("inter_size"), at("num_experts"), at("topk"), skew,
                 at("moe_tp_size"), at("moe_ep_size"), at("num_tokens")},
                time());
  }
  void collective() {
    const bool custom = csv_.has("allreduce_dtype");
    const auto p = format(custom ? "allreduce_dtype" : "nccl_dtype");
    if (!p) return;
    const char* kind = collective_named(csv_.text("op_name"));
    if (!kind) return tables_.skip("operation " + csv_.text("op_name"));
    // Engines replay graphs; the eager figure has the launch from the host in it.
    if (custom && csv_.has("backend") && csv_.text("backend").ends_with("eager"))
      return tables_.skip("eager all-reduce (the graph's is kept)");
    tables_.add(kind, *p, {at("num_gpus"), at("message_size") * bytes_of(*p)}, time());
  }

  CsvReader& csv_;
  const ImportOptions& options_;
  ImportTables& tables_;
  std::string& device_;
};

}  // namespace

KernelProfile import_aiconfigurator(const std::vector<std::string>& files,
                                    const ImportOptions& options, ImportReport& report) {
  ImportTables tables(options, report);
  std::string device;
  for (const std::string& path : files) {
    CsvReader csv(path);
    std::string own;
    File(csv, options, tables, own).read(report);
    if (device.empty()) device = own;
    if (!own.empty() && own != device && options.device.empty())
      throw InputError(
          fmt::format("{}: was measured on {}, an earlier file on {}; a profile is of "
                      "one device",
                      path, own, device));
  }
  // Single figures without repetitions: a row here and there is several times too slow.
  tables.drop_disturbed("gemm", 2.5);
  tables.scale_quantization(options.quantization);
  return tables.finish({.device = device.empty() ? "unnamed" : device,
                        .provenance = provenance("ai-dynamo/aiconfigurator", files, report) +
                                      (options.quantization == 1
                                           ? ""
                                           : fmt::format("; {} of the quantization in FP8 products",
                                                         options.quantization)),
                        .licence = "Apache-2.0",
                        .program_version = ""},
                       "latency of one execution, back to back, single figures");
}

}  // namespace isthmus::models
