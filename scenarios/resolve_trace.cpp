// Bandwidth over time: inline steps or a file, and how links follow it.
#include <fmt/core.h>

#include <memory>
#include <optional>
#include <string>

#include "scenarios/file_reading.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/trace_files.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

TraceSteps steps_of(Resolution& r, const ObjectView& row, const char* name) {
  const Value* trace = row.find(name);
  TraceSteps out;
  if (!trace) return out;
  if (trace->is(JsonKind::text)) {
    try {
      return read_trace_file(expand_path(trace->text, r.document.folder), row.text("trace_format"),
                             row.duration("trace_bin"));
    } catch (const InputError& e) {
      r.problems.add(trace->at, row.pointer_to(name), e.what());
      return {};
    }
  }
  for (std::size_t i = 0; i < trace->items.size(); ++i) {
    const Value& step = trace->items[i];
    network::LinkChange c;
    c.at = Duration::from_seconds(number_of(step.items[0], Unit::duration));
    c.bandwidth = number_of(step.items[1], Unit::bandwidth);
    if (!out.steps.empty() && c.at <= out.steps.back().at)
      r.problems.add(step.at, child(row.pointer_to(name), i), "times must increase");
    out.steps.push_back(c);
  }
  out.length = out.steps.back().at +
               (out.steps.size() > 1 ? out.steps.back().at - out.steps[out.steps.size() - 2].at
                                     : Duration::from_seconds(1));
  return out;
}

// Its period; zero: it ends.
Duration period_of(Resolution& r, const ObjectView& row, const char* name, const TraceSteps& t) {
  const Value* loop = row.find("loop");
  if (!loop) return t.loops ? t.length : Duration::zero();
  if (loop->is(JsonKind::boolean)) return loop->boolean ? t.length : Duration::zero();
  const Duration period = Duration::from_seconds(number_of(*loop, Unit::duration));
  if (t.steps.back().at >= period)
    r.problems.add(loop->at, row.pointer_to("loop"),
                   fmt::format("must be longer than the {}, whose last step is at {} s", name,
                               t.steps.back().at.seconds()));
  return period;
}

}  // namespace

void read_traces(Resolution& r, const ObjectView& row, const network::Link& link,
                 network::LinkRule& rule) {
  const bool any = row.has("trace") || row.has("trace_down");
  for (const char* needs : {"loop", "trace_format", "trace_bin", "trace_start", "trace_offset"})
    if (!any && row.has(needs))
      r.problems.add(row.at(needs), row.pointer_to(needs), "there is no trace");
  if (!any) return;
  const bool split = link.sharing == network::Sharing::split_duplex;
  if (row.has("trace_down") && !split)
    r.problems.add(row.at("trace_down"), row.pointer_to("trace_down"),
                   "only split-duplex links have a capacity per direction");
  for (const char* name : {"trace", "trace_down"}) {
    TraceSteps t = steps_of(r, row, name);
    if (t.steps.empty()) continue;
    const bool down = std::string(name) == "trace_down";
    auto made = std::make_shared<network::LinkTrace>();
    made->period = period_of(r, row, name, t);
    if (row.has("trace_down"))
      for (network::LinkChange& c : t.steps)
        c.ways = down ? network::Ways::down : network::Ways::up;
    for (network::LinkChange& c : t.steps)
      if (c.bandwidth) *c.bandwidth *= goodput_of(row);
    made->steps = std::move(t.steps);
    (down ? rule.trace_down : rule.trace) = std::move(made);
  }
  rule.random_start = row.text("trace_start") == "random";
}

void spread_traces(const ObjectView& row, std::vector<network::Link>& links,
                   const std::vector<std::uint32_t>& instances, network::LinkRule& rule) {
  if (!rule.trace && !rule.trace_down) return;
  const bool staggered = row.text("trace_start") == "staggered";
  const Duration offset = row.duration("trace_offset");

  // One link that starts at the start: its changes belong to the backend.
  if (instances.size() == 1 && !rule.trace_down && !rule.random_start &&
      offset == Duration::zero()) {
    network::Link& link = links[instances.front()];
    link.changes = rule.trace->steps;
    link.loop_period = rule.trace->period;
    // `up` is stated at its edges only: a fault of the same link must not end with the next step.
    bool up = true;
    for (network::LinkChange& c : link.changes) {
      const bool now = c.up.value_or(true);
      c.up.reset();
      if (now != up) c.up = now;
      up = now;
    }
    rule.trace = nullptr;
    return;
  }
  const network::LinkTrace& t = rule.trace ? *rule.trace : *rule.trace_down;
  const double length = t.length().seconds();
  for (std::size_t i = 0; i < instances.size(); ++i) {
    network::Link& link = links[instances[i]];
    link.trace_offset = offset;
    if (staggered)
      link.trace_offset += Duration::from_seconds(length * static_cast<double>(i) /
                                                  static_cast<double>(instances.size()));
  }
}

}  // namespace isthmus::scenarios
