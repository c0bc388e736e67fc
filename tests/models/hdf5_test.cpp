// The HDF5 wrapper: what is written comes back, and damage is refused with the path.
#include "models/hdf5.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

namespace isthmus::h5 {
namespace {

class Hdf5 : public ::testing::Test {
 protected:
  // One file per test and process; removed afterwards.
  std::string path_ = (std::filesystem::temp_directory_path() /
                       ("isthmus_hdf5_" + std::to_string(::getpid()) + "_" +
                        ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".h5"))
                          .string();
  void TearDown() override { std::filesystem::remove(path_); }

  static std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void overwrite(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
};

TEST_F(Hdf5, RoundTripsDatasetsOfEveryType) {
  const std::vector<double> d{1.5, -2, std::numeric_limits<double>::infinity()};
  const std::vector<std::int64_t> i{-5, std::numeric_limits<std::int64_t>::max()};
  const std::vector<std::uint64_t> u{std::numeric_limits<std::uint64_t>::max()};
  const std::vector<std::uint32_t> w{7, 8};
  const std::vector<std::uint8_t> b{0, 255};
  const std::vector<std::string> s{"", "Zürich", "a b"};
  {
    File f = File::create(path_);
    Group g = f.create_group("requests");
    g.write("d", d).set_attribute("units", "s");
    g.write("i", i);
    g.write("u", u);
    g.write("w", w);
    g.write("b", b);
    g.write("s", s);
    g.write("empty", std::vector<double>{});
  }
  const File f = File::open(path_);
  const Group g = f.open_group("requests");
  EXPECT_EQ(g.read<double>("d"), d);
  EXPECT_EQ(g.read<std::int64_t>("i"), i);
  EXPECT_EQ(g.read<std::uint64_t>("u"), u);
  EXPECT_EQ(g.read<std::uint32_t>("w"), w);
  EXPECT_EQ(g.read<std::uint8_t>("b"), b);
  EXPECT_EQ(g.read<std::string>("s"), s);
  EXPECT_TRUE(g.read<double>("empty").empty());
  EXPECT_EQ(g.dataset("d").string_attribute("units"), "s");
  EXPECT_EQ(f.group_names(), std::vector<std::string>{"requests"});
  EXPECT_EQ(g.dataset_names(), (std::vector<std::string>{"b", "d", "empty", "i", "s", "u", "w"}));
}

TEST_F(Hdf5, RoundTripsAttributes) {
  {
    File f = File::create(path_);
    f.set_attribute("filetype", "old");
    f.set_attribute("filetype", "isthmus run");
    f.set_attribute("x", 0.25);
    f.set_attribute("n", std::int64_t{-3});
    f.set_attribute("seed", std::numeric_limits<std::uint64_t>::max());
    f.set_attribute("codes", std::vector<std::string>{"completed", "rejected"});
    f.close();
  }
  const File f = File::open(path_);
  EXPECT_EQ(f.string_attribute("filetype"), "isthmus run");
  EXPECT_EQ(f.double_attribute("x"), 0.25);
  EXPECT_EQ(f.int64_attribute("n"), -3);
  EXPECT_EQ(f.uint64_attribute("seed"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(f.strings_attribute("codes"), (std::vector<std::string>{"completed", "rejected"}));
  EXPECT_TRUE(f.has_attribute("x"));
  EXPECT_FALSE(f.has_attribute("y"));
  EXPECT_THROW(f.int64_attribute("y"), InputError);
  EXPECT_THROW(f.double_attribute("filetype"), InputError);
}

TEST_F(Hdf5, ColumnsStreamInChunks) {
  {
    File f = File::create(path_);
    auto c = f.create_column<std::uint64_t>("c", {.chunk = 100, .deflate = 1});
    auto s = f.create_column<std::string>("s", {.chunk = 10, .deflate = 0});
    for (std::uint64_t i = 0; i < 1234; ++i) c.append(i * i);
    for (int i = 0; i < 25; ++i) s.append(std::to_string(i));
    EXPECT_EQ(c.size(), 1234U);
    EXPECT_THROW(f.close(), Error) << "open columns may still hold rows";
    c.close();
    s.close();
    f.close();
  }
  const File f = File::open(path_);
  const auto c = f.read<std::uint64_t>("c");
  ASSERT_EQ(c.size(), 1234U);
  for (std::uint64_t i = 0; i < 1234; ++i) ASSERT_EQ(c[i], i * i);
  const auto s = f.read<std::string>("s");
  ASSERT_EQ(s.size(), 25U);
  EXPECT_EQ(s[24], "24");
}

TEST_F(Hdf5, ColumnsSaveTheirRowsWhenDestroyedOrMoved) {
  {
    File f = File::create(path_);
    Column<double> c = f.create_column<double>("a");
    c.append(1);
    c = f.create_column<double>("b");
    c.append(2);
  }
  const File f = File::open(path_);
  EXPECT_EQ(f.read<double>("a"), std::vector<double>{1});
  EXPECT_EQ(f.read<double>("b"), std::vector<double>{2});
}

TEST_F(Hdf5, AppendingToAClosedColumnIsAnError) {
  File f = File::create(path_);
  auto c = f.create_column<double>("c", {.chunk = 1});
  c.close();
  EXPECT_THROW(c.append(1), Error);
}

TEST_F(Hdf5, EqualContentsAreEqualBytes) {
  std::string first;
  for (int round = 0; round < 2; ++round) {
    {
      File f = File::create(path_);
      f.set_attribute("version", std::int64_t{1});
      auto c = f.create_group("g").create_column<double>("c");
      for (int i = 0; i < 50000; ++i) c.append(i * 0.5);
      c.close();
    }
    if (round == 0)
      first = bytes_of(path_);
    else
      EXPECT_EQ(first, bytes_of(path_));
    if (round == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  }
}

TEST_F(Hdf5, RefusesMissingForeignTruncatedAndDamagedFiles) {
  EXPECT_THROW(File::open(path_), InputError);
  overwrite(path_, "PK this is no HDF5 file");
  EXPECT_THROW(File::open(path_), InputError);

  std::vector<double> values(20000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1.0 / static_cast<double>(i + 1);
  File::create(path_).write("v", values);
  const std::string whole = bytes_of(path_);
  overwrite(path_, whole.substr(0, whole.size() / 2));
  try {
    File::open(path_);
    FAIL() << "a truncated file was opened";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find(path_), std::string::npos) << e.what();
  }

  // One flipped bit in the data is found by the checksum.
  std::string flipped = whole;
  flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 1);
  overwrite(path_, flipped);
  EXPECT_THROW(File::open(path_).read<double>("v"), InputError);
}

// HDF5 itself crashes on some damaged string heaps; the seal of a closed file is checked first.
TEST_F(Hdf5, SealFindsEveryChangedByte) {
  {
    File f = File::create(path_);
    f.set_attribute("text", "in the string heap");
    f.write("v", std::vector<double>{1, 2, 3});
    f.close();
  }
  const std::string whole = bytes_of(path_);
  EXPECT_EQ(File::open(path_).string_attribute("text"), "in the string heap");
  for (std::size_t at = 0; at + 16 < whole.size(); at += 41) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    overwrite(path_, flipped);
    EXPECT_THROW(File::open(path_), InputError) << at;
  }
  // Without the seal it is an ordinary HDF5 file, as other programs write it.
  overwrite(path_, whole.substr(0, whole.size() - 16));
  EXPECT_EQ(File::open(path_).read<double>("v").size(), 3U);
}

TEST_F(Hdf5, RefusesWrongTypesNamesAndDuplicates) {
  {
    File f = File::create(path_);
    f.write("n", std::vector<std::uint64_t>{1});
    EXPECT_THROW(f.write("n", std::vector<double>{1}), Error);
    EXPECT_THROW(f.create_group("a/b"), Error);
    f.create_group("g");
  }
  const File f = File::open(path_);
  EXPECT_THROW(f.read<double>("n"), InputError);
  EXPECT_THROW(f.read<std::uint32_t>("n"), InputError) << "would lose bits";
  EXPECT_THROW(f.read<std::int64_t>("n"), InputError) << "would lose the top bit";
  EXPECT_THROW(f.read<double>("absent"), InputError);
  EXPECT_THROW(f.open_group("absent"), InputError);
  EXPECT_THROW(f.open_group("n"), InputError);
  EXPECT_THROW(f.dataset("g"), InputError);
  EXPECT_THROW(File::create("/nonexistent/folder/x.h5"), Error);
}

TEST_F(Hdf5, ThreadsMayWriteTheirOwnFiles) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([this, t] {
      File f = File::create(path_ + std::to_string(t));
      auto c = f.create_column<std::int64_t>("c", {.chunk = 64});
      for (int i = 0; i < 10000; ++i) c.append(i * t);
    });
  for (auto& t : threads) t.join();
  for (int t = 0; t < 4; ++t) {
    EXPECT_EQ(File::open(path_ + std::to_string(t)).read<std::int64_t>("c").at(9999), 9999 * t);
    std::filesystem::remove(path_ + std::to_string(t));
  }
}

}  // namespace
}  // namespace isthmus::h5
