// The tables of a run: which columns run.h5 and requests.csv have. docs/results_format.md lists
// them.
#pragma once

#include <string>
#include <vector>

#include "results/columns.hpp"
#include "results/recorder.hpp"

namespace isthmus::results {

//! A DecisionRecord whose reason is a code into a list of texts.
struct DecisionRow {
  Instant at;
  std::uint64_t request = 0;
  std::uint32_t chosen = 0, used = 0;
  double score = 0;
  std::uint32_t reason = 0;
};

TableColumns<RequestRecord> request_columns(const RunInfo& info);
TableColumns<TaskRecord> task_columns(const RunInfo& info);
TableColumns<ServiceSample> interval_columns(const RunInfo& info);
TableColumns<NodeSample> node_sample_columns(const RunInfo& info);
TableColumns<OperatorRecord> operator_columns(const RunInfo& info);
//! The names behind `reason` are set when the run has ended.
TableColumns<DecisionRow> decision_columns(const RunInfo& info);
TableColumns<NodeTotals> node_columns(const std::string& currency = "USD");
//! One row per service: the finest totals that the world keeps of replicas.
TableColumns<ServiceTotals> service_columns();
TableColumns<LinkTotals> link_columns();
TableColumns<AlertEvent> alert_columns();

}  // namespace isthmus::results
