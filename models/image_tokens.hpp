// How many prompt tokens an image becomes.
#pragma once

#include <cstdint>

namespace isthmus::models {

//! The resizing of Qwen2-VL and GLM-4.1V before their vision towers: both sides are rounded to
//! multiples of patch x merge pixels, and an image of more than max_pixels (counted once per frame
//! of the temporal patch) is shrunk first, its sides then rounded down.
struct ImageResizing {
  std::int64_t patch = 14, merge = 2, frames = 2;
  double max_pixels = 5e6;  //!< AutoGLM: max_pixels of its serving command (zai-org/Open-AutoGLM)
};

//! Prompt tokens of an image of width x height pixels, both >= 1. Throws InputError otherwise.
std::int64_t image_tokens(std::int64_t width, std::int64_t height,
                          const ImageResizing& resizing = {});

}  // namespace isthmus::models
