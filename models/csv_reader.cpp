#include "models/csv_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "sim/core/did_you_mean.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

CsvReader::CsvReader(const std::string& path) : path_(path) {
  if (!std::filesystem::is_regular_file(path))
    throw InputError(path + ": is no file that can be read");
  file_.open(path, std::ios::binary);
  if (!file_) throw InputError(path + ": cannot be read");
  char magic[4] = {};
  file_.read(magic, 4);
  if (std::string_view(magic, 4) == "PAR1")
    throw InputError(path + ": is a Parquet file; python -m isthmus.profiles import reads those");
  file_.clear();
  file_.seekg(0);
  if (!read_line(columns_)) throw InputError(path + ": is empty");
  if (columns_[0].starts_with("\xEF\xBB\xBF")) columns_[0].erase(0, 3);
  for (const std::string& c : columns_) {
    if (c.find('\0') != std::string::npos) throw InputError(path + ": is no text file");
    if (!c.empty() && std::count(columns_.begin(), columns_.end(), c) > 1)
      throw InputError(fmt::format("{}:1: two columns are called '{}'", path, c));
  }
}

bool CsvReader::read_line(std::vector<std::string>& cells) {
  std::string line;
  do {
    if (!std::getline(file_, line)) return false;
    ++line_;
    if (!line.empty() && line.back() == '\r') line.pop_back();
  } while (line.empty());
  cells.assign(1, "");
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      // A doubled quote inside quotes is one quote.
      if (quoted && i + 1 < line.size() && line[i + 1] == '"')
        cells.back() += line[++i];
      else
        quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  if (quoted) throw InputError(fmt::format("{}:{}: a quote is not closed", path_, line_));
  return true;
}

bool CsvReader::next() {
  if (!read_line(cells_)) return false;
  if (cells_.size() != columns_.size())
    throw InputError(fmt::format("{}: has {} cells where the header has {}{}", where(),
                                 cells_.size(), columns_.size(),
                                 file_.eof() ? "; the file ends there: is it cut off?" : ""));
  return true;
}

bool CsvReader::has(std::string_view column) const {
  return std::find(columns_.begin(), columns_.end(), column) != columns_.end();
}

void CsvReader::require(const std::vector<std::string>& columns) const {
  std::string missing;
  for (const std::string& c : columns) {
    if (has(c)) continue;
    missing += (missing.empty() ? "'" : ", '") + c + "'";
    if (const std::string near = did_you_mean(c, columns_); !near.empty())
      missing += " (is it '" + near + "'?)";
  }
  if (!missing.empty())
    throw InputError(
        fmt::format("{}: has no column {}; it has {}", path_, missing, fmt::join(columns_, ", ")));
}

std::size_t CsvReader::index(std::string_view column) const {
  const auto it = std::find(columns_.begin(), columns_.end(), column);
  if (it == columns_.end()) throw InputError(fmt::format("{}: has no column '{}'", path_, column));
  return static_cast<std::size_t>(it - columns_.begin());
}

const std::string& CsvReader::text(std::string_view column) const { return cells_[index(column)]; }

double CsvReader::number(std::string_view column) const {
  const std::string& cell = text(column);
  double v = 0;
  const auto [stop, error] = std::from_chars(cell.data(), cell.data() + cell.size(), v);
  if (error != std::errc() || stop != cell.data() + cell.size() || !std::isfinite(v))
    throw InputError(fmt::format("{}: {} must be a number, not '{}'", where(), column, cell));
  return v;
}

double CsvReader::number_or(std::string_view column, double other) const {
  return has(column) && !text(column).empty() ? number(column) : other;
}

double CsvReader::positive(std::string_view column) const {
  const double v = number(column);
  if (!(v > 0))
    throw InputError(fmt::format("{}: {} must be positive, not {}", where(), column, text(column)));
  return v;
}

std::string CsvReader::where() const { return fmt::format("{}:{}", path_, line_); }

}  // namespace isthmus::models
