#include "models/ncnn_file.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "sim/core/errors.hpp"

namespace isthmus::models {

std::int64_t NcnnLayer::integer(int key, std::int64_t other) const {
  const auto it = values.find(key);
  if (it == values.end()) return other;
  std::int64_t v = 0;
  const char* end = it->second.data() + it->second.size();
  const auto [stop, error] = std::from_chars(it->second.data(), end, v);
  if (error != std::errc() || stop != end || std::abs(v) > 1'000'000'000'000)
    throw InputError(fmt::format("{}: parameter {} of {} '{}' must be an integer, not '{}'", where,
                                 key, type, name, it->second));
  return v;
}

std::vector<std::int64_t> NcnnLayer::list(int key) const {
  const auto it = values.find(-23300 - key);
  std::vector<std::int64_t> all;
  if (it == values.end()) return all;
  std::stringstream text(it->second);
  for (std::string item; std::getline(text, item, ',');)
    all.push_back(std::llround(std::strtod(item.c_str(), nullptr)));
  if (!all.empty()) all.erase(all.begin());  // the length
  return all;
}

std::vector<NcnnLayer> read_ncnn_layers(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw InputError(path + ": cannot be read");
  std::string line;
  if (!std::getline(file, line) || line.substr(0, 7) != "7767517")
    throw InputError(path + ": is no ncnn graph (its first line is not 7767517)");
  std::size_t layers = 0, blobs = 0;
  if (!std::getline(file, line) || !(std::istringstream(line) >> layers >> blobs))
    throw InputError(path + ":2: needs the numbers of layers and of blobs");
  std::vector<NcnnLayer> all;
  // Lines beyond the announced ones are ignored, as ncnn does.
  for (std::size_t number = 3; all.size() < layers && std::getline(file, line); ++number) {
    std::istringstream words(line);
    NcnnLayer l;
    std::size_t in = 0, out = 0;
    l.where = fmt::format("{}:{}", path, number);
    if (!(words >> l.type)) continue;
    if (!(words >> l.name >> in >> out) || in > 100000 || out > 100000)
      throw InputError(l.where + ": needs type, name and the numbers of inputs and outputs");
    std::string word;
    for (std::size_t i = 0; i < in + out; ++i) {
      if (!(words >> word)) throw InputError(l.where + ": names fewer blobs than it announces");
      (i < in ? l.inputs : l.outputs).push_back(word);
    }
    while (words >> word) {
      const std::size_t equals = word.find('=');
      int key = 0;
      const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), key);
      if (equals == std::string::npos || error != std::errc() || stop != word.data() + equals)
        throw InputError(fmt::format("{}: '{}' is no number=value", l.where, word));
      l.values[key] = word.substr(equals + 1);
    }
    all.push_back(std::move(l));
  }
  if (all.size() != layers)
    throw InputError(fmt::format("{}: announces {} layers but has {}; it may be cut off", path,
                                 layers, all.size()));
  return all;
}

}  // namespace isthmus::models
