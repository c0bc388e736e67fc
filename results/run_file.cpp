#include "results/run_file.hpp"

#include <fmt/format.h>

#include "results/sha256.hpp"
#include "results/version.hpp"

namespace isthmus::results {

namespace {

template <class Row>
void write_table(h5::File& file, const char* name, TableColumns<Row> columns,
                 const std::vector<Row>& rows) {
  TableWriter<Row> table(file.create_group(name), std::move(columns));
  for (const Row& r : rows) table.add(r);
  table.close();
}

}  // namespace

RunFile::RunFile(const std::filesystem::path& path, const RunInfo& info, bool streaming,
                 bool operators)
    : file_(h5::File::create(path.string())),
      requests_(file_.create_group("requests"), request_columns(info)),
      tasks_(file_.create_group("tasks"), task_columns(info)),
      intervals_(file_.create_group("intervals"), interval_columns(info)),
      node_samples_(file_.create_group("node_samples"), node_sample_columns(info)),
      decisions_(file_.create_group("decisions"), decision_columns(info)) {
  if (operators) operators_.emplace(file_.create_group("operators"), operator_columns(info));
  file_.set_attribute("filetype", "isthmus run");
  file_.set_attribute("version", std::int64_t{results_version});
  file_.set_attribute("program_version", program_version);
  file_.set_attribute("git_sha", git_sha);
  file_.set_attribute("name", info.name);
  file_.set_attribute("label", info.label);
  file_.set_attribute("network", info.network);
  file_.set_attribute("scenario", info.scenario_json);
  file_.set_attribute("scenario_sha256", sha256(info.scenario_json));
  file_.set_attribute("seed", info.seed);
  file_.set_attribute("replication", std::uint64_t{info.replication});
  file_.set_attribute("duration", info.duration.seconds());
  file_.set_attribute("warmup", info.warmup.seconds());
  file_.set_attribute("streaming", std::uint64_t{streaming ? 1U : 0U});
}

std::uint32_t RunFile::code_of(std::string_view reason) {
  // A policy has a handful of reasons: a list is faster than a map.
  for (std::size_t i = 0; i < reasons_.size(); ++i)
    if (reasons_[i] == reason) return static_cast<std::uint32_t>(i);
  reasons_.push_back(reason);
  return static_cast<std::uint32_t>(reasons_.size() - 1);
}

void RunFile::add(const DecisionRecord& d) {
  decisions_.add({d.at, d.request, d.chosen, d.used, d.score, code_of(d.reason)});
}

void RunFile::finish(const Summary& summary) {
  file_.set_attribute("fingerprint", fmt::format("{:016x}", summary.fingerprint));
  file_.set_attribute("events", summary.events);
  file_.set_attribute("created", summary.created);
  file_.set_attribute("completed", summary.completed);
  file_.set_attribute("rejected", summary.rejected);
  file_.set_attribute("failed", summary.failed);
  file_.set_attribute("in_flight", summary.in_flight);
  decisions_.set_values("reason", std::vector<std::string>(reasons_.begin(), reasons_.end()));
  requests_.close();
  tasks_.close();
  intervals_.close();
  node_samples_.close();
  decisions_.close();
  if (operators_) operators_->close();
  write_table(file_, "nodes", node_columns(summary.info.currency), summary.nodes);
  write_table(file_, "replicas", service_columns(), summary.services);
  write_table(file_, "links", link_columns(), summary.links);
  if (!summary.levels.empty()) write_table(file_, "alerts", alert_columns(), summary.alerts);
  file_.close();
}

}  // namespace isthmus::results
