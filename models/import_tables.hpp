// Gathers imported rows into tables: duplicates become one row, remarks become flags.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/profile_import.hpp"

namespace isthmus::models {

//! One timing, all in ns. p10 and p90 equal the median where the source gives nothing else.
struct ImportedTime {
  double median = 0, p10 = 0, p90 = 0;
  double power = 0;  //!< W, 0 = unknown
  std::uint64_t repeats = 1;
  //! Which kernel or engine was timed, "" where files know only one. Times of different sources are
  //! never merged.
  std::string source{};
};

class ImportTables {
 public:
  ImportTables(const ImportOptions& options, ImportReport& report)
      : options_(options), report_(report) {}

  //! Adds a row. `kind` must be in kernel_kinds; `shape` has its parameters in that order.
  void add(std::string_view kind, Precision precision, const std::vector<double>& shape,
           const ImportedTime& time);
  //! The same for a kind of its own.
  void add_own(const std::string& kind, Precision precision,
               const std::vector<std::string>& parameters, const std::vector<double>& shape,
               const ImportedTime& time);
  //! Leaves out rows of `kind` that take `factor` times as long as a row that is at least as large in
  //! every parameter: padding would be faster, so something disturbed the measurement.
  void drop_disturbed(std::string_view kind, double factor);
  //! Keeps `share` of what FP8 products take for the quantization of their activations: their time
  //! beyond BF16 products of the same k and m, both extrapolated to n = 0.
  void scale_quantization(double share);
  void skip(const std::string& reason) { ++report_.skipped[reason]; }

  //! Duplicates are merged by their median. Where several sources timed a shape, the one with most
  //! rows in the table is kept (the first by name, if equal) and the others are counted as left
  //! out. Throws InputError when there are no rows.
  KernelProfile finish(ProfileInfo info, const std::string& description);

 private:
  struct Table {
    std::vector<std::string> parameters;
    std::map<std::vector<double>, std::vector<ImportedTime>> rows;
    std::map<std::string, std::size_t> sources;  // rows by source
  };
  std::vector<ImportedTime> of_one_source(const Table& table,
                                          const std::vector<ImportedTime>& times);
  void fill(KernelTable& out, const Table& table);
  const ImportOptions& options_;
  ImportReport& report_;
  std::map<std::pair<std::string, Precision>, Table> tables_;
};

//! Symmetric percentiles from minimum, maximum and standard deviation: +-1.2816 deviations, inside
//! the range.
ImportedTime spread_time(double median, double least, double most, double deviation);

}  // namespace isthmus::models
