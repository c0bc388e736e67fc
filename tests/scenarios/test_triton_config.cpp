// config.pbtxt of Triton as a batching policy: what is read, what is refused and where, and that no
// broken file does harm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/reader.hpp"
#include "scenarios/text_proto.hpp"
#include "scenarios/triton_config.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* whole_config = R"pb(
# As of a model repository.
name: "bert" ' base'
platform: "onnxruntime_onnx"
max_batch_size: 32
input [
  { name: "ids" data_type: TYPE_INT64 dims: [ -1 ] },
  { name: "mask" data_type: TYPE_INT64 dims: [ -1 ] reshape: { shape: [ ] } }
]
output { name: "logits", data_type: TYPE_FP32; dims: 2 }
instance_group [
  { count: 2 kind: KIND_GPU gpus: [ 0, 1 ] },
  { count: 1 kind: KIND_CPU },
  { count: 7 passive: true }
]
dynamic_batching <
  preferred_batch_size: [ 8, 16 ]
  preferred_batch_size: 0x18
  max_queue_delay_microseconds: 100
  preserve_ordering: true
  priority_levels: 2
  default_priority_level: 2
  default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 5000 max_queue_size: 64 }
  priority_queue_policy {
    key: 1
    value: { timeout_action: REJECT, default_timeout_microseconds: 2000, allow_timeout_override: true }
  }
>
optimization { cuda { graphs: true } }
parameters: { key: "threads" value: { string_value: "4" } }
model_warmup [{ name: "w" batch_size: 1 }]
version_policy: { latest { num_versions: 1 } }
)pb";

std::string reason_of(const std::string& content) {
  try {
    parse_triton_config(content, "config.pbtxt");
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

TEST(TritonConfig, IsReadUnchanged) {
  const TritonConfig c = parse_triton_config(whole_config, "config.pbtxt");
  EXPECT_EQ(c.policy, "dynamic");
  EXPECT_EQ(c.instances, 5u);
  EXPECT_EQ(c.parameters.number("max_batch"), 32);
  EXPECT_THAT(c.parameters.list("preferred"), ElementsAre(8, 16, 24));
  EXPECT_DOUBLE_EQ(c.parameters.number("max_queue_delay"), 1e-4);
  EXPECT_EQ(c.parameters.number("priority_levels"), 2);
  EXPECT_EQ(c.parameters.number("default_priority_level"), 2);
  EXPECT_THAT(c.parameters.list("level_delays"), ElementsAre(0, 1));
  EXPECT_THAT(c.parameters.list("level_timeout"), ElementsAre(0.002, 0.005));
  EXPECT_THAT(c.parameters.list("level_override"), ElementsAre(1, 0));
  EXPECT_THAT(c.parameters.list("level_queue_size"), ElementsAre(0, 64));
  EXPECT_THAT(c.ignored, ElementsAre("dynamic_batching.preserve_ordering", "model_warmup", "optimization",
                                     "parameters"));
  EXPECT_NE(schedulers::find_entry(schedulers::batching_policies(), c.policy).make(c.parameters), nullptr);
}

TEST(TritonConfig, WithoutADynamicBatcherRequestsRunAlone) {
  EXPECT_EQ(parse_triton_config("max_batch_size: 8", "c").policy, "none");
  EXPECT_EQ(parse_triton_config("", "c").instances, 1u);
  EXPECT_THAT(parse_triton_config("sequence_batching { }", "c").ignored, ElementsAre("sequence_batching"));
  const TritonConfig empty = parse_triton_config("max_batch_size: 8 dynamic_batching { }", "c");
  EXPECT_EQ(empty.policy, "dynamic");
  EXPECT_TRUE(empty.parameters.list("preferred").empty());
}

TEST(TritonConfig, RefusesWhatIsNoTextFormatWithItsPlace) {
  EXPECT_THAT(reason_of("max_batch_size: "), HasSubstr("config.pbtxt:1:1: the file ends before the value"));
  EXPECT_THAT(reason_of("max_batch_size 8"), HasSubstr("config.pbtxt:1:16: \":\" or \"{\" is expected"));
  EXPECT_THAT(reason_of("\n  dynamic_batching {"), HasSubstr("config.pbtxt:2:3: \"dynamic_batching\" is not closed: \"}\" is missing"));
  EXPECT_THAT(reason_of("dynamic_batching { }\n}"), HasSubstr("config.pbtxt:2:1: \"}\" closes nothing"));
  EXPECT_THAT(reason_of("name: \"bert\nbackend: \"x\""), HasSubstr("config.pbtxt:1:7: the text is not closed"));
  EXPECT_THAT(reason_of("max_batch_size: 8x"), HasSubstr("config.pbtxt:1:17: \"8x\" is not a number"));
  EXPECT_THAT(reason_of("max_batch_size: 99999999999999999999"), HasSubstr("does not fit into 64 bits"));
  EXPECT_THAT(reason_of("{\"max_batch_size\": 8}"), HasSubstr("a field name is expected"));
  EXPECT_THAT(reason_of("input [ { name: \"a\" } { name: \"b\" } ]"), HasSubstr("\",\" or \"]\""));
  EXPECT_THAT(reason_of("dynamic_batching { preferred_batch_size: [4, 8 }"), HasSubstr("config.pbtxt:1:48: \",\" or \"]\""));
  EXPECT_THAT(reason_of("[google.protobuf.Any] { }"), HasSubstr("extensions"));
  EXPECT_THAT(reason_of(std::string(200, '{').insert(0, "a")), HasSubstr("field name"));
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "a{";
  EXPECT_THAT(reason_of(deep), HasSubstr("nested too deeply"));
}

TEST(TritonConfig, RefusesWhatTritonRefuses) {
  EXPECT_THAT(reason_of("max_batchsize: 8"), HasSubstr("config.pbtxt:1:1: the model configuration has no field \"max_batchsize\"; did you mean \"max_batch_size\"?"));
  EXPECT_THAT(reason_of("max_batch_size: 8\nmax_batch_size: 9"), HasSubstr("config.pbtxt:2:1: \"max_batch_size\" stands twice"));
  EXPECT_THAT(reason_of("max_batch_size: -1"), HasSubstr("must be between 0 and 2147483647"));
  EXPECT_THAT(reason_of("max_batch_size: 8.5"), HasSubstr("is a decimal number; it must be a whole number"));
  EXPECT_THAT(reason_of("max_batch_size: \"8\""), HasSubstr("is a text in quotes"));
  EXPECT_THAT(reason_of("max_batch_size: 8 dynamic_batching { preferred_batch_size: 16 }"), HasSubstr("preferred_batch_size 16 must be between 1 and max_batch_size, which is 8"));
  EXPECT_THAT(reason_of("dynamic_batching { preferred_batch_size: 4 }"), HasSubstr("not above 0"));
  EXPECT_THAT(reason_of("dynamic_batching { priority_levels: 3 }"), HasSubstr("default_priority_level must be between 1 and 3"));
  EXPECT_THAT(reason_of("dynamic_batching { priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 3 value { } } }"), HasSubstr("between 1 and 2"));
  EXPECT_THAT(reason_of("dynamic_batching { default_queue_policy { timeout_action: REJCT } }"), HasSubstr("did you mean \"REJECT\"?"));
  EXPECT_THAT(reason_of("dynamic_batching { preserve_ordering: yes }"), HasSubstr("must be true or false"));
  EXPECT_THAT(reason_of("dynamic_batching: 3"), HasSubstr("must be a message in braces"));
  EXPECT_THAT(reason_of("dynamic_batching { } sequence_batching { }"), HasSubstr("a model has one scheduler"));
  EXPECT_THAT(reason_of("instance_group { kind: KIND_TPU }"), HasSubstr("KIND_"));
  EXPECT_THAT(reason_of("instance_group { count: 2000000000 }"), HasSubstr("10000 instances"));
  EXPECT_THAT(reason_of("dynamic_batching { max_queue_delay_microseconds: 18446744073709551615 }"), HasSubstr("3600 s"));
  // Several slips at once are all shown.
  const std::string both = reason_of("naem: \"x\"\nmax_batch_size: true");
  EXPECT_THAT(both, HasSubstr("config.pbtxt:1:1"));
  EXPECT_THAT(both, HasSubstr("config.pbtxt:2:17"));
}

// Every prefix, and files with bytes lost, doubled or changed: a configuration or a clear error.
TEST(TritonConfig, NoBrokenFileDoesHarm) {
  const std::string sound = whole_config;
  int refused = 0;
  const auto read = [&](const std::string& content) {
    try {
      const TritonConfig c = parse_triton_config(content, "config.pbtxt");
      schedulers::find_entry(schedulers::batching_policies(), c.policy).make(c.parameters);
    } catch (const InputError& e) {
      ++refused;
      for (const std::string& p : e.problems()) ASSERT_TRUE(p.starts_with("config.pbtxt:")) << p;
    }
  };
  for (std::size_t n = 0; n < sound.size(); ++n) read(sound.substr(0, n));
  Rng g = StreamKey(21, "pbtxt").sequence();
  for (int i = 0; i < 20'000; ++i) {
    std::string s = sound;
    for (std::uint64_t k = 1 + uniform_index(g, 4); k > 0; --k) {
      const std::size_t at = uniform_index(g, s.size());
      switch (uniform_index(g, 4)) {
        case 0: s.erase(at, 1 + uniform_index(g, 20)); break;
        case 1: s.insert(at, s.substr(uniform_index(g, s.size()), uniform_index(g, 40))); break;
        case 2: s[at] = static_cast<char>(uniform_index(g, 256)); break;
        default: s[at] = "{}[]<>:,;\"'#-.0\\\n"[uniform_index(g, 17)]; break;
      }
    }
    read(s);
  }
  EXPECT_GT(refused, 15'000);
}

// ---- in a scenario ---------------------------------------------------------------------------------

std::string scenario_with(const std::string& service) {
  return R"({"isthmus": 1, "name": "t", "duration": "20 s", "nodes": {"m": {"device": "nvidia-a100-80g"}},
    "services": {"s": {"on": "m", "service_time": "10 ms", )" + service + R"(}},
    "workload": [{"source": "poisson", "rate": "300 /s", "target": "s", "clients": {"on": "m"}}]})";
}

TEST(TritonConfig, MakesTheBatcherOfAService) {
  const testing::TemporaryFolder folder;
  folder.write("config.pbtxt", whole_config);
  const auto loaded = load_text(
      scenario_with(R"("batching": {"policy": "triton", "config": "config.pbtxt"})"), {}, "t", folder.path());
  const world::Service& s = loaded.scenario->services[0];
  EXPECT_EQ(s.slots, 5u);
  EXPECT_EQ(s.batching.policy->name, "dynamic");
  EXPECT_EQ(s.batching.parameters->number("priority_levels"), 2);
  ASSERT_EQ(loaded.scenario->notices.size(), 1u);
  EXPECT_THAT(loaded.scenario->notices[0], HasSubstr("not simulated of its config.pbtxt: dynamic_batching.preserve_ordering, model_warmup"));
  const auto fewer = load_text(
      scenario_with(R"("slots": 2, "batching": {"policy": "triton", "config": "config.pbtxt"})"), {}, "t",
      folder.path());
  EXPECT_EQ(fewer.scenario->services[0].slots, 2u);
  EXPECT_THAT(fewer.scenario->notices[0], HasSubstr("has 5 instances"));
}

TEST(TritonConfig, AScenarioSaysWhereItsConfigurationIsWrong) {
  const testing::TemporaryFolder folder;
  folder.write("config.pbtxt", "max_batch_size: 8\ndynamic_batching { max_delay: 3 }");
  try {
    load_text(scenario_with(R"("batching": {"policy": "triton", "config": "config.pbtxt"})"), {}, "t", folder.path());
    FAIL();
  } catch (const InputError& e) {
    EXPECT_THAT(e.what(), HasSubstr("/services/s/batching/config: "));
    EXPECT_THAT(e.what(), HasSubstr("config.pbtxt:2:20: dynamic_batching has no field \"max_delay\""));
  }
  EXPECT_THROW(load_text(scenario_with(R"("batching": {"policy": "triton", "config": "none.pbtxt"})"), {}, "t",
                         folder.path()), InputError);
  EXPECT_THROW(load_text(scenario_with(R"("batching": "triton")"), {}, "t", folder.path()), InputError);
}

}  // namespace
}  // namespace isthmus::scenarios
