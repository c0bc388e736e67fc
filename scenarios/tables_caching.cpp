// Keys of requests, caches of answers and calls between services. See docs/caching.md.
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

const ObjectSpec& key_spec() {
  static const ObjectSpec spec = [] {
    const Field items = integer("items", "that requests ask for").at_least(1).at_most(1e15).needed();
    const std::vector<Field> drawn{
        items,
        quantity("lifetime", Unit::duration,
                 "an item keeps its popularity this long, then a new one takes its place; not all at "
                 "once")
            .above(0)
            .default_is("for ever"),
        integer("clusters", "groups of items that resemble each other, at random; see `similarity` "
                            "of caches")
            .at_least(1)
            .at_most(1e15)
            .default_is("none: no item resembles another"),
        distribution("similarity", Unit::fraction, "of two items of a cluster, always the same")
            .default_is("uniform between 0 and 1"),
        text("space", "workloads with equal spaces ask for the same items")
            .default_is("the name of the workload")};
    ObjectSpec s;
    s.name = "key";
    s.help =
        "The item that a request asks for: its fingerprint. Requests for one item are equal: same "
        "tokens, same bytes.";
    s.tag = "law";
    s.fields = {word("law", {"zipf", "uniform", "trace"}, "how popular items are").needed()};
    std::vector<Field> zipf = drawn;
    zipf.insert(zipf.begin() + 1,
                quantity("exponent", Unit::none, "item k is asked for in proportion to k^-exponent")
                    .at_most(20)
                    .needed());
    s.variants = {
        {"zipf", "a few items are popular", zipf},
        {"uniform", "all alike", drawn},
        {"trace",
         "column `key` of a csv trace, any text; or hash_ids of a mooncake trace: equal prompts",
         {}}};
    return s;
  }();
  return spec;
}

namespace {

const ObjectSpec& similarity_spec() {
  static const ObjectSpec spec{
      "similarity",
      "Makes a cache semantic: without an answer to the very request, the answer to the most similar "
      "one of its cluster is taken.",
      {quantity("threshold", Unit::fraction, "least similarity").at_most(1).needed(),
       list("suits",
            tuple("",
                  {quantity("", Unit::fraction, "similarity").at_most(1),
                   quantity("", Unit::fraction, "chance").at_most(1)},
                  "a point"),
            "[[similarity, chance that such an answer suits], ...], rising, linear between points; an "
            "answer that does not suit has accuracy 0")
           .at_least(1)
           .needed()},
      "",
      {}};
  return spec;
}

const ObjectSpec& cache_spec() {
  static const ObjectSpec spec{
      "cache",
      "A cache of answers by key. Requests without a key pass it by.",
      {text("name", "in results").default_is("cache-<position>"),
       word("scope", {"replica", "node"},
            "one in the process of every replica, or one on every machine")
           .default_is("replica, without `server`"),
       refer("server", Reference::service,
             "service whose replicas hold the cache: look-ups go there over the network and queue; its "
             "routing says which replica owns a key")
           .default_is("none: scope"),
       integer("entries", "that each copy holds").at_least(1).at_most(1e12).default_is("unlimited"),
       quantity("capacity", Unit::bytes, "of the answers in each copy")
           .above(0)
           .default_is("unlimited"),
       quantity("ttl", Unit::duration, "an entry is gone at this age").above(0).default_is("none"),
       word("ttl_from", {"write", "use"}, "the age counts from the writing, or from the last use")
           .by_default("write"),
       policy("replacement", replacement_spec(), "which entry leaves for another")
           .by_default("lru"),
       quantity("lookup_time", Unit::duration,
                "of a look-up where it is asked from, such as hashing or embedding; takes no unit")
           .by_default("0 s"),
       flag("coalesce", "requests that miss what another one is fetching wait for its answer "
                        "(single flight); with scope")
           .by_default("false"),
       quantity("request", Unit::bytes, "with server: sent for a look-up").by_default("0 B"),
       quantity("miss", Unit::bytes, "with server: sent back when it has no answer")
           .by_default("0 B"),
       object("similarity", similarity_spec, "also takes answers to similar requests")
           .default_is("equal keys only")},
      "",
      {}};
  return spec;
}

}  // namespace

std::vector<Field> caching_fields() {
  return {list("caches", object("", cache_spec, "a cache"),
               "caches that are looked into one after the other; what is fetched is written to those "
               "before")
              .at_least(1)
              .default_is("none"),
          word("caches_hold", {"answers", "calls"},
               "what they hold: answers of the service, looked up before its own work, or answers of "
               "the called service, looked up after it")
              .by_default("answers"),
          either("calls",
                 {object("", calls_spec, "one call"),
                  list("", object("", calls_spec, "a call"), "several calls, in order").at_least(1)},
                 "other services that the answer needs")
              .default_is("none"),
          map("connection_pools", object("", connection_pool_spec, "a pool"),
              "pools of connections to called services, for the `pool` of calls")
              .default_is("none: connections cost nothing"),
          object("message_queue", message_queue_spec, "the service is a queue of messages, and its calls are consumers")
              .default_is("none: a request waits for its calls"),
          integer("max_connections",
                  "that each replica takes from `connection_pools` of its callers; further ones are refused, and the "
                  "request that opens one fails")
              .at_least(1)
              .at_most(1e9)
              .default_is("unlimited")};
}

}  // namespace isthmus::scenarios
