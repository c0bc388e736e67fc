// Published and measured figures behind the defaults of protocols; sources: docs/transfer_costs.md.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/world/protocol.hpp"

namespace isthmus::scenarios {

//! A codec on the Silesia corpus.
struct CodecFigures {
  const char* name;
  double ratio, compress, decompress;  //!< bytes/s
};
std::span<const CodecFigures> codec_figures();
//! Their names, and "other".
std::vector<std::string> codec_names();

//! Bytes and work, without round trips. `encryption` as scenarios name it.
world::Handshake handshake_figures(const std::string& encryption, bool resumed);

// RFC 8446, 5.2: header 5, content type 1, tag 16; RFC 5246 and 5288: header 5, nonce 8, tag 16.
inline constexpr world::Layer tls13_record{16384, 22}, tls12_record{16384, 29};
// RFC 9000: packets of 1200 bytes with a short header of 1 + 8 + 2, a tag of 16, and 8 of a frame.
inline constexpr world::Layer quic_packet{1165, 35};
// RFC 9113: 9 bytes per frame of at most 16384.
inline constexpr world::Layer http2_frame{16384, 9};
// Segments of 1448 bytes with IPv4 20, TCP 20 and timestamps 12; datagrams with IPv4 20 and UDP 8.
inline constexpr world::Layer tcp_segment{1448, 52}, udp_datagram{1200, 28};
//! gRPC: 5 bytes before a message, a frame for header fields, and in answers one for trailers.
inline constexpr double grpc_prefix = 5, frame_header = 9;
//! bytes/s of AES-128-GCM in records of 16 KiB.
inline constexpr double cipher_speed = 4.5e9;

}  // namespace isthmus::scenarios
