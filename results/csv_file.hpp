// requests.csv: the rows of /requests as text.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "results/tables.hpp"

namespace isthmus::results {

//! One line per request, a heading line first; codes are written as their names, missing values as
//! empty fields (RFC 4180). Not thread-safe.
class CsvFile {
 public:
  CsvFile(std::filesystem::path path, const RunInfo& info);
  void add(const RequestRecord& row);
  //! Flushes and closes; Error when the disk refuses.
  void close();

 private:
  void flush();
  [[noreturn]] void fail(const char* what) const;

  struct Closer {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::filesystem::path path_;
  TableColumns<RequestRecord> columns_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::string text_;
};

}  // namespace isthmus::results
