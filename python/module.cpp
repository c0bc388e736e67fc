// The module `_isthmus`: a thin, untyped bridge. Everything that a user sees is in the package
// `isthmus`; summaries and comparisons cross as JSON text, tables are read from run.h5 by Python.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <filesystem>
#include <optional>
#include <tuple>

#include "python/python_policies.hpp"
#include "results/comparison.hpp"
#include "results/summary.hpp"
#include "scenarios/calibrate.hpp"
#include "scenarios/experiments.hpp"
#include "scenarios/explain.hpp"
#include "scenarios/json_schema.hpp"
#include "scenarios/reader.hpp"
#include "scenarios/schedule_question.hpp"
#include "scenarios/split_question.hpp"
#include "schedulers/policy_docs.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace py = pybind11;

namespace {

using namespace isthmus;
using Pairs = std::vector<std::pair<std::string, std::string>>;

std::vector<scenarios::Override> overrides_of(const Pairs& pairs) {
  std::vector<scenarios::Override> all;
  for (const auto& [pointer, value] : pairs) all.push_back({pointer, value});
  return all;
}

// A scenario that was read; keeps its text for alternatives.
struct Loaded {
  scenarios::LoadedScenario scenario;
};

Loaded load(const std::string& path, const Pairs& overrides) {
  return {scenarios::load(path, overrides_of(overrides))};
}

Loaded load_text(const std::string& text, const Pairs& overrides, const std::string& folder) {
  return {scenarios::load_text(text, overrides_of(overrides), "scenario", folder)};
}

std::vector<std::string> labels(const Loaded& l) {
  std::vector<std::string> all;
  for (const auto& c : l.scenario.alternatives) all.push_back(c.label);
  return all;
}

std::string run(const Loaded& l, std::uint32_t replication, const std::string& directory, bool csv,
                bool html, bool trace) {
  world::RunOptions options;
  options.replication = replication;
  options.directory = directory;
  options.csv = csv;
  options.html = html;
  options.trace = trace;
  py::gil_scoped_release release;
  return results::to_json(world::run(*l.scenario.scenario, options));
}

// JSON of the comparison, its table as text, and the summary of every run.
py::tuple compare(Loaded& l,
                  const std::vector<std::pair<std::string, std::vector<std::string>>>& axes,
                  unsigned threads, const std::string& directory) {
  std::vector<scenarios::Choice> choices;
  for (const auto& [pointer, values] : axes) {
    const auto axis = scenarios::choices_of(pointer, values, l.scenario.document.sources);
    choices = choices.empty() ? axis : scenarios::product(choices, axis);
  }
  if (choices.empty()) choices = l.scenario.alternatives;
  scenarios::ExperimentOptions options;
  options.threads = threads;
  options.directory = directory;
  std::string json, text;
  std::vector<std::vector<std::string>> summaries;
  {
    py::gil_scoped_release release;
    const auto comparison =
        scenarios::run_alternatives(scenarios::candidates_of(l.scenario, choices), options);
    json = results::comparison_json(comparison);
    text = results::comparison_table(comparison);
    for (const auto& a : comparison.alternatives) {
      summaries.emplace_back();
      for (const auto& s : a.replications) summaries.back().push_back(results::to_json(s));
    }
  }
  return py::make_tuple(json, text, summaries);
}

std::string explain(const std::string& model, const std::string& device,
                    const std::string& scenario, const std::string& service,
                    const std::string& variant, const std::string& profile, std::int64_t batch,
                    std::int64_t sequence, std::int64_t context, std::int64_t image_tokens,
                    std::int64_t parallel, std::int64_t data_parallel, std::int64_t pipeline,
                    const Pairs& overrides) {
  scenarios::ExplainQuestion q;
  q.model = model;
  q.device = device;
  q.scenario = scenario;
  q.service = service;
  q.variant = variant;
  q.profile = profile;
  q.batch = batch;
  q.sequence = sequence;
  q.context = context;
  q.image_tokens = image_tokens;
  q.parallel = parallel;
  q.data_parallel = data_parallel;
  q.pipeline = pipeline;
  q.set = overrides_of(overrides);
  py::gil_scoped_release release;
  return scenarios::to_json(scenarios::explain(q));
}

// JSON and the Gantt chart.
std::pair<std::string, std::string> schedule(
    const std::string& model, const std::string& device, const std::string& scenario,
    const std::string& service, const std::vector<std::string>& units, const std::string& scheduler,
    const std::string& variant, std::int64_t batch, std::int64_t sequence, std::int64_t image,
    bool compare, const Pairs& overrides) {
  scenarios::ScheduleQuestion q;
  q.model = model;
  q.device = device;
  q.scenario = scenario;
  q.service = service;
  q.units = units;
  q.scheduler = scheduler;
  q.variant = variant;
  q.batch = batch;
  q.sizes.sequence = sequence;
  q.sizes.image = image;
  q.compare = compare;
  q.set = overrides_of(overrides);
  py::gil_scoped_release release;
  const scenarios::GraphSchedule s = scenarios::schedule(q);
  return {scenarios::to_json(s), scenarios::to_svg(s)};
}

// JSON, the tables, and the scenario for `out` ("" without).
std::tuple<std::string, std::string, std::string> calibrate(
    const std::string& scenario, const std::string& measured, const std::string& service,
    const scenarios::LogOptions& log, double fit_share, bool random_split, std::uint64_t seed,
    const std::vector<std::string>& parameters, std::optional<std::uint32_t> kv_blocks,
    const Pairs& overrides, unsigned threads, const std::string& out) {
  scenarios::CalibrateQuestion q;
  q.scenario = scenario;
  q.measured = measured;
  q.service = service;
  q.log = log;
  q.fit_share = fit_share;
  q.random_split = random_split;
  q.seed = seed;
  q.parameters = parameters;
  q.kv_blocks = kv_blocks;
  q.set = overrides_of(overrides);
  q.threads = threads;
  py::gil_scoped_release release;
  const scenarios::Calibration c = scenarios::calibrate(q);
  return {scenarios::calibration_json(c), scenarios::calibration_text(c),
          out.empty() ? std::string() : scenarios::calibrated_scenario(c, out)};
}

std::string split(const std::string& model, const std::vector<std::string>& tiers,
                  const std::vector<double>& bandwidth, const std::vector<double>& down_bandwidth,
                  const std::vector<double>& rtt, const std::vector<double>& slowdown,
                  const std::string& variant, std::int64_t batch, std::int64_t sequence,
                  std::int64_t image, double input, double result, double radio_power,
                  double latency_weight, double energy_weight,
                  const std::vector<std::string>& encode, double accuracy_loss,
                  const Pairs& overrides) {
  scenarios::SplitQuestion q;
  q.model = model;
  q.tiers = tiers;
  q.bandwidth = bandwidth;
  q.down_bandwidth = down_bandwidth;
  q.rtt = rtt;
  q.slowdown = slowdown;
  q.variant = variant;
  q.batch = batch;
  q.sizes.sequence = sequence;
  q.sizes.image = image;
  q.input = input;
  q.result = result;
  q.radio_power = radio_power;
  q.latency_weight = latency_weight;
  q.energy_weight = energy_weight;
  q.encode = encode;
  q.accuracy_loss = accuracy_loss;
  q.set = overrides_of(overrides);
  py::gil_scoped_release release;
  return scenarios::to_json(scenarios::split(q));
}

// Every policy: kind, name, summary, source, when not, and parameters as (name, default, help).
py::list policies() {
  py::list all;
  const auto add_entry = [&](const char* kind, const auto& e) {
    py::list parameters;
    for (const auto& p : e.parameters)
      parameters.append(py::make_tuple(p.name,
                                       p.dimension == schedulers::Dimension::text
                                           ? py::object(py::str(p.default_text))
                                           : py::object(py::float_(p.default_value)),
                                       p.help));
    all.append(py::make_tuple(kind, e.name, e.summary, e.source, e.bad_idea_when, parameters));
  };
  const auto add = [&]<class Policy>(const char* kind,
                                     const std::vector<schedulers::PolicyEntry<Policy>>& table) {
    for (const auto& e : table) add_entry(kind, e);
    for (const auto& e : schedulers::AddedPolicies<Policy>::instance().current()) add_entry(kind, *e);
  };
  add("offload", schedulers::offload_policies());
  add("routing", schedulers::routing_policies());
  add("batching", schedulers::batching_policies());
  add("autoscaling", schedulers::autoscaling_policies());
  add("placement", schedulers::placement_policies());
  add("list-scheduler", schedulers::list_schedulers());
  add("governor", schedulers::governor_policies());
  add("admission", schedulers::admission_policies());
  add("variant", schedulers::variant_policies());
  add("eviction", schedulers::eviction_policies());
  add("replacement", schedulers::replacement_policies());
  add("partition", schedulers::partitioners());
  return all;
}

}  // namespace

PYBIND11_MODULE(_isthmus, m) {
  m.doc() = "Compiled half of the package isthmus.";

  // The one place where C++ errors become Python ones. The classes live in isthmus.errors.
  py::register_exception_translator([](std::exception_ptr p) {
    const auto raise = [](const char* name, const std::string& text,
                          const std::vector<std::string>& problems) {
      const py::object type = py::module_::import("isthmus.errors").attr(name);
      const py::object error = type(text);
      if (!problems.empty()) error.attr("problems") = problems;
      PyErr_SetObject(type.ptr(), error.ptr());
    };
    try {
      if (p) std::rethrow_exception(p);
    } catch (const InputError& e) {
      raise("InputError", e.what(), e.problems());
    } catch (const InternalError& e) {
      raise("InternalError", e.what(), {});
    } catch (const Error& e) {
      raise("Error", e.what(), {});
    }
  });

  py::class_<Loaded>(m, "Loaded")
      .def_property_readonly("name", [](const Loaded& l) { return l.scenario.scenario->name; })
      .def_property_readonly("json",
                             [](const Loaded& l) { return l.scenario.scenario->resolved_json; })
      .def_property_readonly("notices",
                             [](const Loaded& l) { return l.scenario.scenario->notices; })
      .def_property_readonly("replications",
                             [](const Loaded& l) { return l.scenario.scenario->replications; })
      .def_property_readonly("alternatives", &labels);
  m.def("load", &load, py::arg("path"), py::arg("overrides"));
  m.def("load_text", &load_text, py::arg("text"), py::arg("overrides"), py::arg("folder"));
  m.def("run", &run, py::arg("loaded"), py::arg("replication"), py::arg("directory"),
        py::arg("csv"), py::arg("html"), py::arg("trace"));
  m.def("compare", &compare, py::arg("loaded"), py::arg("axes"), py::arg("threads"),
        py::arg("directory"));
  m.def("explain", &explain, py::kw_only(), py::arg("model"), py::arg("device"),
        py::arg("scenario"), py::arg("service"), py::arg("variant"), py::arg("profile"),
        py::arg("batch"), py::arg("sequence"), py::arg("context"), py::arg("image_tokens"),
        py::arg("parallel"), py::arg("data_parallel"), py::arg("pipeline"), py::arg("overrides"));
  m.def("split", &split, py::kw_only(), py::arg("model"), py::arg("tiers"), py::arg("bandwidth"),
        py::arg("down_bandwidth"), py::arg("rtt"), py::arg("slowdown"), py::arg("variant"),
        py::arg("batch"), py::arg("sequence"), py::arg("image"), py::arg("input"),
        py::arg("result"), py::arg("radio_power"), py::arg("latency_weight"),
        py::arg("energy_weight"), py::arg("encode"), py::arg("accuracy_loss"),
        py::arg("overrides"));
  m.def(
      "calibrate",
      [](const std::string& scenario, const std::string& measured, const std::string& service,
         const std::string& format, const std::string& unit,
         std::optional<std::uint32_t> prompt_tokens, std::optional<std::uint32_t> output_tokens,
         std::uint32_t tokens_per_hash, std::optional<std::size_t> experiment,
         const std::string& model, double fit_share, bool random_split, std::uint64_t seed,
         const std::vector<std::string>& parameters, std::optional<std::uint32_t> kv_blocks,
         const Pairs& overrides, unsigned threads, const std::string& out) {
        const scenarios::LogOptions log{format,     unit,  prompt_tokens, output_tokens, tokens_per_hash,
                                        experiment, model};
        return calibrate(scenario, measured, service, log, fit_share, random_split, seed, parameters,
                         kv_blocks, overrides, threads, out);
      },
      py::kw_only(), py::arg("scenario"), py::arg("measured"), py::arg("service"),
      py::arg("format"), py::arg("unit"), py::arg("prompt_tokens"), py::arg("output_tokens"),
      py::arg("tokens_per_hash"), py::arg("experiment"), py::arg("model"), py::arg("fit_share"),
      py::arg("random_split"), py::arg("seed"), py::arg("parameters"), py::arg("kv_blocks"),
      py::arg("overrides"), py::arg("threads"), py::arg("out"));
  m.def("schedule", &schedule, py::kw_only(), py::arg("model"), py::arg("device"),
        py::arg("scenario"), py::arg("service"), py::arg("units"), py::arg("scheduler"),
        py::arg("variant"), py::arg("batch"), py::arg("sequence"), py::arg("image"),
        py::arg("compare"), py::arg("overrides"));
  m.def("report", [](const std::string& json) {
    return results::run_report(results::summary_from_json(json));
  });
  m.def("schema", &scenarios::json_schema);
  m.def("policies", &policies);
  python::bind_policies(m);
}
