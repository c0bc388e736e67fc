// Line charts as inline SVG, for reports that need no network and no library.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace isthmus::results {

//! One line of a chart.
struct ChartLine {
  std::string label;
  std::vector<std::pair<double, double>> points;  //!< (x, y), x rising; not finite: left out
};

//! A chart with axes, grid and legend.
struct Chart {
  std::string title, x_label, y_label;
  bool log_x = false;  //!< points with x <= 0 stand at the left edge
  double y_max = 0;    //!< 0: from the data
  std::vector<ChartLine> lines;
};

//! An <svg> element; a note instead of lines when there are no points.
std::string svg(const Chart& chart);
//! Text with the five special characters of HTML replaced.
std::string escape_html(const std::string& text);

}  // namespace isthmus::results
