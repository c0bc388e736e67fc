#include "results/json_numbers.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "sim/core/errors.hpp"

namespace isthmus::results {

using Json = nlohmann::ordered_json;

Json from_double(double v) {
  if (std::isnan(v)) return nullptr;
  if (std::isinf(v)) return v > 0 ? "Infinity" : "-Infinity";
  return v;
}
double to_double(const Json& j) {
  if (j.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (j.is_string()) {
    const std::string& s = j.get_ref<const std::string&>();
    if (s != "Infinity" && s != "-Infinity") throw InputError("'" + s + "' is not a number");
    return s.front() == '-' ? -std::numeric_limits<double>::infinity()
                            : std::numeric_limits<double>::infinity();
  }
  return j.get<double>();
}

Json from_date(Instant at) { return at.is_never() ? Json(nullptr) : Json(at.ns()); }
Instant to_date(const Json& j) { return j.is_null() ? Instant::never() : Instant(j.get<std::int64_t>()); }

}  // namespace isthmus::results
