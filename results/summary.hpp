// Reading and writing summaries as files.
#pragma once

#include <filesystem>
#include <string>

#include "results/recorder.hpp"

namespace isthmus::results {

//! The summary as JSON without what differs between two executions of the same run (cpu_seconds,
//! directory): the bytes of summary.json. summary_from_json reads it too.
std::string reproducible_json(const Summary& summary);

//! What summary.json leaves out: the bytes of performance.json.
std::string performance_json(const Summary& summary);

//! Reads a run directory back: summary.json, and performance.json where present. InputError when
//! the directory holds no readable summary.
Summary load_summary(const std::filesystem::path& directory);

}  // namespace isthmus::results
