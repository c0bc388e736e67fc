// Outboxes and replicated data. See docs/offline.md and docs/replicated_data.md.
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

const ObjectSpec& message_source_spec() {
  static const ObjectSpec spec{
      "message source",
      "What makes the messages of an outbox: requests that a service has served on the same machine, or a "
      "clock.",
      {refer("after", Reference::service, "one message per request that this service has served there")
           .default_is("none"),
       distribution("interval", Unit::duration,
                    "instead of `after`: between two messages of a machine; less than 1 us counts as 1 us")
           .default_is("none"),
       quantity("start", Unit::duration, "of the first message, with `interval`")
           .default_is("one interval, a constant one times a draw from (0, 1)"),
       distribution("bytes", Unit::bytes, "of a message").needed(),
       integer("priority", "larger first, for outboxes with \"order\": \"priority\"").at_least(-1000000).at_most(1000000).by_default("0")},
      "",
      {}};
  return spec;
}

const ObjectSpec& reconnect_spec() {
  static const ObjectSpec spec{
      "reconnect",
      "How a machine gets back to its sink after a failed attempt.",
      {word("by", {"probe", "link-up"},
            "probe: by trying again; link-up: also at once when links and machines on the way are back")
           .by_default("probe"),
       quantity("interval", Unit::duration, "from a failed attempt to the next").above(0).by_default("5 s"),
       quantity("backoff", Unit::none, "factor of this wait from one failed attempt to the next")
           .at_least(1)
           .at_most(1000)
           .by_default("2"),
       quantity("longest", Unit::duration, "wait").above(0).by_default("60 s"),
       quantity("jitter", Unit::fraction, "largest share of a wait that is taken off, at random")
           .at_most(1)
           .by_default("0.2"),
       integer("trips", "round trips of setting up the connection, e.g. 1 for TCP, 2 with TLS 1.3; paid at "
                        "the start and after every failure")
           .at_most(100)
           .by_default("0"),
       quantity("trip_bytes", Unit::bytes, "of each of the two messages of such a trip").at_most(1e12).by_default("500 B")},
      "",
      {}};
  return spec;
}

}  // namespace

const ObjectSpec& outbox_spec() {
  static const ObjectSpec spec{
      "outbox",
      "Store and forward: messages of machines that wait there until the network has taken them to their sink. "
      "Every machine of the group has its own. See docs/offline.md.",
      {refer("from", Reference::group, "machines that make messages").needed(),
       refer("to", Reference::group, "sinks; machine i sends to machine i modulo their number").needed(),
       map("messages", object("", message_source_spec, "a source"), "what makes messages, by name")
           .at_least(1)
           .needed(),
       quantity("capacity", Unit::bytes, "of an outbox, messages on their way included")
           .above(0)
           .default_is("no limit"),
       integer("max_messages", "likewise").at_least(1).default_is("no limit"),
       word("when_full", {"drop-oldest", "drop-newest", "block"},
            "drop-oldest: waiting messages of no higher priority make room; drop-newest: the new message goes; "
            "block: its source waits, which only a clock can")
           .by_default("drop-oldest"),
       flag("durable", "messages survive a failure of their machine").by_default("true"),
       word("order", {"fifo", "newest-first", "priority"}, "in which messages leave").by_default("fifo"),
       word("delivery", {"at-most-once", "at-least-once", "exactly-once"},
            "at-most-once: nothing is acknowledged or sent again; at-least-once: what is not acknowledged is sent "
            "again; exactly-once: likewise, and the sink passes on each message once")
           .by_default("at-least-once"),
       integer("batch", "messages per transfer, at most; one transfer at a time").at_least(1).by_default("1"),
       quantity("batch_bytes", Unit::bytes, "of these, beyond the first message").above(0).default_is("no limit"),
       quantity("header", Unit::bytes, "on top of a transfer").at_most(1e12).by_default("0 B"),
       quantity("ack", Unit::bytes, "of an acknowledgement").at_most(1e12).by_default("64 B"),
       quantity("ack_timeout", Unit::duration, "from the end of a transfer; then it has failed")
           .above(0)
           .by_default("10 s"),
       object("reconnect", reconnect_spec, "after a failed attempt"),
       quantity("catch_up_rate", Unit::bandwidth,
                "largest rate of a transfer from a failed attempt until the outbox has caught up")
           .above(0)
           .default_is("no limit")},
      "",
      {}};
  return spec;
}

const ObjectSpec& replicated_data_spec() {
  static const ObjectSpec spec{
      "replicated data",
      "Keys with a copy on every machine of a group and one at a hub, all of which may write them at any time "
      "(optimistic replication). Version vectors tell what is new and what is in conflict. See "
      "docs/replicated_data.md.",
      {refer("hub", Reference::group, "its first machine has the copy that all others exchange with").needed(),
       refer("at", Reference::group, "machines with copies").needed(),
       integer("keys", "number of keys").at_least(1).at_most(1e6).needed(),
       quantity("exponent", Unit::none, "key k is written and read in proportion to k^-exponent")
           .at_most(20)
           .by_default("0"),
       distribution("value", Unit::bytes, "of a key, drawn once").needed(),
       distribution("writes", Unit::duration, "between two writes of a machine").default_is("none"),
       distribution("hub_writes", Unit::duration, "between two writes at the hub").default_is("none"),
       distribution("reads", Unit::duration, "between two reads of a machine, of its own copy").default_is("none"),
       word("sync", {"polling", "push"},
            "polling: machines ask every `interval`; push: changes are sent at once over connections that are "
            "kept, and machines that lost theirs ask every `retry`")
           .by_default("polling"),
       quantity("interval", Unit::duration, "of polling").above(0).default_is("60 s"),
       quantity("start", Unit::duration, "of the first poll").default_is("drawn from (0, interval)"),
       quantity("retry", Unit::duration, "of push: from the loss of a connection to the next attempt")
           .above(0)
           .default_is("5 s"),
       word("transfer", {"incremental", "full"},
            "incremental: keys that the other side may not know; full: all keys, every time")
           .by_default("incremental"),
       word("conflicts", {"last-writer-wins", "hub-wins", "keep-both"},
            "what becomes of concurrent versions: the later one by the writers' clocks stays, or that of the hub, or "
            "both until somebody overwrites them")
           .by_default("last-writer-wins"),
       quantity("clock_skew", Unit::duration, "clocks of machines are off by up to this, either way")
           .at_most(1e6)
           .by_default("0 s"),
       quantity("header", Unit::bytes, "of a message of synchronization").at_most(1e12).by_default("200 B"),
       quantity("key_bytes", Unit::bytes, "of the name of a key in it").at_most(1e9).by_default("16 B"),
       quantity("entry_bytes", Unit::bytes, "of an entry of a version vector in it").at_most(1e9).by_default("12 B")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
