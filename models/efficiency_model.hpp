// Times of networks as a sum over kinds of work, each with a rate of its own: what is left when a
// device has no kernel tables but measured times of whole networks.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "models/operator_graph.hpp"

namespace isthmus::models {

//! Kinds of work that devices do at different rates. Arithmetic in multiply-adds, traffic in
//! elements.
enum class Work : std::uint8_t {
  pointwise,        //!< 1x1 convolutions and products
  winograd,         //!< 3x3 convolutions of stride 1, which libraries transform
  convolution,      //!< other dense convolutions
  grouped,          //!< grouped convolutions
  depthwise,        //!< depthwise convolutions
  conv_traffic,     //!< activations of dense convolutions
  conv_weights,     //!< weights of convolutions
  depth_traffic,    //!< activations of depthwise convolutions
  product_weights,  //!< weights of fully connected layers
  other_traffic,    //!< activations of everything else
  operators,        //!< number of operators
  count_
};

inline constexpr std::size_t work_kinds = static_cast<std::size_t>(Work::count_);
inline constexpr std::array<std::string_view, work_kinds> work_names{
    "pointwise",       "winograd",      "convolution",  "grouped",
    "depthwise",       "conv_traffic",  "conv_weights", "depth_traffic",
    "product_weights", "other_traffic", "operators"};

//! Amounts of every kind of work.
using WorkAmounts = std::array<double, work_kinds>;

//! The work of one operator, or of a whole graph, for a batch.
WorkAmounts work_of(const Operator& op, double batch = 1);
WorkAmounts work_of(const OperatorGraph& graph, double batch = 1);

//! ns per unit of every kind of work.
struct EfficiencyModel {
  WorkAmounts ns{};

  double predict_ns(const WorkAmounts& work) const {
    double sum = 0;
    for (std::size_t i = 0; i < work_kinds; ++i) sum += ns[i] * work[i];
    return sum;
  }
};

//! One measured network on one device.
struct MeasuredNetwork {
  WorkAmounts work{};
  double ns = 0;  //!< > 0
};

//! Rates of a class of devices: the common shape of several devices, each with a speed of its own.
//! Least squares of the relative errors over non-negative rates, alternating with the speeds.
//! `devices`: measurements by device, each not empty. The result predicts a device of speed 1, the
//! geometric mean of theirs.
EfficiencyModel fit_class(const std::vector<std::vector<MeasuredNetwork>>& devices);

//! Speed of a device relative to a class: the median of measured / predicted.
double fit_speed(const EfficiencyModel& shape, const std::vector<MeasuredNetwork>& networks);

//! Rates of one device: those of its class, scaled to it, bent as far as its own measurements
//! insist. `strength` > 0: how strongly the class pulls, in units of a typical relative error.
//! Robust: large relative errors count linearly.
EfficiencyModel fit_device(const EfficiencyModel& shape,
                           const std::vector<MeasuredNetwork>& networks, double strength = 0.05);

}  // namespace isthmus::models
