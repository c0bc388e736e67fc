// Tables of comma-separated values with a header, read by column name; every message has its place.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace isthmus::models {

//! Reads a file row by row. Quoted cells, CRLF, a byte-order mark and a missing last line end are
//! fine; empty lines are skipped.
class CsvReader {
 public:
  //! Opens and reads the header. Throws InputError for a missing, empty or binary file, and for a
  //! header that names a column twice.
  explicit CsvReader(const std::string& path);

  //! Goes to the next row; false at the end. Throws InputError for a row of another width.
  bool next();

  bool has(std::string_view column) const;
  //! Throws one InputError that lists every missing column, with what the file has.
  void require(const std::vector<std::string>& columns) const;
  const std::vector<std::string>& columns() const { return columns_; }

  //! Cells of the current row. Numbers must be finite and fill the cell. Throw InputError.
  const std::string& text(std::string_view column) const;
  double number(std::string_view column) const;
  //! The number, or `other` for an empty cell or a column that there is not.
  double number_or(std::string_view column, double other) const;
  //! A number that must be positive.
  double positive(std::string_view column) const;

  //! "file:line" of the current row.
  std::string where() const;
  const std::string& path() const { return path_; }

 private:
  std::size_t index(std::string_view column) const;
  bool read_line(std::vector<std::string>& cells);
  std::string path_;
  std::ifstream file_;
  std::vector<std::string> columns_, cells_;
  std::size_t line_ = 0;
};

}  // namespace isthmus::models
