// A calibration as tables, as JSON and as a scenario.
#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "results/format.hpp"
#include "results/text_table.hpp"
#include "results/version.hpp"
#include "scenarios/calibrate.hpp"
#include "scenarios/problems.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

using nlohmann::ordered_json;
using results::format_figure;
using results::format_quantity;

std::string_view name_of(models::Identified i) {
  switch (i) {
    case models::Identified::yes: return "identified";
    case models::Identified::at_bound: return "at its bound";
    case models::Identified::no_effect: return "no effect";
    default: return "confounded";
  }
}

// What to think of an estimate.
std::string verdict(const CalibratedParameter& p) {
  switch (p.identified) {
    case models::Identified::no_effect: return "kept: has no effect on this log";
    case models::Identified::confounded:
      return fmt::format("kept: not to be told apart from {}", p.other);
    case models::Identified::at_bound:
      return p.after <= 0 ? "at its bound: would be negative" : "at its bound";
    default: break;
  }
  if (std::isnan(p.standard_error)) return "too few requests for an error";
  if (std::isinf(p.standard_error)) return "decided by a few consecutive requests alone";
  if (p.standard_error > std::abs(p.after)) return "not to be told from 0";
  if (p.standard_error > 0.5 * std::abs(p.after)) return "vague";
  return "";
}

std::string error_text(double simulated, double measured) {
  return fmt::format("{:+.1f} %", 100 * (simulated / measured - 1));
}

void add_table(const Calibration& c, const std::string& part, const std::string& heading,
               std::string& out) {
  results::TextTable table({heading, "measured", "before", "error", "after", "error"});
  for (const CalibrationError& e : c.errors) {
    if (e.part != part) continue;
    const std::string name = fmt::format("{} {}", e.metric, e.statistic);
    if (e.statistic == "each")
      table.add_row({e.metric + " each, median", "", "", fmt::format("{:.1f} %", 100 * e.before), "",
                     fmt::format("{:.1f} %", 100 * e.after)});
    else
      table.add_row({name, format_quantity(e.measured, "s"), format_quantity(e.before, "s"),
                     error_text(e.before, e.measured), format_quantity(e.after, "s"),
                     error_text(e.after, e.measured)});
  }
  if (!table.empty()) out += "\n" + table.text();
}

ordered_json number(double x) { return std::isfinite(x) ? ordered_json(x) : ordered_json(nullptr); }

}  // namespace

std::string calibration_text(const Calibration& c) {
  std::string out = fmt::format(
      "{}: service \"{}\" against {} ({}): {} requests in {}\nfitted on {} of them ({}), held out {}; "
      "every simulation replays all\n\n",
      c.name, c.service, c.log, c.format, c.requests, format_quantity(c.span, "s"), c.fitted, c.split,
      c.held_out);
  results::TextTable table({"parameter", "before", "after", "standard error"});
  for (const CalibratedParameter& p : c.parameters)
    table.add_row({p.name, format_quantity(p.before, p.unit), format_quantity(p.after, p.unit),
                   std::isnan(p.standard_error) ? "-" : format_quantity(p.standard_error, p.unit)});
  out += table.text();
  for (const CalibratedParameter& p : c.parameters)
    if (const std::string v = verdict(p); !v.empty()) out += fmt::format("{}: {}\n", p.name, v);
  add_table(c, "fit", fmt::format("fitted part ({})", c.fitted), out);
  add_table(c, "held out", fmt::format("held-out part ({})", c.held_out), out);
  out += fmt::format("\n{} simulations; loss {} before, {} after\n", c.simulations,
                     format_figure(c.loss_before), format_figure(c.loss_after));
  for (const std::string& notice : c.notices) out += "note: " + notice + "\n";
  return out;
}

std::string calibration_json(const Calibration& c) {
  ordered_json j{{"scenario", c.scenario}, {"name", c.name},         {"service", c.service},
                 {"log", c.log},           {"format", c.format},     {"requests", c.requests},
                 {"fitted", c.fitted},     {"held_out", c.held_out}, {"span", c.span},
                 {"split", c.split}};
  j["parameters"] = ordered_json::array();
  for (const CalibratedParameter& p : c.parameters)
    j["parameters"].push_back({{"name", p.name},
                               {"pointer", p.pointer},
                               {"unit", p.unit},
                               {"before", p.before},
                               {"after", p.after},
                               {"standard_error", number(p.standard_error)},
                               {"state", name_of(p.identified)},
                               {"other", p.other},
                               {"verdict", verdict(p)},
                               {"value", ordered_json::parse(p.value)}});
  j["errors"] = ordered_json::array();
  for (const CalibrationError& e : c.errors) {
    const bool each = e.statistic == "each";
    j["errors"].push_back({{"part", e.part},
                           {"metric", e.metric},
                           {"statistic", e.statistic},
                           {"measured", each ? ordered_json(nullptr) : number(e.measured)},
                           {"before", each ? ordered_json(nullptr) : number(e.before)},
                           {"after", each ? ordered_json(nullptr) : number(e.after)},
                           {"error_before", number(each ? e.before : e.before / e.measured - 1)},
                           {"error_after", number(each ? e.after : e.after / e.measured - 1)}});
  }
  j["simulations"] = c.simulations;
  j["loss_before"] = number(c.loss_before);
  j["loss_after"] = number(c.loss_after);
  j["converged"] = c.converged;
  j["notices"] = c.notices;
  return j.dump(2) + "\n";
}

std::string calibrated_scenario(const Calibration& c, const std::filesystem::path& file) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::absolute(file).lexically_normal().parent_path();
  const fs::path base = fs::absolute(c.scenario).lexically_normal();
  Document original = read_document(c.scenario);
  Document out;
  out.root = object_value({});
  const auto put = [&](const char* key, const std::string& text) {
    out.root.members.push_back({key, {}, text_value(text, {})});
  };
  put("extends", base.lexically_relative(folder).string());
  std::string notes;
  if (const Value* n = original.root.find("notes"); n && n->is(JsonKind::text)) notes = n->text + " ";
  put("notes", fmt::format("{}Service \"{}\" calibrated with isthmus {} on {} of {} requests of {}.",
                           notes, c.service, results::program_version, c.fitted, c.requests,
                           fs::path(c.log).filename().string()));
  for (const Override& setting : c.settings) {
    const Edit edit = parse_override(setting, out.sources);
    Value* at = &out.root;
    const Value* there = &original.root;
    for (const std::string& token : split_pointer(setting.pointer)) {
      if (there && there->is(JsonKind::list))
        throw InputError(
            fmt::format("{}: lies in a list, which a file that extends another can only replace; "
                        "write it into {} itself, or leave out --out",
                        setting.pointer, c.scenario));
      if (!at->is(JsonKind::object)) *at = object_value({});
      if (!at->find(token)) at->members.push_back({token, {}, object_value({})});
      at = at->find(token);
      there = there ? there->find(token) : nullptr;
    }
    *at = edit.value;
  }
  return to_text(out.root, 2) + "\n";
}

}  // namespace isthmus::scenarios
