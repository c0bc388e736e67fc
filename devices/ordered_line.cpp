#include "devices/ordered_line.hpp"

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

void OrderedLine::push(const LineRequest& r) {
  Entry e;
  e.key = {0, ++order_};
  e.flow = r.flow;
  switch (by_) {
    case By::priority: e.key.rank = -static_cast<double>(r.priority); break;
    case By::due: e.key.rank = static_cast<double>(r.due.ns()); break;
    case By::fair: {
      Flow& flow = flows_[r.flow];
      e.key.rank = std::max(virtual_, flow.finish);
      e.finish = flow.finish = e.key.rank + r.cost / r.weight;
      flow.last = e.key.order;
      latest_ = std::max(latest_, e.finish);
      break;
    }
  }
  if (!entries_.emplace(r.tag, e).second) throw InternalError("line: a request joins twice");
  waiting_.emplace(e.key, r.tag);
}

std::uint64_t OrderedLine::pop() {
  if (waiting_.empty()) throw InternalError("line: nobody waits");
  const auto [key, tag] = *waiting_.begin();
  waiting_.erase(waiting_.begin());
  serving_.emplace(key, tag);
  entries_.at(tag).in_service = true;
  if (by_ == By::fair) virtual_ = std::max(virtual_, key.rank);
  return tag;
}

bool OrderedLine::erase(std::uint64_t tag) {
  const auto it = entries_.find(tag);
  if (it == entries_.end() || it->second.in_service) return false;
  const Entry& e = it->second;
  // Its flow has not had what it asked for, as far as nobody stands behind it.
  if (by_ == By::fair && flows_[e.flow].last == e.key.order) flows_[e.flow].finish = e.key.rank;
  waiting_.erase(e.key);
  entries_.erase(it);
  return true;
}

void OrderedLine::end(std::uint64_t tag) {
  const auto it = entries_.find(tag);
  if (it == entries_.end() || !it->second.in_service) return;
  serving_.erase(it->second.key);
  entries_.erase(it);
  // After a busy period all flows begin anew.
  if (by_ == By::fair && entries_.empty()) {
    virtual_ = latest_;
    flows_.clear();
  }
}

std::optional<std::uint64_t> OrderedLine::displaced() const {
  if (waiting_.empty() || serving_.empty()) return std::nullopt;
  const auto& [key, tag] = *serving_.rbegin();
  if (waiting_.begin()->first.rank >= key.rank) return std::nullopt;
  return tag;
}

void OrderedLine::put_back(std::uint64_t tag, Duration left) {
  Entry& e = entries_.at(tag);
  serving_.erase(e.key);
  e.in_service = false;
  e.left = left;
  waiting_.emplace(e.key, tag);
}

std::optional<Duration> OrderedLine::left(std::uint64_t tag) const {
  const auto it = entries_.find(tag);
  return it == entries_.end() ? std::nullopt : it->second.left;
}

void OrderedLine::clear(std::vector<std::uint64_t>& lost) {
  for (const auto& [key, tag] : waiting_) lost.push_back(tag);
  waiting_.clear();
  serving_.clear();
  entries_.clear();
  flows_.clear();
  virtual_ = latest_;
}

}  // namespace isthmus::devices
