// Recorded arrivals, read row by row from files in the formats that published traces use.
#pragma once

#include <memory>

#include "sim/world/arrivals.hpp"

namespace isthmus::world {

//! Opens Arrivals::file in Arrivals::format and reads its first row. The first arrival is at
//! Arrivals::start; later ones keep their distance from it times time_scale. Rows must be in order
//! of time (equal dates are fine). At most `limit` arrivals are read. Memory does not grow with
//! the file. Throws InputError "file:line: message" here and from next().
//!
//! azure_llm: CSV with TIMESTAMP, ContextTokens, GeneratedTokens and, in the multimodal trace,
//! NumImages (times Arrivals::tokens_per_image image tokens). The dates of 2023 (seven fraction
//! digits, no zone), 2024 (+00:00) and 2025 (T and Z) are all read.
//! mooncake: one JSON object per line with timestamp [ms], input_length, output_length and, unless
//! Arrivals::tokens_per_hash is 0, hash_ids; other keys are checked for syntax and skipped.
//! burstgpt: CSV with Timestamp [s], "Request tokens", "Response tokens". Rows without response
//! tokens are requests that failed in the original system: they are left out, as in the authors'
//! own "without fails" files.
//! csv: a time column (time or time_s, time_ms, time_us, time_ns) and, as wanted, prompt_tokens,
//! output_tokens, image_tokens, upload_bytes, download_bytes, client. An empty cell leaves the
//! value to the workload's own distributions. Other columns are ignored, except that a name close
//! to one of these is an error (it would be a misspelling that silently changes the load); a '#'
//! before the name keeps such a column out.
std::unique_ptr<ArrivalSource> open_trace(const Arrivals& arrivals);

}  // namespace isthmus::world
