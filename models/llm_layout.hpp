// How one replica of a language model is spread over equal units of one machine.
#pragma once

#include <cstdint>
#include <vector>

#include "models/llm_shape.hpp"
#include "sim/core/time.hpp"

namespace isthmus::models {

//! A replica of tensor x data x pipeline units: `pipeline` stages of consecutive layers, whose every
//! layer is shared by `tensor` units, or `data` times by as many.
struct LlmLayout {
  int tensor = 1;             //!< units that share every product of a layer, >= 1
  //! Data-parallel ranks of `tensor` units each, >= 1: each computes attention of its own sequences
  //! with all of its weights, in step with the others. They share a mixture's experts, which are
  //! spread over the units of all.
  int data = 1;
  int pipeline = 1;           //!< stages, >= 1, at most one per layer
  //! Layers of each stage; empty: see pipeline_stages().
  std::vector<std::int64_t> stage_layers = {};
  //! Parts into which a mixture's experts are divided, >= 1; divides expert_units(). Each part's
  //! experts are shared by expert_units() / expert units.
  int expert = 1;
  //! How tokens reach their experts. False: every unit has all tokens (data-parallel ranks gather them)
  //! and all-reduces add up what the experts say (attention under tensor parallelism in vLLM and
  //! TensorRT-LLM). True: every unit has its share of the tokens and sends them to the units of their
  //! experts and back.
  bool all_to_all = false;
  double expert_skew = 0;       //!< popularity of experts, see ExpertLaw
  double expert_imbalance = 0;  //!< largest over mean load if measured, in [1, expert]; 0 = from the law
  double link_bandwidth = 0;  //!< bytes/s between two units; needed from two units on
  Duration link_latency = {}; //!< per hop of a collective and per message between stages
  //! Bytes/s from host memory to each unit; needed by variants with weights there.
  double host_bandwidth = 0;

  //! Tokens are sent to the experts beside the all-reduces of each rank.
  bool exchanges() const { return all_to_all || data > 1; }
  //! All-reduces of a layer within a rank.
  int reduces() const { return exchanges() ? 1 : 2; }
  //! That share the experts of a layer.
  int expert_units() const { return tensor * data; }
  int units() const { return expert_units() * pipeline; }
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

//! The stages of a layout for a model of `layers` layers: its own numbers of layers, which must be as
//! many as stages and add up to `layers` (InputError), or the even ones.
std::vector<LlmStage> stages_of(const LlmLayout& layout, std::int64_t layers);

//! Bytes of the weights of one stage. Tied embeddings are on the first and on the last stage.
double weight_bytes(const LlmShape& shape, const LlmVariant& variant, const LlmStage& stage);

}  // namespace isthmus::models
