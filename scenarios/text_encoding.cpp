#include "scenarios/text_encoding.hpp"

#include <cstddef>
#include <cstdint>

namespace isthmus::scenarios {

const char* find_invalid_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = p + text.size();
  while (p < end) {
    if (*p < 0x80) {
      ++p;
      continue;
    }
    std::ptrdiff_t length = 0;
    std::uint32_t code = 0;
    if ((*p & 0xE0U) == 0xC0U)
      length = 2, code = *p & 0x1FU;
    else if ((*p & 0xF0U) == 0xE0U)
      length = 3, code = *p & 0x0FU;
    else if ((*p & 0xF8U) == 0xF0U)
      length = 4, code = *p & 0x07U;
    if (length == 0 || end - p < length) return reinterpret_cast<const char*>(p);
    for (std::ptrdiff_t i = 1; i < length; ++i) {
      if ((p[i] & 0xC0U) != 0x80U) return reinterpret_cast<const char*>(p);
      code = (code << 6U) | (p[i] & 0x3FU);
    }
    constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
      return reinterpret_cast<const char*>(p);
    p += length;
  }
  return nullptr;
}

const char* foreign_encoding(std::string_view t) {
  const auto starts = [&](std::string_view mark) { return t.starts_with(mark); };
  using namespace std::string_view_literals;
  if (starts("\xFF\xFE\0\0"sv) || starts("\0\0\xFE\xFF"sv)) return "UTF-32";
  if (starts("\xFF\xFE"sv) || starts("\xFE\xFF"sv)) return "UTF-16";
  if (t.size() >= 4 && t[0] == 0 && t[1] == 0 && t[2] == 0) return "UTF-32";
  if (t.size() >= 4 && t[1] == 0 && t[2] == 0 && t[3] == 0) return "UTF-32";
  if (t.size() >= 2 && (t[0] == 0) != (t[1] == 0)) return "UTF-16";
  return nullptr;
}

}  // namespace isthmus::scenarios
