// The bill of a run: what is counted while it runs, and its rows in the end (docs/cost.md).
#include <algorithm>
#include <cmath>

#include "sim/world/cost_state.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

constexpr double joules_per_kwh = 3.6e6, bytes_per_gb = 1e9;

// What a use of a machine or a request is billed as.
Duration rounded(Duration used, Duration granularity, Duration minimum) {
  used = std::max(used, minimum);
  if (granularity == Duration::zero()) return used;
  const std::int64_t g = granularity.ns();
  return Duration((used.ns() + g - 1) / g * g);
}

// Place of `now` in a round, and the step that holds then.
std::size_t step_at(const TimeSeries& series, Instant now) {
  const Duration in_round((now - Instant::zero()).ns() % series.length.ns());
  const auto after = std::upper_bound(series.at.begin(), series.at.end(), in_round);
  return static_cast<std::size_t>(after - series.at.begin()) - 1;
}

Instant next_change(const TimeSeries& series, Instant now) {
  if (series.at.empty()) return Instant::never();
  const Duration in_round((now - Instant::zero()).ns() % series.length.ns());
  const std::size_t next = step_at(series, now) + 1;
  return now - in_round + (next < series.at.size() ? series.at[next] : series.length);
}

double value_at(const TimeSeries& series, double constant, Instant now) {
  return series.at.empty() ? constant : series.value[step_at(series, now)];
}

const Duration month = Duration::from_seconds(hours_per_month * 3600);

}  // namespace

void World::open_costs() {
  const Costs& costs = scenario_.costs;
  if (!costs.enabled) return;
  costs_ = std::make_unique<CostState>();
  CostState& c = *costs_;
  c.rented_since.assign(nodes_.size(), Instant::never());
  c.rented.assign(scenario_.nodes.size(), 0);
  c.power.resize(scenario_.nodes.size());
  c.use.resize(scenario_.services.size());
  for (std::uint32_t s = 0; s < costs.usage.size(); ++s)
    if (costs.usage[s]) c.use[s].machines_up = scenario_.nodes[scenario_.services[s].group].count;
  for (std::uint32_t n = 0; n < nodes_.size(); ++n)
    if (scenario_.nodes[nodes_[n].group].billed_when_idle) c.rented_since[n] = now_;
  for (std::uint32_t i = 0; i < costs.sites.size(); ++i) {
    const Site& site = costs.sites[i];
    c.sites.push_back({value_at(site.prices, site.price, now_), value_at(site.intensities, site.grams, now_)});
    watch_prices(i);
  }
}

void World::reset_costs() {
  CostState& c = *costs_;
  c.start = now_;
  for (Instant& since : c.rented_since)
    if (!since.is_never()) since = now_;
  std::fill(c.rented.begin(), c.rented.end(), 0.0);
  for (CostState::Power& p : c.power) p = {};
  for (CostState::Use& u : c.use) {
    u.requests = u.granules = 0;
    u.months.clear();
    if (!u.down_since.is_never()) u.down_since = now_;
  }
}

void World::watch_prices(std::uint32_t site) {
  const Site& s = scenario_.costs.sites[site];
  const Instant at = std::min(next_change(s.prices, now_), next_change(s.intensities, now_));
  if (!at.is_never()) queue_.push(at, EventKind::price_change, site);
}

// What was used since the last reading was used at the prices until now.
void World::read_meters(std::uint32_t site) {
  const Site& spec = scenario_.costs.sites[site];
  const CostState::SiteNow& now = costs_->sites[site];
  for (std::uint32_t g = 0; g < scenario_.nodes.size(); ++g) {
    if (scenario_.costs.billing[g].site != site) continue;
    const NodeGroup& group = scenario_.nodes[g];
    double joules = 0;
    for (std::uint32_t n = group.first; n < group.first + group.count; ++n) joules += node_energy(nodes_[n]);
    CostState::Power& p = costs_->power[g];
    const double kwh = (joules - p.read) / joules_per_kwh * spec.pue;
    p.read = joules;
    p.cost += kwh * now.price;
    p.grams += kwh * now.grams;
  }
}

void World::on_price_change(std::uint32_t site) {
  read_meters(site);
  const Site& s = scenario_.costs.sites[site];
  costs_->sites[site] = {value_at(s.prices, s.price, now_), value_at(s.intensities, s.grams, now_)};
  watch_prices(site);
}

// A machine of a group that is paid for only in use.
void World::rent(std::uint32_t node, bool begins) {
  Instant& since = costs_->rented_since[node];
  if (begins == !since.is_never()) return;
  if (begins) {
    since = now_;
    return;
  }
  const Billing& b = scenario_.costs.billing[nodes_[node].group];
  costs_->rented[nodes_[node].group] += rounded(now_ - since, b.granularity, b.minimum).seconds();
  since = Instant::never();
}

CostState::Month& World::month_of(CostState::Use& use, Instant at) const {
  const auto index = static_cast<std::size_t>((at - costs_->start).ns() / month.ns());
  if (use.months.size() <= index) use.months.resize(index + 1);
  return use.months[index];
}

void World::count_use(std::uint32_t service, const results::RequestRecord& record) {
  const auto& billing = scenario_.costs.usage[service];
  if (!billing || !warm_) return;
  CostState::Use& use = costs_->use[service];
  ++use.requests;
  if (billing->provider) ++month_of(use, now_).requests;
  const Duration unit = std::max(billing->granularity, Duration(1));
  const Duration used = record.started.is_never() ? Duration::zero() : record.served - record.started;
  use.granules += static_cast<std::uint64_t>(rounded(used, unit, billing->minimum).ns() / unit.ns());
}

// Providers are down while none of their machines is up.
void World::note_machine(std::uint32_t node, bool up) {
  for (std::uint32_t s = 0; s < scenario_.services.size(); ++s) {
    const auto& billing = scenario_.costs.usage[s];
    if (!billing || !billing->provider || scenario_.services[s].group != nodes_[node].group) continue;
    CostState::Use& use = costs_->use[s];
    if (up && use.machines_up == 0) count_down_time(use);
    use.machines_up += up ? 1U : ~0U;
    use.down_since = use.machines_up == 0 ? now_ : Instant::never();
  }
}

void World::count_down_time(CostState::Use& use) {
  for (Instant from = use.down_since; from < now_;) {
    const std::int64_t index = (from - costs_->start).ns() / month.ns();
    const Instant to = std::min(now_, costs_->start + Duration((index + 1) * month.ns()));
    month_of(use, from).down += to - from;
    from = to;
  }
}

namespace {

void add(std::vector<results::LedgerRow>& rows, std::string item, const std::string& of, double quantity,
         std::string unit, double price, double at_once = 0) {
  rows.push_back({std::move(item), of, quantity, std::move(unit), price, results::amount_of(quantity, price),
                  results::amount_of(at_once, 1)});
}

// The month's bill is cut by the share of the deepest line that it fell below.
double credit_share(const UsageBilling& billing, double availability) {
  double share = 0;
  for (const UsageBilling::Credit& c : billing.credits)
    if (availability < c.below) share = c.share;
  return share;
}

}  // namespace

// Machines of a group: rent or purchase, licences, power; and what they emit.
void World::bill_group(std::uint32_t g, results::NodeTotals& totals, results::Ledger& ledger) {
  const NodeGroup& group = scenario_.nodes[g];
  const Billing& b = scenario_.costs.billing[g];
  const double span_hours = ledger.hours * group.count;
  auto& rows = ledger.rows;
  const std::size_t first = rows.size();
  double hours = totals.hours;
  if (b.granularity > Duration::zero() || b.minimum > Duration::zero()) {
    double seconds = costs_->rented[g];
    for (std::uint32_t n = group.first; n < group.first + group.count; ++n)
      if (const Instant since = costs_->rented_since[n]; !since.is_never())
        seconds += rounded(now_ - since, b.granularity, b.minimum).seconds();
    hours = seconds / 3600;
  }
  const bool priced = b.stated || group.price_per_hour > 0;
  switch (b.kind) {
    case BillingKind::on_demand:
      if (priced) add(rows, "instances", group.name, hours, "node-hours", group.price_per_hour);
      break;
    case BillingKind::spot:
      add(rows, "spot instances", group.name, hours, "node-hours", group.price_per_hour * (1 - b.discount));
      break;
    case BillingKind::reserved:
      if (b.upfront > 0)
        add(rows, "reservation", group.name, span_hours / b.term_hours, "node-terms", b.upfront,
            b.upfront * group.count);
      add(rows, "reserved instances", group.name, span_hours, "node-hours", group.price_per_hour);
      break;
    case BillingKind::owned:
      add(rows, "purchase", group.name, span_hours / b.life_hours, "node-lives", b.purchase - b.salvage,
          b.purchase * group.count);
      break;
    case BillingKind::none: break;
  }
  const bool whole = b.kind == BillingKind::reserved || b.kind == BillingKind::owned;
  for (const Licence& l : b.licences)
    add(rows, "licence " + l.name, group.name,
        (whole ? span_hours : totals.hours) / hours_per_month * l.per_machine, "licence-months", l.per_month);
  if (b.site != ~0U) {
    const Site& site = scenario_.costs.sites[b.site];
    const CostState::Power& p = costs_->power[g];
    const double kwh = p.read / joules_per_kwh * site.pue;
    const auto each = [&](double sum) { return kwh != 0 ? sum / kwh : 0.0; };
    if (b.pays_power)
      add(rows, "energy", group.name, kwh, "kWh", site.prices.at.empty() ? site.price : each(p.cost));
    if (site.grams > 0 || !site.intensities.at.empty())
      add(ledger.carbon, "operation", group.name, kwh, "kWh",
          site.intensities.at.empty() ? site.grams : each(p.grams));
  }
  if (b.embodied_grams > 0)
    add(ledger.carbon, "embodied", group.name, (whole ? span_hours : totals.hours) / b.embodied_hours,
        "node-lives", b.embodied_grams);
  std::int64_t cost = 0;
  for (std::size_t i = first; i < rows.size(); ++i) cost += rows[i].amount;
  totals.cost = static_cast<double>(cost) * 1e-6;
}

void World::bill_use(std::uint32_t s, results::Ledger& ledger) {
  const auto& billing = scenario_.costs.usage[s];
  if (!billing) return;
  const UsageBilling& b = *billing;
  CostState::Use& use = costs_->use[s];
  const std::string& name = scenario_.services[s].name;
  const auto requests = static_cast<double>(use.requests);
  const double seconds =
      static_cast<double>(use.granules) * std::max(b.granularity, Duration(1)).seconds();
  if (b.per_request > 0 || b.provider)
    add(ledger.rows, b.provider ? "calls" : "requests", name, requests, "requests", b.per_request);
  if (b.per_second > 0) add(ledger.rows, "time in service", name, seconds, "s", b.per_second);
  if (b.per_byte_second > 0)
    add(ledger.rows, "memory", name, seconds * b.memory / bytes_per_gb, "GB-s", b.per_byte_second * bytes_per_gb);
  if (!b.provider) return;
  if (use.machines_up == 0) count_down_time(use);
  double credited = 0;
  for (std::size_t i = 0; i < use.months.size(); ++i) {
    const Instant from = costs_->start + Duration(static_cast<std::int64_t>(i) * month.ns());
    const double length = std::min(month, now_ - from).seconds();
    const double available = length > 0 ? 1 - use.months[i].down.seconds() / length : 1;
    credited += static_cast<double>(use.months[i].requests) * credit_share(b, available);
  }
  if (credited > 0) add(ledger.rows, "credit", name, credited, "requests", -b.per_request);
}

// Availability of a provider over what is counted; after bill_use().
double World::availability_of(std::uint32_t s) const {
  double down = 0;
  for (const CostState::Month& m : costs_->use[s].months) down += m.down.seconds();
  const double span = (now_ - costs_->start).seconds();
  return span > 0 ? 1 - down / span : 1;
}

void World::add_ledger(results::WorldTotals& t) {
  if (!costs_) return;
  const Costs& costs = scenario_.costs;
  results::Ledger ledger;
  ledger.currency = costs.currency;
  ledger.hours = (now_ - costs_->start).seconds() / 3600;
  for (std::uint32_t i = 0; i < costs.sites.size(); ++i) read_meters(i);
  for (std::uint32_t g = 0; g < scenario_.nodes.size(); ++g) bill_group(g, t.nodes[g], ledger);
  for (std::uint32_t s = 0; s < scenario_.services.size(); ++s) bill_use(s, ledger);
  // Volumes of tiers are those of a month: a shorter run fills its part of them.
  const std::size_t egress = ledger.rows.size();
  double left = egress_bytes_;
  for (const EgressTier& tier : costs.egress) {
    const double here = std::min(left, tier.bytes * ledger.hours / hours_per_month);
    if (here > 0) add(ledger.rows, "egress", "network", here / bytes_per_gb, "GB", tier.price * bytes_per_gb);
    left -= here;
  }
  if (costs.egress.empty() && scenario_.egress_price > 0)
    add(ledger.rows, "egress", "network", egress_bytes_ / bytes_per_gb, "GB", scenario_.egress_price * bytes_per_gb);
  std::int64_t network = 0;
  for (std::size_t i = egress; i < ledger.rows.size(); ++i) network += ledger.rows[i].amount;
  t.network_cost = static_cast<double>(network) * 1e-6;
  for (const FlatItem& f : costs.flat) {
    if (f.once > 0) add(ledger.rows, "purchase", f.name, ledger.hours / f.life_hours, "lives", f.once, f.once);
    if (f.per_hour > 0)
      add(ledger.rows, "flat", f.name, ledger.hours / hours_per_month, "months", f.per_hour * hours_per_month);
  }
  for (std::uint32_t s = 0; s < scenario_.services.size(); ++s)
    if (costs.usage[s] && costs.usage[s]->provider)
      t.more.emplace_back("availability." + scenario_.services[s].name, availability_of(s));
  t.ledger = std::move(ledger);
}

}  // namespace isthmus::world
