// schedule.
#include <fmt/core.h>

#include "scenarios/cli.hpp"
#include "scenarios/file_reading.hpp"

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

}  // namespace isthmus::scenarios
