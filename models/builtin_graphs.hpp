// Published networks as operator graphs, by name. One file per family: graphs_<family>.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/operator_graph.hpp"

namespace isthmus::models {

//! The graph called `name` ("resnet-50"). Throws InputError with a suggestion when there is none.
OperatorGraph builtin_graph(std::string_view name);
//! All names, sorted.
std::vector<std::string> builtin_graph_names();

//! Howard et al. 2019, arXiv:1905.02244, table 1; 224x224 input, 1000 classes.
OperatorGraph mobilenet_v3_large();
//! Sandler et al. 2018, arXiv:1801.04381, table 2; 224x224 input, 1000 classes.
OperatorGraph mobilenet_v2();
//! He et al. 2015, arXiv:1512.03385, table 1; depth 18, 34, 50, 101 or 152. `stride_in_3x3` puts
//! the stride of bottlenecks into the 3x3 convolution ("v1.5", torchvision and MLPerf).
OperatorGraph resnet(int depth, bool stride_in_3x3);

}  // namespace isthmus::models
