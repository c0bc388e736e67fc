// One input or batch of a graph on several units of a device: who runs what, when, and what that
// gains.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/prediction.hpp"
#include "scenarios/compose.hpp"
#include "scenarios/own_model.hpp"

namespace isthmus::scenarios {

//! What to schedule: a graph on a device of the catalogue, or a service of a scenario on its node.
struct ScheduleQuestion {
  std::string model;   //!< catalogue model, built-in graph, or a graph file
  std::string device;  //!< of the catalogue, or "device/unit"
  //! Of the device, in this order; empty: those of the service, else all.
  std::vector<std::string> units;
  std::string variant;    //!< "" = the model's default
  std::string scheduler;  //!< name of a list scheduler; "" = the service's, else heft
  std::int64_t batch = 1;
  InputSizes sizes;
  bool compare = false;       //!< also ask every other list scheduler
  std::vector<Override> set;  //!< further settings, by JSON pointer
  //! Schedules a service of this scenario file instead; model and device must be empty.
  std::filesystem::path scenario;
  std::string service;  //!< its name; "" = the only one with a graph
};

//! A unit of the device and its part in the schedule. Times in s.
struct ScheduledUnit {
  std::string name, kind;
  std::uint32_t lanes = 1;  //!< operators at once (streams)
  std::uint64_t operators = 0;
  double busy = 0;    //!< of its lanes together
  double energy = 0;  //!< J above idle
  //! Time and energy of everything on this unit alone; infinite when it cannot, for the reason
  //! in `refusal`.
  double alone = 0, alone_energy = 0;
  std::string refusal;
};

//! An operator as it ran alone with its graph on the node: operators beside each other share the
//! memory. Dates in s from the start of the instance on.
struct ScheduledOperator {
  std::string name, kind, module;
  std::uint32_t unit = 0;  //!< index into the units
  std::uint32_t lane = 0;  //!< of the unit
  double start = 0, end = 0;
  double flops = 0, bytes = 0;
  models::PredictionKind evidence = models::PredictionKind::measured;
  bool critical = false;  //!< on the chain of work and transfers that decides the end
};

//! A tensor that goes to another unit.
struct ScheduledTransfer {
  std::string from, to;  //!< names of operators; of an input when the host holds it
  std::uint32_t from_unit = 0, from_lane = 0, to_unit = 0, to_lane = 0;
  double start = 0, end = 0;  //!< from the producer's end until it has arrived
  double bytes = 0;
  bool critical = false;
};

//! What another list scheduler makes of it.
struct ScheduleAlternative {
  std::string scheduler;
  double makespan = 0, planned = 0;  //!< s, as in GraphSchedule; 0 when it refused
  std::uint64_t transfers = 0;
  bool optimal = false;
  std::string refusal;
};

struct GraphSchedule {
  std::string model, variant, device, scheduler;
  std::int64_t batch = 1;
  std::vector<ScheduledUnit> units;
  std::vector<ScheduledOperator> operators;  //!< by start; inputs left out
  std::vector<ScheduledTransfer> transfers;  //!< by start
  double overhead = 0;                       //!< s of the framework before the first operator
  double makespan = 0;                       //!< s, overhead and contention included
  double planned = 0;    //!< s, as the scheduler saw it: no operator slows another
  double energy = 0;     //!< J above idle
  bool optimal = false;  //!< no schedule has a smaller `planned` time, proven
  //! No schedule is shorter (s, overhead included): the longest path with every operator on its
  //! fastest unit, and the least work spread evenly over all units.
  double path_bound = 0, work_bound = 0;
  int best_alone = -1;        //!< unit that is fastest on its own; -1: none can
  double relative_error = 0;  //!< one standard error of the times, as if common to all operators
  std::vector<ScheduleAlternative> compared;
};

//! Throws InputError for names and figures that do not fit, for a language model, and when no unit
//! can run an operator.
GraphSchedule schedule(const ScheduleQuestion& question);

//! As JSON text; times in s, energy in J.
std::string to_json(const GraphSchedule& s);
//! Tables of units and operators; operators beyond the `top` longest are summed up, 0 = all.
std::string to_text(const GraphSchedule& s, std::size_t top = 0);
//! The picture.
std::string to_svg(const GraphSchedule& s);

}  // namespace isthmus::scenarios
