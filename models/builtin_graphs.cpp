#include "models/builtin_graphs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "models/builtin_llms.hpp"
#include "models/name_error.hpp"

namespace isthmus::models {

namespace {

// Encoders by their config.json on Hugging Face (google-bert, FacebookAI, distilbert).
constexpr TextEncoder bert_base{"bert-base", 12, 768, 12, 3072, 30522, 512, 512, 2, true};
constexpr TextEncoder bert_large{"bert-large", 24, 1024, 16, 4096, 30522, 512, 512, 2, true};
constexpr TextEncoder roberta_base{"roberta-base", 12, 768, 12, 3072, 50265, 512, 514, 1, true};
constexpr TextEncoder roberta_large{"roberta-large", 24, 1024, 16, 4096, 50265, 512, 514, 1, true};
constexpr TextEncoder distilbert{"distilbert", 6, 768, 12, 3072, 30522, 512, 512, 0, false};
// Table 1 of arXiv:2010.11929, and DeiT (arXiv:2012.12877).
constexpr VisionEncoder vit_base{"vit-b16", 12, 768, 12, 16};
constexpr VisionEncoder vit_base32{"vit-b32", 12, 768, 12, 32};
constexpr VisionEncoder vit_large{"vit-l16", 24, 1024, 16, 16};
constexpr VisionEncoder deit_tiny{"deit-tiny", 12, 192, 3, 16};
constexpr VisionEncoder deit_small{"deit-small", 12, 384, 6, 16};

using Build = OperatorGraph (*)(const GraphArguments&);

std::int64_t or_else(std::int64_t v, std::int64_t other) { return v == 0 ? other : v; }

template <const TextEncoder& encoder>
OperatorGraph text(const GraphArguments& a) {
  return text_encoder(encoder, or_else(a.sequence, 128));
}
template <const VisionEncoder& encoder>
OperatorGraph vision(const GraphArguments& a) {
  return vision_transformer(encoder, or_else(a.image, 224));
}
template <int depth, bool v15>
OperatorGraph residual(const GraphArguments& a) {
  return resnet(depth, v15, or_else(a.image, 224));
}
template <int size>
OperatorGraph lite(const GraphArguments& a) {
  return efficientnet_lite(size, a.image);
}
template <int size>
OperatorGraph detector(const GraphArguments& a) {
  return efficientdet_lite(size, a.image);
}
template <char size>
OperatorGraph yolo(const GraphArguments& a) {
  return yolov5(size, or_else(a.image, 640));
}

// What a graph takes besides nothing.
enum class Takes { image, sequence };

struct Entry {
  std::string_view name;
  Takes takes;
  Build build;
};

// The one list of built-in graphs.
constexpr std::array entries{
    Entry{"bert-base", Takes::sequence, text<bert_base>},
    Entry{"bert-large", Takes::sequence, text<bert_large>},
    Entry{"deit-small", Takes::image, vision<deit_small>},
    Entry{"deit-tiny", Takes::image, vision<deit_tiny>},
    Entry{"distilbert", Takes::sequence, text<distilbert>},
    Entry{"efficientdet-lite0", Takes::image, detector<0>},
    Entry{"efficientdet-lite1", Takes::image, detector<1>},
    Entry{"efficientdet-lite2", Takes::image, detector<2>},
    Entry{"efficientdet-lite3", Takes::image, detector<3>},
    Entry{"efficientdet-lite4", Takes::image, detector<4>},
    Entry{"efficientnet-b0", Takes::image,
          [](const GraphArguments& a) { return efficientnet_b0(a.image); }},
    Entry{"efficientnet-lite0", Takes::image, lite<0>},
    Entry{"efficientnet-lite1", Takes::image, lite<1>},
    Entry{"efficientnet-lite2", Takes::image, lite<2>},
    Entry{"efficientnet-lite3", Takes::image, lite<3>},
    Entry{"efficientnet-lite4", Takes::image, lite<4>},
    Entry{"mobilenet-v2", Takes::image,
          [](const GraphArguments& a) { return mobilenet_v2(or_else(a.image, 224)); }},
    Entry{"mobilenet-v3-large", Takes::image,
          [](const GraphArguments& a) { return mobilenet_v3_large(or_else(a.image, 224)); }},
    Entry{"mobilenet-v3-small", Takes::image,
          [](const GraphArguments& a) { return mobilenet_v3_small(or_else(a.image, 224)); }},
    Entry{"resnet-18", Takes::image, residual<18, true>},
    Entry{"resnet-34", Takes::image, residual<34, true>},
    Entry{"resnet-50", Takes::image, residual<50, true>},
    Entry{"resnet-50-v1", Takes::image, residual<50, false>},
    Entry{"resnet-101", Takes::image, residual<101, true>},
    Entry{"resnet-152", Takes::image, residual<152, true>},
    Entry{"roberta-base", Takes::sequence, text<roberta_base>},
    Entry{"roberta-large", Takes::sequence, text<roberta_large>},
    Entry{"vit-b16", Takes::image, vision<vit_base>},
    Entry{"vit-b32", Takes::image, vision<vit_base32>},
    Entry{"vit-l16", Takes::image, vision<vit_large>},
    Entry{"yolov5n", Takes::image, yolo<'n'>},
    Entry{"yolov5s", Takes::image, yolo<'s'>},
    Entry{"yolov5m", Takes::image, yolo<'m'>},
};

void refuse_arguments(std::string_view name, Takes takes, const GraphArguments& a) {
  const auto refuse = [&](const char* what) {
    throw InputError(fmt::format("graph '{}' takes no {}", name, what));
  };
  if (takes != Takes::image && a.image != 0) refuse("image side");
  if (takes != Takes::sequence && a.sequence != 0) refuse("sequence");
  if (a.context != 0) refuse("context");
  if (a.image_tokens != 0) refuse("image tokens");
  if (a.image < 0 || a.image > 16384)
    throw InputError(fmt::format("graph '{}': an image side of {} pixels", name, a.image));
}

}  // namespace

std::vector<std::string> builtin_graph_names() {
  std::vector<std::string> names;
  for (const auto& e : entries) names.emplace_back(e.name);
  std::sort(names.begin(), names.end());
  return names;
}

OperatorGraph builtin_graph(std::string_view name, const GraphArguments& a) {
  for (const auto& e : entries) {
    if (e.name != name) continue;
    refuse_arguments(name, e.takes, a);
    return e.build(a);
  }
  std::vector<std::string> names = builtin_graph_names();
  for (const std::string& llm : builtin_llm_names()) {
    if (llm == name) {
      if (a.image != 0)
        throw InputError(fmt::format("model '{}' takes image tokens, no image side", name));
      return decoder(builtin_llm(name), or_else(a.sequence, 1), a.context, a.image_tokens);
    }
    names.push_back(llm);
  }
  throw name_error("graph", name, names);
}

}  // namespace isthmus::models
