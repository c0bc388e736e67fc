// Distilled variants: a student that has some of its teacher's layers.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/model_version.hpp"

namespace isthmus::models {

struct DistillOptions {
  //! Module that numbers the layers: "layers" for "layers.0", "layers.1", ... "" = the outermost
  //! modules that do, all of them.
  std::string layers{};
  std::size_t keep_every = 2;  //!< layers 0, k, 2k, ... stay
  //! The layers that stay, by number, instead of every k-th; empty = keep_every counts.
  std::vector<std::size_t> keep{};
  std::optional<Accuracy> accuracy{};  //!< of the student: published or measured, never computed
  std::string where = "distill";
};

//! Takes layers out. A layer can go when one tensor leaves it and a tensor of the same shape comes
//! in from the layer before it; readers then read that one. What only the gone layers read goes
//! with them, and so do outputs inside a layer that nothing reads and that are unlike the layer's
//! own. Sets ModelVersion::distilled. Throws InputError where no modules are numbered, a layer
//! changes the shape of its tensor, or an exit would lose its place.
ModelVersion distill(ModelVersion version, const DistillOptions& options);

//! A published pair of teacher and student.
struct Distillation {
  std::string_view teacher, student;
  double teacher_params, student_params;
  std::string_view metric;
  double teacher_accuracy, student_accuracy;  //!< fractions
  std::string_view source;
};
//! Published pairs, for comparing.
std::span<const Distillation> published_distillations();

}  // namespace isthmus::models
