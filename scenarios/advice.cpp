#include "scenarios/advice.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <tuple>

#include <fmt/format.h>

#include "results/format.hpp"
#include "scenarios/check.hpp"
#include "scenarios/experiments.hpp"
#include "scenarios/object_view.hpp"
#include "scenarios/reader.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

// More than one zone is promised for one machine (Amazon Compute Service Level Agreement, 2022: 99.5 % for an
// instance, 99.99 % for instances in two zones).
constexpr double one_zone = 0.995;
// A fixed number for the peak stands idle for more than half of its time beyond this.
constexpr double bursty = 2;

std::string duration(double seconds) { return results::format_quantity(seconds, "s"); }
std::string percent(double share) { return fmt::format("{:.4g} %", share * 100); }

// Alternatives of the tree's scenario, run when a question needs them.
class Runs {
 public:
  explicit Runs(const AdviceOptions& options) : options_(options) {
    const std::filesystem::path file =
        options.scenario.empty()
            ? std::filesystem::path(ISTHMUS_SOURCE_DIR) / "scenarios" / "reference" / "r41_deployment.json"
            : std::filesystem::path(options.scenario);
    name_ = file.string();
    loaded_ = load(file, {{"/replications", fmt::format("{}", options.replications)}});
  }

  const std::string& name() const { return name_; }

  // Mean over the replications of what each figure says of the alternative.
  template <class Figures>
  void add(AdviceStep& step, const std::string& label, const Figures& figures) const {
    const auto choice = std::find_if(loaded_.alternatives.begin(), loaded_.alternatives.end(),
                                     [&](const Choice& c) { return c.label == label; });
    if (choice == loaded_.alternatives.end())
      throw InputError(fmt::format("{}: has no alternative \"{}\", which the decision tree asks for", name_, label));
    ExperimentOptions options;
    options.threads = options_.threads;
    const results::Comparison c = run_alternatives(candidates_of(loaded_, {*choice}), options);
    AdviceRun run{label, {}};
    for (const auto& figure : figures) {
      double sum = 0;
      for (const results::Summary& s : c.alternatives[0].replications) sum += figure(s);
      run.values.push_back(sum / static_cast<double>(c.alternatives[0].replications.size()));
    }
    step.runs.push_back(std::move(run));
  }

 private:
  AdviceOptions options_;
  std::string name_;
  LoadedScenario loaded_;
};

using Figure = std::function<double(const results::Summary&)>;

Figure metric(const char* name) {
  return [name](const results::Summary& s) { return s.value(name); };
}

double answered(const results::Summary& s) { return 1 - s.value("rejected_rate") - s.value("failed_rate"); }

AdviceStep site(const Requirements& asked, double bound, const Runs& runs) {
  AdviceStep step;
  const std::string& kind = asked.workload;
  step.question = fmt::format("does a central site answer within {} ({})?", duration(bound), kind);
  step.figures = {{"latency.p95", "s"}, {"answered", "1"}, {"machines", "1"}};
  const std::string machines = "placement_machines." + kind;
  const std::vector<Figure> figures{metric("latency.p95"), answered, metric(machines.c_str())};
  runs.add(step, kind + ", central", figures);
  runs.add(step, kind + ", edge", figures);
  const double central = step.runs[0].values[0], edge = step.runs[1].values[0];
  if (central <= bound) {
    step.answer = "yes";
    step.recommendation = "one central site for all";
    step.fields = R"("on": "<node group of the region>", "placement": {"policy": "spread"})";
    step.verdict = fmt::format("95 % of its answers are there within {}, by {:.3g} machines instead of {:.3g} at the edge",
                               duration(central), step.runs[0].values[2], step.runs[1].values[2]);
    return step;
  }
  std::swap(step.runs[0], step.runs[1]);
  step.answer = "no";
  step.recommendation = "distributed edge: replicas at every site, each site asks its own";
  step.fields = R"("on": "<node group of the edge>", "routing": "locality-priority", )"
                R"("placement": {"policy": "spread", "spread": {"over": "zone"}})";
  step.met = edge <= bound;
  step.verdict = fmt::format("{} instead of {} from the central site", duration(edge), duration(central));
  if (!step.met) step.verdict += fmt::format(": still more than {}; only the device itself is nearer", duration(bound));
  return step;
}

AdviceStep dedicated(const Requirements& asked, const Runs& runs) {
  AdviceStep step;
  step.question = "must its latency not depend on other work?";
  step.answer = asked.critical ? "yes" : "no";
  if (!asked.critical) return step;
  step.recommendation = "a node group of its own: taint it, and let only this service tolerate the taint";
  step.fields = R"(node group: "taints": ["dedicated=critical"]; service: "placement": {"policy": "first-fit", )"
                R"("tolerates": ["dedicated=critical"]})";
  step.figures = {{"tenant_latency.critical.p95", "s"}, {"tenant_latency.critical.p99", "s"}};
  const std::vector<Figure> figures{metric("tenant_latency.critical.p95"), metric("tenant_latency.critical.p99")};
  for (const char* label : {"critical, dedicated", "critical, shared"}) runs.add(step, label, figures);
  step.met = step.runs[0].values[1] < step.runs[1].values[1];
  step.verdict = fmt::format("99th percentile {} instead of {} beside heavy work", duration(step.runs[0].values[1]),
                             duration(step.runs[1].values[1]));
  return step;
}

AdviceStep bursts(const Requirements& asked, const Runs& runs) {
  AdviceStep step;
  step.question = fmt::format("does its load rise to more than {:g} times the usual one?", bursty);
  step.answer = asked.burstiness > bursty ? "yes" : "no";
  if (asked.burstiness <= bursty) return step;
  step.recommendation = "autoscaling from 3 to 50 replicas";
  step.fields = R"("replicas": 3, "autoscaling": {"policy": "hpa", "min_replicas": 3, "max_replicas": 50, )"
                R"("scale_up_pods": 50})";
  step.figures = {{"answered", "1"}, {"latency.p95", "s"}, {"machines", "1"}};
  const std::vector<Figure> figures{answered, metric("latency.p95"), metric("placement_machines.api")};
  for (const char* label : {"bursts, 3 to 50", "bursts, 50", "bursts, 3"}) runs.add(step, label, figures);
  const auto& [scaled, most, least] = std::tie(step.runs[0].values, step.runs[1].values, step.runs[2].values);
  step.met = scaled[0] > least[0] && scaled[2] < most[2];
  step.verdict = fmt::format(
      "{} answered with {:.3g} machines on average; 3 fixed ones answer {}, 50 answer {}. What is turned away comes "
      "while replicas start",
      percent(scaled[0]), scaled[2], percent(least[0]), percent(most[0]));
  return step;
}

AdviceStep residency(const Requirements& asked, const Runs& runs) {
  AdviceStep step;
  step.question = "must its data stay in a country?";
  step.answer = asked.residency.empty() ? "no" : "yes, in " + asked.residency;
  if (asked.residency.empty()) return step;
  step.recommendation = fmt::format("require the region: replicas wait rather than go abroad");
  step.fields = fmt::format(R"(node group: "labels": {{"country": {0}}}; service: "placement": {{"policy": "least-cost", )"
                            R"("requires": {{"labels": {{"country": {0}}}}}}})",
                            json_string(asked.residency));
  step.figures = {{"time that the line abroad was busy", "s"}, {"cost", "USD"}};
  const std::vector<Figure> figures{metric("link_energy"), metric("cost")};  // the line draws 1 W while it is
  for (const char* label : {"residency, required", "residency, cheapest"}) runs.add(step, label, figures);
  step.met = step.runs[0].values[0] == 0;
  step.verdict = fmt::format("nothing crosses the border; by price alone it does for {}, and the run costs {:.3g} % less",
                             duration(step.runs[1].values[0]),
                             (1 - step.runs[1].values[1] / step.runs[0].values[1]) * 100);
  if (!step.met) step.verdict = "data crosses the border all the same";
  return step;
}

AdviceStep zones(const Requirements& asked, const Runs& runs) {
  AdviceStep step;
  step.question = fmt::format("must more than {} be answered?", percent(one_zone));
  step.answer = asked.availability > one_zone ? "yes, " + percent(asked.availability) : "no";
  if (asked.availability <= one_zone) return step;
  step.recommendation = "spread replicas over three zones";
  step.fields = R"("placement": {"policy": "spread", "spread": {"over": "zone"}}, with room for the load without one zone)";
  step.figures = {{"answered", "1"}, {"latency.p99", "s"}};
  const std::vector<Figure> figures{answered, metric("latency.p99")};
  for (const char* label : {"availability, three zones", "availability, one zone"}) runs.add(step, label, figures);
  step.met = step.runs[0].values[0] >= asked.availability;
  step.verdict = fmt::format("{} answered although a zone fails; {} with all replicas in that zone",
                             percent(step.runs[0].values[0]), percent(step.runs[1].values[0]));
  if (!step.met) step.verdict += fmt::format(". That is less than {}", percent(asked.availability));
  return step;
}

}  // namespace

Requirements read_requirements(const std::string& file, const std::vector<Demand>& demands) {
  Sources sources;
  Value root = file.empty() ? object_value({sources.add("options"), 0, 0}) : read_json_file(file, sources);
  if (!root.is(JsonKind::object))
    throw InputError(fmt::format("{}: expected an object of requirements, e.g. {{\"latency\": \"10 ms\"}}",
                                 sources.place(root.at)));
  for (const Demand& d : demands) {
    const Position at{sources.add("--" + d.field), 0, 0};
    Value value = text_value(d.value, at);
    try {
      value = parse_json(d.value, sources, at.source);
      value.at = at;
    } catch (const InputError&) {
      // Not JSON: the text itself, such as 10 ms.
    }
    if (Value* known = root.find(d.field)) *known = value;
    else root.members.push_back({d.field, at, value});
  }
  Problems problems(sources);
  const Names none;
  Checker(sources, none, problems).object(root, requirements_spec(), "");
  problems.throw_if_any();
  const ObjectView v(&root, requirements_spec(), "", root.at);
  if (root.members.empty())
    throw InputError("nothing is asked for: name a file of requirements, or --latency, --workload, --residency, "
                     "--availability, --burstiness or --critical");
  Requirements r;
  r.workload = v.text("workload");
  if (v.has("latency")) r.latency = v.number("latency");
  r.residency = v.text("residency");
  r.availability = v.number("availability");
  r.burstiness = v.number("burstiness");
  r.critical = v.flag("critical");
  if (v.has("residency") && r.residency.find_first_not_of(" \t") == std::string::npos)
    throw InputError(fmt::format("{}: /residency: name a country, e.g. \"de\"", sources.place(v.at("residency"))));
  return r;
}

Advice advise(const Requirements& asked, const AdviceOptions& options) {
  const Runs runs(options);
  Advice a;
  a.asked = asked;
  a.bound = asked.latency.value_or(asked.workload == "vision" ? 0.010 : 0.100);
  a.scenario = runs.name();
  a.replications = options.replications;
  a.steps = {site(asked, a.bound, runs), dedicated(asked, runs), bursts(asked, runs), residency(asked, runs),
             zones(asked, runs)};
  a.met = std::all_of(a.steps.begin(), a.steps.end(), [](const AdviceStep& s) { return s.met; });
  return a;
}

}  // namespace isthmus::scenarios
