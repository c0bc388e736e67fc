// What a run directory says about how the run was made, for running it again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace isthmus::results {

//! Input of a run, and what it decided about one request.
struct RunInput {
  std::string scenario_json;  //!< everything resolved but paths
  std::uint32_t replication = 0;
  std::uint64_t created = 0;  //!< requests, numbered from 0
  bool has_decisions = false; //!< the run kept them
  //! Of that request, in order: dates in ns and scores.
  std::vector<std::int64_t> dates;
  std::vector<double> scores;
};

//! Reads run.h5 of a run directory. Throws InputError.
RunInput read_run_input(const std::filesystem::path& directory, std::uint64_t request);

}  // namespace isthmus::results
