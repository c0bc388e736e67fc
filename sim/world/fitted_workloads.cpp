#include "sim/world/fitted_workloads.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "sim/core/did_you_mean.hpp"

namespace isthmus::world {

namespace {

// Token counts are whole and at least 1: a request without prompt or answer is none.
Distribution token_quantiles(std::vector<double> probability, std::vector<double> value) {
  Distribution d;
  d.kind = DistributionKind::quantiles;
  d.min = 1;
  d.max = value.back();
  d.probability = std::move(probability);
  d.value = std::move(value);
  return d;
}

Distribution token_lognormal(double median, double p95, double longest) {
  Distribution d;
  d.kind = DistributionKind::lognormal;
  d.a = median;
  d.b = std::log(p95 / median) / normal_quantile(0.95);
  d.min = 1;
  d.max = longest;
  return d;
}

Arrivals two_state(double rate0, double sojourn0, double rate1, double sojourn1) {
  Arrivals a;
  a.kind = ArrivalKind::mmpp;
  a.rates = {rate0, rate1};
  a.sojourns = {Duration::from_seconds(sojourn0), Duration::from_seconds(sojourn1)};
  return a;
}

// Interrupted Poisson: rate, CV 13.15 and 1-s IoD 13.2 determine its three numbers, and its
// dispersion from 0.1 s to 5 minutes then stays within 16 % of the trace's.
FittedWorkload azure_2023_code() {
  FittedWorkload w;
  w.name = "azure-2023-code";
  w.summary = "code completion: long prompts, short answers, very bursty, 2.57 requests/s";
  w.source = "Azure LLM inference trace 2023, code (AzurePublicDataset, CC-BY-4.0)";
  w.falls_short =
      "gaps within a burst are exponential; a quarter of the real ones are below 2 ms (requests "
      "sent in pairs)";
  w.arrivals = two_state(15.35, 8.05, 0, 40.1);
  w.request.prompt_tokens =
      token_quantiles({0, .01, .05, .1, .2, .25, .3, .4, .5, .6, .7, .75, .8, .85, .9, .95, .99, 1},
                      {3, 17, 75, 147, 385, 578, 770, 1075, 1469, 1909, 2433, 2744, 3193, 3923,
                       5187, 7303, 7436, 7437});
  w.request.output_tokens =
      token_quantiles({0,   .05, .1,  .2,  .25, .3,  .4,  .5,   .6,   .7,   .75, .8,
                       .85, .9,  .93, .95, .97, .98, .99, .993, .996, .999, 1},
                      {6,  6,  7,  8,  9,   9,   11,  13,  16,  20,  24,  29,
                       39, 55, 72, 90, 128, 172, 251, 297, 403, 831, 1899});
  return w;
}

// A busy and a quiet state of minutes: the slow swing between 3 and 7 requests/s is what lifts CV
// and IoD above those of a Poisson process.
FittedWorkload azure_2023_conv() {
  FittedWorkload w;
  w.name = "azure-2023-conv";
  w.summary = "chat: medium prompts and answers, slightly bursty, 5.53 requests/s";
  w.source = "Azure LLM inference trace 2023, conversation (AzurePublicDataset, CC-BY-4.0)";
  w.falls_short =
      "the hour's rise and fall is a two-state jump: at scales beyond a minute counts vary less "
      "than in the trace; the weak correlation of prompt and answer length (-0.11) is absent";
  w.arrivals = two_state(6.445, 224, 3.257, 90);
  w.request.prompt_tokens =
      token_quantiles({0,  .01, .05, .1,  .15, .2,  .25, .3,  .35, .4,   .45,
                       .5, .6,  .7,  .75, .8,  .85, .9,  .95, .99, .999, 1},
                      {2,    29,   181,  207,  372,  387,  396,  403,  414,  703,  984,
                       1020, 1071, 1130, 1189, 1315, 1877, 2734, 4083, 4142, 6212, 14050});
  w.request.output_tokens = token_quantiles(
      {0, .01, .05, .1, .2, .25, .3, .4, .5, .55, .6, .65, .7, .75, .8, .9, .95, .99, .999, 1},
      {7,   16,  41,  54,  77,  85,  91,  103, 129, 151,
       177, 217, 384, 395, 400, 424, 451, 601, 954, 1000});
  return w;
}

// The trace's stamps are bucketed at about 3 s, which alone makes its gap CV 3.03. Counts per
// bucket are nearly Poisson with a slow swing; that is what is fitted.
FittedWorkload mooncake_conversation() {
  FittedWorkload w;
  w.name = "mooncake-conversation";
  w.summary = "long-context chat: prompts of 12,000 tokens, 3.40 requests/s";
  w.source = "Mooncake FAST'25 conversation trace (kvcache-ai/Mooncake, Apache-2.0)";
  w.falls_short =
      "no prefix reuse (37 % of the trace's prompt tokens can come from a cache); true gaps are "
      "unknown behind the 3-s stamps";
  w.arrivals = two_state(3.75, 57, 3.05, 57);
  w.request.prompt_tokens = token_quantiles(
      {0, .05, .1, .15, .25, .35, .5, .6, .75, .85, .9, .95, .97, .98, .99, .995, 1},
      {891, 901, 960, 1240, 2306, 4200, 6909, 9420, 15367, 22300, 27367, 39550, 52600, 67700, 85400,
       103000, 126195});
  w.request.output_tokens =
      token_quantiles({0, .05, .1, .25, .5, .75, .9, .95, .97, .98, .99, .995, 1},
                      {1, 10, 24, 156, 350, 472, 597, 698, 806, 893, 1118, 1620, 2000});
  return w;
}

// Two percentiles per length are printed; a lognormal passes through both.
FittedWorkload burstgpt_like() {
  FittedWorkload w;
  w.name = "burstgpt-like";
  w.summary = "campus GPT service: short prompts and answers, Gamma gaps, 1 request/s";
  w.source = "BurstGPT (HPMLL/BurstGPT, CC-BY-4.0): percentiles 50 and 95 as quoted in print";
  w.falls_short =
      "rate and gap CV are assumptions (the study reports Gamma gaps whose rate and CV change by "
      "the hour); failed requests are absent; lengths beyond the 95th percentile are extrapolated";
  w.arrivals.kind = ArrivalKind::gamma;
  w.arrivals.rate = 1;
  w.arrivals.cv = 2;
  w.request.prompt_tokens = token_lognormal(353, 1638, 8192);
  w.request.output_tokens = token_lognormal(238, 841, 4096);
  return w;
}

FittedWorkload sharegpt_like() {
  FittedWorkload w;
  w.name = "sharegpt-like";
  w.summary = "benchmark chat: ShareGPT sample with answers of 512 tokens and more, Poisson 10/s";
  w.source = "ShareGPT-300 sample of LLMServingSim (casys-kaist/LLMServingSim, MIT): lengths only";
  w.falls_short =
      "300 requests selected for answers of at least 512 tokens: not the whole of ShareGPT; no "
      "prefix reuse (7.6 % in the sample)";
  w.arrivals.kind = ArrivalKind::poisson;
  w.arrivals.rate = 10;
  w.request.prompt_tokens = token_quantiles(
      {0, .05, .1, .2, .25, .3, .4, .5, .6, .7, .75, .8, .9, .95, .99, 1},
      {262, 305, 363, 429, 482, 520, 621, 730, 833, 1017, 1109, 1213, 1458, 1747, 2764, 3998});
  w.request.output_tokens = token_quantiles(
      {0, .05, .1, .2, .25, .3, .4, .5, .6, .7, .75, .8, .9, .95, .99, 1},
      {512, 523, 530, 550, 561, 574, 592, 631, 698, 751, 767, 768, 770, 773, 784, 1021});
  return w;
}

double mmpp_mean_rate(const Arrivals& a) {
  double arrivals = 0, seconds = 0;
  for (std::size_t i = 0; i < a.rates.size() && i < a.sojourns.size(); ++i) {
    arrivals += a.rates[i] * a.sojourns[i].seconds();
    seconds += a.sojourns[i].seconds();
  }
  return arrivals / seconds;
}

}  // namespace

std::span<const FittedWorkload> fitted_workloads() {
  static const std::array<FittedWorkload, 5> presets{azure_2023_code(), azure_2023_conv(),
                                                     mooncake_conversation(), burstgpt_like(),
                                                     sharegpt_like()};
  return presets;
}

const FittedWorkload& fitted_workload(std::string_view name) {
  std::vector<std::string> names;
  for (const FittedWorkload& w : fitted_workloads()) {
    if (w.name == name) return w;
    names.push_back(w.name);
  }
  const std::string nearest = did_you_mean(name, names);
  throw InputError(
      fmt::format("unknown workload preset \"{}\"{}; presets are {}", name,
                  nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest),
                  fmt::join(names, ", ")));
}

double mean_rate(const Arrivals& a) {
  switch (a.kind) {
    case ArrivalKind::poisson:
    case ArrivalKind::gamma:
    case ArrivalKind::weibull:
    case ArrivalKind::erlang:
    case ArrivalKind::deterministic:
    case ArrivalKind::diurnal:
      return a.rate;
    case ArrivalKind::mmpp:
      return mmpp_mean_rate(a);
    default:
      throw Error("only stationary and diurnal arrivals have a mean rate");
  }
}

Arrivals scaled_to_rate(Arrivals arrivals, double rate) {
  if (!(rate > 0) || !std::isfinite(rate))
    throw Error(fmt::format("rate must be positive and finite, found {}", rate));
  const double factor = rate / mean_rate(arrivals);
  if (!(factor > 0) || !std::isfinite(factor)) throw Error("arrivals have no rate to scale");
  arrivals.rate *= factor;
  for (double& r : arrivals.rates) r *= factor;
  return arrivals;
}

}  // namespace isthmus::world
