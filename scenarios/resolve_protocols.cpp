// How clients talk to services: the layers of a protocol from their names and figures.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "scenarios/protocol_figures.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

std::span<const CodecFigures> codec_figures() {
  static constexpr CodecFigures table[] = {{"zstd-1", 2.887, 510e6, 1580e6},
                                           {"zstd-fast-1", 2.437, 545e6, 1890e6},
                                           {"zlib-1", 2.743, 95e6, 400e6},
                                           {"brotli-0", 2.702, 395e6, 430e6},
                                           {"lz4", 2.101, 700e6, 4000e6},
                                           {"snappy", 2.073, 530e6, 1660e6}};
  return table;
}

std::vector<std::string> codec_names() {
  std::vector<std::string> names{"other"};
  for (const CodecFigures& c : codec_figures()) names.emplace_back(c.name);
  return names;
}

world::Handshake handshake_figures(const std::string& encryption, bool resumed) {
  // An agreement on X25519 takes two multiplications of 31 us, signing with RSA-2048 248 us and
  // checking one 16 us; clients check two certificates and the handshake.
  constexpr double agree = 62e-6, sign = 248e-6, verify = 16e-6;
  world::Handshake h;
  if (encryption == "none") return h;
  const bool old = encryption == "tls-1.2";
  h.up = resumed ? (old ? 471 : 600) : (old ? 305 : 329);
  h.down = resumed ? (old ? 141 : 241) : (old ? 2194 : 2111);
  h.client = resumed ? (old ? 0 : agree) : agree + 3 * verify;
  h.server = resumed ? (old ? 0 : agree) : agree + sign;
  return h;
}

namespace {

void read_handshake(const ObjectView& v, world::Handshake& h) {
  h.up = v.number_or("up", h.up);
  h.down = v.number_or("down", h.down);
  h.client = v.number_or("client_time", h.client);
  h.server = v.number_or("server_time", h.server);
}

// Connection and encryption.
void read_transport(Resolution& r, const ObjectView& v, world::Protocol& p) {
  const std::string transport = v.text("transport"), resumption = v.text("resumption");
  const bool quic = transport == "quic";
  std::string encryption = v.text("encryption");
  if (encryption.empty()) encryption = quic ? "tls-1.3" : "none";
  const auto refuse = [&](const char* field, const std::string& why) {
    r.problems.add(v.at(field), v.pointer_to(field), why);
  };
  if (quic && encryption != "tls-1.3") refuse("encryption", "quic is always encrypted with tls-1.3");
  if (resumption != "none" && encryption == "none")
    refuse("resumption", "there is no encryption that could be resumed");
  if (resumption == "early-data" && encryption == "tls-1.2")
    refuse("resumption", "tls-1.2 has no early data; take tls-1.3 or \"session\"");
  for (const char* field : {"handshake", "resumed", "cipher"})
    if (v.has(field) && encryption == "none") refuse(field, "only with encryption");
  if (v.has("resumed") && resumption == "none") refuse("resumed", "only with resumption");
  if (transport == "none")
    for (const char* field : {"connections", "handshake", "resumption"})
      if (v.has(field)) refuse(field, "without a transport there is nothing to set up");

  p.encrypted = encryption != "none";
  p.connects = transport != "none";
  p.trips = quic ? 0 : 1;
  p.resumes = resumption != "none";
  p.full = handshake_figures(encryption, false);
  p.resumed = handshake_figures(encryption, true);
  read_handshake(v.object("handshake"), p.full);
  read_handshake(v.object("resumed"), p.resumed);
  if (p.encrypted) {
    p.full.trips = encryption == "tls-1.2" ? 2 : 1;
    p.resumed.trips = resumption == "early-data" ? 0 : 1;
    p.record = quic ? quic_packet : encryption == "tls-1.2" ? tls12_record : tls13_record;
    p.cipher = 1 / v.number_or("cipher", cipher_speed);
  }
  if (v.flag("packet_headers")) p.packet = quic ? udp_datagram : tcp_segment;
}

void read_messages(Resolution& r, const ObjectView& v, world::Protocol& p) {
  const ObjectView m = v.object("message");
  const std::string framing = m.text("framing");
  p.expansion = m.number_or("expansion", framing == "rest-json" ? 4.0 / 3.0 : 1.0);
  p.up.fixed = m.number("header_up");
  p.down.fixed = m.number("header_down");
  if (framing == "grpc") {
    p.frame = http2_frame;
    p.up.fixed += grpc_prefix + frame_header;
    p.down.fixed += grpc_prefix + 2 * frame_header;
  }
  const double encode = m.has("encode") ? 1 / m.number("encode") : 0;
  const double decode = m.has("decode") ? 1 / m.number("decode") : 0;
  for (world::MessageCosts* way : {&p.up, &p.down}) way->sender = encode, way->receiver = decode;

  if (v.has("compression")) {
    const ObjectView c = v.object("compression");
    CodecFigures figures{"other", 1, 0, 0};
    for (const CodecFigures& known : codec_figures())
      if (c.text("codec") == known.name) figures = known;
    if (c.text("codec") == "other")
      for (const char* field : {"ratio", "compress", "decompress"})
        if (!c.has(field))
          r.problems.add(c.at(), c.pointer(), fmt::format("needs \"{}\", or a codec that has it", field));
    const double ratio = c.number_or("ratio", figures.ratio);
    const double compress = c.number_or("compress", figures.compress);
    const double decompress = c.number_or("decompress", figures.decompress);
    const std::string ways = c.text("ways");
    for (world::MessageCosts* way : {&p.up, &p.down}) {
      if (ways != "both" && (ways == "up") != (way == &p.up)) continue;
      way->ratio = ratio;
      way->sender += 1 / compress;
      way->receiver += 1 / decompress;
    }
  }

  const ObjectView privacy = v.object("privacy");
  const std::string shows = privacy.text("shows");
  p.shows = shows == "raw"        ? world::Shows::raw
            : shows == "features" ? world::Shows::features
                                  : world::Shows::noised;
  p.accuracy_loss = privacy.number("accuracy_loss");
  if (privacy.has("noise")) p.up.sender += 1 / privacy.number("noise");

  const ObjectView connections = v.object("connections");
  p.idle_timeout = connections.duration("idle_timeout");
  p.streams = connections.has("streams") ? connections.count("streams") : framing == "grpc" ? 100 : 1;
  if (connections.has("limit")) p.limit = connections.count("limit");
}

}  // namespace

void resolve_protocols(Resolution& r, const ObjectView& root) {
  const Value* table = root.find("protocols");
  if (!table) return;
  for (const Member& m : table->members) {
    const ObjectView v(&m.value, protocol_spec(), child("/protocols", m.key), m.at);
    world::Protocol p;
    p.name = m.key;
    read_transport(r, v, p);
    read_messages(r, v, p);
    if (v.has("broker")) {
      const ObjectView b = v.object("broker");
      world::Broker broker;
      broker.time = b.number("time");
      if (b.has("workers")) broker.workers = b.count("workers");
      if (b.has("capacity")) broker.capacity = b.count("capacity");
      broker.resident = b.number("memory");
      broker.per_request = b.number("request_memory");
      broker.timeout = b.duration_or("timeout", Duration::max());
      broker.both_ways = b.flag("both_ways");
      p.broker = broker;
    }
    r.scenario.protocols.push_back(std::move(p));
  }
}

// Brokers beside models, on machines with one memory for all units.
void check_brokers(Resolution& r, const ObjectView& root) {
  for (std::uint32_t g = 0; g < r.scenario.nodes.size(); ++g) {
    const world::NodeGroup& group = r.scenario.nodes[g];
    double memory = 0, brokers = 0, weights = 0;
    for (const models::ComputeUnit& u : group.units) memory = std::max(memory, u.memory);
    if (memory <= 0 || !std::isinf(group.unit_bandwidth)) continue;
    std::string last;
    std::set<std::uint32_t> seen;
    for (const world::Service& s : r.scenario.services) {
      if (s.group != g) continue;
      if (const auto* graph = std::get_if<world::GraphModel>(&s.work))
        weights += graph->cost->weight_bytes();
      if (s.protocol == ~0U || !r.scenario.protocols[s.protocol].broker) continue;
      if (seen.insert(s.protocol).second) brokers += r.scenario.protocols[s.protocol].broker->resident;
      last = s.name;
    }
    if (brokers <= 0 || brokers + weights <= memory) continue;
    const Value* service = root.find("services")->find(last);
    r.problems.add(service ? service->at : root.at(), child(child("/services", last), "protocol"),
                   fmt::format("its broker does not fit on \"{}\": {} for brokers and {} for weights, "
                               "but its memory is {}",
                               group.name, format_quantity(brokers, Unit::bytes),
                               format_quantity(weights, Unit::bytes),
                               format_quantity(memory, Unit::bytes)));
  }
}

std::uint32_t read_protocol(Resolution& r, const ObjectView& s, const world::Service& service) {
  if (!s.has("protocol")) return ~0U;
  if (service.local)
    r.problems.add(s.at("protocol"), s.pointer_to("protocol"),
                   "it serves its own machine's clients only, who need none; set its \"local\" to false");
  const std::string name = s.text("protocol");
  std::uint32_t i = 0;
  while (r.scenario.protocols[i].name != name) ++i;
  return i;
}

}  // namespace isthmus::scenarios
