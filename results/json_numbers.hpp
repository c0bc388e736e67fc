// Numbers and dates in JSON, such that they come back as they were.
#pragma once

#include <nlohmann/json.hpp>

#include "sim/core/time.hpp"

namespace isthmus::results {

//! JSON has neither NaN nor infinities: null is NaN, "Infinity" and "-Infinity" are infinities.
nlohmann::ordered_json from_double(double v);
//! Throws InputError for any other text.
double to_double(const nlohmann::ordered_json& j);

//! ns; null: never.
nlohmann::ordered_json from_date(Instant at);
Instant to_date(const nlohmann::ordered_json& j);

}  // namespace isthmus::results
