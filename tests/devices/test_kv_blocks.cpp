#include "devices/kv_blocks.hpp"

#include <gtest/gtest.h>

#include "sim/core/errors.hpp"

namespace isthmus::devices {
namespace {

TEST(KvBlocks, CountsWhatIsFree) {
  KvBlocks b(10);
  EXPECT_EQ(b.free(), 10);
  b.take(4);
  EXPECT_EQ(b.free(), 6);
  b.put_back(1);
  b.take(7);
  EXPECT_EQ(b.free(), 0);
  EXPECT_THROW(b.take(1), InternalError);
  b.reset();
  EXPECT_EQ(b.free(), 10);
}

TEST(KvBlocks, FreedBlocksKeepTheirContentsUntilTheyAreTaken) {
  KvBlocks b(3);
  b.take(1);
  EXPECT_TRUE(b.name(7));
  EXPECT_TRUE(b.contains(7));
  EXPECT_FALSE(b.idle(7));
  b.put_back_named(7);
  EXPECT_TRUE(b.idle(7));
  EXPECT_EQ(b.free(), 3);
  // The two blocks that were never used come first.
  b.take(2);
  EXPECT_TRUE(b.contains(7));
  b.use(7);
  EXPECT_EQ(b.free(), 0);
  b.put_back_named(7);
  b.take(1);
  EXPECT_FALSE(b.contains(7));
}

TEST(KvBlocks, SharedBlocksAreFreeAfterTheirLastUser) {
  KvBlocks b(2);
  b.take(1);
  b.name(7);
  b.use(7);
  EXPECT_EQ(b.free(), 1);
  b.put_back_named(7);
  EXPECT_EQ(b.free(), 1);
  EXPECT_FALSE(b.idle(7));
  b.put_back_named(7);
  EXPECT_EQ(b.free(), 2);
}

TEST(KvBlocks, TheSameContentsHaveOneBlock) {
  KvBlocks b(2);
  b.take(2);
  EXPECT_TRUE(b.name(7));
  EXPECT_FALSE(b.name(7));
  b.put_back(1);
  b.put_back_named(7);
  EXPECT_EQ(b.free(), 2);
}

// Least recently used first, whatever was reused in between.
TEST(KvBlocks, TakesInOrderOfReturn) {
  KvBlocks b(4);
  b.take(4);
  for (const BlockKey k : {1, 2, 3, 4}) b.name(k);
  for (const BlockKey k : {3, 1, 4, 2}) b.put_back_named(k);
  b.use(1);
  b.put_back_named(1);
  for (const BlockKey k : {3, 4, 2, 1}) {
    EXPECT_TRUE(b.contains(k));
    b.take(1);
    EXPECT_FALSE(b.contains(k)) << k;
  }
}

}  // namespace
}  // namespace isthmus::devices
