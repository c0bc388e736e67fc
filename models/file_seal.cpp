#include "models/file_seal.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "sim/core/hash.hpp"

namespace isthmus::h5 {

namespace {

constexpr std::array<char, 8> mark{'i', 's', 't', 'h', 's', 'e', 'a', 'l'};
constexpr std::uintmax_t seal_size = 16;

// Hash of the first `size` bytes, eight at a time; zeros fill the last word.
bool hash_of(std::ifstream& in, std::uintmax_t size, std::uint64_t& hash) {
  std::vector<char> block(1U << 20);
  hash = mix64(size);
  while (size > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uintmax_t>(size, block.size()));
    if (!in.read(block.data(), static_cast<std::streamsize>(wanted))) return false;
    const std::size_t padded = (wanted + 7) / 8 * 8;
    std::memset(block.data() + wanted, 0, padded - wanted);
    for (std::size_t i = 0; i < padded; i += 8) {
      std::uint64_t word = 0;
      for (std::size_t k = 0; k < 8; ++k)
        word |= static_cast<std::uint64_t>(static_cast<unsigned char>(block[i + k])) << (8 * k);
      hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
      hash ^= hash >> 32;
    }
    size -= wanted;
  }
  hash = mix64(hash);
  return true;
}

std::array<char, seal_size> seal_of(std::uint64_t hash) {
  std::array<char, seal_size> seal{};
  std::copy(mark.begin(), mark.end(), seal.begin());
  for (std::size_t k = 0; k < 8; ++k) seal[8 + k] = static_cast<char>(hash >> (8 * k) & 0xff);
  return seal;
}

}  // namespace

bool append_seal(const std::string& path) {
  std::uint64_t hash = 0;
  {
    std::ifstream in(path, std::ios::binary);
    if (!in || !hash_of(in, std::filesystem::file_size(path), hash)) return false;
  }
  std::ofstream out(path, std::ios::binary | std::ios::app);
  const auto seal = seal_of(hash);
  out.write(seal.data(), seal.size());
  out.close();
  return out.good();
}

bool seal_holds(const std::string& path) {
  std::error_code ec;
  const std::uintmax_t size = std::filesystem::file_size(path, ec);
  if (ec || size < seal_size) return true;
  std::ifstream in(path, std::ios::binary);
  std::array<char, seal_size> seal{};
  in.seekg(static_cast<std::streamoff>(size - seal_size));
  if (!in.read(seal.data(), seal.size())) return true;
  if (!std::equal(mark.begin(), mark.end(), seal.begin())) return true;
  in.seekg(0);
  std::uint64_t hash = 0;
  return hash_of(in, size - seal_size, hash) && seal == seal_of(hash);
}

}  // namespace isthmus::h5
