// Variants by a fixed rule: the first, the most accurate, the fastest, the thriftiest.
#include <string>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/variant_policy.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

class Fixed final : public VariantPolicy {
 public:
  explicit Fixed(const Parameters& p) : name_(p.text("variant")) {}
  VariantDecision choose(const VariantView& v) override {
    if (name_.empty()) return {0, "fixed"};
    for (std::size_t i = 0; i < v.options.size(); ++i)
      if (v.options[i].name == name_) return {i, "fixed"};
    throw InputError("variant policy fixed: the service has no variant \"" + name_ + "\"");
  }

 private:
  std::string name_;
};

class MostAccurate final : public VariantPolicy {
 public:
  VariantDecision choose(const VariantView& v) override {
    return {least(v.options, [](const VariantOption& o) { return -o.accuracy; }), "most accurate"};
  }
};

class Fastest final : public VariantPolicy {
 public:
  VariantDecision choose(const VariantView& v) override {
    return {least(v.options, [](const VariantOption& o) { return o.service; }), "fastest"};
  }
};

class Thrifty final : public VariantPolicy {
 public:
  explicit Thrifty(const Parameters& p) : floor_(p.number("accuracy_floor")) {}
  VariantDecision choose(const VariantView& v) override {
    std::size_t best = v.options.size();
    for (std::size_t i = 0; i < v.options.size(); ++i)
      if (v.options[i].accuracy >= floor_ &&
          (best == v.options.size() || v.options[i].energy < v.options[best].energy))
        best = i;
    if (best < v.options.size()) return {best, "least energy above the floor"};
    return {least(v.options, [](const VariantOption& o) { return -o.accuracy; }),
            "none reaches the floor"};
  }

 private:
  double floor_;
};

}  // namespace

PolicyEntry<VariantPolicy> variant_fixed() {
  return {"fixed",
          "Always the same variant.",
          "baseline",
          "load or deadlines vary.",
          "O(variants)",
          {text_parameter("variant", "", {}, "name of the variant; empty: the first")},
          &make_policy<VariantPolicy, Fixed>};
}
PolicyEntry<VariantPolicy> variant_most_accurate() {
  return {"most-accurate",
          "The variant with the highest accuracy.",
          "baseline",
          "the service is overloaded.",
          "O(variants)",
          {},
          &make_policy<VariantPolicy, MostAccurate>};
}
PolicyEntry<VariantPolicy> variant_fastest() {
  return {"fastest",
          "The variant with the shortest service time.",
          "baseline",
          "accuracy matters and there is time.",
          "O(variants)",
          {},
          &make_policy<VariantPolicy, Fastest>};
}
PolicyEntry<VariantPolicy> variant_energy() {
  return {"energy",
          "The variant with the least energy among those that are accurate enough.",
          "baseline",
          "latency matters more than energy.",
          "O(variants)",
          {number_parameter("accuracy_floor", Dimension::fraction, 0, 0, 1,
                            "accuracy below which a variant is not taken")},
          &make_policy<VariantPolicy, Thrifty>};
}

}  // namespace isthmus::schedulers
