// Which part of a graph runs on the device, at the edge, in the cloud? Given as numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "schedulers/policy.hpp"

namespace isthmus::schedulers {

//! A way to write a tensor that crosses a cut.
struct TensorEncoding {
  std::string name = "raw";
  double ratio = 1;             //!< bytes sent over bytes of the tensor, > 0
  double seconds_per_byte = 0;  //!< of the tensor, at both ends together
  double accuracy_loss = 0;     //!< of one tensor; losses of several are added (an upper bound)
};

//! Tiers are ordered from the client outwards; a task never runs nearer to the client than its
//! producers. A tensor travels from tier to tier (hop h joins tiers h and h + 1), over each hop at
//! most once. Tasks of a request run one after another: latency is the sum of task times, transfers
//! and, for every hop that is used, its latency. All times in s, sizes in bytes, energies in J.
struct PartitionProblem {
  std::uint32_t tasks = 0, tiers = 2;
  std::vector<double> seconds;  //!< [task * tiers + tier]; cannot_run where it cannot
  std::vector<std::pair<std::uint32_t, std::uint32_t>> edges;
  std::vector<double> output_bytes;    //!< [task]
  std::vector<double> bandwidth;       //!< [hop], bytes/s away from the client; 0: the hop is down
  std::vector<double> latency;         //!< [hop], s per request that uses it (a round trip)
  std::vector<double> down_bandwidth;  //!< [hop], bytes/s towards the client; empty: as bandwidth
  double result_bytes = 0;             //!< that the last tasks send back to the client, together
  std::vector<int> pinned;             //!< [task] tier, or -1; empty: no task is

  std::vector<double> slowdown;  //!< [tier], of its task times, by load; empty: 1
  std::vector<double> watts;     //!< [tier], of the client while that tier computes; empty: 0
  double transfer_watts = 0;     //!< of the client while hop 0 carries its data
  std::vector<double> price;     //!< [tier], per second of computing; empty: 0
  double latency_weight = 1, energy_weight = 0,
         price_weight = 0;  //!< per s, per J, per unit of price

  std::vector<TensorEncoding> encodings{{}};  //!< to choose from, tensor by tensor
  std::vector<bool> as_is;  //!< [task] its tensor is always sent in the first one; empty: none is
};

//! A tensor on a hop.
struct Crossing {
  std::uint32_t task = 0, hop = 0;
  std::uint32_t encoding = 0;  //!< index into the problem's encodings
  double bytes = 0;            //!< sent
};

struct Partition {
  std::vector<std::uint32_t> tier;  //!< [task]
  std::vector<Crossing> crossings;  //!< by task, then hop
  double objective = 0;             //!< weighted sum; infinite when a hop it needs is down
  double latency = 0;               //!< s
  double client_energy = 0;         //!< J
  double price = 0;
  double bytes = 0;  //!< over hop 0, away from the client
  double accuracy_loss = 0;
};

//! What a placement costs. Throws InputError for a malformed problem or a placement against the
//! order of tiers.
Partition evaluate(const PartitionProblem& problem, std::vector<std::uint32_t> tier);

//! Throws InputError for a cycle, figures out of range, a task that no tier can run.
class Partitioner {
 public:
  virtual ~Partitioner() = default;
  virtual Partition partition(const PartitionProblem& problem) const = 0;
};

const std::vector<PolicyEntry<Partitioner>>& partitioners();

//! Keeps a partition while conditions stay about the same. Bandwidths and slowdowns are compared
//! with those that the last plan was made for.
class SplitPlanner {
 public:
  //! `hysteresis`: relative change of any bandwidth or slowdown from which it plans again, >= 0.
  SplitPlanner(std::shared_ptr<const Partitioner> partitioner, double hysteresis);
  const Partition& plan(const PartitionProblem& problem);
  std::uint64_t computed() const { return computed_; }  //!< plans made
  std::uint64_t changed() const { return changed_; }    //!< of these, with another placement

 private:
  std::shared_ptr<const Partitioner> partitioner_;
  double hysteresis_;
  std::vector<double> conditions_;
  Partition partition_;
  std::uint64_t computed_ = 0, changed_ = 0;
};

}  // namespace isthmus::schedulers
