// Measured kernel timings of one device, stored in HDF5 (docs/profile_format.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/kernel_grid.hpp"
#include "models/precision.hpp"

namespace isthmus::models {

//! Timings of one operator kind in one precision: `parameters` name the columns of `shapes`, row by
//! row. Their order matters only for ragged tables, whose leading parameters are matched exactly
//! (docs/profile_format.md): what look-ups should interpolate comes last.
struct KernelTable {
  std::string kind;  //!< "gemm", "elementwise", ...
  Precision precision = Precision::fp32;
  std::vector<std::string> parameters;  //!< e.g. {"n", "k", "m"}
  std::string description;              //!< what one row timed
  std::vector<double> shapes;           //!< rows() x parameters.size(), row-major, finite, >= 0
  std::vector<double> median_ns, p10_ns, p90_ns;  //!< per row, 0 < p10 <= median <= p90
  std::vector<std::uint64_t> n;                   //!< timed repetitions per row, >= 1
  std::vector<std::uint64_t> flags;               //!< KernelFlag bits per row; empty = no remarks
  std::vector<double> power_w;  //!< mean board power while repeating, W; 0 = unknown; empty = none

  std::size_t rows() const { return median_ns.size(); }
};

//! Where a profile comes from; all of it is in the file.
struct ProfileInfo {
  std::string device;           //!< "AMD EPYC (1 core)"
  std::string provenance;       //!< how it was measured or imported, with versions
  std::string licence;          //!< SPDX identifier of the data
  std::string program_version;  //!< of the writer
};

//! A set of tables, immutable after loading; look-ups are safe from many threads.
class KernelProfile {
 public:
  //! Newest version of the format that this program reads and the one it writes.
  static constexpr std::int64_t format_version = 2;
  //! Most shape parameters of a table.
  static constexpr std::size_t max_parameters = 16;

  explicit KernelProfile(ProfileInfo info) : info_(std::move(info)) {}
  //! Adds a table. Throws InputError when columns differ in length, values are impossible, a shape
  //! occurs twice, or the kind and precision are there already.
  void add(KernelTable table);

  //! Reads a file. Throws InputError, naming the file and the reason, when it is missing,
  //! truncated, damaged, of another type, or of a newer version.
  static KernelProfile load(const std::string& path);
  //! Writes a file. Throws Error when the disk refuses.
  void save(const std::string& path) const;

  const ProfileInfo& info() const { return info_; }
  std::vector<const KernelTable*> tables() const;
  //! The table for that kind and precision, or null.
  const KernelTable* table(std::string_view kind, Precision precision) const;

  //! The prepared look-ups of that table, or null. Callers that ask often keep it.
  const KernelGrid* grid(std::string_view kind, Precision precision) const;

  //! Time of one kernel (KernelGrid::at), or nothing when there is no such table.
  std::optional<KernelTime> lookup(std::string_view kind, Precision precision,
                                   std::span<const double> shape) const;
  //! Time along one parameter (KernelGrid::line), or nothing when there is no such table.
  std::optional<KernelLine> line(std::string_view kind, Precision precision,
                                 std::span<const double> shape, std::size_t free, double low,
                                 double high) const;
  //! The row nearest to `shape` by the sum of squared logarithms of parameter ratios, or nothing
  //! when there is no such table: the anchor of an extrapolation.
  struct Nearest {
    std::vector<double> shape;
    double ns = 0;
  };
  std::optional<Nearest> nearest(std::string_view kind, Precision precision,
                                 std::span<const double> shape) const;
  //! Errors when every row is predicted from the others. Nothing when there is no such table or no
  //! row of it can be predicted that way.
  std::optional<LeaveOneOut> leave_one_out(std::string_view kind, Precision precision) const;
  //! Its mean absolute relative error.
  std::optional<double> leave_one_out_error(std::string_view kind, Precision precision) const;

 private:
  struct Prepared {
    explicit Prepared(KernelTable sorted);
    KernelTable table;         // rows sorted by shape
    std::vector<double> logs;  // ln(shape + 1), for nearest()
    KernelGrid grid;
  };
  const Prepared* find(std::string_view kind, Precision precision) const;
  ProfileInfo info_;
  std::vector<std::shared_ptr<const Prepared>> tables_;
};

}  // namespace isthmus::models
