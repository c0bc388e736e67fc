// What a scenario says of keys, caches and calls between services (docs/caching.md).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "devices/answer_cache.hpp"
#include "schedulers/policy.hpp"
#include "sim/world/call_spec.hpp"
#include "sim/world/distribution.hpp"
#include "sim/world/popularity.hpp"

namespace isthmus::world {

//! Which item a request asks for. Requests with equal keys are equal: same tokens, same bytes.
struct KeyLaw {
  bool from_trace = false;             //!< the trace says it; else by popularity
  std::uint64_t space = 0;             //!< items of equal spaces are the same
  ZipfLaw popularity;
  Duration lifetime = Duration::max(); //!< of an item at its rank; then a new one takes its place
  std::uint64_t clusters = 0;          //!< of items that resemble each other; 0: none do
  Distribution similarity = Distribution::constant(0);  //!< of two items of a cluster, [0, 1]

  //! Key of the item at a rank; never 0.
  std::uint64_t key(std::uint64_t rank, Instant now) const;
  //! Of an item; 0 without clusters.
  std::uint64_t cluster(std::uint64_t key) const {
    return clusters == 0 ? 0 : 1 + hash_combine(space, mix64(key) % clusters) / 2;
  }
};

enum class CacheScope : std::uint8_t {
  replica,  //!< in the process of each replica
  node,     //!< on each machine, for all replicas there
  server,   //!< at the replicas of another service, over the network
};

//! One of the caches that a service looks into, in order.
struct CacheTier {
  std::string name;
  std::uint32_t id = 0;                //!< number in the run, from 1
  CacheScope scope = CacheScope::replica;
  std::uint32_t server = 0xffffffffU;  //!< service whose replicas hold it
  devices::AnswerCacheLimits limits;
  const schedulers::PolicyEntry<schedulers::ReplacementPolicy>* policy = nullptr;
  std::optional<schedulers::Parameters> parameters;
  Duration lookup;                     //!< time of a look-up at the replica that asks
  bool coalesce = false;               //!< whoever misses what is being fetched waits for it
  double request_bytes = 0, miss_bytes = 0;  //!< to a server, and back when it has nothing
  double threshold = 1;                //!< similarity from which an answer is taken; 1: equal keys
  //! Chance that the answer to a similar request suits: points (similarity, chance), rising.
  std::vector<std::pair<double, double>> suits;

  //! Piecewise linear between the points, constant beyond them.
  double suits_at(double similarity) const {
    const auto above = std::find_if(suits.begin(), suits.end(),
                                    [&](const auto& p) { return p.first >= similarity; });
    if (above == suits.end()) return suits.back().second;
    if (above == suits.begin()) return above->second;
    const auto [x0, y0] = *(above - 1);
    return y0 + (above->second - y0) * (similarity - x0) / (above->first - x0);
  }
};

//! Caches and calls of a service.
struct Fetching {
  std::vector<CacheTier> caches;
  bool caches_calls = false;  //!< they hold what the one called service answers, else own answers
  std::vector<Call> calls;    //!< in order
  std::vector<ConnectionPoolSpec> pools;
  std::optional<QueueSpec> queue;
  bool listed = false;        //!< calls are a list: each draws its own service times
  bool tokens = false;        //!< its answers are those of a language model
};

}  // namespace isthmus::world
