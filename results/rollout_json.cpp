#include "results/rollout_json.hpp"

#include "results/json_numbers.hpp"

namespace isthmus::results {

namespace {

using Json = nlohmann::ordered_json;

Json from_side(const AbSide& s) {
  return {{"answers", s.answers},
          {"right", s.right},
          {"latency_mean", from_double(s.latency_mean)},
          {"latency_p95", from_double(s.latency_p95)}};
}
AbSide to_side(const Json& j) {
  return {j.at("answers"), j.at("right"), to_double(j.at("latency_mean")), to_double(j.at("latency_p95"))};
}

}  // namespace

Json from_rollout(const RolloutTotals& r) {
  Json j = {{"name", r.name},
            {"service", r.service},
            {"version", r.version},
            {"strategy", r.strategy},
            {"outcome", r.outcome},
            {"reason", r.reason},
            {"began_ns", from_date(r.began)},
            {"ended_ns", from_date(r.ended)},
            {"detect", from_double(r.detect)},
            {"tries", r.tries},
            {"exposed", r.exposed},
            {"errors", r.errors},
            {"deadlines", r.deadlines}};
  j["events"] = Json::array();
  for (const RolloutTotals::Event& e : r.events) j["events"].push_back({{"at_ns", e.at.ns()}, {"what", e.what}});
  if (r.test)
    j["test"] = {{"old", from_side(r.test->old)},
                 {"new", from_side(r.test->fresh)},
                 {"confidence", r.test->confidence},
                 {"new_stays", r.test->stays}};
  return j;
}

RolloutTotals to_rollout(const Json& j) {
  RolloutTotals r;
  r.name = j.at("name");
  r.service = j.at("service");
  r.version = j.at("version");
  r.strategy = j.at("strategy");
  r.outcome = j.at("outcome");
  r.reason = j.at("reason");
  r.began = to_date(j.at("began_ns"));
  r.ended = to_date(j.at("ended_ns"));
  r.detect = to_double(j.at("detect"));
  r.tries = j.at("tries");
  r.exposed = j.at("exposed");
  r.errors = j.at("errors");
  r.deadlines = j.at("deadlines");
  for (const Json& e : j.at("events"))
    r.events.push_back({Instant(e.at("at_ns").get<std::int64_t>()), e.at("what").get<std::string>()});
  if (j.contains("test")) {
    const Json& t = j.at("test");
    r.test = RolloutTotals::Test{to_side(t.at("old")), to_side(t.at("new")), to_double(t.at("confidence")),
                                 t.at("new_stays").get<bool>()};
  }
  return r;
}

Json from_version(const VersionTotals& v) {
  return {{"service", v.service},
          {"version", v.name},
          {"answered", v.answered},
          {"failed", v.failed},
          {"errors", v.errors},
          {"latency_mean", from_double(v.latency_mean)},
          {"latency_p50", from_double(v.latency_p50)},
          {"latency_p95", from_double(v.latency_p95)},
          {"latency_p99", from_double(v.latency_p99)},
          {"accuracy", from_double(v.accuracy)}};
}

VersionTotals to_version(const Json& j) {
  VersionTotals v;
  v.service = j.at("service");
  v.name = j.at("version");
  v.answered = j.at("answered");
  v.failed = j.at("failed");
  v.errors = j.at("errors");
  v.latency_mean = to_double(j.at("latency_mean"));
  v.latency_p50 = to_double(j.at("latency_p50"));
  v.latency_p95 = to_double(j.at("latency_p95"));
  v.latency_p99 = to_double(j.at("latency_p99"));
  v.accuracy = to_double(j.at("accuracy"));
  return v;
}

Json from_skew(const SkewTotals& s) {
  return {{"service", s.service}, {"answers", s.answers}, {"skewed", s.skewed}, {"incompatible", s.incompatible}};
}
SkewTotals to_skew(const Json& j) {
  return {j.at("service").get<std::string>(), j.at("answers"), j.at("skewed"), j.at("incompatible")};
}

}  // namespace isthmus::results
