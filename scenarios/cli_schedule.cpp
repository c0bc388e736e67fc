// schedule, gantt.
#include <fmt/core.h>

#include <charconv>
#include <limits>

#include "results/operator_timeline.hpp"
#include "scenarios/cli.hpp"
#include "scenarios/file_reading.hpp"
#include "scenarios/unit_strings.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

int command_schedule(const ScheduleQuestion& question, const ScheduleFlags& flags) {
  const GraphSchedule s = schedule(question);
  if (flags.gantt == "-") {
    fmt::print("{}", to_svg(s));
    return exit_ok;
  }
  if (!flags.gantt.empty()) write_file_atomically(flags.gantt, to_svg(s));
  if (flags.json)
    fmt::print("{}\n", to_json(s));
  else
    fmt::print("{}", to_text(s, flags.top));
  return exit_ok;
}

int command_gantt(const GanttFlags& f) {
  results::TimelineWindow window;
  const std::size_t colon = f.node.rfind(':');
  window.group = f.node.substr(0, colon);
  if (colon != std::string::npos) {
    const char *begin = f.node.data() + colon + 1, *end = f.node.data() + f.node.size();
    const auto [stop, error] = std::from_chars(begin, end, window.node);
    if (error != std::errc() || stop != end)
      throw InputError("--node: must be a node group, or group:index such as phone:3, not '" +
                       f.node + "'");
  }
  if (!f.from.empty()) window.from = parse_quantity(f.from, Unit::duration);
  window.to =
      f.to.empty() ? std::numeric_limits<double>::infinity() : parse_quantity(f.to, Unit::duration);
  window.most = f.most;
  const std::string picture = results::gantt_svg(results::operator_timeline(f.directory, window));
  if (f.out == "-")
    fmt::print("{}", picture);
  else
    write_file_atomically(f.out, picture);
  return exit_ok;
}

}  // namespace isthmus::scenarios
