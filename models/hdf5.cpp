#include "models/hdf5.hpp"

#include <hdf5.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <type_traits>

#include "models/file_seal.hpp"

namespace isthmus::h5 {

static_assert(std::is_same_v<hid_t, std::int64_t>);

namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex m;
  return m;
}

// The HDF5 library is one process-wide object and not always built thread-safe: every public entry
// takes this lock, and silences HDF5's own printing (a per-thread setting in thread-safe builds).
class Lock {
 public:
  Lock() : guard_(library_mutex()) { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

 private:
  std::lock_guard<std::recursive_mutex> guard_;
};

// The innermost message of HDF5's error stack: the cause rather than the list of callers.
std::string last_message() {
  std::string text;
  const auto visit = [](unsigned, const H5E_error2_t* e, void* out) -> herr_t {
    auto* s = static_cast<std::string*>(out);
    if (s->empty() && e->desc != nullptr) *s = e->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, visit, &text);
  return text.empty() ? std::string("HDF5 gave no reason") : text;
}

[[noreturn]] void fail(const std::string& where, const char* what) {
  throw Error(where + ": " + what + " (" + last_message() + ")");
}
[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw InputError(where + ": " + what);
}

// Takes ownership of a new id or throws.
Handle own(hid_t id, const std::string& where, const char* what) {
  if (id < 0) fail(where, what);
  return Handle(id);
}
void check(herr_t status, const std::string& where, const char* what) {
  if (status < 0) fail(where, what);
}

Handle string_type() {
  Handle t(H5Tcopy(H5T_C_S1));
  H5Tset_size(t.id(), H5T_VARIABLE);
  H5Tset_cset(t.id(), H5T_CSET_UTF8);
  return t;
}

// Type of elements in memory and in the file. Files are little-endian on every machine.
template <Element T>
Handle memory_type() {
  if constexpr (std::same_as<T, double>)
    return Handle(H5Tcopy(H5T_NATIVE_DOUBLE));
  else if constexpr (std::same_as<T, std::int64_t>)
    return Handle(H5Tcopy(H5T_NATIVE_INT64));
  else if constexpr (std::same_as<T, std::uint64_t>)
    return Handle(H5Tcopy(H5T_NATIVE_UINT64));
  else if constexpr (std::same_as<T, std::uint32_t>)
    return Handle(H5Tcopy(H5T_NATIVE_UINT32));
  else if constexpr (std::same_as<T, std::uint8_t>)
    return Handle(H5Tcopy(H5T_NATIVE_UINT8));
  else
    return string_type();
}
template <Element T>
Handle file_type() {
  if constexpr (std::same_as<T, double>)
    return Handle(H5Tcopy(H5T_IEEE_F64LE));
  else if constexpr (std::same_as<T, std::int64_t>)
    return Handle(H5Tcopy(H5T_STD_I64LE));
  else if constexpr (std::same_as<T, std::uint64_t>)
    return Handle(H5Tcopy(H5T_STD_U64LE));
  else if constexpr (std::same_as<T, std::uint32_t>)
    return Handle(H5Tcopy(H5T_STD_U32LE));
  else if constexpr (std::same_as<T, std::uint8_t>)
    return Handle(H5Tcopy(H5T_STD_U8LE));
  else
    return string_type();
}
template <Element T>
constexpr const char* type_name() {
  if constexpr (std::same_as<T, double>)
    return "floating point";
  else if constexpr (std::same_as<T, std::int64_t>)
    return "signed 64-bit integer";
  else if constexpr (std::same_as<T, std::uint64_t>)
    return "unsigned 64-bit integer";
  else if constexpr (std::same_as<T, std::uint32_t>)
    return "unsigned 32-bit integer";
  else if constexpr (std::same_as<T, std::uint8_t>)
    return "unsigned 8-bit integer";
  else
    return "string";
}

// Whether every stored value is representable as T.
template <Element T>
bool convertible(hid_t stored) {
  const H5T_class_t type_class = H5Tget_class(stored);
  if constexpr (std::same_as<T, std::string>) {
    return type_class == H5T_STRING;
  } else if constexpr (std::same_as<T, double>) {
    return type_class == H5T_FLOAT && H5Tget_size(stored) <= sizeof(double);
  } else {
    if (type_class != H5T_INTEGER) return false;
    const std::size_t size = H5Tget_size(stored);
    const bool stored_signed = H5Tget_sign(stored) == H5T_SGN_2;
    if (std::is_signed_v<T> == stored_signed) return size <= sizeof(T);
    return std::is_signed_v<T> && size < sizeof(T);
  }
}

// Reads `n` values through `reader(memory type, buffer)`, which serves datasets and attributes.
template <Element T, class Reader>
std::vector<T> read_values(hid_t stored, std::size_t n, const std::string& where, Reader reader) {
  if (!convertible<T>(stored)) refuse(where, std::string("expected ") + type_name<T>() + " values");
  std::vector<T> values(n);
  if (n == 0) return values;
  if constexpr (!std::same_as<T, std::string>) {
    if (reader(memory_type<T>().id(), values.data()) < 0)
      refuse(where, "cannot be read, the file is damaged (" + last_message() + ")");
  } else if (H5Tis_variable_str(stored) > 0) {
    Handle type = string_type();
    H5Tset_cset(type.id(), H5Tget_cset(stored));
    std::vector<char*> raw(n, nullptr);
    if (reader(type.id(), raw.data()) < 0)
      refuse(where, "cannot be read, the file is damaged (" + last_message() + ")");
    for (std::size_t i = 0; i < n; ++i) {
      if (raw[i] != nullptr) values[i] = raw[i];
      H5free_memory(raw[i]);
    }
  } else {
    // Fixed-length strings, as h5py writes numpy 'S' arrays: cut at the padding.
    const std::size_t width = H5Tget_size(stored);
    std::vector<char> raw(n * width);
    if (reader(stored, raw.data()) < 0)
      refuse(where, "cannot be read, the file is damaged (" + last_message() + ")");
    for (std::size_t i = 0; i < n; ++i) {
      const char* first = raw.data() + i * width;
      const char* last = std::find(first, first + width, '\0');
      if (H5Tget_strpad(stored) == H5T_STR_SPACEPAD)
        while (last > first && last[-1] == ' ') --last;
      values[i].assign(first, last);
    }
  }
  return values;
}

// Writes an attribute of `n` elements, replacing an earlier one; scalar when `scalar`.
void write_attribute(hid_t object, const std::string& where, const std::string& name,
                     const Handle& file, const Handle& memory, const void* data, hsize_t n,
                     bool scalar) {
  if (H5Aexists(object, name.c_str()) > 0)
    check(H5Adelete(object, name.c_str()), where, "cannot replace an attribute");
  Handle space(scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &n, nullptr));
  Handle attribute =
      own(H5Acreate2(object, name.c_str(), file.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), where,
          "cannot create an attribute");
  if (n > 0) check(H5Awrite(attribute.id(), memory.id(), data), where, "cannot write an attribute");
}

template <Element T>
std::vector<T> read_attribute(hid_t object, const std::string& where, std::string_view name,
                              bool scalar) {
  const std::string key(name);
  const std::string place = where + " attribute '" + key + "'";
  if (H5Aexists(object, key.c_str()) <= 0) refuse(place, "is missing");
  Handle attribute(H5Aopen(object, key.c_str(), H5P_DEFAULT));
  if (!attribute.valid()) refuse(place, "cannot be opened (" + last_message() + ")");
  Handle type(H5Aget_type(attribute.id()));
  Handle space(H5Aget_space(attribute.id()));
  const hssize_t n = H5Sget_simple_extent_npoints(space.id());
  if (n < 0 || (scalar && n != 1)) refuse(place, "must be one value");
  return read_values<T>(
      type.id(), static_cast<std::size_t>(n), place,
      [&](hid_t memory, void* out) { return H5Aread(attribute.id(), memory, out); });
}

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

// ---- Handle

std::unique_lock<std::recursive_mutex> lock() {
  return std::unique_lock<std::recursive_mutex>(library_mutex());
}

Handle& Handle::operator=(Handle&& o) noexcept {
  if (this != &o) {
    reset();
    std::swap(id_, o.id_);
  }
  return *this;
}

bool Handle::reset() noexcept {
  if (id_ < 0) return true;
  const Lock lock;
  const hid_t id = id_;
  id_ = -1;
  switch (H5Iget_type(id)) {
    case H5I_FILE:
      return H5Fclose(id) >= 0;
    case H5I_GROUP:
      return H5Gclose(id) >= 0;
    case H5I_DATASET:
      return H5Dclose(id) >= 0;
    case H5I_DATASPACE:
      return H5Sclose(id) >= 0;
    case H5I_DATATYPE:
      return H5Tclose(id) >= 0;
    case H5I_ATTR:
      return H5Aclose(id) >= 0;
    case H5I_GENPROP_LST:
      return H5Pclose(id) >= 0;
    default:
      return false;
  }
}

// ---- Object

bool Object::has_attribute(std::string_view name) const {
  const Lock lock;
  return H5Aexists(handle_.id(), std::string(name).c_str()) > 0;
}

void Object::set_attribute(std::string_view name, std::string_view value) {
  const Lock lock;
  const std::string text(value);
  const char* data = text.c_str();
  write_attribute(handle_.id(), where_, std::string(name), string_type(), string_type(), &data, 1,
                  true);
}

void Object::set_attribute(std::string_view name, double value) {
  const Lock lock;
  write_attribute(handle_.id(), where_, std::string(name), file_type<double>(),
                  memory_type<double>(), &value, 1, true);
}

void Object::set_attribute(std::string_view name, std::int64_t value) {
  const Lock lock;
  write_attribute(handle_.id(), where_, std::string(name), file_type<std::int64_t>(),
                  memory_type<std::int64_t>(), &value, 1, true);
}

void Object::set_attribute(std::string_view name, std::uint64_t value) {
  const Lock lock;
  write_attribute(handle_.id(), where_, std::string(name), file_type<std::uint64_t>(),
                  memory_type<std::uint64_t>(), &value, 1, true);
}

void Object::set_attribute(std::string_view name, std::span<const std::string> values) {
  const Lock lock;
  std::vector<const char*> raw;
  for (const auto& v : values) raw.push_back(v.c_str());
  write_attribute(handle_.id(), where_, std::string(name), string_type(), string_type(), raw.data(),
                  raw.size(), false);
}

std::string Object::string_attribute(std::string_view name) const {
  const Lock lock;
  return read_attribute<std::string>(handle_.id(), where_, name, true).front();
}
double Object::double_attribute(std::string_view name) const {
  const Lock lock;
  return read_attribute<double>(handle_.id(), where_, name, true).front();
}
std::int64_t Object::int64_attribute(std::string_view name) const {
  const Lock lock;
  return read_attribute<std::int64_t>(handle_.id(), where_, name, true).front();
}
std::uint64_t Object::uint64_attribute(std::string_view name) const {
  const Lock lock;
  return read_attribute<std::uint64_t>(handle_.id(), where_, name, true).front();
}
std::vector<std::string> Object::strings_attribute(std::string_view name) const {
  const Lock lock;
  return read_attribute<std::string>(handle_.id(), where_, name, false);
}

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
