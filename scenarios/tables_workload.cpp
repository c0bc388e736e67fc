#include "scenarios/payloads.hpp"
#include "scenarios/tables.hpp"
#include "sim/world/fitted_workloads.hpp"

namespace isthmus::scenarios {

namespace {

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const world::FittedWorkload& w : world::fitted_workloads()) names.push_back(w.name);
  return names;
}

}  // namespace

const ObjectSpec& clients_spec() {
  static const ObjectSpec spec{
      "clients",
      "Who sends. Client i lives on machine i mod count of its group.",
      {refer("on", Reference::group, "node group of the clients")
           .default_is("the first group of tier device, else the first group"),
       integer("count", "number of clients; in a closed loop the population")
           .at_least(1)
           .at_most(max_nodes)
           .default_is("one per machine of the group")},
      "",
      {}};
  return spec;
}

const ObjectSpec& request_adapters_spec() {
  static const ObjectSpec spec{
      "request_adapters",
      "Each request asks for one of the adapters 1 to count, at random.",
      {integer("count", "adapters").at_least(1).at_most(1e6).needed(),
       quantity("skew", Unit::none, "exponent of a Zipf law: adapter k is asked for in proportion to "
                "k^-skew; 0 = all alike")
           .at_most(10)
           .by_default("0")},
      "",
      {}};
  return spec;
}

const ObjectSpec& hedging_spec() {
  static const ObjectSpec spec{
      "hedging",
      "Sends further copies of a request that has no answer yet, to replicas that none of its copies "
      "has gone to. The first answer wins; with \"streaming\" its first message does. Without delay all "
      "copies leave at once.",
      {quantity("delay", Unit::duration, "from one copy to the next, from the start of an attempt on")
           .by_default("0 s"),
       quantity("after_percentile", Unit::fraction,
                "instead of delay: this percentile of the times that attempts of the workload took to "
                "their answers; no copy is sent while too few have been answered to tell")
           .above(0)
           .at_most(0.9999)
           .default_is("none: delay"),
       integer("window", "newest answers that the percentile is taken over")
           .at_least(2)
           .at_most(1e5)
           .by_default("1000"),
       integer("copies", "in all, the first included; 1 = none").at_least(1).at_most(64).by_default("2"),
       quantity("budget", Unit::none, "further copies per request of the workload, over all so far")
           .at_most(63)
           .default_is("no limit"),
       refer("to", Reference::service, "service that further copies go to, such as one on another tier")
           .default_is("the same service"),
       flag("cancel", "once there is an answer, the other copies are stopped wherever they are; false: "
            "they run to their end")
           .by_default("true")},
      "",
      {}};
  return spec;
}

const ObjectSpec& request_spec() {
  static const ObjectSpec spec{
      "request",
      "What one request carries. Token counts matter to language models, bytes to the network. A "
      "trace "
      "that has token counts or bytes of its own overrides these.",
      {distribution("prompt_tokens", Unit::none, "text tokens of the prompt").by_default("0"),
       distribution("image_tokens", Unit::none, "prompt tokens that come from images, in addition")
           .by_default("0"),
       distribution("output_tokens", Unit::none, "generated tokens").by_default("1"),
       integer("samples", "answers of output_tokens each from one prompt, which language models decode "
               "at once: samples or beams")
           .at_least(1)
           .at_most(1024)
           .by_default("1"),
       object("adapters", request_adapters_spec, "adapters (LoRA) that language models answer with")
           .default_is("none"),
       distribution("work", Unit::none, "times the service_time of services with a law; of the largest of a batch")
           .by_default("1"),
       flag("embedding", "of language models: the pass over the prompt is the answer; no tokens are "
            "generated")
           .by_default("false"),
       flag("streaming", "of language models: tokens travel to the client as they are computed, one "
            "message at a time with all tokens that are there; ttft, tpot and e2e are then the client's")
           .by_default("false"),
       quantity("stream_interval", Unit::duration,
                "at least this long between two messages of a streamed answer; 0: every token travels "
                "at once unless a message is on its way")
           .by_default("0 s"),
       object("key", key_spec, "the item that a request asks for, for caches of answers")
           .default_is("none: no two requests are equal"),
       distribution("upload", Unit::bytes, "sent to a remote service").by_default("0 B"),
       distribution("download", Unit::bytes, "sent back").by_default("0 B"),
       object("upload_payload", payload_spec, "instead of upload: what is sent")
           .default_is("none: upload"),
       object("download_payload", payload_spec, "instead of download: what is sent back")
           .default_is("none: download"),
       quantity("upload_per_token", Unit::bytes, "added per prompt token").by_default("0 B"),
       quantity("download_per_token", Unit::bytes, "added per output token").by_default("0 B"),
       distribution("difficulty", Unit::fraction,
                    "how hard the input is: early exits take those below their cumulated shares")
           .default_is("uniform between 0 and 1"),
       distribution("postprocess", Unit::duration,
                    "work on the client after the answer, such as non-maximum suppression")
           .by_default("0 s"),
       distribution("preprocess", Unit::duration, "work on the client before sending or serving")
           .by_default("0 s"),
       distribution("protocol", Unit::duration, "connection, TLS and RPC time per remote request")
           .by_default("0 s"),
       quantity("deadline", Unit::duration, "the client gives up after this")
           .above(0)
           .default_is("none"),
       quantity("attempt_timeout", Unit::duration,
                "an attempt without its answer after this is given up, and `retries` decide what follows")
           .above(0)
           .default_is("none"),
       quantity("queue_timeout", Unit::duration,
                "longest time in a queue that it asks for, where the batching policy allows it "
                "(dynamic: allow_timeout_override); 0 = the policy's")
           .by_default("0 s"),
       integer("retries", "after a failed transfer or an attempt given up").at_most(1000).by_default("0"),
       quantity("retry_jitter", Unit::fraction, "share of a pause before a retry that is drawn at random")
           .at_most(1)
           .by_default("0"),
       quantity("retry_budget", Unit::none, "retries per request of the workload, over all so far")
           .at_most(1000)
           .default_is("no limit"),
       object("hedging", hedging_spec, "further copies of requests that take long")
           .default_is("none"),
       quantity("retry_backoff", Unit::duration, "before the first retry; doubles every time; also the pause of a "
                "closed-loop client after a request that failed or was rejected")
           .by_default("1 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& session_spec() {
  static const ObjectSpec spec{
      "session",
      "The steps of a task are the turns of one conversation, and each prompt holds what was said "
      "before: system prompt, then of every turn its screenshot (image_tokens), its text "
      "(prompt_tokens) and its answer. A screenshot is encoded and uploaded as `request` says; "
      "while it stays in the prompt, it is uploaded again with every turn.",
      {integer("system_tokens", "of the system prompt, the same in all sessions of the workload")
           .at_most(1e7)
           .by_default("0"),
       integer("keep_images", "newest screenshots that stay in the prompt; older ones leave it, "
                              "their text stays")
           .at_least(1)
           .at_most(1e9)
           .default_is("all")},
      "",
      {}};
  return spec;
}

const ObjectSpec& task_spec() {
  static const ObjectSpec spec{
      "task",
      "Makes every arrival a task: a sequence of requests, each sent when the one before is "
      "answered.",
      {distribution("steps", Unit::none, "requests per task, at least 1").needed(),
       distribution("action", Unit::duration, "between an answer and the next request")
           .by_default("0 s"),
       distribution("context_growth", Unit::none, "prompt tokens that every step adds")
           .by_default("0"),
       object("session", session_spec,
              "prompts hold the turns before them, with contents that prefix caches and routers "
              "know again")
           .default_is("no: prompts have nothing in common")},
      "",
      {}};
  return spec;
}

const ObjectSpec& workload_spec() {
  static const ObjectSpec spec = [] {
    const Field rate =
        quantity("rate", Unit::rate, "arrivals over all clients of the workload").above(0).needed();
    const Field cv = quantity("cv", Unit::none, "coefficient of variation of the gaps; 1 = Poisson")
                         .above(0)
                         .needed();
    ObjectSpec s;
    s.name = "workload";
    s.help = "A stream of requests or tasks.";
    s.tag = "source";
    s.fields = {
        text("name", "name in the results").default_is("workload-<position>"),
        word("source", {}, "where arrivals come from").by_default("poisson"),
        refer("target", Reference::service_or_offload,
              "a service, or \"offload\": the offload policy decides per request")
            .default_is("offload if there is an offload section, else the only service"),
        object("clients", clients_spec, "who sends"),
        object("request", request_spec, "what one request carries"),
        object("task", task_spec, "arrivals are tasks of several requests")
            .default_is("single requests"),
        refer("tenant", Reference::tenant, "whose it is").default_is("none"),
        integer("priority",
                "larger goes first: in queues and engines with \"order\": \"priority\", for rules of admission, "
                "and in the dynamic batcher with priority_levels, where 0 is its default level and 1 the level "
                "before")
            .at_least(-1e6)
            .at_most(1e6)
            .default_is("the tenant's, else 0"),
        integer("limit", "largest number of arrivals").at_most(9e15).default_is("none"),
        quantity("start", Unit::duration, "nothing arrives before").by_default("0 s"),
    };
    s.variants = {
        {"poisson", "independent users", {rate}},
        {"gamma", "gaps with a Gamma law: burstier (cv > 1) or smoother than Poisson", {rate, cv}},
        {"weibull", "gaps with a Weibull law", {rate, cv}},
        {"erlang",
         "regular gaps of several exponential phases",
         {rate, integer("phases", "per gap").at_least(1).at_most(1000).needed()}},
        {"deterministic", "equal gaps", {rate}},
        {"mmpp",
         "Poisson whose rate jumps between states in turn",
         {list("rates", quantity("", Unit::rate, "rate"), "one per state").at_least(2).needed(),
          list("sojourns", quantity("", Unit::duration, "mean time").above(0),
               "mean time per state")
              .at_least(2)
              .needed()}},
        {"diurnal",
         "Poisson with rate * (1 + amplitude sin(2 pi (t / period + phase)))",
         {rate, quantity("amplitude", Unit::fraction, "of the swing").at_most(1).needed(),
          quantity("period", Unit::duration, "of the swing").above(0).by_default("24 h"),
          quantity("phase", Unit::none, "in periods").at_most(1).by_default("0")}},
        {"steps",
         "Poisson with a rate that changes at given dates",
         {list("steps",
               tuple("", {quantity("", Unit::duration, "from"), quantity("", Unit::rate, "rate")},
                     "a step"),
               "[[\"0 s\", \"10 /s\"], ...], dates increasing")
              .at_least(1)
              .needed()}},
        {"times",
         "given dates",
         {list("times", quantity("", Unit::duration, "date"), "dates, not decreasing")
              .at_least(1)
              .needed()}},
        {"closed",
         "every client sends, waits for the answer, thinks and sends again",
         {distribution("think", Unit::duration, "between an answer and the next request")
              .by_default("0 s"),
          list(
              "steps",
              tuple("",
                    {quantity("", Unit::duration, "from"), integer("", "number of active clients")},
                    "a step"),
              "[[\"0 s\", 10], ...]: active clients over time, at most clients.count")
              .default_is("all clients, always")}},
        {"preset",
         "fitted to the published statistics of a trace: arrivals, prompt and output lengths",
         {word("preset", preset_names(), "which; figures and what each falls short of: docs/workloads.md")
              .needed(),
          quantity("rate", Unit::rate, "scales the mean rate; bursts keep their length")
              .above(0)
              .default_is("the trace's")}},
        {"trace",
         "a file, read while the run goes on",
         {word("format", {"azure-llm", "mooncake", "burstgpt", "csv"}, "of the file")
              .by_default("csv"),
          text("file", "path relative to this file, or below $ISTHMUS_DATA").needed(),
          quantity("time_scale", Unit::none, "gaps are multiplied by this; 0.5 doubles the load")
              .above(0)
              .by_default("1"),
          integer("tokens_per_image", "prompt tokens of an image, for traces that count images")
              .at_most(1e6)
              .by_default("576"),
          integer("tokens_per_hash",
                  "mooncake: prompt tokens that one of hash_ids stands for (512 in the published "
                  "traces), for prefix caching; 0 = hash_ids are not read")
              .at_most(8192)
              .by_default("0")}},
    };
    for (Field& f : s.fields)
      if (f.name == "source")
        for (const Variant& v : s.variants) f.choices.push_back(v.value);
    return s;
  }();
  return spec;
}

}  // namespace isthmus::scenarios
