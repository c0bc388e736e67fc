#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/mig.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

TEST(Mig, KnowsTheProfilesOfTheGuide) {
  const auto slices = [](const char* name, const char* device, double gigabytes) {
    const MigProfile p = mig_profiles({name}, device, gigabytes * 1e9).front();
    return std::tuple(p.compute, p.of, p.memory);
  };
  EXPECT_EQ(slices("1g.10gb", "nvidia-a100-80g", 80), std::tuple(1, 7, 1));
  EXPECT_EQ(slices("1g.20gb", "nvidia-a100-80g", 80), std::tuple(1, 7, 2));
  EXPECT_EQ(slices("3g.40gb", "nvidia-h100-sxm", 80), std::tuple(3, 7, 4));
  EXPECT_EQ(slices("2g.10gb", "nvidia-a100-40g", 40), std::tuple(2, 7, 2));
  EXPECT_EQ(slices("1g.5gb", "nvidia-a100-40g", 40), std::tuple(1, 7, 1));
  EXPECT_EQ(slices("7g.141gb", "nvidia-h200-sxm", 141), std::tuple(7, 7, 8));
  EXPECT_EQ(slices("1g.18gb", "nvidia-h200-sxm", 141), std::tuple(1, 7, 1));
  EXPECT_EQ(slices("4g.71gb", "nvidia-h200-sxm", 141), std::tuple(4, 7, 4));
  EXPECT_EQ(slices("2g.12gb", "nvidia-a30", 24), std::tuple(2, 4, 4));
}

TEST(Mig, InstancesMustFit) {
  const auto fits = [](std::vector<std::string> names) {
    try {
      mig_profiles(names, "nvidia-a100-80g", 80e9);
      return true;
    } catch (const InputError&) {
      return false;
    }
  };
  EXPECT_TRUE(fits({"1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb"}));
  EXPECT_TRUE(fits({"3g.40gb", "4g.40gb"}));
  EXPECT_TRUE(fits({"4g.40gb", "2g.20gb", "1g.10gb"}));
  EXPECT_FALSE(fits({"4g.40gb", "4g.40gb"}));             // 8 compute slices
  EXPECT_FALSE(fits({"3g.40gb", "3g.40gb", "1g.10gb"}));  // 9 memory slices
  EXPECT_FALSE(fits({"1g.20gb", "1g.20gb", "1g.20gb", "1g.20gb", "1g.10gb"}));
}

TEST(Mig, ErrorsSayWhatIsThere) {
  const auto message = [](std::vector<std::string> names, const char* device, double memory) {
    try {
      mig_profiles(names, device, memory);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_THAT(message({"3g.40gb"}, "nvidia-t4", 16e9), testing::HasSubstr("cannot be partitioned"));
  EXPECT_THAT(message({"3g.20gb"}, "nvidia-a100-80g", 80e9), testing::HasSubstr("3g.40gb"));
  EXPECT_THAT(message({"5g.50gb"}, "nvidia-a100-80g", 80e9), testing::HasSubstr("no MIG profile \"5g.50gb\""));
  for (const char* bad : {"", "g.10gb", "1g.gb", "1g10gb", "1g.10", "1g.-10gb", "1g.nangb", "99999999999g.10gb"})
    EXPECT_THAT(message({bad}, "nvidia-a100-80g", 80e9), testing::HasSubstr("MIG profile")) << bad;
  EXPECT_THAT(message({"1g.10gb"}, "", 0), testing::HasSubstr("memory"));
}

TEST(Mig, AnInstanceIsItsPartOfTheGpu) {
  ComputeUnit gpu;
  gpu.name = "gpu";
  gpu.peak.fill(700e12);
  gpu.memory_bandwidth = 2e12;
  gpu.memory = 80e9;
  gpu.idle_power = 80;
  gpu.bandwidth_power = 240;
  gpu.compute_power = 430;
  gpu.profile = "a100.h5";
  const auto profiles = mig_profiles({"3g.40gb", "4g.40gb"}, "nvidia-a100-80g", gpu.memory);
  const ComputeUnit three = mig_instance(gpu, profiles[0]), four = mig_instance(gpu, profiles[1]);
  EXPECT_DOUBLE_EQ(three.peak[0], 300e12);
  EXPECT_DOUBLE_EQ(three.memory_bandwidth, 1e12);
  EXPECT_DOUBLE_EQ(three.memory, 40e9);
  EXPECT_DOUBLE_EQ(three.compute_power, 40 + 150);
  EXPECT_TRUE(three.profile.empty());
  // Together they are the GPU again.
  EXPECT_DOUBLE_EQ(three.peak[1] + four.peak[1], gpu.peak[1]);
  EXPECT_DOUBLE_EQ(three.compute_power + four.compute_power, gpu.compute_power);
  EXPECT_DOUBLE_EQ(three.bandwidth_power + four.bandwidth_power, gpu.bandwidth_power);
  EXPECT_DOUBLE_EQ(three.idle_power + four.idle_power, gpu.idle_power);
}

}  // namespace
}  // namespace isthmus::models
