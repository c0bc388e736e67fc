// Parts of a calibration; for calibrate*.cpp only.
#pragma once

#include <functional>

#include "scenarios/calibrate.hpp"
#include "scenarios/reader.hpp"

namespace isthmus::scenarios {

//! A parameter that can be fitted.
struct FitParameter {
  std::string name, pointer, unit;
  models::Unknown unknown;
  std::function<std::string(double)> json;  //!< a value as the scenario writes it
  //! The unknown is one over the value: times grow with it, as they do with overheads, so that two
  //! that make up for each other do so along a line.
  bool reciprocal = false;

  double value(double x) const { return reciprocal ? 1 / x : x; }
};

//! Times that say how large parameters may be, s.
struct LogScales {
  double step = 0;     //!< of an iteration or a batch: median time per token, service or latency
  double soonest = 0;  //!< the shortest tenth of what clients wait at least
  double longest = 0;  //!< the longest latency
};
LogScales scales_of(const MeasuredLog& log);

//! The parameters of that names, or those that suit the service. Throws InputError.
std::vector<FitParameter> fit_parameters(const LoadedScenario& loaded, std::size_t service,
                                         const std::vector<std::string>& names,
                                         const LogScales& scales);

//! What a simulated request took, s; NaN when it was not served.
struct SimulatedRequest {
  double ttft = 0, tpot = 0, latency = 0, service = 0, batch = 0;
  results::Cause cause = results::Cause::none;
  bool served = false;
};

//! Requests of a log as the workload of a service.
class Replay {
 public:
  //! Borrows both. Throws InputError for requests that cannot be replayed.
  Replay(const LoadedScenario& loaded, std::size_t service, const MeasuredLog& log);
  //! Simulates all of them with changed values; safe from many threads.
  std::vector<SimulatedRequest> run(const std::vector<Override>& values) const;

 private:
  const LoadedScenario& loaded_;
  std::size_t service_;
  std::shared_ptr<const std::vector<world::Arrival>> arrivals_;
};

//! How calibrate() compares what was measured with what was simulated.
struct LogMetric {
  const char* name;
  std::optional<double> MeasuredRequest::*measured;
  double SimulatedRequest::*simulated;
};
const std::vector<LogMetric>& log_metrics();

}  // namespace isthmus::scenarios
