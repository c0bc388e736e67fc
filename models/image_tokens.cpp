#include "models/image_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::models {

std::int64_t image_tokens(std::int64_t width, std::int64_t height, const ImageResizing& r) {
  if (width < 1 || height < 1 || width > 1'000'000 || height > 1'000'000)
    throw InputError(fmt::format("an image of {} x {} pixels", width, height));
  const double factor = static_cast<double>(r.patch * r.merge);
  const double w = static_cast<double>(width), h = static_cast<double>(height);
  const double frames = static_cast<double>(r.frames);
  double columns = std::max(1.0, std::round(w / factor)),
         rows = std::max(1.0, std::round(h / factor));
  if (frames * columns * rows * factor * factor > r.max_pixels) {
    const double shrink = std::sqrt(frames * w * h / r.max_pixels);
    columns = std::max(1.0, std::floor(w / shrink / factor));
    rows = std::max(1.0, std::floor(h / shrink / factor));
  }
  return static_cast<std::int64_t>(columns * rows);
}

}  // namespace isthmus::models
