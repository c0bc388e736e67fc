// The command line: options in, exit code out. Only this file may end the program.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>

#include "scenarios/cli.hpp"
#include "sim/core/errors.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::scenarios;

struct Options {
  RunFlags run;
  std::vector<std::string> paths, pointers, values;
  std::string shard, kind, name, view;
  bool resume = false;
  GraphFlags graph;
  ExplainQuestion question;
  ScheduleQuestion schedule;
  ScheduleFlags schedule_flags;
  SplitQuestion split;
  SplitFlags split_flags;
  GanttFlags gantt;
  TrainFlags train;
  TournamentFlags tournament;
  AdviseFlags advise;
  std::uint64_t request = 0;
  std::string folder = ".";
  ImportFlags import;
  MeasureFlags measure;
  CalibrateQuestion calibrate;
  CalibrateFlags calibrate_flags;
  std::size_t top = 0;
  bool no_chart = false;
};

// Options of everything that runs a scenario.
void add_run_flags(CLI::App& command, RunFlags& f) {
  command.add_option("scenario", f.scenario, "scenario file (JSON)")->required();
  command.add_option("--set", f.set, "/pointer=value, sets a field; may be repeated")
      ->type_size(1)
      ->allow_extra_args(false);
  command.add_option("--seed", f.seed, "master seed instead of the scenario's");
  command.add_option("--replications", f.replications, "number of replications");
  command.add_option("--threads", f.threads, "runs at the same time; 0 = one per core")
      ->check(CLI::Range(0, 1024));
  command.add_option("--out", f.out, "result directory (default: ./runs/<name>-<id>)");
}

void add_output_flags(CLI::App& command, RunFlags& f) {
  command.add_flag("--csv", f.csv, "also write CSV files");
  command.add_flag("--html", f.html, "also write a report in HTML");
  command.add_flag("--trace", f.trace, "also write a Perfetto/Chrome trace");
  command.add_flag("--json", f.json, "print JSON instead of text");
  command.add_flag("--ledger", f.ledger, "itemize costs (docs/cost.md)");
  command.add_flag("--no-files", f.no_files, "print only, write no result directory");
}

void add_calibrate(CLI::App& app, Options& o, int& code) {
  auto* calibrate = app.add_subcommand(
      "calibrate", "fit overheads and efficiencies of a service to a log of its requests");
  CalibrateQuestion& q = o.calibrate;
  calibrate->add_option("scenario", q.scenario, "scenario file that describes the system")
      ->required();
  calibrate->add_option("--measured", q.measured, "log of the server")->required();
  calibrate->add_option("--service", q.service, "which service of the scenario (the only one)");
  calibrate->add_option("--format", q.log.format, "auto, vllm, tgi, triton, csv or jsonl");
  calibrate->add_option("--unit", q.log.unit, "csv, jsonl: of times whose name has none: s, ms, us, ns");
  calibrate->add_option("--prompt-tokens", q.log.prompt_tokens, "of every request, if the log is silent");
  calibrate->add_option("--output-tokens", q.log.output_tokens, "of every request, if the log is silent");
  calibrate->add_option("--tokens-per-hash", q.log.tokens_per_hash,
                        "read hash_ids: tokens that one stands for (prompts that begin alike)");
  calibrate->add_option("--kv-blocks", q.kv_blocks, "KV blocks of a replica, as the server counts them");
  calibrate->add_option("--experiment", q.log.experiment, "triton: which one, from 0 on");
  calibrate->add_option("--model", q.log.model, "triton traces: which model");
  calibrate->add_option("--fit-share", q.fit_share, "of the requests to fit on (0.5)");
  calibrate->add_option("--split", o.calibrate_flags.split, "time: the first ones; random");
  calibrate->add_option("--seed", q.seed, "of --split random (1)");
  calibrate->add_option("--parameters", q.parameters, "comma-separated; default: what suits the service")
      ->delimiter(',')
      ->type_size(1)
      ->allow_extra_args(false);
  calibrate->add_option("--set", o.run.set, "/pointer=value, sets a field; may be repeated")
      ->type_size(1)
      ->allow_extra_args(false);
  calibrate->add_option("--threads", q.threads, "simulations at the same time; 0 = one per core")
      ->check(CLI::Range(0, 1024));
  calibrate->add_option("--out", o.calibrate_flags.out, "scenario to write: this one with the fitted values");
  calibrate->add_flag("--json", o.calibrate_flags.json, "print JSON instead of text");
  calibrate->callback([&o, &code] {
    for (const std::string& s : o.run.set) o.calibrate.set.push_back(split_override(s));
    code = command_calibrate(o.calibrate, o.calibrate_flags);
  });
}

// Offload policies: training, ranking, and single decisions.
void add_offload_commands(CLI::App& app, Options& o, int& code) {
  auto* train = app.add_subcommand("train", "train a learning offload policy on runs of a scenario");
  train->add_option("scenario", o.run.scenario, "scenario file (JSON)")->required();
  train->add_option("--policy", o.train.policy, "which policy (default: the scenario's)");
  train->add_option("--seeds", o.train.seeds, "one run each, e.g. 1..8 or 1..3,7 (1..8)");
  train->add_option("--passes", o.train.passes, "times that the seeds are gone through (1)")
      ->check(CLI::Range(1, 10000));
  train->add_option("--out", o.train.out, "file to write, for parameter \"weights\" (weights.json)");
  train->add_option("--set", o.run.set, "/pointer=value, sets a field; may be repeated")
      ->type_size(1)
      ->allow_extra_args(false);
  train->callback([&o, &code] { code = command_train(o.run, o.train); });

  auto* tournament = app.add_subcommand(
      "tournament", "rank the offload policies on several conditions, tuned and trained on other seeds");
  TournamentFlags& t = o.tournament;
  tournament->add_option("scenarios", t.scenarios, "conditions (default: scenarios/tournament)");
  tournament->add_option("--policy", t.policies, "only this one, beside oracle and random; may be repeated")
      ->type_size(1)
      ->allow_extra_args(false);
  tournament->add_option("--training-seeds", t.training, "to tune and train on (1..4)");
  tournament->add_option("--seeds", t.evaluation, "to judge on (101..110)");
  tournament->add_option("--passes", t.passes, "of training over its seeds (2)")
      ->check(CLI::Range(1, 10000));
  tournament->add_option("--threads", t.threads, "runs at the same time; 0 = one per core")
      ->check(CLI::Range(0, 1024));
  tournament->add_option("--out", t.out, "JSON file to write");
  tournament->add_option("--markdown", t.markdown, "page to write");
  tournament->add_flag("--json", t.json, "print JSON instead of text");
  tournament->callback([&o, &code] { code = command_tournament(o.tournament); });

  auto* decision = app.add_subcommand("explain-decision",
                                      "what policies saw and chose for a request of a run: offloading, routing, admission, variants");
  decision->add_option("run", o.name, "run directory")->required();
  decision->add_option("request", o.request, "number of the request, from 0")->required();
  decision->add_option("--folder", o.folder,
                       "where relative paths of the scenario start (the current directory)");
  decision->add_flag("--json", o.run.json, "print JSON instead of text");
  decision->callback(
      [&o, &code] { code = command_explain_decision(o.name, o.request, o.folder, o.run.json); });
}

// Where to deploy.
void add_advise(CLI::App& app, Options& o, int& code) {
  auto* advise = app.add_subcommand("advise", "where to deploy: walks the decision tree and runs what backs its leaves");
  AdviseFlags& f = o.advise;
  advise->add_option("requirements", f.file, "JSON file with latency, workload, residency, ...");
  const auto demand = [&](const std::string& field, const char* help) {
    advise->add_option("--" + field, f.demands[field], help);
  };
  demand("latency", "within which 95 % of the answers must be there, e.g. \"10 ms\"");
  demand("workload", "analytics or vision");
  demand("residency", "country that data must not leave");
  demand("availability", "share of requests that must be answered, e.g. 0.999");
  demand("burstiness", "highest load over usual load");
  advise->add_flag("--critical", f.critical, "latency must not depend on other work");
  advise->add_option("--scenario", f.scenario, "runs that back the leaves (default: reference case R41)");
  advise->add_option("--replications", f.replications, "of each of them (3)")->check(CLI::Range(1, 1000));
  advise->add_option("--threads", f.threads, "runs at the same time; 0 = one per core")->check(CLI::Range(0, 1024));
  advise->add_flag("--json", f.json, "print JSON instead of text");
  advise->callback([&o, &code] { code = command_advise(o.advise); });
}

int dispatch(int argc, char** argv) {
  Options o;
  int code = exit_ok;
  CLI::App app("isthmus simulates edge-cloud inference systems", "isthmus");
  app.require_subcommand(1);
  app.set_version_flag("--version", program_version());

  auto* run = app.add_subcommand("run", "run a scenario, or compare the alternatives it lists");
  add_run_flags(*run, o.run);
  add_output_flags(*run, o.run);
  run->callback([&] { code = command_run(o.run); });

  auto* compare = app.add_subcommand("compare", "compare values of scenario fields");
  add_run_flags(*compare, o.run);
  add_output_flags(*compare, o.run);
  compare->add_option("pointers", o.pointers, "JSON pointers of the fields, e.g. /offload/policy");
  compare->add_option("--values", o.values, "comma-separated values, one list per pointer")
      ->type_size(1)
      ->allow_extra_args(false);
  compare->callback([&] { code = command_compare(o.run, o.pointers, o.values); });

  auto* sweep = app.add_subcommand("sweep", "run the grid of a scenario's \"sweep\" section");
  add_run_flags(*sweep, o.run);
  sweep->add_option("--shard", o.shard, "i/n: run every n-th point only, beginning with the i-th");
  sweep->add_flag("--resume", o.resume, "skip points that --out holds already");
  sweep->callback([&] { code = command_sweep(o.run, o.shard, o.resume); });

  add_calibrate(app, o, code);
  add_offload_commands(app, o, code);
  add_advise(app, o, code);

  auto* validate = app.add_subcommand("validate", "check scenario files without running them");
  validate->add_option("scenarios", o.paths, "scenario files")->required();
  validate->add_option("--set", o.run.set, "/pointer=value")->type_size(1)->allow_extra_args(false);
  validate->callback([&] { code = command_validate(o.paths, o.run.set); });

  app.add_subcommand("schema", "print the JSON Schema of scenario files")->callback([&] {
    code = command_schema();
  });

  auto* policies = app.add_subcommand("policies", "list the policies with their parameters");
  policies->add_option("kind", o.kind,
                       "offload, routing, batching, autoscaling, list-scheduler or governor");
  policies->callback([&] { code = command_policies(o.kind); });

  auto* policy = app.add_subcommand("policy", "let one policy decide on a view");
  policy->add_option("kind", o.kind, "offload, routing, batching, autoscaling, governor, variant or eviction")->required();
  policy->add_option("name", o.name, "name of the policy")->required();
  policy->add_option("--view", o.view, "JSON file: a view, or a list of views")->required();
  policy->add_option("--set", o.run.set, "parameter=value")->type_size(1)->allow_extra_args(false);
  policy->callback([&] { code = command_policy(o.kind, o.name, o.view, o.run.set); });

  std::vector<std::string> hpa_changes, hpa_names;
  auto* autoscaler = app.add_subcommand(
      "autoscaler", "show a HorizontalPodAutoscaler manifest, or change it and show the difference");
  autoscaler->add_option("file", o.name, "YAML file, autoscaling/v2")->required();
  autoscaler->add_option("--set", hpa_changes, "a change, e.g. spec.maxReplicas=20; several are possible");
  autoscaler->add_option("--metric", hpa_names,
                         "name=metric of the simulator, for metrics that it does not have by that name");
  autoscaler->add_option("--write", o.view, "write the changed manifest there");
  autoscaler->callback([&] { code = command_autoscaler(o.name, hpa_changes, hpa_names, o.view); });
  auto* upstream = app.add_subcommand("upstream", "show an nginx upstream block in the scenario's words");
  upstream->add_option("file", o.name, "nginx configuration file")->required();
  upstream->add_option("--name", o.view, "name of the upstream, if the file has several");
  upstream->callback([&] { code = command_upstream(o.name, o.view); });

  auto* devices = app.add_subcommand("devices", "list the devices of the catalogue");
  devices->add_option("name", o.name, "show this one with its sources");
  devices->callback([&] { code = command_devices(o.name); });

  auto* models = app.add_subcommand("models", "list the models");
  models->add_option("name", o.name, "show this one with its sources");
  models->callback([&] { code = command_models(o.name); });

  auto* profile = app.add_subcommand("profile", "kernel profiles");
  profile->require_subcommand(1);
  auto* measure = profile->add_subcommand("measure", "time kernels on this machine's CPU");
  measure->add_option("file", o.measure.file, "profile to write (HDF5); must not exist")
      ->required();
  measure->add_option("--device", o.measure.device, "name of the device in the profile");
  measure->add_option("--core", o.measure.core, "CPU core to measure on, the first of --threads")
      ->check(CLI::NonNegativeNumber);
  measure->add_option("--threads", o.measure.threads, "cores to use (1)")
      ->check(CLI::Range(1, 1024));
  measure->add_option("--library", o.measure.library, "onednn (default) or eigen");
  measure->add_option("--kinds", o.measure.kinds, "comma-separated kernel kinds; default all")
      ->delimiter(',')
      ->type_size(1)
      ->allow_extra_args(false);
  measure->add_option("--precisions", o.measure.precisions, "fp32,bf16,int8; default all")
      ->delimiter(',')
      ->type_size(1)
      ->allow_extra_args(false);
  measure->add_option("--seconds-per-shape", o.measure.seconds_per_shape,
                      "repeat every shape at least this long (0.01)");
  measure->add_flag("--quick", o.measure.quick, "few shapes");
  measure->callback([&] { code = command_profile_measure(o.measure); });
  auto* show = profile->add_subcommand("show", "what a profile holds and how good it is");
  show->add_option("file", o.name, "profile (HDF5)")->required();
  show->callback([&] { code = command_profile_show(o.name); });
  auto* check =
      profile->add_subcommand("check", "how well the rows of profiles predict each other");
  check->add_option("files", o.paths, "profiles (HDF5)")->required();
  check->add_option("--device", o.name, "device of the catalogue, for its peaks");
  check->callback([&] { code = command_profile_check(o.paths, o.name); });

  auto* import = profile->add_subcommand(
      "import", "kernel timings of other projects; without files: list the formats");
  import->add_option("format", o.import.format, "vidur, aiconfigurator, llmservingsim, ...");
  import->add_option("files", o.import.files, "its files");
  import->add_option("--out", o.import.out, "profile to write (HDF5); must not exist");
  import->add_option("--device", o.import.device, "name of the device in the profile");
  import->add_option("--licence", o.import.licence, "SPDX identifier of the data");
  import->add_option("--model", o.import.model, "language model that was timed");
  import->add_option("--hardware", o.import.hardware, "splitwise: which hardware");
  import->add_option("--kernel-source", o.import.kernel_source, "aiconfigurator: keep this only");
  import->add_option("--quantization", o.import.quantization,
                     "aiconfigurator: share kept of the quantization in FP8 products");
  import->add_option("--run", o.import.run, "ncnn: run_id");
  import->add_option("--tdp", o.import.tdp, "splitwise: board limit, e.g. \"400 W\"");
  import->add_option("--memory-bandwidth", o.import.memory_bandwidth,
                     "flag rows that are faster than this allows, e.g. \"864 GB/s\"");
  import->add_option("--kind", o.import.kind, "csv: kernel kind");
  import->add_option("--precision", o.import.precision,
                     "number format where the files do not say it");
  import->add_option("--map", o.import.map, "csv: parameter=column, or parameter=number")
      ->type_size(1)
      ->allow_extra_args(false);
  import->add_option("--time", o.import.time, "csv: column:unit, unit ns, us, ms or s");
  import->callback([&] { code = command_profile_import(o.import);
});
auto* ncnn = profile->add_subcommand("validate-ncnn",
                                     "predict held-out whole-network times of ncnn's benchmark");
ncnn->add_option("--data", o.name, "folder of devices.csv, runs.csv, results.csv")->required();
ncnn->add_option("--models", o.kind, "folder of its graphs (*.param)")->required();
ncnn->callback([&] { code = command_validate_ncnn(o.name, o.kind); });

auto* graph =
    app.add_subcommand("graph", "summarize an operator graph, or write it as Graphviz or JSON");
graph->add_option("graph", o.graph.source.name, "built-in graph, or file (.onnx, .param, .json)")
    ->required();
graph->add_option("--bind", o.graph.bind, "axis=size of an ONNX file; may be repeated")
    ->type_size(1)
    ->allow_extra_args(false);
graph->add_option("--image", o.graph.source.arguments.image, "side of the input image, pixels");
graph->add_option("--sequence", o.graph.source.arguments.sequence, "input tokens");
graph->add_option("--context", o.graph.source.arguments.context, "tokens in the KV cache");
graph->add_option("--image-tokens", o.graph.source.arguments.image_tokens,
                  "input tokens from an image");
graph->add_flag("--allow-unsupported", o.graph.source.allow_unsupported,
                "keep operators that are not supported as copies");
graph->add_option("--dot", o.graph.dot, "Graphviz file to write, - for stdout");
graph->add_option("--json", o.graph.json, "JSON file to write, - for stdout");
graph->callback([&] { code = command_graph(o.graph); });

auto* explain = app.add_subcommand(
    "explain", "where the time of a model on a device goes, operator by operator");
explain->add_option("model", o.question.model, "model of the catalogue, built-in, or a file");
explain->add_option("--on", o.question.device, "device of the catalogue, or device/unit");
explain->add_option("--scenario", o.question.scenario, "explain a service of this file instead");
explain->add_option("--service", o.question.service, "which service of the scenario");
explain->add_option("--variant", o.question.variant, "variant, or a number format");
explain->add_option("--batch", o.question.batch, "inputs, or decoding sequences, at once");
explain->add_option("--sequence", o.question.sequence, "tokens of the prompt or input");
explain->add_option("--context", o.question.context, "decode context, tokens");
explain->add_option("--image-tokens", o.question.image_tokens, "prompt tokens from an image");
explain->add_option("--image", o.question.image, "side of a built-in graph's input, pixels");
explain->add_option("--bind", o.graph.bind, "axis=size of an ONNX file; may be repeated")
    ->type_size(1)
    ->allow_extra_args(false);
explain->add_option("--parallel", o.question.parallel, "accelerators that share every layer");
explain->add_option("--data-parallel", o.question.data_parallel,
                    "ranks of so many accelerators each that share a mixture's experts");
explain->add_option("--pipeline", o.question.pipeline, "stages of so many accelerators each");
explain->add_option("--profile", o.question.profile, "kernel profile (HDF5) of the unit");
explain->add_option("--set", o.run.set, "/pointer=value")->type_size(1)->allow_extra_args(false);
explain->add_option("--top", o.top, "show the longest operators only");
explain->add_flag("--no-chart", o.no_chart, "without the roofline");
explain->add_flag("--json", o.run.json, "print JSON instead of text");
explain->callback([&] {
  for (const std::string& s : o.run.set) o.question.set.push_back(split_override(s));
  o.question.axes = bound_axes(o.graph.bind);
  code = command_explain(o.question, o.top, !o.no_chart, o.run.json);
});

auto* schedule = app.add_subcommand(
    "schedule", "a graph on several units of a device: who runs what and when");
schedule->add_option("model", o.schedule.model,
                     "model of the catalogue, built-in, or a graph file");
schedule->add_option("--on", o.schedule.device, "device of the catalogue, or device/unit");
schedule->add_option("--units", o.schedule.units, "units to use, e.g. gpu,npu (default: all)")
    ->delimiter(',')
    ->allow_extra_args(false);
schedule->add_option("--scheduler", o.schedule.scheduler, "list scheduler (default: heft)");
schedule->add_option("--variant", o.schedule.variant, "variant, or a number format");
schedule->add_option("--batch", o.schedule.batch, "inputs at once");
schedule->add_option("--sequence", o.schedule.sizes.sequence, "tokens of the input");
schedule->add_option("--image", o.schedule.sizes.image, "side of the input image, pixels");
schedule->add_option("--bind", o.graph.bind, "axis=size of an ONNX file; may be repeated")
    ->type_size(1)
    ->allow_extra_args(false);
schedule->add_option("--scenario", o.schedule.scenario, "schedule a service of this file instead");
schedule->add_option("--service", o.schedule.service, "which service of the scenario");
schedule->add_option("--set", o.run.set, "/pointer=value")->type_size(1)->allow_extra_args(false);
schedule->add_option("--gantt", o.schedule_flags.gantt, "SVG file to write, - for stdout");
schedule->add_option("--top", o.schedule_flags.top, "show the longest operators only");
schedule->add_flag("--compare", o.schedule.compare, "ask every list scheduler");
schedule->add_flag("--json", o.schedule_flags.json, "print JSON instead of text");
schedule->callback([&] {
  for (const std::string& s : o.run.set) o.schedule.set.push_back(split_override(s));
  o.schedule.sizes.axes = bound_axes(o.graph.bind);
  code = command_schedule(o.schedule, o.schedule_flags);
});

auto* split =
    app.add_subcommand("split", "a graph split between device, edge and cloud, by every policy");
split->add_option("model", o.split.model, "model of the catalogue, built-in, or a graph file")
    ->required();
const auto listed = [&](const char* name, auto& target, const char* help) {
  return split->add_option(name, target, help)->delimiter(',')->allow_extra_args(false);
};
listed("--tiers", o.split.tiers, "devices, or device/unit, from the client outwards")->required();
listed("--bandwidth", o.split_flags.bandwidth, "e.g. \"80 Mbps\"; one for all hops, or one per hop")
    ->required();
listed("--down-bandwidth", o.split_flags.down_bandwidth, "towards the client (as --bandwidth)");
listed("--rtt", o.split_flags.rtt, "round trip, e.g. \"20 ms\"; one, or one per hop (0)");
listed("--slowdown", o.split.slowdown, "of each tier by its load (1)");
listed("--encode", o.split.encode, "formats in which tensors may travel, e.g. fp16,int8");
split->add_option("--accuracy-loss", o.split.accuracy_loss, "per tensor in another format (0)");
split->add_option("--variant", o.split.variant, "variant, or a number format");
split->add_option("--batch", o.split.batch, "inputs at once");
split->add_option("--sequence", o.split.sizes.sequence, "tokens of the input");
split->add_option("--image", o.split.sizes.image, "side of the input image, pixels");
split->add_option("--bind", o.graph.bind, "axis=size of an ONNX file; may be repeated")
    ->type_size(1)
    ->allow_extra_args(false);
split->add_option("--input", o.split_flags.input, "size of the inputs as sent (as tensors)");
split->add_option("--result", o.split_flags.result, "size of the answer (0)");
split->add_option("--radio-power", o.split_flags.radio_power, "of the client during transfers (0)");
split->add_option("--latency-weight", o.split.latency_weight, "per second (1)");
split->add_option("--energy-weight", o.split.energy_weight, "per joule of the client (0)");
split->add_option("--set", o.run.set, "/pointer=value")->type_size(1)->allow_extra_args(false);
split->add_flag("--json", o.split_flags.json, "print JSON instead of text");
split->callback([&] {
  for (const std::string& s : o.run.set) o.split.set.push_back(split_override(s));
  o.split.sizes.axes = bound_axes(o.graph.bind);
  code = command_split(o.split, o.split_flags);
});

auto* gantt = app.add_subcommand(
    "gantt",
    "picture of the operators that ran on a node (needs \"results\": {\"operators\": true})");
gantt->add_option("run", o.gantt.directory, "run directory")->required();
gantt->add_option("--node", o.gantt.node, "node group, or group:index (default: the first)");
gantt->add_option("--from", o.gantt.from, "simulated time, e.g. \"1.5 s\"");
gantt->add_option("--to", o.gantt.to, "simulated time (default: until --most operators)");
gantt->add_option("--most", o.gantt.most, "operators to show without --to")
    ->check(CLI::Range(1, 100000));
gantt->add_option("--out", o.gantt.out, "SVG file (default: stdout)");
gantt->callback([&] { code = command_gantt(o.gantt); });

app.add_subcommand("version", "print the version")->callback([&] { code = command_version(); });

try {
  app.parse(argc, argv);
} catch (const CLI::ParseError& e) {
  return app.exit(e) == 0 ? exit_ok : exit_input;
}
return code;
}  // namespace

}  // namespace

int main(int argc, char** argv) {
  try {
    return dispatch(argc, argv);
  } catch (const InputError& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return exit_input;
  } catch (const InternalError& e) {
    std::fprintf(stderr, "isthmus has a bug, please report it: %s\n", e.what());
    return exit_bug;
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return exit_error;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "out of memory\n");
    return exit_error;
  } catch (const std::system_error& e) {  // files, threads
    std::fprintf(stderr, "%s\n", e.what());
    return exit_error;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "isthmus has a bug, please report it: %s\n", e.what());
    return exit_bug;
  }
}
