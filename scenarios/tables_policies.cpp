// Policy objects, made from what the registered policies declare about themselves.
#include <fmt/core.h>

#include <limits>

#include "scenarios/policy_tables.hpp"
#include "schedulers/registry.hpp"

namespace isthmus::scenarios {

namespace {

using schedulers::Dimension;
using schedulers::ParameterSpec;

Unit unit_for(Dimension dimension) {
  switch (dimension) {
    case Dimension::none:
    case Dimension::count:
    case Dimension::text:
      return Unit::none;
    case Dimension::fraction:
      return Unit::fraction;
    case Dimension::duration:
      return Unit::duration;
    case Dimension::bytes:
      return Unit::bytes;
    case Dimension::bandwidth:
      return Unit::bandwidth;
    case Dimension::power:
      return Unit::power;
    case Dimension::money:
      return Unit::money;
  }
  return Unit::none;
}

Field signed_number(const std::string& name, const std::string& help) {
  return quantity(name, Unit::none, help).at_least(-std::numeric_limits<double>::max());
}

}  // namespace

Field row_of(const ParameterSpec& p) {
  if (p.dimension == Dimension::text) {
    if (p.choices.empty()) return text(p.name, p.help).by_default(p.default_text);
    return word(p.name, p.choices, p.help).by_default(p.default_text);
  }
  const bool count = p.dimension == Dimension::count;
  const Unit unit = unit_for(p.dimension);
  Field one = count ? integer(p.name, p.help) : quantity(p.name, unit, p.help);
  one.min = p.min;
  one.max = p.max;
  if (p.list) {
    one.name.clear();
    return list(p.name, one, p.help).default_is("none");
  }
  return one.by_default(format_quantity(p.default_value, unit));
}

const ObjectSpec& offload_reward_spec() {
  static const ObjectSpec spec{
      "offload reward",
      "The worth of an answer is the weighted mean of latency_scale / (latency_scale + latency), "
      "energy_scale / (energy_scale + energy of the client) and accuracy, all between 0 and 1; of a "
      "request without an answer 0.",
      {quantity("latency", Unit::none, "weight of the first").at_most(1000).by_default("1"),
       quantity("energy", Unit::none, "weight of the second").at_most(1000).by_default("0"),
       quantity("accuracy", Unit::none, "weight of the third").at_most(1000).by_default("0"),
       quantity("latency_scale", Unit::duration, "latency that is worth one half").above(0)
           .by_default("200 ms"),
       quantity("energy_scale", Unit::energy, "energy of a request that is worth one half").above(0)
           .by_default("1 J")},
      "",
      {}};
  return spec;
}

const ObjectSpec& offload_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "offload";
    s.help = "Where each request runs. Docs of each policy: docs/policies.md.";
    s.fields = {
        list("candidates", refer("", Reference::service, "service"), "services to choose from")
            .at_least(1)
            .default_is("all services"),
        refer("fallback", Reference::service,
              "used when the choice is not healthy or the local queue is too long")
            .default_is("the last candidate"),
        integer("overload_queue",
                "length of the local queue from which a request falls back; 0 = "
                "never")
            .by_default("0"),
        quantity("signal_age", Unit::duration, "period of the load reports that clients get")
            .above(0)
            .by_default("1 s"),
        word("bandwidth", {"current", "nominal", "measured"},
             "what clients know of the path to a candidate: its present capacity, as a modem or a "
             "network service would tell them; the capacity when they first looked; or the rate of "
             "their own transfers there (the first estimate is the capacity)")
            .by_default("current"),
        quantity("measurement_weight", Unit::fraction,
                 "with \"bandwidth\": \"measured\", weight of the newest transfer")
            .above(0)
            .at_most(1)
            .by_default("0.5"),
        object("reward", offload_reward_spec, "what a decision is worth: learners learn it, and the "
               "results report its mean as offload_reward")
            .default_is("latency alone, not reported"),
        flag("decision_quality",
             "hold every decision against the oracle's on the same candidates (oracle_agreement and "
             "oracle_gap); takes time")
            .by_default("false"),
    };
    add_policies(s, schedulers::offload_policies());
    return s;
  }();
  return with_added<schedulers::OffloadPolicy>(spec);
}

const ObjectSpec& batching_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "batching";
    s.help = "How waiting requests form batches. Language models always batch continuously.";
    add_policies(s, schedulers::batching_policies());
    Variant v;
    v.value = "continuous";
    v.help =
        "Iteration-level batching inside a language-model engine: sequences join and leave "
        "between iterations.";
    v.fields = continuous_batching_fields();
    s.fields[0].choices.push_back(v.value);
    s.variants.push_back(std::move(v));
    Variant fitted;
    fitted.value = "fitted";
    fitted.help =
        "As greedy, with the batch that gives the most throughput on the units of the service; for "
        "operator graphs.";
    fitted.fields = {
        integer("max_batch", "largest batch tried").at_least(1).at_most(1024).by_default("32"),
        quantity("latency_limit", Unit::duration, "of one batch").above(0).default_is("none")};
    s.fields[0].choices.push_back(fitted.value);
    s.variants.push_back(std::move(fitted));
    Variant triton;
    triton.value = "triton";
    triton.help =
        "As NVIDIA Triton with that model configuration, read unchanged: dynamic_batching becomes the "
        "policy \"dynamic\" (without it, \"none\"), instance_group the `slots` of a replica. See "
        "docs/batching.md.";
    triton.fields = {text("config", "path of a config.pbtxt").needed()};
    s.fields[0].choices.push_back(triton.value);
    s.variants.push_back(std::move(triton));
    return s;
  }();
  return with_added<schedulers::BatchingPolicy>(spec);
}

const ObjectSpec& routing_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "routing";
    s.help = "Which replica of a service gets a request.";
    add_policies(s, schedulers::routing_policies());
    return s;
  }();
  return with_added<schedulers::RoutingPolicy>(spec);
}

const ObjectSpec& autoscaling_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "autoscaling";
    s.help = "How many replicas a service has. Decisions rest on scraped, delayed samples.";
    s.fields = {
        quantity("period", Unit::duration, "between decisions").above(0).by_default("15 s"),
        quantity("scrape_period", Unit::duration, "between metric samples")
            .above(0)
            .by_default("15 s"),
        quantity("scrape_delay", Unit::duration, "age of a sample when it becomes visible")
            .by_default("1 s"),
        map("external",
            list("",
                 tuple("", {quantity("", Unit::duration, "from"), signed_number("", "value")}, "a step"),
                 "[[\"0 s\", 20], ...], dates increasing"),
            "numbers from outside the scenario by name, such as the length of a message queue; metric "
            "external:<name> of policies that take one")
            .default_is("none"),
    };
    add_policies(s, schedulers::autoscaling_policies());
    Variant manifest;
    manifest.value = "hpa-yaml";
    manifest.help =
        "As a HorizontalPodAutoscaler manifest (autoscaling/v2), read unchanged. See docs/autoscaling.md.";
    manifest.fields = {
        text("file", "path of the YAML file").needed(),
        map("metrics", text("", "metric of the simulator"),
            "what metrics of type Pods, Object and External are here, by their name in the manifest, e.g. "
            "{\"http_requests_per_second\": \"rate\"}")
            .default_is("the metric of that name; of type External the external one")};
    s.fields[0].choices.push_back(manifest.value);
    s.variants.push_back(std::move(manifest));
    return s;
  }();
  return with_added<schedulers::AutoscalingPolicy>(spec);
}

const ObjectSpec& list_scheduler_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "scheduler";
    s.help = "Which unit runs each operator of a graph, and in which order.";
    add_policies(s, schedulers::list_schedulers());
    return s;
  }();
  return with_added<schedulers::ListScheduler>(spec);
}

const ObjectSpec& governor_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "governor";
    s.help = "At which operating point a unit runs; heat may hold it lower.";
    add_policies(s, schedulers::governor_policies());
    return s;
  }();
  return with_added<schedulers::GovernorPolicy>(spec);
}

const ObjectSpec& split_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "split";
    s.help =
        "Requests run a first part of the graph on the client's machine and the rest at the "
        "service. Every client plans with nominal bandwidths, its own queue and the last load "
        "report, and again when one of them has moved.";
    s.fields = {
        refer("head", Reference::service,
              "local service with the same model, which runs the first part")
            .needed(),
        list("via", refer("", Reference::service, "service"),
             "services with the same model between the two, such as one at the edge; at most two, "
             "from the client outwards")
            .default_is("none"),
        quantity("hysteresis", Unit::fraction,
                 "relative change of bandwidth or load from which a client plans again")
            .by_default("0.2"),
        quantity("latency_weight", Unit::none, "of a second, in what the plan minimizes")
            .by_default("1"),
        quantity("energy_weight", Unit::none, "of a joule of the client").by_default("0"),
        quantity("price_weight", Unit::none, "of a dollar of the service's machine")
            .by_default("0"),
        list("encode", word("", {"fp16", "bf16", "fp8", "int8", "fp4", "int4"}, "number format"),
             "formats in which tensors may travel, besides their own; the plan chooses per tensor")
            .default_is("none: as they are"),
        quantity("accuracy_loss", Unit::fraction, "per tensor that travels in another format")
            .at_most(1)
            .by_default("0"),
    };
    add_policies(s, schedulers::partitioners());
    return s;
  }();
  return with_added<schedulers::Partitioner>(spec);
}

const ObjectSpec& variant_policy_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "variant_policy";
    s.help = "Which of its variants a service answers a request with.";
    add_policies(s, schedulers::variant_policies());
    return s;
  }();
  return with_added<schedulers::VariantPolicy>(spec);
}

const ObjectSpec& admission_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "admission";
    s.help = "A rule at the front of a service: who may enter, and when. See docs/tenants.md.";
    s.fields = {
        word("per", {"all", "tenant"},
             "one state for all requests that the rule concerns, or one for each tenant")
            .by_default("all"),
        list("tenants", refer("", Reference::tenant, "tenant"), "whose requests the rule concerns")
            .at_least(1)
            .default_is("everybody's"),
        flag("retry_after",
             "a request that is turned away is told when to come again, where the rule knows that, and "
             "does so while it has `retries` left")
            .by_default("false"),
        word("otherwise", {"reject", "degrade"},
             "what becomes of requests that the rule does not admit: they are turned away, or let in as over their "
             "quota, for variant policies that know it (`class-degrade`)")
            .by_default("reject"),
    };
    add_policies(s, schedulers::admission_policies());
    return s;
  }();
  return with_added<schedulers::AdmissionPolicy>(spec);
}

Field admission_rules() {
  return list("admission", policy("", admission_spec(), "a rule"),
              "rules that requests pass in this order before they enter; all must admit a request, and "
              "what one has taken stays taken when a later one turns the request away");
}

const ObjectSpec& replacement_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "replacement";
    s.help = "Which entry leaves a cache of answers for another.";
    add_policies(s, schedulers::replacement_policies());
    return s;
  }();
  return with_added<schedulers::ReplacementPolicy>(spec);
}

const ObjectSpec& model_cache_spec() {
  static ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "model_cache";
    s.help =
        "Memory of a machine that the models of its services share: a batch waits until the "
        "weights of its model are there, and others leave for them. See docs/memory.md.";
    s.fields = {
        quantity("capacity", Unit::bytes, "for weights and activations of all models together")
            .above(0)
            .default_is("the largest memory of a unit of the machine"),
        flag("preload", "models are there from the start, in the order of the services, as far as "
                        "they fit")
            .by_default("true"),
        flag("keep_in_host",
             "weights stay in host memory once read: later loads are copies to the unit only")
            .by_default("false"),
    };
    add_policies(s, schedulers::eviction_policies());
    return s;
  }();
  return with_added<schedulers::EvictionPolicy>(spec);
}

void refresh_policy_tables() {
  for (const ObjectSpec& (*table)() : {&offload_spec, &placement_spec, &batching_spec, &routing_spec, &autoscaling_spec, &list_scheduler_spec,
                            &governor_spec, &split_spec, &variant_policy_spec, &admission_spec, &replacement_spec,
                            &model_cache_spec})
    table();
}

}  // namespace isthmus::scenarios
