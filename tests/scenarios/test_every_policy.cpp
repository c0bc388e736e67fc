// Every registered policy in a run of a shipped scenario: requests keep their order of events, none is lost, and the
// same run comes out again. Whoever adds a policy is in here without another line.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "schedulers/registry.hpp"
#include "sim/world/run.hpp"
#include "scenarios/reader.hpp"

namespace isthmus::scenarios {
namespace {

struct Case {
  std::string name, file;
  std::vector<Override> overrides;
};

std::filesystem::path shipped(const std::string& file) {
  return std::filesystem::path(ISTHMUS_SOURCE_DIR) / "scenarios" / file;
}

// The dates of one request, in their order; stages that it did not reach are left out.
void check_dates(const results::RequestRecord& r) {
  Instant last = r.created;
  for (const Instant at : {r.sent, r.arrived, r.started, r.served, r.completed}) {
    if (at.is_never()) continue;
    ASSERT_GE(at, last) << "request " << r.request;
    last = at;
  }
}

results::Summary run_once(const world::Scenario& scenario) {
  std::set<std::uint64_t> ended;
  std::uint64_t again = 0;
  world::RunOptions options;
  options.on_request = [&](const results::RequestRecord& r) {
    again += ended.insert(r.request).second ? 0 : 1;
    check_dates(r);
  };
  const results::Summary s = world::run(scenario, options);
  EXPECT_EQ(again, 0U);
  EXPECT_EQ(ended.size(), s.created);
  return s;
}

void check(const Case& c) {
  SCOPED_TRACE(c.name);
  const LoadedScenario loaded = load(shipped(c.file), c.overrides);
  const results::Summary s = run_once(*loaded.scenario);
  EXPECT_EQ(s.created, s.completed + s.rejected + s.failed + s.in_flight);
  EXPECT_GT(s.completed, 0U);
  for (const results::ServiceTotals& t : s.services) {
    EXPECT_GE(t.utilization, 0) << t.name;
    EXPECT_LE(t.utilization, 1 + 1e-9) << t.name;
  }
  EXPECT_EQ(run_once(*loaded.scenario).fingerprint, s.fingerprint);
}

template <class Policy>
void check_all(const std::string& kind, const std::vector<schedulers::PolicyEntry<Policy>>& table, const std::string& file,
               const std::string& pointer, const std::string& duration,
               const std::vector<std::string>& more = {}, const std::string& extra = "") {
  ASSERT_FALSE(table.empty());
  for (const auto& entry : table) {
    Case c{kind + " " + entry.name, file, {}};
    const std::string policy = "{\"policy\": \"" + entry.name + "\"" + extra + "}";
    if (pointer.ends_with("/admission")) {
      c.overrides.push_back({pointer, "[" + policy + "]"});
    } else {
      c.overrides.push_back({pointer, "null"});  // and with it the parameters of another one
      c.overrides.push_back({pointer, policy});
    }
    c.overrides.push_back({"/duration", duration});
    c.overrides.push_back({"/warmup", "1 s"});
    for (const std::string& m : more) c.overrides.push_back(split_override(m));
    check(c);
  }
}

TEST(EveryPolicy, Offload) {
  check_all("offload", schedulers::offload_policies(), "tournament/steady.json", "/offload", "20 s", {},
            R"(, "candidates": ["on-phone", "on-edge", "on-cloud"], "fallback": "on-phone", "bandwidth": "measured", "reward": {})");
}

TEST(EveryPolicy, Routing) {
  check_all("routing", schedulers::routing_policies(), "tournament/steady.json", "/services/on-edge/routing", "20 s",
            {"/offload/policy=always-edge"});
}

TEST(EveryPolicy, Batching) {
  check_all("batching", schedulers::batching_policies(), "examples/batching_policies.json", "/services/bert/batching", "10 s");
}

TEST(EveryPolicy, Autoscaling) {
  check_all("autoscaling", schedulers::autoscaling_policies(), "examples/autoscaling_hpa.json", "/services/api/autoscaling", "400 s");
}

TEST(EveryPolicy, Admission) {
  check_all("admission", schedulers::admission_policies(), "reference/r37_tenants.json",
            "/services/detector/admission", "10 s", {}, R"(, "per": "tenant")");
}

TEST(EveryPolicy, Placement) {
  check_all("placement", schedulers::placement_policies(), "reference/r39_placement.json", "/services/small/placement", "120 s",
            {}, R"(, "requests": {"accelerators": 1})");
}

TEST(EveryPolicy, ListSchedulers) {
  check_all("list-scheduler", schedulers::list_schedulers(), "examples/phone_units.json", "/services/classifier/scheduler", "10 s");
}

TEST(EveryPolicy, Governors) {
  check_all("governor", schedulers::governor_policies(), "examples/hot_phone.json", "/nodes/phone/governor", "20 s");
}

TEST(EveryPolicy, Variants) {
  check_all("variant", schedulers::variant_policies(), "examples/variants.json", "/services/vision/variant_policy", "30 s");
}

TEST(EveryPolicy, Eviction) {
  check_all("eviction", schedulers::eviction_policies(), "examples/model_cache.json", "/nodes/box/model_cache", "60 s", {},
            R"(, "capacity": "300 MB")");
}

TEST(EveryPolicy, Replacement) {
  check_all("replacement", schedulers::replacement_policies(), "examples/result_cache.json",
            "/services/gateway/caches/0/replacement", "60 s", {"/services/gateway/caches/0/entries=20"});
}

TEST(EveryPolicy, Partition) {
  check_all("partition", schedulers::partitioners(), "examples/split.json", "/services/tail/split", "20 s", {},
            R"(, "head": "head")");
}

}  // namespace
}  // namespace isthmus::scenarios
