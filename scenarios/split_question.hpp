// A graph split between tiers of machines: the plans of every partition policy, side by side.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/compose.hpp"
#include "scenarios/own_model.hpp"

namespace isthmus::scenarios {

//! What to split, and under which conditions. Lists of hops have one entry for all, or one per hop.
struct SplitQuestion {
  std::string model;               //!< catalogue model, built-in graph, or a graph file
  std::vector<std::string> tiers;  //!< 2 to 4, from the client outwards: "device" or "device/unit"
  std::string variant;             //!< "" = the model's default
  std::int64_t batch = 1;
  InputSizes sizes;
  std::vector<double> bandwidth;       //!< bytes/s away from the client
  std::vector<double> down_bandwidth;  //!< bytes/s towards it; empty: as bandwidth
  std::vector<double> rtt;             //!< s; empty: 0
  std::vector<double> slowdown;        //!< per tier, of its times by load, >= 1; empty: 1
  double input = -1;                   //!< bytes that the inputs are sent as; below 0: as tensors
  double result = 0;                   //!< bytes sent back
  double radio_power = 0;              //!< W of the client while it sends or receives
  double latency_weight = 1, energy_weight = 0;  //!< per s and J of the client
  std::vector<std::string> encode;               //!< formats in which tensors may travel
  double accuracy_loss = 0;                      //!< per tensor that does
  std::vector<Override> set;                     //!< further settings, by JSON pointer
};

//! A tensor that leaves a tier.
struct SplitCrossing {
  std::string op;         //!< its producer
  std::uint32_t hop = 0;  //!< from tier `hop` to the next one
  std::string encoding;   //!< "raw" or a format
  double bytes = 0;
};

struct SplitPlanRow {
  std::string policy;
  std::string refusal;                   //!< why it has no plan; the rest is then empty
  std::vector<std::uint64_t> operators;  //!< per tier
  std::vector<SplitCrossing> crossings;
  double latency = 0, client_energy = 0, bytes = 0;  //!< s, J, bytes that the client sends
  double objective = 0, accuracy_loss = 0;
};

struct SplitAnswer {
  std::string model, variant;
  std::vector<std::string> tiers;  //!< "device/unit"
  std::int64_t batch = 1;
  std::uint64_t operators = 0;
  std::vector<double> bandwidth, rtt;  //!< per hop
  std::vector<double> alone;           //!< s per tier: its computing alone, if it ran everything
  std::vector<SplitPlanRow> plans;
};

//! Throws InputError for names and figures that do not fit, and for language models.
SplitAnswer split(const SplitQuestion& question);

//! As JSON text; times in s, energy in J, bandwidths in bytes/s.
std::string to_json(const SplitAnswer& a);
std::string to_text(const SplitAnswer& a);

}  // namespace isthmus::scenarios
