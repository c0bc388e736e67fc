// Language models of services: the units of a replica and the times on them.
#pragma once

#include "models/kernel_profile.hpp"
#include "models/llm_layout.hpp"
#include "scenarios/model_choice.hpp"
#include "scenarios/resolution.hpp"

namespace isthmus::scenarios {

//! Layout of a replica of the service, as far as the service alone says it.
models::LlmLayout layout_of(const ObjectView& s);

//! A language model on the unit of `service`, at every clock of it; sizes the KV cache of its engine.
//! `profile` may be null. Throws InputError when the model cannot run there or does not fit.
world::LlmModel llm_model(Resolution& r, const ObjectView& s, const ObjectView& node,
                          const ChosenModel& m, world::Service& service,
                          const models::KernelProfile* profile);

}  // namespace isthmus::scenarios
