// explain.
#include <fmt/core.h>

#include "scenarios/cli.hpp"
#include "scenarios/explain.hpp"

namespace isthmus::scenarios {

int command_explain(const ExplainQuestion& question, std::size_t top, bool chart, bool json) {
  const Explanation e = explain(question);
  if (json) {
    fmt::print("{}\n", to_json(e));
    return exit_ok;
  }
  fmt::print("{}", to_text(e, top));
  if (chart)
    for (const ExplainedPhase& p : e.phases) fmt::print("{}", roofline_chart(e, p));
  return exit_ok;
}

}  // namespace isthmus::scenarios
