// Schedules as pictures: who works on what, when, and which work decides the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace isthmus::results {

//! A piece of work on one row. Dates in seconds.
struct GanttBar {
  std::uint32_t row = 0;
  double start = 0, end = 0;
  std::string label;
  std::uint32_t group = 0;  //!< index into Gantt::groups: decides the colour
  std::string module;       //!< path "a.b.c": neighbours of one module get a common bracket
  std::string detail;       //!< further lines of the hover text
  bool critical = false;    //!< marked: it decides the end
};

//! Something that goes from one row to another.
struct GanttLink {
  std::uint32_t from_row = 0, to_row = 0;
  double start = 0, end = 0;
  std::string detail;  //!< hover text
  bool critical = false;
};

//! A date that matters, such as a lower bound; left out when far beyond the end of all bars.
struct GanttMark {
  double at = 0;
  std::string label;
};

struct Gantt {
  std::string title, subtitle;
  std::vector<std::string> rows;  //!< names, from top to bottom
  std::vector<std::string>
      row_notes;                    //!< up to two lines below the names; may be shorter than rows
  std::vector<std::string> groups;  //!< of bars; the legend shows those in use
  std::vector<GanttBar> bars;
  std::vector<GanttLink> links;
  std::vector<GanttMark> marks;
  double begin = 0;    //!< date of the left edge; bars before it are cut
  double prelude = 0;  //!< seconds from 0 on that belong to no row (framework)
  std::string prelude_label;
};

//! A complete SVG file, light or dark as the reader's system is; the same bytes for the same input.
//! Bars too narrow for their label show it when pointed at. The width grows with the number of
//! bars. Throws InternalError for a bar or link without row or group, or a date that is not finite.
std::string gantt_svg(const Gantt& gantt);

}  // namespace isthmus::results
