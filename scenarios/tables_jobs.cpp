// Batch jobs. See docs/batch_jobs.md.
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

const ObjectSpec& checkpoint_spec() {
  static const ObjectSpec spec{
      "checkpoint",
      "Keeps what an attempt has done, so that the next one of the shard goes on from there. Written after so many "
      "items or so much work, whatever comes first.",
      {integer("items", "between checkpoints").at_least(1).at_most(1e12).default_is("any number"),
       quantity("every", Unit::duration, "of work between checkpoints; they fall between items")
           .above(0)
           .default_is("any time"),
       quantity("time", Unit::duration, "of writing one, beside its transfer").by_default("0 s"),
       quantity("bytes", Unit::bytes, "of one").at_most(1e15).by_default("0 B"),
       refer("storage", Reference::group, "to whose first machine they travel over the network")
           .default_is("none: no transfer")},
      "",
      {}};
  return spec;
}

const ObjectSpec& speculation_of_jobs_spec() {
  static const ObjectSpec spec{
      "speculative copies",
      "Shards that are slow get a second attempt on an idle worker; the first that ends counts (MapReduce, LATE).",
      {quantity("slow_factor", Unit::none,
                "an attempt with less than the median rate (items/s) divided by this is slow")
           .above(1)
           .at_most(1e6)
           .by_default("1.5"),
       quantity("check", Unit::duration, "between looks; attempts younger than this are left alone")
           .at_least(0.001)
           .by_default("10 s"),
       quantity("share", Unit::fraction, "of the shards that may have a copy at once; one always may")
           .at_most(1)
           .by_default("0.1")},
      "",
      {}};
  return spec;
}

}  // namespace

const ObjectSpec& batch_job_spec() {
  static const ObjectSpec spec{
      "job",
      "Items that machines work off beside the requests of the scenario: shards of items, each an attempt of a "
      "worker. Workers do not slow down services on the same machine.",
      {either("workers",
              {refer("", Reference::group, "node group"),
               list("", refer("", Reference::group, "node group"), "several").at_least(1)},
              "machines that work on it")
           .needed(),
       integer("slots", "shards that a worker works on at once").at_least(1).at_most(1e4).by_default("1"),
       quantity("start", Unit::duration, "of the job").by_default("0 s"),
       integer("items", "in all").at_least(1).at_most(1e9).needed(),
       integer("shards", "of equal size, as far as possible").at_least(1).at_most(1e6).needed(),
       distribution("item_time", Unit::duration, "of one item on a worker").needed(),
       distribution("slowdown", Unit::none, "factor of the times of one attempt: its machine, its neighbours")
           .by_default("1"),
       word("assignment", {"consistent-hash", "queue", "stealing"},
            "which worker gets a shard: the next one on a hash ring; the first that is free; the one of the ring, "
            "but idle workers take shards from the longest line")
           .by_default("consistent-hash"),
       integer("ring_points", "of a worker on the ring").at_least(1).at_most(10000).by_default("160"),
       quantity("setup", Unit::duration, "of an attempt before its first item (loading the model, reading a "
                                         "checkpoint)")
           .by_default("0 s"),
       object("checkpoint", checkpoint_spec, "what survives a failure").default_is("none: nothing of an attempt does"),
       integer("retries", "of a shard, after failures of its worker and timeouts").at_most(1e6).by_default("3"),
       quantity("timeout", Unit::duration, "of an attempt, which then starts again on another worker")
           .above(0)
           .default_is("none"),
       object("speculation", speculation_of_jobs_spec, "second attempts for slow shards").default_is("none")},
      "",
      {}};
  return spec;
}

}  // namespace isthmus::scenarios
