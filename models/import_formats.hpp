// The importers behind import_formats(); see profile_import.hpp.
#pragma once

#include "models/profile_import.hpp"

namespace isthmus::models {

KernelProfile import_vidur(const std::vector<std::string>& files, const ImportOptions& options,
                           ImportReport& report);
KernelProfile import_aiconfigurator(const std::vector<std::string>& files,
                                    const ImportOptions& options, ImportReport& report);
KernelProfile import_llmservingsim(const std::vector<std::string>& files,
                                   const ImportOptions& options, ImportReport& report);
KernelProfile import_splitwise(const std::vector<std::string>& files, const ImportOptions& options,
                               ImportReport& report);
KernelProfile import_ncnn(const std::vector<std::string>& files, const ImportOptions& options,
                          ImportReport& report);
KernelProfile import_csv(const std::vector<std::string>& files, const ImportOptions& options,
                         ImportReport& report);

//! "Imported from <project>: a.csv, b.csv; 1200 rows read".
std::string provenance(const std::string& project, const std::vector<std::string>& files,
                       const ImportReport& report);

}  // namespace isthmus::models
