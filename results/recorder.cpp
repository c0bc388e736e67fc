#include "results/recorder.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <optional>

#include "results/csv_file.hpp"
#include "results/html_report.hpp"
#include "results/level_metrics.hpp"
#include "results/metrics.hpp"
#include "results/part_metrics.hpp"
#include "results/rollout_metrics.hpp"
#include "results/run_directory.hpp"
#include "results/run_file.hpp"
#include "results/summary.hpp"
#include "results/tally.hpp"
#include "results/trace_file.hpp"

namespace isthmus::results {

struct Recorder::Impl {
  RunInfo info;
  RecorderOptions options;
  std::vector<ObjectiveRule> rules;

  // Every record, warm-up included: the conservation line.
  std::array<std::uint64_t, 4> by_status{};
  std::array<std::uint64_t, static_cast<std::size_t>(Cause::count_)> by_cause{};

  // Counted records, one tally per (workload, service) that occurs; the last column of a row is for
  // requests that were never placed. Larger groups are unions of these.
  std::vector<std::unique_ptr<RequestTally>> cells;
  std::vector<TaskTally> tasks;  // per workload
  std::vector<std::array<std::uint64_t, static_cast<std::size_t>(Cause::count_)>> tenant_causes;
  // Decided at the end, when their age is known; as many as are in flight.
  std::vector<RequestRecord> open_requests;
  std::vector<TaskRecord> open_tasks;

  // Files; members are absent when not asked for. The directory outlives what is open inside it.
  std::unique_ptr<RunDirectory> directory;
  std::unique_ptr<RunFile> run_file;
  std::unique_ptr<CsvFile> csv;
  std::unique_ptr<TraceCollector> trace;
  std::unique_ptr<TimeSeries> series;
  bool finished = false;

  Impl(RunInfo i, RecorderOptions o);

  std::size_t columns() const { return info.services.size() + 1; }
  RequestTally& cell(const RequestRecord& r) {
    const std::size_t none = info.services.size();
    const std::size_t service = r.service == ~0U ? none : r.service;
    if (r.workload >= info.workloads.size() || (service >= none && r.service != ~0U))
      throw InternalError("request record names an unknown workload or service");
    auto& c = cells[r.workload * columns() + service];
    if (!c) [[unlikely]]
      c = std::make_unique<RequestTally>(!options.streaming, &rules);
    return *c;
  }
  std::vector<const RequestTally*> tallies(std::optional<std::size_t> workload,
                                           std::optional<std::size_t> service) const;

  void settle(Instant end);
  void check_conservation(const WorldTotals& totals) const;
  Summary summarize(const WorldTotals& totals) const;
  void add_tenants(MetricList& list, double cost) const;
  void write(const Summary& summary, const WorldTotals& totals);
};

Recorder::Impl::Impl(RunInfo i, RecorderOptions o)
    : info(std::move(i)), options(std::move(o)), rules(ObjectiveRule::of(info.objectives)) {
  cells.resize(info.workloads.size() * columns());
  tenant_causes.resize(info.tenants.size());
  for (std::size_t w = 0; w < info.workloads.size(); ++w)
    tasks.emplace_back(!options.streaming, &rules);
  if (options.streaming && (options.csv || options.trace))
    throw InputError(
        "CSV and trace need a row per request, which streaming mode does not keep: "
        "turn off one of them");
  if (options.directory.empty()) {
    if (options.csv || options.html || options.trace)
      throw InputError("CSV, HTML and trace outputs need a run directory");
    return;
  }
  directory = std::make_unique<RunDirectory>(options.directory);
  run_file = std::make_unique<RunFile>(directory->file("run.h5"), info, options.streaming,
                                       options.operators);
  if (options.csv) csv = std::make_unique<CsvFile>(directory->file("requests.csv"), info);
  if (options.trace) trace = std::make_unique<TraceCollector>();
  if (options.html) series = std::make_unique<TimeSeries>(info.services.size());
}

std::vector<const RequestTally*> Recorder::Impl::tallies(std::optional<std::size_t> workload,
                                                         std::optional<std::size_t> service) const {
  std::vector<const RequestTally*> out;
  for (std::size_t i = 0; i < cells.size(); ++i)
    if (cells[i] && (!workload || i / columns() == *workload) &&
        (!service || i % columns() == *service))
      out.push_back(cells[i].get());
  return out;
}

Recorder::Recorder(RunInfo info, RecorderOptions options)
    : impl_(std::make_unique<Impl>(std::move(info), std::move(options))) {}

Recorder::~Recorder() = default;

void Recorder::add(const RequestRecord& r) {
  Impl& i = *impl_;
  ++i.by_status[static_cast<std::size_t>(r.status) & 3];
  if (r.status == Status::rejected || r.status == Status::failed)
    ++i.by_cause.at(static_cast<std::size_t>(r.cause));
  if (r.counted) {
    i.cell(r).add(r);
    if (!i.tenant_causes.empty() && r.cause != Cause::none)
      if (const std::uint32_t t = i.info.tenant_of[r.workload]; t != ~0U) ++i.tenant_causes[t].at(static_cast<std::size_t>(r.cause));
    if (r.status == Status::in_flight) i.open_requests.push_back(r);
  }
  if (i.options.on_request) i.options.on_request(r);
  if (i.options.streaming || !i.run_file) return;
  i.run_file->add(r);
  if (i.csv) i.csv->add(r);
  if (i.trace) i.trace->add(r);
}

void Recorder::add(const TaskRecord& t) {
  Impl& i = *impl_;
  if (t.counted) {
    i.tasks.at(t.workload).add(t);
    if (t.ended.is_never()) i.open_tasks.push_back(t);
  }
  if (!i.options.streaming && i.run_file) i.run_file->add(t);
}

void Recorder::add(const ServiceSample& s) {
  Impl& i = *impl_;
  if (s.service >= i.info.services.size()) throw InternalError("sample of an unknown service");
  if (i.run_file) i.run_file->add(s);
  if (i.series) i.series->add(s);
  if (i.trace) i.trace->add(s);
}

void Recorder::add(const DecisionRecord& d) {
  if (!impl_->options.streaming && impl_->run_file) impl_->run_file->add(d);
}

void Recorder::add(const NodeSample& s) {
  if (impl_->run_file) impl_->run_file->add(s);
}

void Recorder::add(const OperatorRecord& o) {
  if (impl_->options.operators && impl_->run_file) impl_->run_file->add(o);
}

void Recorder::Impl::check_conservation(const WorldTotals& totals) const {
  std::uint64_t seen = 0;
  for (const std::uint64_t n : by_status) seen += n;
  if (seen == totals.created) return;
  throw InternalError(fmt::format(
      "requests are not conserved: created {}, but completed {} + rejected {} + failed {} + in "
      "flight {} = {}",
      totals.created, by_status[0], by_status[1], by_status[2], by_status[3], seen));
}

void Recorder::Impl::settle(Instant end) {
  for (const RequestRecord& r : open_requests) cell(r).settle(r, end);
  for (const TaskRecord& t : open_tasks) tasks[t.workload].settle(t, end);
  open_requests.clear();
  open_tasks.clear();
  for (auto& c : cells)
    if (c) c->seal();
  for (TaskTally& t : tasks) t.seal();
}

// What became of each tenant's requests, and whether they shared as their weights say.
void Recorder::Impl::add_tenants(MetricList& list, double cost) const {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> served;
  double all = 0;
  for (std::uint32_t t = 0; t < info.tenants.size(); ++t) {
    served.push_back(0);
    for (std::size_t w = 0; w < info.workloads.size(); ++w)
      if (info.tenant_of[w] == t)
        for (const RequestTally* tally : tallies(w, {})) served.back() += tally->timed(Timed::service_time).sum();
    all += served.back();
  }
  bool degraded = false;
  for (std::size_t w = 0; w < info.workloads.size(); ++w)
    for (const RequestTally* tally : tallies(w, {})) degraded = degraded || tally->degraded > 0;
  double sum = 0, squares = 0;
  for (std::uint32_t t = 0; t < info.tenants.size(); ++t) {
    MetricSource m;
    for (std::size_t w = 0; w < info.workloads.size(); ++w) {
      if (info.tenant_of[w] != t) continue;
      const auto own = tallies(w, {});
      m.requests.insert(m.requests.end(), own.begin(), own.end());
    }
    m.rules = &rules;
    m.seconds = 1;
    std::uint64_t created = 0, completed = 0, good = 0;
    for (const RequestTally* tally : m.requests)
      created += tally->created, completed += tally->completed, good += tally->good;
    const std::vector<Metric> figures = compute_metrics(m);
    const auto figure = [&](const char* name) {
      for (const Metric& f : figures)
        if (f.name == name) return f.value;
      return nan;
    };
    const std::string& name = info.tenants[t];
    list.count("tenant_requests." + name, created);
    list.share("tenant_answered." + name, completed, created);
    for (std::size_t c = 0; c < tenant_causes[t].size(); ++c)
      if (tenant_causes[t][c] > 0)
        list.share(fmt::format("tenant_lost.{}/{}", name, name_of(static_cast<Cause>(c))), tenant_causes[t][c], created);
    for (const char* what : {"mean", "p95", "p99"})
      list.put(fmt::format("tenant_latency.{}.{}", name, what), figure(fmt::format("latency.{}", what).c_str()));
    list.share("tenant_attainment." + name, good, created);
    list.put("tenant_accuracy." + name, figure("accuracy"));
    if (degraded) {
      std::uint64_t smaller = 0;
      for (const RequestTally* tally : m.requests) smaller += tally->degraded;
      list.share("tenant_degraded." + name, smaller, completed);
    }
    const double part = all > 0 ? served[t] / all : nan;
    list.put("tenant_share." + name, part);
    list.put("tenant_cost." + name, part * cost);
    const double per_weight = served[t] / info.tenant_weights[t];
    sum += per_weight, squares += per_weight * per_weight;
  }
  if (!info.tenants.empty())
    list.put("fairness", squares > 0 ? sum * sum / (static_cast<double>(info.tenants.size()) * squares) : nan);
}

Summary Recorder::Impl::summarize(const WorldTotals& totals) const {
  Summary s;
  s.info = info;
  s.created = totals.created;
  s.completed = by_status[static_cast<std::size_t>(Status::completed)];
  s.rejected = by_status[static_cast<std::size_t>(Status::rejected)];
  s.failed = by_status[static_cast<std::size_t>(Status::failed)];
  s.in_flight = by_status[static_cast<std::size_t>(Status::in_flight)];
  for (std::size_t c = 0; c < by_cause.size(); ++c)
    if (by_cause[c] > 0) s.by_cause[std::string(name_of(static_cast<Cause>(c)))] = by_cause[c];
  s.nodes = totals.nodes;
  s.services = totals.services;
  s.links = totals.links;
  s.updates = totals.updates;
  s.levels = totals.levels;
  s.alerts = totals.alerts;
  s.rollouts = totals.rollouts;
  s.versions = totals.versions;
  s.skews = totals.skews;
  s.ledger = totals.ledger;
  s.events = totals.events;
  s.fingerprint = totals.fingerprint;
  s.cpu_seconds = totals.cpu_seconds;
  s.directory = options.directory;

  const double seconds = (totals.end - (Instant::zero() + info.warmup)).seconds();
  const auto source = [&](std::optional<std::size_t> workload, std::optional<std::size_t> service) {
    MetricSource m;
    m.requests = tallies(workload, service);
    m.rules = &rules;
    m.seconds = seconds;
    for (std::size_t w = 0; w < tasks.size() && !service; ++w)
      if (!workload || w == *workload) m.tasks.push_back(&tasks[w]);
    for (std::size_t v = 0; v < info.services.size() && !service; ++v) {
      std::uint64_t answers = 0;
      if (totals.services.size() > v && totals.services[v].pool) continue;
      for (const RequestTally* t : tallies(workload, v)) answers += t->completed;
      m.shares.emplace_back(info.services[v], answers);
    }
    return m;
  };

  // Whole run: what depends on the totals of services and nodes comes on top.
  MetricSource all = source({}, {});
  double service_time = 0, error = 0, slots = 0, busy = 0;
  for (std::size_t v = 0; v < totals.services.size() && v < info.services.size(); ++v) {
    const ServiceTotals& total = totals.services[v];
    if (total.pool) continue;
    double here = 0;
    for (const RequestTally* t : tallies({}, v)) here += t->timed(Timed::service_time).sum();
    service_time += here;
    error += here * total.timing_error;
    slots += total.mean_replicas;
    busy += total.mean_replicas * total.utilization;
  }
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  all.timing_error = service_time > 0 ? error / service_time : nan;
  all.utilization = slots > 0 ? busy / slots : nan;
  MetricSource::Spent spent{0, totals.network_cost, totals.network_cost};
  for (const NodeTotals& n : totals.nodes) spent.energy += n.energy, spent.cost += n.cost;
  if (totals.ledger) spent.cost = static_cast<double>(totals.ledger->total()) * 1e-6;
  all.spent = spent;
  s.metrics = compute_metrics(all);
  s.info.notes.insert(s.info.notes.end(), totals.notes.begin(), totals.notes.end());
  MetricList list(s.metrics);
  add_network_metrics(list, totals);
  add_tenants(list, spent.cost);
  add_level_metrics(list, totals);
  add_part_metrics(list, totals, seconds);
  add_rollout_metrics(list, totals);
  add_ledger_metrics(s);

  for (std::size_t w = 0; w < info.workloads.size(); ++w)
    s.by_workload[info.workloads[w]] = compute_metrics(source(w, {}));
  for (std::size_t v = 0; v < info.services.size(); ++v) {
    MetricSource m = source({}, v);
    if (v < totals.services.size()) {
      if (totals.services[v].pool) continue;
      m.timing_error = totals.services[v].timing_error;
      m.utilization = totals.services[v].utilization;
    }
    s.by_service[info.services[v]] = compute_metrics(m);
  }
  return s;
}

void Recorder::Impl::write(const Summary& summary, const WorldTotals& totals) {
  run_file->finish(summary);
  directory->write("summary.json", reproducible_json(summary));
  directory->write("performance.json", performance_json(summary));
  if (summary.ledger) directory->write("ledger.csv", ledger_csv(*summary.ledger));
  if (csv) csv->close();
  if (trace) directory->write("trace.json", trace->json(info, totals.end));
  if (series) {
    std::vector<ChartLine> cdf;
    const auto add = [&](const std::string& label, std::optional<std::size_t> service) {
      std::vector<const Distribution*> parts;
      for (const RequestTally* t : tallies({}, service)) parts.push_back(&t->timed(Timed::latency));
      const MergedDistribution latency(std::move(parts));
      if (latency.count() > 0) cdf.push_back(latency_cdf(label, latency));
    };
    add("all", {});
    for (std::size_t v = 0; v < info.services.size() && info.services.size() > 1; ++v)
      add(info.services[v], v);
    directory->write("report.html", html_report(summary, cdf, *series));
  }
  directory->publish();
}

Summary Recorder::finish(const WorldTotals& totals) {
  Impl& i = *impl_;
  if (i.finished) throw InternalError("a recorder finishes once");
  i.finished = true;
  i.check_conservation(totals);
  i.settle(totals.end);
  Summary summary = i.summarize(totals);
  if (i.directory) i.write(summary, totals);
  return summary;
}

}  // namespace isthmus::results
