// Identifiers and attributes.
#include "models/hdf5_internal.hpp"

namespace isthmus::h5 {

namespace {

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

}  // namespace

// ---- Handle

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

}  // namespace isthmus::h5
