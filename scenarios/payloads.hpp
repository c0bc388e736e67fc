// What requests and answers carry, said as images, sound, tokens, tensors or KV caches.
#pragma once

#include "scenarios/resolution.hpp"

namespace isthmus::scenarios {

//! The table of such an object.
const ObjectSpec& payload_spec();
//! Its bytes.
world::Distribution payload_bytes(Resolution& r, const ObjectView& v);

}  // namespace isthmus::scenarios
