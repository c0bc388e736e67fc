// Published and traced schedules of LLM serving engines, step by step against the engine.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "devices/llm_engine.hpp"
#include "sim/core/random.hpp"
#include "tests/devices/engine_driver.hpp"
#include "tests/devices/synthetic_cost.hpp"
#include "tests/shared_data.hpp"

namespace isthmus::devices {
namespace {

using nlohmann::json;
using testing::TimedRequest;

using Tags = std::set<std::uint64_t>;
using Tokens = std::map<std::uint64_t, std::int64_t>;

// One iteration as a case lists it.
struct Step {
  double end_s = 0;
  Tokens scheduled;
  Tags preempted, first_tokens, finished;
};

constexpr auto iteration_base = Duration(10'000'000);
constexpr double token_s = 50e-6;

std::shared_ptr<const models::LlmCost> trace_cost() {
  static const auto cost = testing::linear_cost(iteration_base, token_s);
  return cost;
}

EngineLimits limits_of(const json& config) {
  EngineLimits l;
  l.max_batched_tokens = config.value("max_num_batched_tokens", 8192U);
  l.max_sequences = config.value("max_num_seqs", std::min(64U, l.max_batched_tokens));
  l.block_size = config.value("block_size", 16U);
  l.chunked_prefill = config.value("enable_chunked_prefill", true);
  l.kv_blocks = 1'000'000;
  if (config.contains("kv_blocks") && !config["kv_blocks"].is_null())
    l.kv_blocks = config["kv_blocks"].get<std::int64_t>();
  l.leap = false;
  return l;
}

// Runs an engine iteration by iteration over requests in order of arrival.
class Stepper {
 public:
  Stepper(const EngineLimits& limits, std::vector<TimedRequest> arrivals)
      : engine_(trace_cost(), limits), arrivals_(std::move(arrivals)) {}

  LlmEngine& engine() { return engine_; }

  //! The next iteration; false when everything is done.
  bool step(Step& out) {
    if (!engine_.has_work() && next_ < arrivals_.size()) now_ = std::max(now_, arrivals_[next_].at);
    arrive(now_);
    std::vector<Admission> admitted;
    const Instant end = engine_.begin(now_, admitted);
    if (end.is_never()) return false;
    out = {};
    for (const Share& s : engine_.scheduled()) out.scheduled[s.tag] += s.tokens;
    // A sequence that began and neither ended nor takes part has lost its place.
    for (const std::uint64_t tag : begun_)
      if (!out.scheduled.contains(tag) && !away_.contains(tag)) out.preempted.insert(tag);
    away_.insert(out.preempted.begin(), out.preempted.end());
    for (const auto& [tag, tokens] : out.scheduled) {
      begun_.insert(tag);
      away_.erase(tag);
    }
    arrive(end - Duration(1));
    std::vector<Progress> progress;
    engine_.finish(progress);
    now_ = end;
    out.end_s = end.seconds();
    for (const Progress& p : progress)
      if (p.what == Progress::What::first_token) {
        out.first_tokens.insert(p.tag);
      } else {
        out.finished.insert(p.tag);
        begun_.erase(p.tag);
      }
    return true;
  }

 private:
  void arrive(Instant until) {
    for (; next_ < arrivals_.size() && arrivals_[next_].at <= until; ++next_) {
      engine_.enqueue(arrivals_[next_].request);
      if (engine_.busy()) engine_.interrupt(arrivals_[next_].at);
    }
  }

  LlmEngine engine_;
  std::vector<TimedRequest> arrivals_;
  std::size_t next_ = 0;
  Instant now_;
  Tags begun_, away_;
};

// Requests 1, 2, ... at once.
std::vector<TimedRequest> prompts(const std::vector<std::int64_t>& lengths, std::int64_t output) {
  std::vector<TimedRequest> v;
  for (const std::int64_t n : lengths) v.push_back({Instant(), {v.size() + 1, n, 0, output}});
  return v;
}

Step first_step(const EngineLimits& limits, const std::vector<TimedRequest>& arrivals) {
  Stepper stepper(limits, arrivals);
  Step step;
  EXPECT_TRUE(stepper.step(step));
  return step;
}

// ---- handlers, one per kind of case ----------------------------------------------------------------

void traced(const json& in, const json& expected) {
  std::vector<TimedRequest> arrivals;
  std::map<std::string, std::uint64_t> tags;
  for (const json& r : in.at("requests")) {
    const std::uint64_t tag = arrivals.size() + 1;
    tags[r.at("id")] = tag;
    arrivals.push_back({Instant::from_seconds(r.at("t")), {tag, r.at("prompt"), 0, r.at("out")}});
  }
  const auto named = [&](const json& names) {
    Tags s;
    for (const json& name : names) s.insert(tags.at(name));
    return s;
  };
  Stepper stepper(limits_of(in.at("config")), arrivals);
  std::map<std::uint64_t, double> first, finish;
  std::size_t number = 0;
  for (const json& e : expected.at("steps")) {
    SCOPED_TRACE("step " + std::to_string(++number));
    Step step;
    ASSERT_TRUE(stepper.step(step));
    EXPECT_NEAR(step.end_s, e.at("t_end"), 1e-6);
    Tokens scheduled;
    for (const auto& [name, tokens] : e.at("scheduled").items()) scheduled[tags.at(name)] = tokens;
    EXPECT_EQ(step.scheduled, scheduled);
    EXPECT_EQ(step.preempted, named(e.at("preempted")));
    EXPECT_EQ(step.finished, named(e.at("finished")));
    for (const std::uint64_t tag : step.first_tokens) first[tag] = step.end_s;
    for (const std::uint64_t tag : step.finished) finish[tag] = step.end_s;
  }
  Step after;
  EXPECT_FALSE(stepper.step(after));
  for (const auto& [name, tag] : tags) {
    // Counted from the start of the trace, as the steps show.
    EXPECT_NEAR(first.at(tag), expected.at("ttft").at(name), 1e-6) << name;
    EXPECT_NEAR(finish.at(tag), expected.at("finish").at(name), 1e-6) << name;
  }
}

void all_at_once(const json& in, const json& expected) {
  Stepper stepper(limits_of(in), prompts(in.at("prompts"), 2));
  Step step;
  ASSERT_TRUE(stepper.step(step));
  EXPECT_EQ(step.scheduled.size(), expected.at("step1_scheduled"));
  std::vector<std::uint64_t> order;
  std::vector<Admission> none;
  stepper.engine().begin(Instant::from_seconds(step.end_s), none);
  for (const Share& s : stepper.engine().scheduled()) order.push_back(s.tag - 1);
  EXPECT_EQ(json(order), expected.at("running_order"));
}

void order_without_chunks(const json& in, const json& expected) {
  const auto requests = prompts(in.at("prompts"), 2);
  EngineLimits l = limits_of(in);
  const Step whole = first_step(l, requests);
  EXPECT_EQ(whole.scheduled.size(), expected.at("num_new"));
  for (const auto& [tag, tokens] : expected.at("step1").items())
    EXPECT_EQ(whole.scheduled.at(std::stoull(tag)), tokens);
  // "chunked on fills the budget"
  l.chunked_prefill = true;
  EXPECT_EQ(first_step(l, requests).scheduled, (Tokens{{1, 800}, {2, 224}}));
}

void chunks(const json& in, const json& expected) {
  Stepper stepper(limits_of(in), prompts(in.at("prompts"), 3));
  for (const json& tokens : expected.at("steps")) {
    Step step;
    ASSERT_TRUE(stepper.step(step));
    EXPECT_EQ(step.scheduled, (Tokens{{1, tokens.get<std::int64_t>()}}));
  }
}

void budget_exhausted(const json& in, const json& expected) {
  EXPECT_EQ(first_step(limits_of(in), prompts(in.at("prompts"), 2)).scheduled,
            (Tokens{{1, expected.at("step1").at("a").get<std::int64_t>()}}));
}

void decodes_first(const json& in, const json& expected) {
  std::vector<TimedRequest> arrivals;
  for (const json& r : in.at("requests"))
    // A request of a later step arrives during the step before it.
    arrivals.push_back(
        {Instant(r.at("arrives_step").get<int>()), {arrivals.size() + 1, r.at("prompt"), 0, 10}});
  Stepper stepper(limits_of(in), arrivals);
  Step step;
  ASSERT_TRUE(stepper.step(step));
  EXPECT_EQ(step.scheduled, (Tokens{{1, arrivals[0].request.prompt}}));
  for (const json& e : expected.at("steps")) {
    ASSERT_TRUE(stepper.step(step));
    EXPECT_EQ(step.scheduled, (Tokens{{1, e.at("dec0")}, {2, e.at("chk0")}}));
  }
}

void preempt_last(const json& in, const json& expected) {
  EngineLimits l = limits_of(in);
  l.kv_blocks = in.at("num_blocks").get<std::int64_t>() - in.at("null_block").get<std::int64_t>();
  const auto lengths = in.at("prompts").get<std::vector<std::int64_t>>();
  // vLLM's test starts the second prompt before the first one's output is there. Here an iteration
  // sees the outputs of all before it: both prompts run in one, with a budget for both...
  const std::uint32_t both = static_cast<std::uint32_t>(
      std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  // ... or the second one is cut, and finds no blocks beside the first one's decode.
  for (const std::uint32_t budget : {both, in.at("max_num_batched_tokens").get<std::uint32_t>()}) {
    SCOPED_TRACE("budget " + std::to_string(budget));
    l.max_batched_tokens = budget;
    Stepper stepper(l, prompts(lengths, 3));
    LlmEngine& engine = stepper.engine();
    Step step;
    ASSERT_TRUE(stepper.step(step));
    if (budget == both) {
      EXPECT_EQ(engine.free_blocks(), l.kv_blocks - 2 * expected.at("blocks_each").get<int>());
    }
    ASSERT_TRUE(stepper.step(step));
    EXPECT_EQ(json(std::to_string(*step.preempted.begin() - 1)), expected.at("preempted"));
    EXPECT_EQ(step.preempted.size(), 1U);
    EXPECT_EQ(step.scheduled, (Tokens{{1, 1}}));
    EXPECT_EQ(engine.running(), expected.at("running").size());
    EXPECT_EQ(engine.waiting(), 1U);
    // First in line, and nothing of it is left: it runs as soon as the first has ended, from its start.
    engine.enqueue({9, 10, 0, 1});
    do {
      ASSERT_TRUE(stepper.step(step));
    } while (!step.scheduled.contains(2));
    EXPECT_EQ(expected.at("preempted_num_computed_tokens"), 0);
    const std::int64_t emitted = budget == both ? 1 : 0;
    EXPECT_EQ(step.scheduled.at(2), lengths[1] + emitted);
    EXPECT_EQ(expected.at("preempted_goes_to"), "head of waiting queue");
    EXPECT_LE(step.scheduled.at(2) + step.scheduled[9], budget);
  }
}

void prefix_blocks(const json& in, const json& expected) {
  EngineLimits l = limits_of(in);
  l.kv_blocks = in.at("usable_blocks");
  l.reserve_prompt = l.prefix_caching = true;
  LlmEngine engine(trace_cost(), l);
  const std::vector<std::uint64_t> common{7, 8, 9};
  const std::int64_t shared = 3 * l.block_size;
  std::uint64_t before = 0;
  const auto begin = [&](std::uint64_t tag, std::int64_t prompt, std::int64_t output,
                         const std::vector<std::uint64_t>& prefix) {
    engine.enqueue({tag, prompt, 0, output, prefix});
    std::vector<Admission> admitted;
    const std::int64_t free = engine.free_blocks();
    engine.begin(Instant(), admitted);
    EXPECT_EQ(admitted.size(), 1U);
    EXPECT_EQ(json(engine.counters().cached_tokens - before), expected.at("hit_tokens").at(tag));
    before = engine.counters().cached_tokens;
    return free - engine.free_blocks();  // taken, idle contents included
  };
  const auto finish = [&] {
    std::vector<Progress> progress;
    engine.finish(progress);
  };
  const auto fresh = [&](std::size_t i) {
    return static_cast<std::int64_t>(expected.at("new_blocks").at(i).size());
  };
  // Request 1 arrives while 0 runs; both end with the same iteration.
  EXPECT_EQ(begin(0, shared + 7, 2, common), fresh(0));
  finish();
  EXPECT_EQ(begin(1, shared + 5, 1, common), fresh(1));
  EXPECT_EQ(engine.free_blocks(), expected.at("free_after_1"));
  finish();
  EXPECT_EQ(engine.running(), 0U);
  EXPECT_EQ(begin(2, shared + 6, 1, common), 3 + fresh(2));
  finish();
  EXPECT_EQ(engine.free_blocks(), l.kv_blocks);

  // The order of free blocks shows in what a prompt that takes `taken` of them leaves of the common
  // beginning, whose blocks are vLLM's 1, 2, 3.
  const auto& order = expected.at("free_order_after_free");
  for (std::int64_t taken = 1; taken < l.kv_blocks; ++taken) {
    LlmEngine probe(trace_cost(), l);
    std::vector<Admission> admitted;
    std::vector<Progress> progress;
    std::uint64_t tag = 0;
    const auto run = [&](std::int64_t prompt, const std::vector<std::uint64_t>& prefix) {
      probe.enqueue({tag++, prompt, 0, 1, prefix});
      probe.begin(Instant(), admitted);
      probe.finish(progress);
    };
    run(shared + 7, common);
    run(taken * l.block_size, {});
    const std::uint64_t hits = probe.counters().cached_tokens;
    run(shared + 1, common);
    std::int64_t left = 0;
    const auto position = [&](int id) {
      return std::find(order.begin(), order.end(), id) - order.begin();
    };
    while (left < 3 && position(static_cast<int>(left) + 1) >= taken) ++left;
    EXPECT_EQ(probe.counters().cached_tokens - hits, static_cast<std::uint64_t>(left * l.block_size)) << taken;
  }
  EXPECT_EQ(begin(3, l.kv_blocks * l.block_size, 1, {}), fresh(3));
  finish();
}

void blocks_without_cache(const json& in, const json& expected) {
  EngineLimits l = limits_of(in);
  l.kv_blocks = in.at("usable_blocks");
  LlmEngine engine(trace_cost(), l);
  std::vector<Admission> admitted;
  std::vector<Progress> progress;
  const json& requests = in.at("requests");
  // The first ends before the second begins; the third comes while the second runs.
  engine.enqueue({0, requests[0], 0, 1});
  engine.begin(Instant(), admitted);
  EXPECT_EQ(l.kv_blocks - engine.free_blocks(), expected.at("blocks").at(0));
  engine.finish(progress);
  engine.enqueue({1, requests[1], 0, 1});
  engine.enqueue({2, requests[2], 0, 1});
  admitted.clear();
  engine.begin(Instant(), admitted);
  EXPECT_EQ(l.kv_blocks - engine.free_blocks(), expected.at("blocks").at(1));
  EXPECT_TRUE(expected.at("blocks").at(2).is_null());
  EXPECT_EQ(admitted.size(), 1U);
  EXPECT_EQ(engine.waiting(), 1U);
  for (const json& hits : expected.at("hits")) EXPECT_EQ(engine.counters().cached_tokens, hits);
}

void full_hit(const json& in, const json& expected) {
  EngineLimits l = limits_of(in);
  l.reserve_prompt = l.prefix_caching = true;
  LlmEngine engine(trace_cost(), l);
  std::vector<Admission> admitted;
  std::vector<Progress> progress;
  for (std::uint64_t tag = 0; tag < 2; ++tag) {
    engine.enqueue({tag, in.at("prompt_tokens"), 0, 1, {5, 6}});
    engine.begin(Instant(), admitted);
    engine.finish(progress);
  }
  EXPECT_EQ(engine.counters().cached_tokens, expected.at("hit_tokens"));
}

void kv_capacity(const json& in, const json& expected) {
  models::LlmShape shape;
  shape.name = "case";
  shape.layers = in.at("layers");
  shape.kv_heads = shape.heads = in.at("kv_heads");
  shape.head_dim = in.at("head_dim");
  shape.hidden = shape.ffn = shape.vocab = 1;
  models::LlmVariant variant;
  variant.kv = in.at("bytes_per_elem") == 1 ? models::Precision::fp8 : models::Precision::bf16;
  models::ComputeUnit unit;
  unit.name = "gpu";
  unit.peak[static_cast<std::size_t>(models::Precision::bf16)] = 1e15;
  unit.memory_bandwidth = 3e12;
  unit.memory = in.at("gpu_GB_total").get<double>() * 1e9;
  const double utilization = in.at("gpu_memory_utilization");
  const models::LlmCost bare(shape, variant, unit);
  EXPECT_EQ(bare.kv_bytes_per_token(), expected.at("kv_bytes_per_token"));
  // The case keeps nothing for activations: what the cost model keeps comes on top of the memory, as
  // does what the case has more in weights. 5 % of the memory are part of it.
  const double room = unit.memory * utilization - in.at("weights_GB").get<double>() * 1e9;
  const double kept = bare.workspace_bytes() - 0.05 * unit.memory + bare.weight_bytes();
  unit.memory = (room + kept) / (utilization - 0.05);
  const auto cost = std::make_shared<const models::LlmCost>(shape, variant, unit);

  EngineLimits l = limits_of(in);
  l.kv_blocks = cost->kv_capacity_tokens(utilization) / l.block_size;
  l.max_sequences = 1000;
  l.max_batched_tokens = 10'000'000;
  EXPECT_EQ(l.kv_blocks, expected.at("num_blocks"));
  EXPECT_EQ(l.kv_blocks * l.block_size, expected.at("max_tokens"));
  LlmEngine engine(cost, l);
  for (std::uint64_t tag = 0; tag < l.max_sequences; ++tag) engine.enqueue({tag, 4096, 0, 1});
  std::vector<Admission> admitted;
  engine.begin(Instant(), admitted);
  EXPECT_EQ(admitted.size(), expected.at("max_seqs_4k"));
}

// One prompt token counts like one decode: `out` iterations per request.
void batching_level(const json& in, const json& expected) {
  EngineLimits l = limits_of(json::object());
  l.max_sequences = in.at("max_batch");
  std::vector<TimedRequest> arrivals;
  for (const json& r : in.at("requests"))
    arrivals.push_back(
        {Instant::from_seconds(r.at("arrival")), {arrivals.size(), 1, 0, r.at("out")}});
  const auto run = [&](const char* expectation, Scheduling scheduling) {
    SCOPED_TRACE(expectation);
    l.scheduling = scheduling;
    LlmEngine engine(testing::linear_cost(Duration(20'000'000), 1e-3), l);
    const auto dates = testing::drive(engine, arrivals);
    for (std::size_t i = 0; i < arrivals.size(); ++i)
      EXPECT_NEAR((dates.at(i).completed - arrivals[i].at).seconds(),
                  expected.at(expectation).at(i), 1e-6)
          << "request " << i;
  };
  run("iteration_level_latency", Scheduling::orca);
  run("iteration_level_latency", Scheduling::decode_first);
  run("static_latency", Scheduling::static_batch);
}

TEST(ServingTruth, EveryEngineCasePasses) {
  const auto path = isthmus::testing::shared_data() / "truth/serving_schedulers.json";
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << path << " is missing; ISTHMUS_DATA names the folder of shared data";
  const json cases = json::parse(file);

  const std::map<std::string, std::function<void(const json&, const json&)>> handlers{
      {"vllm_schedule_all", all_at_once},
      {"vllm_schedule_order_chunked_False", order_without_chunks},
      {"vllm_chunk_500_256", chunks},
      {"vllm_budget_exhausted", budget_exhausted},
      {"vllm_decode_first", decodes_first},
      {"vllm_preempt_recompute", preempt_last},
      {"vllm_trace_two_long", traced},
      {"vllm_trace_late_prefill_stalls_little", traced},
      {"vllm_trace_no_chunk_stall", traced},
      {"vllm_trace_kv_wait_admission", traced},
      {"vllm_prefix_prefill", prefix_blocks},
      {"vllm_prefix_disabled", blocks_without_cache},
      {"vllm_full_hit_47", full_hit},
      {"kv_llama3_8b_h100_80", kv_capacity},
      {"kv_llama3_70b_fp8_h200", kv_capacity},
      {"orca_vs_static", batching_level},
  };
  // Batching of whole requests: tests/schedulers/test_batching.cpp runs or names them.
  std::size_t elsewhere = 0, ran = 0;
  for (const json& c : cases.at("cases")) {
    const std::string id = c.at("id");
    SCOPED_TRACE(id);
    if (id.starts_with("triton_") || id.starts_with("tfserving_")) {
      ++elsewhere;
      continue;
    }
    const auto handler = handlers.find(id);
    if (handler == handlers.end()) {
      ADD_FAILURE() << "no handler for this case";
      continue;
    }
    handler->second(c.at("inputs"), c.at("expected"));
    ++ran;
  }
  EXPECT_EQ(ran, handlers.size());
  EXPECT_EQ(ran + elsewhere, cases.at("cases").size());
}

// ---- continuous batching as a queue ----------------------------------------------------------------

// Requests of one prompt token each: the first of its `out` iterations is like the others.
std::shared_ptr<const models::LlmCost> decode_cost(double base_s, double per_sequence_s) {
  return testing::linear_cost(Duration::from_seconds(base_s), per_sequence_s);
}

void decode_trace(const json& in, const json& expected) {
  std::vector<TimedRequest> arrivals;
  for (const json& r : in.at("requests"))
    arrivals.push_back({Instant::from_seconds(r.at("arrival")),
                        {arrivals.size(), 1, 0, r.at("output_tokens")}});
  EngineLimits l = limits_of(in);
  l.leap = true;
  LlmEngine engine(decode_cost(in.at("b"), in.at("a")), l);
  const auto dates = testing::drive(engine, arrivals);
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    EXPECT_NEAR(dates.at(i).first_token.seconds(), expected.at("first_token").at(i), 1e-9);
    EXPECT_NEAR(dates.at(i).completed.seconds(), expected.at("finish").at(i), 1e-9);
  }
  EXPECT_EQ(engine.counters().iterations, expected.at("iterations"));
}

// Poisson arrivals and geometric outputs against the birth-death chain of the case.
void decode_queue(const json& in, const json& expected) {
  constexpr std::size_t requests = 60'000;
  Rng g(20);
  std::vector<TimedRequest> arrivals;
  Instant t;
  const double rate = in.at("rate"), mean = in.at("mean_output_tokens");
  for (std::size_t i = 0; i < requests; ++i) {
    t += Duration::from_seconds(sample_exponential(g, 1 / rate));
    const double draw = std::log1p(-uniform01(g)) / std::log1p(-1 / mean);
    arrivals.push_back({t, {i, 1, 0, std::max<std::int64_t>(1, std::llround(std::ceil(draw)))}});
  }
  EngineLimits l = limits_of(in);
  l.leap = true;
  const double base = in.at("iter_time_base"), each = in.at("iter_time_per_seq");
  LlmEngine engine(decode_cost(base, each), l);
  const auto dates = testing::drive(engine, arrivals);
  double stay = 0, wait = 0;
  for (const auto& a : arrivals) {
    stay += (dates.at(a.request.tag).completed - a.at).seconds() / requests;
    wait += (dates.at(a.request.tag).started - a.at).seconds() / requests;
  }
  constexpr double off = 0.04;  // the tolerance of these cases
  EXPECT_NEAR(stay, expected.at("W"), off * expected.at("W").get<double>());
  // Admission waits for the end of an iteration, which the limit leaves out.
  const double iteration = base + each * expected.at("mean_running").get<double>();
  EXPECT_LE(wait, expected.at("Wq").get<double>() * 1.25 + iteration);
  const double running = static_cast<double>(engine.counters().sequence_steps) /
                         static_cast<double>(engine.counters().iterations);
  EXPECT_NEAR(running, expected.at("mean_running"), off * running);
}

TEST(ServingTruth, ContinuousBatchingQueuesPass) {
  const auto path = isthmus::testing::shared_data() / "truth/batch_queue.json";
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << path << " is missing; ISTHMUS_DATA names the folder of shared data";
  const json cases = json::parse(file);
  int ran = 0;
  for (const json& c : cases.at("cases")) {
    const std::string id = c.at("id");
    SCOPED_TRACE(id);
    if (id.starts_with("contbatch_"))
      decode_queue(c.at("inputs"), c.at("expected"));
    else if (id.starts_with("trace_contbatch"))
      decode_trace(c.at("inputs"), c.at("expected"));
    else
      continue;
    ++ran;
  }
  EXPECT_GE(ran, 8);
}

}  // namespace
}  // namespace isthmus::devices
