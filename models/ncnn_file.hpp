// The text format of ncnn graphs: lines of layers with numbered parameters.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace isthmus::models {

//! One line of a .param file.
struct NcnnLayer {
  std::string type, name, where;  //!< where: "file:line" for messages
  std::vector<std::string> inputs, outputs;
  std::map<int, std::string> values;  //!< by number of the parameter, as written

  //! An integer parameter, or `other` when it is not there. Throws InputError for anything else.
  std::int64_t integer(int key, std::int64_t other) const;
  //! A list parameter (written as -23300 - key), without its length; empty when it is not there.
  std::vector<std::int64_t> list(int key) const;
};

//! The layers of a file in its order. Throws InputError, "file:line:", for text that is no such
//! file.
std::vector<NcnnLayer> read_ncnn_layers(const std::string& path);

}  // namespace isthmus::models
