// Where the public data sets of docs/ lie: $ISTHMUS_DATA, or ../shared beside the source tree.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace isthmus::models::testing {

inline std::filesystem::path data_root() {
  const char* root = std::getenv("ISTHMUS_DATA");
  return std::filesystem::path(root ? root : ISTHMUS_SOURCE_DIR "/../shared") / "data";
}

//! One row of a CSV file by column name; quoted fields may hold commas.
using CsvRow = std::map<std::string, std::string>;

inline std::vector<std::string> split_csv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      fields.emplace_back();
    else if (c != '\r')
      fields.back() += c;
  }
  return fields;
}

inline std::vector<CsvRow> read_csv(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  const auto header = split_csv(line);
  std::vector<CsvRow> rows;
  while (std::getline(in, line)) {
    const auto fields = split_csv(line);
    CsvRow row;
    for (std::size_t i = 0; i < header.size() && i < fields.size(); ++i) row[header[i]] = fields[i];
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace isthmus::models::testing

//! Skips the test when the shared data folder is absent as a whole; a missing file in it is a
//! failure.
#define ISTHMUS_NEEDS_DATA()                                                   \
  if (!std::filesystem::is_directory(::isthmus::models::testing::data_root())) \
  GTEST_SKIP() << "no data folder at " << ::isthmus::models::testing::data_root()
