// One currency per scenario: prices in others are exchanged before anything reads them.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "scenarios/check.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

class Exchange {
 public:
  Exchange(const Value& root, Problems& problems) : problems_(problems) {
    const Value* costs = root.find("costs");
    if (const Value* own = costs ? costs->find("currency") : nullptr) currency_ = own->text;
    const Value* rates = costs ? costs->find("exchange") : nullptr;
    if (!rates) return;
    for (const Member& m : rates->members) {
      const std::string pointer = "/costs/exchange/" + m.key;
      const auto known = currencies();
      if (std::find(known.begin(), known.end(), m.key) == known.end())
        problems_.add(m.at, pointer,
                      fmt::format("there is no currency \"{}\"{}", m.key,
                                  suggestion(m.key, std::vector<std::string>(known.begin(), known.end()))));
      if (m.key == currency_)
        problems_.add(m.at, pointer, "is the scenario's own currency, which is worth 1");
      rates_[m.key] = m.value.number;
    }
  }

  bool knows(std::string_view currency) const { return currency == currency_ || rates_.contains(std::string(currency)); }

  void object(Value& value, const ObjectSpec& spec, const std::string& pointer) {
    const std::string variant = variant_of(value, spec);
    for (Member& m : value.members)
      if (const Field* f = spec.find(m.key, variant)) field(m.value, *f, child(pointer, m.key));
  }

 private:
  void field(Value& value, const Field& f, const std::string& pointer) {
    switch (f.type) {
      case FieldType::quantity:
        if (is_monetary(f.unit) && value.is(JsonKind::text)) price(value, f.unit, pointer);
        break;
      case FieldType::object:
        object(value, f.spec(), pointer);
        break;
      case FieldType::list:
        for (std::size_t i = 0; i < value.items.size(); ++i)
          field(value.items[i], f.elements[0], child(pointer, i));
        break;
      case FieldType::map:
        for (Member& m : value.members) field(m.value, f.elements[0], child(pointer, m.key));
        break;
      case FieldType::either:
        if (const Field* chosen = alternative_for(f, value)) field(value, *chosen, pointer);
        break;
      default:
        break;  // no other row holds prices
    }
  }

  void price(Value& value, Unit unit, const std::string& pointer) {
    const std::string in(currency_of(value.text));
    if (in == currency_) return;
    const auto rate = rates_.find(in);
    if (rate == rates_.end()) {
      if (parse_quantity(value.text, unit) == 0) return;
      problems_.add(value.at, pointer,
                    fmt::format("\"{}\" is in {}, but the scenario counts in {}: give its value as \"costs\": "
                                "{{\"exchange\": {{\"{}\": ...}}}}, or set \"currency\" there",
                                value.text, in, currency_, in));
      return;
    }
    const std::size_t at = value.text.find(in);
    std::string words = value.text.substr(at);
    words.replace(0, in.size(), currency_);
    const double number = parse_quantity(value.text.substr(0, at) + "USD", Unit::money);
    value.text = fmt::format("{} {}", number * rate->second, words);
  }

  Problems& problems_;
  std::string currency_ = "USD";
  std::map<std::string, double> rates_;
};

}  // namespace

void settle_currency(Value& root, Problems& problems) {
  Exchange exchange(root, problems);
  // What nobody buys needs no rate: catalogue prices are in USD.
  for (Member& node : root.find("nodes")->members) {
    const Value* billing = node.value.find("billing");
    if (billing && billing->find("kind")->text == "owned") continue;
    std::erase_if(node.value.members, [&](const Member& m) {
      return m.key == "purchase_price" && !exchange.knows(currency_of(m.value.text));
    });
  }
  exchange.object(root, scenario_spec(), "");
}

}  // namespace isthmus::scenarios
