#include "scenarios/triton_config.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "scenarios/file_reading.hpp"
#include "scenarios/problems.hpp"
#include "scenarios/text_proto.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

// Of ModelConfig and the messages below (model_config.proto). What has no entry in a table is a slip.
enum class Type { any, flag, count, text, message };
struct Rule {
  Type type = Type::any;
  bool repeated = false;
  double most = 0;                       // of a count
};
using Table = std::map<std::string, Rule, std::less<>>;

constexpr double int32 = 2147483647.0, uint32 = 4294967295.0, uint64 = 18446744073709551615.0;

const Table& model_table() {
  static const Table table{
      {"name", {Type::text}},
      {"platform", {Type::text}},
      {"backend", {Type::text}},
      {"runtime", {Type::text}},
      {"version_policy", {Type::message}},
      {"max_batch_size", {Type::count, false, int32}},
      {"input", {Type::message, true}},
      {"output", {Type::message, true}},
      {"batch_input", {Type::message, true}},
      {"batch_output", {Type::message, true}},
      {"optimization", {Type::message}},
      {"dynamic_batching", {Type::message}},
      {"sequence_batching", {Type::message}},
      {"ensemble_scheduling", {Type::message}},
      {"instance_group", {Type::message, true}},
      {"default_model_filename", {Type::text}},
      {"cc_model_filenames", {Type::message, true}},
      {"metric_tags", {Type::message, true}},
      {"parameters", {Type::message, true}},
      {"model_warmup", {Type::message, true}},
      {"model_operations", {Type::message}},
      {"model_transaction_policy", {Type::message}},
      {"model_repository_agents", {Type::message}},
      {"response_cache", {Type::message}},
      {"model_metrics", {Type::message}},
  };
  return table;
}

const Table& batcher_table() {
  static const Table table{
      {"preferred_batch_size", {Type::count, true, int32}},
      {"max_queue_delay_microseconds", {Type::count, false, uint64}},
      {"preserve_ordering", {Type::flag}},
      {"priority_levels", {Type::count, false, uint64}},
      {"default_priority_level", {Type::count, false, uint64}},
      {"default_queue_policy", {Type::message}},
      {"priority_queue_policy", {Type::message, true}},
  };
  return table;
}

const Table& queue_table() {
  static const Table table{
      {"timeout_action", {}},
      {"default_timeout_microseconds", {Type::count, false, uint64}},
      {"allow_timeout_override", {Type::flag}},
      {"max_queue_size", {Type::count, false, uint32}},
  };
  return table;
}

const Table& entry_table() {
  static const Table table{{"key", {Type::count, false, uint64}}, {"value", {Type::message}}};
  return table;
}

const Table& group_table() {
  static const Table table{
      {"name", {Type::text}},
      {"kind", {}},
      {"count", {Type::count, false, int32}},
      {"rate_limiter", {Type::message}},
      {"gpus", {Type::count, true, int32}},
      {"secondary_devices", {Type::message, true}},
      {"profile", {Type::text, true}},
      {"passive", {Type::flag}},
      {"host_policy", {Type::text}},
  };
  return table;
}

const char* wanted(Type type) {
  switch (type) {
    case Type::flag: return "true or false";
    case Type::count: return "a whole number";
    case Type::text: return "a text in quotes";
    case Type::message: return "a message in braces";
    case Type::any: break;
  }
  return "a word";
}

struct QueuePolicy {
  bool delays = false, may_shorten = false;
  double timeout = 0, capacity = 0;      // s; requests
};

class ConfigReader {
 public:
  ConfigReader(std::string_view file) : file_(file) {}

  TritonConfig read(const std::vector<ProtoField>& fields) {
    check(fields, model_table(), "the model configuration");
    const ProtoField* dynamic = find(fields, "dynamic_batching");
    const ProtoField* choice = nullptr;
    for (const ProtoField& f : fields) {
      if (f.name != "dynamic_batching" && f.name != "sequence_batching" && f.name != "ensemble_scheduling")
        continue;
      if (choice && choice->name != f.name)
        wrong(f, fmt::format("a model has one scheduler; \"{}\" in line {} is another", choice->name, choice->line));
      choice = &f;
    }
    const ProtoField* most = find(fields, "max_batch_size");
    const double max_batch = std::max(1.0, most ? count(*most) : 0.0);
    const auto& entry = schedulers::find_entry(schedulers::batching_policies(), dynamic ? "dynamic" : "none");
    TritonConfig out{entry.name, schedulers::Parameters(entry.parameters), instances(fields), {}};
    if (dynamic) read_batcher(*dynamic, max_batch, out.parameters);
    note_ignored(fields, out);
    if (!problems_.empty()) throw InputError(problems_);
    return out;
  }

 private:
  void wrong(const ProtoField& f, const std::string& what, bool at_value = false) {
    problems_.push_back(proto_place(file_, at_value ? f.value_line : f.line,
                                    at_value ? f.value_column : f.column) + what);
  }

  static const ProtoField* find(const std::vector<ProtoField>& fields, std::string_view name) {
    const auto it = std::find_if(fields.rbegin(), fields.rend(),
                                 [&](const ProtoField& f) { return f.name == name; });
    return it == fields.rend() ? nullptr : &*it;
  }

  static double count(const ProtoField& f) { return static_cast<double>(f.magnitude); }

  // Names, repetitions, kinds and ranges of the fields of a message.
  void check(const std::vector<ProtoField>& fields, const Table& table, const std::string& where) {
    std::set<std::string_view> seen;
    for (const ProtoField& f : fields) {
      const auto it = table.find(f.name);
      if (it == table.end()) {
        std::vector<std::string> known;
        for (const auto& [name, rule] : table) known.push_back(name);
        wrong(f, fmt::format("{} has no field \"{}\"{}", where, f.name, suggestion(f.name, known)));
        continue;
      }
      const Rule& rule = it->second;
      if (!seen.insert(f.name).second && !rule.repeated)
        wrong(f, fmt::format("\"{}\" stands twice in {}", f.name, where));
      if (!fits(f, rule)) {
        wrong(f, fmt::format("\"{}\" is {}; it must be {}", f.name,
                             f.kind == ProtoKind::word ? "\"" + f.text + "\"" : std::string(name_of(f.kind)),
                             wanted(rule.type)), true);
      } else if (rule.type == Type::count && ((f.negative && f.magnitude > 0) || count(f) > rule.most)) {
        wrong(f, fmt::format("\"{}\" is {}; it must be between 0 and {:.0f}", f.name, f.text, rule.most), true);
      }
    }
  }

  static bool fits(const ProtoField& f, const Rule& rule) {
    switch (rule.type) {
      case Type::any: return f.kind == ProtoKind::word || f.kind == ProtoKind::integer;
      case Type::count: return f.kind == ProtoKind::integer;
      case Type::text: return f.kind == ProtoKind::text;
      case Type::message: return f.kind == ProtoKind::message;
      case Type::flag: break;
    }
    static const std::set<std::string, std::less<>> words{"true", "false", "True", "False", "t", "f"};
    return (f.kind == ProtoKind::word && words.contains(f.text)) ||
           (f.kind == ProtoKind::integer && f.magnitude <= 1 && !f.negative);
  }
  static bool flag(const ProtoField* f) {
    return f && (f->text == "true" || f->text == "True" || f->text == "t" || f->magnitude == 1);
  }

  QueuePolicy read_queue(const ProtoField& message) {
    check(message.fields, queue_table(), "a queue policy");
    QueuePolicy out;
    if (const ProtoField* f = find(message.fields, "timeout_action")) {
      out.delays = f->text == "DELAY" || f->text == "1";
      if (!out.delays && f->text != "REJECT" && f->text != "0")
        wrong(*f, fmt::format("timeout_action is \"{}\"{}", f->text,
                              suggestion(f->text, std::vector<std::string>{"REJECT", "DELAY"})), true);
    }
    if (const ProtoField* f = find(message.fields, "default_timeout_microseconds")) out.timeout = microseconds(*f, 1e6);
    out.may_shorten = flag(find(message.fields, "allow_timeout_override"));
    if (const ProtoField* f = find(message.fields, "max_queue_size")) {
      out.capacity = count(*f);
      if (out.capacity > 1e9) wrong(*f, "max_queue_size: at most 1000000000 is simulated; 0 means no limit", true);
    }
    return out;
  }

  double microseconds(const ProtoField& f, double most) {
    const double seconds = count(f) * 1e-6;
    if (seconds > most) wrong(f, fmt::format("{}: at most {:g} s is simulated", f.name, most), true);
    return seconds;
  }

  void read_batcher(const ProtoField& message, double max_batch, schedulers::Parameters& p) {
    const auto& fields = message.fields;
    check(fields, batcher_table(), "dynamic_batching");
    std::vector<double> preferred;
    for (const ProtoField& f : fields) {
      if (f.name != "preferred_batch_size") continue;
      preferred.push_back(count(f));
      if (f.kind == ProtoKind::integer && !(count(f) >= 1 && count(f) <= max_batch))
        wrong(f, fmt::format("preferred_batch_size {} must be between 1 and max_batch_size, which is {:g}{}",
                             f.text, max_batch, max_batch == 1 ? " (not above 0 in this file)" : ""), true);
    }
    const ProtoField* delay = find(fields, "max_queue_delay_microseconds");
    const double wait = delay ? microseconds(*delay, 3600) : 0;
    const ProtoField* levels = find(fields, "priority_levels");
    const ProtoField* normal = find(fields, "default_priority_level");
    const double n = levels ? count(*levels) : 0, middle = normal ? count(*normal) : 0;
    if (n > 1000) return wrong(*levels, "at most 1000 priority levels are simulated", true);
    if (n > 0 && !(middle >= 1 && middle <= n))
      wrong(normal ? *normal : *levels,
            fmt::format("default_priority_level must be between 1 and {:g}, the number of priority_levels", n));
    if (n == 0 && middle > 0) wrong(*normal, "default_priority_level without priority_levels");

    const ProtoField* all = find(fields, "default_queue_policy");
    const QueuePolicy usual = all ? read_queue(*all) : QueuePolicy{};
    std::vector<QueuePolicy> by_level(static_cast<std::size_t>(n), usual);
    for (const ProtoField& f : fields) {
      if (f.name != "priority_queue_policy") continue;
      check(f.fields, entry_table(), "an entry of priority_queue_policy");
      const ProtoField *key = find(f.fields, "key"), *value = find(f.fields, "value");
      const QueuePolicy own = value ? read_queue(*value) : QueuePolicy{};
      const double level = key ? count(*key) : 0;
      if (level >= 1 && level <= n) by_level[static_cast<std::size_t>(level) - 1] = own;
      else wrong(key ? *key : f, fmt::format("the key of a priority_queue_policy must be between 1 and {:g}, the number of priority_levels", n));
    }
    if (!problems_.empty()) return;

    p.set("max_batch", max_batch);
    p.set("max_queue_delay", wait);
    p.set("preferred", preferred);
    p.set("priority_levels", n);
    p.set("default_priority_level", middle);
    p.set("timeout_action", usual.delays ? "delay" : "reject");
    p.set("default_timeout", usual.timeout);
    p.set("allow_timeout_override", usual.may_shorten ? 1 : 0);
    p.set("max_queue_size", usual.capacity);
    if (by_level.empty()) return;
    const auto list = [&](const char* name, const std::function<double(const QueuePolicy&)>& of) {
      std::vector<double> values;
      for (const QueuePolicy& q : by_level) values.push_back(of(q));
      p.set(name, values);
    };
    list("level_delays", [](const QueuePolicy& q) { return q.delays ? 1 : 0; });
    list("level_timeout", [](const QueuePolicy& q) { return q.timeout; });
    list("level_override", [](const QueuePolicy& q) { return q.may_shorten ? 1 : 0; });
    list("level_queue_size", [](const QueuePolicy& q) { return q.capacity; });
  }

  // Of all groups; a group has its count on each of its GPUs.
  std::uint32_t instances(const std::vector<ProtoField>& fields) {
    static const std::vector<std::string> kinds{"KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"};
    double total = 0;
    bool any = false;
    for (const ProtoField& f : fields) {
      if (f.name != "instance_group" || f.kind != ProtoKind::message) continue;
      check(f.fields, group_table(), "an instance_group");
      any = true;
      if (const ProtoField* kind = find(f.fields, "kind"); kind && kind->kind == ProtoKind::word &&
          std::find(kinds.begin(), kinds.end(), kind->text) == kinds.end())
        wrong(*kind, fmt::format("kind is \"{}\"{}", kind->text, suggestion(kind->text, kinds)), true);
      if (flag(find(f.fields, "passive"))) continue;
      const ProtoField* number = find(f.fields, "count");
      const auto gpus = std::count_if(f.fields.begin(), f.fields.end(),
                                      [](const ProtoField& g) { return g.name == "gpus"; });
      total += std::max(1.0, number ? count(*number) : 1.0) * static_cast<double>(std::max<std::ptrdiff_t>(1, gpus));
      if (total > 1e4) {
        wrong(number ? *number : f, "more than 10000 instances");
        return 1;
      }
    }
    return any ? static_cast<std::uint32_t>(std::max(1.0, total)) : 1;
  }

  // What changes neither batches nor instances is passed over without a word.
  static void note_ignored(const std::vector<ProtoField>& fields, TritonConfig& out) {
    static const std::set<std::string, std::less<>> silent{
        "name", "platform", "backend", "runtime", "version_policy", "max_batch_size", "input", "output",
        "default_model_filename", "cc_model_filenames", "metric_tags", "dynamic_batching", "model_metrics"};
    std::set<std::string> names;
    for (const ProtoField& f : fields) {
      if (f.name == "instance_group") {
        for (const ProtoField& g : f.fields)
          if (g.name == "rate_limiter" || g.name == "secondary_devices" || g.name == "host_policy" ||
              g.name == "profile")
            names.insert("instance_group." + g.name);
      } else if (f.name == "dynamic_batching") {
        if (flag(find(f.fields, "preserve_ordering"))) names.insert("dynamic_batching.preserve_ordering");
      }
      if (f.name != "instance_group" && !silent.contains(f.name)) names.insert(f.name);
    }
    out.ignored.assign(names.begin(), names.end());
  }

  std::string_view file_;
  std::vector<std::string> problems_;
};

}  // namespace

TritonConfig parse_triton_config(std::string_view content, std::string_view file) {
  return ConfigReader(file).read(parse_text_proto(content, file));
}

TritonConfig read_triton_config(const std::filesystem::path& path) {
  constexpr std::size_t largest = 1 << 20;
  return parse_triton_config(read_regular_file(path, largest), path.string());
}

}  // namespace isthmus::scenarios
