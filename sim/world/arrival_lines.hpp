// Lines of a text file, one at a time, in constant memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isthmus::world {

//! Reads a regular file line by line through one buffer. A line ends at LF or CRLF; the last one
//! may lack both. A UTF-8 byte order mark at the start is skipped. Directories, pipes and devices
//! are refused without waiting on them.
class LineReader {
 public:
  //! A line longer than this is an error: such a file is no trace.
  static constexpr std::size_t max_line = std::size_t{16} << 20;

  //! Throws InputError "path: reason" when the file cannot be opened or is not a regular file.
  explicit LineReader(const std::string& path);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  //! False at the end of the file. `line` is valid until the next call and holds no line end.
  //! Throws InputError for a read error, a line that is too long, and UTF-16 text.
  bool next(std::string_view& line);
  //! Number of the last line read, from 1.
  std::uint64_t line_number() const { return line_number_; }
  const std::string& path() const { return path_; }
  //! Throws InputError "path:line: message" about the last line read.
  [[noreturn]] void fail(std::string_view message) const;
  //! Throws InputError "path: message" about the whole file.
  [[noreturn]] void fail_file(std::string_view message) const;

 private:
  bool fill();
  void skip_byte_order_mark();

  std::string path_;
  int file_ = -1;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // unread bytes
  bool at_end_ = false;
  std::uint64_t line_number_ = 0;
};

}  // namespace isthmus::world
