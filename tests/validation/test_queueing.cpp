// Steady states of queues against closed forms: the shared collection of cases (run through the scenario
// language), and the same formulas derived here, so that a bare clone proves something too.
//
// ISTHMUS_PRINT=1 prints every figure; ISTHMUS_FULL=1 uses the suggested number of arrivals.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "scenarios/reader.hpp"
#include "sim/core/hash.hpp"
#include "sim/world/run.hpp"
#include "tests/shared_data.hpp"

namespace isthmus {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool flag(const char* name) {
  const char* v = std::getenv(name);
  return v && *v == '1';
}

fs::path truth_file() { return testing::shared_data() / "truth" / "queueing.json"; }

std::string seconds(double s) { return fmt::format("{:.17g} s", s); }
std::string per_second(double r) { return fmt::format("{:.17g} /s", r); }

//! One station: arrivals, a service law, servers.
struct Queue {
  json source = {{"source", "poisson"}};
  double rate = 1;                 // arrivals per second, for the run length
  json service;                    // distribution of seconds
  std::uint32_t slots = 1, replicas = 1;
  std::string routing = "random";
  json queue = json::object();
  std::uint32_t clients = 1;
  json hedging;
  json classes = json::array();    // workloads that share the station: rate, priority, work
  bool turns = false;              // replicas share one accelerator (processor sharing)
};

json scenario_of(const Queue& q, double arrivals, std::uint64_t seed) {
  const double duration = arrivals / q.rate;
  json workload = q.source;
  workload["name"] = "load";
  workload["target"] = "s";
  workload["clients"] = {{"on", "server"}, {"count", q.clients}};
  if (!q.hedging.is_null()) workload["request"]["hedging"] = q.hedging;
  json service = {{"service_time", q.service}, {"on", "server"}, {"local", false}, {"slots", q.slots},
                  {"replicas", q.replicas}, {"routing", q.routing}};
  if (!q.queue.empty()) service["queue"] = q.queue;
  json load = json::array({workload});
  if (!q.classes.empty()) load.clear();
  for (const json& c : q.classes) {
    load.push_back(workload);
    load.back()["name"] = fmt::format("class-{}", load.size() - 1);
    load.back()["rate"] = per_second(c.at("rate"));
    load.back()["priority"] = c.at("priority");
    load.back()["request"] = {{"work", c.at("work")}};
  }
  json node = {{"count", 1}};
  if (q.turns) node.update({{"kind", "gpu"}, {"sharing", {{"kind", "time_slicing"}, {"replicas", q.replicas}}}});
  return {{"isthmus", 1},
          {"name", "queue"},
          {"seed", seed},
          {"duration", seconds(duration)},
          {"warmup", seconds(duration / 10)},
          {"nodes", {{"server", node}}},
          {"network", {{"model", "fluid"}}},
          {"services", {{"s", service}}},
          {"workload", load},
          {"results", {{"streaming", true}, {"decisions", false}, {"sample_period", seconds(duration / 50)}}}};
}

results::Summary simulate(const Queue& q, double arrivals, std::uint64_t seed = 5) {
  const auto loaded = scenarios::load_text(scenario_of(q, arrivals, seed).dump());
  return world::run(*loaded.scenario, {});
}

//! Figures of a run under the names that the cases use; times in seconds.
std::map<std::string, double> figures(const Queue& q, const results::Summary& s) {
  const results::ServiceTotals& t = s.services.at(0);
  const double servers = static_cast<double>(q.slots) * q.replicas;
  std::map<std::string, double> f;
  f["util"] = t.utilization;
  f["offered_load"] = t.utilization * servers;
  f["W"] = f["W_accepted"] = s.value("latency.mean");
  f["Wq"] = f["Wq_accepted"] = s.value("queue_wait.mean");
  f["L"] = t.mean_in_system;
  f["Lq"] = t.mean_queue;
  f["p0"] = 1 - t.utilization;
  if (q.turns) {
    f["util"] = s.value("accelerator_busy.server");
    f["conditional_T_per_unit_size"] = s.value("sharing_slowdown.s");  // time over work, the same for all sizes
  }
  f["throughput"] = f["carried"] = s.value("throughput");
  f["P_block"] = f["P_timeout"] = s.value("rejected_rate");
  for (const char* p : {"50", "90", "95", "99"}) {
    f[std::string("W_p") + p] = s.value(std::string("latency.p") + p);
    f[std::string("Wq_p") + p] = s.value(std::string("queue_wait.p") + p);
  }
  for (std::size_t c = 0; c < q.classes.size(); ++c) {
    const auto at = s.by_workload.find(fmt::format("class-{}", c));
    for (const results::Metric& m : at->second) {
      if (m.name == "latency.mean") f[fmt::format("W_by_class/{}", c)] = m.value;
      if (m.name == "queue_wait.mean") f[fmt::format("Wq_by_class/{}", c)] = m.value;
    }
  }
  return f;
}

// ---- the shared collection ---------------------------------------------------------------------------

json law_of(const json& service, const json& inputs) {
  const auto mean = [&](const json& from) {
    if (from.contains("mean")) return from["mean"].get<double>();
    if (from.contains("mu")) return 1.0 / from["mu"].get<double>();
    if (from.contains("service_mean")) return from["service_mean"].get<double>();
    throw std::out_of_range("service without a mean");
  };
  if (service.is_string()) {
    if (service == "exponential" || service == "exponential iid per copy")
      return {{"distribution", "exponential"}, {"mean", seconds(mean(inputs))}};
    if (service == "deterministic") return seconds(mean(inputs));
    throw std::out_of_range("law " + service.get<std::string>());
  }
  const std::string kind = service.at("dist");
  const double m = service.value("mean", 1.0);
  if (kind == "exp" || kind == "exponential") return {{"distribution", "exponential"}, {"mean", seconds(m)}};
  if (kind == "det" || kind == "deterministic") return seconds(m);
  if (kind == "erlang")
    return {{"distribution", "erlang"}, {"mean", seconds(m)}, {"phases", service.at("k")}};
  if (kind == "uniform")
    return {{"distribution", "uniform"},
            {"low", seconds(service.at("low"))},
            {"high", seconds(service.at("high"))}};
  if (kind == "lognormal")
    return {{"distribution", "lognormal"},
            {"median", seconds(std::exp(service.at("mu").get<double>()))},
            {"sigma", service.at("sigma")}};
  if (kind == "hyperexp2_balanced_means")
    return {{"distribution", "hyperexponential"}, {"mean", seconds(m)}, {"scv", service.at("cv2")}};
  if (kind == "bounded_pareto")
    return {{"distribution", "pareto"},
            {"minimum", seconds(service.at("low"))},
            {"maximum", seconds(service.at("high"))},
            {"tail", service.at("alpha")}};
  if (kind == "two_point")
    return {{"distribution", "choice"},
            {"weights", service.at("probs")},
            {"values", {seconds(service.at("values")[0]), seconds(service.at("values")[1])}}};
  throw std::out_of_range("law " + service.dump());
}

// Turns a case into a queue, or says with an exception what the language does not have yet.
Queue queue_of(const json& c) {
  const std::string model = c["model"];
  const json& in = c["inputs"];
  const auto starts = [&](const char* prefix) { return model.rfind(prefix, 0) == 0; };
  Queue q;
  q.rate = in.value("rate", 1.0);
  q.source["rate"] = per_second(q.rate);
  if (in.contains("service")) q.service = law_of(in["service"], in);
  q.slots = in.value("servers", 1U);

  if (starts("M/M/1 FCFS") || starts("M/M/c FCFS") || starts("M/D/1 FCFS") || starts("M/D/c FCFS") ||
      starts("M/G/1 FCFS"))
    return q;
  // One replica for each request: with so many hardly anybody waits for one.
  if (starts("M/G/1 processor sharing")) {
    q.turns = true;
    q.replicas = c.at("expected").at("util").get<double>() > 0.8 ? 160 : 64;
    q.routing = "least-outstanding";
    return q;
  }
  // Class 0 comes first; all draw from the law of the station, times their work.
  if (starts("M/G/1 non-preemptive priority") || starts("M/G/1 preemptive-resume priority")) {
    q.queue = {{"order", "priority"}, {"preemption", starts("M/G/1 preemptive")}};
    q.rate = 0;
    for (const json& k : in.at("classes")) {
      const json law = law_of(k.at("service"), {{"mean", 1.0}});
      if (!q.service.is_null() && q.service != law) throw std::out_of_range("classes with different laws");
      q.service = law;
      q.rate += k.at("rate").get<double>();
      q.classes.push_back({{"rate", k.at("rate")}, {"priority", -k.at("priority").get<int>()}, {"work", k.at("mean_service")}});
    }
    return q;
  }
  if (starts("M/G/c/c loss")) {
    q.queue = {{"capacity", 0}};
    return q;
  }
  if (starts("M/M/c/K")) {
    q.queue = {{"capacity", in.at("system_capacity").get<std::uint32_t>() - q.slots}};
    return q;
  }
  if (starts("Central queue")) {
    q.slots = in.at("backends");
    return q;
  }
  if (starts("Random dispatch") || starts("Round-robin dispatch") || starts("Join-shortest-queue")) {
    q.replicas = in.at("backends");
    q.routing = starts("Random") ? "random" : starts("Round") ? "round-robin" : "least-outstanding";
    return q;
  }
  if (starts("Redundancy-d")) {
    q.replicas = in.at("backends");
    q.hedging = {{"copies", in.at("copies")}, {"cancel", in.at("cancel_on_complete")}};
    return q;
  }
  if (starts("E2/M/1") || starts("E8/M/1")) {
    q.source = {{"source", "erlang"}, {"rate", per_second(q.rate)}, {"phases", starts("E2") ? 2 : 8}};
    return q;
  }
  if (starts("D/M/1")) {
    q.source = {{"source", "deterministic"}, {"rate", per_second(q.rate)}};
    return q;
  }
  if (starts("M/M/n+D")) {
    q.queue = {{"timeout", seconds(in.at("patience_mean").get<double>())}};
    return q;
  }
  if (starts("MMPP(2)")) {
    // Rates of leaving a state: mean sojourns are their inverses.
    q.rate = 0;
    double total = 0;
    json rates = json::array(), sojourns = json::array();
    for (std::size_t k = 0; k < 2; ++k) {
      const double rate = in.at("rates")[k], stay = 1.0 / in.at("switch")[k].get<double>();
      rates.push_back(per_second(rate));
      sojourns.push_back(seconds(stay));
      q.rate += rate * stay;
      total += stay;
    }
    q.rate /= total;
    q.source = {{"source", "mmpp"}, {"rates", rates}, {"sojourns", sojourns}};
    return q;
  }
  if (starts("Machine repair")) {
    q.clients = in.at("users");
    const double think = in.at("think_mean");
    q.source = {{"source", "closed"}, {"think", {{"distribution", "exponential"}, {"mean", seconds(think)}}}};
    q.rate = q.clients / (think + in.at("service_mean").get<double>());
    return q;
  }
  throw std::out_of_range("model");
}

struct Tally {
  int passed = 0, failed = 0, skipped = 0;
};

//! Mean and standard error over runs with different seeds.
struct Estimate {
  double mean = 0, error = 0;
};

std::map<std::string, Estimate> estimate(const Queue& q, std::uint64_t seed, int runs, double arrivals) {
  std::map<std::string, std::vector<double>> values;
  for (int r = 0; r < runs; ++r)
    for (const auto& [name, v] : figures(q, simulate(q, arrivals, seed + static_cast<std::uint64_t>(r))))
      values[name].push_back(v);
  std::map<std::string, Estimate> out;
  for (const auto& [name, v] : values) {
    double sum = 0, squares = 0;
    for (const double x : v) sum += x;
    const double n = static_cast<double>(v.size()), mean = sum / n;
    for (const double x : v) squares += (x - mean) * (x - mean);
    out[name] = {mean, std::sqrt(squares / (n - 1) / n)};
  }
  return out;
}

double tolerance_of(const json& tolerance, const std::string& name, double expected) {
  if (name[0] == 'P' || name == "p0" || name == "util")
    return std::max(tolerance.value("abs_prob", 0.0), tolerance.value("rel_mean", 0.0) * std::abs(expected));
  if (name.find("_p") != std::string::npos) return tolerance.value("rel_p99", 0.05) * std::abs(expected);
  return tolerance.value("rel_mean", 0.02) * std::abs(expected);
}

// Quick: four short runs, and the deviation may exceed the tolerance by three standard errors. Full:
// enough runs for the standard error to be well inside the tolerance, which then holds as it stands.
TEST(QueueingTruth, CasesOfTheSharedCollection) {
  if (!fs::exists(truth_file())) GTEST_SKIP() << "needs " << truth_file();
  const bool full = flag("ISTHMUS_FULL");
  std::ifstream in(truth_file());
  const json truth = json::parse(in);
  std::map<std::string, Tally> models;
  std::set<std::string> not_simulated;
  int figures_checked = 0;
  for (json c : truth["cases"]) {
    const std::string id = c["id"];
    // Figures by class are lists.
    json flat = json::object();
    for (const auto& [name, value] : c["expected"].items()) {
      if (!value.is_array()) flat[name] = value;
      else
        for (std::size_t i = 0; i < value.size(); ++i) flat[fmt::format("{}/{}", name, i)] = value[i];
    }
    c["expected"] = flat;
    Tally& tally = models[c["model"]];
    Queue q;
    try {
      q = queue_of(c);
    } catch (const std::out_of_range& e) {
      ++tally.skipped;
      not_simulated.insert(c["model"].get<std::string>());
      continue;
    }
    const std::uint64_t seed = hash_name(id) >> 12;  // a double holds it exactly
    std::map<std::string, Estimate> got;
    for (int runs = full ? 16 : 4;; runs *= 2) {
      got = estimate(q, seed, runs, full ? 2e6 : 2.5e5);
      bool precise = true;
      for (const auto& [name, value] : c["expected"].items())
        if (value.is_number() && got.count(name) && value != 0.0)
          precise = precise && 2 * got[name].error < tolerance_of(c["tolerance"], name, value);
      if (!full || precise || runs >= 64) break;
    }
    bool ok = true;
    for (const auto& [name, value] : c["expected"].items()) {
      if (!value.is_number() || !got.count(name)) continue;
      if (name == "p0" && q.slots * q.replicas > 1) continue;  // idle servers, not an empty system
      const double expected = value;
      const Estimate e = got.at(name);
      const double allowed =
          std::max(tolerance_of(c["tolerance"], name, expected), 1e-9) + (full ? 0.0 : 3 * e.error);
      ++figures_checked;
      const bool hit = std::abs(e.mean - expected) <= allowed;
      if (!hit || flag("ISTHMUS_PRINT"))
        fmt::print("{:32} {:12} expected {:12.6g} simulated {:12.6g} +- {:.1e} deviation {:+.2e} allowed {:.2e}{}\n",
                   id, name, expected, e.mean, e.error, e.mean - expected, allowed, hit ? "" : "  <-- FAILED");
      ok = ok && hit;
      EXPECT_TRUE(hit) << id << " " << name;
    }
    ++(ok ? tally.passed : tally.failed);
  }
  int simulated = 0;
  for (const auto& [model, t] : models) {
    simulated += t.passed + t.failed;
    fmt::print("{:3} passed {:3} failed {:3} not simulated  {}\n", t.passed, t.failed, t.skipped, model.substr(0, 80));
  }
  fmt::print("{} of {} cases simulated, {} figures checked\n", simulated, truth["cases"].size(), figures_checked);
  // A case that stops being simulated must not go unnoticed, and neither must a new kind of case.
  EXPECT_EQ(simulated, 99);
  const std::set<std::string> later = {
#include "tests/validation/models_of_later_issues.inc"
  };
  EXPECT_EQ(not_simulated, later);
}

// ---- the same forms, derived here ----------------------------------------------------------------------

// Probability of waiting in M/M/c with offered load a (Erlang C), by the recursion of Erlang B.
double erlang_b(int c, double a) {
  double b = 1;
  for (int k = 1; k <= c; ++k) b = a * b / (k + a * b);
  return b;
}
double erlang_c(int c, double a) {
  const double b = erlang_b(c, a), rho = a / c;
  return b / (1 - rho * (1 - b));
}

json exponential(double mean) { return {{"distribution", "exponential"}, {"mean", seconds(mean)}}; }

Queue poisson(double rate, json service, std::uint32_t slots = 1) {
  Queue q;
  q.rate = rate;
  q.source["rate"] = per_second(rate);
  q.service = std::move(service);
  q.slots = slots;
  return q;
}

TEST(Queueing, MMcMeanWaitIsErlangC) {
  for (const int c : {1, 2, 5, 20}) {
    const double a = 0.7 * c;
    const double expected = erlang_c(c, a) / (c - a);
    const auto s = simulate(poisson(a, exponential(1), static_cast<std::uint32_t>(c)), 1e6);
    EXPECT_NEAR(s.value("queue_wait.mean"), expected, 0.03 * expected + 0.002) << c;
  }
}

// Pollaczek and Khinchine: Wq = rho (1 + cs2) / (2 (1 - rho)).
TEST(Queueing, MG1MeanWaitIsPollaczekKhinchine) {
  const double rho = 0.6;
  const struct {
    json law;
    double cs2;
  } cases[] = {{seconds(1), 0.0},
               {{{"distribution", "erlang"}, {"mean", seconds(1)}, {"phases", 4}}, 0.25},
               {exponential(1), 1.0},
               {{{"distribution", "hyperexponential"}, {"mean", seconds(1)}, {"scv", 4}}, 4.0}};
  for (const auto& c : cases) {
    const double expected = rho * (1 + c.cs2) / (2 * (1 - rho));
    const auto s = simulate(poisson(rho, c.law), 2e6);
    EXPECT_NEAR(s.value("queue_wait.mean"), expected, 0.03 * expected) << c.cs2;
  }
}

// Cloned to all of k servers, each with its own exponential draw, and stopped by the first answer: all
// servers work as one of their rates together. Hedged after a delay that never comes: k queues.
TEST(Queueing, ClonesToAllServersAreOneFastServer) {
  Queue q = poisson(2, exponential(1));
  q.replicas = 4;
  q.hedging = {{"copies", 4}};
  const auto s = simulate(q, 1e6);
  EXPECT_NEAR(s.value("latency.mean"), 1.0 / (4 - 2), 0.01);
  EXPECT_NEAR(s.value("hedge_copies"), 3, 1e-4);
  EXPECT_NEAR(s.value("hedge_wins.0"), 0.25, 0.003);
  q.hedging = {{"delay", "1e6 s"}};
  EXPECT_NEAR(simulate(q, 1e6).value("latency.mean"), 1 / (1 - 0.5), 0.04);
}

TEST(Queueing, LossIsErlangB) {
  Queue q = poisson(8, exponential(1), 10);
  q.queue = {{"capacity", 0}};
  EXPECT_NEAR(simulate(q, 1e6).value("rejected_rate"), erlang_b(10, 8), 0.003);
}

}  // namespace
}  // namespace isthmus
