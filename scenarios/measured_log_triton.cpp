// Triton: what perf_analyzer saw of every request, or the server's own trace.
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "scenarios/measured_log_reader.hpp"

namespace isthmus::scenarios {

namespace {

// {"experiments": [{"experiment": {...}, "requests": [{"timestamp", "response_timestamps"}]}]}, ns.
void read_export(LogReading& in) {
  const JsonFields top(in.content);
  if (!top.has("experiments"))
    in.fail("has no \"experiments\"; it is what perf_analyzer writes with --profile-export-file");
  const auto experiments = json_items(top.find("experiments"));
  std::size_t which = in.options.experiment.value_or(0);
  if (experiments.empty()) in.fail("\"experiments\" is empty");
  if (!in.options.experiment && experiments.size() > 1)
    in.fail(fmt::format("holds {} experiments, one per load; choose one with --experiment 0 to {}",
                        experiments.size(), experiments.size() - 1));
  if (which >= experiments.size())
    in.fail(fmt::format("--experiment {}: there are {}, from 0 on", which, experiments.size()));
  const JsonFields chosen(experiments[which]);
  if (!chosen.has("requests")) in.fail("its experiment has no \"requests\"");
  bool streams = false;
  std::size_t number = 0;
  for (const std::string_view text : json_items(chosen.find("requests"))) {
    const std::string place = in.request_place(number++);
    const JsonFields f(text);
    MeasuredRequest q;
    q.place = place;
    q.arrival = log_date(f.find("timestamp"), "timestamp", place, 1);
    if (!f.has("response_timestamps"))
      LogReading::fail_at(place, "has no \"response_timestamps\"");
    std::vector<std::int64_t> responses;
    for (const std::string_view stamp : json_items(f.find("response_timestamps")))
      responses.push_back(log_date(stamp, "response_timestamps", place, 1));
    if (responses.empty()) {
      ++in.failed;
      continue;
    }
    if (!std::is_sorted(responses.begin(), responses.end()) || responses.front() <= q.arrival)
      LogReading::fail_at(place,
                          "\"response_timestamps\" must rise and lie after its \"timestamp\"");
    const auto since = [&](std::int64_t ns) { return static_cast<double>(ns - q.arrival) * 1e-9; };
    q.latency = since(responses.back());
    if (responses.size() > 1) {  // a stream: one token each
      streams = true;
      q.ttft = since(responses.front());
      q.output_tokens = static_cast<std::uint32_t>(responses.size());
    }
    in.log.requests.push_back(std::move(q));
  }
  if (streams)
    in.log.notices.emplace_back(
        "every response of a stream counts as one token: as many as the server sent apart");
}

// "request handler start" of old servers is REQUEST_START of newer ones.
std::string stamp_name(std::string_view written) {
  std::string name = json_plain(written);
  for (char& c : name)
    c = c == ' ' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (name.starts_with("REQUEST_HANDLER_")) name.erase(8, 8);
  return name;
}

// [{"id", "model_name", "model_version", "parent_id"}, {"id", "timestamps": [{"name", "ns"}]}, ...]
void read_trace(LogReading& in) {
  struct Trace {
    std::string model;
    bool part = false;  // of an ensemble
    std::map<std::string, std::int64_t> stamps;
  };
  std::map<std::uint32_t, Trace> traces;
  // JsonFields wants an object, and checks all of it.
  const std::string wrapped = fmt::format("{{\"traces\":{}}}", in.content);
  const JsonFields whole(wrapped);
  std::size_t number = 0;
  for (const std::string_view text : json_items(whole.find("traces"))) {
    const std::string place = fmt::format("{}: entry {}", in.log.path, number++);
    const JsonFields f(text);
    Trace& t = traces[log_count(f.find("id"), "id", place)];
    if (f.has("model_name")) t.model = json_plain(f.find("model_name"));
    if (f.has("parent_id") && f.find("parent_id") != "0") t.part = true;
    if (!f.has("timestamps")) continue;
    for (const std::string_view stamp : json_items(f.find("timestamps"))) {
      const JsonFields s(stamp);
      const std::int64_t ns = log_date(s.find("ns"), "ns", place, 1);
      t.stamps.emplace(stamp_name(s.find("name")), ns);
    }
  }
  std::set<std::string> models;
  for (const auto& [id, t] : traces)
    if (!t.part && !t.model.empty()) models.insert(t.model);
  if (in.options.model.empty() && models.size() > 1)
    in.fail(fmt::format("traces {} models; choose one with --model {}", models.size(),
                        fmt::join(models, ", or ")));
  if (!in.options.model.empty() && !models.contains(in.options.model))
    in.fail(fmt::format("traces no model \"{}\" but {}", in.options.model, fmt::join(models, ", ")));
  for (const auto& [id, t] : traces) {
    if (t.part || (!in.options.model.empty() && t.model != in.options.model)) continue;
    const std::string place = fmt::format("{}: trace {}", in.log.path, id);
    const auto stamp = [&](const char* name) {
      const auto it = t.stamps.find(name);
      return it == t.stamps.end() ? std::int64_t{-1} : it->second;
    };
    const std::int64_t begin = stamp("REQUEST_START"), end = stamp("REQUEST_END");
    if (begin < 0 || end < 0) {
      ++in.failed;
      continue;
    }
    if (end <= begin) LogReading::fail_at(place, "REQUEST_END must lie after REQUEST_START");
    MeasuredRequest q;
    q.place = place;
    q.arrival = begin;
    q.latency = static_cast<double>(end - begin) * 1e-9;
    const std::int64_t from = stamp("COMPUTE_START"), to = stamp("COMPUTE_END");
    if (from >= 0 && to > from) q.service = static_cast<double>(to - from) * 1e-9;
    in.log.requests.push_back(std::move(q));
  }
  in.log.notices.emplace_back(
      "a server's trace is the whole load only when it was made with rate=1 (every request)");
}

}  // namespace

void read_triton(LogReading& in) {
  try {
    const std::size_t begin = in.content.find_first_not_of(" \t\r\n");
    in.content[begin] == '[' ? read_trace(in) : read_export(in);
  } catch (const InputError&) {
    throw;
  } catch (const Error& e) {
    in.fail(e.what());
  }
}

}  // namespace isthmus::scenarios
