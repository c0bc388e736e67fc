#include "devices/engine_group.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

EngineGroup::EngineGroup(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits,
                         std::int64_t parts, const char* name)
    : cost_(std::move(cost)) {
  EngineLimits own = limits;
  own.leap = false;  // nobody goes ahead
  own.kv_blocks = limits.kv_blocks / parts;
  // The same share of fewer blocks, rounded down.
  own.watermark_blocks = static_cast<std::int64_t>(
      static_cast<double>(limits.watermark_blocks) * static_cast<double>(own.kv_blocks) /
      static_cast<double>(std::max<std::int64_t>(1, limits.kv_blocks)));
  if (own.kv_blocks < 1)
    throw InputError(
        fmt::format("engine: {} KV blocks are too few for {} {}", limits.kv_blocks, parts, name));
  for (std::int64_t i = 0; i < parts; ++i) engines_.emplace_back(cost_, own);
}

bool EngineGroup::cancel(std::uint64_t tag) {
  return std::any_of(engines_.begin(), engines_.end(),
                     [&](LlmEngine& e) { return e.cancel(tag); });
}

bool EngineGroup::release(std::uint64_t tag) {
  return std::any_of(engines_.begin(), engines_.end(),
                     [&](LlmEngine& e) { return e.release(tag); });
}

std::int64_t EngineGroup::left(std::uint64_t tag, Instant, std::uint32_t& place) const {
  for (const LlmEngine& e : engines_) {
    std::uint32_t own = place;
    const std::int64_t left = e.left(tag, Instant::zero(), own);  // nothing of running spans
    if (left < 0) continue;
    place = own;
    return left;
  }
  return -1;
}

bool EngineGroup::has_work() const {
  return std::any_of(engines_.begin(), engines_.end(),
                     [](const LlmEngine& e) { return e.has_work(); });
}

std::uint32_t EngineGroup::waiting() const {
  std::uint32_t all = 0;
  for (const LlmEngine& e : engines_) all += e.waiting();
  return all;
}

std::uint32_t EngineGroup::running() const {
  std::uint32_t all = 0;
  for (const LlmEngine& e : engines_) all += e.running();
  return all;
}

double EngineGroup::kv_usage(Instant now) const {
  double all = 0;
  for (const LlmEngine& e : engines_) all += e.kv_usage(now);
  return all / static_cast<double>(engines_.size());
}

EngineCounters EngineGroup::counters() const {
  EngineCounters all;
  for (const LlmEngine& e : engines_) all += e.counters();
  return all;
}

void EngineGroup::clear_engines(std::vector<std::uint64_t>& lost) {
  for (LlmEngine& e : engines_) e.clear(lost);
  span_active_ = false;
}

void EngineGroup::end_span() {
  if (!span_active_) throw InternalError("engine: no span is running");
  span_active_ = false;
}

void EngineGroup::finish_engine(LlmEngine& engine, Instant at, std::vector<Progress>& progress) {
  part_.clear();
  engine.finish(part_);
  for (Progress& p : part_) {
    p.at = at;
    progress.push_back(p);
  }
}

}  // namespace isthmus::devices
