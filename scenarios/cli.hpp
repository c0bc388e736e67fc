// The commands of the command line. Each takes plain options, prints to stdout, progress to stderr,
// and returns the exit code; errors are exceptions that main() turns into exit codes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/graph_loading.hpp"
#include "scenarios/calibrate.hpp"
#include "scenarios/compose.hpp"
#include "scenarios/explain.hpp"
#include "scenarios/schedule_question.hpp"
#include "scenarios/split_question.hpp"

namespace isthmus::scenarios {

//! Exit codes of the program.
inline constexpr int exit_ok = 0, exit_error = 1, exit_input = 2, exit_bug = 70;

//! What the commands that run scenarios have in common.
struct RunFlags {
  std::string scenario;
  std::vector<std::string> set;  //!< "/pointer=value"
  std::optional<std::uint64_t> seed;
  std::optional<std::uint32_t> replications;
  std::string out;        //!< result directory; "" = below ./runs
  bool no_files = false;  //!< print only
  bool csv = false, html = false, trace = false, json = false;
  bool ledger = false;    //!< keep one, though the scenario does not ask for it
  unsigned threads = 1;  //!< 0 = all cores
};

//! Runs a scenario, or all its alternatives when it has a "compare" section.
int command_run(const RunFlags& flags);
//! Compares values of the given pointers. `values` holds one comma-separated list per pointer; a
//! missing list comes from the scenario's "compare" or "sweep", or are all values a word can have.
int command_compare(const RunFlags& flags, const std::vector<std::string>& pointers,
                    const std::vector<std::string>& values);
//! How `calibrate` splits and answers.
struct CalibrateFlags {
  std::string split = "time", out;  //!< out: scenario to write, "" = none
  bool json = false;
};
//! Fits a service to a log and prints both parts; may write a scenario with the values.
int command_calibrate(CalibrateQuestion question, const CalibrateFlags& flags);
//! Runs the grid of the "sweep" section. `shard` is "i/n", 1 <= i <= n, or "".
int command_sweep(const RunFlags& flags, const std::string& shard, bool resume);
//! Reads scenarios with all their alternatives; prints "ok" and a summary, or every problem.
int command_validate(const std::vector<std::string>& paths, const std::vector<std::string>& set);
//! Prints the JSON Schema.
int command_schema();
//! Lists the policies; `kind` "" = all kinds.
int command_policies(const std::string& kind);
//! Runs one policy on a view (or on a list of views, one after the other) and prints decisions.
int command_policy(const std::string& kind, const std::string& name, const std::string& view,
                   const std::vector<std::string>& set);
//! Shows what a HorizontalPodAutoscaler manifest says, or changes "path=value" of it as a diff; `names` are
//! "metric=metric of the simulator". `write`: where to put the changed text, "" nowhere.
int command_autoscaler(const std::string& file, const std::vector<std::string>& changes,
                       const std::vector<std::string>& names, const std::string& write);
//! Shows an upstream block of an nginx configuration file as scenario fields.
int command_upstream(const std::string& file, const std::string& name);
//! Lists catalogue devices and models; with a name, that entry with its sources.
int command_devices(const std::string& name);
int command_models(const std::string& name);

//! What `advise` is told: a file, and options over it.
struct AdviseFlags {
  std::string file, scenario;
  std::map<std::string, std::optional<std::string>> demands;  //!< by field of requirements_spec(), in text form
  bool critical = false, json = false;
  std::uint32_t replications = 3;
  unsigned threads = 1;  //!< 0 = all cores
};
//! Walks the decision tree of deployments and prints what it recommends, with the runs behind it.
int command_advise(const AdviseFlags& flags);

//! What `profile measure` is told; see models/profile_measure.hpp.
struct MeasureFlags {
  std::string file, device, library = "onednn";
  std::vector<std::string> kinds, precisions;
  int core = 0, threads = 1;
  bool quick = false;
  double seconds_per_shape = 0.01;
};
//! Times kernels on cores of this machine and writes a profile; refuses to overwrite a file.
int command_profile_measure(const MeasureFlags& flags);
//! Prints provenance, tables and leave-one-out errors of a profile.
int command_profile_show(const std::string& file);
//! Prints how well the rows of profiles predict each other: leave-one-out errors per table and
//! parameter, fitted rooflines (as shares of the peaks of catalogue device `device`, "" = rates
//! only), and whether products and attention reach 5 % in the median.
int command_profile_check(const std::vector<std::string>& files, const std::string& device);

//! What `profile import` is told; see models/profile_import.hpp.
struct ImportFlags {
  double quantization = 1;
  std::string format, out, device, licence, model, hardware, kernel_source, run, tdp,
      memory_bandwidth, kind, precision, time;
  std::vector<std::string> files, map;
};
//! Imports timings of another project and says what became of every row; refuses to overwrite a
//! file. Lists the formats when no file is named.
int command_profile_import(const ImportFlags& flags);

//! Prints how well networks are predicted that a fit did not see: `data` holds devices.csv,
//! runs.csv and results.csv of ncnn's benchmark, `models` its graphs.
int command_validate_ncnn(const std::string& data, const std::string& models);

//! Prints where the time of a model on a device goes: a table per phase (operators beyond the `top`
//! longest summed up, 0 = all) and rooflines, or JSON.
int command_explain(const ExplainQuestion& question, std::size_t top, bool chart, bool json);

//! How `schedule` answers.
struct ScheduleFlags {
  std::size_t top = 0;  //!< operators to list, 0 = all
  bool json = false;
  std::string gantt;  //!< SVG file to write, "-" = stdout instead of text, "" = none
};
//! Prints who runs what of a graph on several units of a device, and draws it.
int command_schedule(const ScheduleQuestion& question, const ScheduleFlags& flags);

//! Figures of `split` as they were written.
struct SplitFlags {
  std::vector<std::string> bandwidth, down_bandwidth, rtt;  //!< per hop, or one for all
  std::string input, result, radio_power;
  bool json = false;
};
//! Prints how every partition policy splits a graph between tiers.
int command_split(SplitQuestion question, const SplitFlags& flags);

//! What `train` is told beside the scenario.
struct TrainFlags {
  std::string policy;  //!< "" = the scenario's
  std::string seeds = "1..8", out = "weights.json";
  std::size_t passes = 1;
};
//! Trains an offload policy on runs with several seeds and writes what it has learned.
int command_train(const RunFlags& flags, const TrainFlags& train);

//! What `tournament` is told; seeds as "1..8".
struct TournamentFlags {
  std::vector<std::string> scenarios, policies;
  std::string training = "1..4", evaluation = "101..110";
  std::size_t passes = 2;
  unsigned threads = 1;
  std::string out, markdown;  //!< files to write, "" = none
  bool json = false;
};
//! Ranks offload policies on several conditions.
int command_tournament(const TournamentFlags& flags);

//! Prints what an offload policy saw and chose for one request of a run directory.
int command_explain_decision(const std::string& run, std::uint64_t request,
                             const std::string& folder, bool json);

//! What `gantt` is told: a run directory, "group" or "group:index", and a window ("1.5 s", "" =
//! open).
struct GanttFlags {
  std::string directory, node, from, to, out = "-";
  std::uint32_t most = 500;
};
//! Draws the operators that ran on a node.
int command_gantt(const GanttFlags& flags);

//! What `graph` is told.
struct GraphFlags {
  models::GraphSource source;
  std::vector<std::string> bind;  //!< "axis=size"
  std::string dot, json;          //!< files to write, "-" = stdout, "" = none
};
//! Sizes of "axis=size" settings. Throws InputError for anything else.
std::map<std::string, std::int64_t> bound_axes(const std::vector<std::string>& bind);
//! Summarizes an operator graph, or writes it as Graphviz or JSON.
int command_graph(const GraphFlags& flags);

//! Prints the version, with the commit when the build knows it.
int command_version();
std::string program_version();

//! Overrides of the flags: --set, --seed and --replications.
std::vector<Override> overrides_of(const RunFlags& flags);
//! Shows "3/20 runs" on stderr when it is a terminal.
void show_progress(std::size_t done, std::size_t all);

}  // namespace isthmus::scenarios
