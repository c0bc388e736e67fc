#include "results/text_table.hpp"

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::results {

namespace {

constexpr std::size_t widest_label = 30;

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

// Characters, not bytes.
std::size_t width_of(const std::string& s) {
  return static_cast<std::size_t>(std::count_if(s.begin(), s.end(), starts_character));
}

std::string cut(const std::string& s) {
  if (width_of(s) <= widest_label) return s;
  std::string out;
  std::size_t n = 0;
  for (const char c : s) {
    if (starts_character(c) && ++n > widest_label - 3) break;
    out += c;
  }
  return out + "...";
}

std::string pad(const std::string& s, std::size_t width, bool left) {
  const std::string space(width - std::min(width, width_of(s)), ' ');
  return left ? s + space : space + s;
}

}  // namespace

void TextTable::add_row(std::vector<std::string> cells) {
  if (cells.size() != heading_.size()) throw InternalError("table row of another length");
  cells.front() = cut(cells.front());
  rows_.push_back(std::move(cells));
}

std::string TextTable::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < heading_.size(); ++c) {
    widths.push_back(width_of(heading_[c]));
    for (const auto& row : rows_) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  std::string out;
  for (std::size_t first = 1; first < heading_.size() || first == 1;) {
    // As many columns as fit, at least one.
    std::size_t last = first, used = widths[0];
    while (last < heading_.size() && (last == first || used + 2 + widths[last] <= width))
      used += 2 + widths[last++];
    const auto line = [&](const std::vector<std::string>& cells) {
      std::string s = pad(cells[0], widths[0], true);
      for (std::size_t c = first; c < last; ++c) s += "  " + pad(cells[c], widths[c], false);
      s.erase(s.find_last_not_of(' ') + 1);
      out += s + "\n";
    };
    if (first > 1) out += "\n";
    line(heading_);
    for (const auto& row : rows_) line(row);
    first = std::max(last, first + 1);
  }
  return out;
}

}  // namespace isthmus::results
