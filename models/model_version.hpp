// One version of a model: its graph, its number formats and what is known of its accuracy. Passes
// (passes.hpp) take one and return the next.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "models/operator_graph.hpp"
#include "models/precision.hpp"

namespace isthmus::models {

//! A published or measured quality of a model, never invented: it comes with its source.
struct Accuracy {
  double value = 0;    //!< a fraction, [0, 1]: 0.7613, not 76.13
  std::string metric;  //!< "ImageNet top-1"
  std::string source;  //!< where the figure stands
};

//! Throws InputError, with `where` in front, unless the value is a fraction and the source is
//! given.
void check_accuracy(const Accuracy& accuracy, std::string_view where);

//! A place where samples may leave a model early. Set by the early-exits pass.
struct ExitPoint {
  std::string after;                 //!< the operator whose output the head reads
  std::string head;                  //!< the head's last operator, its output is the answer
  double share = 0;                  //!< of the samples, that leave here; the rest goes on
  std::optional<Accuracy> accuracy;  //!< of the samples that leave here
};

//! How a version relates to the model that it was distilled from. Set by the distill pass.
struct DistilledFrom {
  std::string teacher;
  double params_ratio = 1;  //!< student / teacher
  double flops_ratio = 1;
};

//! A model as passes see it. `accuracy` is that of the whole model at its last output (of the
//! samples that go that far, when there are exits); none = not known for this version.
struct ModelVersion {
  OperatorGraph graph;
  Precision weights = Precision::fp32;      //!< of operators without a format of their own
  Precision activations = Precision::fp32;  //!< likewise
  std::optional<Accuracy> accuracy{};
  std::vector<std::string> history{};  //!< one line per pass, with counts; oldest first
  std::vector<ExitPoint> exits{};      //!< in topological order of `after`
  std::optional<DistilledFrom> distilled{};
  //! Operators whose params include the scales of group-wise quantization, in units of their
  //! weights.
  std::set<std::string> grouped{};
  std::set<std::string> sparse{};  //!< operators whose weights are stored without their zeros

  //! Bytes of all weights in their formats.
  double weight_bytes() const;
};

//! For passes that can change what a model answers: the accuracies of the version and of its exits
//! are gone; `given` (checked, `where` is for the message) takes the version's place.
void replace_accuracy(ModelVersion& version, const std::optional<Accuracy>& given,
                      std::string_view where);

//! Whether `names` has the operator or one that was folded into it.
bool lists(const std::set<std::string>& names, const Operator& op);

//! Index of the operator called `name`, or of the one that passes folded it into. Throws
//! InputError with a suggestion when there is none.
std::size_t find_operator(const OperatorGraph& graph, std::string_view name);

}  // namespace isthmus::models
