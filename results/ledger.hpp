// The bill of a run and its carbon, item by item. Amounts are integers, so that totals are exactly
// the sum of their rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace isthmus::results {

struct Summary;

//! A line: quantity x unit_price = amount.
struct LedgerRow {
  std::string item;            //!< "instances", "energy", "egress", ...
  std::string of;              //!< node group, service, site or name of a flat item
  double quantity = 0;
  std::string unit;            //!< of the quantity: "node-hours", "kWh", ...
  double unit_price = 0;
  std::int64_t amount = 0;     //!< millionths of the currency, or of a gram
  //! Of what is paid at once and written off by this row: the whole of it, in millionths.
  std::int64_t at_once = 0;
};

//! Millionths of quantity x unit_price, to the nearest. Throws InputError beyond what they can hold.
std::int64_t amount_of(double quantity, double unit_price);

struct Ledger {
  std::string currency;
  double hours = 0;            //!< that it covers: the run without its warm-up
  std::vector<LedgerRow> rows;
  std::vector<LedgerRow> carbon;  //!< in grams of CO2 equivalents

  std::int64_t total() const;  //!< millionths
  std::int64_t total_of(const std::string& group_or_service) const;
  std::int64_t total_item(const std::string& item) const;
  std::int64_t grams() const;  //!< millionths
};

//! Puts the ledger's figures among the metrics.
void add_ledger_metrics(Summary& summary);
//! The ledger as a table for terminals, and as CSV.
std::string ledger_text(const Ledger& ledger);
std::string ledger_csv(const Ledger& ledger);

}  // namespace isthmus::results
