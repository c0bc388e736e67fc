// Calls between services, and pools of connections. See docs/tiers.md.
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

const ObjectSpec& calls_spec() {
  static const ObjectSpec spec{
      "calls",
      "After its own work on a request, the service sends it on to another service, such as a "
      "store, and answers when it has the answer. It keeps no slot meanwhile. In a list, calls are made one after the "
      "other, and each draws service times of its own.",
      {refer("service", Reference::service, "that is called").needed(),
       quantity("request", Unit::bytes, "sent to it").default_is("as the request's upload"),
       quantity("answer", Unit::bytes, "sent back").default_is("as the request's download"),
       quantity("chance", Unit::fraction, "that a request needs it at all; in a list").at_most(1).by_default("1"),
       integer("count", "times that it is made; in a list").at_least(1).at_most(1000).by_default("1"),
       flag("parallel",
            "all its calls are made at once, together with the parallel calls before and after it in the list; the "
            "request goes on when all of them are answered")
           .by_default("false"),
       word("operation", {"any", "read", "write"},
            "what the call does at a service with a `failover`; any: as its write_share says")
           .by_default("any"),
       text("pool", "one of the service's `connection_pools`; a call waits there for a connection")
           .default_is("none: connections cost nothing")},
      "",
      {}};
  return spec;
}

const ObjectSpec& connection_pool_spec() {
  static const ObjectSpec spec{
      "connection pool",
      "Connections that calls use one at a time, with the rules of Go's database/sql. A connection goes to the replica "
      "that the routing of the called service chose when it was opened.",
      {flag("shared", "one pool for all replicas of the service, such as a proxy, instead of one for each")
           .by_default("false"),
       integer("max_open", "connections; beyond, requests wait in a line").at_least(1).at_most(1e9).default_is("unlimited"),
       integer("max_idle", "connections that are kept while nobody uses them; others are closed when they come back")
           .at_most(1e9)
           .by_default("2"),
       quantity("max_lifetime", Unit::duration, "since it was opened; then it is closed as soon as it is idle")
           .above(0)
           .default_is("unlimited"),
       quantity("max_idle_time", Unit::duration, "it is closed when it has been idle for so long")
           .above(0)
           .default_is("unlimited"),
       quantity("wait_timeout", Unit::duration,
                "for a connection, opened for it or not; a request that waits longer fails (cause pool_timeout)")
           .above(0)
           .default_is("none"),
       integer("round_trips", "of an opening, without encryption: 1 for TCP, and those of a login").at_most(100).by_default("1"),
       word("encryption", {"none", "tls-1.2", "tls-1.3"}, "adds its handshake to the opening").by_default("none"),
       quantity("open_time", Unit::duration,
                "of the server for an opening, such as starting a process for it and checking a password; takes no slot")
           .by_default("0 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& message_queue_spec() {
  static const ObjectSpec spec{
      "message queue",
      "The service keeps a message of each request and answers at once; its `calls`, the consumers, are made later for "
      "each message. All answered, the message is gone; one failed, it is delivered again (at least once).",
      {integer("concurrency", "messages that may be at consumers at once, for each replica").at_least(1).at_most(1e9).by_default("1"),
       integer("capacity", "messages that each replica keeps; further requests are rejected (queue_full)")
           .at_least(1)
           .at_most(1e9)
           .default_is("unlimited"),
       quantity("ack_timeout", Unit::duration, "a delivery that takes longer has failed").above(0).default_is("none"),
       quantity("redelivery_delay", Unit::duration, "from a failed delivery until the message is first in the line again")
           .by_default("1 s"),
       integer("max_tries", "deliveries; then the message is a dead letter").at_least(1).at_most(1000).by_default("5"),
       flag("durable", "messages outlive a failure of their machine").by_default("true")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
