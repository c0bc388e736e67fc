// The devices of docs/models.md with their fitted figures, and the measured runs that judge them.
// The catalogue states the same figures; these copies keep the evidence beside the cost model.
// "<device>/vllm" is the same hardware under vLLM, whose launches and iterations cost more.
#pragma once

#include <string>
#include <vector>

#include "models/llm_cost.hpp"

namespace isthmus::models::testing {

//! A unit and how several of it are joined.
struct ReferenceUnit {
  ComputeUnit unit;
  double link_bandwidth = 0;  //!< bytes/s between parallel units
  Duration link_latency;      //!< of one hop of an all-reduce
};

//! One measured run of a language model at a fixed batch.
struct MeasuredRun {
  std::string device, model, variant;
  int parallel = 1;
  std::int64_t batch = 1;    //!< sequences
  std::int64_t prompt = 0;   //!< tokens of each sequence
  std::int64_t context = 0;  //!< mean context while decoding
  double prefill_ms =
      0;  //!< whole prompt of one sequence (of all at once when batch_prefill), 0 = absent
  double decode_ms = 0;  //!< one iteration of the batch, 0 = absent
  bool fitted = true;    //!< the efficiencies were fitted to it; false = held out
  std::string source;
};

//! Throws std::out_of_range for an unknown name.
const ReferenceUnit& reference_unit(const std::string& name);
std::vector<std::string> reference_unit_names();
//! "fp16", "bf16", "fp8", "int4-awq" (head at 16 bits), "q4" (4.5 bits throughout), "q4_k_m"
//! (4.85).
LlmVariant reference_variant(const std::string& name);
const std::vector<MeasuredRun>& measured_runs();

}  // namespace isthmus::models::testing
