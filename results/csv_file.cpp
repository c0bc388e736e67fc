#include "results/csv_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <iterator>

namespace isthmus::results {

namespace {

constexpr std::size_t buffer_size = 1 << 16;

// Quotes a field that needs it.
std::string field(const std::string& s) {
  if (s.find_first_of(",\"\r\n") == std::string::npos) return s;
  std::string quoted = "\"";
  for (const char c : s) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

void CsvFile::fail(const char* what) const {
  throw Error(fmt::format("cannot {} '{}': {}", what, path_.string(), std::strerror(errno)));
}

CsvFile::CsvFile(std::filesystem::path path, const RunInfo& info)
    : path_(std::move(path)), columns_(request_columns(info)) {
  file_.reset(std::fopen(path_.c_str(), "wb"));
  if (!file_) fail("create");
  text_.reserve(buffer_size + 1024);
  for (auto& any : columns_)
    std::visit(
        [&](auto& c) {
          text_ += (text_.empty() ? "" : ",") + c.name + (c.units == "1" ? "" : "_" + c.units);
          for (std::string& name : c.values) name = field(name);
        },
        any);
  text_ += '\n';
}

void CsvFile::add(const RequestRecord& row) {
  const auto out = std::back_inserter(text_);
  bool first = true;
  for (const auto& any : columns_) {
    if (!first) text_ += ',';
    first = false;
    std::visit(
        [&]<class T>(const TypedColumn<RequestRecord, T>& c) {
          T value;
          c.copy(&row, 1, &value);
          if (c.missing && value == *c.missing) return;
          if constexpr (std::unsigned_integral<T>) {
            if (value < c.values.size()) {
              text_ += c.values[value];
              return;
            }
          }
          fmt::format_to(out, "{}", value);
        },
        any);
  }
  text_ += '\n';
  if (text_.size() >= buffer_size) flush();
}

void CsvFile::flush() {
  if (std::fwrite(text_.data(), 1, text_.size(), file_.get()) != text_.size()) fail("write");
  text_.clear();
}

void CsvFile::close() {
  flush();
  if (std::fclose(file_.release()) != 0) fail("write");
}

}  // namespace isthmus::results
