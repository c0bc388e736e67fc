// The engine of one LLM replica, whatever its layout: one scheduler, a pipeline of micro-batches, or
// data-parallel ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "devices/data_parallel_engine.hpp"
#include "devices/llm_engine.hpp"
#include "devices/pipelined_engine.hpp"

namespace isthmus::devices {

//! What the owner of a replica asks of its engine; LlmEngine says what each call means. A closed set of
//! engines and no virtual calls, because a replica asks several times per iteration.
class ServingEngine {
  using Engine = std::variant<LlmEngine, PipelinedEngine, DataParallelEngine>;

  template <class Question>
  decltype(auto) ask(Question question) {
    if (auto* e = std::get_if<LlmEngine>(&engine_)) return question(*e);
    if (auto* e = std::get_if<PipelinedEngine>(&engine_)) return question(*e);
    return question(*std::get_if<DataParallelEngine>(&engine_));
  }
  template <class Question>
  decltype(auto) ask(Question question) const {
    if (const auto* e = std::get_if<LlmEngine>(&engine_)) return question(*e);
    if (const auto* e = std::get_if<PipelinedEngine>(&engine_)) return question(*e);
    return question(*std::get_if<DataParallelEngine>(&engine_));
  }

 public:
  //! Chosen by the layout of `cost`. Throws InputError when limits contradict each other or it.
  ServingEngine(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits)
      : engine_(make(std::move(cost), limits)) {}

  bool fits(const EngineRequest& request) const {
    return ask([&](const auto& e) { return e.fits(request); });
  }
  void enqueue(const EngineRequest& request) {
    ask([&](auto& e) { e.enqueue(request); });
  }
  bool cancel(std::uint64_t tag) {
    return ask([&](auto& e) { return e.cancel(tag); });
  }
  bool release(std::uint64_t tag) {
    return ask([&](auto& e) { return e.release(tag); });
  }
  Instant begin(Instant now, std::vector<Admission>& admitted) {
    return ask([&](auto& e) { return e.begin(now, admitted); });
  }
  Instant interrupt(Instant now) {
    return ask([&](auto& e) { return e.interrupt(now); });
  }
  //! The times of iterations have changed: a run of them ends early. Other engines plan one at a time.
  Instant cut(Instant now) {
    if (auto* e = std::get_if<LlmEngine>(&engine_)) return e->cut(now);
    return interrupt(now);
  }
  void finish(std::vector<Progress>& progress) {
    ask([&](auto& e) { e.finish(progress); });
  }
  std::int64_t left(std::uint64_t tag, Instant now, std::uint32_t& place) const {
    return ask([&](const auto& e) { return e.left(tag, now, place); });
  }
  Instant next_boundary(Instant now) const {
    return ask([&](const auto& e) { return e.next_boundary(now); });
  }
  void set_cost(std::shared_ptr<const models::LlmCost> cost) {
    ask([&](auto& e) { e.set_cost(std::move(cost)); });
  }
  void clear(std::vector<std::uint64_t>& lost) {
    ask([&](auto& e) { e.clear(lost); });
  }

  bool busy() const { return ask([](const auto& e) { return e.busy(); }); }
  bool has_work() const { return ask([](const auto& e) { return e.has_work(); }); }
  std::uint32_t waiting() const { return ask([](const auto& e) { return e.waiting(); }); }
  std::uint32_t running() const { return ask([](const auto& e) { return e.running(); }); }
  double kv_usage(Instant now) const {
    return ask([&](const auto& e) { return e.kv_usage(now); });
  }
  EngineCounters counters() const {
    return ask([](const auto& e) { return EngineCounters(e.counters()); });
  }
  double compute_share() const { return ask([](const auto& e) { return e.compute_share(); }); }
  //! Share of the replica's units in use during the current span. Data-parallel ranks are, all of them:
  //! who waits for the others does so in a collective operation.
  double busy_share() const {
    const auto* p = std::get_if<PipelinedEngine>(&engine_);
    return p ? p->busy_share() : 1.0;
  }
  //! Pipeline stages in use, and all of them, over the spans so far, in stage-seconds; 0 without any.
  double busy_stage_seconds() const {
    const auto* p = std::get_if<PipelinedEngine>(&engine_);
    return p ? p->busy_stage_seconds() : 0.0;
  }
  double stage_seconds() const {
    const auto* p = std::get_if<PipelinedEngine>(&engine_);
    return p ? p->stage_seconds() : 0.0;
  }

 private:
  static Engine make(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits) {
    if (cost->layout().data > 1)
      return Engine(std::in_place_type<DataParallelEngine>, std::move(cost), limits);
    if (cost->stages().empty())
      return Engine(std::in_place_type<LlmEngine>, std::move(cost), limits);
    return Engine(std::in_place_type<PipelinedEngine>, std::move(cost), limits);
  }

  Engine engine_;
};

}  // namespace isthmus::devices
