// Kernel profiles as HDF5 files; the format is documented in docs/profile_format.md.
#include <fmt/format.h>

#include "models/hdf5.hpp"
#include "models/kernel_profile.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

constexpr const char* filetype = "isthmus kernel profile";

// One column of a table, with its attributes.
template <class T>
void write_column(h5::Group& group, const std::string& name, const std::vector<T>& values,
                  const char* units, const char* description) {
  h5::Dataset dataset = group.write<T>(name, values);
  dataset.set_attribute("units", units);
  dataset.set_attribute("description", description);
}

void write_table(h5::Group& kind, const KernelTable& t) {
  h5::Group group = kind.create_group(name_of(t.precision));
  group.set_attribute("parameters", t.parameters);
  group.set_attribute("description", t.description);
  for (std::size_t i = 0; i < t.parameters.size(); ++i) {
    std::vector<double> column;
    for (std::size_t row = 0; row < t.rows(); ++row)
      column.push_back(t.shapes[row * t.parameters.size() + i]);
    write_column(group, t.parameters[i], column, "1", "shape parameter");
  }
  write_column(group, "median_ns", t.median_ns, "ns", "median time of one execution");
  write_column(group, "p10_ns", t.p10_ns, "ns", "10th percentile of the time");
  write_column(group, "p90_ns", t.p90_ns, "ns", "90th percentile of the time");
  write_column(group, "repeats", t.n, "1", "timed repetitions");
  if (!t.flags.empty())
    write_column(group, "flags", t.flags, "1", "remarks: 1 cached, 2 noisy, 4 no percentiles");
  if (!t.power_w.empty())
    write_column(group, "power_w", t.power_w, "W", "mean board power, 0 = unknown");
}

KernelTable read_table(const h5::Group& group, const std::string& kind, Precision precision) {
  KernelTable t;
  t.kind = kind;
  t.precision = precision;
  t.parameters = group.strings_attribute("parameters");
  t.description = group.string_attribute("description");
  t.median_ns = group.read<double>("median_ns");
  t.p10_ns = group.read<double>("p10_ns");
  t.p90_ns = group.read<double>("p90_ns");
  t.n = group.read<std::uint64_t>("repeats");
  // Since version 2, where there is something to say.
  if (group.has("flags")) t.flags = group.read<std::uint64_t>("flags");
  if (group.has("power_w")) t.power_w = group.read<double>("power_w");
  t.shapes.resize(t.rows() * t.parameters.size());
  for (std::size_t i = 0; i < t.parameters.size(); ++i) {
    const auto column = group.read<double>(t.parameters[i]);
    if (column.size() != t.rows())
      throw InputError(fmt::format("{}/{}: has {} rows where median_ns has {}", group.where(),
                                   t.parameters[i], column.size(), t.rows()));
    for (std::size_t row = 0; row < t.rows(); ++row)
      t.shapes[row * t.parameters.size() + i] = column[row];
  }
  for (const char* column : {"median_ns", "p10_ns", "p90_ns"})
    if (const auto units = group.dataset(column).string_attribute("units"); units != "ns")
      throw InputError(
          fmt::format("{}/{}: units must be \"ns\", not \"{}\"", group.where(), column, units));
  return t;
}

}  // namespace

void KernelProfile::save(const std::string& path) const {
  h5::File file = h5::File::create(path);
  file.set_attribute("filetype", filetype);
  file.set_attribute("version", format_version);
  file.set_attribute("program_version", info_.program_version);
  file.set_attribute("device", info_.device);
  file.set_attribute("provenance", info_.provenance);
  file.set_attribute("licence", info_.licence);
  for (const auto& p : tables_) {
    h5::Group kind =
        file.has(p->table.kind) ? file.open_group(p->table.kind) : file.create_group(p->table.kind);
    write_table(kind, p->table);
  }
  file.close();
}

KernelProfile KernelProfile::load(const std::string& path) {
  const h5::File file = h5::File::open(path);

  // Type and version first, so that a foreign file gets a plain answer.
  if (!file.has_attribute("filetype") || file.string_attribute("filetype") != filetype)
    throw InputError(fmt::format("{}: is not a kernel profile (its root has no filetype \"{}\")",
                                 path, filetype));
  const std::int64_t version = file.int64_attribute("version");
  if (version > format_version)
    throw InputError(
        fmt::format("{}: has format version {}, this program reads up to {}; use a "
                    "newer isthmus",
                    path, version, format_version));
  if (version < 1)
    throw InputError(fmt::format("{}: has format version {}, which never existed", path, version));

  KernelProfile profile({.device = file.string_attribute("device"),
                         .provenance = file.string_attribute("provenance"),
                         .licence = file.string_attribute("licence"),
                         .program_version = file.string_attribute("program_version")});
  for (const auto& kind : file.group_names()) {
    const h5::Group group = file.open_group(kind);
    for (const auto& name : group.group_names()) {
      const auto precision = precision_from(name);
      if (!precision)
        throw InputError(fmt::format("{}/{}: is not a precision", group.where(), name));
      try {
        profile.add(read_table(group.open_group(name), kind, *precision));
      } catch (const InputError& e) {
        const std::string what = e.what();
        if (what.find(path) != std::string::npos) throw;
        throw InputError(path + ": " + what);
      }
    }
  }
  if (profile.tables_.empty()) throw InputError(path + ": holds no kernel tables");
  return profile;
}

}  // namespace isthmus::models
