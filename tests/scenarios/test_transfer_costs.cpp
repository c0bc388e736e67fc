// Protocols of services: scenario files, and whole runs by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// A phone sends 1 MB at 1 MB/s after 10 ms, is served in 100 ms and answered after 10 ms: 1.12 s.
json phone(const json& protocol = json::object()) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "1000 s"},
            {"nodes",
             {{"phone", {{"tier", "device"}, {"zone", "field"}}}, {"server", {{"zone", "region"}}}}},
            {"network",
             {{"links", {{"radio", {{"bandwidth", "8 Mbps"}, {"latency", "10 ms"}}}}},
              {"access", {{"phone", {"radio"}}}},
              {"routes", {{{"from", "field"}, {"to", "region"}, {"links", json::array()}}}}}},
            {"services", {{"s", {{"service_time", "100 ms"}, {"on", "server"}, {"slots", 9},
                                 {"protocol", "p"}}}}},
            {"workload",
             {{{"source", "times"},
               {"times", {"0 s"}},
               {"target", "s"},
               {"clients", {{"on", "phone"}}},
               {"request", {{"upload", "1 MB"}, {"download", "0 B"}}}}}}};
  s["protocols"]["p"] = protocol;
  return s;
}

// Encryption whose work takes nothing: 500 B up, 3 kB down.
json tls(const json& more = json::object()) {
  json p = {{"encryption", "tls-1.3"},
            {"cipher", "1e12 GB/s"},
            {"handshake", {{"up", "500 B"}, {"down", "3 kB"}, {"client_time", "0 s"}, {"server_time", "0 s"}}}};
  p.update(more);
  return p;
}

std::vector<results::Summary> both(json s) {
  std::vector<results::Summary> made;
  for (const char* model : {"fluid", "simgrid"}) {
    s["network"]["model"] = model;
    made.push_back(world::run(*load_json(s).scenario, {}));
    EXPECT_EQ(made.back().created, made.back().completed + made.back().rejected +
                                       made.back().failed + made.back().in_flight);
  }
  return made;
}

double latency(const json& s) {
  const auto r = both(s);
  EXPECT_NEAR(r[0].value("latency.mean"), r[1].value("latency.mean"), 3e-9);
  return r[0].value("latency.mean");
}

constexpr double ns = 3e-9;
constexpr double records = 62 * 22e-6;  // s that 62 records of 1 MB take

TEST(TransferCosts, WithoutAProtocolNothingIsAdded) {
  json s = phone({{"transport", "none"}});
  EXPECT_NEAR(latency(s), 1.12, ns);
  s["services"]["s"].erase("protocol");
  s.erase("protocols");
  EXPECT_NEAR(latency(s), 1.12, ns);
  EXPECT_TRUE(std::isnan(both(s)[0].value("wire_bytes")));
}

TEST(TransferCosts, RoundTripsOfConnections) {
  EXPECT_NEAR(latency(phone()), 1.14, ns);  // TCP
  constexpr double shake = 3.5e-3;
  EXPECT_NEAR(latency(phone(tls())), 1.12 + 0.04 + shake + records, ns);
  EXPECT_NEAR(latency(phone(tls({{"encryption", "tls-1.2"}}))), 1.12 + 0.06 + shake + 62 * 29e-6, ns);
  // QUIC: packets of 1165 bytes get 35 more.
  EXPECT_NEAR(latency(phone(tls({{"transport", "quic"}}))),
              1.12 + 0.02 + shake + std::ceil(1e6 / 1165) * 35e-6, ns);
  // Work on either side, also of ciphers: 1001364 bytes at 100 MB/s twice.
  json p = tls({{"cipher", "100 MB/s"}});
  p["handshake"]["client_time"] = "2 ms";
  p["handshake"]["server_time"] = "1 ms";
  EXPECT_NEAR(latency(phone(p)), 1.12 + 0.04 + shake + 0.003 + records + 2 * 1.001364e-2, ns);
  json s = phone(p);
  s["nodes"]["phone"]["core_speed"] = 0.5;
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), 1.12 + 0.04 + shake + 0.005 + records + 3 * 1.001364e-2, ns);
    EXPECT_EQ(r.value("connections_opened"), 1);
    EXPECT_NEAR(r.value("handshake_time"), 0.04 + shake + 0.005, ns);
    EXPECT_EQ(r.value("payload_bytes"), 1e6);
    EXPECT_EQ(r.value("wire_bytes"), 1001364 + 3500);
    EXPECT_NEAR(r.value("client_codec_time"), 0.004 + 2 * 1.001364e-2, ns);
    EXPECT_NEAR(r.value("server_codec_time"), 0.001 + 1.001364e-2, ns);
    EXPECT_EQ(r.value("bytes_in_clear"), 0);
  }
}

TEST(TransferCosts, ConnectionsAreReusedAndResumed) {
  constexpr double request = 1.12 + records, shake = 3.5e-3;
  json s = phone(tls({{"connections", {{"idle_timeout", "10 s"}}}}));
  s["workload"][0]["times"] = {"0 s", "5 s", "100 s"};
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), request + 2 * (0.04 + shake) / 3, ns);
    EXPECT_EQ(r.value("connections_opened"), 2);
    EXPECT_EQ(r.value("connections_reused"), 1);
    EXPECT_EQ(r.value("connections_resumed"), 0);
  }
  json& p = s["protocols"]["p"];
  p["resumption"] = "session";
  p["resumed"] = {{"up", "600 B"}, {"down", "0 B"}, {"client_time", "0 s"}, {"server_time", "0 s"}};
  EXPECT_NEAR(latency(s), request + (0.04 + shake + 0.04 + 0.6e-3) / 3, ns);
  EXPECT_EQ(both(s)[0].value("connections_resumed"), 1);
  p["resumption"] = "early-data";
  EXPECT_NEAR(latency(s), request + (0.04 + shake + 0.02 + 0.6e-3) / 3, ns);
  p["transport"] = "quic";
  EXPECT_NEAR(latency(s), 1.12 + 859 * 35e-6 + (0.02 + shake + 0.6e-3) / 3, ns);
  // None is kept.
  s = phone(tls({{"connections", {{"idle_timeout", "0 s"}}}}));
  s["workload"][0]["times"] = {"0 s", "5 s"};
  EXPECT_EQ(both(s)[0].value("connections_opened"), 2);
}

// Three requests at once over a link that gives each of them all of it.
TEST(TransferCosts, OneRequestPerConnectionOrMany) {
  json s = phone({{"connections", {{"limit", 1}}}});
  s["network"]["links"]["radio"]["sharing"] = "fatpipe";
  s["workload"][0]["times"] = {"0 s", "0 s", "0 s"};
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), 0.02 + 1.12 * (1 + 2 + 3) / 3, ns);
    EXPECT_EQ(r.value("connections_opened"), 1);
  }
  s["protocols"]["p"]["connections"]["limit"] = 3;
  EXPECT_EQ(both(s)[0].value("connections_opened"), 3);
  EXPECT_NEAR(latency(s), 1.14, ns);
  s["protocols"]["p"]["connections"] = {{"limit", 1}, {"streams", 2}};
  EXPECT_NEAR(latency(s), 0.02 + 1.12 * (1 + 1 + 2) / 3, ns);
  // Whoever gives up makes room; its connection is closed.
  s["protocols"]["p"]["connections"] = {{"limit", 1}};
  s["workload"][0]["request"]["deadline"] = "1 s";
  for (const auto& r : both(s)) EXPECT_EQ(r.failed, 3U);
  s["workload"][0]["request"].erase("deadline");
  s["workload"][0]["times"] = {"0 s"};
  s["workload"].push_back(s["workload"][0]);
  EXPECT_NEAR(latency(s), 1.14, ns);  // two workloads are two clients
}

TEST(TransferCosts, BytesOfFramings) {
  // 1 MB in frames of 16 KiB with 9 bytes, a prefix of 5 and a frame of header fields; answers have
  // one more frame.
  json s = phone({{"message", {{"framing", "grpc"}, {"header_up", "100 B"}}}});
  EXPECT_NEAR(latency(s), 1.14 + (62 * 9 + 14 + 100 + 23) * 1e-6, ns);
  s = phone({{"message", {{"framing", "rest-json"}, {"encode", "100 MB/s"}, {"decode", "50 MB/s"}}}});
  EXPECT_NEAR(latency(s), 1.14 + 0.333334 + 0.01 + 0.02, ns);
  s = phone({{"packet_headers", true}});  // a bare segment each way for TCP, 691 segments
  EXPECT_NEAR(latency(s), 1.14 + (2 * 52 + 691 * 52) * 1e-6, ns);
}

TEST(TransferCosts, CompressionPaysBelowItsBandwidth) {
  // Saves (1 - 1/r) / b per byte, takes 1/c + 1/d: even at b = (1 - 1/r) / (1/c + 1/d) = 12 MB/s.
  for (const double ratio : {0.5, 1.0, 2.0}) {
    json s = phone({{"transport", "none"}});
    s["network"]["links"]["radio"]["bandwidth"] = std::to_string(8 * 12 * ratio) + " Mbps";
    const double plain = latency(s);
    s["protocols"]["p"]["compression"] = {
        {"ratio", 4}, {"compress", "20 MB/s"}, {"decompress", "80 MB/s"}};
    const double packed = latency(s);
    EXPECT_NEAR(packed - plain, 1e6 * (1 / 20e6 + 1 / 80e6 - 0.75 / (12e6 * ratio)), 2 * ns);
  }
  json s = phone({{"transport", "none"}, {"compression", {{"codec", "zstd-1"}, {"ways", "down"}}}});
  EXPECT_NEAR(latency(s), 1.12, ns);
  s["workload"][0]["request"]["download"] = "2887 kB";
  EXPECT_NEAR(latency(s), 2.12 + 2.887 / 510 + 2.887 / 1580, ns);
}

TEST(TransferCosts, BrokersHoldAndFree) {
  json s = phone({{"transport", "none"},
                  {"broker", {{"time", "45 ms"}, {"memory", "512 MB"}, {"request_memory", "2 MB"}}}});
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), 1.12 + 0.09, ns);
    EXPECT_EQ(r.value("broker_memory"), 512e6 + 3e6);
    EXPECT_EQ(r.value("broker_held"), 1);
  }
  json& b = s["protocols"]["p"]["broker"];
  b["both_ways"] = false;
  EXPECT_NEAR(latency(s), 1.12 + 0.045, ns);
  // One worker: messages queue.
  b = {{"time", "45 ms"}, {"workers", 1}};
  s["network"]["links"]["radio"]["sharing"] = "fatpipe";
  s["workload"][0]["times"] = {"0 s", "0 s"};
  EXPECT_NEAR(latency(s), 1.12 + (0.09 + 0.135) / 2, ns);
  b["capacity"] = 1;
  for (const auto& r : both(s)) EXPECT_EQ(r.by_cause.at("queue_full"), 1U);
  // A service that takes 10 s: without a timeout requests pile up, with one their places, connections
  // and memory are free.
  s = phone({{"connections", {{"limit", 4}}}, {"broker", {{"time", "1 ms"}, {"request_memory", "1 MB"}}}});
  s["workload"][0] = {{"source", "deterministic"}, {"rate", "1 /s"}, {"target", "s"},
                      {"clients", {{"on", "phone"}}}, {"request", {{"upload", "10 kB"}}}};
  s["services"]["s"]["service_time"] = "10 s";
  s["services"]["s"]["slots"] = 1;
  s["duration"] = "50 s";
  s["protocols"]["p"]["connections"] = {{"streams", 100}};
  auto r = both(s)[0];
  EXPECT_GT(r.value("broker_held"), 40);
  EXPECT_GT(r.value("broker_memory"), 40e6);
  s["protocols"]["p"]["broker"]["timeout"] = "2500 ms";
  r = both(s)[0];
  EXPECT_EQ(r.value("broker_held"), 3);
  EXPECT_LT(r.value("broker_memory"), 3.1e6);
  EXPECT_GT(r.by_cause.at("cancelled"), 40U);
  EXPECT_EQ(r.value("connections_opened"), 1);
}

TEST(TransferCosts, AttemptsTimeOutAndRetry) {
  // Every attempt would take 4.02 s.
  json s = phone({{"transport", "none"}});
  s["services"]["s"]["service_time"] = "3 s";
  json& q = s["workload"][0]["request"];
  q["attempt_timeout"] = "1500 ms";
  q["retries"] = 2;
  q["retry_backoff"] = "1 s";
  for (const auto& r : both(s)) {
    EXPECT_EQ(r.by_cause.at("cancelled"), 1U);
    EXPECT_EQ(r.value("attempt_timeouts"), 3);
  }
  q["retry_budget"] = 1;
  for (const auto& r : both(s)) EXPECT_EQ(r.value("attempt_timeouts"), 2);
  q["retry_budget"] = 0.5;
  for (const auto& r : both(s)) EXPECT_EQ(r.value("attempt_timeouts"), 1);
  // What the first attempt left running does not answer the second: it would end at 3.11 s.
  q = {{"upload", "100 kB"}, {"attempt_timeout", "2500 ms"}, {"retries", 1}, {"retry_backoff", "1 ms"}};
  for (const auto& r : both(s)) EXPECT_EQ(r.by_cause.at("cancelled"), 1U);
  q["attempt_timeout"] = "4 s";
  EXPECT_NEAR(latency(s), 3.12, ns);
  // The deadline outlasts attempts.
  q = {{"upload", "100 kB"}, {"attempt_timeout", "1 s"}, {"retries", 1000}, {"retry_backoff", "1 ms"},
       {"deadline", "10 s"}};
  s["duration"] = "20 s";
  for (const auto& r : both(s)) {
    EXPECT_EQ(r.by_cause.at("cancelled"), 1U);
    EXPECT_LT(r.value("attempt_timeouts"), 10);
  }
  // A connection that is cut before the request: again after the pause, of which a share is drawn.
  s = phone(tls());
  s["faults"] = {{{"link", "radio"}, {"at", "5 ms"}, {"lasts", "0.5 s"}}};
  s["workload"][0]["request"]["retries"] = 1;
  EXPECT_NEAR(latency(s), 0.005 + 1 + 1.12 + 0.04 + 3.5e-3 + records, ns);
  s["workload"][0]["request"]["retry_jitter"] = 0.2;
  const double drawn = latency(s) - (0.005 + 1.12 + 0.04 + 3.5e-3 + records);
  EXPECT_GT(drawn, 0.8);
  EXPECT_LT(drawn, 0.99999);
}

TEST(TransferCosts, PrivacyIsCounted) {
  json s = phone({{"transport", "none"},
                  {"privacy", {{"shows", "noised"}, {"noise", "100 MB/s"}, {"accuracy_loss", 0.02}}}});
  s["services"]["s"]["accuracy"] = 0.9;
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), 1.13, ns);
    EXPECT_NEAR(r.value("accuracy"), 0.88, 1e-12);
    EXPECT_EQ(r.value("sent_noised"), 1e6);
    EXPECT_EQ(r.value("sent_raw"), 0);
    EXPECT_EQ(r.value("bytes_in_clear"), 1e6);
  }
}

TEST(TransferCosts, PayloadsResolveToBytes) {
  json s = phone({{"transport", "none"}});
  json& q = s["workload"][0]["request"];
  q.erase("upload");
  const auto mean = [&](const json& payload) {
    q["upload_payload"] = payload;
    return load_json(s).scenario->workloads[0].request.upload.mean();
  };
  EXPECT_EQ(mean({{"kind", "image"}, {"width", 224}, {"height", 224}}), 150528);
  EXPECT_EQ(mean({{"kind", "image"}, {"width", 224}, {"height", 224}, {"format", "fp32"}, {"ratio", 4}}), 150528);
  EXPECT_EQ(mean({{"kind", "audio"}, {"length", "3 s"}}), 96000);
  EXPECT_EQ(mean({{"kind", "tokens"}, {"count", {{"distribution", "uniform"}, {"low", 10}, {"high", 30}}}}), 80);
  EXPECT_EQ(mean({{"kind", "tensor"}, {"shape", {1, 256, 14, 14}}, {"format", "fp16"}}), 100352);
  // 32 layers, keys and values of 8 heads of 128, two bytes each.
  EXPECT_EQ(mean({{"kind", "kv-cache"}, {"count", 1000}, {"model", "llama-3.1-8b"}}), 131072e3);
  q["upload"] = "1 B";
  EXPECT_THAT(first_problem(s), HasSubstr("/workload/0/request/upload_payload: give it or \"upload\""));
  q.erase("upload");
  q["upload_payload"] = {{"kind", "kv-cache"}, {"count", 1}, {"model", "resnet-18"}};
  EXPECT_THAT(first_problem(s), HasSubstr("must be a language model"));
}

TEST(TransferCosts, Errors) {
  const auto problem = [](const json& protocol) { return first_problem(phone(protocol)); };
  EXPECT_THAT(problem({{"transport", "quic"}, {"encryption", "none"}}), HasSubstr("always encrypted"));
  EXPECT_THAT(problem({{"resumption", "session"}}), HasSubstr("no encryption"));
  EXPECT_THAT(problem({{"encryption", "tls-1.2"}, {"resumption", "early-data"}}), HasSubstr("no early data"));
  EXPECT_THAT(problem({{"cipher", "1 GB/s"}}), HasSubstr("only with encryption"));
  EXPECT_THAT(problem({{"transport", "none"}, {"connections", {{"limit", 1}}}}), HasSubstr("nothing to set up"));
  EXPECT_THAT(problem({{"compression", {{"ratio", 2}}}}), HasSubstr("needs \"compress\""));
  EXPECT_THAT(problem({{"compression", {{"codec", "zstd"}}}}), HasSubstr("zstd-1"));
  EXPECT_THAT(problem({{"broker", json::object()}}), HasSubstr("time"));
  json s = phone();
  s["services"]["s"]["protocol"] = "q";
  EXPECT_THAT(first_problem(s), HasSubstr("there is no protocol \"q\""));
  s = phone();
  s["services"]["s"]["on"] = "phone";
  EXPECT_THAT(first_problem(s), HasSubstr("its own machine's clients only"));
  s = phone({{"broker", {{"time", "1 ms"}, {"memory", "2 GB"}}}});
  s["nodes"]["server"].update({{"memory", "1 GB"}, {"peak", {{"fp32", "1 TFLOPS"}}}, {"memory_bandwidth", "10 GB/s"}});
  EXPECT_THAT(first_problem(s), HasSubstr("does not fit"));
}

}  // namespace
}  // namespace isthmus::scenarios
