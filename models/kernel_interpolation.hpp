// Piecewise-linear interpolation on a possibly ragged grid of kernel shapes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "models/kernel_profile.hpp"

namespace isthmus::models {

//! Interpolated time of a kernel with the range of its repetitions.
struct GridValue {
  double median_ns = 0, p10_ns = 0, p90_ns = 0;
  bool exact = false;  //!< the shape is a row of the table
};

//! Value at `shape` of a table whose rows are sorted by shape, or nothing outside the grid.
//!
//! Parameters are nested: rows with equal first parameter form a smaller table in the others. The
//! value lies on the line between the nearest smaller and the nearest larger first parameter whose
//! smaller tables enclose the rest of the shape. On a full grid this is multilinear interpolation,
//! which is exact for products such as m * n * k; on a ragged grid, holes are bridged by the next
//! rows outwards (up to 8 on each side).
//! `skip` leaves one row out (leave-one-out error); none = rows().
std::optional<GridValue> interpolate(const KernelTable& table, std::span<const double> shape,
                                     std::size_t skip);

}  // namespace isthmus::models
