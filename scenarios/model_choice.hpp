// Models of services: the scenario's own, those of the catalogue, and built-in ones by name.
#pragma once

#include <memory>
#include <string>

#include "models/graph_cost.hpp"
#include "models/llm_shape.hpp"
#include "models/model_version.hpp"
#include "models/operator_graph.hpp"
#include "scenarios/resolution.hpp"

namespace isthmus::scenarios {

//! What a service computes.
struct ChosenModel {
  bool llm = false;
  models::LlmShape shape;                              //!< language models
  std::shared_ptr<const models::OperatorGraph> graph;  //!< the others, passes applied
  models::LlmVariant variant;
  bool accuracy_known = false;
  //! With early exits: the whole version; null without.
  std::shared_ptr<const models::ModelVersion> exits;

  //! The variant as graphs know it.
  models::GraphVariant graph_variant() const;
};

//! True when `name` is a language model. The name must exist.
bool is_language_model(const Resolution& r, const std::string& name);

//! Model and variant of a service. Problems go to r.problems, with places; then the result may be
//! incomplete.
ChosenModel choose_model(Resolution& r, const ObjectView& service);

//! Checks the scenario's own models, those that no service uses too.
void check_own_models(Resolution& r, const ObjectView& root);

}  // namespace isthmus::scenarios
