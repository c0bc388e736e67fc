#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

const ObjectSpec& failover_spec() {
  static const ObjectSpec spec{
      "failover",
      "One replica of a service, the primary, gets all its requests. Health checks find out that it is gone, and "
      "another replica, a standby, takes its place. See docs/faults.md.",
      {refer("service", Reference::service, "its first replica is the primary at the start").needed(),
       word("replication", {"synchronous", "asynchronous", "checkpoint"},
            "how data outlive the primary. synchronous: a write is answered once a standby has acknowledged it; "
            "asynchronous: writes are answered at once and sent to all standbys; checkpoint: all data are stored every "
            "`checkpoint_interval`, and whoever takes over loads them")
           .needed(),
       quantity("write_share", Unit::fraction, "of the requests, which write; the others read").at_most(1).by_default("1"),
       word("reads_from", {"primary", "standby", "nearest"},
            "who answers requests that only read: standby: the one with the fewest requests, nearest: of all, by the "
            "latency of the way to it; the primary when no standby is there")
           .by_default("primary"),
       flag("read_your_writes",
            "reads of a client go to a standby only if it has everything up to the client's last write; with reads_from")
           .by_default("false"),
       quantity("record", Unit::bytes, "of a write on its way to a standby").at_most(1e15).by_default("1 KB"),
       quantity("ack", Unit::bytes, "of its acknowledgement, if synchronous").at_most(1e15).by_default("64 B"),
       quantity("batch_interval", Unit::duration, "asynchronous: writes are sent together every so often")
           .default_is("none: each at once"),
       quantity("probe_interval", Unit::duration, "between health checks of the primary").above(0).by_default("5 s"),
       integer("misses", "failed checks in a row from which the primary is lost").at_least(1).at_most(1e6).by_default("3"),
       quantity("promotion", Unit::duration, "until a standby is the primary: election, fencing, opening of files")
           .by_default("10 s"),
       quantity("checkpoint_interval", Unit::duration, "checkpoint: between the beginnings of two").above(0).by_default("5 min"),
       quantity("checkpoint_bytes", Unit::bytes, "checkpoint: of one, as much as is loaded").at_most(1e18).by_default("1 GB"),
       quantity("checkpoint_bandwidth", Unit::bandwidth, "checkpoint: of storing and loading").above(0).by_default("200 MB/s"),
       flag("log", "checkpoint: writes after the last one are in a log that outlives the primary; they are replayed")
           .by_default("false"),
       quantity("replay", Unit::duration, "of a write in the log").by_default("1 ms")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
