// Aligned plain-text tables for terminals.
#pragma once

#include <string>
#include <vector>

namespace isthmus::results {

//! A table with a heading. Cells are UTF-8; the first column is aligned left, the others right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> heading) : heading_(std::move(heading)) {}
  //! As many cells as the heading has.
  void add_row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  //! Lines of at most `width` characters: columns that do not fit are continued in a second block
  //! that repeats the first column. Cells of the first column longer than 30 are cut.
  std::string text(std::size_t width = 110) const;

 private:
  std::vector<std::string> heading_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace isthmus::results
