// What a scenario says about the engines of a language model.
#pragma once

#include <functional>
#include <memory>

#include "scenarios/object_view.hpp"
#include "scenarios/resolution.hpp"

namespace isthmus::scenarios {

//! Reads `batching`, which is continuous. Problems go to r.problems.
void read_engine(Resolution& r, const ObjectView& batching, world::ContinuousBatching& out);

//! The cost of a model beside the service's own one, on the same units.
using CostOnUnits = std::function<std::shared_ptr<const models::LlmCost>(const models::LlmShape&,
                                                                         const models::LlmVariant&)>;

//! Once the cost of the model is known: the draft model, KV blocks and tiers. Throws InputError when
//! memory has no room for as many blocks as are needed.
void size_engine(Resolution& r, const std::string& service, const ObjectView& batching,
                 const world::LlmModel& model, world::ContinuousBatching& out, const CostOnUnits& cost_of);

}  // namespace isthmus::scenarios
