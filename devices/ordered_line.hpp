// Requests that wait in front of a replica that serves one at a time per slot, in an order other than
// that of arrival.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::devices {

//! A request that joins a line.
struct LineRequest {
  std::uint64_t tag = 0;
  std::uint32_t flow = 0;              //!< whose share it goes by, in fair lines
  double weight = 1;                   //!< of that flow
  double cost = 1;                     //!< of the request, for its flow
  std::int32_t priority = 0;           //!< larger first
  Instant due = Instant::never();      //!< sooner first
};

//! Knows who waits and who is in service; logarithmic time per call.
class OrderedLine {
 public:
  enum class By : std::uint8_t {
    priority,  //!< the larger priority, then the earlier arrival
    //! Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996): in order of the virtual date at which
    //! a request would start if its flow had its share of the server by weight.
    fair,
    due,       //!< earliest deadline first; those without one last
  };

  explicit OrderedLine(By by) : by_(by) {}

  bool empty() const { return waiting_.empty(); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(waiting_.size()); }
  void push(const LineRequest& request);
  //! The next one goes into service; needs a waiting one.
  std::uint64_t pop();
  //! Leaves the line; false when it does not wait here.
  bool erase(std::uint64_t tag);
  //! Leaves service.
  void end(std::uint64_t tag);
  //! Whom the first that waits should displace: the last in order of those in service, if its priority
  //! or deadline comes behind. Of equals nobody is displaced.
  std::optional<std::uint64_t> displaced() const;
  //! The last one that waits; needs one.
  std::uint64_t last() const { return waiting_.rbegin()->second; }
  //! One in service waits again, at its old place; `left` of its work is to do.
  void put_back(std::uint64_t tag, Duration left);
  //! Work left of a request that was put back; nothing for all others.
  std::optional<Duration> left(std::uint64_t tag) const;
  void clear(std::vector<std::uint64_t>& lost);
  template <class F>
  void for_each_waiting(F f) const {
    for (const auto& [key, tag] : waiting_) f(tag);
  }

 private:
  struct Key {
    double rank;                       // the smaller the earlier
    std::uint64_t order;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    Key key{};
    std::uint32_t flow = 0;
    double finish = 0;                 // virtual
    bool in_service = false;
    std::optional<Duration> left;
  };
  struct Flow {
    double finish = 0;                 // virtual date at which its last request ends
    std::uint64_t last = 0;            // order of that request
  };

  By by_;
  std::uint64_t order_ = 0;
  std::map<Key, std::uint64_t> waiting_, serving_;
  std::unordered_map<std::uint64_t, Entry> entries_;  // by tag; never walked
  std::map<std::uint32_t, Flow> flows_;
  double virtual_ = 0, latest_ = 0;    // start of the newest in service; latest end of all
};

}  // namespace isthmus::devices
