#include "scenarios/calibrate.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "results/statistics.hpp"
#include "scenarios/calibrate_internal.hpp"
#include "scenarios/experiments.hpp"
#include "scenarios/problems.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/hash.hpp"
#include "sim/core/quantile.hpp"

namespace isthmus::scenarios {

namespace {

// A request that the simulated service turned away counts as wrong by this factor (a logarithm).
constexpr double turned_away = 3;
// Standard errors take blocks of consecutive requests as independent.
constexpr std::size_t most_blocks = 20;

std::size_t choose_service(const world::Scenario& s, const std::string& wanted) {
  std::vector<std::string> names;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < s.services.size(); ++i) {
    if (s.services[i].front != ~0U) {  // requests name the service, never one of its pools
      if (s.services[i].name == wanted)
        throw InputError(fmt::format("--service {}: is a pool of \"{}\"; requests reach that", wanted,
                                     s.services[s.services[i].front].name));
      continue;
    }
    names.push_back(s.services[i].name);
    places.push_back(i);
  }
  if (wanted.empty()) {
    if (names.size() == 1) return places[0];
    throw InputError(
        fmt::format("the scenario has {} services; choose one with --service {}", names.size(),
                    fmt::join(names, ", or ")));
  }
  const auto it = std::find(names.begin(), names.end(), wanted);
  if (it == names.end())
    throw InputError(
        fmt::format("--service {}: there is none{}", wanted, suggestion(wanted, names)));
  return places[static_cast<std::size_t>(it - names.begin())];
}

// The server's own number of KV blocks, of which vLLM keeps one as a placeholder.
Override kv_setting(const LoadedScenario& loaded, std::size_t service, std::uint32_t blocks) {
  const world::Service& s = loaded.scenario->services[service];
  if (!std::holds_alternative<world::LlmModel>(s.work))
    throw InputError(fmt::format("--kv-blocks: service \"{}\" runs no language model", s.name));
  if (blocks < 2) throw InputError("--kv-blocks: must be 2 at least, one is a placeholder");
  const std::string pointer = child(child("/services", s.name), "batching");
  const Value* written = find_pointer(loaded.document.root, pointer);
  const std::uint64_t tokens = std::uint64_t{blocks - 1} * s.batching.continuous.block_size;
  if (written && written->is(JsonKind::object))
    return {child(pointer, "kv_tokens"), fmt::format("{}", tokens)};
  return {pointer, fmt::format(R"({{"policy": "continuous", "kv_tokens": {}}})", tokens)};
}

// Which requests the fit looks at: the first ones, or some drawn by a hash of their number.
std::vector<char> fit_part(const CalibrateQuestion& q, const MeasuredLog& log) {
  if (!(q.fit_share > 0) || q.fit_share >= 1)
    throw InputError(
        fmt::format("--fit-share {}: must lie between 0 and 1, so that both parts have requests",
                    q.fit_share));
  std::vector<std::size_t> timed;
  for (std::size_t i = 0; i < log.requests.size(); ++i)
    if (log.requests[i].timed()) timed.push_back(i);
  if (q.random_split)
    std::stable_sort(timed.begin(), timed.end(), [&](std::size_t a, std::size_t b) {
      return hash_combine(q.seed, a) < hash_combine(q.seed, b);
    });
  const auto count = static_cast<std::size_t>(
      std::llround(q.fit_share * static_cast<double>(timed.size())));
  if (count < 5 || timed.size() - count < 1)
    throw InputError(
        fmt::format("--fit-share {} of {} requests leaves {} to fit and {} to test; at least 5 "
                    "and 1 are needed",
                    q.fit_share, timed.size(), count, timed.size() - count));
  std::vector<char> fit(log.requests.size(), 0);
  for (std::size_t k = 0; k < count; ++k) fit[timed[k]] = 1;
  return fit;
}

// One residual: where it comes from.
struct Observation {
  std::size_t request;
  const LogMetric* metric;
  double measured;
};

std::vector<Observation> observations_of(const MeasuredLog& log, const std::vector<char>& fit,
                                         const std::vector<SimulatedRequest>& simulated) {
  std::vector<Observation> all;
  for (std::size_t i = 0; i < log.requests.size(); ++i) {
    if (!fit[i]) continue;
    for (const LogMetric& m : log_metrics()) {
      const auto& measured = log.requests[i].*(m.measured);
      // Such as the first token of a service that has none.
      if (!measured || (simulated[i].served && std::isnan(simulated[i].*(m.simulated)))) continue;
      all.push_back({i, &m, *measured});
    }
  }
  return all;
}

Eigen::VectorXd residuals_of(const std::vector<Observation>& all,
                             const std::vector<SimulatedRequest>& simulated) {
  Eigen::VectorXd r(static_cast<Eigen::Index>(all.size()));
  for (std::size_t k = 0; k < all.size(); ++k) {
    const Observation& o = all[k];
    const double value = simulated[o.request].*(o.metric->simulated);
    r[static_cast<Eigen::Index>(k)] = std::isnan(value)
                                          ? turned_away
                                          : std::log(std::max(value, 1e-4 * o.measured) / o.measured);
  }
  return r;
}

// The same of ordered values: the shortest latency against the shortest one, and so on. They do
// not ask which request met which batch, and are smooth where single requests are not.
Eigen::VectorXd ordered_residuals(const std::vector<Observation>& all,
                                  const std::vector<SimulatedRequest>& simulated) {
  std::vector<double> r;
  for (const LogMetric& m : log_metrics()) {
    std::vector<double> measured, values;
    for (const Observation& o : all) {
      if (o.metric != &m) continue;
      const double value = simulated[o.request].*(m.simulated);
      measured.push_back(o.measured);
      values.push_back(std::isnan(value) ? std::numeric_limits<double>::infinity() : value);
    }
    std::sort(measured.begin(), measured.end());
    std::sort(values.begin(), values.end());
    for (std::size_t k = 0; k < values.size(); ++k)
      r.push_back(std::isinf(values[k])
                      ? turned_away
                      : std::log(std::max(values[k], 1e-4 * measured[k]) / measured[k]));
  }
  return Eigen::Map<Eigen::VectorXd>(r.data(), static_cast<Eigen::Index>(r.size()));
}

std::vector<std::size_t> blocks_of(const std::vector<Observation>& all) {
  std::vector<std::size_t> order;  // requests of the fit, by arrival
  for (const Observation& o : all)
    if (order.empty() || order.back() != o.request) order.push_back(o.request);
  const std::size_t blocks = std::min(most_blocks, std::max<std::size_t>(1, order.size() / 2));
  std::vector<std::size_t> groups;
  std::size_t at = 0;
  for (const Observation& o : all) {
    while (order[at] != o.request) ++at;
    groups.push_back(at * blocks / order.size());
  }
  return groups;
}

void add_errors(const std::string& part, bool fitted, const MeasuredLog& log,
                const std::vector<char>& fit, const std::vector<SimulatedRequest>& before,
                const std::vector<SimulatedRequest>& after, std::vector<CalibrationError>& out) {
  for (const LogMetric& metric : log_metrics()) {
    std::vector<double> m, b, a, each_b, each_a;
    for (std::size_t i = 0; i < log.requests.size(); ++i) {
      const auto& measured = log.requests[i].*(metric.measured);
      const double x = before[i].*(metric.simulated), y = after[i].*(metric.simulated);
      if (!measured || (fit[i] != 0) != fitted || std::isnan(x) || std::isnan(y)) continue;
      m.push_back(*measured);
      b.push_back(x);
      a.push_back(y);
      each_b.push_back(std::abs(x / *measured - 1));
      each_a.push_back(std::abs(y / *measured - 1));
    }
    if (m.empty()) continue;
    out.push_back({part, metric.name, "mean", results::mean_of(m), results::mean_of(b),
                   results::mean_of(a)});
    for (std::vector<double>* values : {&m, &b, &a, &each_b, &each_a})
      std::sort(values->begin(), values->end());
    for (const auto& [name, q] : {std::pair{"P50", 0.5}, {"P90", 0.9}, {"P99", 0.99}})
      out.push_back({part, metric.name, name, interpolated_quantile(m, q),
                     interpolated_quantile(b, q), interpolated_quantile(a, q)});
    out.push_back({part, metric.name, "each", 0, interpolated_quantile(each_b, 0.5),
                   interpolated_quantile(each_a, 0.5)});
  }
}

void refuse_too_large(const MeasuredLog& log, const std::vector<SimulatedRequest>& simulated) {
  for (std::size_t i = 0; i < simulated.size(); ++i)
    if (simulated[i].cause == results::Cause::too_large)
      throw InputError(
          fmt::format("{}: its {} prompt and {} output tokens need more KV cache than a replica "
                      "has; give the server's own number of blocks with --kv-blocks",
                      log.requests[i].place, log.requests[i].prompt_tokens.value_or(0),
                      log.requests[i].output_tokens.value_or(0)));
}

void note_simulated(const MeasuredLog& log, const std::vector<SimulatedRequest>& before,
                    const std::vector<SimulatedRequest>& after, Calibration& c) {
  const auto away = [](const std::vector<SimulatedRequest>& all) {
    return std::count_if(all.begin(), all.end(), [](const auto& s) { return !s.served; });
  };
  if (away(before) + away(after) > 0)
    c.notices.push_back(
        fmt::format("the simulated service turned {} requests away before the fit and {} after it, "
                    "the server none of them; look at its queue and its limits",
                    away(before), away(after)));
  double measured = 0, simulated = 0;
  std::size_t n = 0;
  for (std::size_t i = 0; i < after.size(); ++i)
    if (log.requests[i].batch && after[i].batch > 0) {
      measured += *log.requests[i].batch;
      simulated += after[i].batch;
      ++n;
    }
  if (n > 0)
    c.notices.push_back(fmt::format("mean batch of a request: {:.3g} measured, {:.3g} simulated",
                                    measured / static_cast<double>(n),
                                    simulated / static_cast<double>(n)));
}

}  // namespace

const std::vector<LogMetric>& log_metrics() {
  static const std::vector<LogMetric> all{
      {"TTFT", &MeasuredRequest::ttft, &SimulatedRequest::ttft},
      {"TPOT", &MeasuredRequest::tpot, &SimulatedRequest::tpot},
      {"latency", &MeasuredRequest::latency, &SimulatedRequest::latency},
      {"service", &MeasuredRequest::service, &SimulatedRequest::service},
  };
  return all;
}

Calibration calibrate(const CalibrateQuestion& q) {
  const MeasuredLog log = read_measured_log(q.measured, q.log);
  const std::vector<char> fit = fit_part(q, log);
  std::vector<Override> set = q.set;
  LoadedScenario loaded = load(q.scenario, set);
  const std::size_t service = choose_service(*loaded.scenario, q.service);
  if (q.kv_blocks) {
    set.push_back(kv_setting(loaded, service, *q.kv_blocks));
    loaded = load(q.scenario, set);
  }
  const std::vector<FitParameter> parameters =
      fit_parameters(loaded, service, q.parameters, scales_of(log));
  const Replay replay(loaded, service, log);

  const auto values_at = [&](const Eigen::VectorXd& x) {
    std::vector<Override> values;
    for (std::size_t j = 0; j < parameters.size(); ++j) {
      const FitParameter& p = parameters[j];
      // What nobody changed stays as it is written.
      if (x[static_cast<Eigen::Index>(j)] != p.unknown.start)
        values.push_back({p.pointer, p.json(p.value(x[static_cast<Eigen::Index>(j)]))});
    }
    return values;
  };
  const std::vector<SimulatedRequest> before = replay.run({});
  refuse_too_large(log, before);
  const std::vector<Observation> observed = observations_of(log, fit, before);
  if (observed.size() <= parameters.size())
    throw InputError(
        fmt::format("{}: {} times of the fitted part can be compared with the service, too few for "
                    "{} parameters",
                    log.path, observed.size(), parameters.size()));

  models::LeastSquaresProblem problem;
  for (const FitParameter& p : parameters) problem.unknowns.push_back(p.unknown);
  problem.groups = blocks_of(observed);
  const auto fitted_by = [&](const auto& residuals) {
    problem.residuals = [&](const std::vector<Eigen::VectorXd>& points) {
      std::vector<Eigen::VectorXd> all(points.size());
      for_each_job(points.size(), q.threads, [&](std::size_t i) {
        all[i] = residuals(observed, replay.run(values_at(points[i])));
      });
      return all;
    };
    return models::least_squares(problem);
  };
  // First where it is, by what many requests say together, then what each of them says.
  problem.widenings = {16, 4};
  problem.judging = 16;
  problem.searches = 10;
  const models::LeastSquaresFit rough = fitted_by(ordered_residuals);
  for (std::size_t j = 0; j < parameters.size(); ++j)
    problem.unknowns[j].first = rough.unknowns[j].value;
  problem.widenings = {4, 1};
  const models::LeastSquaresFit found = fitted_by(residuals_of);

  Calibration c;
  c.scenario = q.scenario;
  c.name = loaded.scenario->name;
  c.service = loaded.scenario->services[service].name;
  c.log = log.path;
  c.format = log.format;
  c.requests = log.requests.size();
  c.fitted = static_cast<std::size_t>(std::count(fit.begin(), fit.end(), 1));
  for (std::size_t i = 0; i < fit.size(); ++i) c.held_out += !fit[i] && log.requests[i].timed();
  c.span = static_cast<double>(log.requests.back().arrival) * 1e-9;
  c.split = q.random_split ? fmt::format("drawn with seed {}", q.seed) : "the first by arrival";
  c.notices = log.notices;
  c.loss_before = found.cost_before;
  c.loss_after = found.cost_after;
  c.converged = found.converged;
  c.simulations = rough.evaluations + found.evaluations + 2;
  c.settings = set;
  Eigen::VectorXd x(static_cast<Eigen::Index>(parameters.size()));
  for (std::size_t j = 0; j < parameters.size(); ++j) {
    const FitParameter& p = parameters[j];
    const models::FittedUnknown& u = found.unknowns[j];
    x[static_cast<Eigen::Index>(j)] = u.value;
    const double after = p.value(u.value);
    c.parameters.push_back({p.name, p.pointer, p.unit, p.value(p.unknown.start), after,
                            p.reciprocal ? after * after * u.standard_error : u.standard_error,
                            u.identified,
                            u.identified == models::Identified::confounded
                                ? parameters[u.other].name
                                : "",
                            p.json(after)});
  }
  for (const Override& v : values_at(x)) c.settings.push_back(v);
  const std::vector<SimulatedRequest> after = replay.run(values_at(x));
  add_errors("fit", true, log, fit, before, after, c.errors);
  add_errors("held out", false, log, fit, before, after, c.errors);
  note_simulated(log, before, after, c);
  const auto fitted = [&](const char* name) {
    return std::any_of(c.parameters.begin(), c.parameters.end(), [&](const auto& p) {
      return p.name == name && p.identified == models::Identified::yes;
    });
  };
  if (fitted("bandwidth_efficiency") && (fitted("iteration_overhead") || fitted("launch_overhead")))
    c.notices.emplace_back(
        "bandwidth_efficiency and overheads of iterations make up for each other wherever the "
        "batches are alike: their sum is better known than each of them and its standard error say");
  if (!c.converged) c.notices.emplace_back("the fit had not come to rest when it was stopped");
  return c;
}

}  // namespace isthmus::scenarios
