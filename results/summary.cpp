#include "results/summary.hpp"

#include <fmt/format.h>

#include <limits>

namespace isthmus::results {

double Summary::value(const std::string& name) const {
  for (const Metric& m : metrics)
    if (m.name == name) return m.value;
  return std::numeric_limits<double>::quiet_NaN();
}

std::string Summary::conservation_line() const {
  // Causes belong behind the count that they explain; which one that is follows from the cause.
  const auto rejecting = [](std::string_view cause) {
    return cause == name_of(Cause::queue_full) || cause == name_of(Cause::queue_timeout) ||
           cause == name_of(Cause::too_large) || cause == name_of(Cause::no_replica) ||
           cause == name_of(Cause::not_admitted);
  };
  std::string of_rejected, of_failed, all;
  std::uint64_t explained = 0;
  for (const auto& [cause, n] : by_cause) {
    if (n == 0) continue;
    const std::string item = fmt::format("{} {}", cause, n);
    std::string& list = rejecting(cause) ? of_rejected : of_failed;
    list += (list.empty() ? " (" : ", ") + item;
    all += (all.empty() ? "" : ", ") + item;
    if (rejecting(cause)) explained += n;
  }
  if (!of_rejected.empty()) of_rejected += ")";
  if (!of_failed.empty()) of_failed += ")";
  std::string tail;
  if (explained != rejected) {
    // A world may fail a request for what is usually a reason to reject: then list them once.
    of_rejected.clear();
    of_failed.clear();
    tail = all.empty() ? "" : "; causes: " + all;
  }
  return fmt::format("created {} = completed {} + rejected {}{} + failed {}{} + in flight {}{}",
                     created, completed, rejected, of_rejected, failed, of_failed, in_flight, tail);
}

}  // namespace isthmus::results
