#include "sim/world/arrivals.hpp"

#include "sim/core/errors.hpp"
#include "sim/world/arrival_generators.hpp"
#include "sim/world/arrival_traces.hpp"

namespace isthmus::world {

namespace {

class RecordedSource final : public ArrivalSource {
 public:
  explicit RecordedSource(const Arrivals& a) : rows_(a.recorded), limit_(a.limit) {}
  std::optional<Arrival> next() override {
    if (at_ >= rows_->size() || at_ >= limit_) return std::nullopt;
    return (*rows_)[at_++];
  }

 private:
  std::shared_ptr<const std::vector<Arrival>> rows_;
  std::uint64_t limit_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<ArrivalSource> make_arrival_source(const Workload& workload, std::uint64_t seed) {
  switch (workload.arrivals.kind) {
    case ArrivalKind::closed:
      throw InternalError(
          "a closed loop has no stream of arrivals: answers bring the next request");
    case ArrivalKind::trace:
      return open_trace(workload.arrivals);
    case ArrivalKind::recorded:
      if (!workload.arrivals.recorded) throw InternalError("recorded arrivals are missing");
      return std::make_unique<RecordedSource>(workload.arrivals);
    default:
      return make_generator(workload, seed);
  }
}

}  // namespace isthmus::world
