// run and compare.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "results/comparison.hpp"
#include "results/format.hpp"
#include "scenarios/cli.hpp"
#include "scenarios/experiments.hpp"
#include "scenarios/field_values.hpp"
#include "scenarios/file_reading.hpp"
#include "scenarios/problems.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

// What the alternatives cost to simulate: on stderr, because stdout is the same for equal runs.
void print_processor_time(const results::Comparison& comparison) {
  fmt::print(stderr, "processor time per run:");
  const char* separator = " ";
  for (const results::Alternative& a : comparison.alternatives) {
    double sum = 0;
    for (const results::Summary& s : a.replications) sum += s.cpu_seconds;
    fmt::print(stderr, "{}{} {}", separator, a.label,
               results::format_quantity(sum / static_cast<double>(a.replications.size()), "s"));
    separator = ", ";
  }
  fmt::print(stderr, "\n");
}

// Runs candidates and prints what came out.
int execute(const RunFlags& flags, const std::string& name,
            const std::vector<Candidate>& candidates) {
  ExperimentOptions options;
  options.threads = flags.threads;
  options.csv = flags.csv;
  options.html = flags.html;
  options.trace = flags.trace;
  options.progress = show_progress;
  if (!flags.no_files)
    options.directory =
        flags.out.empty() ? new_run_directory("runs", name) : std::filesystem::path(flags.out);
  const results::Comparison comparison = run_alternatives(candidates, options);

  const bool single = candidates.size() == 1 && comparison.alternatives[0].replications.size() == 1;
  const std::string text = single ? results::run_report(comparison.alternatives[0].replications[0])
                                  : results::comparison_table(comparison);
  const std::string json = single ? results::to_json(comparison.alternatives[0].replications[0])
                                  : results::comparison_json(comparison);
  if (!single && !options.directory.empty()) {
    write_file_atomically(options.directory / "comparison.txt", text);
    write_file_atomically(options.directory / "comparison.json", json);
  }
  const std::string& shown = flags.json ? json : text;
  fmt::print("{}{}", shown, shown.ends_with('\n') ? "" : "\n");
  if (!single && !flags.json) print_processor_time(comparison);
  // The report of a single run names its directory itself; JSON output stays JSON and nothing else.
  if (!options.directory.empty() && (flags.json || !single))
    fmt::print(flags.json ? stderr : stdout, "results in {}\n", options.directory.string());
  return exit_ok;
}

std::vector<std::string> split_commas(const std::string& list) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;  // commas inside JSON values separate nothing
  bool text = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const char c = list[i];
    if (c == '"' && (i == 0 || list[i - 1] != '\\')) text = !text;
    if (!text && (c == '{' || c == '[')) ++depth;
    if (!text && (c == '}' || c == ']')) --depth;
    if (c == ',' && depth == 0 && !text) {
      parts.push_back(part);
      part.clear();
    } else if (!(c == ' ' && part.empty())) {
      part += c;
    }
  }
  parts.push_back(part);
  return parts;
}

// Values for a pointer that came without any.
std::vector<Choice> known_values(LoadedScenario& loaded, const std::string& pointer) {
  for (const char* section : {"compare", "sweep"}) {
    const Value* table = loaded.document.root.find(section);
    const Value* list = table ? table->find(pointer) : nullptr;
    if (!list) continue;
    Value only = object_value(table->at);
    only.members.push_back({pointer, list->at, *list});
    return choices_of(only, loaded.document.sources);
  }
  // A policy can be compared with all others of its kind.
  const ObjectSpec* spec = nullptr;
  if (pointer == "/offload/policy") spec = &offload_spec();
  const std::vector<std::string> tokens = split_pointer(pointer);
  if (tokens.size() >= 3 && tokens[0] == "services") {
    if (tokens[2] == "routing") spec = &routing_spec();
    if (tokens[2] == "batching") spec = &batching_spec();
    if (tokens[2] == "autoscaling") spec = &autoscaling_spec();
    if (tokens[2] == "scheduler") spec = &list_scheduler_spec();
    if (tokens[2] == "variant_policy") spec = &variant_policy_spec();
    if (tokens[2] == "governor") spec = &governor_spec();
    if (spec && tokens.size() > 3 && tokens[3] != "policy") spec = nullptr;
  }
  if (tokens.size() == 4 && tokens[0] == "nodes" && tokens[2] == "model_cache" &&
      tokens[3] == "policy")
    spec = &model_cache_spec();
  if (!spec) {
    const std::vector<std::string> words = words_at(pointer);
    if (!words.empty()) return choices_of(pointer, words, loaded.document.sources);
  }
  if (!spec)
    throw InputError(fmt::format("{}: which values? Give --values a,b,... for it", pointer));
  std::vector<std::string> names;
  for (const Variant& v : spec->variants)
    if (v.value != "continuous") names.push_back(v.value);
  return choices_of(pointer, names, loaded.document.sources);
}

}  // namespace

void show_progress(std::size_t done, std::size_t all) {
  if (all < 2 || ::isatty(STDERR_FILENO) == 0) return;
  fmt::print(stderr, "\r{}/{} runs{}", done, all, done == all ? "\n" : "");
  std::fflush(stderr);
}

std::vector<Override> overrides_of(const RunFlags& flags) {
  std::vector<Override> all;
  for (const std::string& s : flags.set) all.push_back(split_override(s));
  if (flags.ledger) all.push_back({"/costs/ledger", "true"});
  if (flags.seed) all.push_back({"/seed", fmt::format("{}", *flags.seed)});
  if (flags.replications) all.push_back({"/replications", fmt::format("{}", *flags.replications)});
  return all;
}

int command_run(const RunFlags& flags) {
  const LoadedScenario loaded = load(flags.scenario, overrides_of(flags));
  return execute(flags, loaded.scenario->name, candidates_of(loaded, loaded.alternatives));
}

int command_compare(const RunFlags& flags, const std::vector<std::string>& pointers,
                    const std::vector<std::string>& values) {
  if (values.size() > pointers.size())
    throw InputError(
        fmt::format("{} lists of values for {} pointers", values.size(), pointers.size()));
  LoadedScenario loaded = load(flags.scenario, overrides_of(flags));
  std::vector<Choice> choices;
  for (std::size_t i = 0; i < pointers.size(); ++i) {
    std::vector<Choice> axis = i < values.size() ? choices_of(pointers[i], split_commas(values[i]),
                                                              loaded.document.sources)
                                                 : known_values(loaded, pointers[i]);
    choices = product(choices, axis);
  }
  if (choices.empty()) {
    choices = loaded.alternatives;
    if (choices.empty())
      throw InputError(
          fmt::format("{}: has no \"compare\" section; name a pointer such as "
                      "/offload/policy",
                      flags.scenario));
  }
  return execute(flags, loaded.scenario->name, candidates_of(loaded, choices));
}

}  // namespace isthmus::scenarios
