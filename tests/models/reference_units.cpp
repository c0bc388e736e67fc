#include "tests/models/reference_units.hpp"

#include <map>

namespace isthmus::models::testing {

namespace {

struct Peaks {
  double fp32 = 0, fp16 = 0, bf16 = 0, fp8 = 0, int8 = 0;  // 1e12 per second
};

ComputeUnit unit(const char* name, UnitKind kind, Peaks peaks, double gbps, double gb, double ce,
                 double be, double error, double launch_us, double overhead_us, double idle,
                 double bandwidth_power, double compute_power) {
  ComputeUnit u;
  u.name = name;
  u.kind = kind;
  const auto set = [&u](Precision p, double tera) {
    u.peak[static_cast<std::size_t>(p)] = tera * 1e12;
  };
  set(Precision::fp32, peaks.fp32);
  set(Precision::fp16, peaks.fp16);
  set(Precision::bf16, peaks.bf16);
  set(Precision::fp8, peaks.fp8);
  set(Precision::int8, peaks.int8);
  u.memory_bandwidth = gbps * 1e9;
  u.memory = gb * 1e9;
  u.compute_efficiency = ce;
  u.bandwidth_efficiency = be;
  u.efficiency_error = error;
  u.launch_overhead = Duration::from_seconds(launch_us * 1e-6);
  u.iteration_overhead = Duration::from_seconds(overhead_us * 1e-6);
  u.idle_power = idle;
  u.bandwidth_power = bandwidth_power;
  u.compute_power = compute_power;
  return u;
}

// name, kind, peaks, GB/s, GB, compute and bandwidth efficiency, error, launch us, overhead us,
// then idle, memory-bound and compute-bound W. The sources of every figure are in docs/models.md.
const std::map<std::string, ReferenceUnit>& units() {
  static const std::map<std::string, ReferenceUnit> table = [] {
    const auto us = [](double v) { return Duration::from_seconds(v * 1e-6); };
    const Peaks hopper{.fp32 = 67, .fp16 = 989, .bf16 = 989, .fp8 = 1978, .int8 = 1978};
    const auto gpu = UnitKind::gpu;
    std::vector<ReferenceUnit> list{
        {unit("snapdragon-8-gen3", gpu, {.fp32 = 2.77, .fp16 = 5.55}, 76.8, 12, 0.115, 0.33, 0.25,
              10, 500, 0.5, 4.5, 6),
         0,
         {}},
        {unit("snapdragon-8-elite", gpu, {.fp32 = 3.38, .fp16 = 6.76}, 85, 12, 0.13, 0.43, 0.3, 10,
              500, 0.5, 5, 7),
         0,
         {}},
        {unit("nvidia-t4", gpu, {.fp32 = 8.1, .fp16 = 65, .int8 = 130}, 320, 16, 0.4, 0.75, 0.3, 5,
              1000, 10, 60, 70),
         0,
         {}},
        {unit("nvidia-l4", gpu, {.fp32 = 30.3, .fp16 = 121, .bf16 = 121, .fp8 = 242, .int8 = 242},
              300, 24, 0.5, 0.81, 0.3, 4, 1000, 13, 62, 72),
         0,
         {}},
        {unit("nvidia-a100-80g", gpu, {.fp32 = 19.5, .fp16 = 312, .bf16 = 312, .int8 = 624}, 2039,
              85.9, 0.7, 0.74, 0.12, 7.7, 1450, 55, 172, 296),
         193e9, us(7.5)},
        {unit("nvidia-h100-sxm", gpu, hopper, 3350, 85.9, 0.79, 0.83, 0.05, 2.9, 545, 70, 486, 688),
         321e9, us(5.2)},
        {unit("nvidia-h100-sxm/vllm", gpu, hopper, 3350, 85.9, 0.5, 0.755, 0.05, 3.8, 1400, 70, 486,
              688),
         321e9, us(5.2)},
        {unit("nvidia-h200-sxm", gpu, hopper, 4800, 151.4, 0.69, 0.795, 0.05, 2.8, 400, 126, 397,
              659),
         321e9, us(5.2)},
        {unit("nvidia-h200-sxm/vllm", gpu, hopper, 4800, 151.4, 0.48, 0.805, 0.05, 5.5, 755, 126,
              397, 659),
         321e9, us(5.2)},
        {unit("jetson-agx-orin", gpu, {.fp32 = 5.3, .fp16 = 42.5, .int8 = 85}, 204.8, 64, 0.44,
              0.83, 0.2, 10.4, 685, 8, 30, 45),
         0,
         {}},
        {unit("jetson-orin-nano", gpu, {.fp32 = 1.3, .fp16 = 10, .int8 = 20}, 68, 8, 0.485, 0.92,
              0.15, 26, 1240, 4, 10, 14),
         0,
         {}},
        {unit("raspberry-pi-5", UnitKind::cpu, {.fp32 = 0.1536, .fp16 = 0.307, .int8 = 0.614}, 17.1,
              8, 0.5, 0.55, 0.2, 2, 200, 3, 12, 12),
         0,
         {}},
        {unit("rtx-4090", gpu, {.fp32 = 82.6, .fp16 = 165, .bf16 = 165, .fp8 = 330, .int8 = 660},
              1008, 25.76, 0.7, 0.9, 0.1, 3.5, 300, 20, 330, 430),
         0,
         {}},
    };
    std::map<std::string, ReferenceUnit> by_name;
    for (auto& u : list) by_name[u.unit.name] = u;
    return by_name;
  }();
  return table;
}

}  // namespace

const ReferenceUnit& reference_unit(const std::string& name) { return units().at(name); }

std::vector<std::string> reference_unit_names() {
  std::vector<std::string> names;
  for (const auto& [name, u] : units()) names.push_back(name);
  return names;
}

LlmVariant reference_variant(const std::string& name) {
  LlmVariant v;
  v.name = name;
  v.weights = v.activations = v.kv = Precision::fp16;
  if (name == "bf16") v.weights = v.activations = v.kv = Precision::bf16;
  if (name == "fp8") {
    v.weights = v.activations = Precision::fp8;
    v.kv = Precision::fp8;
    v.head = v.vision = Precision::bf16;
  }
  if (name.starts_with("int4") || name.starts_with("q4")) v.weights = Precision::int4;
  if (name == "int4-awq") {
    v.weight_overhead = 0.0625;  // one 16-bit scale and a zero point per 128 weights
    v.head = v.vision = Precision::fp16;
  }
  if (name == "q4") v.weight_overhead = 0.125;     // Q4_0: 4.5 bits per weight
  if (name == "q4_k_m") v.weight_overhead = 0.21;  // Q4_K_M: 4.85 bits per weight on average
  return v;
}

const std::vector<MeasuredRun>& measured_runs() {
  const auto jetson = "TensorRT-Edge-LLM v0.8 benchmarks";
  const auto splitwise = "splitwise-sim perf_model.csv";
  const auto distserve = "DistServe profiler-a100-80g";
  static const std::vector<MeasuredRun> runs{
      // device, model, variant, parallel, batch, prompt, context, prefill ms, decode ms, fitted,
      // source
      {"jetson-agx-orin", "qwen3-0.6b", "int4-awq", 1, 1, 370, 434, 27.3, 1e3 / 177.2, true,
       jetson},
      {"jetson-agx-orin", "qwen3-1.7b", "int4-awq", 1, 1, 370, 434, 63.5, 1e3 / 95.5, true, jetson},
      {"jetson-agx-orin", "qwen3-4b", "int4-awq", 1, 1, 364, 428, 150.6, 1e3 / 52.0, true, jetson},
      {"jetson-agx-orin", "qwen3-8b", "int4-awq", 1, 1, 370, 434, 273.9, 1e3 / 32.1, true, jetson},
      {"jetson-agx-orin", "qwen3-30b-a3b", "int4-awq", 1, 1, 370, 434, 206.4, 1e3 / 55.2, false,
       jetson},
      {"jetson-agx-orin", "qwen3-8b", "int4-awq", 1, 8, 370, 434, 3561.2, 8e3 / 139.0, false,
       jetson},
      {"jetson-agx-orin", "qwen3-1.7b", "int4-awq", 1, 8, 370, 434, 787.5, 8e3 / 406.7, false,
       jetson},
      {"jetson-orin-nano", "qwen3-0.6b", "int4-awq", 1, 1, 370, 434, 94.7, 1e3 / 69.4, true,
       jetson},
      {"jetson-orin-nano", "qwen3-1.7b", "int4-awq", 1, 1, 370, 434, 231.5, 1e3 / 36.3, true,
       jetson},
      {"jetson-orin-nano", "llama-3.1-8b", "q4", 1, 1, 128, 192, 0, 1e3 / 14.0, false,
       "NVIDIA Orin Nano Super blog, 15 W mode, MLC"},
      {"jetson-orin-nano", "llama-3.2-3b", "q4", 1, 1, 128, 192, 0, 1e3 / 27.7, false,
       "NVIDIA Orin Nano Super blog, 15 W mode, MLC"},
      {"snapdragon-8-gen3", "qwen2.5-1.5b", "q4", 1, 1, 128, 192, 128e3 / 238.94, 1e3 / 27.34, true,
       "ggml-org/llama.cpp#14337, OpenCL"},
      {"snapdragon-8-elite", "llama-3.2-1b", "q4", 1, 1, 64, 128, 0, 1e3 / 48.8, true,
       "llm_rs2, Galaxy S25, OpenCL, 128 tokens"},
      {"snapdragon-8-elite", "qwen3-1.7b", "fp16", 1, 1, 512, 576, 512e3 / 394.43, 1e3 / 13.60,
       false, "ggml-org/llama.cpp PR#22755, Adreno 840 (one generation newer)"},
      {"raspberry-pi-5", "llama-3.2-3b", "q4_k_m", 1, 1, 64, 128, 0, 1e3 / 4.88, true,
       "geerlingguy/ai-benchmarks#70"},
      {"raspberry-pi-5", "llama-3.2-3b", "q4_k_m", 1, 1, 64, 128, 0, 1e3 / 4.61, true,
       "geerlingguy/ai-benchmarks#1"},
      {"raspberry-pi-5", "qwen2.5-14b", "q4_k_m", 1, 1, 64, 128, 0, 1e3 / 1.20, false,
       "geerlingguy/ai-benchmarks#7, DeepSeek R1 14B"},
      {"rtx-4090", "llama-3.2-3b", "q4_k_m", 1, 1, 64, 128, 0, 1e3 / 334.67, true,
       "geerlingguy/ai-benchmarks#43"},
      {"rtx-4090", "qwen2.5-14b", "q4_k_m", 1, 1, 64, 128, 0, 1e3 / 92.49, true,
       "geerlingguy/ai-benchmarks#43, DeepSeek R1 14B"},
      {"nvidia-a100-80g", "llama-2-70b", "fp16", 2, 1, 128, 192, 81.1, 53.7, false, splitwise},
      {"nvidia-a100-80g", "llama-2-70b", "fp16", 2, 1, 512, 768, 195.5, 60.0, false, splitwise},
      {"nvidia-a100-80g", "llama-2-70b", "fp16", 2, 1, 2048, 2112, 687.3, 54.8, false, splitwise},
      {"nvidia-a100-80g", "llama-2-70b", "fp16", 2, 1, 4096, 4160, 1481.4, 55.8, false, splitwise},
      {"nvidia-a100-80g", "llama-2-70b", "fp16", 2, 16, 512, 576, 0, 65.6, false, splitwise},
      {"nvidia-a100-80g", "llama-2-70b", "fp16", 2, 32, 512, 576, 0, 72.2, false, splitwise},
      // DistServe's fits: prefill a + b tokens, decode a + b context, ms.
      {"nvidia-a100-80g", "opt-13b", "fp16", 1, 1, 512, 512, 16.46 + 0.09265 * 512,
       19.93 + 0.000627 * 512, true, distserve},
      {"nvidia-a100-80g", "opt-13b", "fp16", 1, 1, 1024, 1024, 16.46 + 0.09265 * 1024,
       19.93 + 0.000627 * 1024, true, distserve},
      {"nvidia-a100-80g", "opt-66b", "fp16", 2, 1, 512, 512, 39.14 + 0.2493 * 512,
       48.29 + 0.000942 * 512, true, distserve},
      {"nvidia-a100-80g", "opt-66b", "fp16", 4, 1, 1024, 1024, 26.77 + 0.1376 * 1024,
       30.76 + 0.000452 * 1024, true, distserve},
      {"nvidia-h100-sxm", "llama-2-70b", "fp16", 2, 1, 512, 768, 84.2, 37.2, false,
       "splitwise-sim perf_model.csv, 2023 software"},
      {"nvidia-h100-sxm", "llama-2-70b", "fp16", 2, 1, 2048, 2112, 308.2, 37.4, false,
       "splitwise-sim perf_model.csv, 2023 software"},
  };
  return runs;
}

}  // namespace isthmus::models::testing
