// run.h5: everything that a run recorded, written while it runs.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "results/tables.hpp"

namespace isthmus::results {

//! Layout: docs/results_format.md. Equal runs give equal bytes. Not thread-safe.
class RunFile {
 public:
  RunFile(const std::filesystem::path& path, const RunInfo& info, bool streaming,
          bool operators = false);

  void add(const RequestRecord& r) { requests_.add(r); }
  void add(const TaskRecord& r) { tasks_.add(r); }
  void add(const ServiceSample& r) { intervals_.add(r); }
  void add(const NodeSample& r) { node_samples_.add(r); }
  void add(const DecisionRecord& r);
  void add(const OperatorRecord& r) { operators_->add(r); }  //!< only when asked for
  //! Writes the totals and closes the file. Error when the disk refuses.
  void finish(const Summary& summary);

 private:
  std::uint32_t code_of(std::string_view reason);

  h5::File file_;
  TableWriter<RequestRecord> requests_;
  TableWriter<TaskRecord> tasks_;
  TableWriter<ServiceSample> intervals_;
  TableWriter<NodeSample> node_samples_;
  TableWriter<DecisionRow> decisions_;
  std::optional<TableWriter<OperatorRecord>> operators_;
  std::vector<std::string_view> reasons_;  // static texts, in order of first use
};

}  // namespace isthmus::results
