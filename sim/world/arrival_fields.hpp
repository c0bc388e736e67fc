// The cells of trace files: comma-separated rows, columns by name, numbers and dates. Parsers are
// strict: a cell is one whole number or date, and nothing is guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world/arrival_lines.hpp"

namespace isthmus::world {

//! `text` without blanks and tabs at its ends.
std::string_view trim(std::string_view text);

//! A decimal number ("12", "-0.5", ".25", "1.5e3") times `unit` nanoseconds, rounded to the nearest
//! nanosecond. Plain decimals are exact, however many digits stand before the point: dates since
//! 1970 keep their nanoseconds. Nothing when the text is no number or the result does not fit.
std::optional<std::int64_t> parse_decimal_ns(std::string_view text, std::int64_t unit);

//! "2023-11-16 18:17:03.9799600", with a blank or 'T', any number of fraction digits (nanoseconds
//! are kept), and no zone, "Z" or "+hh:mm" (no zone is UTC): nanoseconds since 1970-01-01 UTC.
std::optional<std::int64_t> parse_timestamp_ns(std::string_view text);

//! A non-negative whole number below 2^32; "12.0" is one, "12.5" and "-1" are not.
std::optional<std::uint32_t> parse_count(std::string_view text);

//! A non-negative finite number.
std::optional<double> parse_amount(std::string_view text);

//! A comma-separated file with a header line. Cells are trimmed; a cell may be quoted ("" inside
//! stands for one quote) but not hold a line end. Empty lines are skipped.
class CsvReader {
 public:
  //! Reads the header. Throws InputError for a file without one.
  explicit CsvReader(const std::string& path);

  const LineReader& lines() const { return lines_; }
  std::span<const std::string> header() const { return header_; }
  //! Position of the column of that name (case ignored), or -1.
  int find(std::string_view column) const;
  //! As find(), but a missing column is an InputError that lists the header's columns.
  int need(std::string_view column) const;
  //! Reads the next row; false at the end. A row whose number of cells is not the header's is an
  //! InputError.
  bool next();
  //! A cell of the present row; valid until next().
  std::string_view cell(int column) const { return cells_[static_cast<std::size_t>(column)]; }
  //! Throws InputError: the cell of `column` is not `expected`.
  [[noreturn]] void fail_cell(int column, std::string_view expected) const;
  //! The cell as a token count, or InputError.
  std::uint32_t count(int column) const;

 private:
  void split(std::string_view line);
  void split_quoted(std::string_view line);

  LineReader lines_;
  std::vector<std::string> header_;
  std::vector<std::string_view> cells_;
  std::vector<std::string> unquoted_;  // text of cells that held quotes
};

}  // namespace isthmus::world
