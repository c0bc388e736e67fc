// split.
#include <fmt/core.h>

#include "scenarios/cli.hpp"
#include "scenarios/unit_strings.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

int command_split(SplitQuestion question, const SplitFlags& f) {
  const auto all = [](const std::vector<std::string>& texts, Unit unit) {
    std::vector<double> values;
    for (const std::string& t : texts) values.push_back(parse_quantity(t, unit));
    return values;
  };
  question.bandwidth = all(f.bandwidth, Unit::bandwidth);
  question.down_bandwidth = all(f.down_bandwidth, Unit::bandwidth);
  question.rtt = all(f.rtt, Unit::duration);
  if (!f.input.empty()) question.input = parse_quantity(f.input, Unit::bytes);
  if (!f.input.empty() && question.input < 0) throw InputError("--input must not be negative");
  if (!f.result.empty()) question.result = parse_quantity(f.result, Unit::bytes);
  if (!f.radio_power.empty()) question.radio_power = parse_quantity(f.radio_power, Unit::power);
  const SplitAnswer a = split(question);
  if (f.json)
    fmt::print("{}\n", to_json(a));
  else
    fmt::print("{}", to_text(a));
  return exit_ok;
}

}  // namespace isthmus::scenarios
