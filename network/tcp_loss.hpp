// How fast one TCP connection can be when packets get lost.
#pragma once

#include "network/access_rules.hpp"

namespace isthmus::network {

//! Most bytes/s that TCP Reno sends over a path with round trip `rtt` (s) that loses the share `loss`
//! of all packets; infinity without loss or without a round trip.
//! mathis: segment / (rtt * sqrt(2 loss / 3)), periodic losses, every packet acknowledged (Mathis,
//! Semke, Mahdavi, Ott, "The macroscopic behavior of the TCP congestion avoidance algorithm",
//! CCR 27(3), 1997).
//! pftk: with the time lost in timeouts, segment / (rtt sqrt(2 loss / 3) + timeout
//! min(1, 3 sqrt(3 loss / 8)) loss (1 + 32 loss^2)) (Padhye, Firoiu, Towsley, Kurose, "Modeling TCP
//! throughput", SIGCOMM 1998, equation 30 with b = 1).
double tcp_rate(TcpLoss law, double loss, double rtt, double segment, double timeout);

}  // namespace isthmus::network
