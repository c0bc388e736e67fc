// Held-out predictions on the public benchmark, descriptions of devices, and broken files.
#include "models/ncnn_benchmark.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "models/microarchitecture.hpp"
#include "sim/core/errors.hpp"
#include "tests/models/shared_data.hpp"

namespace isthmus::models {
namespace {

using ::testing::HasSubstr;

TEST(ParseCores, ReadsClustersFastestFirst) {
  const auto rk = parse_cores("Rockchip RK3588 (Quad Core A76 2.4GHz + Quad Core A55 1.8GHz)");
  ASSERT_EQ(rk.size(), 2u);
  EXPECT_EQ(rk[0].core->name, "Cortex-A76");
  EXPECT_DOUBLE_EQ(rk[0].clock, 2.4);
  EXPECT_EQ(rk[0].count, 4);
  EXPECT_EQ(rk[1].core->name, "Cortex-A55");

  // The little cores stand first here; a clock without a name belongs to the core before it.
  const auto sd =
      parse_cores("Qualcomm Snapdragon 765G (Kyro 1.8GHz x 6 + Kyro 2.2GHz x 2 + Adreno 620)");
  ASSERT_EQ(sd.size(), 2u);
  EXPECT_DOUBLE_EQ(sd[0].clock, 2.2);
  EXPECT_EQ(sd[0].count, 2);
  const auto d = parse_cores(
      "MediaTek Dimensity 9300 (Cortex-X4 3.25 GHz + 2.85 GHz x 3 + Cortex-A720 2.0 GHz x 4 + "
      "Mali-G720-Immortalis MC12)");
  ASSERT_EQ(d.size(), 3u);
  EXPECT_EQ(d[1].core->name, "Cortex-X4");
  EXPECT_EQ(d[1].count, 3);

  EXPECT_DOUBLE_EQ(parse_cores("Z7-Lite 7020 (Cortex-A9 766MHz x 2)").at(0).clock, 0.766);
  EXPECT_DOUBLE_EQ(parse_cores("AMD Ryzen 5700g (Zen3 3.8 GHz ~ 4.6 GHz x 8)").at(0).clock, 4.6);
  EXPECT_EQ(parse_cores("HUAWEI KunPeng 920 3211K (x24 cores)").at(0).count, 24);
  EXPECT_TRUE(parse_cores("A toaster, 3 GHz").empty());
  EXPECT_TRUE(parse_cores("").empty());
}

TEST(ParseGraphics, KnowsNames) {
  EXPECT_EQ(parse_graphics("NVIDIA RTX3090 (GA102 SM x 82)")->gflops, 35600);
  EXPECT_TRUE(parse_graphics("Snapdragon 8 Gen 2 (... + Adreno 740)")->embedded);
  EXPECT_EQ(parse_graphics("Raspberry Pi 3 Model B+"), nullptr);
}

double median(const std::vector<HeldOut>& all, auto keep) {
  std::vector<double> e;
  for (const HeldOut& h : all)
    if (keep(*h.run)) e.push_back(h.relative_error);
  if (e.empty()) return 1e9;
  std::nth_element(e.begin(), e.begin() + static_cast<std::ptrdiff_t>(e.size() / 2), e.end());
  return e[e.size() / 2];
}

class Ncnn : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(testing::data_root() / "kernels/ncnn"))
      GTEST_SKIP() << "no shared data beside the sources";
    benchmark_ = load_ncnn_benchmark((testing::data_root() / "kernels/ncnn").string(),
                                     (testing::data_root() / "models/ncnn_param").string());
  }
  NcnnBenchmark benchmark_;
};

// The aims of the project: 20 % on unseen networks of a known device, 35 % on unseen devices. The
// bounds hold where they are met (docs/validation.md has the whole table, also where they are not).
TEST_F(Ncnn, UnseenNetworksAreWithinTwentyPercent) {
  const auto cpu = [](const NcnnRun& r) { return !r.gpu; };
  const auto all = [](const NcnnRun&) { return true; };
  EXPECT_GE(benchmark_.networks.size(), 34u);
  const auto fp = predict_unseen_networks(benchmark_, false);
  EXPECT_GT(fp.size(), 4000u);
  EXPECT_LT(median(fp, all), 0.20);
  EXPECT_LT(median(fp, cpu), 0.16);
  // int8 misses the aim; the bound only keeps it from getting worse.
  EXPECT_LT(median(predict_unseen_networks(benchmark_, true), all), 0.26);
}

TEST_F(Ncnn, LeavingFamiliesOutIsHarderThanNetworks) {
  const auto all = [](const NcnnRun&) { return true; };
  const auto alone = predict_unseen_networks(benchmark_, false);
  const auto family = predict_unseen_networks(benchmark_, false, LeaveOut::family);
  EXPECT_EQ(alone.size(), family.size());
  EXPECT_GT(median(family, all), median(alone, all));
  EXPECT_LT(median(family, all), 0.20);
}

// 34.5 % when written; graphics processors miss the aim by far and have no bound.
TEST_F(Ncnn, UnseenProcessorsAreWithinThirtySixPercent) {
  std::vector<std::string> unparsed;
  const auto fp = predict_unseen_devices(benchmark_, false, unparsed);
  EXPECT_LT(median(fp, [](const NcnnRun& r) { return !r.gpu; }), 0.36);
  EXPECT_LE(unparsed.size(), 1u);
}

TEST_F(Ncnn, IsTheSameEveryTime) {
  const auto a = predict_unseen_networks(benchmark_, true);
  const auto b = predict_unseen_networks(benchmark_, true);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i].relative_error, b[i].relative_error);
}

class NcnnFiles : public ::testing::Test {
 protected:
  NcnnFiles()
      : folder_(std::filesystem::temp_directory_path() /
                ("ncnn" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directories(folder_);
    write("net.param",
          "7767517\n2 2\nInput i 0 1 x 0=4 1=4 2=3\nConvolution c 1 1 x y 0=2 1=1 6=6\n");
    write("devices.csv", "device_id,device\n1,\"Board, Cortex-A53 (1.2GHz x 4)\"\n");
    write("runs.csv", "run_id,device_id,num_threads,powersave,gpu_device\n7,1,4,0,-1\n");
    write("results.csv", "run_id,model,min_ms,max_ms\n7,net,1.5,2\n7,other,3,4\n7,net,0.00,0\n");
  }
  ~NcnnFiles() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  NcnnBenchmark load() { return load_ncnn_benchmark(folder_.string(), folder_.string()); }
  std::string error() {
    try {
      load();
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
  std::filesystem::path folder_;
};

TEST_F(NcnnFiles, AreRead) {
  const NcnnBenchmark b = load();
  ASSERT_EQ(b.runs.size(), 1u);
  EXPECT_EQ(b.runs[0].device, "Board, Cortex-A53 (1.2GHz x 4)");
  EXPECT_EQ(b.runs[0].ns.at("net"), 1.5e6);
  EXPECT_EQ(b.unknown.at("other"), 1u);
  EXPECT_EQ(class_of(b.runs[0]), RunClass::few_threads);
}

TEST_F(NcnnFiles, AreRefusedWithTheirPlace) {
  write("results.csv", "run_id,model,min_ms\n7,net,fast\n");
  EXPECT_THAT(error(), HasSubstr("results.csv:2: min_ms 'fast' is no time"));
  write("results.csv", "run_id,model,min_ms\n7,net,-1\n");
  EXPECT_THAT(error(), HasSubstr("is no time"));
  write("results.csv", "run_id,model,min_ms\n8,net,1\n");
  EXPECT_THAT(error(), HasSubstr("runs.csv has no run 8"));
  write("results.csv", "run_id,model,min_ms\n7,net\n");
  EXPECT_THAT(error(), HasSubstr("has 2 cells where the header has 3"));
  write("results.csv", "run_id,model,avg_ms\n");
  EXPECT_THAT(error(), HasSubstr("has no column 'min_ms'"));
  write("runs.csv", "run_id,device_id,num_threads,powersave,gpu_device\n7,9,4,0,-1\n");
  EXPECT_THAT(error(), HasSubstr("devices.csv has no device 9"));
  write("runs.csv", "run_id,device_id,num_threads,powersave,gpu_device\n7,1,four,0,-1\n");
  EXPECT_THAT(error(), HasSubstr("runs.csv:2: 'four' is no integer"));
  std::filesystem::remove(folder_ / "devices.csv");
  EXPECT_THAT(error(), HasSubstr("devices.csv: cannot be read"));
  EXPECT_THROW(load_ncnn_benchmark(folder_.string(), "/no/such/folder"), InputError);
}

}  // namespace
}  // namespace isthmus::models
