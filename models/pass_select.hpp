// Which operators a rule of a pass is about.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "models/operator_graph.hpp"

namespace isthmus::models {

//! Whether `text` has the form of `pattern`: '*' stands for any characters but '.', '**' for any
//! characters, '?' for one character but '.'.
bool glob_matches(std::string_view pattern, std::string_view text);

//! The operators, inputs excepted, that `match` means, in order: all of a kind when it is the name
//! of an operator kind ("softmax"), else those whose module path begins with the glob, component by
//! component ("layers.*.mlp" holds "layers.3.mlp.up"), or whose name has its form. Throws
//! InputError beginning with `where` and suggesting a name when there is none.
std::vector<std::size_t> select_operators(const OperatorGraph& graph, std::string_view match,
                                          std::string_view where);

}  // namespace isthmus::models
