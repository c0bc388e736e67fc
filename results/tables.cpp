#include "results/tables.hpp"

#include <limits>

#include "models/operator_kind.hpp"

namespace isthmus::results {

namespace {

constexpr std::int64_t never = Instant::never().ns();
constexpr std::uint32_t no_index = ~0U;
constexpr std::uint64_t no_number = ~std::uint64_t{0};

// A date; `stage` dates are missing where a request did not get that far.
template <class Row, auto member>
TypedColumn<Row, std::int64_t> date(const char* name, const char* description, bool stage = true) {
  TypedColumn<Row, std::int64_t> c{
      name, "ns", description,
      copy_column<Row, std::int64_t, [](const Row& r) { return (r.*member).ns(); }>};
  if (stage) c.missing = never;
  return c;
}

// A plain number: the type of the column is the type of the member.
template <class Row, auto member>
auto plain(const char* name, const char* units, const char* description) {
  using T = std::remove_cvref_t<decltype(std::declval<Row>().*member)>;
  using Stored = std::conditional_t<std::same_as<T, std::uint16_t>, std::uint32_t, T>;
  return TypedColumn<Row, Stored>{name, units, description,
                                  copy_column<Row, Stored, [](const Row& r) { return r.*member; }>};
}

// An index into a list of names; `optional` ones may be missing.
template <class Row, auto member>
TypedColumn<Row, std::uint32_t> index(const char* name, const char* description,
                                      const std::vector<std::string>& values, bool optional) {
  TypedColumn<Row, std::uint32_t> c = plain<Row, member>(name, "1", description);
  c.values = values;
  if (optional) c.missing = no_index;
  return c;
}

template <class Row, auto member>
TypedColumn<Row, std::uint8_t> flag(const char* name, const char* description) {
  return {name, "1", description,
          copy_column<Row, std::uint8_t, [](const Row& r) { return r.*member; }>};
}

template <class E>
std::vector<std::string> names_of_all(E end) {
  std::vector<std::string> names;
  for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(end); ++i)
    names.emplace_back(name_of(static_cast<E>(i)));
  return names;
}

}  // namespace

TableColumns<RequestRecord> request_columns(const RunInfo& info) {
  using R = RequestRecord;
  TableColumns<R> t;
  t.push_back(plain<R, &R::request>("request", "1", "number in order of creation"));
  t.push_back(plain<R, &R::identity>("identity", "1",
                                     "hash of (workload, client, index), equal in paired runs"));
  t.push_back(index<R, &R::workload>("workload", "workload it came from", info.workloads, false));
  t.push_back(plain<R, &R::client>("client", "1", "client number within the workload"));
  auto task = plain<R, &R::task>("task", "1", "task that it belongs to");
  task.missing = no_number;
  t.push_back(task);
  t.push_back(plain<R, &R::step>("step", "1", "position in the task"));
  t.push_back(index<R, &R::service>("service", "service that answered", info.services, true));
  auto replica = plain<R, &R::replica>("replica", "1", "replica number within the service");
  replica.missing = no_index;
  t.push_back(replica);
  t.push_back(index<R, &R::first_choice>("first_choice", "service that the policy chose",
                                         info.services, true));
  t.push_back(TypedColumn<R, std::uint8_t>{
      "status",
      "1",
      "how it ended",
      copy_column<R, std::uint8_t, [](const R& r) { return r.status; }>,
      std::nullopt,
      {"completed", "rejected", "failed", "in_flight"}});
  t.push_back(
      TypedColumn<R, std::uint8_t>{"cause", "1", "why it was rejected or failed",
                                   copy_column<R, std::uint8_t, [](const R& r) { return r.cause; }>,
                                   std::nullopt, names_of_all(Cause::count_)});
  t.push_back(date<R, &R::created>("created", "the client wants an answer from here on", false));
  t.push_back(date<R, &R::sent>("sent", "upload starts"));
  t.push_back(date<R, &R::arrived>("arrived", "request is at the service"));
  t.push_back(date<R, &R::started>("started", "first scheduled on a unit"));
  t.push_back(date<R, &R::first_token>("first_token", "first output token computed"));
  t.push_back(date<R, &R::served>("served", "service done"));
  t.push_back(date<R, &R::completed>("completed", "answer is at the client"));
  t.push_back(plain<R, &R::prompt_tokens>("prompt_tokens", "1", "tokens of the prompt"));
  t.push_back(plain<R, &R::output_tokens>("output_tokens", "1", "tokens of the answer"));
  t.push_back(plain<R, &R::batch>("batch", "1", "size of the batch that served it"));
  t.push_back(plain<R, &R::attempts>("attempts", "1", "attempts, the first included"));
  t.push_back(plain<R, &R::upload>("upload", "B", "bytes sent to the service"));
  t.push_back(plain<R, &R::download>("download", "B", "bytes sent to the client"));
  t.push_back(plain<R, &R::client_energy>("client_energy", "J",
                                          "energy of the client's node for this request"));
  t.push_back(plain<R, &R::accuracy>("accuracy", "1",
                                     "accuracy of the variant that answered, 0 = "
                                     "not stated"));
  t.push_back(plain<R, &R::variant>("variant", "1", "variant, among those its service chooses from"));
  t.push_back(plain<R, &R::exit>("exit", "1", "at which it left a graph with early exits"));
  t.push_back(flag<R, &R::counted>("counted", "1 = created after the warm-up, enters metrics"));
  if (info.hedging) {
    t.push_back(plain<R, &R::copies>("copies", "1", "copies sent, the first included"));
    t.push_back(plain<R, &R::winner>("winner", "1", "copy that answered, 0 = the first"));
    t.push_back(TypedColumn<R, double>{
        "wasted", "s", "time at servers of the other copies, until the answer",
        copy_column<R, double, [](const R& r) { return static_cast<double>(r.wasted); }>});
  }
  if (info.streams) {
    t.push_back(date<R, &R::first_received>("first_received", "first streamed token is at the client"));
    t.push_back(date<R, &R::last_received>("last_received", "last streamed token is at the client"));
  }
  if (!info.caches.empty()) {
    t.push_back(TypedColumn<R, std::uint8_t>{
        "cache", "1", "cache that answered", copy_column<R, std::uint8_t, [](const R& r) { return r.cache; }>,
        std::nullopt, info.caches});
    t.push_back(flag<R, &R::wrong>("wrong_answer", "1 = the cache's answer does not suit"));
  }
  if (info.calls) {
    const auto seconds = [&]<auto member>(const char* name, const char* description) {
      t.push_back(TypedColumn<R, double>{
          name, "s", description,
          copy_column<R, double, [](const R& r) { return static_cast<double>(r.*member); }>});
    };
    seconds.operator()<&R::call_time>("call_time", "in calls of its service to others");
    seconds.operator()<&R::pool_wait>("pool_wait", "for connections that these calls needed, summed up");
  }
  if (info.versions)
    t.push_back(plain<R, &R::version>("version", "1", "of the renewed service; 0 before any update"));
  if (info.kv_transfers) {
    t.push_back(plain<R, &R::kv_bytes>("kv_bytes", "B", "keys and values sent to a decode replica"));
    t.push_back(date<R, &R::kv_sent>("kv_sent", "their first byte leaves the prefill replica"));
    t.push_back(date<R, &R::kv_received>("kv_received", "their last byte is at the decode replica"));
  }
  return t;
}

TableColumns<TaskRecord> task_columns(const RunInfo& info) {
  using R = TaskRecord;
  TableColumns<R> t;
  t.push_back(plain<R, &R::task>("task", "1", "task number"));
  t.push_back(plain<R, &R::identity>("identity", "1", "hash, equal in paired runs"));
  t.push_back(index<R, &R::workload>("workload", "workload it came from", info.workloads, false));
  t.push_back(plain<R, &R::client>("client", "1", "client number within the workload"));
  t.push_back(plain<R, &R::steps>("steps", "1", "requests that the task consists of"));
  t.push_back(plain<R, &R::steps_done>("steps_done", "1", "requests answered"));
  t.push_back(date<R, &R::created>("created", "the task starts", false));
  t.push_back(date<R, &R::ended>("ended", "the task is over"));
  t.push_back(flag<R, &R::succeeded>("succeeded", "1 = every step was answered"));
  t.push_back(flag<R, &R::counted>("counted", "1 = created after the warm-up, enters metrics"));
  return t;
}

TableColumns<ServiceSample> interval_columns(const RunInfo& info) {
  using R = ServiceSample;
  TableColumns<R> t;
  t.push_back(date<R, &R::at>("at", "date of the sample", false));
  t.push_back(index<R, &R::service>("service", "service sampled", info.services, false));
  t.push_back(plain<R, &R::queued>("queued", "1", "requests waiting"));
  t.push_back(plain<R, &R::running>("running", "1", "requests in service"));
  t.push_back(plain<R, &R::ready_replicas>("ready_replicas", "1", "replicas that can serve"));
  t.push_back(plain<R, &R::asked_replicas>("asked_replicas", "1", "replicas that scaling wants"));
  t.push_back(plain<R, &R::utilization>("utilization", "1",
                                        "busy fraction of slots since the last sample"));
  return t;
}

TableColumns<NodeSample> node_sample_columns(const RunInfo& info) {
  using R = NodeSample;
  TableColumns<R> t;
  t.push_back(date<R, &R::at>("at", "date of the sample", false));
  t.push_back(index<R, &R::group>("group", "node group", info.nodes, false));
  t.push_back(plain<R, &R::node>("node", "1", "node within the group"));
  t.push_back(plain<R, &R::power>("power", "W", "mean power since the last sample"));
  t.push_back(plain<R, &R::temperature>("temperature", "degC", "of the hottest part"));
  t.push_back(plain<R, &R::speed>("speed", "1", "clock of the first unit over its highest"));
  t.push_back(plain<R, &R::busy>("busy", "1", "busy share of the first unit since the last sample"));
  return t;
}

TableColumns<OperatorRecord> operator_columns(const RunInfo& info) {
  using R = OperatorRecord;
  const auto& kinds = models::operator_kind_names;
  TableColumns<R> t;
  t.push_back(date<R, &R::start>("start", "first moment on the unit", false));
  t.push_back(date<R, &R::end>("end", "last moment on the unit", false));
  t.push_back(index<R, &R::group>("group", "node group", info.nodes, false));
  t.push_back(plain<R, &R::node>("node", "1", "node within the group"));
  t.push_back(
      index<R, &R::lane>("lane", "unit of the node, or stream of a unit", info.lanes, false));
  t.push_back(
      index<R, &R::service>("service", "service that it is part of", info.services, false));
  t.push_back(plain<R, &R::replica>("replica", "1", "replica within the service"));
  t.push_back(
      index<R, &R::op>("operator", "operator of the service's graph", info.operators, false));
  t.push_back(
      index<R, &R::kind>("kind", "kind of operator", {kinds.begin(), kinds.end()}, false));
  return t;
}

TableColumns<DecisionRow> decision_columns(const RunInfo& info) {
  using R = DecisionRow;
  TableColumns<R> t;
  t.push_back(date<R, &R::at>("at", "date of the decision", false));
  t.push_back(plain<R, &R::request>("request", "1", "request it is about"));
  t.push_back(index<R, &R::chosen>("chosen", "service that the policy chose", info.services, true));
  t.push_back(index<R, &R::used>("used", "service that was used", info.services, true));
  t.push_back(plain<R, &R::score>("score", "1", "figure by which the policy chose"));
  t.push_back(index<R, &R::reason>("reason", "why, in the policy's words", {}, false));
  return t;
}

TableColumns<NodeTotals> node_columns(const std::string& currency) {
  using R = NodeTotals;
  TableColumns<R> t;
  t.push_back(plain<R, &R::name>("name", "", "node group"));
  t.push_back(plain<R, &R::count>("count", "1", "nodes in the group"));
  t.push_back(plain<R, &R::energy>("energy", "J", "energy of all nodes, idle included"));
  t.push_back(plain<R, &R::busy_seconds>("busy_seconds", "s", "unit-seconds in use"));
  t.push_back(plain<R, &R::hours>("hours", "h", "node-hours powered"));
  t.push_back(plain<R, &R::cost>("cost", currency.c_str(), "cost of the nodes"));
  return t;
}

TableColumns<ServiceTotals> service_columns() {
  using R = ServiceTotals;
  TableColumns<R> t;
  t.push_back(plain<R, &R::name>("name", "", "service"));
  t.push_back(plain<R, &R::model>("model", "", "model served"));
  t.push_back(plain<R, &R::variant>("variant", "", "variant of the model"));
  t.push_back(plain<R, &R::timing>("timing", "", "where its service times come from"));
  t.push_back(plain<R, &R::utilization>("utilization", "1", "time-average busy fraction of slots"));
  t.push_back(plain<R, &R::mean_queue>("mean_queue", "1", "time-average number waiting"));
  t.push_back(plain<R, &R::mean_in_system>("mean_in_system", "1",
                                           "time-average number waiting or in service"));
  t.push_back(plain<R, &R::mean_replicas>("mean_replicas", "1", "time-average ready replicas"));
  t.push_back(plain<R, &R::max_replicas>("max_replicas", "1", "most ready replicas at once"));
  t.push_back(plain<R, &R::mean_batch>("mean_batch", "1", "mean size of a batch"));
  t.push_back(plain<R, &R::iterations>("iterations", "1", "batches or engine iterations"));
  t.push_back(plain<R, &R::timing_error>("timing_error", "1",
                                         "one standard error of service times, relative"));
  t.push_back(plain<R, &R::cold_starts>("cold_starts", "1", "replicas started during the run"));
  t.push_back(plain<R, &R::preemptions>("preemptions", "1", "requests set back"));
  return t;
}

TableColumns<LinkTotals> link_columns() {
  using R = LinkTotals;
  TableColumns<R> t;
  t.push_back(plain<R, &R::name>("name", "", "link"));
  t.push_back(plain<R, &R::bytes>("bytes", "B", "bytes in both directions"));
  t.push_back(plain<R, &R::utilization>("utilization", "1", "bytes over capacity; of Wi-Fi cells: share of air time"));
  t.push_back(TypedColumn<R, double>{
      "energy", "J", "of links with a power, else NaN",
      copy_column<R, double, [](const R& r) {
        return r.energy.value_or(std::numeric_limits<double>::quiet_NaN());
      }>});
  return t;
}

TableColumns<AlertEvent> alert_columns() {
  using R = AlertEvent;
  TableColumns<R> t;
  t.push_back(plain<R, &R::level>("level", "", "service level"));
  t.push_back(plain<R, &R::alert>("alert", "", "alert of the level"));
  t.push_back(plain<R, &R::severity>("severity", "", "page or ticket"));
  t.push_back(date<R, &R::pending>("pending", "since when its condition held", false));
  t.push_back(date<R, &R::fired>("fired", "it fires", false));
  t.push_back(date<R, &R::resolved>("resolved", "its condition holds no more"));
  return t;
}

}  // namespace isthmus::results
