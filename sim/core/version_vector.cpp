#include "sim/core/version_vector.hpp"

#include <algorithm>

namespace isthmus {

namespace {
bool before_replica(const std::pair<std::uint32_t, std::uint64_t>& e, std::uint32_t replica) {
  return e.first < replica;
}
}  // namespace

std::uint64_t VersionVector::operator[](std::uint32_t replica) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), replica, before_replica);
  return at != entries_.end() && at->first == replica ? at->second : 0;
}

std::uint64_t VersionVector::bump(std::uint32_t replica) {
  auto at = std::lower_bound(entries_.begin(), entries_.end(), replica, before_replica);
  if (at == entries_.end() || at->first != replica) at = entries_.insert(at, {replica, 0});
  return ++at->second;
}

void VersionVector::join(const VersionVector& other) {
  if (covers(other)) return;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> all;
  auto a = entries_.begin();
  auto b = other.entries_.begin();
  while (a != entries_.end() || b != other.entries_.end()) {
    if (b == other.entries_.end() || (a != entries_.end() && a->first < b->first)) {
      all.push_back(*a++);
    } else if (a == entries_.end() || b->first < a->first) {
      all.push_back(*b++);
    } else {
      all.emplace_back(a->first, std::max(a->second, b->second));
      ++a, ++b;
    }
  }
  entries_ = std::move(all);
}

bool VersionVector::covers(const VersionVector& other) const {
  auto mine = entries_.begin();
  for (const auto& [replica, writes] : other.entries_) {
    while (mine != entries_.end() && mine->first < replica) ++mine;
    if (mine == entries_.end() || mine->first != replica || mine->second < writes) return false;
  }
  return true;
}

Causality VersionVector::compare(const VersionVector& other) const {
  const bool more = covers(other), less = other.covers(*this);
  return more && less ? Causality::equal
         : more       ? Causality::after
         : less       ? Causality::before
                      : Causality::concurrent;
}

}  // namespace isthmus
