#include "python/python_policies.hpp"

#include <fmt/format.h>
#include <pybind11/stl.h>

#include <unordered_set>

#include "python/policy_views.hpp"
#include "python/python_object.hpp"
#include "scenarios/tables.hpp"
#include "schedulers/registry.hpp"
#include "schedulers/task_graph.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace py = pybind11;

namespace isthmus::python {

namespace {

using py::gil_scoped_acquire;

class PythonOffload final : public schedulers::OffloadPolicy, PythonObject {
 public:
  explicit PythonOffload(PythonObject o)
      : PythonObject(std::move(o)), observes_(has("observe")), privileged_(flag("privileged")) {}
  void begin(std::span<const std::string> names) override {
    const gil_scoped_acquire gil;
    if (has("begin")) call("begin", copy_of(names));
  }
  schedulers::OffloadDecision decide(const schedulers::OffloadView& view) override {
    const gil_scoped_acquire gil;
    py::object choice = call("decide", OffloadViewCopy(view));
    schedulers::OffloadDecision d;
    if (py::isinstance<py::tuple>(choice)) {
      const auto parts = choice.cast<py::tuple>();
      if (parts.size() < 2 || parts.size() > 3 || !PyNumber_Check(parts[1].ptr()) ||
          (parts.size() == 3 && !py::isinstance<py::str>(parts[2])))
        refuse("decide", choice, "a candidate, or (candidate, score), or (candidate, score, reason)");
      d.score = parts[1].cast<double>();
      if (parts.size() == 3) d.reason = kept_text(parts[2].cast<std::string>());
      choice = parts[0];
    }
    d.candidate = index("decide", choice, view.candidates, "candidates");
    return d;
  }
  void observe(const schedulers::OffloadOutcome& outcome) override {
    if (!observes_) return;
    const gil_scoped_acquire gil;
    call("observe", outcome);
  }
  bool privileged() const override { return privileged_; }
  std::string save() const override {
    const gil_scoped_acquire gil;
    return has("save") ? call("save").cast<std::string>() : std::string();
  }
  void load(const std::string& text) override {
    const gil_scoped_acquire gil;
    if (!has("load")) return OffloadPolicy::load(text);
    call("load", text);
  }

 private:
  bool observes_, privileged_;
};

class PythonRouting final : public schedulers::RoutingPolicy, PythonObject {
 public:
  explicit PythonRouting(PythonObject o)
      : PythonObject(std::move(o)), load_(flag("wants_load")), prefix_(flag("wants_prefix")),
        places_(flag("wants_places")), unhealthy_(flag("wants_unhealthy")), outcomes_(has("observe")),
        remembers_(flag("remembers")), period_(period("signal_period")) {}
  std::size_t choose(const schedulers::RoutingView& view) override {
    const gil_scoped_acquire gil;
    return index("choose", call("choose", RoutingViewCopy(view)), view.replicas, "index into view.replicas");
  }
  bool wants_load() const override { return load_; }
  Duration signal_period() const override { return period_; }
  bool wants_prefix() const override { return prefix_; }
  bool wants_places() const override { return places_; }
  bool wants_unhealthy() const override { return unhealthy_; }
  bool wants_outcomes() const override { return outcomes_; }
  void observe(const schedulers::RoutingOutcome& outcome) override {
    const gil_scoped_acquire gil;
    call("observe", outcome);
  }
  bool remembers() const override { return remembers_; }

 private:
  bool load_, prefix_, places_, unhealthy_, outcomes_, remembers_;
  Duration period_;
};

class PythonBatching final : public schedulers::BatchingPolicy, PythonObject {
 public:
  explicit PythonBatching(PythonObject o)
      : PythonObject(std::move(o)), requests_(flag("wants_requests")), time_(flag("wants_batch_time")),
        observes_(has("observe")), admits_(has("admits")), expires_(has("expires")) {}
  schedulers::BatchingDecision decide(const schedulers::BatchingView& view) override {
    const gil_scoped_acquire gil;
    const py::object copy = py::cast(BatchingViewCopy(view));
    const py::object result = call("decide", copy);
    copy.cast<BatchingViewCopy&>().batch_time = nullptr;
    schedulers::BatchingDecision d;
    py::object take = result;
    if (py::isinstance<py::tuple>(result)) {
      const auto parts = result.cast<py::tuple>();
      if (parts.size() != 2) refuse("decide", result, "a number, or (number, date of the next look)");
      take = parts[0];
      d.look_again = std::max(date("decide", parts[1]), view.now);
    }
    if (py::isinstance<py::dict>(take)) return select(take, d, view);
    d.take = static_cast<std::uint32_t>(whole("decide", take, view.waiting, "requests to take"));
    return d;
  }
  bool wants_requests() const override { return requests_; }
  bool admits(std::span<const schedulers::WaitingRequest> waiting,
              const schedulers::WaitingRequest& request) override {
    if (!admits_) return true;
    const gil_scoped_acquire gil;
    return py::bool_(call("admits", copy_of(waiting), request));
  }
  Instant expires(const schedulers::WaitingRequest& request) const override {
    if (!expires_) return Instant::never();
    const gil_scoped_acquire gil;
    return date("expires", call("expires", request));
  }
  bool wants_batch_time() const override { return time_; }
  void observe(const schedulers::BatchOutcome& outcome) override {
    if (!observes_) return;
    const gil_scoped_acquire gil;
    call("observe", outcome);
  }

 private:
  schedulers::BatchingDecision select(const py::object& chosen, schedulers::BatchingDecision d,
                                      const schedulers::BatchingView& view) {
    if (!requests_) refuse("decide", chosen, "a number (a choice of requests needs wants_requests = True)");
    selection_ = {};
    std::vector<bool> seen(view.requests.size());
    for (const auto& [key, places] : chosen.cast<py::dict>()) {
      const auto name = py::str(key).cast<std::string>();
      auto* list = name == "taken"        ? &selection_.taken
                   : name == "dropped"    ? &selection_.dropped
                   : name == "moved_back" ? &selection_.moved_back
                                          : nullptr;
      if (!list) refuse("decide", chosen, "the keys taken, dropped and moved_back");
      for (const py::handle place : places) {
        const auto i = static_cast<std::uint32_t>(
            whole("decide", place, view.requests.size() - 1, "places in view.requests"));
        if (seen[i]) refuse("decide", chosen, "no place twice");
        seen[i] = true;
        list->push_back(i);
      }
    }
    d.take = static_cast<std::uint32_t>(selection_.taken.size());
    d.selection = &selection_;
    return d;
  }

  bool requests_, time_, observes_, admits_, expires_;
  schedulers::BatchSelection selection_;
};

class PythonAutoscaling final : public schedulers::AutoscalingPolicy, PythonObject {
 public:
  explicit PythonAutoscaling(PythonObject o)
      : PythonObject(std::move(o)), metrics_(flag("wants_metrics")), latencies_(flag("wants_latencies")),
        wakes_(flag("wakes")) {
    if (has("external_metrics")) external_ = object().attr("external_metrics").cast<std::vector<std::string>>();
  }
  schedulers::AutoscalingDecision decide(const schedulers::AutoscalingView& view) override {
    const gil_scoped_acquire gil;
    py::object wish = call("decide", AutoscalingViewCopy(view));
    schedulers::AutoscalingDecision d;
    if (py::isinstance<py::tuple>(wish)) {
      const auto parts = wish.cast<py::tuple>();
      if (parts.size() != 2 || !py::isinstance<py::str>(parts[1]))
        refuse("decide", wish, "a number of replicas, or (number, reason)");
      d.reason = kept_text(parts[1].cast<std::string>());
      wish = parts[0];
    }
    d.desired = static_cast<std::uint32_t>(whole("decide", wish, 1'000'000, "replicas"));
    return d;
  }
  bool wants_metrics() const override { return metrics_; }
  bool wants_latencies() const override { return latencies_; }
  std::vector<std::string> external_metrics() const override { return external_; }
  bool wakes() const override { return wakes_; }

 private:
  bool metrics_, latencies_, wakes_;
  std::vector<std::string> external_;
};

class PythonAdmission final : public schedulers::AdmissionPolicy, PythonObject {
 public:
  explicit PythonAdmission(PythonObject o)
      : PythonObject(std::move(o)), ended_(has("ended")), started_(has("started")),
        estimates_(flag("wants_estimates")) {}
  schedulers::AdmissionDecision decide(const schedulers::AdmissionView& view) override {
    const gil_scoped_acquire gil;
    py::object answer = call("decide", view);
    std::optional<Instant> at;
    const py::object whole_answer = answer;
    if (py::isinstance<py::tuple>(answer) && py::len(answer) == 2) {
      at = date("decide", answer.cast<py::tuple>()[1]);
      answer = answer.cast<py::tuple>()[0];
    }
    if (!PyBool_Check(answer.ptr())) refuse("decide", whole_answer, "True, False or (True or False, date)");
    const bool in = answer.cast<bool>();
    if (in && at && at->is_never()) refuse("decide", whole_answer, "a date at which the request goes on");
    return {in, std::max(at.value_or(in ? view.now : Instant::never()), view.now),
            in ? "admitted" : "turned away"};
  }
  void ended(const schedulers::AdmissionEnd& end) override {
    if (!ended_) return;
    const gil_scoped_acquire gil;
    call("ended", end);
  }
  void started(Instant now, Duration waited) override {
    if (!started_) return;
    const gil_scoped_acquire gil;
    call("started", seconds_of(now), seconds_of(waited));
  }
  bool wants_estimates() const override { return estimates_; }

 private:
  bool ended_, started_, estimates_;
};

class PythonVariant final : public schedulers::VariantPolicy, PythonObject {
 public:
  explicit PythonVariant(PythonObject o) : PythonObject(std::move(o)) {}
  schedulers::VariantDecision choose(const schedulers::VariantView& view) override {
    const gil_scoped_acquire gil;
    return {index("choose", call("choose", VariantViewCopy(view)), view.options, "options"), "chosen"};
  }
};

class PythonPlacement final : public schedulers::PlacementPolicy, PythonObject {
 public:
  explicit PythonPlacement(PythonObject o) : PythonObject(std::move(o)) {}
  std::size_t place(const schedulers::PlacementView& view) override {
    const gil_scoped_acquire gil;
    return index("place", call("place", PlacementViewCopy(view)), view.sites, "index into view.sites");
  }
};

class PythonGovernor final : public schedulers::GovernorPolicy, PythonObject {
 public:
  explicit PythonGovernor(PythonObject o)
      : PythonObject(std::move(o)), deadline_(flag("wants_deadline")), period_(PythonObject::period("period")) {}
  std::size_t decide(const schedulers::GovernorView& view) override {
    const gil_scoped_acquire gil;
    return index("decide", call("decide", GovernorViewCopy(view)), view.frequencies, "index into view.frequencies");
  }
  Duration period() const override { return period_; }
  bool wants_deadline() const override { return deadline_; }

 private:
  bool deadline_;
  Duration period_;
};

class PythonEviction final : public schedulers::EvictionPolicy, PythonObject {
 public:
  explicit PythonEviction(PythonObject o) : PythonObject(std::move(o)), used_(has("used")) {}
  void used(const schedulers::ResidentModel& model) override {
    if (!used_) return;
    const gil_scoped_acquire gil;
    call("used", model);
  }
  std::size_t evict(std::span<const schedulers::ResidentModel> candidates, Instant now) override {
    const gil_scoped_acquire gil;
    return index("evict", call("evict", copy_of(candidates), seconds_of(now)), candidates, "index into candidates");
  }

 private:
  bool used_;
};

class PythonReplacement final : public schedulers::ReplacementPolicy, PythonObject {
 public:
  explicit PythonReplacement(PythonObject o) : PythonObject(std::move(o)), begins_(has("begin")) {}
  void begin(double capacity) override {
    if (!begins_) return;
    const gil_scoped_acquire gil;
    call("begin", capacity);
  }
  void admit(std::uint32_t slot, std::uint64_t key, double weight) override {
    const gil_scoped_acquire gil;
    slots_.insert(slot);
    call("admit", slot, key, weight);
  }
  void use(std::uint32_t slot) override {
    const gil_scoped_acquire gil;
    call("use", slot);
  }
  void forget(std::uint32_t slot) override {
    const gil_scoped_acquire gil;
    slots_.erase(slot);
    call("forget", slot);
  }
  std::uint32_t evict() override {
    const gil_scoped_acquire gil;
    const py::object result = call("evict");
    const auto slot = static_cast<std::uint32_t>(whole("evict", result, 0xffffffffU, "a slot"));
    if (slots_.erase(slot) == 0) refuse("evict", result, "a slot that is in the cache");
    return slot;
  }

 private:
  bool begins_;
  std::unordered_set<std::uint32_t> slots_;
};

class PythonListScheduler final : public schedulers::ListScheduler, PythonObject {
 public:
  explicit PythonListScheduler(PythonObject o) : PythonObject(std::move(o)) {}
  schedulers::Schedule schedule(const schedulers::TaskGraph& graph) const override {
    const gil_scoped_acquire gil;
    const schedulers::Tasks tasks(graph);
    schedulers::Placement placement(tasks);
    const py::object result = call("schedule", graph);
    const std::string expected = fmt::format("{} pairs (task, processor), producers first", graph.tasks);
    if (!py::isinstance<py::sequence>(result) || py::len(result) != graph.tasks) refuse("schedule", result, expected);
    for (const py::handle pair : result) {
      if (!py::isinstance<py::sequence>(pair) || py::len(pair) != 2) refuse("schedule", pair, expected);
      const auto both = pair.cast<py::sequence>();
      const auto task = static_cast<std::uint32_t>(whole("schedule", py::object(both[0]), graph.tasks - 1, "a task"));
      const auto processor = static_cast<std::uint32_t>(
          whole("schedule", py::object(both[1]), graph.processors - 1, "a processor"));
      if (placement.placed(task)) refuse("schedule", pair, "every task once");
      for (const auto& before : tasks.predecessors(task))
        if (!placement.placed(before.task)) refuse("schedule", pair, "producers before their consumers");
      if (!tasks.runs_on(task, processor)) refuse("schedule", pair, "a processor that can run the task");
      placement.place(task, processor, placement.earliest_start(task, processor, true));
    }
    return std::move(placement).finish();
  }
};

class PythonPartitioner final : public schedulers::Partitioner, PythonObject {
 public:
  explicit PythonPartitioner(PythonObject o) : PythonObject(std::move(o)) {}
  schedulers::Partition partition(const schedulers::PartitionProblem& problem) const override {
    const gil_scoped_acquire gil;
    const py::object result = call("partition", problem);
    if (!py::isinstance<py::sequence>(result)) refuse("partition", result, "a tier for every task");
    std::vector<std::uint32_t> tiers;
    for (const py::handle tier : result)
      tiers.push_back(static_cast<std::uint32_t>(whole("partition", tier, problem.tiers - 1, "tiers")));
    return schedulers::evaluate(problem, std::move(tiers));
  }
};

// What Python says of a policy: texts, and (name, unit, default, min, max, choices, help) per parameter.
struct Declaration {
  std::string name, summary, source, bad_idea_when, complexity;
  std::vector<schedulers::ParameterSpec> parameters;
};

schedulers::Dimension dimension_of(const std::string& unit) {
  using D = schedulers::Dimension;
  for (const auto& [word, dimension] :
       {std::pair{"", D::none}, {"count", D::count}, {"fraction", D::fraction}, {"s", D::duration}, {"B", D::bytes},
        {"B/s", D::bandwidth}, {"W", D::power}, {"USD", D::money}, {"text", D::text}})
    if (unit == word) return dimension;
  throw InputError(fmt::format(
      "unknown unit \"{}\" of a parameter; use \"\", count, fraction, s, B, B/s, W, USD or text", unit));
}

schedulers::ParameterSpec parameter_of(const py::tuple& row) {
  schedulers::ParameterSpec p;
  p.name = row[0].cast<std::string>();
  p.dimension = dimension_of(row[1].cast<std::string>());
  p.min = row[3].cast<double>();
  p.max = row[4].cast<double>();
  p.choices = row[5].cast<std::vector<std::string>>();
  p.help = row[6].cast<std::string>();
  if (p.dimension == schedulers::Dimension::text) p.default_text = row[2].cast<std::string>();
  else p.default_value = row[2].cast<double>();
  if (p.dimension != schedulers::Dimension::text && !(p.min <= p.default_value && p.default_value <= p.max))
    throw InputError(fmt::format("parameter {}: the default {} is not between {} and {}", p.name, p.default_value,
                                 p.min, p.max));
  return p;
}

py::dict keywords(const std::vector<schedulers::ParameterSpec>& specs, const schedulers::Parameters& p) {
  py::dict all;
  for (const auto& s : specs) {
    if (s.dimension == schedulers::Dimension::text) all[py::str(s.name)] = p.text(s.name);
    else if (s.dimension == schedulers::Dimension::count)
      all[py::str(s.name)] = static_cast<std::int64_t>(p.number(s.name));
    else all[py::str(s.name)] = p.number(s.name);
  }
  return all;
}

template <class Policy, class Bridge>
void add(const std::vector<schedulers::PolicyEntry<Policy>>& built_in, const Declaration& d, const py::object& made_by,
         const char* method) {
  const std::string label = fmt::format("{} policy \"{}\"", schedulers::policy_kind<Policy>, d.name);
  for (const auto& entry : built_in)
    if (entry.name == d.name) throw InputError(label + " is built in; choose another name");
  if (!py::hasattr(made_by, method))
    throw InputError(fmt::format("{}: the class has no method {}()", label, method));
  schedulers::PolicyEntry<Policy> entry;
  entry.name = d.name;
  entry.summary = d.summary;
  entry.source = d.source;
  entry.bad_idea_when = d.bad_idea_when;
  entry.complexity = d.complexity;
  entry.parameters = d.parameters;
  entry.make = [type = shared_object(made_by), label, specs = d.parameters](
                   const schedulers::Parameters& parameters) -> std::shared_ptr<Policy> {
    const gil_scoped_acquire gil;
    try {
      return std::make_shared<Bridge>(PythonObject(label, (*type)(**keywords(specs, parameters))));
    } catch (py::error_already_set& e) {
      if (!e.matches(PyExc_ValueError)) throw;
      throw InputError(fmt::format("{}: {}", label, py::str(e.value()).cast<std::string>()));
    }
  };
  schedulers::AddedPolicies<Policy>::instance().add(std::move(entry));
  scenarios::refresh_policy_tables();
}

// A worker that is forked while another thread holds the GIL would wait for it for ever.
thread_local PyGILState_STATE gil_before_fork;

void guard_python_forks() {
  world::guard_forks({[] {
                        gil_before_fork = PyGILState_Ensure();
                        PyOS_BeforeFork();
                      },
                      [] {
                        PyOS_AfterFork_Parent();
                        PyGILState_Release(gil_before_fork);
                      },
                      [] {
                        PyOS_AfterFork_Child();
                        PyGILState_Release(gil_before_fork);
                      }});
}

void add_policy(const std::string& kind, const std::string& name, const py::object& type, const std::string& summary,
                const std::string& source, const std::string& bad_idea_when, const std::string& complexity,
                const std::vector<py::tuple>& parameters) {
  guard_python_forks();
  Declaration d{name, summary, source, bad_idea_when, complexity, {}};
  for (const py::tuple& row : parameters) d.parameters.push_back(parameter_of(row));
  using namespace schedulers;
  if (kind == "offload") add<OffloadPolicy, PythonOffload>(offload_policies(), d, type, "decide");
  else if (kind == "routing") add<RoutingPolicy, PythonRouting>(routing_policies(), d, type, "choose");
  else if (kind == "batching") add<BatchingPolicy, PythonBatching>(batching_policies(), d, type, "decide");
  else if (kind == "autoscaling") add<AutoscalingPolicy, PythonAutoscaling>(autoscaling_policies(), d, type, "decide");
  else if (kind == "admission") add<AdmissionPolicy, PythonAdmission>(admission_policies(), d, type, "decide");
  else if (kind == "variant") add<VariantPolicy, PythonVariant>(variant_policies(), d, type, "choose");
  else if (kind == "governor") add<GovernorPolicy, PythonGovernor>(governor_policies(), d, type, "decide");
  else if (kind == "eviction") add<EvictionPolicy, PythonEviction>(eviction_policies(), d, type, "evict");
  else if (kind == "replacement") add<ReplacementPolicy, PythonReplacement>(replacement_policies(), d, type, "evict");
  else if (kind == "placement") add<PlacementPolicy, PythonPlacement>(placement_policies(), d, type, "place");
  else if (kind == "list-scheduler") add<ListScheduler, PythonListScheduler>(list_schedulers(), d, type, "schedule");
  else if (kind == "partition") add<Partitioner, PythonPartitioner>(partitioners(), d, type, "partition");
  else throw InputError(fmt::format("no kind of policy is called \"{}\"; see isthmus.policies()", kind));
}

}  // namespace

void bind_policies(py::module_& m) {
  bind_policy_views(m);
  m.def("add_policy", &add_policy, py::kw_only(), py::arg("kind"), py::arg("name"), py::arg("type"),
        py::arg("summary"), py::arg("source"), py::arg("bad_idea_when"), py::arg("complexity"),
        py::arg("parameters"));
}

}  // namespace isthmus::python
