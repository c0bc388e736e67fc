// How one replica of a language model is spread over equal units of one machine.
#pragma once

#include <cstdint>
#include <vector>

#include "models/llm_shape.hpp"
#include "sim/core/time.hpp"

namespace isthmus::models {

//! A replica of tensor x pipeline units: `pipeline` stages of consecutive layers, whose every layer
//! is shared by `tensor` units.
struct LlmLayout {
  int tensor = 1;             //!< units that share every product of a layer, >= 1
  int pipeline = 1;           //!< stages, >= 1, at most one per layer
  double link_bandwidth = 0;  //!< bytes/s between two units; needed from two units on
  Duration link_latency = {}; //!< per hop of a collective and per message between stages

  int units() const { return tensor * pipeline; }
};

//! What one pipeline stage computes.
struct LlmStage {
  std::int64_t layers = 0;  //!< decoder layers, >= 1
  bool first = true;        //!< embedding and vision tower are here
  bool last = true;         //!< final norm, output head and sampler are here
};

//! The layers as evenly as possible over `stages` stages (1 to `layers`): those that remain go one
//! each to the stages before the last one, backwards, because the last one has the output head
//! (vLLM, get_pp_indices).
std::vector<LlmStage> pipeline_stages(std::int64_t layers, int stages);

//! Bytes of the weights of one stage. Tied embeddings are on the first and on the last stage.
double weight_bytes(const LlmShape& shape, const LlmVariant& variant, const LlmStage& stage);

}  // namespace isthmus::models
