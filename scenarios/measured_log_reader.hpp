// What the readers of measured logs share; for measured_log*.cpp only.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "scenarios/json_pick.hpp"
#include "scenarios/measured_log.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

//! A log file in memory, and what has been read of it.
struct LogReading {
  const LogOptions& options;
  std::string_view content;
  MeasuredLog& log;
  std::size_t failed = 0;  //!< requests that the server did not answer

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(fmt::format("{}: {}", log.path, message));
  }
  [[noreturn]] static void fail_at(const std::string& place, const std::string& message) {
    throw InputError(fmt::format("{}: {}", place, message));
  }
  std::string line_place(std::size_t line) const { return fmt::format("{}:{}", log.path, line); }
  std::string request_place(std::size_t i) const {
    return fmt::format("{}: request {}", log.path, i);
  }
};

//! Calls `each(line, number)` for every line that is not blank, numbers from 1 on.
template <class Each>
void for_each_line(std::string_view content, const Each& each) {
  std::size_t number = 0;
  while (!content.empty()) {
    ++number;
    const std::size_t end = content.find('\n');
    std::string_view line = content.substr(0, end);
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find_first_not_of(" \t") != std::string_view::npos) each(line, number);
  }
}

// A number of a JSON object or list, checked. `unit` is its size in s, or 1.
double log_amount(std::string_view value, std::string_view field, const std::string& place,
                  double unit = 1);
//! The same, above 0.
double log_duration(std::string_view value, std::string_view field, const std::string& place,
                    double unit = 1);
std::uint32_t log_count(std::string_view value, std::string_view field, const std::string& place);
//! A date in ns, from a number of `unit` ns or a date such as "2024-05-10 00:00:00.009930+00:00".
std::int64_t log_date(std::string_view value, std::string_view field, const std::string& place,
                      std::int64_t unit);
//! What equal numbers of "hash_ids" say about prompts that begin alike.
std::shared_ptr<const world::PromptBlocks> log_blocks(std::string_view value, std::uint32_t tokens,
                                                      const std::string& place);

//! The requests of "a vLLM run as JSON lines, one object per request.
void read_vllm_lines(LogReading& in);
//! The result file of `vllm bench serve`, an object of lists.
void read_vllm_result(LogReading& in);
//! The router log of TGI, as JSON lines or as text.
void read_tgi(LogReading& in);
//! perf_analyzer's profile export, or a trace of the server.
void read_triton(LogReading& in);
void read_log_csv(LogReading& in);
void read_log_lines(LogReading& in);

}  // namespace isthmus::scenarios
