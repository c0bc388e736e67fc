// Importers: hand-checked rows of the public files (units!), and tables that are broken.
#include "models/profile_import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "models/kernel_kinds.hpp"
#include "sim/core/errors.hpp"
#include "tests/models/shared_data.hpp"

namespace isthmus::models {
namespace {

using ::testing::HasSubstr;

class Import : public ::testing::Test {
 protected:
  Import()
      : folder_(std::filesystem::temp_directory_path() /
                ("import" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Import() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& text, const std::string& name = "t.csv") {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return (folder_ / name).string();
  }
  KernelProfile import(const std::string& format, const std::vector<std::string>& files,
                       const ImportOptions& o = {}) {
    report_ = {};
    return import_profile(format, files, o, report_);
  }
  std::string error(const std::string& format, const std::string& text,
                    const ImportOptions& o = {}) {
    try {
      import(format, {file(text)}, o);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
  // Time of an exact row in ns.
  static double ns(const KernelProfile& p, std::string_view kind, Precision precision,
                   const std::vector<double>& shape) {
    const auto hit = p.lookup(kind, precision, shape);
    return hit && hit->kind == PredictionKind::measured ? hit->ns : -1;
  }
  std::filesystem::path folder_;
  ImportReport report_;
};

constexpr const char* gemm_header = "device,op_name,kernel_source,gemm_dtype,m,n,k,latency\n";

TEST_F(Import, AiconfiguratorIsInMilliseconds) {
  const auto p = import("aiconfigurator",
                        {file(std::string(gemm_header) + "GPU X,gemm,a,bfloat16,16,256,64,0.5\r\n"
                                                         "GPU X,gemm,a,int4_wo,16,256,64,0.25\r\n"
                                                         "GPU X,gemm,b,fp8,16,256,64,0.125")});
  EXPECT_EQ(p.info().device, "GPU X");
  EXPECT_EQ(ns(p, "gemm", Precision::bf16, {256, 64, 16}), 500000);
  EXPECT_EQ(ns(p, "gemm", Precision::fp8, {256, 64, 16}), 125000);
  EXPECT_EQ(report_.read, 3u);
  EXPECT_EQ(report_.kept, 2u);
  EXPECT_EQ(report_.skipped.at("number format int4_wo"), 1u);
  EXPECT_EQ(p.table("gemm", Precision::bf16)->flags.at(0), kernel_flag_clipped);
}

TEST_F(Import, AiconfiguratorLeavesOutProductsThatALargerOneBeats) {
  const auto p = import("aiconfigurator",
                        {file(std::string(gemm_header) + "d,gemm,a,bfloat16,2048,512,64,1\n"
                                                         "d,gemm,a,bfloat16,4096,512,64,2\n"
                                                         "d,gemm,a,bfloat16,4096,768,64,0.7\n"
                                                         "d,gemm,a,bfloat16,1024,1024,64,9\n")});
  // 2 ms are more than two and a half times 0.7 ms, 1 ms is not; nothing is as wide as the last.
  EXPECT_EQ(ns(p, "gemm", Precision::bf16, {512, 64, 2048}), 1e6);
  EXPECT_EQ(ns(p, "gemm", Precision::bf16, {1024, 64, 1024}), 9e6);
  EXPECT_EQ(p.table("gemm", Precision::bf16)->rows(), 3u);
  EXPECT_EQ(report_.skipped.at("gemm that takes 2.5 times as long as a larger one"), 1u);
}

TEST_F(Import, AiconfiguratorCanTakeQuantizationOutOfProducts) {
  // In ms: bf16 0.01 + 2e-4 n, fp8 0.11 + 1e-4 n: the quantization takes 0.1.
  std::string rows = gemm_header;
  for (const int n : {100, 200, 400, 800}) {
    rows += "d,gemm,a,bfloat16,64," + std::to_string(n) + ",32," + std::to_string(0.01 + 2e-4 * n) + "\n";
    rows += "d,gemm,a,fp8,64," + std::to_string(n) + ",32," + std::to_string(0.11 + 1e-4 * n) + "\n";
  }
  ImportOptions options;
  options.quantization = 0.4;
  const auto p = import("aiconfigurator", {file(rows)}, options);
  EXPECT_NEAR(ns(p, "gemm", Precision::fp8, {400, 32, 64}), 0.05e6 + 40e3, 1);
  EXPECT_NEAR(ns(p, "gemm", Precision::bf16, {400, 32, 64}), 90e3, 1);
}

TEST_F(Import, AiconfiguratorCountsMessagesInElements) {
  const auto p = import(
      "aiconfigurator",
      {file("op_name,nccl_dtype,num_gpus,message_size,latency\n"
            "all_reduce,half,8,1024,0.01\nalltoall,int8,8,1024,0.02\nbarrier,half,8,1,0.1\n")});
  EXPECT_EQ(ns(p, "all_reduce", Precision::fp16, {8, 2048}), 10000);
  EXPECT_EQ(ns(p, "all_to_all", Precision::int8, {8, 1024}), 20000);
  EXPECT_EQ(report_.skipped.at("operation barrier"), 1u);
}

TEST_F(Import, DuplicatesBecomeTheirMedian) {
  const auto p =
      import("aiconfigurator", {file(std::string(gemm_header) + "d,gemm,a,bfloat16,1,1,1,1\n"
                                                                "d,gemm,a,bfloat16,1,1,1,2\n"
                                                                "d,gemm,a,bfloat16,1,1,1,9\n")});
  const KernelTable& t = *p.table("gemm", Precision::bf16);
  ASSERT_EQ(t.rows(), 1u);
  EXPECT_EQ(t.median_ns[0], 2e6);
  EXPECT_EQ(t.p10_ns[0], 1e6);
  EXPECT_EQ(t.p90_ns[0], 9e6);
  EXPECT_EQ(t.flags.at(0), kernel_flag_noisy);
  EXPECT_EQ(report_.merged, 3u);
}

TEST_F(Import, TwoThatDisagreeAreNoisy) {
  const auto p =
      import("aiconfigurator", {file(std::string(gemm_header) + "d,gemm,a,bfloat16,1,1,1,1\n"
                                                                "d,gemm,a,bfloat16,1,1,1,3\n")});
  const KernelTable& t = *p.table("gemm", Precision::bf16);
  EXPECT_EQ(t.median_ns[0], 2e6);
  EXPECT_EQ(t.p10_ns[0], 1e6);
  EXPECT_EQ(t.p90_ns[0], 3e6);
  EXPECT_EQ(t.flags.at(0), kernel_flag_noisy);
}

// Shape (1, 1, 1) was timed with both kernels: that of the larger table is kept, whatever the
// order.
TEST_F(Import, SourcesAreNeverMerged) {
  const std::string rows =
      "d,gemm,b,bfloat16,1,1,1,8\nd,gemm,a,bfloat16,1,1,1,2\nd,gemm,b,bfloat16,2,1,1,16\n";
  const std::string path = file(gemm_header + rows);
  auto p = import("aiconfigurator", {path});
  EXPECT_EQ(ns(p, "gemm", Precision::bf16, {1, 1, 1}), 8e6);
  EXPECT_EQ(report_.skipped.at("same shape by a bfloat16; that of b bfloat16 is kept"), 1u);
  EXPECT_EQ(report_.merged, 0u);
  p = import("aiconfigurator", {path}, {.kernel_source = "a", .columns = {}});
  EXPECT_EQ(ns(p, "gemm", Precision::bf16, {1, 1, 1}), 2e6);
  EXPECT_EQ(report_.skipped.at("another kernel source than a"), 2u);
}

// 3 x 1000 elements of 4 bytes in 10 us are 1.2 GB/s.
TEST_F(Import, FlagsStreamingKernelsFasterThanMemory) {
  ImportOptions o{.memory_bandwidth = 1.1e9,
                  .kind = "elementwise",
                  .columns = {{"elements", "n"}},
                  .time_column = "t",
                  .time_unit = "us"};
  const std::string path = file("n,t\n1000,10\n");
  EXPECT_TRUE(import("csv", {path}, o).table("elementwise", Precision::fp32)->flags.at(0) &
              kernel_flag_cached);
  o.memory_bandwidth = 1.3e9;
  EXPECT_FALSE(import("csv", {path}, o).table("elementwise", Precision::fp32)->flags.at(0) &
               kernel_flag_cached);
}

TEST_F(Import, LlmServingSimVersionZeroIsInNanoseconds) {
  const ImportOptions o{.model = "llama-3.1-8b", .columns = {}};
  auto p = import("llmservingsim",
                  {file("layer_name,input,kv_cache,tp_size,latency(ns)\n"
                        "k_proj,8,0,2,7295\nlm_head,8,0,2,178069\n"
                        "rope,8,0,2,30050\nattn,8,0,2,9193\n")},
                  o);
  EXPECT_EQ(ns(p, "gemm", Precision::bf16, {512, 4096, 8}), 7295);  // 8 x 128 / 2
  EXPECT_EQ(ns(p, "gemm", Precision::bf16, {64128, 4096, 8}), 178069);
  EXPECT_EQ(report_.skipped.size(), 2u);
  p = import("llmservingsim",
             {file("prefill_chunk_size,kv_cache_size,batch_size,is_prefill,mean_ns,"
                   "p50_ns,p90_ns,max_ns\n32,64,1,True,8274.4,8242.5,8390.1,8528\n")},
             {.model = "llama-3.1-8b", .precision = Precision::fp16, .columns = {}});
  EXPECT_EQ(ns(p, "prefill_attention", Precision::fp16, {32, 8, 128, 0, 1, 64, 32}), 8242.5);
  EXPECT_EQ(p.table("prefill_attention", Precision::fp16)->p90_ns.at(0), 8390.1);
}

TEST_F(Import, NcnnLeavesOutInt8OnVulkan) {
  file("device_id,device\n7,Board\n", "devices.csv");
  file("run_id,device_id,num_threads,powersave,gpu_device\n1,7,4,0,-1\n2,7,4,0,0\n", "runs.csv");
  const std::string path = file(
      "run_id,model,min_ms,max_ms,avg_ms\n1,a,1,3,2\n1,a_int8,1,3,2\n2,a,1,3,2\n2,a_int8,1,3,2\n"
      "2,b,0,0,0\n",
      "results.csv");
  ImportOptions o;
  o.run = "1";
  EXPECT_NE(import("ncnn", {path}, o).table("network_a", Precision::int8), nullptr);
  o.run = "2";
  const auto p = import("ncnn", {path}, o);
  EXPECT_EQ(p.info().device, "Board, Vulkan");
  EXPECT_EQ(p.table("network_a", Precision::int8), nullptr);
  const KernelTable& t = *p.table("network_a", Precision::fp32);
  EXPECT_EQ(t.p10_ns[0], 1e6);
  EXPECT_EQ(t.median_ns[0], 2e6);
  EXPECT_EQ(t.p90_ns[0], 3e6);
  EXPECT_EQ(report_.skipped.at("other runs"), 2u);
  EXPECT_EQ(report_.skipped.size(), 3u);
}

TEST_F(Import, ProvenanceCountsRows) {
  const auto p =
      import("aiconfigurator", {file(std::string(gemm_header) + "d,gemm,a,bfloat16,1,1,1,1\n"
                                                                "d,gemm,a,int4_wo,1,1,1,1\n",
                                     "table.csv")});
  EXPECT_EQ(p.info().provenance,
            "Imported from ai-dynamo/aiconfigurator: table.csv; 2 rows read, 1 kept, 1 times left "
            "out, 0 flagged as cached, 0 as noisy");
  EXPECT_EQ(p.info().licence, "Apache-2.0");
}

TEST_F(Import, VidurKnowsShapesOfShards) {
  std::string header, values;
  for (const char* op : {"attn_pre_proj", "attn_post_proj", "mlp_up_proj", "mlp_down_proj",
                         "mlp_act", "add", "input_layernorm", "emb"})
    for (const char* stat : {"min", "max", "mean", "median", "std"}) {
      header += std::string("time_stats.") + op + "." + stat + ",";
      values += std::string(stat) == "std" ? "0.01," : std::string(stat) == "max" ? "0.4," : "0.2,";
    }
  header +=
      "n_head,n_kv_head,n_embd,n_expanded_embd,vocab_size,use_gated_mlp,num_tokens,"
      "num_tensor_parallel_workers\n";
  const auto p = import("vidur", {file(header + values + "32,8,4096,14336,128256,True,64,2\n")});
  EXPECT_EQ(ns(p, "gemm", Precision::fp16, {3072, 4096, 64}), 200000);   // (32 + 2 x 8) x 128 / 2
  EXPECT_EQ(ns(p, "gemm", Precision::fp16, {14336, 4096, 64}), 200000);  // gated: twice, halved
  EXPECT_EQ(ns(p, "gemm", Precision::fp16, {4096, 7168, 64}), 200000);
  EXPECT_EQ(ns(p, "activation", Precision::fp16, {64 * 7168}), 200000);
  const KernelTable& t = *p.table("norm", Precision::fp16);
  EXPECT_NEAR(t.p90_ns[0], 212816, 1);  // 1.2816 deviations above
  EXPECT_EQ(t.p10_ns[0], 200000);       // not below the smallest
}

TEST_F(Import, LlmServingSimIsInMicroseconds) {
  const ImportOptions o{.model = "llama-3.1-8b", .columns = {}};
  auto p =
      import("llmservingsim", {file("layer,tokens,time_us\nqkv_proj,16,12.5\nrotary,1,1\n")}, o);
  EXPECT_EQ(ns(p, "gemm", Precision::bf16, {6144, 4096, 16}), 12500);
  p = import("llmservingsim",
             {file("prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n0,0,4,512,7\n")}, o);
  EXPECT_EQ(ns(p, "mixed_attention", Precision::bf16, {32, 8, 128, 0, 0, 4, 512}), 7000);
  EXPECT_THAT(error("llmservingsim", "layer,tokens,time_us\n"), HasSubstr("give --model"));
}

TEST_F(Import, CsvTakesAnyTable) {
  ImportOptions o{.kind = "gemm",
                  .precision = Precision::int8,
                  .columns = {{"m", "rows"}, {"n", "cols"}, {"k", "64"}},
                  .time_column = "t",
                  .time_unit = "us"};
  const auto p = import("csv", {file("\xEF\xBB\xBFrows,cols,t\n1,\"256\",3\n2,256,4\n")}, o);
  EXPECT_EQ(ns(p, "gemm", Precision::int8, {256, 64, 2}), 4000);
  o.time_unit = "min";
  EXPECT_THAT(error("csv", "rows,cols,t\n1,1,1\n", o), HasSubstr("ns, us, ms or s"));
  o.time_unit = "s";
  o.columns["p"] = "rows";
  EXPECT_THAT(error("csv", "rows,cols,t\n1,1,1\n", o),
              HasSubstr("no parameter of kernel kind gemm"));
  o.columns = {{"m", "rows"}};
  EXPECT_THAT(error("csv", "rows,cols,t\n1,1,1\n", o), HasSubstr("also needs --map"));
  EXPECT_THAT(error("csv", "a\n1\n"), HasSubstr("needs --kind"));
}

TEST_F(Import, RefusalsNamePlaceAndReason) {
  const std::string h = gemm_header;
  const auto of = [&](const std::string& text) { return error("aiconfigurator", text); };
  EXPECT_THAT(of(""), HasSubstr("is empty"));
  EXPECT_THAT(of("a,b\n"), HasSubstr("has no column 'op_name'; it has a, b"));
  EXPECT_THAT(of("op_name,x\n"), HasSubstr("is none of the tables"));
  EXPECT_THAT(of("a,a\n"), HasSubstr("two columns are called 'a'"));
  EXPECT_THAT(of(h + "d,gemm,a,bfloat16,1,1,1\n"), HasSubstr(":2: has 7 cells"));
  EXPECT_THAT(of(h + "d,gemm,a,bfloat16,1"), HasSubstr("is it cut off?"));
  EXPECT_THAT(of("op_name,gemm_dtype,m,n,kk,latency\n"), HasSubstr("'k' (is it 'kk'?)"));
  EXPECT_THAT(of("PAR1\x15\x04"), HasSubstr("is a Parquet file"));
  EXPECT_THAT(error("aiconfigurator", h, {.precision = Precision::fp16, .columns = {}}),
              HasSubstr("the files say the number format"));
  EXPECT_THAT(of("op_name,gemm_dtype,m,n,k,latency,power\ngemm,bf16,1,1,1,1,-5\n"),
              HasSubstr(":2: power must not be negative"));
  EXPECT_THAT(of(h + "d,gemm,a,bfloat16,1,1,1,fast\n"),
              HasSubstr(":2: latency must be a number, not 'fast'"));
  EXPECT_THAT(of(h + "d,gemm,a,bfloat16,1,1,1,0\n"), HasSubstr("latency must be positive"));
  EXPECT_THAT(of(h + "d,gemm,a,bfloat16,1,1,1,nan\n"), HasSubstr("must be a number"));
  EXPECT_THAT(of(h + "d,gemm,a,bfloat16,1,1,1,1e999\n"), HasSubstr("must be a number"));
  EXPECT_THAT(of(h + "d,gemm,a,\"bfloat16,1,1,1,1\n"), HasSubstr(":2: a quote is not closed"));
  EXPECT_THAT(of(h), HasSubstr("nothing could be imported"));
  EXPECT_THAT(of(h + "d,gemm,a,int4_wo,1,1,1,1\n"),
              HasSubstr("nothing could be imported; 1 rows: number format int4_wo"));
  EXPECT_THAT(of(h + "d,gemm,a,bfloat16,-1,1,1,1\n"), HasSubstr("shape parameter of -1"));
  EXPECT_THAT(error("aiconfigurater", h), HasSubstr("did you mean \"aiconfigurator\""));
  EXPECT_THROW(import("vidur", {"/no/such.csv"}), InputError);
  EXPECT_THROW(import("vidur", {}), InputError);
  try {
    import("aiconfigurator", {"x.parquet"});
    FAIL();
  } catch (const InputError& e) {
    EXPECT_THAT(e.what(), HasSubstr("isthmus.profiles import"));
  }
}

TEST_F(Import, OneProfileIsOfOneDevice) {
  const std::string a = file(std::string(gemm_header) + "A,gemm,a,bfloat16,1,1,1,1\n", "a.csv");
  const std::string b = file(std::string(gemm_header) + "B,gemm,a,bfloat16,2,1,1,1\n", "b.csv");
  EXPECT_THROW(import("aiconfigurator", {a, b}), InputError);
  EXPECT_EQ(import("aiconfigurator", {a, b}, {.device = "both", .columns = {}}).info().device,
            "both");
}

// The public files, row by row where PROVENANCE prints one.
class PublicFiles : public Import {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(root())) GTEST_SKIP() << "no shared data beside the sources";
  }
  static std::filesystem::path root() { return testing::data_root() / "kernels"; }
  static std::vector<std::string> csvs(const std::filesystem::path& folder) {
    std::vector<std::string> all;
    for (const auto& e : std::filesystem::recursive_directory_iterator(folder))
      if (e.path().extension() == ".csv") all.push_back(e.path().string());
    std::sort(all.begin(), all.end());
    return all;
  }
};

TEST_F(PublicFiles, Aiconfigurator) {
  const auto p = import("aiconfigurator", csvs(root() / "aiconfigurator/a100_sxm"));
  EXPECT_NEAR(ns(p, "gemm", Precision::bf16, {65536, 4096, 8192}), 15.287540011935763e6, 1);
  EXPECT_NEAR(ns(p, "decode_attention", Precision::bf16, {64, 1, 128, 0, 32, 1}),
              0.013712000101804733e6, 1);
  EXPECT_NEAR(ns(p, "all_gather", Precision::fp16, {2, 512}), 8980, 0.1);
  const auto h200 = import("aiconfigurator", csvs(root() / "aiconfigurator/h200_sxm"));
  EXPECT_EQ(h200.table("gemm", Precision::bf16)->power_w.size(),
            h200.table("gemm", Precision::bf16)->rows());
}

// Sixteen in a hundred products are faster than the L40S's memory allows.
TEST_F(PublicFiles, FlagsRowsFasterThanMemory) {
  ImportOptions o;
  o.memory_bandwidth = 864e9;
  const auto p = import("aiconfigurator", csvs(root() / "aiconfigurator/l40s"), o);
  const double share = static_cast<double>(report_.cached.at("gemm/bf16")) /
                       static_cast<double>(p.table("gemm", Precision::bf16)->rows());
  EXPECT_NEAR(share, 0.16, 0.005);
}

TEST_F(PublicFiles, Vidur) {
  const auto p =
      import("vidur", csvs(root() / "vidur/compute/a100"), {.device = "A100", .columns = {}});
  // The row that PROVENANCE quotes: Llama-2-70B on two, one sequence, 32 tokens of context.
  EXPECT_NEAR(ns(p, "decode_attention", Precision::fp16, {32, 4, 128, 0, 1, 32}), 15000, 1);
  EXPECT_GT(p.table("gemm", Precision::fp16)->rows(), 5000u);
}

TEST_F(PublicFiles, SplitwiseAndNcnn) {
  ImportOptions o{.model = "llama2-70b", .hardware = "a100-80gb", .tdp = 400, .columns = {}};
  const auto p = import("splitwise", {(root() / "splitwise/perf_model.csv").string()}, o);
  // Five repetitions near 196 ms.
  EXPECT_NEAR(ns(p, "llm_prefill", Precision::fp16, {2, 1, 512}), 196e6, 2e6);
  EXPECT_NEAR(p.table("llm_prefill", Precision::fp16)->power_w.at(0), 0.73 * 400, 60);
  ImportOptions n;
  EXPECT_THROW(import("ncnn", {(root() / "ncnn/results.csv").string()}, n), InputError);
  n.run = "1";
  const auto orin = import("ncnn", {(root() / "ncnn/results.csv").string()}, n);
  EXPECT_NEAR(ns(orin, "network_squeezenet", Precision::fp32, {1}), 11.74e6, 1);
  EXPECT_NEAR(orin.table("network_squeezenet", Precision::int8)->p10_ns.at(0), 12.24e6, 1);
}

TEST_F(PublicFiles, EverythingCanBeImported) {
  for (const char* s : {"a100_sxm", "b200_sxm", "h100_sxm", "h200_sxm", "l40s"})
    for (const std::string& f : csvs(root() / "aiconfigurator" / s)) {
      if (f.find("deepep") != std::string::npos) continue;
      EXPECT_NO_THROW(import("aiconfigurator", {f})) << f;
    }
  for (const std::string& f : csvs(root() / "vidur")) EXPECT_NO_THROW(import("vidur", {f})) << f;
  for (const std::string& f : csvs(root() / "llmservingsim"))
    EXPECT_NO_THROW(import(
        "llmservingsim", {f},
        {.model = f.find("Qwen3-30B") != std::string::npos ? "qwen3-30b-a3b" : "llama-3.1-8b",
         .columns = {}}))
        << f;
}

}  // namespace
}  // namespace isthmus::models
