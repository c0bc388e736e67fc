#include "scenarios/protocol_figures.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

const ObjectSpec& handshake_spec() {
  static const ObjectSpec spec{
      "handshake",
      "Bytes and work of setting up encryption, besides its round trips. Work is that of a core of "
      "speed 1 (node field core_speed).",
      {quantity("up", Unit::bytes, "from the client").default_is("docs/transfer_costs.md"),
       quantity("down", Unit::bytes, "from the server, mostly its certificates")
           .default_is("docs/transfer_costs.md"),
       quantity("client_time", Unit::duration, "checking certificates, agreeing on keys")
           .default_is("docs/transfer_costs.md"),
       quantity("server_time", Unit::duration, "signing, agreeing on keys")
           .default_is("docs/transfer_costs.md")},
      "",
      {}};
  return spec;
}

const ObjectSpec& connections_spec() {
  static const ObjectSpec spec{
      "connections",
      "How long a client keeps its connections to a service, and what they carry.",
      {quantity("idle_timeout", Unit::duration,
                "a connection without requests is closed after this; 0: every request opens one")
           .by_default("60 s"),
       integer("streams", "requests at once on a connection: 1 for HTTP/1.1, more for HTTP/2")
           .at_least(1)
           .default_is("gRPC: 100, else 1"),
       integer("limit", "connections of a client to a service; further requests wait")
           .at_least(1)
           .default_is("none")},
      "",
      {}};
  return spec;
}

const ObjectSpec& message_spec() {
  static const ObjectSpec spec{
      "message",
      "What messages are in the layer of requests and answers.",
      {word("framing", {"none", "grpc", "rest-json"},
            "grpc: frames of HTTP/2 and prefixes of messages; rest-json: binary data in base64")
           .by_default("none"),
       quantity("expansion", Unit::none, "bytes per byte of (compressed) payload")
           .above(0)
           .at_most(1000)
           .default_is("rest-json: 4/3, else 1"),
       quantity("header_up", Unit::bytes, "header fields and envelope of a request")
           .at_most(1e9)
           .by_default("0 B"),
       quantity("header_down", Unit::bytes, "header fields and envelope of an answer")
           .at_most(1e9)
           .by_default("0 B"),
       quantity("encode", Unit::bandwidth, "of serialization, payload per second of a core of speed 1")
           .above(0)
           .default_is("takes no time"),
       quantity("decode", Unit::bandwidth, "of reading it back").above(0).default_is("takes no time")},
      "",
      {}};
  return spec;
}

const ObjectSpec& compression_spec() {
  static const ObjectSpec spec{
      "compression",
      "A codec between payload and message.",
      {word("codec", codec_names(),
            "where ratio and speeds come from, a mix of text and binaries; other: stated here")
           .by_default("other"),
       quantity("ratio", Unit::none, "payload over what is left of it; 1: nothing is gained")
           .at_least(1)
           .at_most(1e6)
           .default_is("the codec's"),
       quantity("compress", Unit::bandwidth, "payload per second of a core of speed 1")
           .above(0)
           .default_is("the codec's"),
       quantity("decompress", Unit::bandwidth, "payload per second of a core of speed 1")
           .above(0)
           .default_is("the codec's"),
       word("ways", {"both", "up", "down"}, "which messages").by_default("both")},
      "",
      {}};
  return spec;
}

const ObjectSpec& privacy_spec() {
  static const ObjectSpec spec{
      "privacy",
      "What services learn from payloads.",
      {word("shows", {"raw", "features", "noised"}, "what leaves the client").by_default("raw"),
       quantity("noise", Unit::bandwidth,
                "of adding noise on the client, payload per second of a core of speed 1")
           .above(0)
           .default_is("takes no time"),
       quantity("accuracy_loss", Unit::fraction, "that answers lose by it").at_most(1).by_default("0")},
      "",
      {}};
  return spec;
}

const ObjectSpec& broker_spec() {
  static const ObjectSpec spec{
      "broker",
      "A bus in front of the service, one process on each machine that serves it.",
      {quantity("time", Unit::duration, "that a worker of it takes per message and way").needed(),
       integer("workers", "messages that it handles at once; further ones wait")
           .at_least(1)
           .default_is("no limit"),
       quantity("memory", Unit::bytes, "of the process without requests").by_default("0 B"),
       quantity("request_memory", Unit::bytes, "on top of the payload while it holds a request")
           .by_default("0 B"),
       integer("capacity", "requests that it holds at once; more are rejected")
           .at_least(1)
           .default_is("no limit"),
       quantity("timeout", Unit::duration,
                "from a request's entry until its answer leaves; then the attempt is over and all that "
                "it holds is free")
           .above(0)
           .default_is("none"),
       flag("both_ways", "answers pass it as well, and it holds the request until then")
           .by_default("true")},
      "",
      {}};
  return spec;
}

}  // namespace

const ObjectSpec& protocol_spec() {
  static const ObjectSpec spec{
      "protocol",
      "How remote clients talk to services that name it: connections, bytes and work beside the "
      "payload. See docs/transfer_costs.md.",
      {word("transport", {"tcp", "quic", "none"},
            "tcp: a round trip, then encryption; quic: both together; none: connections are there")
           .by_default("tcp"),
       word("encryption", {"none", "tls-1.2", "tls-1.3"}, "of the connection")
           .default_is("tls-1.3 over quic, else none"),
       word("resumption", {"none", "session", "early-data"},
            "session: clients that have been connected resume, without certificates; early-data: and "
            "send their request at once (0-RTT)")
           .by_default("none"),
       object("handshake", handshake_spec, "what the first one takes"),
       object("resumed", handshake_spec, "what resuming takes"),
       object("connections", connections_spec, "their reuse"),
       object("message", message_spec, "requests and answers"),
       object("compression", compression_spec, "of payloads").default_is("none"),
       quantity("cipher", Unit::bandwidth, "of encryption, bytes per second of a core of speed 1")
           .above(0)
           .default_is("4.5 GB/s with encryption"),
       flag("packet_headers", "count the headers of IP, TCP and UDP as bytes on links")
           .by_default("false"),
       object("privacy", privacy_spec, "what payloads show"),
       object("broker", broker_spec, "a bus in front of the service").default_is("none")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
