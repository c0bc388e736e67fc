// Number formats of weights, activations and KV caches.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace isthmus::models {

//! A number format. Peak rates of a unit are listed per format.
enum class Precision : std::uint8_t { fp32, fp16, bf16, fp8, int8, fp4, int4, count_ };

//! One row: name in JSON and HDF5, bytes per element (4-bit formats: 0.5, scales are counted
//! apart).
struct PrecisionRow {
  Precision precision;
  std::string_view name;
  double bytes;
};

inline constexpr std::array<PrecisionRow, static_cast<std::size_t>(Precision::count_)> precisions{{
    {Precision::fp32, "fp32", 4.0},
    {Precision::fp16, "fp16", 2.0},
    {Precision::bf16, "bf16", 2.0},
    {Precision::fp8, "fp8", 1.0},
    {Precision::int8, "int8", 1.0},
    {Precision::fp4, "fp4", 0.5},
    {Precision::int4, "int4", 0.5},
}};

//! Bytes of one element, without quantization scales.
constexpr double bytes_of(Precision p) { return precisions[static_cast<std::size_t>(p)].bytes; }
constexpr std::string_view name_of(Precision p) {
  return precisions[static_cast<std::size_t>(p)].name;
}
//! The format with that name, if there is one.
constexpr std::optional<Precision> precision_from(std::string_view name) {
  for (const auto& row : precisions)
    if (row.name == name) return row.precision;
  return std::nullopt;
}

}  // namespace isthmus::models
