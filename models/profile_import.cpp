#include "models/profile_import.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "models/import_formats.hpp"
#include "models/name_error.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

const std::vector<ImportFormat>& import_formats() {
  static const std::vector<ImportFormat> formats{
      {"vidur", "microsoft/vidur", "MIT",
       "mlp.csv, attention.csv, all_reduce.csv and send_recv.csv (ms, one layer)", import_vidur},
      {"aiconfigurator", "ai-dynamo/aiconfigurator", "Apache-2.0",
       "gemm, attention, moe, nccl and custom_allreduce tables (ms; messages in elements)",
       import_aiconfigurator},
      {"llmservingsim", "casys-kaist/LLMServingSim", "MIT",
       "dense.csv, per_sequence.csv, attention.csv and moe.csv (us, one layer); needs the model",
       import_llmservingsim},
      {"splitwise", "Mutinifni/splitwise-sim", "MIT",
       "perf_model.csv: prompt and token phases of whole models (ms); needs model and hardware",
       import_splitwise},
      {"ncnn", "Tencent/ncnn", "BSD-3-Clause",
       "results.csv with devices.csv and runs.csv beside it: whole networks (ms); needs the run",
       import_ncnn},
      {"csv", "a table of one's own", "LicenseRef-unknown",
       "any table of one kernel kind; needs kind, columns and time column", import_csv},
  };
  return formats;
}

KernelProfile import_profile(const std::string& format, const std::vector<std::string>& files,
                             const ImportOptions& options, ImportReport& report) {
  if (files.empty()) throw InputError("name at least one file to import");
  std::vector<std::string> names;
  for (const ImportFormat& f : import_formats()) names.push_back(f.name);
  for (const ImportFormat& f : import_formats()) {
    if (f.name != format) continue;
    for (const std::string& file : files)
      if (std::filesystem::path(file).extension() == ".parquet")
        throw InputError(file +
                         ": Parquet files are imported from Python: ./isthmus python -m "
                         "isthmus.profiles import " +
                         format + " " + file + " --out profile.h5");
    if (options.precision && (f.name == "aiconfigurator" || f.name == "ncnn"))
      throw InputError(f.name +
                       ": the files say the number format of every row; leave out the "
                       "precision");
    return f.import(files, options, report);
  }
  throw name_error("import format", format, names);
}

std::string provenance(const std::string& project, const std::vector<std::string>& files,
                       const ImportReport& report) {
  std::string list;
  for (const std::string& f : files)
    list += (list.empty() ? "" : ", ") + std::filesystem::path(f).filename().string();
  return fmt::format("Imported from {}: {}; {} rows read", project, list, report.read);
}

}  // namespace isthmus::models
