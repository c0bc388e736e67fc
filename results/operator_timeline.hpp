// What ran on the units of a node during a run, read back from its run.h5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "results/gantt_svg.hpp"

namespace isthmus::results {

//! A node and a window of simulated time.
struct TimelineWindow {
  std::string group;       //!< node group; "" = that of the first operator
  std::uint32_t node = 0;  //!< within the group
  double from = 0;         //!< s
  //! s; infinite: until `most` operators have been shown.
  double to = 0;
  std::uint32_t most = 500;
};

//! The operators of `directory`/run.h5 as a picture: a row per lane of the node's units, colours by
//! service, or by kind of operator when one service had the node to itself. Throws InputError when
//! the run kept no operators ("results": {"operators": true}), there is no such node, or nothing
//! ran in the window.
Gantt operator_timeline(const std::filesystem::path& directory, const TimelineWindow& window);

}  // namespace isthmus::results
