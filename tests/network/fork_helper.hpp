// Runs a function in a child process and brings its bytes back. SimGrid can start once per process,
// so every SimGrid case of a test program gets a process of its own.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace isthmus::network::test {

//! Calls `make` in a forked child and returns the vector that it made. Throws std::runtime_error
//! with the child's message when it threw, or with its status when it died. Call before starting
//! threads.
template <class T>
std::vector<T> in_child(const std::function<std::vector<T>()>& make) {
  static_assert(std::is_trivially_copyable_v<T>);
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe failed");
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  const auto write_all = [&](const void* data, std::size_t size) {
    const char* p = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t n = write(ends[1], p, size);
      if (n <= 0) _exit(3);
      p += n;
      size -= static_cast<std::size_t>(n);
    }
  };

  // The child: one status byte, then values or a message.
  if (child == 0) {
    close(ends[0]);
    try {
      const std::vector<T> made = make();
      const char good = 'v';
      write_all(&good, 1);
      write_all(made.data(), made.size() * sizeof(T));
    } catch (const std::exception& e) {
      const char bad = 'e';
      write_all(&bad, 1);
      write_all(e.what(), std::strlen(e.what()));
    }
    _exit(0);  // no destructors, no second report of test results
  }

  // The parent: everything until the pipe closes.
  close(ends[1]);
  std::string bytes;
  char buffer[65536];
  for (ssize_t n = read(ends[0], buffer, sizeof buffer); n > 0;
       n = read(ends[0], buffer, sizeof buffer))
    bytes.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0 || bytes.empty())
    throw std::runtime_error("child died with status " + std::to_string(status));
  if (bytes[0] == 'e') throw std::runtime_error(bytes.substr(1));
  std::vector<T> values((bytes.size() - 1) / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data() + 1, values.size() * sizeof(T));
  return values;
}

}  // namespace isthmus::network::test
