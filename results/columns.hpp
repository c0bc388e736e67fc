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
  T (*get)(const Row&);
  //! Most common value, not stored where a whole chunk holds it.
  std::optional<T> common = std::nullopt;
  //! Value that stands for "none"; an empty field in CSV.
  std::optional<T> missing = std::nullopt;
  //! Names behind the codes 0, 1, ...
  std::vector<std::string> values = {};
};

template <class Row>
using TableColumn =
    std::variant<TypedColumn<Row, double>, TypedColumn<Row, std::int64_t>,
                 TypedColumn<Row, std::uint64_t>, TypedColumn<Row, std::uint32_t>,
                 TypedColumn<Row, std::uint8_t>, TypedColumn<Row, std::string>>;

template <class Row>
using TableColumns = std::vector<TableColumn<Row>>;

//! Writes rows to a group of an HDF5 file, a dataset per column, in blocks of at most `block_rows`.
//! Memory is one block, whatever the number of rows. Not thread-safe.
template <class Row>
class TableWriter {
 public:
  static constexpr std::size_t block_rows = 16384;

  TableWriter(h5::Group group, TableColumns<Row> columns)
      : group_(std::move(group)), columns_(std::move(columns)) {}

  //! Hot path.
  void add(const Row& row) {
    rows_.push_back(row);
    if (rows_.size() == block_rows) flush();
  }
  //! Writes what is left and closes the datasets. Must be called before the file is closed.
  void close();
  //! Sets the names behind the codes of a column that were not known from the start.
  void set_values(const std::string& column, std::vector<std::string> values);

 private:
  void flush();
  void open();

  using AnyColumn =
      std::variant<h5::Column<double>, h5::Column<std::int64_t>, h5::Column<std::uint64_t>,
                   h5::Column<std::uint32_t>, h5::Column<std::uint8_t>, h5::Column<std::string>>;

  h5::Group group_;
  TableColumns<Row> columns_;
  std::vector<AnyColumn> stored_;
  std::vector<Row> rows_;
};

template <class Row>
void TableWriter<Row>::open() {
  if (!stored_.empty()) return;
  // Chunks as large as the first block: a small run has a small file. Uncompressed and without
  // checksums, because a run writes them while it simulates.
  h5::ColumnOptions options;
  options.chunk = std::max<std::size_t>(rows_.size(), 1);
  options.deflate = 0;
  options.checksum = false;
  for (const auto& any : columns_)
    std::visit(
        [&]<class T>(const TypedColumn<Row, T>& c) {
          h5::Column<T> column = group_.create_column<T>(c.name, options, c.common);
          column.set_attribute("units", c.units);
          column.set_attribute("description", c.description);
          if (c.missing) {
            if constexpr (std::same_as<T, std::int64_t>)
              column.set_attribute("missing", *c.missing);
            else if constexpr (!std::same_as<T, std::string> && !std::same_as<T, double>)
              column.set_attribute("missing", static_cast<std::uint64_t>(*c.missing));
          }
          stored_.emplace_back(std::move(column));
        },
        any);
}

template <class Row>
void TableWriter<Row>::flush() {
  open();
  for (std::size_t i = 0; i < columns_.size(); ++i)
    std::visit(
        [&]<class T>(const TypedColumn<Row, T>& c) {
          std::vector<T> values(rows_.size());
          for (std::size_t k = 0; k < rows_.size(); ++k) values[k] = c.get(rows_[k]);
          std::get<h5::Column<T>>(stored_[i]).append(std::span<const T>(values));
        },
        columns_[i]);
  rows_.clear();
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
  flush();
  for (std::size_t i = 0; i < columns_.size(); ++i)
    std::visit(
        [&]<class T>(const TypedColumn<Row, T>& c) {
          auto& column = std::get<h5::Column<T>>(stored_[i]);
          if (!c.values.empty())
            column.set_attribute("values", std::span<const std::string>(c.values));
          column.close();
        },
        columns_[i]);
  stored_.clear();
  group_ = h5::Group();
}

}  // namespace isthmus::results
