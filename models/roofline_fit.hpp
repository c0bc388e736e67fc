// A roofline fitted to a table of measured kernels: what the device reached, and how times scale
// beyond the table.
#pragma once

#include <optional>
#include <span>

#include "models/kernel_query.hpp"

namespace isthmus::models {

struct KernelTable;

//! time = launch_ns + max(flops / flops_per_ns, bytes / bytes_per_ns). A rate of 0 means that no
//! row of the table was limited by it, and drops its term.
struct FittedRoofline {
  double launch_ns = 0;
  double flops_per_ns = 0;
  double bytes_per_ns = 0;
  double median_error = 0;  //!< median absolute relative error over the fitted rows

  double ns(const KernelWork& work, Precision precision) const;
};

//! Fits the three figures by least squares of log(fitted / measured) over all rows but those
//! flagged as cached (over all when fewer than three remain). Nothing when the kind has no work
//! model (WorkModel::of). Deterministic.
std::optional<FittedRoofline> fit_roofline(const KernelTable& table);

}  // namespace isthmus::models
