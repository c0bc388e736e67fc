#include "scenarios/decision_explanation.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "results/format.hpp"
#include "results/run_input.hpp"
#include "results/text_table.hpp"
#include "scenarios/reader.hpp"
#include "schedulers/offload_estimates.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

SeenDecision seen(const schedulers::OffloadView& view, const schedulers::OffloadDecision& d,
                  std::size_t used) {
  static constexpr std::string_view tiers[] = {"device", "edge", "cloud"};
  SeenDecision out{.at = view.now.seconds(), .upload = view.upload, .download = view.download,
                   .candidates = {}, .chosen = d.candidate, .used = used, .score = d.score,
                   .reason = std::string(d.reason)};
  for (const schedulers::OffloadCandidate& c : view.candidates) {
    SeenCandidate s;
    s.name = c.name;
    s.tier = tiers[static_cast<std::size_t>(c.tier)];
    s.healthy = c.healthy;
    s.load = c.load;
    s.signal_age = (view.now - c.observed_at).seconds();
    s.queued = c.queued;
    s.running = c.running;
    s.slots = c.slots;
    s.service = c.service.seconds();
    s.network = c.network.seconds();
    s.estimate = schedulers::estimated_latency(c);
    s.uplink = c.uplink;
    s.measured_age = c.measured_at.is_never() ? nan : (view.now - c.measured_at).seconds();
    s.energy = c.client_energy;
    s.cost = c.cost;
    s.accuracy = c.accuracy;
    s.reward = schedulers::estimated_reward(view, c);
    out.candidates.push_back(std::move(s));
  }
  return out;
}

std::string_view word_of(results::Status s) {
  switch (s) {
    case results::Status::completed: return "completed";
    case results::Status::rejected: return "rejected";
    case results::Status::failed: return "failed";
    default: return "in flight at the end of the run";
  }
}

// "-375 ms": that long ago.
std::string ago(double seconds) {
  return (seconds > 0 ? "-" : "") + results::format_quantity(seconds, "s");
}

}  // namespace

DecisionExplanation explain_decision(const std::filesystem::path& run, std::uint64_t request,
                                     const std::filesystem::path& folder) {
  const results::RunInput input = results::read_run_input(run, request);
  if (request >= input.created)
    throw InputError(fmt::format("{}: there is no request {}; the run created {}, numbered from 0",
                                 run.string(), request, input.created));
  const LoadedScenario loaded =
      load_text(input.scenario_json, {}, (run / "run.h5").string() + ": scenario", folder);
  const world::Scenario& scenario = *loaded.scenario;
  if (!scenario.offload.policy)
    throw InputError(fmt::format("{}: the scenario has no offload section: nothing was decided",
                                 run.string()));
  DecisionExplanation out;
  out.run = run.string();
  out.request = request;
  out.policy = scenario.offload.policy->name;
  out.latency = nan;
  out.status = "unknown";
  bool ended = false;
  world::RunOptions options;
  options.replication = input.replication;
  options.in_process = true;
  options.on_request = [&](const results::RequestRecord& r) {
    if (r.request != request || ended) return;
    ended = true;
    out.status = word_of(r.status);
    out.workload = scenario.workloads[r.workload].name;
    out.client = r.client;
    if (r.status == results::Status::completed) out.latency = (r.completed - r.created).seconds();
  };
  options.on_decision = [&](const schedulers::OffloadView& view,
                            const schedulers::OffloadDecision& d, std::size_t used) {
    if (view.request == request) out.decisions.push_back(seen(view, d, used));
    return ended;
  };
  world::run(scenario, options);

  if (out.decisions.empty())
    throw InputError(fmt::format("{}: no policy decided about request {}: it went to a fixed service",
                                 run.string(), request));
  // What the run kept must have come out again.
  bool same = !input.has_decisions || input.dates.size() == out.decisions.size();
  for (std::size_t i = 0; same && i < input.dates.size(); ++i)
    same = Instant(input.dates[i]).seconds() == out.decisions[i].at &&
           input.scores[i] == out.decisions[i].score;
  if (!same)
    throw InputError(fmt::format(
        "{}: running it again gives other decisions; it was made by another version of isthmus, or the "
        "files that its scenario names (weights, traces) have changed",
        run.string()));
  return out;
}

std::string decision_text(const DecisionExplanation& e) {
  using results::format_figure;
  using results::format_quantity;
  std::string out = fmt::format("request {}: workload {}, client {}, {}{}\n", e.request, e.workload,
                                e.client, e.status,
                                std::isnan(e.latency) ? std::string()
                                                      : " after " + format_quantity(e.latency, "s"));
  for (std::size_t i = 0; i < e.decisions.size(); ++i) {
    const SeenDecision& d = e.decisions[i];
    out += fmt::format("\ndecision {} of {} by {} at {:.6f} s; upload {}, download {}\n", i + 1,
                       e.decisions.size(), e.policy, d.at, format_quantity(d.upload, "B"),
                       format_quantity(d.download, "B"));
    results::TextTable table({"candidate", "tier", "healthy", "load", "queued", "running", "slots",
                              "signals of", "service", "network", "estimate", "uplink", "measured",
                              "energy", "cost", "accuracy", "reward"});
    for (std::size_t k = 0; k < d.candidates.size(); ++k) {
      const SeenCandidate& c = d.candidates[k];
      table.add_row({(k == d.chosen ? "> " : "  ") + c.name, c.tier, c.healthy ? "yes" : "no",
                     format_figure(c.load), fmt::format("{}", c.queued), fmt::format("{}", c.running),
                     fmt::format("{}", c.slots), ago(c.signal_age),
                     format_quantity(c.service, "s"), format_quantity(c.network, "s"),
                     format_quantity(c.estimate, "s"),
                     c.uplink > 0 ? format_quantity(c.uplink * 8e-6, "Mbit/s") : "-",
                     std::isnan(c.measured_age) ? "-" : ago(c.measured_age),
                     format_quantity(c.energy, "J"), fmt::format("{:.3g} USD", c.cost),
                     format_figure(c.accuracy), format_figure(c.reward)});
    }
    out += table.text();
    out += fmt::format("chose {} (score {:.6g}): {}\n", d.candidates[d.chosen].name, d.score, d.reason);
    if (d.used != d.chosen)
      out += fmt::format("used {}: the choice was not healthy or overloaded\n",
                         d.candidates[d.used].name);
  }
  return out;
}

std::string decision_json(const DecisionExplanation& e) {
  using nlohmann::ordered_json;
  const auto known = [](double v) { return std::isnan(v) ? ordered_json() : ordered_json(v); };
  ordered_json out{{"run", e.run},           {"request", e.request}, {"workload", e.workload},
                   {"client", e.client},     {"status", e.status},   {"latency_s", known(e.latency)},
                   {"policy", e.policy},     {"decisions", ordered_json::array()}};
  for (const SeenDecision& d : e.decisions) {
    ordered_json candidates = ordered_json::array();
    for (const SeenCandidate& c : d.candidates)
      candidates.push_back({{"name", c.name},
                            {"tier", c.tier},
                            {"healthy", c.healthy},
                            {"load", c.load},
                            {"queued", c.queued},
                            {"running", c.running},
                            {"slots", c.slots},
                            {"signal_age_s", c.signal_age},
                            {"service_s", c.service},
                            {"network_s", c.network},
                            {"estimated_latency_s", c.estimate},
                            {"uplink_bytes_per_s", c.uplink},
                            {"measured_age_s", known(c.measured_age)},
                            {"client_energy_J", c.energy},
                            {"cost_USD", c.cost},
                            {"accuracy", c.accuracy},
                            {"estimated_reward", c.reward}});
    out["decisions"].push_back({{"at_s", d.at},
                                {"upload_bytes", d.upload},
                                {"download_bytes", d.download},
                                {"candidates", candidates},
                                {"chosen", d.candidates[d.chosen].name},
                                {"used", d.candidates[d.used].name},
                                {"score", d.score},
                                {"reason", d.reason}});
  }
  return out.dump(2) + "\n";
}

}  // namespace isthmus::scenarios
