// Balancers in scenario files, and nginx configuration files as balancers.
#include <gtest/gtest.h>

#include <fstream>

#include "scenarios/nginx_upstream.hpp"
#include "sim/core/errors.hpp"
#include "tests/scenarios/json_scenario.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

NginxUpstream parse(const std::string& text, const std::string& name = "") {
  return parse_nginx_upstream(text, "u.conf", name);
}

std::string error_of(const std::string& text, const std::string& name = "") {
  try {
    parse(text, name);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

TEST(NginxUpstream, IsReadAsItIs) {
  const NginxUpstream u = parse(R"(
# balancing of R17
upstream backend {
    least_conn;
    server 10.0.0.1:8000 weight=3 max_fails=2 fail_timeout=30s;
    server 10.0.0.2:8000 weight=2 max_conns=64;
    server unix:/run/app.sock backup fail_timeout=1m30s;
    server "backend.example.com" down;
    keepalive 32;
    zone shared 64k;
}
)");
  EXPECT_EQ(u.name, "backend");
  EXPECT_EQ(u.policy, "least-connections");
  ASSERT_EQ(u.servers.size(), 4U);
  EXPECT_EQ(u.servers[0].weight, 3);
  EXPECT_EQ(u.servers[0].max_fails, 2U);
  EXPECT_EQ(u.servers[0].fail_timeout, Duration::from_seconds(30));
  EXPECT_EQ(u.servers[1].max_fails, 1U);  // nginx's default
  EXPECT_EQ(u.servers[1].fail_timeout, Duration::from_seconds(10));
  EXPECT_EQ(u.servers[1].max_conns, 64U);
  EXPECT_TRUE(u.servers[2].backup);
  EXPECT_EQ(u.servers[2].fail_timeout, Duration::from_seconds(90));
  EXPECT_TRUE(u.servers[3].down);
  EXPECT_EQ(u.addresses[2], "unix:/run/app.sock");
  EXPECT_EQ(u.addresses[3], "backend.example.com");
  EXPECT_EQ(u.without_effect.size(), 2U);
}

TEST(NginxUpstream, MethodsArePolicies) {
  const auto policy = [](const std::string& method) {
    return parse("upstream u { " + method + " server a; server b; }").policy;
  };
  EXPECT_EQ(policy(""), "weighted-round-robin");
  EXPECT_EQ(policy("ip_hash;"), "modulo-hash");
  EXPECT_EQ(policy("hash $request_uri;"), "modulo-hash");
  EXPECT_EQ(policy("hash ${arg_user}x consistent;"), "consistent-hash");
  EXPECT_EQ(policy("random;"), "random");
  EXPECT_EQ(policy("random two;"), "power-of-two");
  EXPECT_EQ(policy("random two least_conn;"), "power-of-two");
  EXPECT_EQ(policy("sticky cookie srv_id expires=1h;"), "session-affinity");
}

TEST(NginxUpstream, IsFoundInAWholeConfiguration) {
  const std::string text =
      "user www;\nhttp {\n  upstream a { server x; }\n  upstream b { random; server y; server z; }\n"
      "  server { listen 80; location / { proxy_pass http://b; } }\n}\n";
  EXPECT_EQ(parse(text, "b").servers.size(), 2U);
  EXPECT_EQ(error_of(text), "u.conf:4:3: 2 upstreams are in this file; say which with \"upstream\"");
  EXPECT_NE(error_of(text, "c").find("no upstream is called \"c\""), std::string::npos);
}

TEST(NginxUpstream, MalformedOnesAreRefusedWithTheirPlace) {
  const auto expect = [](const std::string& text, const std::string& start) {
    const std::string error = error_of(text);
    EXPECT_TRUE(error.starts_with(start)) << text << "\n  " << error;
  };
  expect("", "u.conf:1:1: no upstream block");
  expect("upstream u {\n  server a\n}\n", "u.conf:3:1: unexpected \"}\"; end the directive \"server\"");
  expect("upstream u { server a;", "u.conf:1:23: unexpected end of file, expecting \"}\"");
  expect("upstream u { server a; } }", "u.conf:1:26: unexpected \"}\"; no block");
  expect("upstream u { server a; ; }", "u.conf:1:24: unexpected \";\"");
  expect("upstream u { server \"a; }", "u.conf:1:21: unexpected end of file; close the quote");
  expect("upstream { server a; }", "u.conf:1:1: an upstream has one name");
  expect("upstream u { }", "u.conf:1:1: no servers are inside upstream \"u\"");
  expect("upstream u {\n  server a weight=0;\n}", "u.conf:2:12: invalid parameter \"weight=0\"");
  expect("upstream u { server a weight=-1; }", "u.conf:1:23: invalid parameter \"weight=-1\"");
  expect("upstream u { server a weight=1e3; }", "u.conf:1:23: invalid parameter");
  expect("upstream u { server a weight=99999999999999999999; }", "u.conf:1:23: invalid parameter");
  expect("upstream u { server a wieght=3; }", "u.conf:1:23: invalid parameter \"wieght=3\"; did you mean \"weight\"?");
  expect("upstream u { server a fail_timeout=30x; }", "u.conf:1:23: invalid parameter \"fail_timeout=30x\"");
  expect("upstream u { server a fail_timeout=1s1m; }", "u.conf:1:23: invalid parameter");
  expect("upstream u { server a max_fails=; }", "u.conf:1:23: invalid parameter");
  expect("upstream u { server; }", "u.conf:1:14: invalid number of arguments in \"server\"");
  expect("upstream u { least_con; server a; }", "u.conf:1:14: unknown directive \"least_con\"; did you mean \"least_conn\"?");
  expect("upstream u { least_conn 3; server a; }", "u.conf:1:14: invalid number of arguments");
  expect("upstream u { hash $a consistant; server a; }", "u.conf:1:22: invalid parameter \"consistant\"");
  expect("upstream u { random two least_time=header; server a; }", "u.conf:1:25: \"random two least_time=header\" has no");
  expect("upstream u { least_time header; server a; }", "u.conf:1:14: \"least_time\" has no counterpart here");
  expect("upstream u { ip_hash; server a; server b backup; }", "u.conf:1:42: the balancing method \"ip_hash\" does not support");
  expect("upstream u { server a; }\nupstream u { server b; }", "u.conf:2:10: duplicate upstream \"u\"");
  expect("upstream u { keepalive x; server a; }", "u.conf:1:24: invalid value \"x\"");
  expect(std::string("upstream u { \0", 14), "u.conf:1:14: not a configuration file");
}

// ---- the scenario field -----------------------------------------------------------------------------

using nlohmann::json;

json scenario(const json& balancer) {
  json s = json::parse(R"({
    "isthmus": 1, "name": "balanced", "duration": "10 s",
    "nodes": {"clients": {"tier": "device", "count": 2}, "servers": {"count": 3}},
    "services": {"s": {"service_time": "10 ms", "on": "servers", "replicas": 3}},
    "workload": [{"name": "load", "source": "poisson", "rate": "10 /s", "target": "s",
                  "clients": {"on": "clients"}, "request": {}}]
  })");
  s["services"]["s"]["balancer"] = balancer;
  return s;
}

TEST(Balancer, ReadsItsFields) {
  const auto loaded = testing::load_json(scenario(
      {{"max_fails", 2},
       {"servers", {{{"weight", 3}}, {{"max_fails", 7}, {"fail_timeout", "1 min"}}, {{"backup", true}}}},
       {"outlier_ejection", {{"consecutive_errors", 3}}},
       {"circuit_breaker", {{"error_rate", "20 %"}}},
       {"slow_start", {{"window", "1 min"}}},
       {"health_check", json::object()},
       {"max_requests", 100}}));
  const auto& h = *loaded.scenario->services[0].health;
  EXPECT_EQ(h.servers[0].weight, 3);
  EXPECT_EQ(h.servers[0].max_fails, 2U);
  EXPECT_EQ(h.servers[1].max_fails, 7U);
  EXPECT_EQ(h.servers[1].fail_timeout, Duration::from_seconds(60));
  EXPECT_TRUE(h.servers[2].backup);
  EXPECT_EQ(h.outlier->consecutive_errors, 3U);
  EXPECT_EQ(h.outlier->base_ejection, Duration::from_seconds(30));
  EXPECT_DOUBLE_EQ(h.breaker->error_rate, 0.2);
  EXPECT_EQ(h.active->fall, 3U);
  EXPECT_EQ(h.max_requests, 100U);
  EXPECT_EQ(testing::load_json(scenario(json::object())).scenario->services[0].health->next_tries, 0U);
}

TEST(Balancer, RefusesWhatMakesNoSense) {
  const auto expect = [](const json& balancer, const std::string& part) {
    const std::string problem = testing::first_problem(scenario(balancer));
    EXPECT_NE(problem.find(part), std::string::npos) << problem;
  };
  expect({{"servers", {{{"weight", 1}}}}}, "1 servers for at most 3 replicas");
  expect({{"servers", {{{"down", true}}, {{"down", true}}, {{"down", true}}}}}, "all servers are \"down\"");
  expect({{"upstream", "x"}}, "only with \"nginx\"");
  expect({{"max_requests", 0}}, "0 would turn all away");
  expect({{"knows_failures", true}, {"health_check", json::object()}}, "not with \"knows_failures\"");
  expect({{"outlier_ejection", {{"interval", "0 s"}}}}, "interval");
  expect({{"circuit_breaker", {{"error_rate", 0}}}}, "error_rate");
  expect({{"slow_start", {{"window", "0 s"}}}}, "window");
  expect({{"max_fail", 3}}, "did you mean \"max_fails\"?");
  expect({{"nginx", "/nowhere/upstream.conf"}}, "/nowhere/upstream.conf");
  json local = scenario(json::object());
  local["services"]["s"]["on"] = "clients";
  local["services"]["s"].erase("replicas");
  EXPECT_NE(testing::first_problem(local).find("nothing to balance"), std::string::npos);
}

TEST(Balancer, TakesAnNginxFile) {
  const testing::TemporaryFolder folder;
  const auto file = folder.write("u.conf",
                                 "upstream u {\n least_conn;\n server a weight=3 max_fails=2 "
                                 "fail_timeout=30s;\n server b weight=2;\n server c slow_start=20s;\n}\n");
  const auto loaded = testing::load_json(scenario({{"nginx", file.string()}}));
  const auto& s = loaded.scenario->services[0];
  EXPECT_EQ(s.routing->name, "least-connections");
  EXPECT_EQ(s.health->servers[1].weight, 2);
  EXPECT_EQ(s.health->servers[2].max_fails, 1U);
  EXPECT_EQ(s.health->next_tries, 3U);
  EXPECT_EQ(s.health->slow_start->window, Duration::from_seconds(20));

  json both = scenario({{"nginx", file.string()}});
  both["services"]["s"]["routing"] = "random";
  EXPECT_NE(testing::first_problem(both).find("gives the policy"), std::string::npos);
  const auto bad = folder.write("bad.conf", "upstream u {\n server a wait=3;\n}\n");
  const std::string problem = testing::first_problem(scenario({{"nginx", bad.string()}}));
  EXPECT_NE(problem.find("/services/s/balancer/nginx: "), std::string::npos) << problem;
  EXPECT_NE(problem.find("bad.conf:2:11: invalid parameter \"wait=3\""), std::string::npos) << problem;
  const auto two = folder.write("two.conf", "upstream u { server a; server b; }");
  EXPECT_NE(testing::first_problem(scenario({{"nginx", two.string()}})).find("2 servers for at most 3"),
            std::string::npos);
}

// Unlike machines behind one balancer.
TEST(Balancer, PoolsOfOtherServices) {
  json s = scenario({{"servers", {{{"weight", 8}}, {{"weight", 4}}, {{"weight", 2}}}}});
  s["nodes"]["edge"] = {{"count", 1}};
  s["services"]["s"].erase("replicas");
  s["services"]["s"]["pools"] = {{"near", {{"on", "edge"}, {"service_time", "2 ms"}}},
                                 {"far", {{"replicas", 2}, {"slots", 4}}}};
  const auto loaded = testing::load_json(s);
  ASSERT_EQ(loaded.scenario->services.size(), 3U);
  EXPECT_TRUE(loaded.scenario->services[0].health);
  EXPECT_FALSE(loaded.scenario->services[1].health);
  EXPECT_EQ(loaded.scenario->services[1].slots, 4U);  // JSON sorts: "far" goes first
  EXPECT_EQ(loaded.scenario->services[2].replicas, 1U);
  s["services"]["s"]["pools"]["far"]["role"] = "decode";
  EXPECT_NE(testing::first_problem(s).find("only language models have pools of roles"), std::string::npos);
}

}  // namespace
}  // namespace isthmus::scenarios
