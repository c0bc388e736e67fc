// Fits overheads and efficiencies of a service to a log of its requests: docs/calibration.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/least_squares.hpp"
#include "scenarios/compose.hpp"
#include "scenarios/measured_log.hpp"

namespace isthmus::scenarios {

//! What `isthmus calibrate` is asked.
struct CalibrateQuestion {
  std::string scenario;          //!< file that describes the system
  std::vector<Override> set;     //!< settings on top of it
  std::string measured;          //!< the log
  LogOptions log;
  std::string service;           //!< "" = the only one
  double fit_share = 0.5;        //!< of the requests with times, in (0, 1)
  bool random_split = false;     //!< instead of the first ones by arrival
  std::uint64_t seed = 1;        //!< of the random split
  std::vector<std::string> parameters;  //!< by name; empty = those that suit the service
  std::optional<std::uint32_t> kv_blocks;  //!< of a replica, the server's own count
  unsigned threads = 1;          //!< simulations at the same time; 0 = one per core
};

//! A parameter before and after the fit, in s or as a bare figure.
struct CalibratedParameter {
  std::string name, pointer;  //!< pointer: where its value stands in the scenario
  std::string unit;           //!< "s", or "1"
  double before = 0, after = 0;
  double standard_error = 0;  //!< NaN unless identified
  models::Identified identified = models::Identified::yes;
  std::string other;          //!< confounded with this parameter
  std::string value;          //!< JSON text of the fitted value, for `pointer`
};

//! One statistic of one metric over one part of the log.
struct CalibrationError {
  std::string part;       //!< "fit" or "held out"
  std::string metric;     //!< "TTFT", "TPOT", "latency" or "service"
  std::string statistic;  //!< "mean", "P50", "P90", "P99", or "each": the median of |error| per request
  double measured = 0, before = 0, after = 0;  //!< s; "each": measured 0, the others relative
};

//! The answer.
struct Calibration {
  std::string scenario, name, service, log, format;
  std::size_t requests = 0, fitted = 0, held_out = 0;
  double span = 0;            //!< s from the first arrival to the last
  std::string split;          //!< in words
  std::vector<CalibratedParameter> parameters;
  std::vector<CalibrationError> errors;
  std::vector<std::string> notices;
  double loss_before = 0, loss_after = 0;
  std::size_t simulations = 0;
  bool converged = true;
  std::vector<Override> settings;  //!< everything that the calibrated scenario says anew
};

//! Replays the log against the scenario, fits, and compares both parts. Throws InputError.
Calibration calibrate(const CalibrateQuestion& question);

//! Tables for people, and the same as JSON: times in s.
std::string calibration_text(const Calibration& calibration);
std::string calibration_json(const Calibration& calibration);
//! Text of a scenario at `file` that extends the calibrated one by the fitted values. Throws
//! InputError for settings below lists, which files that extend others cannot change.
std::string calibrated_scenario(const Calibration& calibration, const std::filesystem::path& file);

}  // namespace isthmus::scenarios
