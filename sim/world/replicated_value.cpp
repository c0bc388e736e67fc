#include "sim/world/replicated_value.hpp"

#include <algorithm>
#include <tuple>

namespace isthmus::world {

const Version& ReplicatedValue::write(std::uint32_t replica, std::int64_t clock) {
  for (const Version& v : versions_) clock = std::max(clock, v.stamp + 1);
  Version v;
  v.writer = replica;
  v.number = vector_.bump(replica);
  v.stamp = clock;
  v.vector = vector_;
  versions_ = {v};
  return versions_.front();
}

ReplicatedValue::Outcome ReplicatedValue::merge(const ReplicatedValue& other, ConflictRule rule,
                                                bool yields) {
  Outcome out;
  switch (vector_.compare(other.vector_)) {
    case Causality::equal:
    case Causality::after: return out;
    case Causality::before:
      *this = other;
      out.changed = true;
      return out;
    case Causality::concurrent: break;
  }
  out.changed = out.conflict = true;
  VersionVector joined = vector_;
  joined.join(other.vector_);
  if (rule != ConflictRule::keep_both) {
    const Version &mine = versions_.front(), &theirs = other.versions_.front();
    const auto rank = [](const Version& v) { return std::tuple(v.stamp, v.writer, v.number); };
    const bool takes = rule == ConflictRule::hub_wins ? yields : rank(mine) < rank(theirs);
    // What the side that stays has overwritten, or has itself, is not lost.
    const Version& leaves = takes ? mine : theirs;
    if ((takes ? other.vector_ : vector_)[leaves.writer] < leaves.number) out.lost.push_back(leaves);
    if (takes) versions_ = other.versions_;
    versions_.front().vector = joined;
  } else {
    std::vector<Version> all;
    const auto keep = [&](const std::vector<Version>& from, const ReplicatedValue& against) {
      for (const Version& v : from) {
        const bool known = std::any_of(all.begin(), all.end(), [&](const Version& o) { return o.same_write(v); });
        // What the other side includes but no longer has, it has overwritten.
        const bool there = std::any_of(against.versions_.begin(), against.versions_.end(),
                                       [&](const Version& o) { return o.same_write(v); });
        if (!known && (there || against.vector_[v.writer] < v.number)) all.push_back(v);
      }
    };
    keep(versions_, other);
    keep(other.versions_, *this);
    std::sort(all.begin(), all.end(), [](const Version& a, const Version& b) {
      return std::tie(a.writer, a.number) < std::tie(b.writer, b.number);
    });
    out.conflict = std::any_of(all.begin(), all.end(), [&](const Version& a) {
      return vector_[a.writer] < a.number &&
             std::any_of(all.begin(), all.end(),
                         [&](const Version& b) { return other.vector_[b.writer] < b.number; });
    });
    versions_ = std::move(all);
  }
  vector_ = std::move(joined);
  return out;
}

}  // namespace isthmus::world
