#include "results/gantt_svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "results/axis_ticks.hpp"
#include "results/svg_chart.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::results {

namespace {

constexpr double left = 136, right = 24, top = 86, row_height = 62, bar_height = 30, bracket = 15;
constexpr double narrow = 1160, wide = 3600, character = 6.1;  // pixels
constexpr double far = 1.3;  // marks beyond this many times the end would only squeeze the bars
// Okabe and Ito's palette first, then shades that stay apart from it.
constexpr std::array<const char*, 12> colours{"#0072b2", "#56b4e9", "#009e73", "#e69f00",
                                              "#d55e00", "#cc79a7", "#999999", "#b5a400",
                                              "#7a5195", "#8c564b", "#4c9f70", "#5b6b7a"};

constexpr const char* style =
    "<style>\n"
    "svg{font:11px system-ui,sans-serif}\n"
    ".back{fill:#ffffff}.text{fill:#24292f}.faint{fill:#6b737c}.lane{fill:#f3f4f6}\n"
    ".grid{stroke:#d5d9de;stroke-width:1}.bar{stroke:#ffffff;stroke-width:.6}\n"
    ".hot{fill:#b00020}.link{fill:none;stroke:#6b737c;stroke-width:.8;"
    "opacity:.55}\n"
    ".hotlink{fill:none;stroke:#b00020;stroke-width:1.4}.mark{stroke:#24292f;stroke-width:1;"
    "stroke-dasharray:4 3}\n"
    ".bracket{fill:none;stroke:#6b737c;stroke-width:.8}.prelude{fill:#6b737c;opacity:.18}\n"
    ".title{font-size:15px;font-weight:600}.name{font-size:13px;font-weight:600}\n"
    ".on{fill:#ffffff;font-size:10px;pointer-events:none}\n"
    "@media(prefers-color-scheme:dark){.back{fill:#0d1117}.text{fill:#e6edf3}"
    ".faint{fill:#8d96a0}.lane{fill:#161b22}.grid{stroke:#2a3038}.bar{stroke:#0d1117}"
    ".hot{fill:#ff7b72}.hotlink{stroke:#ff7b72}.link{stroke:#8d96a0}.mark{stroke:#e6edf3}"
    ".bracket{stroke:#8d96a0}}\n"
    "</style>\n";

// Text for XML 1.0, which has no control characters.
std::string xml(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') c = '?';
  return escape_html(text);
}

std::string time_text(double seconds) {
  const TimeUnit u = time_unit(std::abs(seconds));
  return fmt::format("{:.4g} {}", seconds * u.per_second, u.name);
}

// As much of a text as fits; nothing when that would be unreadable.
std::string fitting(const std::string& text, double width) {
  const auto room = static_cast<std::size_t>(std::max(0.0, (width - 5) / character));
  if (text.size() <= room) return text;
  if (room < 7) return "";
  std::size_t cut = room - 1;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;  // UTF-8
  return text.substr(0, cut) + "\u2026";
}

// A path, or its last name alone, if it fits.
std::string short_name(const std::string& path, double width) {
  const auto room = static_cast<std::size_t>(std::max(0.0, (width - 5) / character));
  if (path.size() <= room) return path;
  const std::string last = path.substr(path.rfind('.') + 1);
  return last.size() <= room ? last : "";
}

// The first `depth` names of a path.
std::string prefix(const std::string& path, int depth) {
  std::size_t end = 0;
  for (int i = 0; i < depth && end != std::string::npos; ++i)
    end = path.find('.', end == 0 ? 0 : end + 1);
  return path.substr(0, end);
}

// Neighbouring bars of a row that belong to one module.
struct Stretch {
  std::uint32_t row = 0;
  double start = 0, end = 0;
  std::string module;
};

class Picture {
 public:
  explicit Picture(const Gantt& g) : g_(g) {
    for (const GanttBar& b : g.bars) {
      check(b.row < g.rows.size() && b.group < g.groups.size(), "a bar has no row or group");
      check(std::isfinite(b.start) && std::isfinite(b.end), "a bar has no date");
      end_ = std::max(end_, b.end);
    }
    for (const GanttLink& l : g.links) {
      check(l.from_row < g.rows.size() && l.to_row < g.rows.size(), "a link has no row");
      check(std::isfinite(l.start) && std::isfinite(l.end), "a link has no date");
      end_ = std::max(end_, l.end);
    }
    check(std::isfinite(g.begin), "it has no beginning");
    if (!(end_ > g.begin)) end_ = g.begin + 1e-6;
    const double reach = g.begin + (end_ - g.begin) * far;
    for (const GanttMark& m : g.marks)
      if (m.at <= reach) end_ = std::max(end_, m.at);
    width_ = std::clamp(12.0 * static_cast<double>(g.bars.size()) + left + right, narrow, wide);
    bottom_ = top + row_height * static_cast<double>(g.rows.size());
    height_ = bottom_ + 78;
    // Rows in order of time, for brackets and for labels that must not overlap.
    order_.resize(g.bars.size());
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return g.bars[a].row != g.bars[b].row ? g.bars[a].row < g.bars[b].row
                                            : g.bars[a].start < g.bars[b].start;
    });
  }

  std::string draw() {
    out_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
        "width=\"{0:.0f}\" height=\"{1:.0f}\" role=\"img\">\n",
        width_, height_);
    out_ += fmt::format("<title>{}</title>\n{}", xml(g_.title), style);
    out_ += "<rect class=\"back\" width=\"100%\" height=\"100%\"/>\n";
    text(16, 26, "text title", "", g_.title);
    text(16, 45, "faint", "", g_.subtitle);
    rows();
    axis();
    for (const GanttLink& l : g_.links)
      if (!l.critical) link(l);
    for (const std::size_t i : order_) bar(g_.bars[i]);
    for (const GanttLink& l : g_.links)
      if (l.critical) link(l);
    brackets();
    marks();
    legend();
    return out_ + "</svg>\n";
  }

 private:
  static void check(bool ok, const char* what) {
    if (!ok) throw InternalError(fmt::format("gantt_svg: {}", what));
  }
  double x(double seconds) const {
    return left + std::max(0.0, (seconds - g_.begin) / (end_ - g_.begin)) * (width_ - left - right);
  }
  // Dates far from zero need more digits than lengths do.
  std::string date(double seconds) const {
    const TimeUnit u = time_unit(seconds);
    return fmt::format("{:.{}g} {}", seconds * u.per_second, g_.begin > 0 ? 9 : 5, u.name);
  }
  static double y(std::uint32_t row) { return top + row_height * row; }
  static double bar_y(std::uint32_t row) { return y(row) + 10; }

  void text(double px, double py, const char* css, const char* more, const std::string& what) {
    if (!what.empty())
      out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\"{}>{}</text>\n", px, py, css,
                          more, xml(what));
  }

  void rows() {
    for (std::uint32_t r = 0; r < g_.rows.size(); ++r) {
      out_ += fmt::format(
          "<rect class=\"lane\" x=\"{}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n", left,
          y(r) + 3, width_ - left - right, row_height - 6);
      text(16, y(r) + 24, "text name", "", fitting(g_.rows[r], left - 10));
      if (r >= g_.row_notes.size()) continue;
      const std::string& note = g_.row_notes[r];
      const std::size_t cut = std::min(note.find('\n'), note.size());
      text(16, y(r) + 39, "faint", "", note.substr(0, cut));
      if (cut < note.size()) text(16, y(r) + 52, "faint", "", note.substr(cut + 1));
    }
    if (g_.prelude > 0)
      out_ += fmt::format(
          "<rect class=\"prelude\" x=\"{}\" y=\"{}\" width=\"{:.2f}\" height=\"{:.1f}\"><title>{}: "
          "{}</title></rect>\n",
          left, top, x(g_.prelude) - left, bottom_ - top, xml(g_.prelude_label),
          time_text(g_.prelude));
  }

  void axis() {
    const TimeUnit unit = time_unit(end_ - g_.begin);
    const double low = g_.begin * unit.per_second, high = end_ * unit.per_second;
    const double step = nice_step(high - low, std::max(5.0, width_ / 130));
    for (double k = std::ceil(low / step - 1e-9); k * step <= high + step * 1e-6; ++k) {
      const double px = x(k * step / unit.per_second);
      out_ += fmt::format("<path class=\"grid\" d=\"M{:.1f} {}V{:.1f}\"/>\n", px, top, bottom_);
      text(px, bottom_ + 15, "faint", " text-anchor=\"middle\"",
           fmt::format("{:.10g}", k * step + 0.0));
    }
    text(left - 8, bottom_ + 15, "faint", " text-anchor=\"end\"",
         fmt::format("time / {}", unit.name));
  }

  void bar(const GanttBar& b) {
    const double from = x(b.start), width = std::max(x(b.end) - from, 0.4);
    out_ += fmt::format(
        "<rect{} x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\" "
        "fill=\"{}\"><title>{}</title></rect>\n",
        width > 2 ? " class=\"bar\"" : "", from, bar_y(b.row), width, bar_height,
        colours[b.group % colours.size()], xml(hover(b)));
    if (b.critical)
      out_ += fmt::format(
          "<rect class=\"hot\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" "
          "height=\"3\"/>\n",
          from, bar_y(b.row) - 4, width);
    const std::string label = fitting(b.label, width);
    if (!label.empty())
      text(from + width / 2, bar_y(b.row) + 19, "on", " text-anchor=\"middle\"", label);
  }

  std::string hover(const GanttBar& b) const {
    std::string s =
        fmt::format("{} ({})\n{} on {}: {} to {}", b.label, g_.groups[b.group],
                    time_text(b.end - b.start), g_.rows[b.row], date(b.start), date(b.end));
    if (!b.module.empty()) s += "\nmodule " + b.module;
    if (!b.detail.empty()) s += "\n" + b.detail;
    if (b.critical) s += "\non the critical path";
    return s;
  }

  void link(const GanttLink& l) {
    const bool down = l.to_row > l.from_row;
    const double y0 = bar_y(l.from_row) + (down ? bar_height : 0);
    const double y1 = bar_y(l.to_row) + (down ? 0 : bar_height);
    const double x0 = x(l.start), x1 = x(l.end), middle = (y0 + y1) / 2;
    out_ += fmt::format(
        "<path class=\"{}\" d=\"M{:.2f} {:.1f}C{:.2f} {:.1f} {:.2f} {:.1f} {:.2f} {:.1f}\">"
        "<title>{}</title></path>\n",
        l.critical ? "hotlink" : "link", x0, y0, x0, middle, x1, middle, x1, y1, xml(l.detail));
  }

  // As deep as modules can be told apart with one bracket per 60 pixels.
  std::vector<Stretch> stretches() const {
    std::vector<Stretch> best;
    for (int depth = 1; depth <= 6; ++depth) {
      std::vector<Stretch> s;
      for (const std::size_t i : order_) {
        const GanttBar& b = g_.bars[i];
        if (b.module.empty() || b.end <= b.start) continue;
        const std::string module = prefix(b.module, depth);
        if (!s.empty() && s.back().row == b.row && s.back().module == module)
          s.back().end = b.end;
        else
          s.push_back({b.row, b.start, b.end, module});
      }
      const double room = (width_ - left - right) * static_cast<double>(g_.rows.size()) / 60;
      if (depth > 1 && (s.size() == best.size() || static_cast<double>(s.size()) > room)) break;
      best = std::move(s);
    }
    return best;
  }

  void brackets() {
    for (const Stretch& s : stretches()) {
      const double from = x(s.start), to = x(s.end), at = bar_y(s.row) + bar_height + 3;
      if (to - from < 3) continue;
      out_ += fmt::format("<path class=\"bracket\" d=\"M{:.1f} {:.1f}v3H{:.1f}v-3\"/>\n", from + .5,
                          at, to - .5);
      text((from + to) / 2, at + bracket - 1, "faint", " text-anchor=\"middle\"",
           short_name(s.module, to - from));
    }
  }

  void marks() {
    double last = -1e9;
    int level = 0;
    std::vector<const GanttMark*> sorted;
    for (const GanttMark& m : g_.marks)
      if (m.at >= g_.begin && m.at <= end_) sorted.push_back(&m);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const GanttMark* a, const GanttMark* b) { return a->at < b->at; });
    for (const GanttMark* m : sorted) {
      // Labels stand left of their line near the right edge, and above each other when close.
      const double px = x(m->at);
      const double length = static_cast<double>(m->label.size()) * character;
      const bool before = px + length > width_ - 4;
      const double begin = before ? px - length : px;
      level = begin < last + 8 ? (level + 1) % 2 : 0;
      last = begin + length;
      out_ += fmt::format("<path class=\"mark\" d=\"M{:.1f} {}V{:.1f}\"/>\n", px,
                          top - 4 - 14 * level, bottom_);
      text(before ? px - 4 : px + 4, top - 6 - 14 * level, "text",
           before ? " text-anchor=\"end\"" : "", m->label);
    }
  }

  void legend() {
    double px = left;
    const double py = bottom_ + 46;
    std::vector<bool> used(g_.groups.size());
    bool critical = false;
    for (const GanttBar& b : g_.bars) {
      used[b.group] = true;
      critical |= b.critical;
    }
    const auto entry = [&](const char* css, const char* fill, const std::string& name) {
      out_ += fmt::format(
          "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"13\" height=\"13\" "
          "fill=\"{}\"/>\n",
          css, px, py - 11, fill);
      text(px + 18, py, "text", "", name);
      px += 34 + static_cast<double>(name.size()) * character;
    };
    for (std::size_t i = 0; i < used.size(); ++i)
      if (used[i]) entry("bar", colours[i % colours.size()], g_.groups[i]);
    if (critical) entry("hot", "#b00020", "decides the end");
    if (g_.prelude > 0) entry("prelude", "#6b737c", g_.prelude_label);
    if (!g_.links.empty()) {
      out_ += fmt::format("<path class=\"link\" d=\"M{:.1f} {:.1f}h16\"/>\n", px, py - 4);
      text(px + 22, py, "text", "", "transfer");
    }
  }

  const Gantt& g_;
  double end_ = 0, width_ = 0, bottom_ = 0, height_ = 0;
  std::vector<std::size_t> order_;
  std::string out_;
};

}  // namespace

std::string gantt_svg(const Gantt& gantt) { return Picture(gantt).draw(); }

}  // namespace isthmus::results
