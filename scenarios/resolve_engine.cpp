#include "scenarios/resolve_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/llm_cost.hpp"
#include "scenarios/model_choice.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

devices::Scheduling scheduling_named(const std::string& name) {
  if (name == "prefill-first") return devices::Scheduling::prefill_first;
  if (name == "orca") return devices::Scheduling::orca;
  if (name == "static") return devices::Scheduling::static_batch;
  return devices::Scheduling::decode_first;
}

devices::QueueOrder order_named(const std::string& name) {
  if (name == "priority") return devices::QueueOrder::priority;
  if (name == "fair") return devices::QueueOrder::fair;
  return devices::QueueOrder::arrival;
}

void read_speculation(Resolution& r, const ObjectView& v, world::ContinuousBatching& c) {
  if (!v.has("speculation")) return;
  const ObjectView s = v.object("speculation");
  c.speculation.tokens = s.count("tokens");
  c.speculation.overhead = s.duration("overhead");
  if (s.has("acceptance")) {
    const Value& written = *s.find("acceptance");
    if (written.is(JsonKind::list))
      for (const Value& p : written.items) c.speculation.acceptance.push_back(number_of(p, Unit::fraction));
    else
      c.speculation.acceptance.push_back(number_of(written, Unit::fraction));
  }
  if (s.has("variant") && !s.has("model"))
    r.problems.add(s.at("variant"), s.pointer_to("variant"), "needs \"model\", the draft model");
  if (c.async_scheduling)
    r.problems.add(v.at("async_scheduling"), v.pointer_to("async_scheduling"),
                   "cannot plan ahead of guesses; leave \"speculation\" out or say false");
}

// Every running sequence may decode in the same iteration.
void check_token_budget(Resolution& r, const ObjectView& v, const world::ContinuousBatching& c) {
  if (c.scheduling == devices::Scheduling::orca || c.scheduling == devices::Scheduling::static_batch)
    return;
  const std::uint64_t each = 1 + std::uint64_t{c.speculation.tokens};
  const std::uint64_t tokens = c.max_sequences * each;
  if (c.max_batched_tokens >= tokens) return;
  const char* field = v.has("max_batched_tokens") ? "max_batched_tokens"
                      : each > 1                  ? "speculation"
                                                  : "max_batch";
  r.problems.add(v.at(field), v.pointer_to(field),
                 fmt::format("a decode of all {} sequences of max_batch takes {} tokens, more than "
                             "max_batched_tokens, {}; raise it to {}, or lower max_batch",
                             c.max_sequences, tokens, c.max_batched_tokens, tokens));
}

// Every micro-batch of a pipeline has its own share of the cache.
void check_blocks(Resolution& r, const ObjectView& v, const world::ContinuousBatching& c, int parts) {
  if (c.kv_tokens / c.block_size >= parts) return;
  const std::string needed =
      parts == 1 ? fmt::format("one block of {} tokens is needed", c.block_size)
                 : fmt::format("{} blocks of {} tokens are needed, one per pipeline stage", parts,
                               c.block_size);
  if (v.variant() == "continuous" && v.has("kv_tokens") && v.number("kv_tokens") > 0)
    return r.problems.add(v.at("kv_tokens"), v.pointer_to("kv_tokens"),
                          fmt::format("{} are too few, {}", c.kv_tokens, needed));
  throw InputError(fmt::format(
      "beside the weights{}{} there is room for {} tokens of keys and values; {}",
      c.speculation.draft ? " of model and draft model" : "",
      c.adapters.slots > 0 ? " and the adapters" : "", std::max<std::int64_t>(0, c.kv_tokens), needed));
}

// What a server says it has may be a little more than our account of its memory, but not more than all.
bool has_room(const world::LlmModel& model, std::int64_t kv_tokens) {
  try {
    return kv_tokens <= model.cost->kv_capacity_tokens(1);
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace

void read_engine(Resolution& r, const ObjectView& v, world::ContinuousBatching& c) {
  c.scheduling = scheduling_named(v.text("scheduling"));
  c.max_sequences = v.count("max_batch");
  c.max_batched_tokens = v.count("max_batched_tokens");
  c.block_size = v.count("block_size");
  c.kv_tokens = static_cast<std::int64_t>(v.number("kv_tokens"));
  c.memory_utilization = v.number("memory_utilization");
  c.chunked_prefill = v.flag("chunked_prefill");
  c.reserve_prompt = v.flag("reserve_prompt");
  c.prefix_caching = v.flag("prefix_caching");
  c.async_scheduling = v.flag("async_scheduling");
  c.leap = v.text("mode") == "leap";
  c.watermark = v.number("watermark");
  c.swap = v.text("preemption") == "swap";
  c.swap_bandwidth = v.number("swap_bandwidth");
  c.swap_space = v.number("swap_space");
  if (c.scheduling != devices::Scheduling::decode_first)
    for (const char* field : {"chunked_prefill", "async_scheduling"})
      if (v.has(field) && v.flag(field))
        r.problems.add(v.at(field), v.pointer_to(field),
                       fmt::format("needs \"scheduling\": \"decode-first\", not \"{}\"; leave it "
                                   "out or say false",
                                   v.text("scheduling")));
  if (c.swap && (c.scheduling == devices::Scheduling::orca ||
                 c.scheduling == devices::Scheduling::static_batch))
    r.problems.add(v.at("preemption"), v.pointer_to("preemption"),
                   fmt::format("\"{}\" scheduling preempts nobody; leave it out",
                               v.text("scheduling")));
  for (const char* field : {"swap_bandwidth", "swap_space"})
    if (v.has(field) && !c.swap)
      r.problems.add(v.at(field), v.pointer_to(field), "needs \"preemption\": \"swap\"");
  if (c.prefix_caching && !c.reserve_prompt)
    r.problems.add(v.at("prefix_caching"), v.pointer_to("prefix_caching"),
                   "needs \"reserve_prompt\": true");
  c.order = order_named(v.text("order"));
  read_speculation(r, v, c);
  check_token_budget(r, v, c);
  if (v.has("adapters")) {
    c.adapters.slots = v.object("adapters").count("slots");
    c.adapters.bandwidth = v.object("adapters").number("bandwidth");
  }
  for (const ObjectView& t : v.objects("kv_tiers"))
    c.tiers.push_back({t.number("capacity"), t.number("bandwidth")});
  if (!c.tiers.empty() && !c.prefix_caching)
    r.problems.add(v.at("kv_tiers"), v.pointer_to("kv_tiers"), "need \"prefix_caching\": true");
}

void size_engine(Resolution& r, const std::string& service, const ObjectView& v,
                 const world::LlmModel& model, world::ContinuousBatching& c, const CostOnUnits& cost_of) {
  if (c.kv_tokens == 0) c.kv_tokens = model.cost->kv_capacity_tokens(c.memory_utilization);
  else if (!has_room(model, c.kv_tokens))
    r.scenario.notices.push_back(
        fmt::format("service \"{}\": its memory has no room for kv_tokens, {}, beside the weights; they "
                    "count nevertheless",
                    service, c.kv_tokens));
  const double kv = model.cost->kv_bytes_per_token();
  if (v.variant() != "continuous") return check_blocks(r, v, c, model.cost->layout().pipeline);
  if (c.speculation.tokens > 0 && v.object("speculation").has("model")) {
    const ObjectView s = v.object("speculation");
    const ChosenModel draft = choose_model(r, s);
    if (r.problems.any()) return;
    if (!draft.llm)
      return r.problems.add(s.at("model"), s.pointer_to("model"), "a draft model is a language model");
    if (draft.variant.host_weights > 0)
      return r.problems.add(s.at("model"), s.pointer_to("model"),
                            "a draft model has all its weights on the unit; leave out host_weights");
    c.speculation.draft = cost_of(draft.shape, draft.variant);
    // Its weights and its own cache come out of the same memory.
    if (!v.has("kv_tokens") || v.number("kv_tokens") == 0) {
      const models::LlmCost& d = *c.speculation.draft;
      const double room = static_cast<double>(c.kv_tokens) * kv - d.weight_bytes();
      c.kv_tokens = static_cast<std::int64_t>(std::floor(room / (kv + d.kv_bytes_per_token())));
    }
  }
  if (v.has("adapters")) {
    c.adapters.cost = models::AdapterCost(model.shape, model.variant, model.cost->unit(),
                                          v.object("adapters").count("rank"), model.cost->layout().tensor);
    if (!v.has("kv_tokens") || v.number("kv_tokens") == 0) {
      const double kept = c.adapters.slots * c.adapters.cost.bytes();
      const double each = kv + (c.speculation.draft ? c.speculation.draft->kv_bytes_per_token() : 0);
      c.kv_tokens -= static_cast<std::int64_t>(std::ceil(kept / each));
    }
  }
  check_blocks(r, v, c, model.cost->layout().pipeline);
  for (const world::KvTier& t : c.tiers)
    if (t.bytes < c.block_size * kv)
      r.problems.add(v.at("kv_tiers"), v.pointer_to("kv_tiers"),
                     fmt::format("a tier of {} B holds no block of {} tokens ({} B)", t.bytes,
                                 c.block_size, c.block_size * kv));
}

}  // namespace isthmus::scenarios
