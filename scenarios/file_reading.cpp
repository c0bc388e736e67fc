#include "scenarios/file_reading.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>

#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

// Closes its descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// Opens for reading. O_NONBLOCK: a pipe without a writer must not hold us before fstat refuses it.
int open_regular(const std::filesystem::path& path, struct stat& info) {
  if (path.string().find('\0') != std::string::npos)
    throw InputError("a file name contains a zero byte");
  if (::stat(path.c_str(), &info) != 0)
    throw InputError(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  if (!S_ISREG(info.st_mode))
    throw InputError(
        fmt::format("{}: is {}, a file is needed", path.string(), kind_of(info.st_mode)));
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    throw InputError(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  return fd;
}

}  // namespace

std::string read_regular_file(const std::filesystem::path& path, std::size_t limit) {
  struct stat info {};
  const Descriptor file(open_regular(path, info));
  // The file may have been exchanged since stat; what counts is what is open now.
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode))
    throw InputError(fmt::format("{}: is no regular file", path.string()));
  if (static_cast<std::size_t>(info.st_size) > limit)
    throw InputError(fmt::format("{}: is {:.1f} MB large; at most {:.0f} MB are accepted",
                                 path.string(), static_cast<double>(info.st_size) / 1e6,
                                 static_cast<double>(limit) / 1e6));
  std::string content;
  content.resize(static_cast<std::size_t>(info.st_size));
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(file.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw InputError(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  content.resize(done);
  return content;
}

void require_regular_file(const std::filesystem::path& path) {
  struct stat info {};
  const Descriptor file(open_regular(path, info));
}

void write_file_atomically(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::path temporary = path;
  temporary += fmt::format(".{}.tmp", ::getpid());
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out << content;
    out.close();
    if (!out) throw Error(fmt::format("{}: cannot be written", temporary.string()));
  }
  std::error_code failed;
  std::filesystem::rename(temporary, path, failed);
  if (failed) {
    std::filesystem::remove(temporary, failed);
    throw Error(fmt::format("{}: cannot be written", path.string()));
  }
}

std::filesystem::path expand_path(const std::string& written, const std::filesystem::path& folder) {
  constexpr std::string_view forms[] = {"${ISTHMUS_DATA}", "$ISTHMUS_DATA"};
  for (const std::string_view form : forms) {
    if (!written.starts_with(form)) continue;
    std::string rest = written.substr(form.size());
    while (rest.starts_with('/')) rest.erase(0, 1);
    const char* set = std::getenv("ISTHMUS_DATA");
    if (set != nullptr && *set != '\0') return std::filesystem::path(set) / rest;
    const std::filesystem::path beside =
        std::filesystem::path(ISTHMUS_SOURCE_DIR).parent_path() / "shared";
    if (!std::filesystem::is_directory(beside))
      throw InputError(
          fmt::format("the variable ISTHMUS_DATA is not set and the default folder {} does not "
                      "exist; set it to "
                      "the folder that holds the data sets",
                      beside.string()));
    return beside / rest;
  }
  constexpr std::string_view shipped = "$ISTHMUS_PROFILES/";
  if (written.starts_with(shipped))
    return std::filesystem::path(ISTHMUS_SOURCE_DIR) / "models" / "profiles" /
           written.substr(shipped.size());
  const std::filesystem::path path(written);
  return path.is_absolute() ? path : folder / path;
}

}  // namespace isthmus::scenarios
