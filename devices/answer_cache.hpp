// A cache of answers by key: what is in it, for how long, and who leaves for another.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <unordered_map>
#include <vector>

#include "schedulers/replacement_policy.hpp"
#include "schedulers/slot_list.hpp"
#include "sim/core/time.hpp"

namespace isthmus::devices {

//! An answer as a cache holds it.
struct Answer {
  std::uint64_t key = 0;      //!< fingerprint of the request that it answers
  std::uint64_t cluster = 0;  //!< of requests that resemble that one; 0: none do
  double bytes = 0;
  std::uint32_t tokens = 0;
  bool wrong = false;         //!< it was given for a similar request and does not suit
  double accuracy = 0;        //!< of what made it
};

struct AnswerCacheLimits {
  double entries = std::numeric_limits<double>::infinity();
  double bytes = std::numeric_limits<double>::infinity();
  Duration ttl = Duration::max();  //!< entries are gone at this age
  bool renewed = false;            //!< the age counts from the last use, not from the writing
  bool similar = false;            //!< similar() will be asked
};

//! Constant time per call, but for the policy. Entries whose time is over leave at the next call.
class AnswerCache {
 public:
  //! The policy's capacity is the limit of entries if there is one, else that of bytes.
  AnswerCache(const AnswerCacheLimits& limits,
              std::shared_ptr<schedulers::ReplacementPolicy> policy);

  //! The answer to exactly this request, or null; a use. Valid until the next call.
  const Answer* find(std::uint64_t key, Instant now);
  //! Answers to requests of a cluster (other than 0), in the order in which they were written. No
  //! use: see use().
  const std::vector<std::uint32_t>& similar(std::uint64_t cluster, Instant now);
  const Answer& at(std::uint32_t slot) const { return entries_[slot].answer; }
  void use(std::uint32_t slot, Instant now);
  //! Writes an answer, in place of an older one with its key. One that is larger than the cache is
  //! not kept.
  void write(const Answer& answer, Instant now);
  //! Drops everything; counts stay.
  void clear();

  std::size_t entries() const { return by_key_.size(); }
  double bytes() const { return bytes_; }

  struct Counts {
    std::uint64_t writes = 0, evictions = 0, expired = 0;
    std::uint64_t refused = 0;  //!< answers larger than the cache
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Entry {
    Answer answer;
    Instant expires;
  };
  void expire(Instant now);
  void drop(std::uint32_t slot);

  AnswerCacheLimits limits_;
  std::shared_ptr<schedulers::ReplacementPolicy> policy_;
  std::unordered_map<std::uint64_t, std::uint32_t> by_key_;
  std::vector<Entry> entries_;             // by slot
  std::vector<std::uint32_t> free_;
  schedulers::SlotList by_age_;            // who expires first is last; unused without a ttl
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_cluster_;
  double bytes_ = 0;
  Counts counts_;
};

}  // namespace isthmus::devices
