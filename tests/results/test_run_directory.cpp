// Atomicity: a whole directory or none, and never over an existing one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "fixtures.hpp"
#include "results/run_directory.hpp"

namespace isthmus::results {
namespace {

using namespace test;
namespace fs = std::filesystem;

std::size_t entries(const fs::path& directory) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

TEST(RunDirectory, AppearsWhenPublished) {
  const Scratch scratch;
  {
    RunDirectory d(scratch / "deep/er/run");
    d.write("a.txt", "hello");
    EXPECT_FALSE(fs::exists(scratch / "deep/er/run"));
    d.publish();
  }
  EXPECT_EQ(read_file(scratch / "deep/er/run/a.txt"), "hello");
  EXPECT_EQ(entries(scratch / "deep/er"), 1U);
}

TEST(RunDirectory, LeavesNothingWhenAbandoned) {
  const Scratch scratch;
  { RunDirectory(scratch / "run").write("a.txt", "hello"); }
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

TEST(RunDirectory, NeverTouchesAnExistingOne) {
  const Scratch scratch;
  fs::create_directories(scratch / "run");
  EXPECT_THROW(RunDirectory(scratch / "run"), Error);
  EXPECT_THROW(RunDirectory(scratch.path().string() + "/run/"), Error);
  std::ofstream(scratch / "file") << "x";
  EXPECT_THROW(RunDirectory(scratch / "file"), Error);
  fs::create_symlink("nowhere", scratch / "dangling");
  EXPECT_THROW(RunDirectory(scratch / "dangling"), Error);
}

TEST(RunDirectory, TheSecondToPublishLoses) {
  const Scratch scratch;
  RunDirectory a(scratch / "run"), b(scratch / "run");
  a.write("who", "a");
  b.write("who", "b");
  a.publish();
  EXPECT_THROW(b.publish(), Error);
  EXPECT_EQ(read_file(scratch / "run" / "who"), "a");
}

TEST(RunDirectory, ClearsUpAfterAKilledRunButNotALivingOne) {
  const Scratch scratch;
  // A child that dies without destructors.
  const pid_t child = ::fork();
  if (child == 0) {
    RunDirectory d(scratch / "run");
    d.write("half", "half a result");
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(scratch / "run"));
  ASSERT_EQ(entries(scratch.path()), 1U);
  RunDirectory living(scratch / "run");
  EXPECT_EQ(entries(scratch.path()), 1U);  // the leftover is gone, ours is there
  RunDirectory other(scratch / "run");
  EXPECT_EQ(entries(scratch.path()), 2U);
  living.write("still", "here");
  living.publish();
  EXPECT_EQ(read_file(scratch / "run" / "still"), "here");
}

TEST(RunDirectory, SaysWhyItCannotWrite) {
  const Scratch scratch;
  std::ofstream(scratch / "file") << "x";
  for (const fs::path& impossible : {scratch / "file/run", fs::path("/proc/isthmus/run")}) {
    try {
      RunDirectory d(impossible);
      ADD_FAILURE() << impossible;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), testing::HasSubstr(impossible.parent_path().string()));
    }
  }
  if (::geteuid() != 0) {
    fs::create_directories(scratch / "locked");
    fs::permissions(scratch / "locked", fs::perms::owner_read | fs::perms::owner_exec);
    EXPECT_THROW(RunDirectory(scratch / "locked/run"), Error);
  }
}

// A full disk, imitated by a limit on the size of files: in a child, because the limit also stops
// whoever comes after.
TEST(RunDirectory, AFullDiskIsAnErrorAndLeavesNothing) {
  const Scratch scratch;
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(3);
    int code = 1;  // no error at all
    {
      RecorderOptions o;
      o.directory = scratch / "run";
      try {
        Recorder recorder(two_services(), o);
        for (std::uint64_t i = 0; i < 100000; ++i)
          recorder.add(answered(i, 3 + 1e-6 * static_cast<double>(i)));
        recorder.finish(totals(100000));
      } catch (const InternalError&) {
        code = 2;
      } catch (const Error& e) {
        code = std::string(e.what()).find("run.h5") == std::string::npos ? 4 : 0;
      }
    }
    ::_exit(code);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

}  // namespace
}  // namespace isthmus::results
