#include "results/run_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sim/core/errors.hpp"

namespace isthmus::results {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const char* what, const fs::path& path, int reason) {
  throw Error(fmt::format("cannot {} '{}': {}", what, path.string(), std::strerror(reason)));
}

// Takes the lock of a directory; -1 when somebody holds it or it is gone.
int lock_directory(const fs::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

RunDirectory::RunDirectory(fs::path final) : final_(fs::absolute(final).lexically_normal()) {
  if (!final_.has_filename()) final_ = final_.parent_path();  // "runs/a/" names "runs/a"
  prefix_ = "." + final_.filename().string() + ".partial-";
  std::error_code ec;
  if (fs::symlink_status(final_, ec).type() != fs::file_type::not_found)
    throw Error(fmt::format("run directory '{}' {}", final_.string(),
                            ec ? "cannot be used: " + ec.message() : "exists already"));
  fs::create_directories(final_.parent_path(), ec);
  if (ec) fail("create directory", final_.parent_path(), ec.value());
  remove_leftovers();
  for (unsigned attempt = 0; !try_create(attempt); ++attempt)
    if (attempt > 1000) fail("create a temporary directory for", final_, EEXIST);
}

bool RunDirectory::try_create(unsigned attempt) {
  partial_ = final_.parent_path() / fmt::format("{}{}-{}", prefix_, ::getpid(), attempt);
  if (::mkdir(partial_.c_str(), 0777) != 0) {
    if (errno == EEXIST) return false;
    fail("create directory", partial_, errno);
  }
  // Between mkdir and lock another run may take ours for a leftover; then try the next name.
  lock_ = lock_directory(partial_);
  struct stat by_name {
  }, by_lock{};
  if (lock_ >= 0 && ::stat(partial_.c_str(), &by_name) == 0 && ::fstat(lock_, &by_lock) == 0 &&
      by_name.st_ino == by_lock.st_ino)
    return true;
  if (lock_ >= 0) ::close(lock_);
  lock_ = -1;
  std::error_code ec;
  return fs::is_directory(partial_, ec);  // a file system without locks
}

void RunDirectory::remove_leftovers() const {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(final_.parent_path(), ec)) {
    if (!entry.path().filename().string().starts_with(prefix_)) continue;
    const int lock = lock_directory(entry.path());
    if (lock < 0) continue;
    std::error_code ignored;  // somebody else's right to it may be missing; it harms nobody
    fs::remove_all(entry.path(), ignored);
    ::close(lock);
  }
}

RunDirectory::~RunDirectory() {
  std::error_code ec;
  if (!partial_.empty()) fs::remove_all(partial_, ec);
  if (lock_ >= 0) ::close(lock_);
}

void RunDirectory::write(std::string_view name, std::string_view text) const {
  const fs::path path = file(name);
  std::FILE* f = std::fopen(path.c_str(), "wb");
  if (f == nullptr) fail("create", path, errno);
  const bool written = std::fwrite(text.data(), 1, text.size(), f) == text.size();
  const int reason = errno;
  if (std::fclose(f) != 0) fail("write", path, errno);
  if (!written) fail("write", path, reason);
}

void RunDirectory::publish() {
  // RENAME_NOREPLACE: two runs that end at once must not replace each other's results.
  if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, final_.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST)
      throw Error(fmt::format("run directory '{}' exists already", final_.string()));
    if (errno != EINVAL && errno != ENOSYS) fail("rename the results to", final_, errno);
    // File systems without that flag: check, then rename.
    std::error_code ec;
    if (fs::exists(final_, ec))
      throw Error(fmt::format("run directory '{}' exists already", final_.string()));
    fs::rename(partial_, final_, ec);
    if (ec) fail("rename the results to", final_, ec.value());
  }
  partial_.clear();
}

}  // namespace isthmus::results
