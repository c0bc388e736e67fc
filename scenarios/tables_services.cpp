#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

const ObjectSpec& queue_spec() {
  static const ObjectSpec spec{
      "queue",
      "The queue in front of every replica: its limits and its order.",
      {integer("capacity", "waiting requests; of one more, the last in order is rejected (queue_full)")
           .default_is("unlimited"),
       quantity("timeout", Unit::duration,
                "a request that waited longer is rejected (queue_timeout)")
           .above(0)
           .default_is("none"),
       word("order", {"arrival", "priority", "fair", "deadline"},
            "who is next: by arrival, by the priority of the workload, in fair shares of the tenants by "
            "weight (start-time fair queueing), or by the earliest deadline or latency objective; for "
            "services that serve one request at a time per slot")
           .by_default("arrival"),
       flag("preemption",
            "with order priority or deadline: a request that comes before one in service takes its place; "
            "that one goes on later where it was stopped")
           .by_default("false")},
      "",
      {}};
  return spec;
}

namespace {
const std::vector<std::string>& load_strategies() {
  static const std::vector<std::string> names{"eager",   "lazy",     "mmap",
                                              "sharded", "balanced", "offload"};
  return names;
}
}  // namespace

Field stored_as(const char* help) {
  return either("variant",
                {text("", "variant of the catalogue, or a number format"),
                 object("", variant_spec, "inline variant")},
                help);
}

Field policy(const char* name, const ObjectSpec& of, const char* help) {
  Field bare = word("", {}, "policy name");
  bare.built = &of;
  return either(name, {bare, object("", of, "policy with parameters")}, help);
}

namespace {
// Fields that a service and each of its pools may have.
Field parallel_field() {
  return integer("parallel", "accelerators that share every layer (tensor parallel)")
      .at_least(1)
      .at_most(1024);
}
Field pipeline_field() {
  return integer("pipeline",
                 "stages of consecutive layers, each on `parallel` accelerators, with as many "
                 "micro-batches in flight; language models only")
      .at_least(1)
      .at_most(1024);
}
Field replicas_field() {
  return integer("replicas", "at the start; 0 only with autoscaling")
      .default_is("min_replicas, else 1");
}
Field min_replicas_field() {
  return integer("min_replicas", "never fewer")
      .default_is("the autoscaling policy's, else replicas");
}
Field max_replicas_field() {
  return integer("max_replicas", "never more")
      .at_least(1)
      .default_is("the autoscaling policy's, else replicas");
}
Field loading_field() {
  return either("loading",
                {word("", load_strategies(), "strategy"), object("", loading_spec, "with figures")},
                "how weights get to the unit; gives cold_start and what the first request pays");
}
}  // namespace

const ObjectSpec& pool_spec() {
  static const ObjectSpec spec{
      "pool",
      "Replicas of a service on machines of one group. What a pool does not say holds as the "
      "service says it; objects are merged.",
      {word("role", {"both", "prefill", "decode"},
            "what its replicas do: whole requests, prompts with their first token, or all tokens "
            "after the first, on keys and values that they get over the network")
           .by_default("both"),
       refer("on", Reference::group, "node group that it stands on").default_is("the service's"),
       text("unit", "compute unit of a replica").default_is("the service's"),
       parallel_field().default_is("the service's"),
       pipeline_field().default_is("the service's"),
       stored_as("how the model is stored and computed").default_is("the service's"),
       distribution("service_time", Unit::duration, "of a batch, for services with a law")
           .default_is("the service's"),
       integer("slots", "batches in service at once per replica; not for language models")
           .at_least(1)
           .at_most(1e6)
           .default_is("the service's"),
       replicas_field(),
       min_replicas_field(),
       max_replicas_field(),
       quantity("cold_start", Unit::duration, "from asking for a replica until it is ready")
           .default_is("the service's"),
       loading_field().default_is("the service's"),
       policy("batching", batching_spec(), "limits of its engines").default_is("the service's"),
       policy("autoscaling", autoscaling_spec(), "how many replicas there are")
           .default_is("a fixed number"),
       quantity("accuracy", Unit::fraction, "of answers; overrides the variant's")
           .at_most(1)
           .default_is("the service's"),
       quantity("timing_error", Unit::fraction, "relative standard error of the service times")
           .at_most(10)
           .default_is("the service's")},
      "",
      {}};
  return spec;
}

const ObjectSpec& loading_spec() {
  static const ObjectSpec spec{
      "loading",
      "How the weights of a model get from storage to its unit. See docs/memory.md.",
      {word("strategy", load_strategies(), "which way").needed(),
       quantity("shard", Unit::bytes, "of a shard file or module").above(0).by_default("1 GB"),
       quantity("deserialize", Unit::bandwidth, "of building tensors from a file")
           .above(0)
           .by_default("4 GB/s"),
       quantity("copy_bandwidth", Unit::bandwidth, "from host memory to the unit")
           .above(0)
           .default_is("the node's unit_transfer, else one memory: no copy"),
       quantity("page_fault", Unit::duration, "of mapping one page (mmap)").by_default("0.5 us"),
       flag("from_disk", "offload: the rest is read from storage at every inference")
           .by_default("false")},
      "",
      {}};
  return spec;
}

const ObjectSpec& variant_choice_spec() {
  static const ObjectSpec spec{
      "variant_choice",
      "One of the variants that a service chooses from.",
      {text("name", "in policies and results")
           .default_is("the variant's, with the model if another"),
       refer("model", Reference::model, "such as a pruned or distilled one")
           .default_is("the service's"),
       stored_as("how it is stored and computed").default_is("the model's default"),
       quantity("accuracy", Unit::fraction, "of its answers")
           .at_most(1)
           .default_is("the variant's")},
      "",
      {}};
  return spec;
}

const ObjectSpec& service_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "service";
    s.help =
        "A model served by replicas on the machines of one group. Give either `model` or "
        "`service_time`.";
    s.fields = {
        refer("model", Reference::model, "catalogue model or built-in shape")
            .default_is("none: service_time"),
        stored_as("how the model is stored and computed").default_is("the catalogue's"),
        list("variants",
             either("",
                    {text("", "variant of the service's model"),
                     object("", variant_choice_spec, "a variant, or another model")},
                    "a variant"),
             "variants to choose from, request by request; only operator graphs")
            .at_least(1)
            .default_is("none: `variant`"),
        policy("variant_policy", variant_policy_spec(), "which of the variants answers a request")
            .by_default("fixed"),
        object("split", split_spec(), "run a first part of each request on the client's machine")
            .default_is("no: all of it here"),
        distribution("service_time", Unit::duration,
                     "time of one batch as a law instead of a model")
            .default_is("none: model"),
        quantity("per_item", Unit::duration, "with service_time: added per request in the batch")
            .by_default("0 s"),
        either("on",
               {refer("", Reference::group, "node group"),
                list("", refer("", Reference::group, "node group"), "several, with `placement`").at_least(1)},
               "node group that serves it")
            .needed(),
        policy("placement", placement_spec(), "which machines its replicas take")
            .default_is("the first ones with room"),
        text("unit", "compute unit that it runs on, alone").default_is("the main unit"),
        list("units", text("", "compute unit"),
             "compute units over which the operators of the graph are spread, beside whatever "
             "else is spread over them")
            .at_least(1)
            .default_is("none: the whole graph on `unit`"),
        policy("scheduler", list_scheduler_spec(),
               "with units: which of them runs each operator, and in which order")
            .by_default("heft"),
        quantity("pack", Unit::duration,
                 "with units: operators that take less are launched together with a neighbour")
            .default_is("every operator is launched by itself"),
        integer("priority",
                "with units: larger goes first when services meet on a unit, at operator "
                "boundaries")
            .at_least(-1e6)
            .at_most(1e6)
            .by_default("0"),
        parallel_field().by_default("1"),
        pipeline_field().by_default("1"),
        list("pipeline_layers", integer("", "layers of a stage").at_least(1),
             "layers of each stage, if not as even as possible")
            .at_least(1)
            .default_is("even; layers that remain go to the stages before the last"),
        integer("data_parallel",
                "mixtures: ranks of `parallel` accelerators each, with attention, KV cache and "
                "scheduler of their own, which step together and share the experts")
            .at_least(1)
            .at_most(1024)
            .by_default("1"),
        integer("expert_parallel",
                "mixtures: parts into which the experts are divided; divides `parallel` x "
                "`data_parallel`, whose units otherwise share every expert")
            .at_least(1)
            .at_most(1024)
            .by_default("1"),
        word("expert_exchange", {"all-reduce", "all-to-all"},
             "with expert_parallel: every unit has all tokens (data-parallel ranks gather them) and sums "
             "are all-reduced, or tokens are sent to the units of their experts and back")
            .by_default("all-reduce"),
        quantity("expert_skew", Unit::none,
                 "with expert_parallel: exponent of the experts' popularity (Zipf), from which the "
                 "imbalance follows; 0 = all alike")
            .at_most(10)
            .by_default("0"),
        quantity("expert_imbalance", Unit::none,
                 "with expert_parallel: largest over mean load of the parts, where it was measured")
            .at_least(1)
            .default_is("what expert_skew and the number of tokens give"),
        flag("local", "one replica on every machine, for that machine's own clients")
            .default_is("true on machines of tier device"),
        integer("slots", "batches in service at once per replica; not for language models")
            .at_least(1)
            .at_most(1e6)
            .by_default("1"),
        replicas_field(),
        min_replicas_field(),
        max_replicas_field(),
        quantity("cold_start", Unit::duration, "from asking for a replica until it is ready")
            .default_is("what loading says, else 0 s"),
        loading_field().default_is("none: cold_start"),
        object("startup", startup_spec, "the parts of a cold start").default_is("none: cold_start"),
        quantity("workspace", Unit::bytes,
                 "that kernels of a batch in service need beside activations, such as those of "
                 "convolution algorithms; counted per slot, for operator graphs")
            .by_default("0 B"),
        quantity("request_overhead", Unit::duration,
                 "of the front end per request before it queues (HTTP, tokenization, decoding of "
                 "images); requests pass it side by side, and it takes no unit")
            .by_default("0 s"),
        object("queue", queue_spec, "limits of the queue in front of every replica"),
        admission_rules().default_is("none: everybody may enter"),
        object("transfers", transfer_policy_spec,
               "what follows when a transfer to or from it fails")
            .default_is("that of the network"),
        refer("protocol", Reference::protocol,
              "how remote clients talk to it: connections, bytes and work beside the payload")
            .default_is("none: payloads alone travel"),
        policy("batching", batching_spec(), "how waiting requests form batches")
            .default_is("language models: continuous; else one request per batch"),
        policy("routing", routing_spec(), "which replica gets a request")
            .by_default("least-outstanding"),
        object("balancer", balancer_spec, "what applies the routing, and how it learns who is alive")
            .default_is("one that knows at once"),
        policy("autoscaling", autoscaling_spec(), "how many replicas there are")
            .default_is("a fixed number"),
        map("pools", object("", pool_spec, "a pool"),
            "replicas in several pools, on different machines or, of language models, with "
            "different roles")
            .at_least(1)
            .default_is("none: equal replicas"),
        word("kv_transfer", {"after-prefill", "layerwise"},
             "with prefill and decode pools: keys and values travel when the prompt is computed, "
             "or layer by layer meanwhile")
            .by_default("after-prefill"),
        policy("decode_routing", routing_spec(), "which replica of the decode pools gets a request")
            .by_default("least-outstanding"),
        quantity("accuracy", Unit::fraction, "of answers; overrides the variant's")
            .at_most(1)
            .default_is("the variant's, else 0"),
        quantity(
            "timing_error", Unit::fraction,
            "relative standard error of the service times; comparisons within it are too close "
            "to call")
            .at_most(10)
            .default_is("the cost model's, 0 for service_time"),
        quantity("time_cv", Unit::none,
                 "coefficient of variation of the time of a batch around what the cost model says, a "
                 "Gamma law: inputs of other lengths, hosts with other work; operator graphs on a unit "
                 "of their own")
            .at_most(10)
            .by_default("0"),
    };
    s.fields.push_back(quantity("active_thread_percentage", Unit::none,
                                "of an accelerator that a replica may use at most, on machines whose accelerators "
                                "are shared by MPS (CUDA_MPS_ACTIVE_THREAD_PERCENTAGE)")
                           .above(0)
                           .at_most(100)
                           .by_default("100"));
    s.fields.push_back(quantity("occupancy", Unit::fraction,
                                "share of an accelerator that its kernels can use, on such machines; what they "
                                "leave, others can use at the same time")
                           .above(0)
                           .at_most(1)
                           .by_default("1"));
    for (const Field& f : service_cost_fields()) s.fields.push_back(f);
    for (const Field& f : caching_fields()) s.fields.push_back(f);
    return s;
  }();
  return spec;
}

}  // namespace isthmus::scenarios
