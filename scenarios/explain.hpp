// Where the time of a model goes on a device, operator by operator, and how sure that is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/prediction.hpp"
#include "scenarios/compose.hpp"

namespace isthmus::scenarios {

//! What to explain: a model on a device of the catalogue, or a service of a scenario.
struct ExplainQuestion {
  //! Catalogue model, built-in shape or graph, or a file: a graph (.onnx, .param, .json) or a
  //! language model's config.json.
  std::string model;
  std::string device;      //!< catalogue device, or "device/unit"
  std::string variant;     //!< "" = the model's default
  std::string profile;     //!< kernel profile to use instead of the device's own; "" = its own
  std::int64_t batch = 1;  //!< inputs at once; for language models sequences that decode together
  std::int64_t sequence = 0;  //!< tokens: of the prompt (language models, 0 = 512) or of the input
  std::int64_t context = 0;   //!< decode context, tokens; 0 = the prompt's
  std::int64_t image_tokens = 0;  //!< prompt tokens that come from an image
  std::int64_t image = 0;         //!< side of a built-in graph's input, pixels; 0 = as published
  std::map<std::string, std::int64_t> axes;  //!< sizes of the named axes of an ONNX file
  std::int64_t parallel = 1;                 //!< accelerators that share every layer
  std::int64_t data_parallel = 1;            //!< ranks of so many accelerators that share experts
  std::int64_t pipeline = 1;                 //!< stages of so many accelerators each
  std::vector<Override> set;                 //!< further settings of the service, by JSON pointer
  //! Explains a service of this scenario file instead; model and device must be empty.
  std::filesystem::path scenario;
  std::string service;  //!< its name; "" = the only one with a model
};

//! What data-parallel ranks spend one iteration on.
struct ExplainedRanks {
  std::int64_t ranks = 1;   //!< 1: no data parallelism, nothing of the rest
  std::int64_t idle = 0;    //!< of these, with a token of padding alone
  double own_ns = 0;        //!< of the slowest one: attention and what it shares with nobody
  double experts_ns = 0;    //!< the tokens of all ranks
  double exchange_ns = 0;   //!< to the experts and back
};

//! One execution: a batch through a graph, a prefill, or a decode iteration.
struct ExplainedPhase {
  std::string name;
  models::Prediction total;
  std::vector<models::OperatorCost> rows;
  //! Per pipeline stage, and to the next one; empty without a pipeline.
  std::vector<models::Prediction> stages;
  double send_ns = 0;
  ExplainedRanks ranks = {};
  double imbalance = 1;  //!< load of the busiest experts' units over the mean; language models
};

//! One stage of a pipeline.
struct ExplainedStage {
  double weight_bytes = 0;
  std::int64_t kv_capacity_tokens = 0;
};

struct Explanation {
  std::string model, variant, device, unit, profile;
  double peak = 0;                //!< dense peak that the variant uses, operations/s
  double compute_roof = 0;        //!< peak x compute efficiency
  double bandwidth = 0;           //!< nominal, bytes/s
  double bandwidth_roof = 0;      //!< bandwidth x bandwidth efficiency
  double weight_bytes = 0;        //!< of all units together
  double host_weight_bytes = 0;   //!< of these, in host memory; language models only
  double activation_bytes = 0;    //!< peak of live activations of the batch; graphs only
  double kv_bytes_per_token = 0;  //!< language models only
  std::int64_t kv_capacity_tokens = 0;
  std::vector<ExplainedStage> stages;  //!< of a pipeline
  std::vector<ExplainedPhase> phases;
};

//! Throws InputError, with places as in scenario files, for names and figures that do not fit.
Explanation explain(const ExplainQuestion& question);

//! As JSON text: times in ns, work in flops and bytes, rates in operations/s and bytes/s.
std::string to_json(const Explanation& e);
//! Per-operator table as text; operators beyond the `top` longest are summed up, 0 = all.
std::string to_text(const Explanation& e, std::size_t top = 0);
//! Roofline in characters: the roofs, and every operator kind as a letter.
std::string roofline_chart(const Explanation& e, const ExplainedPhase& phase);

}  // namespace isthmus::scenarios
