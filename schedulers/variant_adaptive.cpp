// Variants by the moment: deadlines, the queue, a weighted score.
#include <algorithm>
#include <numeric>
#include <string>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/variant_policy.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

// Option indices from the most accurate to the least, the faster first among equals.
std::vector<std::size_t> by_accuracy(const VariantView& v) {
  std::vector<std::size_t> order(v.options.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const VariantOption &x = v.options[a], &y = v.options[b];
    return x.accuracy != y.accuracy ? x.accuracy > y.accuracy : x.service < y.service;
  });
  return order;
}

class Deadline final : public VariantPolicy {
 public:
  explicit Deadline(const Parameters& p) : margin_(p.number("margin")) {}
  VariantDecision choose(const VariantView& v) override {
    const std::vector<std::size_t> order = by_accuracy(v);
    for (const std::size_t i : order)
      if (v.deadline.is_never() ||
          v.now + Duration::from_seconds(v.options[i].service.seconds() * (1 + margin_)) <=
              v.deadline)
        return {i, "most accurate in time"};
    return {least(v.options, [](const VariantOption& o) { return o.service; }), "none is in time"};
  }

 private:
  double margin_;
};

class LoadAdaptive final : public VariantPolicy {
 public:
  explicit LoadAdaptive(const Parameters& p) : up_(p.number("queue")), down_(p.number("relax")) {
    if (down_ > up_) throw InputError("load-adaptive: relax exceeds queue");
  }
  VariantDecision choose(const VariantView& v) override {
    // One step towards cheaper variants for every multiple of the threshold that waits.
    const double queue = static_cast<double>(v.waiting) / v.slots;
    const auto wanted = static_cast<std::size_t>(queue / up_);
    if (wanted > level_)
      level_ = wanted;
    else if (queue <= down_)
      level_ = 0;
    const std::vector<std::size_t> order = by_accuracy(v);
    const std::size_t i = std::min(level_, order.size() - 1);
    return {order[i], i == 0 ? "light load" : "queue is long"};
  }

 private:
  double up_, down_;
  std::size_t level_ = 0;
};

class Weighted final : public VariantPolicy {
 public:
  explicit Weighted(const Parameters& p)
      : accuracy_(p.number("accuracy")),
        latency_(p.number("latency")),
        energy_(p.number("energy")) {}
  VariantDecision choose(const VariantView& v) override {
    double slowest = 0, hungriest = 0;
    for (const VariantOption& o : v.options) {
      slowest = std::max(slowest, o.service.seconds());
      hungriest = std::max(hungriest, o.energy);
    }
    std::size_t best = 0;
    double score = -1e300;
    for (std::size_t i = 0; i < v.options.size(); ++i) {
      const VariantOption& o = v.options[i];
      const double s = accuracy_ * o.accuracy -
                       (slowest > 0 ? latency_ * o.service.seconds() / slowest : 0) -
                       (hungriest > 0 ? energy_ * o.energy / hungriest : 0);
      if (s > score) {
        score = s;
        best = i;
      }
    }
    return {best, "best score"};
  }

 private:
  double accuracy_, latency_, energy_;
};

}  // namespace

PolicyEntry<VariantPolicy> variant_deadline() {
  return {"deadline",
          "The most accurate variant that still meets the request's deadline or the latency "
          "objective; the fastest when none does.",
          "model selection under deadlines, as ALERT (Wan et al., ATC 2020) and INFaaS (ATC 2021)",
          "service times are known badly: widen the margin.",
          "O(variants log variants)",
          {number_parameter("margin", Dimension::fraction, 0.1, 0, 10,
                            "added to the estimated service time")},
          &make_policy<VariantPolicy, Deadline>};
}
PolicyEntry<VariantPolicy> variant_load_adaptive() {
  return {
      "load-adaptive",
      "The most accurate variant at light load, one step cheaper for every `queue` requests that "
      "wait per slot; back to the first when the queue has drained.",
      "brownout control: Klein et al., ICSE 2014",
      "a burst is over before the queue builds up.",
      "O(variants log variants)",
      {number_parameter("queue", Dimension::count, 4, 1, 1e9, "waiting requests per slot and step"),
       number_parameter("relax", Dimension::count, 0, 0, 1e9,
                        "waiting requests per slot at which it returns to the most accurate")},
      &make_policy<VariantPolicy, LoadAdaptive>};
}
PolicyEntry<VariantPolicy> variant_weighted() {
  return {"weighted",
          "The highest accuracy minus weighted latency and energy, each relative to the largest.",
          "scalarization of the Pareto front",
          "weights are hard to justify.",
          "O(variants)",
          {number_parameter("accuracy", Dimension::none, 1, 0, 1e6, "weight of accuracy"),
           number_parameter("latency", Dimension::none, 0.1, 0, 1e6, "weight of latency"),
           number_parameter("energy", Dimension::none, 0.1, 0, 1e6, "weight of energy")},
          &make_policy<VariantPolicy, Weighted>};
}

}  // namespace isthmus::schedulers
