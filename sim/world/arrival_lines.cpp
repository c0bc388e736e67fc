#include "sim/world/arrival_lines.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "sim/core/errors.hpp"

namespace isthmus::world {

namespace {

// std::strerror may share a buffer between threads.
std::string reason(int error) { return std::generic_category().message(error); }

constexpr std::size_t first_buffer = std::size_t{1} << 18;

}  // namespace

LineReader::LineReader(const std::string& path) : path_(path), buffer_(first_buffer) {
  // O_NONBLOCK: opening a pipe without a writer must not wait.
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) fail_file(reason(errno));
  try {
    struct stat status {};
    if (::fstat(file_, &status) != 0) fail_file(reason(errno));
    if (S_ISDIR(status.st_mode)) fail_file("is a directory, not a trace file");
    if (!S_ISREG(status.st_mode)) fail_file("is a pipe or a device; traces must be regular files");
    fill();
    skip_byte_order_mark();
  } catch (...) {
    ::close(file_);
    throw;
  }
}

LineReader::~LineReader() { ::close(file_); }

void LineReader::fail(std::string_view message) const {
  throw InputError(fmt::format("{}:{}: {}", path_, line_number_, message));
}

void LineReader::fail_file(std::string_view message) const {
  throw InputError(fmt::format("{}: {}", path_, message));
}

void LineReader::skip_byte_order_mark() {
  const std::string_view head(buffer_.data() + begin_, end_ - begin_);
  if (head.starts_with("\xef\xbb\xbf")) begin_ += 3;
  if (head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff"))
    fail_file("is UTF-16 text; save it as UTF-8");
  if (head.starts_with("\x1f\x8b")) fail_file("is compressed; unpack it with gunzip first");
}

// Reads more bytes behind the unread ones; false at the end of the file.
bool LineReader::fill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) buffer_.resize(std::min(2 * buffer_.size(), max_line + 2));
  ssize_t got = 0;
  do {
    got = ::read(file_, buffer_.data() + end_, buffer_.size() - end_);
  } while (got < 0 && errno == EINTR);
  if (got < 0) fail_file(reason(errno));
  at_end_ = got == 0;
  end_ += static_cast<std::size_t>(got);
  return got > 0;
}

bool LineReader::next(std::string_view& line) {
  std::size_t searched = 0;
  for (;;) {
    const char* const start = buffer_.data() + begin_;
    const std::size_t unread = end_ - begin_;
    const void* const found = std::memchr(start + searched, '\n', unread - searched);
    if (found != nullptr) {
      const auto length = static_cast<std::size_t>(static_cast<const char*>(found) - start);
      line = {start, length};
      begin_ += length + 1;
      break;
    }
    searched = unread;
    if (unread > max_line) {
      ++line_number_;
      fail("line is longer than 16 MiB; this is not a trace");
    }
    if (fill()) continue;
    if (unread == 0) return false;
    // The text may have moved to the front of the buffer.
    line = {buffer_.data() + begin_, unread};
    begin_ = end_;
    break;
  }
  ++line_number_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

}  // namespace isthmus::world
