#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "scenarios/file_reading.hpp"
#include "scenarios/payloads.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/fitted_workloads.hpp"

namespace isthmus::scenarios {

namespace {

world::ArrivalKind kind_named(const std::string& name) {
  using world::ArrivalKind;
  constexpr std::pair<const char*, ArrivalKind> kinds[] = {
      {"poisson", ArrivalKind::poisson},
      {"gamma", ArrivalKind::gamma},
      {"weibull", ArrivalKind::weibull},
      {"erlang", ArrivalKind::erlang},
      {"deterministic", ArrivalKind::deterministic},
      {"mmpp", ArrivalKind::mmpp},
      {"diurnal", ArrivalKind::diurnal},
      {"steps", ArrivalKind::steps},
      {"times", ArrivalKind::times},
      {"closed", ArrivalKind::closed},
      {"trace", ArrivalKind::trace}};
  for (const auto& [text, kind] : kinds)
    if (name == text) return kind;
  throw InternalError("source \"" + name + "\" is in the table but not read");
}

world::TraceFormat format_named(const std::string& name) {
  if (name == "azure-llm") return world::TraceFormat::azure_llm;
  if (name == "mooncake") return world::TraceFormat::mooncake;
  if (name == "burstgpt") return world::TraceFormat::burstgpt;
  return world::TraceFormat::csv;
}

// Steps [[date, rate or count], ...] with increasing dates.
std::vector<world::RateStep> steps_of(Resolution& r, const ObjectView& v, Unit unit) {
  std::vector<world::RateStep> steps;
  const Value* list = v.find("steps");
  if (!list) return steps;
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    const Value& item = list->items[i];
    world::RateStep s{Duration::from_seconds(number_of(item.items[0], Unit::duration)),
                      number_of(item.items[1], unit)};
    if (!steps.empty() && s.at <= steps.back().at)
      r.problems.add(item.at, child(v.pointer_to("steps"), i), "dates must increase");
    steps.push_back(s);
  }
  return steps;
}

world::Arrivals arrivals_of(Resolution& r, const ObjectView& v, std::uint32_t clients) {
  using world::ArrivalKind;
  world::Arrivals a;
  if (v.variant() == "preset") {
    a = world::fitted_workload(v.text("preset")).arrivals;
    if (v.has("rate")) a = world::scaled_to_rate(a, v.number("rate"));
    a.start = v.duration("start");
    if (v.has("limit")) a.limit = v.big_count("limit");
    return a;
  }
  a.kind = kind_named(v.variant());
  a.start = v.duration("start");
  if (v.has("limit")) a.limit = v.big_count("limit");
  switch (a.kind) {
    case ArrivalKind::poisson:
    case ArrivalKind::deterministic:
      a.rate = v.number("rate");
      break;
    case ArrivalKind::gamma:
    case ArrivalKind::weibull:
      a.rate = v.number("rate");
      a.cv = v.number("cv");
      break;
    case ArrivalKind::erlang:
      a.rate = v.number("rate");
      a.phases = static_cast<int>(v.count("phases"));
      break;
    case ArrivalKind::mmpp:
      a.rates = v.numbers("rates");
      for (const double s : v.numbers("sojourns")) a.sojourns.push_back(Duration::from_seconds(s));
      if (a.rates.size() != a.sojourns.size())
        r.problems.add(v.at("sojourns"), v.pointer_to("sojourns"),
                       fmt::format("{} sojourns for {} rates", a.sojourns.size(), a.rates.size()));
      if (std::all_of(a.rates.begin(), a.rates.end(), [](double x) { return x <= 0; }))
        r.problems.add(v.at("rates"), v.pointer_to("rates"), "one rate at least must be above 0");
      break;
    case ArrivalKind::diurnal:
      a.rate = v.number("rate");
      a.amplitude = v.number("amplitude");
      a.phase = v.number("phase");
      a.period = v.duration("period");
      break;
    case ArrivalKind::steps:
      a.steps = steps_of(r, v, Unit::rate);
      break;
    case ArrivalKind::times:
      for (const double t : v.numbers("times")) {
        a.times.push_back(Duration::from_seconds(t));
        if (a.times.size() > 1 && a.times.back() < a.times[a.times.size() - 2])
          r.problems.add(v.at("times"), v.pointer_to("times"), "dates must not decrease");
      }
      break;
    case ArrivalKind::closed:
      a.think = v.distribution("think", r.problems);
      a.steps = steps_of(r, v, Unit::none);
      for (const world::RateStep& s : a.steps)
        if (s.rate > clients)
          r.problems.add(
              v.at("steps"), v.pointer_to("steps"),
              fmt::format("{} clients are more than clients.count, {}", s.rate, clients));
      break;
    case ArrivalKind::recorded:
      break;
    case ArrivalKind::trace:
      a.format = format_named(v.text("format"));
      a.time_scale = v.number("time_scale");
      a.tokens_per_image = v.count("tokens_per_image");
      a.tokens_per_hash = v.count("tokens_per_hash");
      for (const world::Service& service : r.scenario.services) {
        const world::ContinuousBatching& c = service.batching.continuous;
        if (c.prefix_caching && a.tokens_per_hash % c.block_size != 0)
          r.problems.add(v.at("tokens_per_hash"), v.pointer_to("tokens_per_hash"),
                         fmt::format("must be a multiple of the block_size of service \"{}\", {}",
                                     service.name, c.block_size));
      }
      try {
        const auto path = expand_path(v.text("file"), r.document.folder);
        require_regular_file(path);
        a.file = path.string();
      } catch (const InputError& e) {
        r.problems.add(v.at("file"), v.pointer_to("file"), e.what());
      }
      break;
  }
  return a;
}

// What a law with bounds can draw at most; others are cut by their max.
double largest_draw(const world::Distribution& d) {
  using Kind = world::DistributionKind;
  double most = 0;
  if (d.kind == Kind::constant) most = d.a;
  if (d.kind == Kind::uniform) most = d.b;
  if (d.kind == Kind::choice || d.kind == Kind::quantiles)
    most = *std::max_element(d.value.begin(), d.value.end());
  return std::max(std::min(most, d.max), d.min);
}

world::Hedging hedging_of(Resolution& r, const ObjectView& v) {
  world::Hedging h;
  h.copies = v.count("copies");
  h.delay = v.duration("delay");
  if (v.has("after_percentile")) {
    h.percentile = v.number("after_percentile");
    if (v.has("delay"))
      r.problems.add(v.at("delay"), v.pointer_to("delay"),
                     "the percentile says when; leave out one of \"delay\" and \"after_percentile\"");
  } else if (v.has("window")) {
    r.problems.add(v.at("window"), v.pointer_to("window"), "needs \"after_percentile\"");
  }
  h.window = v.count("window");
  constexpr double rounding = 1e-6;
  if (h.window * (1 - h.percentile) < 1 - rounding)
    r.problems.add(v.at("after_percentile"), v.pointer_to("after_percentile"),
                   fmt::format("a window of {} answers has no such percentile; it takes {} at least",
                               h.window, std::ceil(1 / (1 - h.percentile) - rounding)));
  if (v.has("budget")) h.budget = v.number("budget");
  if (v.has("to")) h.service = static_cast<int>(r.services.at(v.text("to")));
  h.cancel = v.flag("cancel");
  return h;
}

world::RequestShape request_of(Resolution& r, const ObjectView& v) {
  world::RequestShape q;
  q.prompt_tokens = v.distribution("prompt_tokens", r.problems);
  q.image_tokens = v.distribution("image_tokens", r.problems);
  q.output_tokens = v.distribution("output_tokens", r.problems);
  q.samples = v.count("samples");
  if (v.has("adapters")) {
    const ObjectView a = v.object("adapters");
    double sum = 0;
    for (std::uint32_t k = 1; k <= a.count("count"); ++k)
      q.adapters.push_back(sum += std::pow(k, -a.number("skew")));
  }
  q.embedding = v.flag("embedding");
  for (const char* other : {"output_tokens", "samples"})
    if (q.embedding && v.has(other))
      r.problems.add(v.at(other), v.pointer_to(other), "an embedding generates no tokens; leave it out");
  q.streaming = v.flag("streaming");
  q.stream_interval = v.duration("stream_interval");
  if (v.has("stream_interval") && !q.streaming)
    r.problems.add(v.at("stream_interval"), v.pointer_to("stream_interval"),
                   "needs \"streaming\": true");
  for (const char* other : {"embedding", "samples"})
    if (q.streaming && v.has(other))
      r.problems.add(v.at("streaming"), v.pointer_to("streaming"),
                     fmt::format("does not go together with \"{}\": one answer of tokens is streamed", other));
  const auto bytes = [&](const std::string& name) {
    const std::string payload = name + "_payload";
    if (!v.has(payload)) return v.distribution(name, r.problems);
    if (v.has(name))
      r.problems.add(v.at(payload), v.pointer_to(payload), fmt::format("give it or \"{}\"", name));
    return payload_bytes(r, v.object(payload));
  };
  q.upload = bytes("upload");
  q.download = bytes("download");
  q.upload_per_token = v.number("upload_per_token");
  q.download_per_token = v.number("download_per_token");
  if (v.has("difficulty")) {
    q.difficulty = v.distribution("difficulty", r.problems);
    if (const double most = r.problems.any() ? 0 : largest_draw(q.difficulty); most > 1)
      r.problems.add(v.at("difficulty"), v.pointer_to("difficulty"),
                     fmt::format("must lie between 0 (easy) and 1, but can be {:g}", most));
  }
  q.postprocess = v.distribution("postprocess", r.problems);
  q.preprocess = v.distribution("preprocess", r.problems);
  q.protocol = v.distribution("protocol", r.problems);
  q.deadline = v.duration_or("deadline", Duration::max());
  q.attempt_timeout = v.duration_or("attempt_timeout", Duration::max());
  q.queue_timeout = v.duration_or("queue_timeout", Duration::zero());
  q.retry_jitter = v.number("retry_jitter");
  if (v.has("retry_budget")) q.retry_budget = v.number("retry_budget");
  q.work = v.distribution("work", r.problems);
  q.retries = v.count("retries");
  q.retry_backoff = v.duration("retry_backoff");
  if (v.has("hedging")) q.hedging = hedging_of(r, v.object("hedging"));
  return q;
}

// Contents of prompts are named in blocks that are whole ones in every engine.
world::SessionShape session_of(Resolution& r, const ObjectView& task, const world::Arrivals& a) {
  const ObjectView v = task.object("session");
  world::SessionShape session;
  session.system_tokens = v.count("system_tokens");
  if (v.has("keep_images")) session.keep_images = v.count("keep_images");
  if (task.has("context_growth"))
    r.problems.add(task.at("context_growth"), task.pointer_to("context_growth"),
                   "the prompts of a session grow by themselves; leave it out");
  if (a.tokens_per_hash > 0)
    r.problems.add(v.at(), v.pointer(),
                   "a session names the contents of its prompts itself; leave out the trace's "
                   "tokens_per_hash");
  std::uint64_t common = 16;
  for (const world::Service& s : r.scenario.services)
    if (std::holds_alternative<world::LlmModel>(s.work))
      common = std::lcm(common, std::uint64_t{s.batching.continuous.block_size});
  if (common > 8192)
    r.problems.add(v.at(), v.pointer(),
                   fmt::format("names its contents in blocks of a common multiple of 16 and every "
                               "block_size of a language model: {}, but at most 8192; choose sizes "
                               "such as 16",
                               common));
  else
    session.block_tokens = static_cast<std::uint32_t>(common);
  return session;
}

// Clients live on devices if there are any.
std::uint32_t default_clients(const world::Scenario& s) {
  for (std::uint32_t g = 0; g < s.nodes.size(); ++g)
    if (s.nodes[g].tier == schedulers::Tier::device) return g;
  return 0;
}

}  // namespace

void resolve_workloads(Resolution& r, const ObjectView& root) {
  std::size_t position = 0;
  for (const ObjectView& v : root.objects("workload")) {
    world::Workload w;
    if (v.has("tenant")) w.tenant = r.tenants.at(v.text("tenant"));
    w.priority = static_cast<std::int32_t>(
        v.number_or("priority", w.tenant == ~0U ? 0 : r.scenario.tenants[w.tenant].priority));
    w.name = v.has("name") ? v.text("name") : fmt::format("workload-{}", position);
    ++position;
    for (const world::Workload& other : r.scenario.workloads)
      if (other.name == w.name)
        r.problems.add(v.at("name"), v.pointer_to("name"),
                       fmt::format("a second workload is called \"{}\"", w.name));

    const ObjectView clients = v.object("clients");
    w.clients_group =
        clients.has("on") ? r.groups.at(clients.text("on")) : default_clients(r.scenario);
    w.clients =
        clients.has("count") ? clients.count("count") : r.scenario.nodes[w.clients_group].count;
    w.arrivals = arrivals_of(r, v, w.clients);
    const ObjectView request = v.object("request");
    w.request = request_of(r, request);
    w.request.key = key_of(r, request, v, w);
    if (v.variant() == "preset") {
      // Lengths come with the preset unless the scenario states its own.
      const world::RequestShape& fitted = world::fitted_workload(v.text("preset")).request;
      if (!request.has("prompt_tokens")) w.request.prompt_tokens = fitted.prompt_tokens;
      if (!request.has("output_tokens")) w.request.output_tokens = fitted.output_tokens;
    }
    if (v.has("task")) {
      const ObjectView task = v.object("task");
      w.task.enabled = true;
      w.task.steps = task.distribution("steps", r.problems);
      w.task.action = task.distribution("action", r.problems);
      w.task.context_growth = task.distribution("context_growth", r.problems);
      if (task.has("session")) w.task.session = session_of(r, task, w.arrivals);
    }

    const std::string target = v.text("target");
    if (target == "offload" || (target.empty() && root.has("offload"))) {
      if (!root.has("offload"))
        r.problems.add(v.at("target"), v.pointer_to("target"), "there is no offload section");
    } else if (!target.empty()) {
      w.service = static_cast<int>(r.services.at(target));
    } else if (r.services.size() == 1) {
      w.service = 0;
    } else {
      r.problems.add(v.at(), v.pointer(),
                     "needs a \"target\": there are several services and no offload section");
    }
    if (w.service >= 0) {
      const world::Service& s = r.scenario.services[static_cast<std::size_t>(w.service)];
      if (s.local && s.group != w.clients_group)
        r.problems.add(v.at("target"), v.pointer_to("target"),
                       fmt::format("\"{}\" serves the machines of \"{}\" only, the clients are on "
                                   "\"{}\"; set its \"local\" to false",
                                   s.name, r.scenario.nodes[s.group].name,
                                   r.scenario.nodes[w.clients_group].name));
    }
    r.scenario.workloads.push_back(std::move(w));
  }
}

namespace {

// Engines of a service, which may stand in pools.
std::vector<const world::ContinuousBatching*> engines_of(const world::Scenario& scenario,
                                                         const world::Service& s) {
  std::vector<const world::ContinuousBatching*> engines;
  if (!std::holds_alternative<world::LlmModel>(s.work)) return engines;
  if (!s.pools) return {&s.batching.continuous};
  for (const auto* list : {&s.pools->first, &s.pools->decode})
    for (const std::uint32_t pool : *list)
      engines.push_back(&scenario.services[pool].batching.continuous);
  return engines;
}

// Whom further copies may reach, and whether there is anybody.
void check_hedging(Resolution& r, const ObjectView& v, const world::Workload& w,
                   std::vector<std::uint32_t> targets) {
  const int to = w.request.hedging->service;
  if (to >= 0) targets.push_back(static_cast<std::uint32_t>(to));
  for (const std::uint32_t i : targets) {
    const world::Service& s = r.scenario.services[i];
    if (s.split)
      r.problems.add(v.at(), v.pointer(),
                     fmt::format("requests to \"{}\" are split: they begin on the client's machine, which "
                                 "has no second one to begin them on",
                                 s.name));
  }
  if (to >= 0) {
    const world::Service& s = r.scenario.services[static_cast<std::size_t>(to)];
    if (s.local && s.group != w.clients_group)
      r.problems.add(v.at("to"), v.pointer_to("to"),
                     fmt::format("\"{}\" serves the machines of \"{}\" only, the clients are on \"{}\"; set "
                                 "its \"local\" to false",
                                 s.name, r.scenario.nodes[s.group].name,
                                 r.scenario.nodes[w.clients_group].name));
  } else if (w.request.hedging->copies > 1 &&
             std::all_of(targets.begin(), targets.end(), [&](std::uint32_t i) {
               const world::Service& s = r.scenario.services[i];
               return s.local || (!s.pools && !s.autoscaling.policy && s.replicas == 1);
             })) {
    r.scenario.notices.push_back(fmt::format(
        "workload \"{}\": request.hedging has no effect, for no service that it may reach has a second "
        "replica; give one or name another service with \"to\"",
        w.name));
  }
}

}  // namespace

void check_requests(Resolution& r, const ObjectView& root) {
  std::size_t position = 0;
  for (const ObjectView& v : root.objects("workload")) {
    const world::Workload& w = r.scenario.workloads[position++];
    const ObjectView request = v.object("request");
    std::vector<std::uint32_t> targets = r.scenario.offload.candidates;
    if (w.service >= 0) targets = {static_cast<std::uint32_t>(w.service)};
    std::vector<const world::ContinuousBatching*> engines;
    for (const std::uint32_t i : targets) {
      const world::Service& s = r.scenario.services[i];
      const auto own = engines_of(r.scenario, s);
      engines.insert(engines.end(), own.begin(), own.end());
      if (w.request.samples > 1 && s.pools && !s.pools->decode.empty())
        r.problems.add(request.at("samples"), request.pointer_to("samples"),
                       fmt::format("\"{}\" decodes in pools apart from the prompt, one answer each",
                                   s.name));
    }
    const auto none = [&](const auto& uses) {
      return std::none_of(engines.begin(), engines.end(), [&](const auto* e) { return uses(*e); });
    };
    if (w.service >= 0 && !engines.empty() &&
        none([&](const auto& e) { return e.max_sequences >= w.request.samples; }))
      r.problems.add(request.at("samples"), request.pointer_to("samples"),
                     fmt::format("{} answers are decoded at once, more than the max_batch of \"{}\"; "
                                 "raise it or ask for fewer",
                                 w.request.samples,
                                 r.scenario.services[static_cast<std::size_t>(w.service)].name));
    if (w.request.hedging) check_hedging(r, request.object("hedging"), w, targets);
    const auto note = [&](const char* what, const char* why) {
      r.scenario.notices.push_back(
          fmt::format("workload \"{}\": {} has no effect, for {}", w.name, what, why));
    };
    const auto batcher = [&](const auto& uses) {
      return std::any_of(targets.begin(), targets.end(), [&](std::uint32_t i) {
        const world::Batching& b = r.scenario.services[i].batching;
        return b.policy && b.policy->name == "dynamic" && uses(*b.parameters);
      });
    };
    const auto ordered = [](const auto& e) { return e.order == devices::QueueOrder::priority; };
    const bool ranked = std::any_of(targets.begin(), targets.end(), [&](std::uint32_t i) {
      const world::Service& s = r.scenario.services[i];
      return s.queue_order == world::LineOrder::priority || !s.admission.empty();
    });
    if (v.has("priority") && w.priority != 0 && !ranked && none(ordered) &&
        !batcher([](const auto& p) { return p.number("priority_levels") > 1; }))
      note("priority", "no engine or queue that it may reach has \"order\": \"priority\", and no dynamic batcher "
                       "priority_levels");
    const auto shortens = [](const auto& p) {
      const auto& levels = p.list("level_override");
      return p.number("allow_timeout_override") > 0 ||
             std::any_of(levels.begin(), levels.end(), [](double x) { return x > 0; });
    };
    if (w.request.queue_timeout > Duration::zero() && !batcher(shortens))
      note("request.queue_timeout",
           "no service that it may reach batches by \"dynamic\" with allow_timeout_override");
    if (!w.request.adapters.empty() && none([](const auto& e) { return e.adapters.slots > 0; }))
      note("request.adapters", "no engine that it may reach has \"adapters\"");
    const bool caches = std::any_of(r.scenario.services.begin(), r.scenario.services.end(),
                                    [](const auto& s) { return s.fetching && !s.fetching->caches.empty(); });
    if (w.request.key && !caches) note("request.key", "no service has \"caches\"");
    if (!w.request.key && std::any_of(targets.begin(), targets.end(), [&](std::uint32_t i) {
          const auto& f = r.scenario.services[i].fetching;
          return f && !f->caches.empty();
        }))
      r.scenario.notices.push_back(fmt::format(
          "workload \"{}\": its requests have no \"key\" and pass all caches by", w.name));
    if (engines.empty() && (w.request.samples > 1 || w.request.embedding))
      note(w.request.embedding ? "request.embedding" : "request.samples",
           "no language model answers it");
    if (engines.empty() && w.request.streaming)
      note("request.streaming", "no language model answers it");
  }
}

schedulers::OffloadReward reward_of(const ObjectView& v) {
  const schedulers::OffloadReward reward{v.number("latency"), v.number("energy"), v.number("accuracy"),
                                         v.number("latency_scale"), v.number("energy_scale")};
  if (!(reward.latency_weight + reward.energy_weight + reward.accuracy_weight > 0))
    throw InputError("all its weights are 0: nothing is worth anything");
  return reward;
}

void resolve_offload(Resolution& r, const ObjectView& root) {
  if (!root.has("offload")) return;
  const ObjectView v = root.object("offload");
  world::Offload& o = r.scenario.offload;
  o.policy = &schedulers::find_entry(schedulers::offload_policies(), v.variant());
  o.parameters = parameters_of(*o.policy, v);
  if (v.has("candidates")) {
    for (const std::string& name : v.texts("candidates")) {
      const std::uint32_t s = r.services.at(name);
      if (std::find(o.candidates.begin(), o.candidates.end(), s) != o.candidates.end())
        r.problems.add(v.at("candidates"), v.pointer_to("candidates"),
                       fmt::format("\"{}\" stands there twice", name));
      o.candidates.push_back(s);
    }
  } else {
    for (std::uint32_t s = 0; s < r.scenario.services.size(); ++s)
      if (r.scenario.services[s].front == ~0U && !is_called(r.scenario, s)) o.candidates.push_back(s);
  }
  const bool from_file =
      std::any_of(o.policy->parameters.begin(), o.policy->parameters.end(),
                  [&](const auto& p) { return p.name == "weights" && !v.text("weights").empty(); });
  try {
    if (from_file)
      o.parameters->set("weights", expand_path(v.text("weights"), r.document.folder).string());
    std::vector<std::string> names;
    for (const std::uint32_t s : o.candidates) names.push_back(r.scenario.services[s].name);
    o.policy->make(*o.parameters)->begin(names);
  } catch (const InputError& e) {
    const char* where = from_file ? "weights" : "policy";
    r.problems.add(v.at(where), v.pointer_to(where), e.what());
  }
  // A policy may have a parameter "fallback" of its own, which can also say "edge" or "cloud".
  const auto fallback = r.services.find(v.text("fallback"));
  o.fallback = fallback != r.services.end() ? fallback->second : o.candidates.back();
  o.overload_queue = v.count("overload_queue");
  o.signal_age = v.duration("signal_age");
  const std::string known = v.text("bandwidth");
  o.bandwidth = known == "current"   ? world::Offload::Bandwidth::current
                : known == "nominal" ? world::Offload::Bandwidth::nominal
                                     : world::Offload::Bandwidth::measured;
  o.measurement_weight = v.number("measurement_weight");
  o.decision_quality = v.flag("decision_quality");
  o.rewarded = v.has("reward");
  const ObjectView reward = v.object("reward");
  try {
    o.reward = reward_of(reward);
  } catch (const InputError& e) {
    r.problems.add(reward.at(), reward.pointer(), e.what());
  }
}

}  // namespace isthmus::scenarios
