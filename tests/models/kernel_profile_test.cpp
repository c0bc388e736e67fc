// Kernel profiles: interpolation worked by hand, the file format, and refusal of bad files.
#include "models/kernel_profile.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "models/hdf5.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::models {
namespace {

constexpr Precision fp32 = Precision::fp32;

// A table whose time is f(a, b) on the full grid of the two axes.
template <class F>
KernelTable table(const std::vector<double>& as, const std::vector<double>& bs, F f) {
  KernelTable t;
  t.kind = "test";
  t.parameters = {"a", "b"};
  t.description = "synthetic";
  for (const double a : as)
    for (const double b : bs) {
      const double ns = f(a, b);
      t.shapes.insert(t.shapes.end(), {a, b});
      t.median_ns.push_back(ns);
      t.p10_ns.push_back(ns);
      t.p90_ns.push_back(ns);
      t.n.push_back(3);
    }
  return t;
}

KernelProfile profile_of(KernelTable t) {
  KernelProfile p({"device", "by hand", "CC0-1.0", "0.1.0"});
  p.add(std::move(t));
  return p;
}

double product(double a, double b) { return 10 + 2 * a * b; }

TEST(KernelProfile, HitsExactlyAndInterpolatesLinearly) {
  const auto p = profile_of(table({1, 4, 16}, {2, 8, 32}, product));
  const auto hit = p.lookup("test", fp32, std::vector<double>{4, 8});
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit->kind, PredictionKind::measured);
  EXPECT_EQ(hit->ns, product(4, 8));
  // Bilinear interpolation is exact for a product, between any rows.
  const auto between = p.lookup("test", fp32, std::vector<double>{7, 20});
  ASSERT_TRUE(between);
  EXPECT_EQ(between->kind, PredictionKind::interpolated);
  EXPECT_DOUBLE_EQ(between->ns, product(7, 20));
}

TEST(KernelProfile, GivesNothingOutsideTheGrid) {
  const auto p = profile_of(table({1, 4}, {2, 8}, product));
  EXPECT_FALSE(p.lookup("test", fp32, std::vector<double>{0.5, 4}));
  EXPECT_FALSE(p.lookup("test", fp32, std::vector<double>{2, 9}));
  EXPECT_FALSE(p.lookup("test", Precision::int8, std::vector<double>{1, 2}));
  EXPECT_FALSE(p.lookup("other", fp32, std::vector<double>{1, 2}));
  EXPECT_THROW((void)p.lookup("test", fp32, std::vector<double>{1}), InternalError);
  const auto nearest = p.nearest("test", fp32, std::vector<double>{100, 7});
  ASSERT_TRUE(nearest);
  EXPECT_EQ(nearest->shape, (std::vector<double>{4, 8}));
  EXPECT_EQ(nearest->ns, product(4, 8));
}

TEST(KernelProfile, BridgesHolesOfARaggedGrid) {
  // The row (4, 8) is missing, and a = 16 has its own values of b.
  KernelTable t = table({1, 4, 16}, {2, 8, 32}, product);
  const auto drop = [&t](std::size_t row) {
    t.shapes.erase(t.shapes.begin() + static_cast<std::ptrdiff_t>(2 * row),
                   t.shapes.begin() + static_cast<std::ptrdiff_t>(2 * row + 2));
    for (auto* c : {&t.median_ns, &t.p10_ns, &t.p90_ns})
      c->erase(c->begin() + static_cast<std::ptrdiff_t>(row));
    t.n.pop_back();
  };
  drop(4);
  drop(4);  // now a = 4 has only b = 2
  const auto p = profile_of(t);
  const auto v = p.lookup("test", fp32, std::vector<double>{4, 20});
  ASSERT_TRUE(v) << "bridged by a = 1 and a = 16";
  EXPECT_DOUBLE_EQ(v->ns, product(4, 20));
}

TEST(KernelProfile, ReportsItsLeaveOneOutError) {
  const auto linear = profile_of(table({1}, {1, 2, 3, 4}, product));
  EXPECT_NEAR(linear.leave_one_out_error("test", fp32).value(), 0, 1e-12);
  // At 10, 8, 14 only the middle row is enclosed: predicted 12 instead of 8.
  const auto dip = profile_of(table({1}, {1, 2, 3}, [](double, double b) {
    return b == 1 ? 10 : b == 2 ? 8 : 14;
  }));
  EXPECT_NEAR(dip.leave_one_out_error("test", fp32).value(), 0.5, 1e-12);
  EXPECT_NEAR(dip.lookup("test", fp32, std::vector<double>{1, 2.5})->relative_error, 0.5, 1e-6);
  EXPECT_NEAR(dip.lookup("test", fp32, std::vector<double>{1, 2})->relative_error, 0, 1e-12);
  EXPECT_FALSE(profile_of(table({1}, {1, 2}, product)).leave_one_out_error("test", fp32));
}

TEST(KernelProfile, RefusesImpossibleTables) {
  KernelProfile p({});
  KernelTable t = table({1, 2}, {1, 2}, product);
  t.p10_ns[0] = t.median_ns[0] + 1;
  EXPECT_THROW(p.add(t), InputError);
  t = table({1, 1}, {1, 2}, product);
  EXPECT_THROW(p.add(t), InputError) << "the same shape twice";
  t = table({1, 2}, {1, 2}, product);
  t.median_ns.pop_back();
  EXPECT_THROW(p.add(t), InputError);
  t = table({1, 2}, {1, 2}, product);
  t.parameters = {"a", "median_ns"};
  EXPECT_THROW(p.add(t), InputError);
  t = table({1, 2}, {1, 2}, product);
  p.add(t);
  EXPECT_THROW(p.add(t), InputError) << "the same kind twice";
}

class ProfileFile : public ::testing::Test {
 protected:
  std::string path_ = (std::filesystem::temp_directory_path() /
                       ("isthmus_profile_" + std::to_string(::getpid()) + "_" +
                        ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".h5"))
                          .string();
  void TearDown() override { std::filesystem::remove(path_); }
  // Why loading fails.
  std::string refusal() const {
    try {
      KernelProfile::load(path_);
    } catch (const InputError& e) {
      return e.what();
    }
    return "it was loaded";
  }
};

TEST_F(ProfileFile, RoundTrips) {
  auto p = profile_of(table({1, 4}, {2, 8}, product));
  KernelTable other = table({1, 4}, {2, 8}, product);
  other.precision = Precision::int8;
  p.add(other);
  p.save(path_);
  const auto q = KernelProfile::load(path_);
  EXPECT_EQ(q.info().device, "device");
  EXPECT_EQ(q.info().licence, "CC0-1.0");
  ASSERT_EQ(q.tables().size(), 2U);
  const KernelTable* t = q.table("test", fp32);
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->parameters, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(t->shapes, p.table("test", fp32)->shapes);
  EXPECT_EQ(t->median_ns, p.table("test", fp32)->median_ns);
  EXPECT_EQ(t->n, p.table("test", fp32)->n);
}

TEST_F(ProfileFile, RefusesForeignNewerTruncatedAndDamagedFiles) {
  EXPECT_NE(refusal().find("no such file"), std::string::npos) << refusal();

  h5::File::create(path_).set_attribute("filetype", "isthmus run");
  EXPECT_NE(refusal().find("is not a kernel profile"), std::string::npos) << refusal();

  {
    h5::File f = h5::File::create(path_);
    f.set_attribute("filetype", "isthmus kernel profile");
    f.set_attribute("version", KernelProfile::format_version + 1);
  }
  EXPECT_NE(refusal().find("use a newer isthmus"), std::string::npos) << refusal();

  profile_of(table({1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, product)).save(path_);
  std::ifstream in(path_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  std::ofstream(path_, std::ios::binary) << whole.substr(0, whole.size() - 100);
  EXPECT_NE(refusal().find("truncated or damaged"), std::string::npos) << refusal();

  // No flipped byte passes, wherever it is.
  for (std::size_t at = 0; at < whole.size(); at += 97) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    std::ofstream(path_, std::ios::binary) << flipped;
    if (at < whole.size() - 16) {
      EXPECT_NE(refusal().find(path_), std::string::npos) << at << ": " << refusal();
    }
  }
}

bool same(const KernelProfile& p, const KernelProfile& q) {
  if (p.tables().size() != q.tables().size() || p.info().device != q.info().device ||
      p.info().provenance != q.info().provenance || p.info().licence != q.info().licence)
    return false;
  for (std::size_t i = 0; i < p.tables().size(); ++i) {
    const KernelTable& a = *p.tables()[i];
    const KernelTable* found = q.table(a.kind, a.precision);
    if (!found) return false;
    const KernelTable& b = *found;
    if (a.parameters != b.parameters || a.description != b.description || a.shapes != b.shapes ||
        a.median_ns != b.median_ns || a.p10_ns != b.p10_ns || a.p90_ns != b.p90_ns || a.n != b.n ||
        a.flags != b.flags || a.power_w != b.power_w)
      return false;
  }
  return true;
}

// A profile with everything that a file can hold.
KernelProfile full_profile() {
  KernelTable t = table({1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, product);
  for (std::size_t row = 0; row < t.rows(); ++row) {
    t.p10_ns[row] *= 0.9;
    t.p90_ns[row] *= 1.3;
    t.flags.push_back(row % 4);
    t.power_w.push_back(row % 3 == 0 ? 0.0 : 100.0 + static_cast<double>(row));
  }
  auto p = profile_of(t);
  KernelTable plain = table({1, 4}, {2, 8}, product);
  plain.kind = "other";
  plain.precision = Precision::fp8;
  p.add(plain);
  return p;
}

TEST_F(ProfileFile, KeepsFlagsAndPower) {
  const KernelProfile p = full_profile();
  p.save(path_);
  const KernelProfile q = KernelProfile::load(path_);
  EXPECT_TRUE(same(p, q));
  EXPECT_EQ(q.table("test", fp32)->flags[3], 3U);
  EXPECT_EQ(q.table("test", fp32)->power_w[4], 104.0);
  EXPECT_TRUE(q.table("other", Precision::fp8)->flags.empty());
  EXPECT_TRUE(q.table("other", Precision::fp8)->power_w.empty());
}

// Whatever happens to a file: the same content or an InputError with its name, never a crash.
TEST_F(ProfileFile, SurvivesRandomDamage) {
  const KernelProfile p = full_profile();
  p.save(path_);
  std::ifstream in(path_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  const auto check = [&](const std::string& bytes, const std::string& what) {
    std::ofstream(path_, std::ios::binary) << bytes;
    try {
      EXPECT_TRUE(same(p, KernelProfile::load(path_))) << what << " changed the content unseen";
      return false;
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(path_), std::string::npos) << what << ": " << e.what();
      return true;
    }
  };
  Rng rng(2);
  std::size_t refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole;
    const auto flips = 1 + uniform_index(rng, 4);
    for (std::uint64_t f = 0; f < flips; ++f) {
      char& c = bytes[uniform_index(rng, bytes.size())];
      c = static_cast<char>(c ^ static_cast<char>(1U << uniform_index(rng, 8)));
    }
    refused += check(bytes, "flips " + std::to_string(i));
  }
  EXPECT_GT(refused, 290U);
  for (std::size_t part = 0; part < 50; ++part)
    EXPECT_TRUE(check(whole.substr(0, whole.size() * part / 50), std::to_string(part) + "/50"));
  // Bytes put in, left out, and twice the file.
  EXPECT_TRUE(check(whole.substr(0, 1000) + "x" + whole.substr(1000), "inserted byte"));
  EXPECT_TRUE(check(whole.substr(0, 1000) + whole.substr(1001), "missing byte"));
  EXPECT_TRUE(check(std::string(whole.size(), '\0'), "zeros"));
  check(whole + whole, "twice");
}

// A file as version 1 wrote it: no flags, no power; written through the HDF5 wrapper alone.
class HandMade : public ProfileFile {
 protected:
  struct Column {
    const char* name;
    std::vector<double> values;
    const char* units;
  };
  void write(std::int64_t version, const std::vector<Column>& columns,
             const std::vector<std::uint64_t>& repeats) {
    h5::File f = h5::File::create(path_);
    f.set_attribute("filetype", "isthmus kernel profile");
    f.set_attribute("version", version);
    for (const char* name : {"program_version", "device", "provenance", "licence"})
      f.set_attribute(name, name);
    {
      h5::Group kind = f.create_group("copy");
      h5::Group g = kind.create_group("fp32");
      const std::vector<std::string> parameters{"elements"};
      g.set_attribute("parameters", parameters);
      g.set_attribute("description", "by hand");
      for (const Column& c : columns)
        g.write<double>(c.name, c.values).set_attribute("units", c.units);
      g.write<std::uint64_t>("repeats", repeats);
    }
    f.close();
  }
  std::vector<Column> columns_{{"elements", {1, 2}, "1"},
                               {"median_ns", {10, 20}, "ns"},
                               {"p10_ns", {9, 19}, "ns"},
                               {"p90_ns", {11, 21}, "ns"}};
};

TEST_F(HandMade, ReadsVersion1) {
  write(1, columns_, {3, 3});
  const KernelProfile p = KernelProfile::load(path_);
  const KernelTable* t = p.table("copy", fp32);
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->median_ns, (std::vector<double>{10, 20}));
  EXPECT_TRUE(t->flags.empty());
  EXPECT_TRUE(t->power_w.empty());
}

TEST_F(HandMade, NamesWhatIsWrong) {
  const auto refused = [&](std::int64_t version, const std::vector<Column>& columns,
                           const std::vector<std::uint64_t>& repeats, const std::string& why) {
    write(version, columns, repeats);
    const std::string text = refusal();
    EXPECT_NE(text.find(why), std::string::npos) << text;
    EXPECT_NE(text.find(path_), std::string::npos) << text;
  };
  refused(0, columns_, {3, 3}, "which never existed");
  refused(3, columns_, {3, 3}, "use a newer isthmus");
  refused(2, columns_, {3, 0}, "has no repetitions");
  refused(2, columns_, {3}, "differ in length");
  auto bad = columns_;
  bad[1].units = "us";
  refused(2, bad, {3, 3}, "units must be \"ns\", not \"us\"");
  bad = columns_;
  bad[1].values[1] = std::nan("");
  refused(2, bad, {3, 3}, "needs 0 < p10_ns");
  bad = columns_;
  bad[0].values[1] = 1;
  refused(2, bad, {3, 3}, "occurs twice");
  bad = columns_;
  bad[0].values[1] = -5;
  refused(2, bad, {3, 3}, "shape parameter of -5");
  bad = columns_;
  bad[2].values = {0, 0};
  refused(2, bad, {3, 3}, "needs 0 < p10_ns");
  bad = columns_;
  bad.push_back({"power_w", {100}, "W"});
  refused(2, bad, {3, 3}, "differ in length");
  bad.back().values = {100, std::numeric_limits<double>::infinity()};
  refused(2, bad, {3, 3}, "has a power of inf W");
  bad.pop_back();
  bad.erase(bad.begin() + 3);
  refused(2, bad, {3, 3}, "p90_ns");
}

}  // namespace
}  // namespace isthmus::models
