// The one wrapper on the HDF5 C library: files, groups, datasets, attributes and streamed columns.
// Used by models/ (kernel profiles) and results/ (run files). No HDF5 header leaks from here.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/errors.hpp"

namespace isthmus::h5 {

//! Element types of datasets and columns. Strings are stored as variable-length UTF-8.
template <class T>
concept Element =
    std::same_as<T, double> || std::same_as<T, std::int64_t> || std::same_as<T, std::uint64_t> ||
    std::same_as<T, std::uint32_t> || std::same_as<T, std::uint8_t> || std::same_as<T, std::string>;

//! An open HDF5 identifier; closes it when destroyed. Movable, not copyable.
class Handle {
 public:
  Handle() = default;
  explicit Handle(std::int64_t id) : id_(id) {}
  ~Handle() { reset(); }
  Handle(Handle&& o) noexcept : id_(o.id_) { o.id_ = -1; }
  Handle& operator=(Handle&& o) noexcept;
  std::int64_t id() const { return id_; }
  bool valid() const { return id_ >= 0; }
  //! Closes the identifier; returns false when HDF5 refused.
  bool reset() noexcept;

 private:
  std::int64_t id_ = -1;
};

//! Something that carries attributes: a file's root, a group or a dataset.
//! Setters replace an existing attribute. Getters throw InputError when it is absent or of another
//! type; a name of the file and of the object stands in every message.
class Object {
 public:
  bool has_attribute(std::string_view name) const;
  void set_attribute(std::string_view name, std::string_view value);
  void set_attribute(std::string_view name, const char* value) {
    set_attribute(name, std::string_view(value));
  }
  void set_attribute(std::string_view name, double value);
  void set_attribute(std::string_view name, std::int64_t value);
  void set_attribute(std::string_view name, std::uint64_t value);
  //! A list, e.g. the names behind the codes of a categorical column.
  void set_attribute(std::string_view name, std::span<const std::string> values);
  std::string string_attribute(std::string_view name) const;
  double double_attribute(std::string_view name) const;
  std::int64_t int64_attribute(std::string_view name) const;
  std::uint64_t uint64_attribute(std::string_view name) const;
  std::vector<std::string> strings_attribute(std::string_view name) const;

  //! "file.h5: /group/dataset", for messages.
  const std::string& where() const { return where_; }

 protected:
  Object() = default;
  Object(Handle handle, std::string where) : handle_(std::move(handle)), where_(std::move(where)) {}
  Handle handle_;
  std::string where_;
};

//! A one-dimensional dataset that is written or read as a whole.
class Dataset : public Object {
 public:
  //! Number of elements.
  std::uint64_t size() const;
  //! All elements. Integers of any width that fits `T` and floats of any width are converted;
  //! another class of type, a second dimension or a failed checksum is an InputError.
  template <Element T>
  std::vector<T> read() const;

 private:
  friend class Group;
  using Object::Object;
};

//! How a streamed column is laid out in the file.
struct ColumnOptions {
  std::uint64_t chunk = 16384;  //!< elements per chunk and of the buffer in memory, >= 1
  int deflate = 1;       //!< gzip level, 0 (off) to 9, after a byte shuffle; strings stay plain
  bool checksum = true;  //!< Fletcher-32 per chunk; costs about as much as the writing itself
};

//! A one-dimensional dataset that grows by appending. Elements are buffered and written one chunk
//! at a time, so memory stays bounded by the chunk whatever the length. Movable; not thread-safe.
template <Element T>
class Column : public Object {
 public:
  Column() = default;
  ~Column();
  Column(Column&&) noexcept = default;
  Column& operator=(Column&& o) noexcept;

  void append(const T& value) {
    buffer_.push_back(value);
    if (buffer_.size() >= chunk_) flush();
  }
  //! The same for many; whole chunks go to the file without passing the buffer.
  void append(std::span<const T> values);
  //! Elements appended so far, buffered ones included.
  std::uint64_t size() const { return written_ + buffer_.size(); }
  //! Writes the buffered elements. Throws Error with the path when the disk refuses.
  void flush();
  //! Flushes and closes the dataset; later appends are errors. The destructor does the same but
  //! cannot report a failure: call close() where the data matter.
  void close();

 private:
  friend class Group;
  Column(Handle handle, std::string where, std::uint64_t chunk, std::optional<T> fill);
  void write(std::span<const T> values);
  std::vector<T> buffer_;
  std::optional<T> fill_;
  std::uint64_t written_ = 0;
  std::uint64_t chunk_ = 1;
};

//! A group of datasets and groups; names may not hold '/'.
class Group : public Object {
 public:
  //! Creates a child; throws Error when the name is taken.
  Group create_group(std::string_view name);
  //! Opens a child; throws InputError when it is absent or not a group.
  Group open_group(std::string_view name) const;
  bool has(std::string_view name) const;
  //! Names of the child groups, sorted.
  std::vector<std::string> group_names() const;
  //! Names of the datasets, sorted.
  std::vector<std::string> dataset_names() const;

  //! Writes a whole dataset (chunked; numbers shuffled, deflated and with checksum) and returns it
  //! for its attributes. Throws Error when the name is taken.
  template <Element T>
  Dataset write(std::string_view name, std::span<const T> values);
  template <Element T>
  Dataset write(std::string_view name, const std::vector<T>& values) {
    return write<T>(name, std::span<const T>(values));
  }
  //! Opens a dataset; throws InputError when it is absent.
  Dataset dataset(std::string_view name) const;
  //! Opens and reads a whole dataset.
  template <Element T>
  std::vector<T> read(std::string_view name) const {
    return dataset(name).read<T>();
  }
  //! Creates an empty column that grows by appending. Parts written at once that hold nothing but
  //! `fill` take no room in the file and no time; readers see the values all the same. Not for
  //! strings.
  template <Element T>
  Column<T> create_column(std::string_view name, ColumnOptions options = {},
                          std::optional<T> fill = std::nullopt);

 protected:
  using Object::Object;
  std::string child(std::string_view name) const;

 private:
  std::vector<std::string> names(bool groups) const;
};

//! An HDF5 file; the object itself is its root group. Files carry no time stamps: equal contents
//! written in the same order are equal bytes. HDF5 is one library per process: calls from several
//! threads, on any files, are serialized inside this wrapper.
//!
//! close() seals a file: 16 bytes behind the end that HDF5 knows, a mark and a hash of all before
//! it. HDF5 checks its own checksums but walks through damaged string heaps without looking; the
//! seal is checked before HDF5 reads anything. Other programs ignore it, and drop it when they
//! write.
class File : public Group {
 public:
  //! Creates or replaces the file. Throws Error with the path when that is impossible. Writing to
  //! a temporary name and renaming is the caller's part.
  static File create(const std::string& path);
  //! Opens an existing file read-only. Throws InputError when it is missing, truncated, not HDF5,
  //! or sealed and changed since.
  static File open(const std::string& path);
  //! Flushes, closes and seals. Throws Error when the disk refuses or when groups, datasets or
  //! columns of the file are still open (their data could not be complete). The destructor closes
  //! silently and without a seal.
  void close();

 private:
  File(Handle handle, const std::string& path, bool writable)
      : Group(std::move(handle), path + ": /"), path_(path), writable_(writable) {}
  std::string path_;
  bool writable_ = false;
};

}  // namespace isthmus::h5
