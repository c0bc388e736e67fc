// What happens to transfers around the sharing of links: traces that are followed while somebody uses
// them, radio promotion, jitter, loss, moves between cells, and what follows a failure. Plain data;
// AccessNetwork carries it out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/core/ids.hpp"
#include "sim/core/random.hpp"
#include "sim/core/time.hpp"

namespace isthmus::network {

//! Which ways the bandwidth of a change is about.
enum class Ways : std::uint8_t { both, up, down };

//! A new state of a link from `at` on.
struct LinkChange {
  Duration at;                      //!< since the start of the run (or of the loop period)
  std::optional<double> bandwidth;  //!< bytes/s, > 0
  std::optional<Duration> latency;  //!< one way, >= 0
  std::optional<bool> up;           //!< false: the link fails, flows on it fail
  std::optional<double> scale;      //!< brown-out: factor on all bandwidths until the next one, > 0
  Ways ways = Ways::both;           //!< of `bandwidth`; split-duplex links only
};

//! States of a link over time, shared by all links that follow it. Every step states all that the
//! trace is about, so that a link can start anywhere in it.
struct LinkTrace {
  std::vector<LinkChange> steps;  //!< by increasing date, none after `period`
  Duration period;                //!< > 0: repeats; 0: the last step holds to the end
  //! Of one turn, or to the last of at least one step.
  Duration length() const { return period > Duration::zero() ? period : steps.back().at; }
};

//! A draw of seconds; negative ones count as 0.
using Seconds = std::function<double(Rng&)>;
//! One draw, at least `least` and at most 1e9 s.
inline Duration drawn(const Seconds& law, Rng g, Duration least = Duration::zero()) {
  return std::max(least, Duration::from_seconds(std::clamp(law(g), 0.0, 1e9)));
}

//! TCP's rate under loss.
enum class TcpLoss : std::uint8_t { mathis, pftk };

//! Properties of an access link that are not sharing; of all its instances.
struct LinkRule {
  std::shared_ptr<const LinkTrace> trace, trace_down;  //!< null: none; down: `ways` is down
  bool random_start = false;  //!< every link starts somewhere in its traces, drawn by its name
  Seconds promotion;      //!< radio: what the first transfer after `idle_after` waits; null: none
  Duration idle_after;
  Seconds jitter;         //!< what every transfer over it waits; null: none
  double loss = 0;        //!< share of packets that TCP has to send again, [0, 1)
};

//! What follows when a transfer fails.
struct TransferPolicy {
  enum class OnFailure : std::uint8_t { fail, retry, resume } on_failure = OnFailure::fail;
  std::uint32_t attempts = 5;  //!< in all, the first one included
  Duration initial = Duration::from_seconds(0.2), longest = Duration::from_seconds(30);
  double factor = 2;           //!< from one wait to the next, >= 1
  double jitter = 0;           //!< a wait is uniform on (1 - jitter, 1] of its length; [0, 1]
};

//! Hosts that change their cell: one of their access links is replaced by another.
struct Mobility {
  std::vector<std::uint32_t> hosts;
  std::uint32_t place = 0;            //!< index of the link in Host::access
  std::vector<LinkId> cells;          //!< at least 2, or 1 with a schedule
  Seconds residence;                  //!< time in one cell; null: by `schedule`
  bool random_next = true;            //!< any other cell; else the next one of `cells`
  struct Move {
    Duration at;                      //!< start of the gap
    std::uint32_t cell = 0;           //!< index into `cells`
  };
  std::vector<Move> schedule;         //!< by increasing date
  Seconds gap;                        //!< without a cell between two; null: none
  bool stall = true;                  //!< transfers wait and go on; else they fail
};

//! All of it.
struct AccessRules {
  std::vector<LinkRule> links;           //!< Link::rule
  std::vector<Mobility> mobility;        //!< every host in one of them at most
  std::vector<TransferPolicy> policies;  //!< Transfer::policy - 1; a transfer without one fails
  TcpLoss tcp_loss = TcpLoss::mathis;
  double segment = 1460;                 //!< bytes, TCP's maximum segment size
  double timeout = 0.2;                  //!< s, TCP's retransmission timeout (PFTK)
  bool empty() const { return links.empty() && mobility.empty() && policies.empty(); }
};

}  // namespace isthmus::network
