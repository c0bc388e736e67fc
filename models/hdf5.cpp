#include "models/hdf5.hpp"

#include <filesystem>

#include "models/file_seal.hpp"
#include "models/hdf5_internal.hpp"

namespace isthmus::h5 {

namespace {

// Layout of a dataset: chunked with checksum, optionally deflated, without time stamps. Variable-
// length strings live in HDF5's heap, beyond the reach of filters: they get neither.
template <Element T>
Handle dataset_properties(std::uint64_t chunk, int deflate, bool checksum,
                          const std::optional<T>& fill) {
  Handle p(H5Pcreate(H5P_DATASET_CREATE));
  const hsize_t dims = chunk;
  H5Pset_chunk(p.id(), 1, &dims);
  H5Pset_obj_track_times(p.id(), false);
  if constexpr (std::same_as<T, std::string>) {
    return p;
  } else if (fill) {
    H5Pset_fill_value(p.id(), memory_type<T>().id(), &*fill);
  }
  if (deflate > 0) {
    H5Pset_shuffle(p.id());
    H5Pset_deflate(p.id(), static_cast<unsigned>(std::min(deflate, 9)));
  }
  if (checksum) H5Pset_fletcher32(p.id());
  return p;
}

// Writes `values` at element `offset` of an already large enough dataset.
template <Element T>
void write_slab(hid_t dataset, const std::string& where, std::span<const T> values,
                std::uint64_t offset) {
  const hsize_t n = values.size(), start = offset;
  Handle memory_space(H5Screate_simple(1, &n, nullptr));
  Handle file_space(H5Dget_space(dataset));
  check(H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, &start, nullptr, &n, nullptr), where,
        "cannot select elements");
  const auto put = [&](const void* data) {
    check(H5Dwrite(dataset, memory_type<T>().id(), memory_space.id(), file_space.id(), H5P_DEFAULT,
                   data),
          where, "cannot write");
  };
  if constexpr (std::same_as<T, std::string>) {
    std::vector<const char*> raw(values.size());
    for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = values[i].c_str();
    put(raw.data());
  } else {
    put(values.data());
  }
}

template <Element T>
Handle create_dataset(hid_t group, const std::string& where, std::string_view name, hsize_t size,
                      std::uint64_t chunk, int deflate, bool checksum = true,
                      const std::optional<T>& fill = std::nullopt) {
  const hsize_t unlimited = H5S_UNLIMITED;
  Handle space(H5Screate_simple(1, &size, &unlimited));
  // Chunks without filters are written whole: HDF5's chunk cache would only copy them once more.
  Handle access(H5Pcreate(H5P_DATASET_ACCESS));
  if (deflate == 0 && !checksum)
    H5Pset_chunk_cache(access.id(), H5D_CHUNK_CACHE_NSLOTS_DEFAULT, 0, H5D_CHUNK_CACHE_W0_DEFAULT);
  return own(
      H5Dcreate2(group, std::string(name).c_str(), file_type<T>().id(), space.id(), H5P_DEFAULT,
                 dataset_properties<T>(chunk, deflate, checksum, fill).id(), access.id()),
      where, "cannot create the dataset");
}

}  // namespace

// ---- Dataset

std::uint64_t Dataset::size() const {
  const Lock lock;
  Handle space(H5Dget_space(handle_.id()));
  if (H5Sget_simple_extent_ndims(space.id()) != 1) refuse(where_, "must have one dimension");
  return static_cast<std::uint64_t>(H5Sget_simple_extent_npoints(space.id()));
}

template <Element T>
std::vector<T> Dataset::read() const {
  const Lock lock;
  Handle type(H5Dget_type(handle_.id()));
  return read_values<T>(type.id(), size(), where_, [&](hid_t memory, void* out) {
    return H5Dread(handle_.id(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  });
}

// ---- Column

template <Element T>
Column<T>::Column(Handle handle, std::string where, std::uint64_t chunk, std::optional<T> fill)
    : Object(std::move(handle), std::move(where)), fill_(std::move(fill)), chunk_(chunk) {
  buffer_.reserve(std::min<std::uint64_t>(chunk, 16384));
}

template <Element T>
Column<T>::~Column() {
  // Reached with data only when the owner gave up or is unwinding: save what can be saved.
  try {
    if (handle_.valid()) flush();
  } catch (const Error&) {
  }
}

template <Element T>
Column<T>& Column<T>::operator=(Column&& o) noexcept {
  if (this != &o) {
    this->~Column();
    new (this) Column(std::move(o));
  }
  return *this;
}

template <Element T>
void Column<T>::append(std::span<const T> values) {
  // Whole chunks straight from the caller's memory while nothing waits in the buffer.
  if (const std::size_t whole = values.size() - values.size() % chunk_;
      whole > 0 && buffer_.empty()) {
    write(values.first(whole));
    values = values.subspan(whole);
  }
  for (const T& v : values) append(v);
}

template <Element T>
void Column<T>::write(std::span<const T> values) {
  if (!handle_.valid()) throw Error(where_ + ": appended to a closed column");
  const Lock lock;
  const hsize_t total = written_ + values.size();
  check(H5Dset_extent(handle_.id(), &total), where_, "cannot grow");
  // Space that is never written reads as the fill value.
  const bool is_fill =
      fill_ && std::all_of(values.begin(), values.end(), [&](const T& v) { return v == *fill_; });
  if (!is_fill) write_slab<T>(handle_.id(), where_, values, written_);
  written_ = total;
}

template <Element T>
void Column<T>::flush() {
  if (buffer_.empty()) return;
  write(buffer_);
  buffer_.clear();
}

template <Element T>
void Column<T>::close() {
  flush();
  if (!handle_.reset()) fail(where_, "cannot close");
}

// ---- Group

std::string Group::child(std::string_view name) const {
  if (name.empty() || name.find('/') != std::string_view::npos)
    throw Error(where_ + ": '" + std::string(name) + "' is not a valid name");
  return where_ + (where_.ends_with('/') ? "" : "/") + std::string(name);
}

Group Group::create_group(std::string_view name) {
  const Lock lock;
  const std::string where = child(name);
  Handle properties(H5Pcreate(H5P_GROUP_CREATE));
  H5Pset_obj_track_times(properties.id(), false);
  return Group(own(H5Gcreate2(handle_.id(), std::string(name).c_str(), H5P_DEFAULT, properties.id(),
                              H5P_DEFAULT),
                   where, "cannot create the group"),
               where);
}

Group Group::open_group(std::string_view name) const {
  const Lock lock;
  const std::string where = child(name);
  if (!has(name)) refuse(where, "is missing");
  Handle group(H5Gopen2(handle_.id(), std::string(name).c_str(), H5P_DEFAULT));
  if (!group.valid()) refuse(where, "is not a readable group (" + last_message() + ")");
  return Group(std::move(group), where);
}

bool Group::has(std::string_view name) const {
  const Lock lock;
  return H5Lexists(handle_.id(), std::string(name).c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> Group::names(bool groups) const {
  const Lock lock;
  // Collect the links in name order, then keep those of the wanted kind.
  std::vector<std::string> all;
  const auto visit = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  if (H5Literate(handle_.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, visit, &all) < 0)
    refuse(where_, "cannot be listed, the file is damaged (" + last_message() + ")");
  std::erase_if(all, [&](const std::string& name) {
    const Handle object(H5Oopen(handle_.id(), name.c_str(), H5P_DEFAULT));
    if (!object.valid()) refuse(child(name), "cannot be opened (" + last_message() + ")");
    return H5Iget_type(object.id()) != (groups ? H5I_GROUP : H5I_DATASET);
  });
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<std::string> Group::group_names() const { return names(true); }
std::vector<std::string> Group::dataset_names() const { return names(false); }

template <Element T>
Dataset Group::write(std::string_view name, std::span<const T> values) {
  const Lock lock;
  const std::string where = child(name);
  const std::uint64_t chunk = std::clamp<std::uint64_t>(values.size(), 1, 65536);
  Handle dataset = create_dataset<T>(handle_.id(), where, name, values.size(), chunk, 4);
  if (!values.empty()) write_slab<T>(dataset.id(), where, values, 0);
  return Dataset(std::move(dataset), where);
}

Dataset Group::dataset(std::string_view name) const {
  const Lock lock;
  const std::string where = child(name);
  if (!has(name)) refuse(where, "is missing");
  Handle dataset(H5Dopen2(handle_.id(), std::string(name).c_str(), H5P_DEFAULT));
  if (!dataset.valid()) refuse(where, "is not a readable dataset (" + last_message() + ")");
  return Dataset(std::move(dataset), where);
}

template <Element T>
Column<T> Group::create_column(std::string_view name, ColumnOptions options,
                               std::optional<T> fill) {
  const Lock lock;
  const std::string where = child(name);
  if (options.chunk == 0) throw Error(where + ": chunk must be at least 1");
  return Column<T>(create_dataset<T>(handle_.id(), where, name, 0, options.chunk, options.deflate,
                                     options.checksum, fill),
                   where, options.chunk, fill);
}

// ---- File

File File::create(const std::string& path) {
  const Lock lock;
  // No time stamps, and the 1.10 format, whose metadata carry checksums.
  Handle creation(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_obj_track_times(creation.id(), false);
  Handle access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_LATEST);
  return File(own(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), path,
                  "cannot create the file"),
              path, true);
}

File File::open(const std::string& path) {
  const Lock lock;
  std::error_code ec;
  if (!std::filesystem::is_regular_file(path, ec)) refuse(path, "no such file");
  if (!seal_holds(path)) refuse(path, "is damaged (its contents do not match its seal)");
  if (H5Fis_hdf5(path.c_str()) <= 0) refuse(path, "is not an HDF5 file");
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  if (!file.valid()) refuse(path, "is truncated or damaged (" + last_message() + ")");
  return File(std::move(file), path, false);
}

void File::close() {
  const Lock lock;
  if (!handle_.valid()) return;
  if (H5Fget_obj_count(handle_.id(), H5F_OBJ_ALL) > 1)
    throw Error(where_ + ": closed while groups or columns of it are still open");
  if (writable_) check(H5Fflush(handle_.id(), H5F_SCOPE_LOCAL), where_, "cannot write");
  if (!handle_.reset()) fail(where_, "cannot close");
  if (writable_ && !append_seal(path_)) throw Error(path_ + ": cannot write the seal");
}

// The element types of the concept, once each.
#define ISTHMUS_H5_INSTANTIATE(T)                                                                \
  template std::vector<T> Dataset::read<T>() const;                                              \
  template Dataset Group::write<T>(std::string_view, std::span<const T>);                        \
  template Column<T> Group::create_column<T>(std::string_view, ColumnOptions, std::optional<T>); \
  template class Column<T>;
ISTHMUS_H5_INSTANTIATE(double)
ISTHMUS_H5_INSTANTIATE(std::int64_t)
ISTHMUS_H5_INSTANTIATE(std::uint64_t)
ISTHMUS_H5_INSTANTIATE(std::uint32_t)
ISTHMUS_H5_INSTANTIATE(std::uint8_t)
ISTHMUS_H5_INSTANTIATE(std::string)
#undef ISTHMUS_H5_INSTANTIATE

}  // namespace isthmus::h5
