// As many replicas as the load that is forecast for the date at which they could be ready needs.
#include <algorithm>
#include <cmath>
#include <deque>

#include "schedulers/autoscaling_metric.hpp"
#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/forecast.hpp"
#include "schedulers/replica_range.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

class Predictive final : public AutoscalingPolicy {
 public:
  explicit Predictive(const Parameters& p)
      : metric_(p.text("metric")),
        target_(p.number("target")),
        horizon_(p.number("horizon")),
        season_(p.number("season")),
        margin_(p.number("margin")),
        hold_(Duration::from_seconds(p.number("stabilization"))),
        range_(p) {
    if (!metric_.is_total())
      throw InputError("metric \"" + p.text("metric") +
                       "\" is no sum over the replicas; forecast one that is, such as rate or concurrency");
    spec_.model = p.text("model");
    spec_.alpha = p.number("alpha");
    spec_.beta = p.number("beta");
    spec_.gamma = p.number("gamma");
    spec_.order = static_cast<std::size_t>(p.number("order"));
    spec_.window = static_cast<std::size_t>(p.number("window"));
    spec_.level_noise = p.number("level_noise");
    spec_.slope_noise = p.number("slope_noise");
    make_forecast(spec_);
  }

  bool wants_metrics() const override { return true; }
  bool wants_latencies() const override { return metric_.wants_latencies(); }
  std::vector<std::string> external_metrics() const override {
    return metric_.externals();
  }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    for (const ServiceMetrics& m : view.samples) learn(m);
    if (!forecast_) return {range_.clamp(view.current), "nothing measured yet"};
    const double age = (view.now - observed_).seconds();
    const auto steps = static_cast<std::size_t>(std::clamp(std::ceil((age + horizon_) / step_), 1.0, 1e6));
    // The highest from now to the horizon: a replica that goes must not be missed before.
    double load = last_;
    for (std::size_t s = 1; s <= std::min<std::size_t>(steps, 1000); ++s) load = std::max(load, forecast_->ahead(s));
    if (steps > 1000) load = std::max(load, forecast_->ahead(steps));
    load += margin_ * error_.deviation();
    const double wanted = std::clamp(std::ceil(load / target_ - 1e-9), static_cast<double>(range_.min),
                                     static_cast<double>(range_.max));
    const auto desired = static_cast<std::uint32_t>(wanted);
    // The most that was wanted lately.
    while (!wishes_.empty() && wishes_.front().first + hold_ < view.now) wishes_.pop_front();
    while (!wishes_.empty() && wishes_.back().second <= desired) wishes_.pop_back();
    wishes_.emplace_back(view.now, desired);
    const std::uint32_t most = wishes_.front().second;
    return {most, most > desired ? "held by an earlier forecast" : "forecast over target"};
  }

 private:
  void learn(const ServiceMetrics& m) {
    const std::optional<double> value = metric_.of(m);
    if (!value || m.window <= Duration::zero()) return;
    if (!forecast_) {
      step_ = m.window.seconds();
      spec_.season = static_cast<std::size_t>(std::round(season_ / step_));
      if (season_ > 0 && spec_.season < 2)
        throw InputError("predictive: a season must be at least two scrape periods long");
      forecast_ = make_forecast(spec_);
    } else {
      error_.add(*value - forecast_->ahead(1));
    }
    forecast_->add(*value);
    last_ = *value;
    observed_ = m.observed_at;
  }

  AutoscalingMetric metric_;
  double target_, horizon_, season_, margin_;
  Duration hold_;
  ReplicaRange range_;
  ForecastSpec spec_;
  std::unique_ptr<Forecast> forecast_;
  ForecastError error_{60};
  double step_ = 0, last_ = 0;
  Instant observed_;
  std::deque<std::pair<Instant, std::uint32_t>> wishes_;  // falling
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_predictive() {
  return {
      "predictive",
      "Forecasts a metric of the service and asks for ceil(forecast / target) replicas, the highest from now to the "
      "date at which a new replica could be ready.",
      "Holt-Winters smoothing (Winters 1960), autoregression by least squares, local linear trend by a Kalman filter "
      "(Harvey 1989); the last measured value is the least that is planned for",
      "load has neither trend nor season: it then follows noise, and a reactive rule does as well.",
      "O(steps to the horizon); autoregression refits in O(window order^2) per scrape",
      {text_parameter("model", "holt-winters", {"naive", "holt-winters", "autoregression", "kalman"},
                      "naive with a season repeats the last one; autoregression finds short cycles by itself"),
       text_parameter("metric", "concurrency", {}, std::string("what is forecast: ") + AutoscalingMetric::help),
       number_parameter("target", Dimension::none, 1, 1e-9, 1e12, "of the metric, per replica"),
       number_parameter("horizon", Dimension::duration, 60, 0, 1e7,
                        "how far ahead: the time that a replica takes to be ready"),
       number_parameter("season", Dimension::duration, 0, 0, 1e9,
                        "after which load repeats, such as 24 h; 0: none (naive and holt-winters)"),
       number_parameter("margin", Dimension::none, 0, 0, 100,
                        "root mean squares of the one-step error that are added to the forecast"),
       number_parameter("stabilization", Dimension::duration, 60, 0, 1e7,
                        "the most that was wanted in this time is kept; longer flaps less"),
       number_parameter("alpha", Dimension::fraction, 0.5, 0, 1, "holt-winters: weight of the newest level"),
       number_parameter("beta", Dimension::fraction, 0.1, 0, 1, "holt-winters: weight of the newest trend"),
       number_parameter("gamma", Dimension::fraction, 0.3, 0, 1, "holt-winters: weight of the newest season"),
       number_parameter("order", Dimension::count, 4, 1, 100, "autoregression: past values that count"),
       number_parameter("window", Dimension::count, 120, 3, 10000,
                        "autoregression: past values it is fitted to; more than twice the order"),
       number_parameter("level_noise", Dimension::none, 0.1, 0, 1e6,
                        "kalman: variance of the level's steps relative to the measurement's"),
       number_parameter("slope_noise", Dimension::none, 0.01, 0, 1e6,
                        "kalman: variance of the slope's steps relative to the measurement's"),
       number_parameter("min_replicas", Dimension::count, 1, 0, 1e6, "never fewer"),
       number_parameter("max_replicas", Dimension::count, 10, 1, 1e6, "never more")},
      make_policy<AutoscalingPolicy, Predictive>};
}

}  // namespace isthmus::schedulers
