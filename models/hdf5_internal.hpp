// Locks, errors and types shared by the sources of the HDF5 wrapper. Included by them only: HDF5's
// own header must not reach the rest of isthmus.
#pragma once

#include <pthread.h>

#include <hdf5.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <type_traits>

#include "models/hdf5.hpp"

namespace isthmus::h5 {

static_assert(std::is_same_v<hid_t, std::int64_t>);

// A forked child must find the library between calls and the lock free: fork waits for the lock, and the
// child, whose thread has another id than the owner that it inherited, starts with a new one.
inline std::recursive_mutex& library_mutex() {
  static std::recursive_mutex& mutex = []() -> std::recursive_mutex& {
    static std::recursive_mutex m;
    pthread_atfork([] { library_mutex().lock(); }, [] { library_mutex().unlock(); },
                   [] { new (&library_mutex()) std::recursive_mutex; });
    return m;
  }();
  return mutex;
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
inline std::string last_message() {
  std::string text;
  const auto visit = [](unsigned, const H5E_error2_t* e, void* out) -> herr_t {
    auto* s = static_cast<std::string*>(out);
    if (s->empty() && e->desc != nullptr) *s = e->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, visit, &text);
  return text.empty() ? std::string("HDF5 gave no reason") : text;
}

[[noreturn]] inline void fail(const std::string& where, const char* what) {
  throw Error(where + ": " + what + " (" + last_message() + ")");
}
[[noreturn]] inline void refuse(const std::string& where, const std::string& what) {
  throw InputError(where + ": " + what);
}

// Takes ownership of a new id or throws.
inline Handle own(hid_t id, const std::string& where, const char* what) {
  if (id < 0) fail(where, what);
  return Handle(id);
}
inline void check(herr_t status, const std::string& where, const char* what) {
  if (status < 0) fail(where, what);
}

inline Handle string_type() {
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

}  // namespace isthmus::h5
