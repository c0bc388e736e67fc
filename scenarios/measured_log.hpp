// Requests that a server was seen to serve: logs of vLLM, TGI, Triton, and tables of any service.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world/arrivals.hpp"

namespace isthmus::scenarios {

//! One request of a log; what the log does not say is absent. Durations in s, all above 0.
struct MeasuredRequest {
  std::int64_t arrival = 0;  //!< ns since the first request of the log
  std::optional<std::uint32_t> prompt_tokens, output_tokens, image_tokens, client;
  std::optional<double> ttft;     //!< from arrival to the first token
  std::optional<double> tpot;     //!< per token after the first; never of a single token
  std::optional<double> latency;  //!< from arrival to the end
  std::optional<double> service;  //!< from the start of its batch, or first iteration, to the end
  std::optional<double> batch;    //!< requests that were served together
  std::shared_ptr<const world::PromptBlocks> prompt_blocks;
  std::string place;              //!< "file:line", or "file: request 12"

  bool timed() const { return ttft || tpot || latency || service; }
};

//! A log as it was read: in order of arrival.
struct MeasuredLog {
  std::string path, format;  //!< format: "vllm", "tgi", "triton", "csv" or "jsonl"
  std::vector<MeasuredRequest> requests;
  std::vector<std::string> notices;  //!< what was left out or assumed
};

//! How to read a log.
struct LogOptions {
  std::string format = "auto";  //!< or one of log_formats()
  std::string unit = "s";       //!< csv, jsonl: of times whose name does not end in one
  //! For logs that do not say them.
  std::optional<std::uint32_t> prompt_tokens, output_tokens;
  std::uint32_t tokens_per_hash = 0;      //!< jsonl, vllm: of one of "hash_ids"; 0 = not read
  std::optional<std::size_t> experiment;  //!< triton: which of several, from 0 on
  std::string model;                      //!< triton traces: which of several models
};

const std::vector<std::string>& log_formats();

//! Reads and checks a log; the formats are described in docs/calibration.md. Throws InputError with
//! file, line or request, field and the fix: also for times that cannot be meant, such as
//! milliseconds taken for seconds.
MeasuredLog read_measured_log(const std::filesystem::path& path, const LogOptions& options);

}  // namespace isthmus::scenarios
