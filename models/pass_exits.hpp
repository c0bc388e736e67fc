// Early exits: heads inside a network at which easy samples leave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/model_version.hpp"

namespace isthmus::models {

struct ExitSpec {
  std::string after;                   //!< name of the operator whose output the head reads
  double share = 0;                    //!< of all samples, that leave here, [0, 1]
  std::optional<Accuracy> accuracy{};  //!< of those samples
  std::int64_t classes = 0;            //!< width of the answer; 0 = that of the model's own output
  std::string where = "exit";
};

struct ExitOptions {
  std::vector<ExitSpec> exits{};
  std::optional<Accuracy> accuracy{};  //!< of the samples that go to the end
  std::string where = "early-exits";
};

//! Inserts a head behind each named operator: a global pool and a product for {channels, height,
//! width}; a layer norm and a product for {tokens, features}, with a mean over the tokens between
//! them unless the model answers per token; a product for {features}. Heads live in the modules
//! "exits.<number>". Shares of all exits, earlier passes' included, add up to 1 at most; the rest
//! goes to the end. Clears the accuracy unless one is given: the samples that reach the end are no
//! longer all samples.
ModelVersion add_exits(ModelVersion version, const ExitOptions& options);

//! What runs for a sample that leaves at `exit`: its head, the heads before it, which had to be
//! asked, and all that they need. `exit` = exits.size() is the whole graph.
OperatorGraph prefix_graph(const ModelVersion& version, std::size_t exit);
//! The share of samples that leaves at `exit`, exits.size() being the end.
double exit_share(const ModelVersion& version, std::size_t exit);
//! The exit for a uniform number in [0, 1): the first whose cumulated share exceeds it.
std::size_t exit_for(const ModelVersion& version, double uniform);
//! Totals of prefix_graph() weighted by shares. `operators` is rounded to the nearest.
GraphTotals expected_totals(const ModelVersion& version);
//! Mean accuracy over all exits by their shares; none unless every exit that is used has one and
//! all have the same metric.
std::optional<Accuracy> expected_accuracy(const ModelVersion& version);

}  // namespace isthmus::models
