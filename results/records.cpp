#include "results/records.hpp"

#include <array>

#include "sim/core/errors.hpp"

namespace isthmus::results {

std::string_view name_of(Status status) {
  switch (status) {
    case Status::completed:
      return "completed";
    case Status::rejected:
      return "rejected";
    case Status::failed:
      return "failed";
    case Status::in_flight:
      return "in_flight";
  }
  throw InternalError("request status without a name");
}

std::string_view name_of(Cause cause) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Cause::count_)> names{
      "none",       "queue_full",     "queue_timeout", "too_large",
      "no_replica", "network_failed", "node_failed",   "cancelled",
      "not_admitted", "pool_timeout", "refused", "service_error"};
  const auto i = static_cast<std::size_t>(cause);
  if (i >= names.size()) throw InternalError("request cause without a name");
  return names[i];
}

}  // namespace isthmus::results
