// The ledger: scenario files, and bills by hand.
#include <gmock/gmock.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include "results/ledger.hpp"
#include "sim/core/random.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"
#include "tests/shared_data.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using results::LedgerRow;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// One machine of 100 W that takes 1 s per request; two requests.
json scenario(const json& node = json::object(), const json& more = json::object()) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "10 h"},
            {"nodes", {{"server", {{"base_power", "100 W"}}}, {"phone", {{"tier", "device"}}}}},
            {"network", {{"model", "fluid"}, {"links", {{"wan", {{"bandwidth", "1 GB/s"}}}}},
                         {"access", {{"phone", {"wan"}}}}}},
            {"services", {{"s", {{"service_time", "1 s"}, {"on", "server"}}}}},
            {"workload", {{{"source", "times"}, {"times", {"1 h", "2 h"}}, {"target", "s"}, {"clients", {{"on", "phone"}}},
                           {"request", {{"download", "2 GB"}}}}}},
            {"results", {{"sample_period", "1 h"}}},
            {"costs", json::object()}};
  if (!node.is_null()) s["nodes"]["server"].update(node);
  s.merge_patch(more);
  return s;
}

results::Summary run(const json& s) { return world::run(*load_json(s).scenario, {}); }

// The only row of that item.
LedgerRow row(const results::Summary& s, const std::string& item) {
  const LedgerRow* found = nullptr;
  for (const LedgerRow& r : s.ledger.value().rows)
    if (r.item == item) {
      EXPECT_EQ(found, nullptr) << "two rows of " << item;
      found = &r;
    }
  if (found) return *found;
  ADD_FAILURE() << "no row of " << item;
  return {};
}

double amount(const results::Summary& s, const std::string& item) {
  return static_cast<double>(row(s, item).amount) * 1e-6;
}

TEST(Costs, NoLedgerUnlessAskedFor) {
  json s = scenario({{"price", "2 USD/h"}});
  s.erase("costs");
  EXPECT_FALSE(run(s).ledger);
  EXPECT_DOUBLE_EQ(run(s).value("cost"), 20);
  s["costs"] = json::object();
  const results::Summary with = run(s);
  EXPECT_DOUBLE_EQ(with.value("cost"), 20);  // the same cost, in rows
  EXPECT_EQ(row(with, "instances").amount, 20'000'000);
  EXPECT_EQ(run(scenario({{"price", "2 USD/h"}}, {{"costs", {{"ledger", false}}}})).ledger, std::nullopt);
}

TEST(Costs, MachinesByTheHourTheTermAndTheLife) {
  EXPECT_DOUBLE_EQ(amount(run(scenario({{"price", "2 USD/h"}, {"count", 3}})), "instances"), 60);
  EXPECT_DOUBLE_EQ(amount(run(scenario({{"price", "2 USD/h"}, {"billing", {{"kind", "spot"}, {"discount", 0.7}}}})),
                          "spot instances"),
                   6);
  const results::Summary reserved = run(scenario(
      {{"price", "1 USD/h"}, {"count", 2}, {"billing", {{"kind", "reserved"}, {"upfront", "876 USD"}, {"years", 1}}}}));
  EXPECT_DOUBLE_EQ(amount(reserved, "reserved instances"), 20);
  EXPECT_DOUBLE_EQ(amount(reserved, "reservation"), 2);  // 2 x 876 x 10 h of 8760
  EXPECT_DOUBLE_EQ(reserved.value("cost_at_once"), 1752);
  EXPECT_DOUBLE_EQ(reserved.value("cost"), 22);
  EXPECT_DOUBLE_EQ(reserved.value("running_cost_per_month"), 20 * 73);
  const results::Summary owned = run(scenario({{"purchase_price", "8760 USD"},
                                               {"billing", {{"kind", "owned"}, {"years", 4}, {"salvage", "20 %"}}}}));
  EXPECT_DOUBLE_EQ(amount(owned, "purchase"), 2);  // 8760 x 0.8 / 4 years
  EXPECT_DOUBLE_EQ(owned.value("cost_at_once"), 8760);
  EXPECT_DOUBLE_EQ(owned.value("cost_per_year"), 1752);
}

TEST(Costs, UsesAreRoundedUp) {
  const auto with = [](const json& billing) {
    json s = scenario({{"price", "6 USD/h"}, {"billing", billing}}, {{"duration", "610 s"}});
    s["workload"][0]["times"] = {"1 s"};
    return run(s);
  };
  EXPECT_NEAR(amount(with({{"kind", "on-demand"}}), "instances"), 6.0 * 610 / 3600, 5e-7);
  EXPECT_DOUBLE_EQ(amount(with({{"kind", "on-demand"}, {"granularity", "1 min"}}), "instances"), 1.1);
  EXPECT_DOUBLE_EQ(amount(with({{"kind", "on-demand"}, {"granularity", "1 h"}}), "instances"), 6);
  EXPECT_DOUBLE_EQ(amount(with({{"kind", "on-demand"}, {"minimum", "20 min"}}), "instances"), 2);
  EXPECT_DOUBLE_EQ(amount(with({{"kind", "spot"}, {"discount", 0.5}, {"granularity", "1 min"}}), "spot instances"), 0.55);
}

// Machines that come and go with an autoscaler: each use is rounded by itself.
TEST(Costs, EveryUseIsRoundedByItself) {
  const auto hours = [](const char* granularity) {
    json s = scenario({{"price", "1 USD/h"}, {"count", 8}, {"billed_when_idle", false},
                       {"billing", {{"kind", "on-demand"}, {"granularity", granularity}}}},
                      {{"duration", "4000 s"},
                       {"services", {{"s", {{"replicas", 1}, {"max_replicas", 8},
                                            {"autoscaling", {{"policy", "hpa"}, {"target_utilization", 0.5}}}}}}}});
    s["workload"] = {{{"source", "steps"}, {"target", "s"}, {"clients", {{"on", "phone"}}},
                      {"steps", json::array({json::array({"0 s", "0.2 /s"}), json::array({"1000 s", "3 /s"}),
                                             json::array({"1500 s", "0.2 /s"}), json::array({"2500 s", "3 /s"}),
                                             json::array({"3000 s", "0.2 /s"})})}}};
    const results::Summary r = run(s);
    EXPECT_EQ(r.nodes[1].name, "server");
    return std::pair(row(r, "instances").quantity, r.nodes[1].hours);
  };
  const auto [exact, used] = hours("1 ns");
  EXPECT_NEAR(exact, used, 1e-9);
  EXPECT_GT(used, 4000.0 / 3600 * 1.2);  // it did scale
  const auto [whole, same] = hours("1 h");
  EXPECT_EQ(same, used);
  EXPECT_EQ(whole, std::round(whole));  // started hours
  EXPECT_GE(whole, 10);                 // two for the machine that stays, at least four each for two peaks
  const auto [minutes, still] = hours("1 min");
  EXPECT_GT(minutes, exact);
  EXPECT_LT(minutes, whole);
}

TEST(Costs, PowerLicencesAndFlatItems) {
  json s = scenario({{"purchase_price", "8760 USD"},
                     {"billing", {{"kind", "owned"}, {"years", 1}}},
                     {"site", "room"},
                     {"embodied_carbon", "876 kg"},
                     {"licences", {{"suite", {{"price", "73 USD/month"}, {"per_machine", 8}}}}}},
                    {{"costs",
                      {{"sites", {{"room", {{"power_price", "0.5 USD/kWh"}, {"carbon_intensity", "400 g/kWh"}, {"pue", 1.5}}}}},
                       {"flat", {{"staff", {{"price", "146 USD/month"}}}, {"desk", {{"purchase_price", "876 USD"}, {"years", 1}}}}}}}});
  const results::Summary r = run(s);
  EXPECT_DOUBLE_EQ(row(r, "energy").quantity, 1.5);  // 100 W x 10 h x 1.5
  EXPECT_DOUBLE_EQ(amount(r, "energy"), 0.75);
  EXPECT_DOUBLE_EQ(amount(r, "licence suite"), 8.0);
  EXPECT_DOUBLE_EQ(amount(r, "flat"), 2);
  EXPECT_DOUBLE_EQ(r.value("ledger.purchase/server"), 10);
  EXPECT_DOUBLE_EQ(r.value("ledger.purchase/desk"), 1);
  EXPECT_DOUBLE_EQ(r.value("cost"), 0.75 + 8 + 2 + 10 + 1);
  // 1.5 kWh x 400 g, and 876 kg over a year of 8760 h; two answers.
  EXPECT_DOUBLE_EQ(r.value("carbon"), 600 + 1000);
  EXPECT_DOUBLE_EQ(r.value("carbon_embodied"), 1000);
  EXPECT_DOUBLE_EQ(r.value("sci"), 800);
  // Rented machines have their power paid for, and emit all the same.
  s["nodes"]["server"].erase("purchase_price");
  s["nodes"]["server"].erase("billing");
  const results::Summary rented = run(s);
  EXPECT_DOUBLE_EQ(rented.value("carbon"), 600 + 250);  // a life of four years unless it is owned for one
  EXPECT_TRUE(std::isnan(rented.value("ledger.energy/server")));
  s["nodes"]["server"]["pays_power"] = true;
  EXPECT_DOUBLE_EQ(run(s).value("ledger.energy/server"), 0.75);
}

TEST(Costs, EgressByVolumeOfTheMonth) {
  // 4 GB leave the cloud in 10 h; a month is 73 times as long.
  const json tiers = {{{"volume", "73 GB"}, {"price", "0.1 USD/GB"}}, {{"volume", "146 GB"}, {"price", "0.05 USD/GB"}}, {{"price", "0.02 USD/GB"}}};
  const results::Summary r = run(scenario({}, {{"costs", {{"egress", tiers}}}}));
  ASSERT_EQ(r.ledger->rows.size(), 3U);
  EXPECT_EQ(r.ledger->rows[0].amount, 100'000);
  EXPECT_EQ(r.ledger->rows[1].amount, 100'000);
  EXPECT_EQ(r.ledger->rows[2].amount, 20'000);
  EXPECT_DOUBLE_EQ(r.value("network_cost"), 0.22);
  EXPECT_DOUBLE_EQ(r.value("ledger.egress/network"), 0.22);
  const results::Summary one = run(scenario({}, {{"network", {{"egress_price", "0.1 USD/GB"}}}}));
  EXPECT_DOUBLE_EQ(one.value("cost"), 0.4);
}

class Series : public ::testing::Test {
 protected:
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() /
      (std::string("isthmus_test_costs_") + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".csv");
  void write(const std::string& text) { std::ofstream(path_) << text; }
  json priced(const json& more = json::object()) {
    json series = {{"file", path_.string()}};
    series.update(more);
    return scenario({{"site", "room"}, {"pays_power", true}},
                    {{"costs", {{"sites", {{"room", {{"power_price", series}, {"carbon_intensity", series}}}}}}}});
  }
  ~Series() override { std::filesystem::remove(path_); }
};

TEST_F(Series, PricesHoldUntilTheNextAndRepeat) {
  // 10 h at 0.1 kWh an hour; rounds of 4 h: 1, 2, 3, 4 | 1, 2, 3, 4 | 1, 2.
  write("time,price\n2022-01-01 00:00:00,1\n2022-01-01 01:00:00,2\n2022-01-01 02:00:00,3\n2022-01-01 03:00:00,4\n");
  EXPECT_NEAR(run(priced()).value("cost"), 2.3, 2e-6);
  EXPECT_NEAR(run(priced()).value("carbon"), 2.3, 2e-6);
  EXPECT_NEAR(run(priced({{"factor", 0.5}})).value("cost"), 1.15, 2e-6);
  // From the middle of the third hour on: half of 3, and 4; two rounds; half of 1.
  EXPECT_NEAR(run(priced({{"start", "150 min"}})).value("cost"), 0.1 * (1.5 + 4 + 20 + 0.5), 2e-6);
  // Seconds, uneven steps, an empty cell, negative prices, another column.
  write("t,other,p\n10,0,-1\n3610,0,\n7210,0,5\n10810,0,7\n");
  EXPECT_NEAR(run(priced({{"column", "p"}})).value("cost"), 0.1 * (2 * (-1 - 1 + 5 + 7) - 1 - 1), 2e-6);
}

TEST_F(Series, WarmUpIsNotPaid) {
  write("time,price\n0,1\n3600,2\n");
  json s = priced();
  s["warmup"] = "90 min";
  EXPECT_NEAR(run(s).value("cost"), 0.1 * (1 + 4 * 3), 2e-6);  // half of an hour at 2, then four rounds
}

TEST_F(Series, BadFilesSayWhere) {
  const auto problem = [&](const std::string& text, const json& more = json::object()) {
    write(text);
    return first_problem(priced(more));
  };
  EXPECT_THAT(problem("time,price\n0,x\n"), HasSubstr(":2"));
  EXPECT_THAT(problem("time,price\n0,nan\n"), HasSubstr("a number"));
  EXPECT_THAT(problem("time,price\n5,1\n5,1\n"), HasSubstr("later than"));
  EXPECT_THAT(problem("time,price\n0,\n"), HasSubstr("no row before"));
  EXPECT_THAT(problem("time,price\n"), HasSubstr("no rows"));
  EXPECT_THAT(problem("time\n0\n"), HasSubstr("one of values"));
  EXPECT_THAT(problem("time,price\n0,1\n", {{"column", "cost"}}), HasSubstr("cost"));
  EXPECT_THAT(first_problem(priced({{"file", "/no/such.csv"}})), HasSubstr("/no/such.csv"));
}

TEST(Costs, CarbonOfARealGrid) {
  const auto file = isthmus::testing::shared_data() / "data" / "carbon" / "dc-rl_eia" / "us_hourly_avg_CI_2022.csv";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no " << file;
  json s = scenario({{"site", "west"}},
                    {{"duration", "24 h"},
                     {"costs", {{"sites", {{"west", {{"carbon_intensity", {{"file", file.string()}, {"column", "CISO"}}}}}}}}}});
  // Means of the file's first 24 hours, column CISO, by another reader.
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  double sum = 0;
  for (int i = 0; i < 24 && std::getline(in, line); ++i) {
    const std::size_t a = line.find(','), b = line.find(',', a + 1);
    sum += std::stod(line.substr(a + 1, b - a - 1));
  }
  EXPECT_NEAR(run(s).value("carbon"), 0.1 * sum, 1e-4);
}

TEST(Costs, ServerlessRequestsAreRoundedOneByOne) {
  json s = scenario({{"billing", {{"kind", "none"}}}},
                    {{"services", {{"s", {{"service_time", "12.3 ms"},
                                          {"serverless", {{"request_price", "2 USD/1k"}, {"memory_price", "1 USD/GB-s"}, {"memory", "2 GB"},
                                                          {"time_price", "36 USD/h"}, {"granularity", "100 ms"}}}}}}}});
  results::Summary r = run(s);
  EXPECT_DOUBLE_EQ(amount(r, "requests"), 0.004);
  EXPECT_DOUBLE_EQ(row(r, "memory").quantity, 0.4);
  EXPECT_DOUBLE_EQ(amount(r, "time in service"), 0.002);
  s["services"]["s"]["serverless"]["granularity"] = "1 ms";
  r = run(s);
  EXPECT_DOUBLE_EQ(row(r, "memory").quantity, 0.052);
  s["services"]["s"]["serverless"]["minimum"] = "50 ms";
  EXPECT_DOUBLE_EQ(row(run(s), "memory").quantity, 0.2);
}

TEST(Costs, ProvidersGiveCreditsForMonthsThatTheyMissed) {
  json s = scenario({}, {{"duration", "1460 h"},
                         {"faults", {{{"node", "server"}, {"at", "100 h"}, {"lasts", "73 h"}}}},
                         {"workload", {{{"source", "times"}, {"times", {"1 h", "50 h", "90 h", "110 h", "800 h"}}, {"target", "s"}, {"clients", {{"on", "phone"}}},
                                        {"request", {{"download", "1 kB"}}}}}},
                         {"services", {{"s", {{"provider", {{"call_price", "10 USD/request"},
                                                             {"credits", {{{"below", 0.99}, {"share", 0.1}}, {{"below", 0.95}, {"share", 0.25}}}}}}}}}}});
  const results::Summary r = run(s);
  // The first month has 90 %, and three of its calls were answered; the fourth waits until the provider is back.
  EXPECT_DOUBLE_EQ(r.value("availability.s"), 0.95);
  EXPECT_DOUBLE_EQ(amount(r, "calls"), 10 * r.value("completed"));
  const double first_month = r.value("completed") - 1;
  EXPECT_DOUBLE_EQ(amount(r, "credit"), -0.25 * 10 * first_month);
  EXPECT_DOUBLE_EQ(r.value("cost"), 10 * r.value("completed") - 2.5 * first_month);
}

TEST(Costs, OutagesOfProvidersAreDrawn) {
  json s = scenario({}, {{"duration", "87600 h"},
                         {"services", {{"s", {{"provider", {{"call_price", "0 USD/request"}, {"availability", 0.99},
                                                             {"outage", {{"distribution", "exponential"}, {"mean", "2 h"}}}}}}}}}});
  // About 438 outages: the standard error of the unavailability is some 7 %.
  EXPECT_NEAR(1 - run(s).value("availability.s"), 0.01, 0.003);
  s["services"]["s"]["provider"]["availability"] = 1;
  EXPECT_EQ(run(s).value("availability.s"), 1);
}

TEST(Costs, OneCurrencyAndRatesForOthers) {
  json s = scenario({{"price", "2 CNY/h"}});
  EXPECT_THAT(first_problem(s), HasSubstr("is in CNY, but the scenario counts in USD"));
  s["costs"]["currency"] = "CNY";
  results::Summary r = run(s);
  EXPECT_EQ(r.info.currency, "CNY");
  EXPECT_DOUBLE_EQ(r.value("cost"), 20);
  for (const results::Metric& m : r.metrics)
    if (m.name == "cost_per_year") {
      EXPECT_EQ(m.unit, "CNY");
    }
  s["nodes"]["server"]["price"] = "2 USD/h";
  EXPECT_THAT(first_problem(s), HasSubstr("is in USD, but the scenario counts in CNY"));
  s["costs"]["exchange"] = {{"USD", 7.2}};
  EXPECT_DOUBLE_EQ(run(s).value("cost"), 144);
  s["costs"]["exchange"] = {{"XYZ", 7.2}};
  EXPECT_THAT(first_problem(s), HasSubstr("no currency \"XYZ\""));
  s["costs"]["exchange"] = {{"CNY", 7.2}};
  EXPECT_THAT(first_problem(s), HasSubstr("own currency"));
}

TEST(Costs, ContradictionsAreRefused) {
  const auto problem = [](const json& node, const json& more = json::object()) { return first_problem(scenario(node, more)); };
  EXPECT_THAT(problem({{"billing", {{"kind", "owned"}}}}), HasSubstr("purchase_price"));
  EXPECT_THAT(problem({{"price", "1 USD/h"}, {"purchase_price", "1 USD"}, {"billing", {{"kind", "owned"}}}}), HasSubstr("is rent"));
  EXPECT_THAT(problem({{"billed_when_idle", false}, {"billing", {{"kind", "reserved"}}}}), HasSubstr("used or not"));
  EXPECT_THAT(problem({{"billing", {{"kind", "spot"}, {"discount", 0.5}}}}), HasSubstr("on-demand"));
  EXPECT_THAT(problem({{"billing", {{"kind", "leased"}}}}), HasSubstr("leased"));
  EXPECT_THAT(problem({{"billing", {{"kind", "on-demand"}, {"granularity", "0 s"}}}}), HasSubstr("granularity"));
  EXPECT_THAT(problem({{"site", "moon"}}), HasSubstr("moon"));
  EXPECT_THAT(problem({{"pays_power", true}}), HasSubstr("site"));
  EXPECT_THAT(problem({{"price", "1 USD/h"}}, {{"services", {{"s", {{"serverless", json::object()}}}}}}), HasSubstr("none"));
  EXPECT_THAT(problem({}, {{"services", {{"s", {{"serverless", {{"memory_price", "1 USD/GB-s"}}}}}}}}), HasSubstr("memory"));
  EXPECT_THAT(problem({}, {{"services", {{"s", {{"serverless", json::object()}, {"provider", {{"call_price", "1 USD/1k"}}}}}}}}), HasSubstr("either"));
  EXPECT_THAT(problem({}, {{"costs", {{"flat", {{"x", json::object()}}}}}}), HasSubstr("either"));
  EXPECT_THAT(problem({}, {{"costs", {{"egress", {{{"price", "1 USD/GB"}, {"volume", "1 GB"}}}}}}}), HasSubstr("last"));
  EXPECT_THAT(problem({}, {{"network", {{"egress_price", "1 USD/GB"}}}, {"costs", {{"egress", {{{"price", "1 USD/GB"}}}}}}}), HasSubstr("already"));
}

TEST(Costs, BeyondWhatALedgerHolds) {
  EXPECT_THROW(results::amount_of(1e9, 1e9), InputError);
  EXPECT_THROW(results::amount_of(1, std::nan("")), InputError);
  EXPECT_THROW(run(scenario({{"price", "1e300 USD/h"}})), InputError);
}

// Whatever the prices: rows are quantity x price, their sum is the total, and both survive JSON.
TEST(Costs, RandomBillsAddUpToTheMillionth) {
  Rng g(8);
  for (int i = 0; i < 200; ++i) {
    const auto usd = [&](const char* per) { return fmt::format("{} USD{}", std::exp(12 * uniform01(g) - 6), per); };
    json node = {{"count", 1 + g() % 5}, {"site", "room"}, {"pays_power", true}, {"embodied_carbon", "900 kg"},
                 {"licences", {{"a", {{"price", usd("/month")}}}, {"b", {{"price", usd("/year")}, {"per_machine", 3}}}}}};
    const std::uint64_t kind = g() % 5;
    if (kind == 0) node["price"] = usd("/h");
    if (kind == 1) node.update({{"price", usd("/h")}, {"billing", {{"kind", "spot"}, {"discount", uniform01(g)}, {"granularity", "7 s"}}}});
    if (kind == 2) node.update({{"price", usd("/h")}, {"billing", {{"kind", "reserved"}, {"upfront", usd("")}, {"years", 3}}}});
    if (kind == 3) node.update({{"purchase_price", usd("")}, {"billing", {{"kind", "owned"}, {"salvage", uniform01(g)}}}});
    json costs = {{"sites", {{"room", {{"power_price", usd("/kWh")}, {"carbon_intensity", "321 g/kWh"}, {"pue", 1 + uniform01(g)}}}}},
                  {"flat", {{"x", {{"price", usd("/day")}}}, {"y", {{"purchase_price", usd("")}}}}},
                  {"egress", {{{"volume", "10 GB"}, {"price", usd("/GB")}}, {{"price", usd("/GB")}}}}};
    json s = scenario(node, {{"costs", costs}});
    if (kind == 4) s["services"]["s"]["serverless"] = {{"request_price", usd("/1k")}, {"memory", "1 GB"}, {"memory_price", usd("/GB-s")}};
    const results::Summary r = run(s);
    std::int64_t sum = 0;
    double cost = 0;
    for (const LedgerRow& row : r.ledger->rows) {
      EXPECT_EQ(row.amount, std::llround(row.quantity * row.unit_price * 1e6)) << row.item;
      sum += row.amount;
      cost += row.quantity * row.unit_price;
    }
    EXPECT_EQ(sum, r.ledger->total());
    EXPECT_NEAR(r.value("cost"), cost, 1e-6 * static_cast<double>(r.ledger->rows.size()) + 1e-12 * cost);
    EXPECT_EQ(std::llround(r.value("cost") * 1e6), sum);
    const results::Summary again = results::summary_from_json(results::to_json(r));
    ASSERT_TRUE(again.ledger);
    EXPECT_EQ(results::ledger_csv(*again.ledger), results::ledger_csv(*r.ledger));
    EXPECT_EQ(again.ledger->total(), sum);
  }
}

TEST(Costs, CsvHasExactAmounts) {
  results::Ledger l;
  l.currency = "EUR";
  l.rows.push_back({"a,b", "x \"y\"", 3, "u", 0.1, -300'000, 0});
  l.rows.push_back({"c", "d", 1, "u", 1e-6, 1, 12'345'678});
  EXPECT_EQ(results::ledger_csv(l),
            "kind,item,of,quantity,unit,unit_price,amount,currency,at_once\n"
            "cost,\"a,b\",\"x \"\"y\"\"\",3,u,0.1,-0.30,EUR,0.00\n"
            "cost,c,d,1,u,1e-06,0.000001,EUR,12.345678\n");
}

}  // namespace
}  // namespace isthmus::scenarios
