// Published networks as operator graphs, by name. One file per family: graphs_<family>.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/llm_shape.hpp"
#include "models/operator_graph.hpp"

namespace isthmus::models {

//! Sizes that a graph leaves open; 0 = as published. A graph that does not take an argument
//! refuses it.
struct GraphArguments {
  std::int64_t image = 0;         //!< side of the input image, pixels
  std::int64_t sequence = 0;      //!< tokens; 128 for encoders, 1 for language models
  std::int64_t context = 0;       //!< earlier tokens in the KV cache; language models
  std::int64_t image_tokens = 0;  //!< of `sequence`, from images; vision-language models
};

//! The graph called `name` ("resnet-50"), or one iteration of the language model of that name.
//! Throws InputError with a suggestion when there is none, and for arguments that do not fit.
OperatorGraph builtin_graph(std::string_view name, const GraphArguments& arguments = {});
//! Names of the graphs without the language models, sorted.
std::vector<std::string> builtin_graph_names();

//! Howard et al. 2019, arXiv:1905.02244, tables 1 and 2; 224x224 input, 1000 classes.
OperatorGraph mobilenet_v3_large(std::int64_t image = 224);
OperatorGraph mobilenet_v3_small(std::int64_t image = 224);
//! Sandler et al. 2018, arXiv:1801.04381, table 2; 224x224 input, 1000 classes.
OperatorGraph mobilenet_v2(std::int64_t image = 224);
//! He et al. 2015, arXiv:1512.03385, table 1; depth 18, 34, 50, 101 or 152. `stride_in_3x3` puts
//! the stride of bottlenecks into the 3x3 convolution ("v1.5", torchvision and MLPerf).
OperatorGraph resnet(int depth, bool stride_in_3x3, std::int64_t image = 224);
//! Tan and Le 2019, arXiv:1905.11946; Lite variants: the authors' TPU repository. image 0 =
//! published.
OperatorGraph efficientnet_b0(std::int64_t image = 0);
OperatorGraph efficientnet_lite(int size, std::int64_t image = 0);
//! Tan et al. 2020, arXiv:1911.09070, Lite variants of the authors' automl repository; 90 classes,
//! post-processing not included. Weights of the heads are counted on the first level.
OperatorGraph efficientdet_lite(int size, std::int64_t image = 0);
//! Ultralytics YOLOv5, release 6, size n, s or m; 80 classes, post-processing not included.
OperatorGraph yolov5(char size, std::int64_t image = 640);

//! An encoder of text; figures from its config.json.
struct TextEncoder {
  std::string_view name;
  std::int64_t layers, hidden, heads, ffn, vocab;
  std::int64_t positions;      //!< longest input, tokens
  std::int64_t position_rows;  //!< rows of the position table
  std::int64_t segments;       //!< rows of the segment table, 0 = none
  bool pooler;                 //!< a product and tanh on the first token
};
//! Devlin et al. 2018, arXiv:1810.04805, and its descendants, without a task head.
OperatorGraph text_encoder(const TextEncoder& encoder, std::int64_t tokens);

//! An encoder of images.
struct VisionEncoder {
  std::string_view name;
  std::int64_t layers, hidden, heads, patch;
};
//! Dosovitskiy et al. 2020, arXiv:2010.11929; 1000 classes.
OperatorGraph vision_transformer(const VisionEncoder& encoder, std::int64_t image);

//! One iteration of a language model: `tokens` new tokens behind `context` earlier ones, the first
//! `image_tokens` of them from an image; logits of the last token. Biases are left out.
OperatorGraph decoder(const LlmShape& shape, std::int64_t tokens, std::int64_t context = 0,
                      std::int64_t image_tokens = 0);

}  // namespace isthmus::models
