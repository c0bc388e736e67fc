// Batch jobs from their table.
#include <fmt/core.h>

#include <algorithm>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

void refuse(Resolution& r, const ObjectView& v, const char* field, const std::string& why) {
  r.problems.add(v.at(field), v.pointer_to(field), why);
}

world::BatchJob job_of(Resolution& r, const std::string& name, const ObjectView& v) {
  world::BatchJob j;
  j.name = name;
  std::uint64_t workers = 0;
  for (const std::string& group : v.texts("workers")) {
    const std::uint32_t g = r.groups.at(group);
    if (std::find(j.workers.begin(), j.workers.end(), g) != j.workers.end())
      refuse(r, v, "workers", fmt::format("\"{}\" is named twice", group));
    j.workers.push_back(g);
    workers += r.scenario.nodes[g].count;
  }
  j.slots = v.count("slots");
  j.start = v.duration("start");
  j.items = v.big_count("items");
  j.shards = v.count("shards");
  if (j.shards > j.items)
    refuse(r, v, "shards", fmt::format("{} shards of {} items: a shard has one item or more", j.shards, j.items));
  j.item_time = v.distribution("item_time", r.problems);
  j.slowdown = v.distribution("slowdown", r.problems);
  if (!r.problems.any() && !(j.item_time.mean() > 0))
    refuse(r, v, "item_time", "must be above 0 on average");
  if (!r.problems.any() && !(j.slowdown.mean() > 0)) refuse(r, v, "slowdown", "must be above 0 on average");
  const std::string assignment = v.text("assignment");
  j.assignment = assignment == "queue"      ? world::ShardAssignment::queue
                 : assignment == "stealing" ? world::ShardAssignment::stealing
                                            : world::ShardAssignment::consistent_hash;
  j.ring_points = v.number("ring_points");
  if (v.has("ring_points") && assignment == "queue")
    refuse(r, v, "ring_points", "only with an assignment by hash");
  if (assignment != "queue" && static_cast<double>(workers) * j.ring_points > 1e7)
    refuse(r, v, "ring_points", "more than 10 million points on the ring; take fewer points per worker");
  j.setup = v.duration("setup");
  if (v.has("checkpoint")) {
    const ObjectView c = v.object("checkpoint");
    if (!c.has("items") && !c.has("every"))
      r.problems.add(c.at(), c.pointer(), "give \"items\" or \"every\", after which a checkpoint is written");
    if (c.has("items")) j.checkpoint_items = c.big_count("items");
    j.checkpoint_every = c.duration_or("every", Duration::max());
    j.checkpoint_time = c.duration("time");
    j.checkpoint_bytes = c.number("bytes");
    if (c.has("storage")) j.storage = r.groups.at(c.text("storage"));
    if (c.has("bytes") && !c.has("storage"))
      refuse(r, c, "bytes", "bytes travel to a \"storage\"; name its node group");
    if (c.has("storage") && !(j.checkpoint_bytes > 0))
      refuse(r, c, "storage", "nothing travels there without \"bytes\"");
  }
  j.retries = v.count("retries");
  j.timeout = v.duration_or("timeout", Duration::max());
  if (j.timeout <= j.setup) refuse(r, v, "timeout", "must be longer than \"setup\"");
  if (v.has("speculation")) {
    const ObjectView s = v.object("speculation");
    j.speculate = true;
    j.slow_factor = s.number("slow_factor");
    j.check = s.duration("check");
    j.speculative_share = s.number("share");
    if (workers < 2) refuse(r, v, "speculation", "copies need a second worker");
  }
  return j;
}

}  // namespace

void resolve_jobs(Resolution& r, const ObjectView& root) {
  if (const Value* table = root.find("jobs"))
    for (const Member& m : table->members)
      r.scenario.jobs.push_back(
          job_of(r, m.key, ObjectView(&m.value, batch_job_spec(), child("/jobs", m.key), m.at)));
}

}  // namespace isthmus::scenarios
