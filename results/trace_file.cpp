#include "results/trace_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <queue>

namespace isthmus::results {

namespace {

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Writes events one per line; dates are microseconds with three decimals, exact from integers.
class Writer {
 public:
  void name_process(std::size_t pid, const std::string& name) {
    line(fmt::format(R"({{"ph":"M","name":"process_name","pid":{},"args":{{"name":{}}}}})", pid,
                     quoted(name)));
  }
  void span(std::size_t pid, std::size_t lane, std::string_view name, Instant from, Instant to,
            std::string_view args) {
    line(fmt::format(
        R"({{"ph":"X","name":"{}","cat":"request","pid":{},"tid":{},"ts":{},"dur":{}{}}})", name,
        pid, lane, microseconds(from.ns()), microseconds((to - from).ns()), args));
  }
  void counter(std::size_t pid, std::string_view name, Instant at, std::uint32_t value) {
    line(fmt::format(R"({{"ph":"C","name":"{}","pid":{},"tid":0,"ts":{},"args":{{"{}":{}}}}})",
                     name, pid, microseconds(at.ns()), name, value));
  }
  std::string take() { return std::move(text_); }

 private:
  static std::string microseconds(std::int64_t ns) {
    return fmt::format("{}.{:03}", ns / 1000, ns % 1000);
  }
  void line(const std::string& event) { text_ += (text_.empty() ? "" : ",\n") + event; }
  std::string text_;
};

// Where a request ends in the picture: its completion, or the last date known of it.
Instant end_of(const RequestRecord& r, Instant run_end) {
  if (!r.completed.is_never()) return r.completed;
  if (r.status == Status::in_flight) return std::max(run_end, r.created);
  Instant last = r.created;
  for (const Instant t : {r.sent, r.arrived, r.started, r.first_token, r.served})
    if (!t.is_never()) last = std::max(last, t);
  return last;
}

}  // namespace

std::string TraceCollector::json(const RunInfo& info, Instant end) const {
  Writer out;
  // Process 0 holds what was never placed.
  out.name_process(0, "not placed");
  for (std::size_t s = 0; s < info.services.size(); ++s)
    out.name_process(s + 1, "service " + info.services[s]);

  // Records come in order of completion; lanes need order of creation.
  std::vector<const RequestRecord*> order;
  for (const RequestRecord& r : requests_) order.push_back(&r);
  std::sort(order.begin(), order.end(), [](const RequestRecord* a, const RequestRecord* b) {
    return std::pair(a->created, a->request) < std::pair(b->created, b->request);
  });

  // A request takes the lowest lane of its service that is free when it is created.
  struct Lanes {
    std::priority_queue<std::pair<Instant, std::size_t>,
                        std::vector<std::pair<Instant, std::size_t>>, std::greater<>>
        busy;
    std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> free;
    std::size_t count = 0;
  };
  std::vector<Lanes> lanes(info.services.size() + 1);
  for (const RequestRecord* r : order) {
    const std::size_t pid = r->service < info.services.size() ? r->service + 1 : 0;
    Lanes& l = lanes[pid];
    while (!l.busy.empty() && l.busy.top().first <= r->created) {
      l.free.push(l.busy.top().second);
      l.busy.pop();
    }
    if (l.free.empty()) l.free.push(++l.count);
    const std::size_t lane = l.free.top();
    l.free.pop();
    const Instant over = end_of(*r, end);
    l.busy.push({over, lane});

    out.span(pid, lane, fmt::format("request {}", r->request), r->created, over,
             fmt::format(
                 R"(,"args":{{"workload":{},"status":"{}","cause":"{}","attempts":{}{}}})",
                 r->workload < info.workloads.size() ? quoted(info.workloads[r->workload]) : "null",
                 name_of(r->status), name_of(r->cause), r->attempts,
                 !info.calls ? std::string()
                             : fmt::format(R"(,"call_time_ms":{:.6g},"pool_wait_ms":{:.6g})",
                                           r->call_time * 1e3, r->pool_wait * 1e3)));
    const auto stage = [&](std::string_view name, Instant from, Instant to) {
      if (from.is_never() || to.is_never() || to <= from) return;
      out.span(pid, lane, name, from, to, "");
    };
    stage("prepare", r->created, r->sent);
    stage("upload", r->sent, r->arrived);
    stage("queue", r->arrived, r->started);
    if (r->first_token.is_never()) {
      stage("service", r->started, r->served);
    } else {
      stage("prefill", r->started, r->first_token);
      stage("decode", r->first_token, r->served);
    }
    stage("download", r->served, r->completed);
  }
  for (const ServiceSample& s : samples_) {
    const std::size_t pid = s.service + 1;
    out.counter(pid, "queued", s.at, s.queued);
    out.counter(pid, "running", s.at, s.running);
    out.counter(pid, "ready replicas", s.at, s.ready_replicas);
  }
  return fmt::format(
      "{{\"displayTimeUnit\":\"ms\",\"otherData\":{{\"scenario\":{},\"seed\":\"{}\","
      "\"requests shown\":\"{}\",\"requests left out\":\"{}\"}},\n\"traceEvents\":[\n{}\n]}}\n",
      quoted(info.name), info.seed, requests_.size(), left_out_, out.take());
}

}  // namespace isthmus::results
