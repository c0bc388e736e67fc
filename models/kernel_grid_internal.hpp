// What a KernelGrid is made of; shared by its construction and its look-ups only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/kernel_grid.hpp"
#include "models/kernel_profile.hpp"

namespace isthmus::models {

//! Values of one parameter. Where a curve was refined, points lie between those of the table, and
//! `from` and `to` say where the step behind a point begins and ends between two values of the
//! table (0 to 1).
struct GridAxis {
  std::vector<double> x;  //!< strictly rising
  std::vector<float> from, to;
};

//! How much a cell is to be trusted.
struct GridEvidence {
  float error = 0;  //!< rows: spread of the repetitions; filled cells: what filling adds
  float local = 0;  //!< leave-one-out error hereabouts
  PredictionKind kind = PredictionKind::measured;
};

//! A full grid; cells lie with the last axis densest.
struct GridBlock {
  std::vector<GridAxis> axes;
  std::vector<std::size_t> stride;
  std::vector<double> ns;  //!< NaN = nobody knows
  std::vector<GridEvidence> evidence;
};

//! Leading parameters whose full grid would be mostly holes are matched exactly: one block per
//! combination of them.
struct KernelGrid::Impl {
  Precision precision = Precision::fp32;
  std::size_t width = 0;       //!< parameters
  std::size_t leading = 0;     //!< of them, matched exactly
  std::vector<double> groups;  //!< blocks x leading, sorted
  std::vector<GridBlock> blocks;
  std::optional<WorkModel> work;
  std::optional<FittedRoofline> roofline;
  std::vector<double> edge_error;   //!< per parameter: relative error per doubling beyond the grid
  std::vector<double> axis_factor;  //!< per parameter: its leave-one-out error over the table's
  LeaveOneOut leave_one_out;

  double roofline_ns(std::span<const double> shape) const {
    return roofline->ns((*work)(shape), precision);
  }
};

//! No grid has more cells.
inline constexpr std::size_t most_grid_cells = 4'000'000;

//! Puts points on the curve between the values of an axis, so that straight lines follow it; leaves
//! the block alone when it would have more than most_grid_cells.
void refine_axis(GridBlock& g, std::size_t axis);

//! Builds everything from a sorted, valid table.
KernelGrid::Impl build_grid(const KernelTable& table);

}  // namespace isthmus::models
