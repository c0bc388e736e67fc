#include "results/operator_timeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "models/hdf5.hpp"
#include "models/operator_kind.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::results {

namespace {

// The columns of table "operators" that the picture needs.
struct Operators {
  std::vector<std::int64_t> start, end;
  std::vector<std::uint32_t> group, node, lane, service, replica, op, kind;
  std::vector<std::string> groups, lanes, services, names;
};

Operators read(const std::filesystem::path& directory) {
  const std::string path = (directory / "run.h5").string();
  const h5::File file = h5::File::open(path);
  if (!file.has("operators"))
    throw InputError(fmt::format(
        "{}: the run kept no operators; set /results/operators to true and run it again", path));
  const h5::Group g = file.open_group("operators");
  const auto codes = [&](const char* name) { return g.read<std::uint32_t>(name); };
  const auto values = [&](const char* name) { return g.dataset(name).strings_attribute("values"); };
  Operators o{.start = g.read<std::int64_t>("start"),
              .end = g.read<std::int64_t>("end"),
              .group = codes("group"),
              .node = codes("node"),
              .lane = codes("lane"),
              .service = codes("service"),
              .replica = codes("replica"),
              .op = codes("operator"),
              .kind = codes("kind"),
              .groups = {},
              .lanes = {},
              .services = {},
              .names = {}};
  if (o.start.empty())
    throw InputError(
        fmt::format("{}: no operator ran; only services with \"units\" run operators", path));
  o.groups = values("group");
  o.lanes = values("lane");
  o.services = values("service");
  o.names = values("operator");
  const auto below = [](const std::vector<std::uint32_t>& c, std::size_t n) {
    return std::all_of(c.begin(), c.end(), [&](std::uint32_t v) { return v < n; });
  };
  const std::size_t rows = o.start.size();
  for (const auto* c : {&o.group, &o.node, &o.lane, &o.service, &o.replica, &o.op, &o.kind})
    if (c->size() != rows) throw InputError(path + ": columns of \"operators\" differ in length");
  if (o.end.size() != rows || !below(o.group, o.groups.size()) || !below(o.lane, o.lanes.size()) ||
      !below(o.service, o.services.size()) || !below(o.op, o.names.size()) ||
      !below(o.kind, models::operator_kind_names.size()))
    throw InputError(path + ": table \"operators\" is damaged");
  return o;
}

std::string seconds_text(double s) { return fmt::format("{:.9g} s", s); }

}  // namespace

Gantt operator_timeline(const std::filesystem::path& directory, const TimelineWindow& window) {
  if (window.from < 0)
    throw InputError(fmt::format("the window begins at {} s; runs begin at 0 s", window.from));
  if (!(window.from >= 0 && window.to > window.from))
    throw InputError(fmt::format("the window from {} s to {} s is empty", window.from, window.to));
  const Operators o = read(directory);
  std::uint32_t group = o.group.front();
  if (!window.group.empty()) {
    const auto it = std::find(o.groups.begin(), o.groups.end(), window.group);
    if (it == o.groups.end())
      throw InputError(fmt::format("there is no node group \"{}\"; there are: {}", window.group,
                                   fmt::join(o.groups, ", ")));
    group = static_cast<std::uint32_t>(it - o.groups.begin());
  }

  // Rows of the table are in order of their ends; the first `most` that start in the window count.
  std::vector<std::size_t> shown;
  std::map<std::uint32_t, std::uint32_t> row_of;     // by lane
  std::map<std::uint32_t, std::uint32_t> colour_of;  // by service
  for (std::size_t i = 0; i < o.start.size(); ++i) {
    if (o.group[i] != group || o.node[i] != window.node) continue;
    row_of[o.lane[i]] = 0;  // lanes that are idle in the window stay visible
    const double start = static_cast<double>(o.start[i]) * 1e-9;
    const double end = static_cast<double>(o.end[i]) * 1e-9;
    if (end <= window.from || start >= window.to) continue;
    if (std::isinf(window.to) && shown.size() >= window.most) continue;
    shown.push_back(i);
    colour_of[o.service[i]] = 0;
  }
  if (shown.empty())
    throw InputError(fmt::format("nothing ran on node {} of \"{}\" from {} to {}", window.node,
                                 o.groups[group], seconds_text(window.from),
                                 std::isinf(window.to) ? "the end" : seconds_text(window.to)));

  Gantt g;
  const bool by_service = colour_of.size() > 1;
  for (auto& [lane, row] : row_of) {
    row = static_cast<std::uint32_t>(g.rows.size());
    g.rows.push_back(o.lanes[lane]);
  }
  if (by_service)
    for (auto& [service, colour] : colour_of) {
      colour = static_cast<std::uint32_t>(g.groups.size());
      g.groups.push_back(o.services[service]);
    }
  else
    for (const std::string_view kind : models::operator_kind_names) g.groups.emplace_back(kind);

  std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = 0;
  std::vector<double> busy(g.rows.size());
  for (const std::size_t i : shown) {
    first = std::min(first, o.start[i]);
    last = std::max(last, o.end[i]);
  }
  const double begin = std::max(window.from, static_cast<double>(first) * 1e-9);
  const double finish = std::min(window.to, static_cast<double>(last) * 1e-9);
  for (const std::size_t i : shown) {
    const double start = std::max(begin, static_cast<double>(o.start[i]) * 1e-9);
    const double end = std::min(finish, static_cast<double>(o.end[i]) * 1e-9);
    if (end < start) continue;
    const std::uint32_t row = row_of[o.lane[i]];
    busy[row] += end - start;
    g.bars.push_back(
        {.row = row,
         .start = start,
         .end = end,
         .label = o.names[o.op[i]],
         .group = by_service ? colour_of[o.service[i]] : o.kind[i],
         .module = "",
         .detail = fmt::format("{} of {}, replica {}", models::operator_kind_names[o.kind[i]],
                               o.services[o.service[i]], o.replica[i])});
  }
  for (const double b : busy)
    g.row_notes.push_back(fmt::format("{:.0f} % busy", 100 * b / (finish - begin)));
  g.begin = begin;
  g.title = fmt::format("{}, node {}: operators as they ran", o.groups[group], window.node);
  g.subtitle = fmt::format("{} operators from {} to {}", g.bars.size(), seconds_text(begin),
                           seconds_text(finish));
  return g;
}

}  // namespace isthmus::results
