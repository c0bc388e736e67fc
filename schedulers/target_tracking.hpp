// The capacity that target tracking asks for.
#pragma once

#include <cstdint>

namespace isthmus::schedulers {

//! ceil(current x metric / target): `metric` is a mean over `current` replicas.
std::uint32_t proportional_capacity(double current, double metric, double target);

}  // namespace isthmus::schedulers
