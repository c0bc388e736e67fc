#include "models/operator_kind.hpp"
#include "models/precision.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

std::vector<std::string> operator_kinds() {
  std::vector<std::string> names;
  for (const std::string_view name : models::operator_kind_names)
    if (name != "input") names.emplace_back(name);
  return names;
}

// What describes a compute unit, in "units" and, for the main unit, on the node itself.
std::vector<std::string> governor_names() {
  std::vector<std::string> names;
  for (const Variant& v : governor_spec().variants) names.push_back(v.value);
  return names;
}

std::vector<Field> unit_fields() {
  return {
      word("kind", {"cpu", "gpu", "npu"}, "what the unit is").by_default("cpu"),
      object("peak", peak_spec, "dense peak speed per number format (never the sparse figure)"),
      quantity("memory_bandwidth", Unit::bandwidth, "of the memory that holds weights and caches"),
      quantity("memory", Unit::bytes, "that models and caches may use"),
      quantity("compute_efficiency", Unit::fraction, "share of the peak that large products reach")
          .above(0)
          .at_most(1)
          .by_default("1"),
      quantity("bandwidth_efficiency", Unit::fraction,
               "share of the memory bandwidth that large streams reach")
          .above(0)
          .at_most(1)
          .by_default("1"),
      quantity("efficiency_error", Unit::fraction,
               "relative standard error of times predicted with these efficiencies; widens the "
               "intervals of comparisons")
          .at_most(10)
          .by_default("0"),
      quantity("launch_overhead", Unit::duration, "per kernel or operator").by_default("0 s"),
      quantity("iteration_overhead", Unit::duration,
               "fixed time of the framework per batch or engine iteration")
          .by_default("0 s"),
      quantity("sequence_overhead", Unit::duration,
               "time of the framework per sequence that gets a token in an engine iteration "
               "(sampling, bookkeeping, streaming)")
          .by_default("0 s"),
      flag("overlap_overhead",
           "iteration_overhead and sequence_overhead of language models pass while the iteration "
           "before computes: it takes the longer of the two, not their sum")
          .by_default("false"),
      either("graph_sizes",
             {word("", {"vllm"}, "1, 2, 4 and multiples of 8 up to 256"),
              list("", integer("", "tokens").at_least(1).at_most(1e6), "sizes, rising").at_least(1)},
             "numbers of tokens for which engines of language models captured their kernels (CUDA "
             "graphs): iterations with fewer are padded to the next one, larger ones are not")
          .default_is("none: no padding"),
      integer("streams",
              "operators of spread graphs that run on it at once, sharing its arithmetic (streams "
              "of a GPU)")
          .at_least(1)
          .at_most(64)
          .by_default("1"),
      list("operating_points", object("", operating_point_spec, "a clock"),
           "clocks of the unit, slowest first; its speeds and powers hold at the last one. Used "
           "with `physics`")
          .default_is("one: the clock is constant"),
      either("governor",
             {word("", governor_names(), "policy name"),
              object("", governor_spec(), "policy with parameters")},
             "which operating point it runs at. Used with `physics`")
          .by_default("performance"),
      quantity("leakage", Unit::leakage,
               "that idle power grows with temperature, from 25 C. Used with `physics`")
          .by_default("0 W/K"),
      quantity("idle_power", Unit::power, "while nothing runs").by_default("0 W"),
      quantity("bandwidth_power", Unit::power, "while memory-bound work runs")
          .default_is("idle_power"),
      quantity("compute_power", Unit::power, "while compute-bound work runs")
          .default_is("bandwidth_power"),
      text("profile",
           "path of an HDF5 kernel profile with measured times, relative to this file; "
           "$ISTHMUS_PROFILES/... names a shipped one")
          .default_is("none: roofline times"),
      list("unsupported", word("", operator_kinds(), "operator kind"),
           "operator kinds that graphs spread over several units must run elsewhere, such as "
           "attention on an NPU without it")
          .default_is("none"),
  };
}

// What describes a machine as a whole, in the catalogue and on the node.
std::vector<Field> machine_fields() {
  return {
      word("tier", {"device", "edge", "cloud"},
           "where the machine stands; policies such as always-edge go by it")
          .default_is("the catalogue's, else cloud"),
      map("units", object("", unit_spec, "a compute unit"),
          "compute units by name; the first is the main unit")
          .default_is("the catalogue's, else one unit \"cpu\" from the unit fields of the node"),
      integer("accelerators", "how many of its GPU or NPU a machine has")
          .at_least(1)
          .at_most(1024)
          .by_default("1"),
      list("mig", text("", "profile such as 3g.40gb"),
           "multi-instance GPU: partitions every accelerator of a machine into these instances, each with "
           "arithmetic, memory and bandwidth of its own. They take the place of the accelerator among the units; "
           "services name one with `unit`. See docs/sharing_gpus.md.")
          .at_least(1)
          .at_most(7)
          .default_is("none: accelerators are whole"),
      object("sharing", accelerator_sharing_spec,
             "several replicas stand on each accelerator (or each of its instances), of one service or of "
             "several. See docs/sharing_gpus.md."),
      quantity("memory_share", Unit::fraction,
               "of the memory's bandwidth that all units reach together; one unit alone reaches "
               "its bandwidth_efficiency")
          .above(0)
          .at_most(1)
          .by_default("0.8"),
      quantity("core_speed", Unit::none,
               "of one core on codecs and ciphers, against the machines of the published figures; used "
               "with `protocols`")
          .at_least(0.001)
          .at_most(1000)
          .by_default("1"),
      quantity("base_power", Unit::power, "whole machine without its units (screen, board, fans)")
          .by_default("0 W"),
      quantity("upload_power", Unit::power, "on top while it sends").by_default("0 W"),
      quantity("download_power", Unit::power, "on top while it receives").by_default("0 W"),
      quantity("storage_bandwidth", Unit::bandwidth, "of sequential reads; used with `loading`")
          .above(0)
          .by_default("3 GB/s"),
      quantity("storage_latency", Unit::duration, "of opening a file; used with `loading`")
          .by_default("0.1 ms"),
      object("thermal", thermal_spec, "how it heats up and throttles. Used with `physics`"),
      object("battery", battery_spec, "that it runs on. Used with `physics`"),
      quantity("price", Unit::price_per_hour, "of one machine").by_default("0 USD/h"),
      quantity(
          "purchase_price", Unit::money,
          "of buying one machine, for cards and modules that part alone; billed for machines with "
          "billing \"owned\"")
          .default_is("unknown"),
      quantity(
          "interconnect_bandwidth", Unit::bandwidth,
          "between the accelerators of a machine, one direction; needed when a service spreads "
          "over several")
          .default_is("none"),
      quantity("interconnect_latency", Unit::duration, "of one hop of a collective operation, and of one message between pipeline stages")
          .by_default("0 s"),
      object("unit_transfer", unit_transfer_spec,
             "how tensors get from unit to unit when a graph runs on several"),
  };
}

}  // namespace

const ObjectSpec& peak_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "peak";
    s.help =
        "Dense peak speed per number format; formats that are left out cannot be computed "
        "natively and fall back on the next wider one.";
    for (const auto& row : models::precisions)
      s.fields.push_back(
          quantity(std::string(row.name), Unit::compute, "in " + std::string(row.name)));
    return s;
  }();
  return spec;
}

const ObjectSpec& unit_transfer_spec() {
  static const ObjectSpec spec{
      "unit_transfer",
      "From unit to unit of one machine, for graphs that run on several of them.",
      {quantity(
           "bandwidth", Unit::bandwidth,
           "of copies to and from units with a memory of their own, such as a GPU behind PCIe; "
           "CPU units share theirs. Inputs then start in the memory of the first CPU unit")
           .above(0)
           .default_is("none: all units share one memory and nothing is copied"),
       quantity("latency", Unit::duration,
                "per tensor that goes to another unit: synchronization, and setting up the copy")
           .by_default("0 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& accelerator_sharing_spec() {
  static const ObjectSpec spec{
      "accelerator sharing",
      "How replicas share one accelerator without partitions of its memory: what all of them need must fit.",
      {word("kind", {"time_slicing", "mps"},
            "in turns, each time the whole of it; or at the same time, each a part of its multiprocessors "
            "(Multi-Process Service)")
           .by_default("time_slicing"),
       integer("replicas", "at most, on one accelerator; `replicas` of the device plugin for Kubernetes")
           .at_least(1)
           .at_most(1024)
           .needed(),
       quantity("slice", Unit::duration, "of one turn, of time slicing; 2 ms is `nvidia-smi compute-policy`'s short one")
           .above(0)
           .by_default("2 ms"),
       quantity("context_switch", Unit::duration, "after each turn if others have work too, of time slicing")
           .by_default("0 s")},
      "",
      {}};
  return spec;
}

const ObjectSpec& unit_spec() {
  static const ObjectSpec spec{
      "unit", "One compute unit: CPU cluster, GPU or NPU.", unit_fields(), "", {}};
  return spec;
}

const ObjectSpec& node_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "node";
    s.help =
        "A group of equal machines. Start from a catalogue device and override what differs, or "
        "describe the machine inline. Unit fields written here change the main unit.";
    s.fields = {
        refer("device", Reference::device, "catalogue entry to start from").default_is("none"),
        integer("count", "number of equal machines").at_least(1).at_most(max_nodes).by_default("1"),
        either("zone",
               {text("", "zone name"), list("", text("", "zone name"), "zone names").at_least(1)},
               "locality and failure domain; machines take the zones of a list in turn")
            .by_default("default"),
        flag("physics",
             "clocks, heat and battery take effect; else clocks are constant and nothing heats up")
            .default_is("true when the node states a governor, an ambient, a power trace, heat, a "
                        "battery or clocks itself"),
        either("ambient",
               {quantity("", Unit::temperature, "constant").at_least(-273),
                list("", object("", ambient_step_spec, "a step"), "over time").at_least(1)},
               "temperature around the machine")
            .by_default("25 C"),
        quantity("power_trace", Unit::duration,
                 "sample power, temperature and clock of every machine this often")
            .at_least(1e-6)
            .default_is("no trace; trip points are looked at every 10 ms"),
        object("model_cache", model_cache_spec,
               "memory that the models of its services share, coming and going"),
        map("labels", text("", "value"), "that a placement may require").default_is("none"),
        list("taints", text("", "\"key\" or \"key=value\", with \":PreferNoSchedule\" where others are only preferred"),
             "keep off replicas of services with a placement, unless they tolerate them")
            .default_is("none"),
        flag("billed_when_idle", "false: paid only while a replica is on the machine")
            .by_default("true"),
    };
    for (const Field& f : node_cost_fields()) s.fields.push_back(f);
    for (const Field& f : machine_fields()) s.fields.push_back(f);
    for (const Field& f : unit_fields()) s.fields.push_back(f.default_is("of the main unit"));
    return s;
  }();
  return spec;
}

const ObjectSpec& device_spec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s;
    s.name = "device";
    s.help = "An entry of the device catalogue.";
    s.fields = {text("summary", "what it is").needed(),
                map("sources", text("", "source"),
                    "where each figure comes from, by field path; a path covers what lies below it")
                    .needed()};
    for (const Field& f : machine_fields()) s.fields.push_back(f);
    return s;
  }();
  return spec;
}

}  // namespace isthmus::scenarios
