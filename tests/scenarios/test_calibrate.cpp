// Calibration gives back what made a log, says what a log cannot tell, and writes sound scenarios.
#include "scenarios/calibrate.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/temporary_folder.hpp"
#include "tests/shared_data.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

// Runs a scenario and writes what its requests took, with errors of a few percent.
std::string log_of(const std::string& scenario, double noise, const std::vector<Override>& truth,
                   bool tokens, unsigned seed = 1) {
  const LoadedScenario loaded = load_text(scenario, truth);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  const auto off = [&](double s) { return s * std::exp(noise * normal(random)); };
  std::string out = tokens ? "arrival,prompt_tokens,output_tokens,ttft,tpot,latency\n"
                           : "arrival,latency,batch\n";
  world::RunOptions o;
  o.on_request = [&](const results::RequestRecord& r) {
    if (r.status != results::Status::completed) return;
    const double first = (r.first_token - r.created).seconds(),
                 all = (r.completed - r.created).seconds();
    if (!tokens) {
      out += fmt::format("{:.9f},{:.9f},{}\n", r.created.seconds(), off(all), r.batch);
      return;
    }
    const double tpot = (all - first) / (r.output_tokens - 1.0), f = off(first), t = off(tpot);
    out += fmt::format("{:.9f},{},{},{:.9f},{:.9f},{:.9f}\n", r.created.seconds(), r.prompt_tokens,
                       r.output_tokens, f, t, f + t * (r.output_tokens - 1.0));
  };
  world::run(*loaded.scenario, o);
  return out;
}

const std::string llm = R"({"isthmus": 1, "name": "chat", "duration": "60 s", "seed": 5,
  "nodes": {"gpu": {"device": "nvidia-h100-sxm"}},
  "services": {"chat": {"model": "llama-3.1-8b", "on": "gpu"}},
  "workload": [{"rate": "6 /s", "request": {
    "prompt_tokens": {"distribution": "uniform", "low": 100, "high": 3000},
    "output_tokens": {"distribution": "uniform", "low": 20, "high": 200}}}]})";

const std::string batches = R"({"isthmus": 1, "name": "batches", "duration": "60 s", "seed": 5,
  "nodes": {"n": {}},
  "services": {"s": {"service_time": "10 ms", "on": "n", "batching": {"policy": "greedy", "max_batch": 16}}},
  "workload": [{"rate": "80 /s"}]})";

class Calibrations : public ::testing::Test {
 protected:
  CalibrateQuestion question(const std::string& scenario, const std::string& log) const {
    CalibrateQuestion q;
    q.scenario = folder_.write("scenario.json", scenario).string();
    q.measured = folder_.write("log.csv", log).string();
    q.threads = 2;
    return q;
  }
  std::string refusal(const CalibrateQuestion& q) const {
    try {
      calibrate(q);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  }
  TemporaryFolder folder_;
};

const CalibratedParameter& named(const Calibration& c, const std::string& name) {
  for (const CalibratedParameter& p : c.parameters)
    if (p.name == name) return p;
  throw std::runtime_error("no parameter " + name);
}

double error_of(const Calibration& c, const std::string& part, const std::string& metric,
                const std::string& statistic, bool after) {
  for (const CalibrationError& e : c.errors)
    if (e.part == part && e.metric == metric && e.statistic == statistic)
      return statistic == "each" ? (after ? e.after : e.before)
                                 : (after ? e.after : e.before) / e.measured - 1;
  throw std::runtime_error("no error of " + metric + " " + statistic);
}

// Within three standard errors and 1 %, the roughness of the simulation; the errors are a small share
// of the value.
void expect_found(const Calibration& c, const std::string& name, double truth, double share) {
  const CalibratedParameter& p = named(c, name);
  EXPECT_EQ(p.identified, models::Identified::yes) << name;
  EXPECT_LT(p.standard_error, share * truth) << name;
  EXPECT_LT(std::abs(p.after - truth), 3 * p.standard_error + 0.01 * truth)
      << name << ": " << p.after << " +- " << p.standard_error;
}

TEST_F(Calibrations, LanguageModelGivesBackWhatMadeTheLog) {
  const std::string log = log_of(llm, 0.03,
                                 {{"/nodes/gpu/compute_efficiency", "0.45"},
                                  {"/nodes/gpu/iteration_overhead", "3 ms"},
                                  {"/services/chat/request_overhead", "25 ms"}},
                                 true);
  CalibrateQuestion q = question(llm, log);
  q.parameters = {"compute_efficiency", "iteration_overhead", "request_overhead"};
  const Calibration c = calibrate(q);
  EXPECT_TRUE(c.converged);
  expect_found(c, "compute_efficiency", 0.45, 0.05);
  expect_found(c, "iteration_overhead", 0.003, 0.05);
  expect_found(c, "request_overhead", 0.025, 0.1);
  for (const char* metric : {"TTFT", "TPOT", "latency"}) {
    EXPECT_GT(std::abs(error_of(c, "held out", metric, "mean", false)), 0.1) << metric;
    EXPECT_LT(std::abs(error_of(c, "held out", metric, "mean", true)), 0.02) << metric;
    EXPECT_LT(error_of(c, "held out", metric, "each", true), 0.04) << metric;
  }
}

TEST_F(Calibrations, BatchServiceGivesBackWhatMadeTheLog) {
  const std::string log = log_of(batches, 0.05,
                                 {{"/services/s/service_time", "14 ms"},
                                  {"/services/s/per_item", "4 ms"},
                                  {"/services/s/request_overhead", "9 ms"}},
                                 false);
  const Calibration c = calibrate(question(batches, log));
  expect_found(c, "service_time", 0.014, 0.05);
  expect_found(c, "per_item", 0.004, 0.05);
  expect_found(c, "request_overhead", 0.009, 0.2);
  EXPECT_LT(std::abs(error_of(c, "held out", "latency", "mean", true)), 0.02);
  EXPECT_LT(std::abs(error_of(c, "held out", "latency", "P99", true)), 0.05);
  EXPECT_THAT(c.notices, ::testing::Contains(HasSubstr("mean batch of a request")));
}

// From no time at all, and for a law with a spread, which is stretched.
TEST_F(Calibrations, LawsStartFromNothingOrAreStretched) {
  std::string zero = batches, law = batches;
  zero.replace(zero.find("10 ms"), 5, "0 s");
  law.replace(law.find("\"10 ms\""), 7,
              R"({"distribution": "gamma", "mean": "10 ms", "cv": 0.3, "max": "1 s"})");
  const Calibration c = calibrate(question(
      zero, log_of(batches, 0.02, {{"/services/s/per_item", "2 ms"}}, false)));
  expect_found(c, "service_time", 0.010, 0.05);
  expect_found(c, "per_item", 0.002, 0.1);

  CalibrateQuestion q = question(
      law, log_of(law, 0.02, {{"/services/s/service_time/mean", "17 ms"}}, false));
  q.parameters = {"service_time"};
  const Calibration stretched = calibrate(q);
  const CalibratedParameter& p = stretched.parameters[0];
  EXPECT_NEAR(p.after, 1.7, 0.04);
  EXPECT_THAT(p.value, HasSubstr(fmt::format(R"("mean": "{:.6f} us")", 1e4 * p.after)));
  EXPECT_THAT(p.value, HasSubstr(R"("cv": 0.3)"));
}

TEST_F(Calibrations, OperatorGraphs) {
  const std::string graph = R"({"isthmus": 1, "name": "vision", "duration": "20 s",
    "nodes": {"n": {"device": "nvidia-t4"}},
    "services": {"s": {"model": "resnet-50", "variant": "fp16", "on": "n",
                       "batching": {"policy": "greedy", "max_batch": 16}}},
    "workload": [{"rate": "300 /s"}]})";
  const std::string log = log_of(graph, 0.03,
                                 {{"/nodes/n/iteration_overhead", "2 ms"},
                                  {"/nodes/n/compute_efficiency", "0.2"}},
                                 false);
  CalibrateQuestion q = question(graph, log);
  q.parameters = {"compute_efficiency", "iteration_overhead"};
  const Calibration c = calibrate(q);
  expect_found(c, "compute_efficiency", 0.2, 0.05);
  expect_found(c, "iteration_overhead", 0.002, 0.05);
}

// Requests one at a time: a batch never has two, so that nothing tells the two times apart.
TEST_F(Calibrations, SaysWhatALogCannotTell) {
  std::string slow = batches;
  slow.replace(slow.find("80 /s"), 5, "1 /s\", \"source\": \"deterministic");
  slow.insert(slow.find("\"batching\""), R"("per_item": "1 ms", "request_overhead": "2 ms", )");
  const Calibration c =
      calibrate(question(slow, log_of(slow, 0.02, {{"/services/s/service_time", "30 ms"}}, false)));
  const CalibratedParameter& item = named(c, "per_item");
  const CalibratedParameter& front = named(c, "request_overhead");
  EXPECT_EQ(item.identified, models::Identified::confounded);
  EXPECT_EQ(front.identified, models::Identified::confounded);
  EXPECT_EQ(item.after, 0.001);
  EXPECT_EQ(front.after, 0.002);
  EXPECT_TRUE(std::isnan(item.standard_error));
  expect_found(c, "service_time", 0.030, 0.02);
  const std::string text = calibration_text(c);
  EXPECT_THAT(text, HasSubstr("per_item: kept: not to be told apart from service_time"));
}

TEST_F(Calibrations, BoundsHold) {
  // Faster than the roofline allows: the efficiency ends at 1, the overhead at 0.
  std::string log = "arrival,prompt_tokens,output_tokens,latency\n";
  for (int i = 0; i < 40; ++i) log += fmt::format("{},200,50,{}\n", i, 0.05 + 0.0001 * i);
  CalibrateQuestion q = question(llm, log);
  q.parameters = {"bandwidth_efficiency", "iteration_overhead"};
  const Calibration c = calibrate(q);
  EXPECT_EQ(c.parameters[0].identified, models::Identified::at_bound);
  EXPECT_EQ(c.parameters[0].after, 1);
  EXPECT_EQ(c.parameters[1].after, 0);
  EXPECT_THAT(calibration_text(c), HasSubstr("would be negative"));
}

TEST_F(Calibrations, IdenticalRequests) {
  std::string log = "arrival,latency\n";
  for (int i = 0; i < 30; ++i) log += fmt::format("{},0.030\n", i);
  CalibrateQuestion q = question(batches, log);
  q.parameters = {"service_time"};
  EXPECT_NEAR(calibrate(q).parameters[0].after, 0.030, 1e-5);
  log = "arrival,latency\n";
  for (int i = 0; i < 30; ++i) log += "5,0.030\n";
  EXPECT_NO_THROW(calibrate(question(batches, log)));
}

TEST_F(Calibrations, SplitsByTimeOrAtRandom) {
  const std::string log = log_of(batches, 0.05, {}, false);
  CalibrateQuestion q = question(batches, log);
  q.parameters = {"service_time"};
  q.fit_share = 0.25;
  const Calibration first = calibrate(q);
  EXPECT_NEAR(static_cast<double>(first.fitted), 0.25 * static_cast<double>(first.requests), 1);
  EXPECT_EQ(first.fitted + first.held_out, first.requests);
  q.random_split = true;
  const Calibration a = calibrate(q);
  EXPECT_EQ(calibration_json(a), calibration_json(calibrate(q))) << "not the same bytes";
  q.seed = 2;
  EXPECT_NE(calibration_json(a), calibration_json(calibrate(q)));
  q.threads = 1;
  q.seed = 1;
  EXPECT_EQ(calibration_text(a), calibration_text(calibrate(q)));
}

// What --out says is what was fitted, and it reads back.
TEST_F(Calibrations, WritesAScenarioThatExtends) {
  std::string noted = batches;
  noted.insert(1, "\"notes\": \"Ours.\", ");
  CalibrateQuestion q = question(noted, log_of(batches, 0.02, {{"/services/s/per_item", "3 ms"}}, false));
  q.set = {{"/services/s/batching/max_batch", "12"}};
  const Calibration c = calibrate(q);
  std::filesystem::create_directories(folder_.path() / "below");
  const auto out = folder_.path() / "below" / "calibrated.json";
  folder_.write("below/calibrated.json", calibrated_scenario(c, out));
  const LoadedScenario back = load(out);
  const auto& law = std::get<world::ServiceLaw>(back.scenario->services[0].work);
  EXPECT_NEAR(law.per_item, named(c, "per_item").after, 1e-9);
  EXPECT_NEAR(law.time.a, named(c, "service_time").after, 1e-9);
  EXPECT_EQ(back.scenario->services[0].batching.parameters->number("max_batch"), 12);
  EXPECT_THAT(back.scenario->notes, HasSubstr("Ours. Service \"s\" calibrated"));
  // The fit is at rest: a second one starts where the first one ended.
  q.scenario = out.string();
  q.set.clear();
  EXPECT_LT(calibrate(q).loss_before, c.loss_after * 1.001);

  Calibration listed = c;
  listed.settings.push_back({"/workload/0/rate", "\"2 /s\""});
  EXPECT_THROW(calibrated_scenario(listed, out), InputError);
}

TEST_F(Calibrations, RefusesWithTheFix) {
  const std::string log = log_of(batches, 0.05, {}, false);
  CalibrateQuestion q = question(batches, log);
  q.service = "t";
  EXPECT_THAT(refusal(q), HasSubstr("--service t: there is none"));
  q.service = "";
  q.parameters = {"compute_efficiency"};
  EXPECT_THAT(refusal(q), HasSubstr("service \"s\" has service_time, per_item, request_overhead"));
  q.parameters = {"per_item", "per_item"};
  EXPECT_THAT(refusal(q), HasSubstr("named twice"));
  q.parameters = {};
  for (const double share : {0.0, 1.0, -1.0, std::nan("")}) {
    q.fit_share = share;
    EXPECT_THAT(refusal(q), HasSubstr("must lie between 0 and 1"));
  }
  q.fit_share = 0.0001;
  EXPECT_THAT(refusal(q), HasSubstr("at least 5 and 1 are needed"));
  q.fit_share = 0.5;
  q.kv_blocks = 100;
  EXPECT_THAT(refusal(q), HasSubstr("runs no language model"));

  // Lengths that a language model must know, and that it can take.
  std::string times = "arrival,latency\n", longer = "arrival,prompt_tokens,output_tokens,latency\n";
  for (int i = 0; i < 20; ++i) times += fmt::format("{},1\n", i);
  for (int i = 0; i < 20; ++i) longer += fmt::format("{},{},10,1\n", i, i == 7 ? 131070 : 10);
  EXPECT_THAT(refusal(question(llm, times)), HasSubstr("log.csv:2: does not say how many prompt tokens"));
  EXPECT_THAT(refusal(question(llm, longer)),
              HasSubstr("log.csv:9: 131080 prompt and output tokens are more than the 131072 positions"));
  CalibrateQuestion tight = question(llm, longer.replace(longer.find("131070"), 6, "4000"));
  tight.kv_blocks = 65;
  EXPECT_THAT(refusal(tight), HasSubstr("log.csv:9: its 4000 prompt and 10 output tokens need more KV"));
  // Times that the service does not have.
  std::string first = "arrival,ttft\n";
  for (int i = 0; i < 20; ++i) first += fmt::format("{},1\n", i);
  EXPECT_THAT(refusal(question(batches, first)), HasSubstr("too few for 3 parameters"));
}

// The caches between prefill and decode pools travel over the scenario's network, 25 ms for 250 tokens.
TEST_F(Calibrations, PoolsKeepTheirNetwork) {
  const std::string apart = R"({"isthmus": 1, "name": "apart", "duration": "20 s", "seed": 5,
  "nodes": {"p": {"device": "nvidia-h100-sxm", "zone": "a"}, "d": {"device": "nvidia-h100-sxm", "zone": "b"}},
  "network": {"model": "fluid", "links": {"wan": {"bandwidth": "10 Gbps", "latency": "1 ms"}},
              "routes": [{"from": "a", "to": "b", "links": ["wan"]}]},
  "services": {"chat": {"model": "llama-3.1-8b", "on": "p",
    "pools": {"p": {"role": "prefill"}, "d": {"role": "decode", "on": "d"}}}},
  "workload": [{"rate": "4 /s", "clients": {"on": "p"}, "request": {
    "prompt_tokens": {"distribution": "uniform", "low": 100, "high": 400}, "output_tokens": 20}}]})";
  CalibrateQuestion q = question(apart, log_of(apart, 0, {{"/services/chat/request_overhead", "30 ms"}}, true));
  q.service = "chat";
  q.parameters = {"request_overhead"};
  const Calibration c = calibrate(q);
  EXPECT_LT(std::abs(error_of(c, "held out", "TPOT", "mean", false)), 0.01);
  EXPECT_NEAR(c.parameters[0].after, 0.030, 1e-4);
  q.service = "chat/p";
  EXPECT_THAT(refusal(q), HasSubstr("--service chat/p: is a pool of \"chat\"; requests reach that"));
}

// The server served everybody; a scenario that turns requests away says so.
TEST_F(Calibrations, TellsOfRequestsTurnedAway) {
  std::string small = batches;
  small.insert(small.find("\"batching\""), "\"queue\": {\"capacity\": 1}, ");
  const Calibration c = calibrate(question(small, log_of(batches, 0.02, {{"/services/s/service_time", "60 ms"}}, false)));
  EXPECT_THAT(c.notices, ::testing::Contains(HasSubstr("turned")));
}

// Arrivals, lengths and times of a real server, with the figures that the catalogue has for the
// machine: no kernel of it was timed.
TEST_F(Calibrations, LoggedVllmRun) {
  const auto log = isthmus::testing::shared_data() /
                   "data/measured_e2e/llmservingsim_vllm_bench/RTX4090/Llama-3.1-8B/vllm/requests.jsonl";
  if (!std::filesystem::exists(log)) GTEST_SKIP() << log << " is not there; set ISTHMUS_DATA";
  CalibrateQuestion q = question(R"({"isthmus": 1, "name": "vllm", "duration": "1 h",
      "nodes": {"gpu": {"device": "rtx-4090", "launch_overhead": "0 s", "bandwidth_efficiency": 0.8}},
    "services": {"llm": {"model": "llama-3.1-8b", "variant": "bf16", "on": "gpu",
      "batching": {"policy": "continuous", "max_batch": 256, "max_batched_tokens": 2048,
                   "block_size": 16, "reserve_prompt": true, "async_scheduling": true}}},
    "workload": [{"rate": "1 /s"}]})",
                                 "");
  q.measured = log.string();
  q.kv_blocks = 2588;
  const Calibration c = calibrate(q);
  EXPECT_EQ(c.format, "vllm");
  EXPECT_EQ(c.requests, 300U);
  for (const char* part : {"fit", "held out"})
    for (const char* metric : {"TTFT", "TPOT", "latency"}) {
      const double before = std::abs(error_of(c, part, metric, "mean", false)),
                   after = std::abs(error_of(c, part, metric, "mean", true));
      EXPECT_LT(after, before) << part << " " << metric;
      EXPECT_LT(after, 0.04) << part << " " << metric;
      EXPECT_LT(error_of(c, part, metric, "each", true), 0.06) << part << " " << metric;
    }
}

}  // namespace
}  // namespace isthmus::scenarios
