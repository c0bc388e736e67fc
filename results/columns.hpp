// Tables of rows as typed, documented columns: one list serves run.h5 and the CSV.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "models/hdf5.hpp"

namespace isthmus::results {

//! One column of a table of `Row`.
template <class Row, h5::Element T>
struct TypedColumn {
  std::string name, units, description;
  //! Copies this column of `n` rows.
  void (*copy)(const Row* rows, std::size_t n, T* out);
  //! Value that stands for "none"; an empty field in CSV.
  std::optional<T> missing = std::nullopt;
  //! Names behind the codes 0, 1, ...
  std::vector<std::string> values = {};
};

template <class Row>
using TableColumn = std::variant<TypedColumn<Row, double>, TypedColumn<Row, std::int64_t>,
                                 TypedColumn<Row, std::uint64_t>, TypedColumn<Row, std::uint32_t>,
                                 TypedColumn<Row, std::uint8_t>, TypedColumn<Row, std::string>>;

template <class Row>
using TableColumns = std::vector<TableColumn<Row>>;

//! A `copy` of a TypedColumn from a function of one row, e.g. a lambda without captures.
template <class Row, class T, auto get>
void copy_column(const Row* rows, std::size_t n, T* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<T>(get(rows[i]));
}

//! Writes rows to a group of an HDF5 file, a dataset per column, in blocks of `block_rows`. Memory
//! is one block, whatever the number of rows. Not thread-safe.
template <class Row>
class TableWriter {
 public:
  static constexpr std::size_t block_rows = 16384;

  TableWriter(h5::Group group, TableColumns<Row> columns);

  //! Hot path.
  void add(const Row& row) {
    stage_.push_back(row);
    if (stage_.size() == stage_rows) transpose();
  }
  //! Writes what is left and closes the datasets. Must be called before the file is closed.
  void close();
  //! Sets the names behind the codes of a column that were not known from the start.
  void set_values(const std::string& column, std::vector<std::string> values);

 private:
  // Rows wait in a stage that fits the second-level cache while one column after the other is
  // copied out of it; a whole block of rows would come from memory once per column.
  static constexpr std::size_t stage_rows = 256;
  static_assert(block_rows % stage_rows == 0);

  template <class T>
  struct Stored {
    std::vector<T> block;
    h5::Column<T> column;
  };
  using AnyStored = std::variant<Stored<double>, Stored<std::int64_t>, Stored<std::uint64_t>,
                                 Stored<std::uint32_t>, Stored<std::uint8_t>, Stored<std::string>>;

  void transpose();
  void open();
  void flush();
  // Calls visit(definition, stored) for every column.
  template <class Visit>
  void for_each(Visit visit) {
    for (std::size_t i = 0; i < columns_.size(); ++i)
      std::visit(
          [&]<class T>(const TypedColumn<Row, T>& c) { visit(c, std::get<Stored<T>>(stored_[i])); },
          columns_[i]);
  }

  h5::Group group_;
  TableColumns<Row> columns_;
  std::vector<AnyStored> stored_;
  std::vector<Row> stage_;
  std::size_t in_block_ = 0;
  bool open_ = false;
};

template <class Row>
TableWriter<Row>::TableWriter(h5::Group group, TableColumns<Row> columns)
    : group_(std::move(group)), columns_(std::move(columns)) {
  for (const auto& any : columns_)
    std::visit([&]<class T>(const TypedColumn<Row, T>&) { stored_.emplace_back(Stored<T>{}); },
               any);
  stage_.reserve(stage_rows);
}

template <class Row>
void TableWriter<Row>::transpose() {
  for_each([&]<class T>(const TypedColumn<Row, T>& c, Stored<T>& s) {
    s.block.resize(in_block_ + stage_.size());
    c.copy(stage_.data(), stage_.size(), s.block.data() + in_block_);
  });
  in_block_ += stage_.size();
  stage_.clear();
  if (in_block_ == block_rows) flush();
}

template <class Row>
void TableWriter<Row>::open() {
  if (open_) return;
  open_ = true;
  // Chunks as large as the first block: a small run has a small file. Uncompressed and without
  // checksums, because a run writes them while it simulates. A third of the columns are constant
  // in most runs: blocks that repeat the first row's value are not stored.
  h5::ColumnOptions options;
  options.chunk = std::max<std::size_t>(in_block_, 1);
  options.deflate = 0;
  options.checksum = false;
  for_each([&]<class T>(const TypedColumn<Row, T>& c, Stored<T>& s) {
    std::optional<T> constant;
    if constexpr (!std::same_as<T, std::string>)
      if (!s.block.empty()) constant = s.block.front();
    s.column = group_.create_column<T>(c.name, options, constant);
    s.column.set_attribute("units", c.units);
    s.column.set_attribute("description", c.description);
    if (!c.missing) return;
    if constexpr (std::same_as<T, std::int64_t>)
      s.column.set_attribute("missing", *c.missing);
    else if constexpr (std::unsigned_integral<T>)
      s.column.set_attribute("missing", static_cast<std::uint64_t>(*c.missing));
  });
}

template <class Row>
void TableWriter<Row>::flush() {
  open();
  for_each([&]<class T>(const TypedColumn<Row, T>&, Stored<T>& s) {
    s.column.append(std::span<const T>(s.block));
    s.block.clear();
  });
  in_block_ = 0;
}

template <class Row>
void TableWriter<Row>::set_values(const std::string& column, std::vector<std::string> values) {
  for (auto& any : columns_)
    std::visit(
        [&](auto& c) {
          if (c.name == column) c.values = std::move(values);
        },
        any);
}

template <class Row>
void TableWriter<Row>::close() {
  transpose();
  flush();
  for_each([&]<class T>(const TypedColumn<Row, T>& c, Stored<T>& s) {
    if (!c.values.empty()) s.column.set_attribute("values", std::span<const std::string>(c.values));
    s.column.close();
  });
  group_ = h5::Group();
}

}  // namespace isthmus::results
