// The ledger: how machines, services and power are paid for.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "scenarios/file_reading.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/random.hpp"
#include "sim/world/arrival_fields.hpp"

namespace isthmus::scenarios {

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr double usual_outage = 1800;  // s
constexpr std::size_t most_rows = 2'000'000;

double cell_value(std::string_view cell, const world::CsvReader& csv, int column) {
  const bool negative = cell.starts_with('-');
  const auto amount = world::parse_amount(negative ? cell.substr(1) : cell);
  if (!amount) csv.fail_cell(column, "a number");
  return negative ? -*amount : *amount;
}

// Date of a row: s, or a calendar date.
std::int64_t cell_date(const world::CsvReader& csv) {
  const std::string_view cell = csv.cell(0);
  if (const auto date = world::parse_timestamp_ns(cell)) return *date;
  const auto seconds = world::parse_decimal_ns(cell, second);
  if (!seconds) csv.fail_cell(0, "a date like \"2022-01-01 00:00:00\" or a number of seconds");
  return *seconds;
}

// Rows count from the first one; the file goes round. `start` of it is date zero of the run.
world::TimeSeries series_of(Resolution& r, const ObjectView& v) {
  const auto path = expand_path(v.text("file"), r.document.folder);
  require_regular_file(path);
  world::CsvReader csv(path.string());
  if (csv.header().size() < 2) throw InputError(path.string() + ": needs a column of dates and one of values");
  const int column = v.has("column") ? csv.need(v.text("column")) : 1;
  const double factor = v.number("factor");
  world::TimeSeries s;
  std::int64_t first = 0;
  std::size_t empty = 0;
  while (csv.next()) {
    const std::int64_t date = cell_date(csv);
    if (s.at.empty()) first = date;
    const Duration at(date - first);
    if (!s.at.empty() && at <= s.at.back()) csv.fail_cell(0, "a date later than that of the row before");
    const std::string_view cell = world::trim(csv.cell(column));
    if (cell.empty()) {
      if (s.value.empty()) csv.fail_cell(column, "a number: there is no row before to repeat");
      ++empty;
    }
    s.at.push_back(at);
    s.value.push_back(cell.empty() ? s.value.back() : factor * cell_value(cell, csv, column));
    if (s.at.size() > most_rows) throw InputError(path.string() + ": has more than 2,000,000 rows");
  }
  if (s.at.empty()) throw InputError(path.string() + ": has no rows");
  if (empty > 0)
    r.scenario.notices.push_back(fmt::format("{}: {} empty cells of column \"{}\" repeat the value before", v.text("file"),
                                             empty, csv.header()[static_cast<std::size_t>(column)]));
  const Duration last = s.at.back();
  s.length = s.at.size() > 1 ? last + (last - s.at[s.at.size() - 2]) : Duration::from_seconds(3600);

  // Turn it so that the run begins at `start`.
  const Duration start(v.duration("start").ns() % s.length.ns());
  const auto begin = static_cast<std::size_t>(std::upper_bound(s.at.begin(), s.at.end(), start) - s.at.begin()) - 1;
  world::TimeSeries turned;
  turned.length = s.length;
  for (std::size_t i = 0; i <= s.at.size(); ++i) {
    const std::size_t k = (begin + i) % s.at.size();
    const Duration at = i == 0 ? Duration::zero() : s.at[k] - start + (begin + i >= s.at.size() ? s.length : Duration::zero());
    if (i == s.at.size() && at >= s.length) break;  // the run begins on a row
    turned.at.push_back(at);
    turned.value.push_back(s.value[k]);
  }
  return turned;
}

// A constant, or a series from a file.
void read_power_figure(Resolution& r, const ObjectView& v, const char* name, Unit unit, double& constant,
                       world::TimeSeries& series) {
  const Value* written = v.find(name);
  if (!written) return;
  if (written->is(JsonKind::text)) {
    constant = number_of(*written, unit);
    return;
  }
  const Field* row = nullptr;
  for (const Field& f : v.row(name).elements)
    if (f.type == FieldType::object) row = &f;
  try {
    series = series_of(r, ObjectView(written, row->spec(), v.pointer_to(name), written->at));
  } catch (const InputError& e) {
    r.problems.add(written->at, v.pointer_to(name), e.what());
  }
}

void read_sites(Resolution& r, const ObjectView& costs) {
  const Value* sites = costs.find("sites");
  if (!sites) return;
  const ObjectSpec& spec = costs.row("sites").elements[0].spec();
  for (const Member& m : sites->members) {
    const ObjectView v(&m.value, spec, child(costs.pointer_to("sites"), m.key), m.at);
    world::Site site;
    site.name = m.key;
    site.pue = v.number("pue");
    read_power_figure(r, v, "power_price", Unit::price_per_energy, site.price, site.prices);
    read_power_figure(r, v, "carbon_intensity", Unit::carbon_intensity, site.grams, site.intensities);
    r.scenario.costs.sites.push_back(std::move(site));
  }
}

world::Billing billing_of(Resolution& r, const ObjectView& node, const world::NodeGroup& group,
                          const Value* sites) {
  world::Billing b;
  const auto refuse = [&](const ObjectView& v, const char* field, const std::string& why) {
    r.problems.add(v.at(field), v.pointer_to(field), why);
  };
  double life_years = node.number("life_years");
  if (node.has("billing")) {
    const ObjectView v = node.object("billing");
    b.stated = true;
    const std::string& kind = v.variant();
    if (kind == "on-demand" || kind == "spot") {
      b.kind = kind == "spot" ? world::BillingKind::spot : world::BillingKind::on_demand;
      b.granularity = v.duration_or("granularity", Duration::zero());
      b.minimum = v.duration("minimum");
      if (kind == "spot") b.discount = v.number("discount");
    } else if (kind == "reserved") {
      b.kind = world::BillingKind::reserved;
      b.upfront = v.number("upfront");
      b.term_hours = v.number("years") * world::hours_per_year;
    } else if (kind == "owned") {
      b.kind = world::BillingKind::owned;
      if (!node.has("purchase_price")) refuse(node, "billing", "owned machines need a \"purchase_price\"");
      b.purchase = node.number_or("purchase_price", 0);
      b.salvage = b.purchase * v.number("salvage");
      b.life_hours = v.number("years") * world::hours_per_year;
      if (!node.has("life_years")) life_years = v.number("years");
      // The catalogue may know a rent, too; it is not the one to pay.
      if (group.price_per_hour > 0 && node.at("price").source == node.at("billing").source)
        refuse(node, "price", "is rent, but the machines are owned; leave one of both out");
    } else {
      b.kind = world::BillingKind::none;
    }
    if ((b.kind == world::BillingKind::owned || b.kind == world::BillingKind::reserved) && !group.billed_when_idle)
      refuse(node, "billed_when_idle", fmt::format("{} machines are paid for whether they are used or not", kind));
    if (b.kind == world::BillingKind::spot && !(group.price_per_hour > 0))
      refuse(v, "discount", "needs the node's on-demand \"price\", off which it is");
  }
  b.pays_power = node.has("pays_power") ? node.flag("pays_power") : b.kind == world::BillingKind::owned;
  if (node.has("site"))
    for (std::uint32_t i = 0; i < sites->members.size(); ++i)
      if (sites->members[i].key == node.text("site")) b.site = i;
  if (node.has("pays_power") && b.pays_power && b.site == ~0U)
    refuse(node, "pays_power", "needs a \"site\", which has the price");
  if (const Value* licences = node.find("licences"))
    for (const Member& m : licences->members) {
      const ObjectView v(&m.value, node.row("licences").elements[0].spec(), child(node.pointer_to("licences"), m.key), m.at);
      b.licences.push_back({m.key, v.number("price") * world::hours_per_month, v.number("per_machine")});
    }
  b.embodied_grams = node.number("embodied_carbon");
  b.embodied_hours = life_years * world::hours_per_year;
  return b;
}

// Outages that the provider's availability stands for.
void add_outages(Resolution& r, const ObjectView& v, const world::Service& service) {
  const double availability = v.number("availability");
  if (availability >= 1) return;
  auto law = std::make_shared<world::FaultLaw>();
  if (v.has("outage")) {
    law->time_to_repair = v.distribution("outage", r.problems);
  } else {
    law->time_to_repair.kind = world::DistributionKind::exponential;
    law->time_to_repair.a = usual_outage;
  }
  const double repair = law->time_to_repair.mean();
  if (!(repair > 0 && std::isfinite(repair))) {
    r.problems.add(v.at("outage"), v.pointer_to("outage"), "needs a mean above 0 from which the time between outages follows");
    return;
  }
  law->time_to_failure.kind = world::DistributionKind::exponential;
  law->time_to_failure.a = repair * availability / (1 - availability);
  world::Fault fault;
  fault.law = std::move(law);
  fault.identity = hash_name(v.pointer());
  const world::NodeGroup& group = r.scenario.nodes[service.group];
  for (std::uint32_t n = 0; n < group.count; ++n) fault.nodes.push_back(group.first + n);
  r.scenario.faults.push_back(std::move(fault));
}

std::optional<world::UsageBilling> usage_of(Resolution& r, const ObjectView& s, std::uint32_t index) {
  const bool serverless = s.has("serverless"), provider = s.has("provider");
  if (!serverless && !provider) return std::nullopt;
  const char* field = serverless ? "serverless" : "provider";
  const world::Service& service = r.scenario.services[index];
  const auto refuse = [&](const ObjectView& v, const char* at, const std::string& why) {
    r.problems.add(v.at(at), v.pointer_to(at), why);
  };
  if (serverless && provider) refuse(s, "provider", "a service is either serverless or a provider's");
  if (service.pools || service.split || service.local || service.fetching || is_called(r.scenario, index))
    refuse(s, field, "is for services that clients ask over the network: without pools, splits, caches and calls");
  const world::NodeGroup& group = r.scenario.nodes[service.group];
  if (group.price_per_hour > 0 && r.scenario.costs.billing[service.group].kind != world::BillingKind::none)
    refuse(s, field,
           fmt::format("is paid for by use, and its machines \"{}\" by the hour: give these \"billing\": "
                       "{{\"kind\": \"none\"}}",
                       group.name));
  world::UsageBilling b;
  if (serverless) {
    const ObjectView v = s.object("serverless");
    b.per_request = v.number("request_price");
    b.per_second = v.number("time_price") / 3600;
    b.per_byte_second = v.number("memory_price");
    b.memory = v.number_or("memory", 0);
    b.granularity = v.duration("granularity");
    b.minimum = v.duration("minimum");
    if (b.per_byte_second > 0 && b.memory == 0) refuse(v, "memory_price", "needs the \"memory\" of an instance");
    return b;
  }
  const ObjectView v = s.object("provider");
  b.provider = true;
  b.per_request = v.number("call_price");
  for (const ObjectView& c : v.objects("credits")) b.credits.push_back({c.number("below"), c.number("share")});
  for (std::size_t i = 1; i < b.credits.size(); ++i)
    if (b.credits[i].below >= b.credits[i - 1].below || b.credits[i].share < b.credits[i - 1].share)
      refuse(v, "credits", "\"below\" must fall from entry to entry, and \"share\" must not");
  add_outages(r, v, service);
  return b;
}

}  // namespace

void resolve_costs(Resolution& r, const ObjectView& root) {
  world::Costs& out = r.scenario.costs;
  const ObjectView costs = root.object("costs");
  out.enabled = root.has("costs");
  out.currency = costs.text("currency");
  read_sites(r, costs);
  for (std::size_t g = 0; g < r.scenario.nodes.size(); ++g) {
    const Member& m = root.find("nodes")->members[g];
    const ObjectView node(&m.value, node_spec(), child("/nodes", m.key), m.at);
    out.billing.push_back(billing_of(r, node, r.scenario.nodes[g], costs.find("sites")));
    const world::Billing& b = out.billing.back();
    out.enabled = out.enabled || b.stated || !b.licences.empty() || b.embodied_grams > 0;
  }
  if (r.problems.any()) return;
  if (costs.has("ledger")) out.enabled = costs.flag("ledger");
  out.usage.resize(r.scenario.services.size());
  for (const Member& m : root.find("services")->members) {
    const ObjectView s(&m.value, service_spec(), child("/services", m.key), m.at);
    const std::uint32_t index = r.services.at(m.key);
    out.usage[index] = usage_of(r, s, index);
    out.enabled = out.enabled || (out.usage[index] && !costs.has("ledger"));
  }
  if (const Value* flat = costs.find("flat"))
    for (const Member& m : flat->members) {
      const ObjectView v(&m.value, costs.row("flat").elements[0].spec(), child(costs.pointer_to("flat"), m.key), m.at);
      out.flat.push_back({m.key, v.number_or("price", 0), v.number_or("purchase_price", 0),
                          v.number("years") * world::hours_per_year});
      if (v.has("price") == v.has("purchase_price"))
        r.problems.add(m.at, v.pointer(), "give either \"price\" or \"purchase_price\"");
    }
  const std::vector<ObjectView> tiers = costs.objects("egress");
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    const ObjectView& v = tiers[i];
    if (v.has("volume") == (i + 1 == tiers.size()))
      r.problems.add(v.at(), v.pointer(), "every tier but the last needs a \"volume\", and the last has none");
    out.egress.push_back({v.number_or("volume", std::numeric_limits<double>::infinity()), v.number("price")});
  }
  if (!tiers.empty() && r.scenario.egress_price > 0)
    r.problems.add(costs.at("egress"), costs.pointer_to("egress"),
                   "egress has a price already: network.egress_price");
}

}  // namespace isthmus::scenarios
