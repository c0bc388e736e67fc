#include "results/ledger.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "results/format.hpp"
#include "results/part_metrics.hpp"
#include "results/text_table.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::results {

namespace {

constexpr double millionths = 1e6, hours_per_month = 730, hours_per_year = 8760;

double units(std::int64_t amount) { return static_cast<double>(amount) / millionths; }

std::int64_t sum(const std::vector<LedgerRow>& rows) {
  std::int64_t s = 0;
  for (const LedgerRow& r : rows)
    if (__builtin_add_overflow(s, r.amount, &s)) throw InputError("the total of the ledger is beyond what it can hold");
  return s;
}

// Exactly the amount, with two decimals or as many as it has.
std::string exact(std::int64_t amount, std::size_t least = 2) {
  const std::int64_t whole = amount < 0 ? -amount : amount;
  std::string decimals = fmt::format("{:06}", whole % 1'000'000);
  while (decimals.size() > least && decimals.back() == '0') decimals.pop_back();
  return fmt::format("{}{}.{}", amount < 0 ? "-" : "", whole / 1'000'000, decimals);
}

// To the cent, as people read bills.
std::string cents(std::int64_t amount) { return fmt::format("{:.2f}", units(amount)); }

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::int64_t amount_of(double quantity, double unit_price) {
  const double amount = quantity * unit_price * millionths;
  if (!(std::abs(amount) < 1e18))
    throw InputError(fmt::format("a row of the ledger, {:.6g} at {:.6g} each, is beyond what it can hold (1e12)",
                                 quantity, unit_price));
  return std::llround(amount);
}

std::int64_t Ledger::total() const { return sum(rows); }
std::int64_t Ledger::grams() const { return sum(carbon); }

std::int64_t Ledger::total_of(const std::string& name) const {
  std::int64_t s = 0;
  for (const LedgerRow& r : rows)
    if (r.of == name) s += r.amount;
  return s;
}

std::int64_t Ledger::total_item(const std::string& item) const {
  std::int64_t s = 0;
  for (const LedgerRow& r : rows)
    if (r.item == item) s += r.amount;
  return s;
}

void add_ledger_metrics(Summary& s) {
  if (!s.ledger) return;
  const Ledger& l = *s.ledger;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  MetricList list(s.metrics);
  const auto put = [&](std::string name, double value) { list.put(std::move(name), value); };
  const double answers = s.value("completed");
  std::int64_t at_once = 0, written_off = 0;
  for (const LedgerRow& r : l.rows) {
    at_once += r.at_once;
    if (r.at_once != 0) written_off += r.amount;
  }
  const auto per = [&](std::int64_t amount, double hours) {
    return l.hours > 0 ? units(amount) * hours / l.hours : nan;
  };
  put("cost_per_month", per(l.total(), hours_per_month));
  put("cost_per_year", per(l.total(), hours_per_year));
  put("cost_at_once", units(at_once));
  put("running_cost_per_month", per(l.total() - written_off, hours_per_month));
  // Rows of one item and owner, such as tiers of egress, are one metric.
  std::vector<std::pair<std::string, std::int64_t>> items;
  for (const LedgerRow& r : l.rows) {
    const std::string name = fmt::format("ledger.{}/{}", r.item, r.of);
    if (!items.empty() && items.back().first == name) items.back().second += r.amount;
    else items.emplace_back(name, r.amount);
  }
  for (const auto& [name, amount] : items) put(name, units(amount));
  if (!l.carbon.empty()) {
    std::int64_t embodied = 0;
    for (const LedgerRow& r : l.carbon)
      if (r.item == "embodied") embodied += r.amount;
    put("carbon", units(l.grams()));
    put("carbon_embodied", units(embodied));
    put("sci", answers > 0 ? units(l.grams()) / answers : nan);
  }
  // Definitions speak of USD; the scenario may count in something else.
  if (l.currency != "USD")
    for (Metric& m : s.metrics)
      if (m.unit == "USD") m.unit = l.currency;
}

std::string ledger_text(const Ledger& l) {
  const auto price = [](double p) { return fmt::format("{:.6g}", p); };
  TextTable bill({"ledger", "of", "quantity", "unit", "price", l.currency, "paid at once"});
  for (const LedgerRow& r : l.rows)
    bill.add_row({r.item, r.of, fmt::format("{:.6g}", r.quantity), r.unit, price(r.unit_price), cents(r.amount),
                  r.at_once != 0 ? cents(r.at_once) : "-"});
  bill.add_row({"total", "", "", "", "", cents(l.total()), ""});
  std::string out = bill.text();
  if (l.hours > 0)
    out += fmt::format("extrapolated from the {} simulated: {:.2f} {} a month, {:.2f} a year\n",
                       format_quantity(l.hours, "h"), units(l.total()) * hours_per_month / l.hours, l.currency,
                       units(l.total()) * hours_per_year / l.hours);
  if (l.carbon.empty()) return out;
  TextTable carbon({"carbon", "of", "quantity", "unit", "g per unit", "g CO2e"});
  for (const LedgerRow& r : l.carbon)
    carbon.add_row({r.item, r.of, fmt::format("{:.6g}", r.quantity), r.unit, price(r.unit_price),
                    format_figure(units(r.amount))});
  carbon.add_row({"total", "", "", "", "", format_figure(units(l.grams()))});
  return out + "\n" + carbon.text();
}

std::string ledger_csv(const Ledger& l) {
  std::string out = "kind,item,of,quantity,unit,unit_price,amount,currency,at_once\n";
  const auto add = [&](const char* kind, const LedgerRow& r, const std::string& currency) {
    out += fmt::format("{},{},{},{},{},{},{},{},{}\n", kind, quoted(r.item), quoted(r.of), r.quantity,
                       quoted(r.unit), r.unit_price, exact(r.amount), currency, exact(r.at_once));
  };
  for (const LedgerRow& r : l.rows) add("cost", r, l.currency);
  for (const LedgerRow& r : l.carbon) add("carbon", r, "g");
  return out;
}

}  // namespace isthmus::results
