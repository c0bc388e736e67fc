// Kernel profiles from the public data sets of other projects. One function per format, in
// import_<format>.cpp; the units and quirks of each are in docs/importing_profiles.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/kernel_profile.hpp"

namespace isthmus::models {

//! What the files do not say.
struct ImportOptions {
  std::string device{};   //!< "" = as the files say
  std::string licence{};  //!< SPDX; "" = of the project that publishes the format
  std::string program_version{};
  std::string model{};          //!< built-in language model that was timed, where files name none
  std::string hardware{};       //!< splitwise: which one of several
  std::string kernel_source{};  //!< aiconfigurator: keep this one only; "" = see ImportTables
  //! aiconfigurator: share that is kept of the time in which FP8 products quantize their activations.
  double quantization = 1;
  std::string run{};            //!< ncnn: run_id
  double tdp = 0;               //!< splitwise: W of the whole board, to turn shares into W; 0 = not
  //! bytes/s: faster rows get kernel_flag_cached. 0 = not checked.
  double memory_bandwidth = 0;
  // Generic CSV.
  std::string kind{};  //!< a kernel kind (kernel_kinds.hpp), or one's own
  //! Number format where the files do not say it: vidur (fp16 if not given), llmservingsim (bf16),
  //! splitwise (fp16) and csv (fp32).
  std::optional<Precision> precision{};
  std::map<std::string, std::string> columns{};  //!< parameter -> column
  std::string time_column{}, time_unit{};        //!< unit: ns, us, ms or s
};

//! What became of the rows.
struct ImportReport {
  std::size_t read = 0, kept = 0;                    //!< rows of the files; rows of the profile
  std::size_t merged = 0;                            //!< rows whose shape occurs more than once
  std::map<std::string, std::size_t> skipped;        //!< rows left out, by reason
  std::map<std::string, std::size_t> cached, noisy;  //!< flagged rows by table
};

struct ImportFormat {
  std::string name, project, licence, summary;
  KernelProfile (*import)(const std::vector<std::string>& files, const ImportOptions& options,
                          ImportReport& report);
};

//! vidur, aiconfigurator, llmservingsim, splitwise, ncnn, csv.
const std::vector<ImportFormat>& import_formats();

//! Throws InputError for unknown formats, files that are not of the format ("file:line:"), missing
//! options, and when nothing is left.
KernelProfile import_profile(const std::string& format, const std::vector<std::string>& files,
                             const ImportOptions& options, ImportReport& report);

}  // namespace isthmus::models
