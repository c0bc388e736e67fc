#include "scenarios/experiments.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "sim/core/errors.hpp"
#include "sim/core/hash.hpp"

namespace isthmus::scenarios {

namespace {

struct Job {
  std::size_t candidate = 0;
  std::uint32_t replication = 0;
};

// A folder per run; a lone run gets the directory itself.
std::filesystem::path directory_of(const std::vector<std::string>& folders, const Job& job,
                                   std::size_t candidates, std::uint32_t replications,
                                   const std::filesystem::path& parent) {
  if (parent.empty()) return {};
  std::filesystem::path path = parent;
  if (candidates > 1) path /= folders[job.candidate];
  if (replications > 1) path /= fmt::format("replication-{}", job.replication);
  return path;
}

}  // namespace

results::Comparison run_alternatives(const std::vector<Candidate>& candidates,
                                     const ExperimentOptions& options) {
  results::Comparison comparison;
  std::vector<Job> jobs;
  std::vector<std::string> folders;
  std::set<std::string> taken;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::uint32_t n = candidates[c].scenario->replications;
    comparison.alternatives.push_back({candidates[c].label, std::vector<results::Summary>(n)});
    for (std::uint32_t i = 0; i < n; ++i) jobs.push_back({c, i});
    std::string folder = file_name_of(candidates[c].label);
    if (!taken.insert(folder).second) taken.insert(folder += fmt::format("-{}", c));
    folders.push_back(folder);
  }
  if (!candidates.empty()) comparison.metric = candidates.front().scenario->compare_metric;

  std::mutex reporting;
  std::size_t done = 0;
  for_each_job(jobs.size(), options.threads, [&](std::size_t i) {
    const Job& job = jobs[i];
    const world::Scenario& scenario = *candidates[job.candidate].scenario;
    world::RunOptions run;
    run.replication = job.replication;
    run.label = candidates[job.candidate].label;
    run.csv = options.csv;
    run.html = options.html;
    run.trace = options.trace;
    run.directory =
        directory_of(folders, job, candidates.size(), scenario.replications, options.directory);
    // Each result has its place, so threads do not change the order.
    comparison.alternatives[job.candidate].replications[job.replication] =
        world::run(scenario, run);
    const std::lock_guard lock(reporting);
    ++done;
    if (options.progress) options.progress(done, jobs.size());
  });
  return comparison;
}

void for_each_job(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& job) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  std::vector<std::exception_ptr> errors(count);
  const auto work = [&] {
    for (std::size_t i = next++; i < count && !stop; i = next++) {
      try {
        job(i);
      } catch (...) {
        errors[i] = std::current_exception();
        stop = true;
      }
    }
  };
  const unsigned wanted = threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::thread> pool;
  for (std::size_t i = 1; i < std::min<std::size_t>(wanted, count); ++i) pool.emplace_back(work);
  work();
  for (std::thread& t : pool) t.join();
  for (const std::exception_ptr& e : errors)
    if (e) std::rethrow_exception(e);
}

std::vector<Candidate> candidates_of(const LoadedScenario& loaded,
                                     const std::vector<Choice>& choices) {
  if (choices.empty()) return {{"", loaded.scenario}};
  std::vector<Candidate> all;
  for (const Choice& c : choices) {
    try {
      all.push_back({c.label, resolve(loaded.document, c.edits)});
    } catch (const InputError& e) {
      std::vector<std::string> lines;
      for (const std::string& line : e.problems())
        lines.push_back(fmt::format("{} (alternative \"{}\")", line, c.label));
      throw InputError(lines);
    }
  }
  return all;
}

std::string file_name_of(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '.';
    if (fine)
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  constexpr std::size_t longest = 80;
  if (out.size() > longest) out.resize(longest);
  while (!out.empty() && (out.back() == '-' || out.back() == '.')) out.pop_back();
  while (!out.empty() && out.front() == '.') out.erase(0, 1);
  return out.empty() ? "run" : out;
}

std::filesystem::path new_run_directory(const std::filesystem::path& parent,
                                        const std::string& name) {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
  // The clock's fraction and the process keep runs of the same second apart.
  const auto fine = static_cast<std::uint64_t>(now.time_since_epoch().count());
  for (std::uint64_t salt = 0;; ++salt) {
    const std::uint64_t hash =
        hash_combine(hash_combine(fine, static_cast<std::uint64_t>(::getpid())), salt);
    const std::filesystem::path path =
        parent / fmt::format("{}-{}-{:06x}", file_name_of(name), stamp, hash & 0xffffffU);
    if (!std::filesystem::exists(path)) return path;
  }
}

}  // namespace isthmus::scenarios
