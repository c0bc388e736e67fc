#include "scenarios/hpa_yaml.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "scenarios/file_reading.hpp"
#include "scenarios/yaml_reading.hpp"
#include "schedulers/autoscaling_metric.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

using schedulers::HpaMetric;
using schedulers::HpaScalingPolicy;
using schedulers::HpaScalingRules;
using schedulers::HpaSelect;

constexpr std::int64_t most_replicas = 1'000'000;

class Reading {
 public:
  Reading(HpaManifest& out, YamlProblems& problems, const std::map<std::string, std::string>& names)
      : out_(out), problems_(problems), names_(names) {}

  void manifest(YamlObject root) {
    version(root);
    if (const auto kind = root.text("kind"); !kind) root.require("kind");
    else if (*kind != "HorizontalPodAutoscaler")
      root.problem_at("kind", fmt::format("\"{}\" is no HorizontalPodAutoscaler", *kind));
    if (auto metadata = root.object("metadata")) {
      out_.object.name = metadata->text("name").value_or("");
      for (const char* other : {"namespace", "labels", "annotations", "creationTimestamp", "uid",
                                "resourceVersion", "managedFields", "generation"})
        metadata->skip(other);
      metadata->finish();
    }
    root.skip("status");
    root.require("spec");
    if (auto spec = root.object("spec")) read_spec(*spec);
    root.finish();
  }

 private:
  void version(YamlObject& root) {
    const auto v = root.text("apiVersion");
    if (!v) return root.require("apiVersion");
    if (*v == "autoscaling/v2") return;
    std::string hint = "only autoscaling/v2 is read";
    if (*v == "autoscaling/v1")
      hint += "; write targetCPUUtilizationPercentage: N as metrics: [{type: Resource, resource: {name: cpu, "
              "target: {type: Utilization, averageUtilization: N}}}]";
    else if (*v == "autoscaling/v2beta2" || *v == "autoscaling/v2beta1")
      hint += fmt::format("; {} was removed from Kubernetes 1.26{}", *v,
                          *v == "autoscaling/v2beta2" ? ", and its fields are the same: change the version" : "");
    root.problem_at("apiVersion", fmt::format("\"{}\": {}", *v, hint));
  }

  void read_spec(YamlObject& spec) {
    schedulers::HpaSpec& s = out_.object.spec;
    spec.require("maxReplicas");
    spec.require("scaleTargetRef");
    if (auto target = spec.object("scaleTargetRef")) {
      for (const char* field : {"kind", "name"}) target->require(field);
      for (const char* field : {"apiVersion", "kind", "name"}) target->text(field);
      target->finish();
    }
    s.min_replicas = static_cast<std::int32_t>(spec.integer("minReplicas", 0, most_replicas).value_or(1));
    s.max_replicas = static_cast<std::int32_t>(spec.integer("maxReplicas", 1, most_replicas).value_or(1));
    if (spec.has("maxReplicas") && s.min_replicas > s.max_replicas)
      spec.problem_at(spec.has("minReplicas") ? "minReplicas" : "maxReplicas",
                      fmt::format("minReplicas {} is above maxReplicas {}", s.min_replicas, s.max_replicas));
    const std::vector<YAML::Node> metrics = spec.list("metrics");
    for (std::size_t i = 0; i < metrics.size(); ++i)
      read_metric(YamlObject(metrics[i], fmt::format("spec.metrics[{}]", i), problems_));
    if (!spec.has("metrics"))  // the API server's default
      out_.object.metrics.push_back({HpaMetric::Type::resource, HpaMetric::Target::utilization, "", 80});
    s.behavior.reset();
    if (auto behavior = spec.object("behavior")) {
      s.behavior.emplace();
      std::optional<double> up, down;
      if (auto rules = behavior->object("scaleUp")) up = read_rules(*rules, s.behavior->up);
      if (auto rules = behavior->object("scaleDown")) down = read_rules(*rules, s.behavior->down);
      if (up || down) {
        if (up.value_or(0.1) != down.value_or(0.1))
          behavior->problem("tolerance has to be the same for scaleUp and scaleDown here (0.1 where it is not given)");
        out_.object.tolerance = up ? *up : *down;
      }
      behavior->finish();
    }
    for (const char* field : {"targetCPUUtilizationPercentage"})
      if (spec.skip(field)) spec.problem_at(field, "is a field of autoscaling/v1; use metrics");
    if (s.min_replicas == 0 && std::all_of(out_.object.metrics.begin(), out_.object.metrics.end(), [](const auto& m) {
          return m.type == HpaMetric::Type::resource || m.type == HpaMetric::Type::pods;
        }))
      spec.problem_at("minReplicas", "0 needs a metric of type Object or External: without pods the others say nothing");
    spec.finish();
  }

  // The tolerance, where there is one.
  std::optional<double> read_rules(YamlObject& rules, HpaScalingRules& out) {
    if (const auto s = rules.integer("stabilizationWindowSeconds", 0, 3600))
      out.stabilization = Duration::from_seconds(static_cast<double>(*s));
    if (const auto w = rules.word("selectPolicy", {"Max", "Min", "Disabled"}))
      out.select = *w == "Max" ? HpaSelect::max : *w == "Min" ? HpaSelect::min : HpaSelect::disabled;
    if (rules.has("policies")) {
      out.policies.clear();
      const std::vector<YAML::Node> list = rules.list("policies");
      if (list.empty()) rules.problem_at("policies", "has to hold at least one; leave it out for the defaults");
      for (std::size_t i = 0; i < list.size(); ++i) {
        YamlObject p(list[i], fmt::format("{}[{}]", rules.path_to("policies"), i), problems_);
        for (const char* field : {"type", "value", "periodSeconds"}) p.require(field);
        HpaScalingPolicy policy;
        policy.type = p.word("type", {"Pods", "Percent"}).value_or("Pods") == "Pods"
                          ? HpaScalingPolicy::Type::pods
                          : HpaScalingPolicy::Type::percent;
        policy.value = static_cast<std::int32_t>(p.integer("value", 1, 2'000'000'000).value_or(1));
        policy.period = Duration::from_seconds(
            static_cast<double>(p.integer("periodSeconds", 1, 1800).value_or(15)));
        out.policies.push_back(policy);
        p.finish();
      }
    }
    std::optional<double> tolerance;
    if (const auto t = rules.text("tolerance")) {
      if (const auto milli = parse_quantity(*t); milli && *milli >= 0 && *milli <= 1000) tolerance = static_cast<double>(*milli) / 1000;
      else rules.problem_at("tolerance", fmt::format("\"{}\" is no share between 0 and 1", *t));
    }
    rules.finish();
    return tolerance;
  }

  void read_metric(YamlObject m) {
    m.require("type");
    const auto type = m.word("type", {"Resource", "ContainerResource", "Pods", "Object", "External"});
    const std::vector<std::pair<std::string, std::string>> sources{{"Resource", "resource"},
                                                                   {"ContainerResource", "containerResource"},
                                                                   {"Pods", "pods"},
                                                                   {"Object", "object"},
                                                                   {"External", "external"}};
    for (const auto& [name, field] : sources) {
      if (type && *type == name) {
        m.require(field);
        if (auto source = m.object(field)) read_source(*source, name);
      } else if (m.skip(field) && type) {
        m.problem_at(field, fmt::format("does not belong to type {}", *type));
      }
    }
    m.finish();
  }

  void read_source(YamlObject& source, const std::string& type) {
    HpaMetric metric;
    if (type == "Resource" || type == "ContainerResource") {
      source.require("name");
      if (const auto name = source.text("name"); name && *name != "cpu")
        source.problem_at("name", *name == "memory"
                                      ? "memory does not follow from load here; only cpu, the busy share of a replica's unit"
                                      : fmt::format("\"{}\" is not simulated; only cpu, the busy share of a replica's unit", *name));
      if (type == "ContainerResource") {
        source.require("container");
        source.text("container");
      }
      read_target(source, {"Utilization", "AverageValue"}, metric);
    } else {
      metric.type = type == "Pods"     ? HpaMetric::Type::pods
                    : type == "Object" ? HpaMetric::Type::object
                                       : HpaMetric::Type::external;
      source.require("metric");
      if (auto named = source.object("metric")) read_name(*named, type == "External", metric);
      if (type == "Object") {
        source.require("describedObject");
        if (auto described = source.object("describedObject"))
          for (const char* field : {"apiVersion", "kind", "name"}) described->text(field);
      }
      read_target(source, type == "Pods" ? std::vector<std::string>{"AverageValue"}
                                         : std::vector<std::string>{"Value", "AverageValue"},
                  metric);
    }
    source.finish();
    out_.object.metrics.push_back(metric);
  }

  void read_name(YamlObject& named, bool external, HpaMetric& metric) {
    named.require("name");
    if (const auto name = named.text("name")) {
      const auto it = names_.find(*name);
      metric.metric = it != names_.end() ? it->second : external ? "external:" + *name : *name;
      try {
        schedulers::AutoscalingMetric check(metric.metric);
      } catch (const InputError& e) {
        named.problem_at("name", fmt::format("{}; say in \"metrics\" (or with --metric) which one of the simulator's \"{}\" is", e.what(), *name));
      }
    }
    if (named.skip("selector")) out_.ignored.push_back(named.path_to("selector"));
    named.finish();
  }

  void read_target(YamlObject& source, const std::vector<std::string>& types, HpaMetric& metric) {
    source.require("target");
    auto target = source.object("target");
    if (!target) return;
    target->require("type");
    const auto type = target->word("type", types);
    const std::vector<std::pair<std::string, std::string>> fields{
        {"Utilization", "averageUtilization"}, {"AverageValue", "averageValue"}, {"Value", "value"}};
    for (const auto& [name, field] : fields) {
      if (!type || *type != name) {
        if (target->skip(field) && type) target->problem_at(field, fmt::format("does not belong to type {}", *type));
        continue;
      }
      target->require(field);
      if (name == "Utilization") {
        metric.target = HpaMetric::Target::utilization;
        metric.amount = target->integer(field, 1, 1'000'000, "it is a number of percent, as 70").value_or(1);
      } else {
        metric.target = name == "Value" ? HpaMetric::Target::value : HpaMetric::Target::average_value;
        metric.amount = target->quantity(field).value_or(1);
      }
    }
    target->finish();
  }

  HpaManifest& out_;
  YamlProblems& problems_;
  const std::map<std::string, std::string>& names_;
};

}  // namespace

HpaManifest parse_hpa_manifest(std::string_view content, const std::string& file,
                               const std::map<std::string, std::string>& names) {
  YamlProblems problems(file);
  HpaManifest out;
  try {
    // Of several documents in a file, the one that is an autoscaler.
    YAML::Node root;
    int found = 0;
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(content));
    for (const YAML::Node& d : documents)
      if (documents.size() == 1 ||
          (d.IsMap() && d["kind"] && d["kind"].IsScalar() && d["kind"].Scalar() == "HorizontalPodAutoscaler")) {
        if (++found > 1) problems.add(d.Mark(), "", "a second HorizontalPodAutoscaler in the same file");
        root.reset(d);
      }
    if (found == 0) problems.add(YAML::Mark(), "", "no HorizontalPodAutoscaler in this file");
    problems.throw_if_any();
    Reading(out, problems, names).manifest(YamlObject(root, "", problems));
  } catch (const YAML::Exception& e) {
    problems.add(e.mark, "", e.msg);
  }
  problems.throw_if_any();
  return out;
}

HpaManifest read_hpa_manifest(const std::filesystem::path& path,
                              const std::map<std::string, std::string>& names) {
  return parse_hpa_manifest(read_regular_file(path, 1 << 20), path.string(), names);
}

}  // namespace isthmus::scenarios
